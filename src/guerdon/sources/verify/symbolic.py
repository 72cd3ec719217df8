"""Whether two answers are the same mathematics, told by math-verify. Slow, and may hang: for worker processes only."""

from __future__ import annotations

import logging
import warnings
from functools import lru_cache
from typing import Any

__all__ = ["same"]


def same(given: str, wanted: str) -> bool:
    """Whether math-verify, with its defaults and without its time limits, takes `given` for the answer `wanted`.

    >>> same("1 + x", "x + 1"), same("x + 2", "x + 1")
    (True, False)
    """
    import math_verify

    for name in ("math_verify", "latex2sympy2_extended"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return bool(math_verify.verify(_parsed(wanted), _parsed.__wrapped__(given), timeout_seconds=0))


@lru_cache(1024)
def _parsed(text: str) -> list[Any]:
    import math_verify

    return list(math_verify.parse(f"\\boxed{{{text}}}", parsing_timeout=0))  # pyright: ignore[reportUnknownArgumentType]
