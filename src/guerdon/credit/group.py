"""Advantages relative to the other responses to the same prompt.

This is the one place where an unscored sample (NaN, also ±∞) becomes a number: it gets advantage 0, no signal, and
counts in no mean. So does a sample alone in its group, and every sample of a group whose rewards are equal.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from guerdon.batch.levels import Array, Index, Segments
from guerdon.batch.shapes import check_shapes

__all__ = ["dr_grpo", "grpo", "leave_one_out"]


def grpo(rewards: ArrayLike, group: ArrayLike, *, ddof: int = 1, eps: float = 1e-6) -> Array:
    """Reward standardised within the group.

        Aᵢ = (rᵢ − r̄) / (s + eps)        r̄, s: mean and deviation of the scored samples of the group

    Args:
        rewards: `[N]`, in any unit; NaN marks a sample that could not be scored.
        group: `[N]`, the same label for responses to one prompt; any order, any size.
        ddof: s² = Σ(r − r̄)² / (n − ddof): 1 as in TRL, verl and slime, 0 as in TRL's asynchronous trainer.
        eps: added to s: 1e-6 in verl and slime, 1e-4 in TRL, 1e-9 in OpenRLHF.

    Returns:
        `[N]`, without unit. Sums to 0 over every group. 0 for an unscored sample, for one alone in its group, and where
        all rewards of the group are equal.

    Raises:
        DataError: `rewards` and `group` are not both `[N]`.

    Example:
        >>> grpo([1.0, 0.0, 0.0, 0.0], [7, 7, 7, 7], eps=0).round(3)
        array([ 1.5, -0.5, -0.5, -0.5])

    Source: Shao et al. (2024), DeepSeekMath, arXiv:2402.03300.
    """
    centred, scored, codes = _centred(rewards, group)
    _, variance = scored.moments(centred[~np.isnan(centred)], ddof)
    scale = np.sqrt(variance)[codes]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.nan_to_num(np.where(scale > 0, centred / (scale + eps), 0.0), nan=0.0)


def dr_grpo(rewards: ArrayLike, group: ArrayLike) -> Array:
    """Reward minus the mean reward of the group, not divided by the deviation (Dr. GRPO).

        Aᵢ = rᵢ − r̄

    Args:
        rewards: `[N]`, in any unit; NaN marks a sample that could not be scored.
        group: `[N]`, the same label for responses to one prompt; any order, any size.

    Returns:
        `[N]`, in the unit of `rewards`. Sums to 0 over every group. 0 for an unscored sample and for one alone.

    Raises:
        DataError: `rewards` and `group` are not both `[N]`.

    Example:
        >>> dr_grpo([1.0, 0.0, 0.0, 0.0], [7, 7, 7, 7])
        array([ 0.75, -0.25, -0.25, -0.25])

    Source: Liu et al. (2025), Understanding R1-Zero-Like Training, arXiv:2503.20783.
    """
    return np.nan_to_num(_centred(rewards, group)[0], nan=0.0)


def leave_one_out(rewards: ArrayLike, group: ArrayLike) -> Array:
    """Reward minus the mean reward of the other samples of the group (RLOO).

        Aᵢ = rᵢ − (1 / (n − 1)) Σ_{j ≠ i} rⱼ  =  n / (n − 1) · (rᵢ − r̄)        over the n scored samples of a group

    Args:
        rewards: `[N]`, in any unit; NaN marks a sample that could not be scored.
        group: `[N]`, the same label for responses to one prompt; any order, any size.

    Returns:
        `[N]`, in the unit of `rewards`. Sums to 0 over every group. 0 for an unscored sample and for one alone in its
        group: no baseline, no signal.

    Raises:
        DataError: `rewards` and `group` are not both `[N]`.

    Example:
        >>> leave_one_out([1.0, 0.0, 0.0], [7, 7, 7])
        array([ 1. , -0.5, -0.5])

    Note:
        verl's loop version gives a sample alone in its group its raw reward; its vectorised version and this one give 0.

    Source: Ahmadian et al. (2024), Back to Basics, arXiv:2402.14740.
    """
    centred, scored, codes = _centred(rewards, group)
    n = scored.counts[codes]
    return np.nan_to_num(centred, nan=0.0) * np.where(n > 1, n / np.maximum(n - 1, 1), 0.0)


def _centred(rewards: ArrayLike, group: ArrayLike) -> tuple[Array, Segments, Index]:
    """`[N]` rewards minus the mean of their group (NaN where unscored), the groups of the scored ones, `[N]` labels."""
    r: NDArray[Any] = np.asarray(rewards, dtype=np.float64)
    labels = np.asarray(group)
    check_shapes("N", rewards=r, group=labels)
    pieces = Segments.of(labels)
    known = np.isfinite(r)
    scored = Segments(pieces.codes[known], pieces.size)
    return np.where(known, r, np.nan) - scored.mean(r[known])[pieces.codes], scored, pieces.codes
