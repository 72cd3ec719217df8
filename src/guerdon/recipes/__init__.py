"""The rewards of papers, a few lines each: expressions in, an expression out. A file per mechanism."""

from guerdon.recipes.length import (
    adaptive_target,
    cosine_length,
    grpo_lambda,
    laser,
    laser_d,
    laser_de,
    repetition_returns,
)
from guerdon.recipes.trust import trust_grpo

__all__ = [
    "adaptive_target",
    "cosine_length",
    "grpo_lambda",
    "laser",
    "laser_d",
    "laser_de",
    "repetition_returns",
    "trust_grpo",
]
