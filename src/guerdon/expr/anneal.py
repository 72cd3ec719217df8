"""Schedules in the training step `t`, a column of the batch (or `evaluate(..., t=100)`)."""

from __future__ import annotations

import math

from guerdon.errors import ExpressionError
from guerdon.expr.core import Column, Expr, Value, lift
from guerdon.expr.functions import clip, cos, exp, where

__all__ = ["cosine", "exponential", "linear", "step"]

T: Expr = Column("t")


def linear(start: float, end: float, steps: float, *, t: Value = T) -> Expr:
    """From `start` to `end` in a straight line over `steps`, then `end`.

    >>> linear(1, 0, 100)
    1 + -1 * clip(col('t') / 100, 0, 1)
    """
    return start + (end - start) * _share(t, steps)


def cosine(start: float, end: float, steps: float, *, t: Value = T) -> Expr:
    """From `start` to `end` along half a cosine over `steps`: end + (start − end)(1 + cos πt/steps)/2, then `end`."""
    return end + (start - end) / 2 * (1 + cos(math.pi * _share(t, steps)))


def exponential(start: float, steps: float, *, t: Value = T) -> Expr:
    """`start` · e^(−t/steps): the share 1/e is left after `steps`.

    >>> exponential(0.3, 500)
    0.3 * exp(-col('t') / 500)
    """
    _check(steps)
    return start * exp(-lift(t) / steps)


def step(values: tuple[float, ...], at: tuple[float, ...], *, t: Value = T) -> Expr:
    """`values[0]` before step `at[0]`, `values[1]` from there on, and so forth.

    >>> step((1, 0.1), (1000,))
    where(col('t') < 1000, 1, 0.1)
    """
    if len(values) != len(at) + 1 or list(at) != sorted(at):
        raise ExpressionError(
            f"step needs rising boundaries and one value more than boundaries, got {values!r} at {at!r}"
        )
    result = lift(values[-1])
    for value, bound in reversed(list(zip(values, at, strict=False))):
        result = where(lift(t) < bound, value, result)
    return result


def _share(t: Value, steps: float) -> Expr:
    _check(steps)
    return clip(lift(t) / steps, 0, 1)


def _check(steps: float) -> None:
    if not steps > 0:
        raise ExpressionError(f"a schedule needs a number of steps above 0, got {steps!r}")
