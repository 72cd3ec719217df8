"""State: values that remember earlier batches. Nothing mutates; `Scores.state` is handed to the next `evaluate`.

scores = gd.evaluate(reward, batch, state=scores.state)
"""

from __future__ import annotations

import math

from guerdon.errors import ExpressionError
from guerdon.expr.core import Expr, Params, Value, lift, whole
from guerdon.expr.nodes import State

__all__ = ["dual", "ema", "hold", "knn", "percentile", "previous", "running_mean", "running_std"]


def _state(op: str, x: Value, name: str | None, params: Params = (), where: Value | None = None) -> Expr:
    return State(op, (lift(x),), params, name, None if where is None else lift(where))


def ema(x: Value, decay: float, *, name: str | None = None) -> Expr:
    """Exponential moving average of a batch value: m ← decay·m + (1 − decay)·x, starting at the first x.

    NaN leaves the average as it is.
    """
    if not 0 <= decay < 1:
        raise ExpressionError(f"ema: decay lies in [0, 1), got {decay!r}")
    return _state("ema", x, name, (("decay", float(decay)),))


def running_mean(x: Value, *, name: str | None = None) -> Expr:
    """Mean of every value seen so far, those of this batch included."""
    return _state("running_mean", x, name)


def running_std(x: Value, *, name: str | None = None) -> Expr:
    """Standard deviation (n in the denominator) of every value seen so far, those of this batch included."""
    return _state("running_std", x, name)


def percentile(x: Value, q: float, *, window: int = 1000, name: str | None = None) -> Expr:
    """The `q` quantile, q in [0, 1], of the last `window` values seen, those of this batch included."""
    if not 0 <= q <= 1:
        raise ExpressionError(f"percentile takes q in [0, 1], got {q!r}")
    return _state("percentile", x, name, (("q", float(q)), ("window", whole(window, "percentile: window"))))


def dual(
    gradient: Value,
    lr: float,
    *,
    init: float = 0.0,
    low: float = 0.0,
    high: float = math.inf,
    name: str | None = None,
) -> Expr:
    """A dual variable (Lagrange multiplier): λ is used in this batch, then λ ← clip(λ + lr·gradient, low, high).

    `gradient` is the amount by which a constraint is broken, e.g. `mean(cost, to="batch") - limit`. NaN leaves λ as it is.
    """
    if not low <= init <= high:
        raise ExpressionError(f"dual needs low ≤ init ≤ high, got {low!r}, {init!r}, {high!r}")
    params = (("lr", float(lr)), ("init", float(init)), ("low", float(low)), ("high", float(high)))
    return _state("dual", gradient, name, params)


def previous(x: Value, *, init: float = math.nan, name: str | None = None) -> Expr:
    """The value of `x` in the batch before; `init` in the first."""
    return _state("previous", x, name, (("init", float(init)),))


def hold(x: Value, every: int, *, name: str | None = None) -> Expr:
    """`x` as it was at the last refresh: taken anew in batch 0, `every`, 2·`every`, ... (and while it is NaN)."""
    return _state("hold", x, name, (("every", whole(every, "hold: every, a number of batches,")),))


def knn(
    x: Value,
    k: int,
    *,
    capacity: int = 1000,
    metric: str = "cosine",
    where: Value | None = None,
    name: str | None = None,
) -> Expr:
    """Mean distance of each row's vector to its `k` nearest in memory; then the rows in `where` are remembered.

    Args:
        x: a value per item of an axis with equally many items in each row (an embedding).
        capacity: how many vectors are kept; the oldest go first.
        metric: `cosine` (1 − cos, in [0, 2]) or `euclidean`.

    NaN while the memory is empty, and for rows whose vector is missing or, for `cosine`, zero.
    """
    if metric not in ("cosine", "euclidean"):
        raise ExpressionError(f"knn: metric is 'cosine' or 'euclidean', got {metric!r}")
    sizes = (("k", whole(k, "knn: k")), ("capacity", whole(capacity, "knn: capacity")))
    return _state("knn", x, name, (*sizes, ("metric", metric)), where)
