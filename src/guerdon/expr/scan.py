"""Kernels of `Scan`: functions along sequences that lie one after another in a flat array.

They run over positions (all sequences at once) or over sequences, whichever is fewer, and give the same bits either way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property

import numpy as np

from guerdon.batch.levels import Array, Index

__all__ = ["SCAN", "Sequences", "recur"]


class Sequences:
    """Flat values cut into sequences of `counts` items."""

    def __init__(self, counts: Index) -> None:
        self.counts = counts
        self.starts: Index = np.cumsum(counts) - counts
        self.longest = int(counts.max(initial=0))

    @cached_property
    def position(self) -> Index:
        """`[M]` place of each item in its sequence, from 0."""
        return np.arange(int(self.counts.sum())) - np.repeat(self.starts, self.counts)

    @property
    def few(self) -> bool:
        """Whether there are fewer sequences than positions."""
        return len(self.counts) < self.longest

    def at_positions(self) -> Iterator[Index]:
        """For position 0, 1, ...: the items there. The sequence of entry k is the same in every step."""
        longest_first = np.argsort(-self.counts, kind="stable")
        starts, counts = self.starts[longest_first], -self.counts[longest_first]
        for position in range(self.longest):
            yield starts[: np.searchsorted(counts, -position, side="left")] + position

    def slices(self) -> Iterator[slice]:
        """The items of each sequence."""
        for start, count in zip(self.starts.tolist(), self.counts.tolist(), strict=True):
            yield slice(start, start + count)


def _accumulate(x: Array, sequences: Sequences, of: np.ufunc) -> Array:
    out = np.empty_like(x)
    if sequences.few:
        for piece in sequences.slices():
            out[piece] = of.accumulate(x[piece])
        return out
    so_far: Array = np.empty(0)
    for items in sequences.at_positions():
        so_far = of(so_far[: len(items)], x[items]) if len(so_far) else x[items]
        out[items] = so_far
    return out


def _discounted(x: Array, sequences: Sequences, gamma: float) -> Array:
    out = np.empty_like(x)
    if sequences.few:
        for piece in sequences.slices():
            total, returns = 0.0, list[float]()
            for value in reversed(x[piece].tolist()):
                total = value + gamma * total
                returns.append(total)
            out[piece] = returns[::-1]
        return out
    steps = list(sequences.at_positions())
    after = np.empty(0)
    for items in reversed(steps):
        after = x[items] + gamma * np.r_[after, np.zeros(len(items) - len(after))]
        out[items] = after
    return out


def _shift(x: Array, fill: Array, sequences: Sequences, n: int) -> Array:
    place = sequences.position
    inside = place >= n if n > 0 else place - n < np.repeat(sequences.counts, sequences.counts)
    out = np.array(fill)
    out[inside] = x[np.flatnonzero(inside) - n]
    return out


def _latch(x: Array, sequences: Sequences) -> Array:
    """1 once something was true; before that, NaN once something was unknown."""
    seen = _accumulate(np.where(np.isnan(x), 0.0, x != 0), sequences, np.maximum)
    unknown = _accumulate(np.isnan(x).astype(np.float64), sequences, np.maximum)
    return np.where((seen == 0) & (unknown == 1), np.nan, seen)


def _first_where(x: Array, sequences: Sequences) -> Array:
    before = _shift(_latch(x, sequences), np.zeros_like(x), sequences, 1)
    return np.where((x == 0) | (before == 1), 0.0, np.where(np.isnan(x) | np.isnan(before), np.nan, 1.0))


def _cummax(x: Array, sequences: Sequences) -> Array:
    return _accumulate(x, sequences, np.maximum)


def _cummean(x: Array, sequences: Sequences) -> Array:
    return _accumulate(x, sequences, np.add) / (sequences.position + 1.0)


def _cummin(x: Array, sequences: Sequences) -> Array:
    return _accumulate(x, sequences, np.minimum)


def _cumprod(x: Array, sequences: Sequences) -> Array:
    return _accumulate(x, sequences, np.multiply)


def _cumsum(x: Array, sequences: Sequences) -> Array:
    return _accumulate(x, sequences, np.add)


def _lag(x: Array, fill: Array, sequences: Sequences, *, n: int) -> Array:
    return _shift(x, fill, sequences, n)


def _lead(x: Array, fill: Array, sequences: Sequences, *, n: int) -> Array:
    return _shift(x, fill, sequences, -n)


SCAN: Mapping[str, Callable[..., Array]] = {
    "cummax": _cummax,
    "cummean": _cummean,
    "cummin": _cummin,
    "cumprod": _cumprod,
    "cumsum": _cumsum,
    "discounted": _discounted,
    "first_where": _first_where,
    "lag": _lag,
    "latch": _latch,
    "lead": _lead,
}


def recur(init: Array, sequences: Sequences, step: Callable[[Array, Index], Array]) -> Array:
    """v₀ = init, vₖ = `step(vₖ₋₁, items)`: `[M]`, all sequences at once, position by position."""
    out = np.empty(int(sequences.counts.sum()))
    before: Array = np.empty(0)
    for number, items in enumerate(sequences.at_positions()):
        before = step(before[: len(items)] if number else init[items], items)
        out[items] = before
    return out
