"""Scans: functions of the values up to (or from) each position `along` an axis.

`along` is an axis (`step`, `token`, `turn`, ...), or `"group"`: the samples of a group one after another, by `order` if
given, else as they stand. Every row of an axis (every group) is a sequence of its own. NaN carries forward through
cumulative operators, so that what rests on an unscored item is unscored.
"""

from __future__ import annotations

from guerdon.errors import ExpressionError
from guerdon.expr.core import Column, Expr, Params, Value, lift, whole
from guerdon.expr.nodes import Scan

__all__ = [
    "cummax",
    "cummean",
    "cummin",
    "cumprod",
    "cumsum",
    "diff",
    "discounted",
    "first_where",
    "lag",
    "latch",
    "lead",
    "prev",
    "recur",
    "revcumsum",
]

prev: Expr = Column("prev")
"""Inside `recur`: the value at the position before."""


def _scan(op: str, x: Value, along: str, order: Value | None, params: Params = ()) -> Expr:
    return Scan(op, (lift(x),), along, None if order is None else lift(order), params)


def lag(x: Value, n: int = 1, *, along: str, fill: Value = float("nan"), order: Value | None = None) -> Expr:
    """The value `n` positions before; `fill` for the first `n`."""
    return Scan("lag", (lift(x), lift(fill)), along, None if order is None else lift(order), (("n", _steps(n)),))


def lead(x: Value, n: int = 1, *, along: str, fill: Value = float("nan"), order: Value | None = None) -> Expr:
    """The value `n` positions after; `fill` for the last `n`."""
    return Scan("lead", (lift(x), lift(fill)), along, None if order is None else lift(order), (("n", _steps(n)),))


def diff(x: Value, *, along: str, start: Value = 0.0, order: Value | None = None) -> Expr:
    """xₖ − xₖ₋₁, with `start` before the first position."""
    return lift(x) - lag(x, along=along, fill=start, order=order)


def cumsum(x: Value, *, along: str, order: Value | None = None) -> Expr:
    """x₁ + … + xₖ."""
    return _scan("cumsum", x, along, order)


def revcumsum(x: Value, *, along: str, order: Value | None = None) -> Expr:
    """xₖ + … + x_K: what is still to come, this position included."""
    return discounted(x, 1.0, along=along, order=order)


def cummean(x: Value, *, along: str, order: Value | None = None) -> Expr:
    """(x₁ + … + xₖ) / k."""
    return _scan("cummean", x, along, order)


def cummin(x: Value, *, along: str, order: Value | None = None) -> Expr:
    """min(x₁, …, xₖ)."""
    return _scan("cummin", x, along, order)


def cummax(x: Value, *, along: str, order: Value | None = None) -> Expr:
    """max(x₁, …, xₖ)."""
    return _scan("cummax", x, along, order)


def cumprod(x: Value, *, along: str, order: Value | None = None) -> Expr:
    """x₁ · … · xₖ."""
    return _scan("cumprod", x, along, order)


def discounted(x: Value, gamma: float, *, along: str, order: Value | None = None) -> Expr:
    """Return from each position: Gₖ = xₖ + γ Gₖ₊₁, with `gamma` in [0, 1]."""
    if not 0 <= gamma <= 1:
        raise ExpressionError(f"discounted: gamma lies in [0, 1], got {gamma!r}")
    return _scan("discounted", x, along, order, (("gamma", float(gamma)),))


def latch(x: Value, *, along: str, order: Value | None = None) -> Expr:
    """1 from the first position where `x` is not 0, else 0."""
    return _scan("latch", x, along, order)


def first_where(x: Value, *, along: str, order: Value | None = None) -> Expr:
    """1 at the first position where `x` is not 0, 0 everywhere else."""
    return _scan("first_where", x, along, order)


def recur(step: Value, *, init: Value, along: str, order: Value | None = None) -> Expr:
    """v₀ = init, vₖ = step with `prev` standing for vₖ₋₁.

    `step` may hold arithmetic on `prev`; whatever does not hold `prev` is computed beforehand.

    >>> from guerdon.expr import col, maximum
    >>> recur(maximum(0, prev + col("step.gain")), init=0, along="step")
    recur(maximum(0, prev + col('step.gain')), init=0, along='step')
    """
    return Scan("recur", (lift(step), lift(init)), along, None if order is None else lift(order))


def _steps(n: int) -> int:
    return whole(n, "the number of positions of lag and lead")
