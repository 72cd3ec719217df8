"""Aggregates: many values become one (`to=`), or one that is repeated for every member (`over=`).

    mean(x, to="sample")                    test → sample: one value per sample
    mean(x, over="group")                   every sample gets the mean of its group
    mean(x, over=("group", "test"))         every test gets the mean over the group's samples at the same position
    mean(x, over="group", where=correct)    only correct samples count; everyone gets the value
    sum(w, over=("group", answer))          keys may be expressions: samples of a group that agree on `answer`

Keys of `over=`: `"batch"`, `"group"`, `"sample"` (for values on an axis), the name of the axis (equal position), a column,
or an expression. Missing values (NaN) and values outside `where=` do not count. Where nobody counts the result is
`empty=`, NaN unless given (`sum` 0, `count` 0, `any` 0, `all` 1, `prod` 1; these too NaN, `count` apart, where a source
failed to say whether anything counts).
"""

from __future__ import annotations

from guerdon.errors import ExpressionError
from guerdon.expr.core import Expr, Params, Value, condition, lift, whole
from guerdon.expr.nodes import Reduce, Window

__all__ = [
    "all",
    "any",
    "argmax",
    "argmin",
    "count",
    "first",
    "last",
    "leave_one_out",
    "logmeanexp",
    "max",
    "mean",
    "median",
    "min",
    "prod",
    "quantile",
    "rank",
    "softmax",
    "std",
    "sum",
    "var",
    "zscore",
]

Over = str | Expr | tuple[str | Expr, ...]


def _aggregate(
    op: str,
    x: Value,
    to: str | None,
    over: Over | None,
    where: Value | None,
    empty: float | None,
    params: Params = (),
) -> Expr:
    if (to is None) == (over is None):
        raise ExpressionError(
            f"{op} needs exactly one of to= and over=: {op}(x, to='sample') gives one value per sample, "
            f"{op}(x, over='group') repeats the group's value for every member."
            + (f" For two values write {op}imum(a, b)." if op in ("min", "max") else "")
        )
    mask = None if where is None else condition(where)
    number = None if empty is None else float(empty)
    if over is None:
        return Reduce(op, lift(x), str(to), mask, number, params)
    keys = tuple(over) if isinstance(over, tuple | list) else (over,)
    return Window(op, lift(x), keys, mask, number, params)


def mean(
    x: Value,
    *,
    to: str | None = None,
    over: Over | None = None,
    where: Value | None = None,
    empty: float | None = None,
) -> Expr:
    """Arithmetic mean.

    >>> mean(lift(1) * 0, to="nowhere")
    Traceback (most recent call last):
    ...
    guerdon.errors.LevelError: mean can reduce to 'sample', 'group' or 'batch', not to 'nowhere'; over='nowhere' keeps one value per row
    """
    return _aggregate("mean", x, to, over, where, empty)


def sum(
    x: Value,
    *,
    to: str | None = None,
    over: Over | None = None,
    where: Value | None = None,
    empty: float | None = None,
) -> Expr:
    """Total; 0 where nothing counts."""
    return _aggregate("sum", x, to, over, where, empty)


def prod(
    x: Value,
    *,
    to: str | None = None,
    over: Over | None = None,
    where: Value | None = None,
    empty: float | None = None,
) -> Expr:
    """Product; 1 where nothing counts."""
    return _aggregate("prod", x, to, over, where, empty)


def min(
    x: Value,
    *,
    to: str | None = None,
    over: Over | None = None,
    where: Value | None = None,
    empty: float | None = None,
) -> Expr:
    """Smallest value. For the smaller of two values write `minimum(a, b)`."""
    return _aggregate("min", x, to, over, where, empty)


def max(
    x: Value,
    *,
    to: str | None = None,
    over: Over | None = None,
    where: Value | None = None,
    empty: float | None = None,
) -> Expr:
    """Largest value. For the larger of two values write `maximum(a, b)`."""
    return _aggregate("max", x, to, over, where, empty)


def std(
    x: Value,
    *,
    to: str | None = None,
    over: Over | None = None,
    where: Value | None = None,
    empty: float | None = None,
    ddof: int = 0,
) -> Expr:
    """Standard deviation √(Σ(x − x̄)² / (n − ddof)); exactly 0 for equal values, NaN where n ≤ ddof."""
    return _aggregate("std", x, to, over, where, empty, (("ddof", whole(ddof, "ddof", 0)),))


def var(
    x: Value,
    *,
    to: str | None = None,
    over: Over | None = None,
    where: Value | None = None,
    empty: float | None = None,
    ddof: int = 0,
) -> Expr:
    """Variance Σ(x − x̄)² / (n − ddof); exactly 0 for equal values, NaN where n ≤ ddof."""
    return _aggregate("var", x, to, over, where, empty, (("ddof", whole(ddof, "ddof", 0)),))


def median(
    x: Value,
    *,
    to: str | None = None,
    over: Over | None = None,
    where: Value | None = None,
    empty: float | None = None,
) -> Expr:
    """Middle value; the mean of the two middle ones for an even number."""
    return _aggregate("quantile", x, to, over, where, empty, (("q", 0.5), ("method", "linear")))


def quantile(
    x: Value,
    q: float,
    *,
    to: str | None = None,
    over: Over | None = None,
    where: Value | None = None,
    empty: float | None = None,
    method: str = "linear",
) -> Expr:
    """The value below which a share `q` in [0, 1] lies.

    `method="linear"` interpolates between neighbours; `"inverted_cdf"` is the smallest value x with
    (number of values ≤ x) / n ≥ q.
    """
    if not 0 <= q <= 1 or method not in ("linear", "inverted_cdf"):
        raise ExpressionError(
            f"quantile takes q in [0, 1] and method 'linear' or 'inverted_cdf', got {q!r}, {method!r}"
        )
    return _aggregate("quantile", x, to, over, where, empty, (("q", float(q)), ("method", method)))


def count(
    x: Value,
    *,
    to: str | None = None,
    over: Over | None = None,
    where: Value | None = None,
    empty: float | None = None,
) -> Expr:
    """How many values there are, NaN left out. Count true ones with `sum(condition)` or `count(x, where=condition)`."""
    return _aggregate("count", x, to, over, where, empty)


def any(
    x: Value,
    *,
    to: str | None = None,
    over: Over | None = None,
    where: Value | None = None,
    empty: float | None = None,
) -> Expr:
    """1 if some value is not 0, else 0."""
    return _aggregate("any", x, to, over, where, empty)


def all(
    x: Value,
    *,
    to: str | None = None,
    over: Over | None = None,
    where: Value | None = None,
    empty: float | None = None,
) -> Expr:
    """1 if no value is 0, else 0."""
    return _aggregate("all", x, to, over, where, empty)


def first(
    x: Value,
    *,
    to: str | None = None,
    over: Over | None = None,
    where: Value | None = None,
    empty: float | None = None,
) -> Expr:
    """The first value in row order."""
    return _aggregate("first", x, to, over, where, empty)


def last(
    x: Value,
    *,
    to: str | None = None,
    over: Over | None = None,
    where: Value | None = None,
    empty: float | None = None,
) -> Expr:
    """The last value in row order."""
    return _aggregate("last", x, to, over, where, empty)


def argmax(
    x: Value,
    *,
    to: str | None = None,
    over: Over | None = None,
    where: Value | None = None,
    empty: float | None = None,
) -> Expr:
    """The place (from 0, in row order, all members counted) of the first largest value.

    `argmax(x > 0, to="sample", where=x > 0)` is the place of the first positive step.
    """
    return _aggregate("argmax", x, to, over, where, empty)


def argmin(
    x: Value,
    *,
    to: str | None = None,
    over: Over | None = None,
    where: Value | None = None,
    empty: float | None = None,
) -> Expr:
    """The place (from 0, in row order, all members counted) of the first smallest value."""
    return _aggregate("argmin", x, to, over, where, empty)


def logmeanexp(
    x: Value,
    *,
    to: str | None = None,
    over: Over | None = None,
    where: Value | None = None,
    empty: float | None = None,
) -> Expr:
    """log((1/n) Σ eˣ), without overflow."""
    return _aggregate("logmeanexp", x, to, over, where, empty)


def rank(x: Value, *, over: Over, where: Value | None = None, ties: str = "average", pct: bool = False) -> Expr:
    """Place in rising order from 1, or as a share of the members counted with `pct`; NaN for values that do not count.

    Args:
        ties: what equal values get: `average`, `min`, `max` of their places, `dense` (no gaps) or `first` (row order).
    """
    if ties not in ("average", "min", "max", "dense", "first"):
        raise ExpressionError(f"rank: ties is 'average', 'min', 'max', 'dense' or 'first', got {ties!r}")
    return _aggregate("rank", x, None, over, where, None, (("ties", ties), ("pct", pct)))


def zscore(x: Value, *, over: Over, where: Value | None = None, ddof: int = 0) -> Expr:
    """(x − x̄) / std with mean and deviation of the members in `where`; 0 where the deviation is 0.

    A member outside `where` is measured against those inside; NaN where nobody counts.
    """
    return _aggregate("zscore", x, None, over, where, None, (("ddof", whole(ddof, "ddof", 0)),))


def softmax(x: Value, *, over: Over, where: Value | None = None, temperature: float = 1.0) -> Expr:
    """e^(x/τ) / Σ e^(x/τ) over the members that count; NaN for the others."""
    if not temperature > 0:
        raise ExpressionError(f"softmax: temperature must be above 0, got {temperature!r}")
    return _aggregate("softmax", x, None, over, where, None, (("temperature", float(temperature)),))


def leave_one_out(x: Value, *, over: Over, where: Value | None = None, empty: float | None = None) -> Expr:
    """Mean of the *other* members that count; `empty` (NaN) where there is no other."""
    return _aggregate("leave_one_out", x, None, over, where, empty)
