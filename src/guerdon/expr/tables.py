"""The operators as data: name → numpy function. A new operator is a line here and a function that builds its node.

Kernels get float64 arrays without gaps to fill: `APPLY` arrays of one length, `REDUCE` the values that count and their
`Segments`, `WINDOW` all values, which of them count, and the segments of all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from guerdon.batch.levels import Array, Index, Segments

__all__ = ["APPLY", "EMPTY", "REDUCE", "WINDOW"]

Mask = NDArray[np.bool_]


def _carry(compare: np.ufunc) -> Callable[[Array, Array], Array]:
    """A comparison that is NaN where either side is."""

    def function(a: Array, b: Array) -> Array:
        return np.where(np.isnan(a) | np.isnan(b), np.nan, compare(a, b))

    return function


def _and(a: Array, b: Array) -> Array:
    return np.where((a == 0) | (b == 0), 0.0, np.where(np.isnan(a) | np.isnan(b), np.nan, 1.0))


def _or(a: Array, b: Array) -> Array:
    unknown_a, unknown_b = np.isnan(a), np.isnan(b)
    true = (~unknown_a & (a != 0)) | (~unknown_b & (b != 0))
    return np.where(true, 1.0, np.where(unknown_a | unknown_b, np.nan, 0.0))


def _not(a: Array) -> Array:
    return np.where(np.isnan(a), np.nan, a == 0)


def _where(condition: Array, then: Array, otherwise: Array) -> Array:
    return np.where(np.isnan(condition), np.nan, np.where(condition != 0, then, otherwise))


def _clip(x: Array, low: Array, high: Array) -> Array:
    return np.minimum(np.maximum(x, low), high)


def _fill(x: Array, value: Array) -> Array:
    return np.where(np.isnan(x), value, x)


def _is_unscored(x: Array) -> Array:
    return np.isnan(x).astype(np.float64)


def _relu(x: Array) -> Array:
    return np.maximum(x, 0.0)


def _sigmoid(x: Array) -> Array:
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0, e) / (1.0 + e)


def _logsigmoid(x: Array) -> Array:
    return np.minimum(x, 0.0) - np.log1p(np.exp(-np.abs(x)))


def _bucket(x: Array, *, edges: tuple[float, ...]) -> Array:
    return np.where(np.isnan(x), np.nan, np.searchsorted(np.array(edges), x, side="right"))


def _channels(*parts: Array, **_: str) -> Array:
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


def _named(x: Array, *, name: str) -> Array:
    return x


APPLY: Mapping[str, Callable[..., Array]] = {
    "abs": np.abs,
    "add": np.add,
    "and": _and,
    "bucket": _bucket,
    "ceil": np.ceil,
    "channels": _channels,
    "clip": _clip,
    "cos": np.cos,
    "divide": np.divide,
    "equal": _carry(np.equal),
    "exp": np.exp,
    "expm1": np.expm1,
    "fill": _fill,
    "floor": np.floor,
    "greater": _carry(np.greater),
    "greater_equal": _carry(np.greater_equal),
    "is_unscored": _is_unscored,
    "less": _carry(np.less),
    "less_equal": _carry(np.less_equal),
    "log": np.log,
    "log1p": np.log1p,
    "logsigmoid": _logsigmoid,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "mod": np.mod,
    "multiply": np.multiply,
    "named": _named,
    "negative": np.negative,
    "not": _not,
    "not_equal": _carry(np.not_equal),
    "or": _or,
    "power": np.power,
    "relu": _relu,
    "sigmoid": _sigmoid,
    "sign": np.sign,
    "sin": np.sin,
    "sqrt": np.sqrt,
    "subtract": np.subtract,
    "tanh": np.tanh,
    "where": _where,
}


def _quantile(x: Array, pieces: Segments, place: Index, *, q: float, method: str) -> Array:
    n = pieces.counts
    if not len(x):
        return np.full(pieces.size, np.nan)
    ordered = x[pieces.sorted(x)]
    at = q * np.maximum(n - 1, 0) if method == "linear" else np.clip(np.ceil(q * n - 1e-9) - 1, 0, None)
    below = np.floor(at).astype(np.int64)
    above = np.minimum(below + 1, np.maximum(n - 1, 0))
    starts = np.minimum(pieces.starts, len(x) - 1)
    low = ordered[np.minimum(starts + below, len(x) - 1)]
    high = ordered[np.minimum(starts + above, len(x) - 1)]
    share = at - below
    return np.where((low == high) | (share == 0), low, low * (1 - share) + high * share)


def _end(x: Array, pieces: Segments, last: bool) -> Array:
    out = np.full(pieces.size, np.nan)
    filled = pieces.counts > 0
    rows = pieces.order[(pieces.starts + (pieces.counts - 1 if last else 0))[filled]]
    out[filled] = x[rows]
    return out


def _argmax(x: Array, pieces: Segments, place: Index) -> Array:
    best = pieces.extreme(x, np.maximum, np.nan)
    hits = x == best[pieces.codes]
    return Segments(pieces.codes[hits], pieces.size).extreme(place[hits].astype(np.float64), np.minimum, np.nan)


def _prod(x: Array, pieces: Segments, place: Index) -> Array:
    return pieces.extreme(x, np.multiply, 1.0)


def _logmeanexp(x: Array, pieces: Segments, place: Index) -> Array:
    top = pieces.extreme(x, np.maximum, np.nan)
    top = np.where(np.isfinite(top), top, 0.0)
    return top + np.log(pieces.sum(np.exp(x - top[pieces.codes])) / pieces.counts)


def _all(x: Array, pieces: Segments, place: Index) -> Array:
    return (pieces.sum((x == 0).astype(np.float64)) == 0).astype(np.float64)


def _any(x: Array, pieces: Segments, place: Index) -> Array:
    return (pieces.sum((x != 0).astype(np.float64)) > 0).astype(np.float64)


def _argmin(x: Array, pieces: Segments, place: Index) -> Array:
    return _argmax(-x, pieces, place)


def _count(x: Array, pieces: Segments, place: Index) -> Array:
    return pieces.counts.astype(np.float64)


def _first(x: Array, pieces: Segments, place: Index) -> Array:
    return _end(x, pieces, last=False)


def _last(x: Array, pieces: Segments, place: Index) -> Array:
    return _end(x, pieces, last=True)


def _max(x: Array, pieces: Segments, place: Index) -> Array:
    return pieces.extreme(x, np.maximum, np.nan)


def _mean(x: Array, pieces: Segments, place: Index) -> Array:
    return pieces.mean(x)


def _min(x: Array, pieces: Segments, place: Index) -> Array:
    return pieces.extreme(x, np.minimum, np.nan)


def _std(x: Array, pieces: Segments, place: Index, *, ddof: int) -> Array:
    return np.sqrt(pieces.moments(x, ddof)[1])


def _sum(x: Array, pieces: Segments, place: Index) -> Array:
    return pieces.sum(x)


def _var(x: Array, pieces: Segments, place: Index, *, ddof: int) -> Array:
    return pieces.moments(x, ddof)[1]


REDUCE: Mapping[str, Callable[..., Array]] = {
    "all": _all,
    "any": _any,
    "argmax": _argmax,
    "argmin": _argmin,
    "count": _count,
    "first": _first,
    "last": _last,
    "logmeanexp": _logmeanexp,
    "max": _max,
    "mean": _mean,
    "min": _min,
    "prod": _prod,
    "quantile": _quantile,
    "std": _std,
    "sum": _sum,
    "var": _var,
}

EMPTY: Mapping[str, float] = {"all": 1.0, "any": 0.0, "count": 0.0, "prod": 1.0, "sum": 0.0}
"""What an aggregate of nothing is; NaN for the others."""


def _rank(x: Array, counts: Mask, pieces: Segments, *, ties: str, pct: bool) -> Array:
    out = np.full(len(x), np.nan)
    chosen = np.flatnonzero(counts)
    inner = Segments(pieces.codes[chosen], pieces.size)
    order = inner.sorted(x[chosen])
    values, codes = x[chosen][order], inner.codes[order]
    place = inner.rows(order) + 1.0
    if ties != "first" and len(order):
        fresh = np.r_[True, (values[1:] != values[:-1]) | (codes[1:] != codes[:-1])]
        run = np.cumsum(fresh) - 1
        low, high = place[fresh], place[np.r_[np.flatnonzero(fresh)[1:] - 1, len(place) - 1]]
        if ties == "dense":
            before = np.cumsum(fresh) - 1
            place = before - before[inner.starts[codes]] + 1.0
        else:
            place = {"min": low, "max": high, "average": (low + high) / 2}[ties][run]
    out[chosen[order]] = place / inner.counts[codes] if pct else place
    return out


def _zscore(x: Array, counts: Mask, pieces: Segments, *, ddof: int) -> Array:
    whole = bool(counts.all())
    inner = pieces if whole else Segments(pieces.codes[counts], pieces.size)
    mean, variance = inner.moments(x if whole else x[counts], ddof)
    deviation = np.sqrt(variance)
    still = (deviation == 0) | (inner.counts <= ddof)
    return (x - pieces.spread(mean)) / pieces.spread(np.where(still, np.inf, deviation))


def _softmax(x: Array, counts: Mask, pieces: Segments, *, temperature: float) -> Array:
    out = np.full(len(x), np.nan)
    inner = Segments(pieces.codes[counts], pieces.size)
    z = x[counts] / temperature
    e = np.exp(z - inner.extreme(z, np.maximum, np.nan)[inner.codes])
    out[counts] = e / inner.sum(e)[inner.codes]
    return out


def _leave_one_out(x: Array, counts: Mask, pieces: Segments) -> Array:
    inner = Segments(pieces.codes[counts], pieces.size)
    n = inner.counts[pieces.codes] - counts
    mean = inner.mean(x[counts])[pieces.codes]
    return np.where(n == 0, np.nan, np.where(counts, mean + (mean - x) / n, mean))


WINDOW: Mapping[str, Callable[..., Array]] = {
    "leave_one_out": _leave_one_out,
    "rank": _rank,
    "softmax": _softmax,
    "zscore": _zscore,
}
