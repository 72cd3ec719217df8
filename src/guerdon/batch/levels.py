"""Where values live: batch → group → sample → axis. All index arithmetic of guerdon is in this file.

A level is an index array. `batch` has one value, `group` one per distinct group, `sample` one per row, an axis
(`token`, `step`, `turn`, `test`, ...) one per item of a ragged table under the rows. Legend of the whole library:
N samples, G groups, M items of an axis.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from guerdon.errors import DataError, LevelError

__all__ = ["Array", "Axis", "Index", "Levels", "Segments", "as_column", "codes_of", "combine"]

Array = NDArray[np.float64]
Index = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Axis:
    """A ragged table under the samples: item m belongs to row `index[m]` and is its `position[m]`-th.

    `index` `[M]` never decreases; `position` `[M]` counts from 0 in every row; `counts` `[N]` items per row.

    >>> axis = Axis.from_counts([2, 0, 1])
    >>> axis.index.tolist(), axis.position.tolist()
    ([0, 0, 2], [0, 1, 0])
    """

    counts: Index
    columns: Mapping[str, NDArray[Any]] = field(default_factory=dict[str, NDArray[Any]])

    @staticmethod
    def from_counts(counts: Sequence[int] | Index, columns: Mapping[str, Any] | None = None) -> Axis:
        """An axis with `counts[i]` items under row i; each column `[M]`, flat, in row order."""
        lengths = np.asarray(counts, dtype=np.int64)
        if lengths.ndim != 1 or (lengths < 0).any():
            raise DataError(f"counts of an axis must be a list of numbers >= 0, one per row, not {counts!r}")
        total = int(lengths.sum())
        flat = {name: as_column(values) for name, values in (columns or {}).items()}
        for name, values in flat.items():
            if len(values) != total:
                raise DataError(f"axis column {name!r} has {len(values)} values, the counts add up to {total}")
        return Axis(lengths, flat)

    @staticmethod
    def from_lists(size: int, lists: Mapping[str, Sequence[Sequence[Any] | None]]) -> Axis:
        """An axis from one list per row and column; None is an empty list.

        >>> Axis.from_lists(2, {"logprob": [[-0.1, -0.2], None]}).counts.tolist()
        [2, 0]
        """
        counts: Index | None = None
        flat: dict[str, Any] = {}
        for name, rows in lists.items():
            own = np.fromiter((0 if row is None else len(row) for row in rows), np.int64, len(rows))
            if len(own) != size or (counts is not None and not np.array_equal(own, counts)):
                row = size if counts is None or len(own) != size else int(np.argmax(own != counts))
                raise DataError(
                    f"axis column {name!r} does not line up with the other columns of its axis at row {row}: "
                    "every column needs one list per row, of one length"
                )
            counts = own
            flat[name] = [item for row in rows if row is not None for item in row]
        return Axis.from_counts(np.zeros(size, np.int64) if counts is None else counts, flat)

    @cached_property
    def index(self) -> Index:
        """`[M]` the row of each item."""
        return np.repeat(np.arange(len(self.counts)), self.counts)

    @cached_property
    def position(self) -> Index:
        """`[M]` the place of each item in its row, from 0."""
        return np.arange(len(self)) - np.repeat(np.cumsum(self.counts) - self.counts, self.counts)

    def __len__(self) -> int:
        return int(self.counts.sum())

    def items(self, rows: Index) -> Index:
        """`[K]` the items of `rows`, row by row in the order given."""
        starts = (np.cumsum(self.counts) - self.counts)[rows]
        lengths = self.counts[rows]
        return np.arange(int(lengths.sum())) + np.repeat(starts - (np.cumsum(lengths) - lengths), lengths)

    def lists(self, values: Sequence[Any] | NDArray[Any]) -> list[list[Any]]:
        """`values` `[M]` row by row, as Python lists.

        >>> Axis.from_counts([2, 0, 1]).lists([5, 6, 7])
        [[5, 6], [], [7]]
        """
        flat: list[Any] = values.tolist() if isinstance(values, np.ndarray) else list(values)
        return [flat[start:end] for start, end in pairwise([0, *np.cumsum(self.counts).tolist()])]

    def select(self, rows: Index) -> Axis:
        """The axis of the chosen rows."""
        items = self.items(rows)
        return Axis(self.counts[rows], {name: values[items] for name, values in self.columns.items()})


WIDEST = 64
ALIKE: tuple[set[type], ...] = ({bool, np.bool_}, {int, np.int64}, {float, np.float64})


def as_column(values: Any) -> NDArray[Any]:
    """`values` as a one-dimensional array: all bools, all ints or all floats keep a numeric dtype, the rest is `object`.

    Ints beside floats stay apart, so that 18 does not turn into the text "18.0".

    >>> as_column([1, 2]).dtype.kind, as_column([1, 2.5]).dtype.kind
    ('i', 'O')
    """
    if isinstance(values, np.ndarray):
        array = cast("NDArray[Any]", values)
        if array.ndim == 1 and array.dtype.kind in "biufO":
            return array
    rows: list[Any] = list(cast(Any, values))
    kinds: set[type] = {type(value) for value in rows}
    if kinds and any(kinds <= alike for alike in ALIKE):
        numeric: NDArray[Any] = np.asarray(rows)
        if numeric.dtype.kind in ("f" if kinds <= ALIKE[2] else "biu"):
            return numeric
    column = np.empty(len(rows), dtype=object)
    column[:] = rows if not kinds & {list, tuple, np.ndarray} else None
    if kinds & {list, tuple, np.ndarray}:
        for i, value in enumerate(rows):
            column[i] = value
    return column


def codes_of(values: NDArray[Any]) -> tuple[Index, int]:
    """Label every value with a number: equal values equal numbers, 0, 1, ... in order of first appearance.

    Missing values (None, NaN) share one label. Lists and dicts are compared by content.

    >>> codes_of(np.array(["b", "a", "b"], dtype=object))
    (array([0, 1, 0]), 2)
    """
    import pyarrow

    pa: Any = pyarrow
    try:
        column = pa.array(values, from_pandas=True)
        if pa.types.is_floating(column.type):  # -0.0 and 0.0 are equal
            column = pa.array(column.to_numpy(zero_copy_only=False) + 0.0, from_pandas=True)
        indices = column.dictionary_encode().indices
    except (AttributeError, pa.ArrowException, OverflowError, UnicodeEncodeError):
        number: dict[Hashable, int] = {}
        found = [number.setdefault(_key(value), len(number)) for value in values.tolist()]
        return np.array(found, np.int64), len(number)
    codes = np.asarray(indices.to_numpy(zero_copy_only=False), dtype=np.float64)
    size = int(np.nanmax(codes, initial=-1.0)) + 1
    if np.isnan(codes).any():
        return _by_appearance(np.where(np.isnan(codes), size, codes).astype(np.int64), size + 1)
    return codes.astype(np.int64), size


def _key(value: Any) -> Hashable:
    """`value` as a key of a dict: equal content, equal key; None for a missing value."""
    if isinstance(value, list | tuple | np.ndarray):
        return tuple(_key(item) for item in cast("Iterable[Any]", value))
    if isinstance(value, dict):
        return frozenset((name, _key(item)) for name, item in cast("dict[Any, Any]", value).items())
    return None if value is None or (isinstance(value, float) and value != value) else value


def _by_appearance(codes: Index, size: int) -> tuple[Index, int]:
    """Renumber labels in order of first appearance, without gaps."""
    first = np.full(size, len(codes), np.int64)
    np.minimum.at(first, codes, np.arange(len(codes)))
    order = np.argsort(first, kind="stable")
    order = order[first[order] < len(codes)]
    renamed = np.empty(size, np.int64)
    renamed[order] = np.arange(len(order))
    return renamed[codes], len(order)


def combine(parts: Sequence[tuple[Index, int]], length: int) -> tuple[Index, int]:
    """One label for every combination of labels that occurs, in order of first appearance; no parts: all equal.

    >>> combine([(np.array([0, 0, 1]), 2), (np.array([1, 0, 1]), 2)], 3)
    (array([0, 1, 2]), 3)
    """
    if not parts:
        return np.zeros(length, np.int64), 1
    codes, size = parts[0]
    for other, count in parts[1:]:
        codes, size = np.unique(codes * count + other, return_inverse=True)[1].astype(np.int64), size * count
        size = int(codes.max(initial=-1)) + 1
    return _by_appearance(codes, size) if len(parts) > 1 else (codes, size)


class Segments:
    """Rows cut into `size` pieces by label: `codes` `[M]` in `[0, size)`. Works out sort order and edges once."""

    def __init__(self, codes: Index, size: int) -> None:
        self.codes = codes
        self.size = size

    @classmethod
    def of(cls, labels: NDArray[Any]) -> Segments:
        """Pieces of equal labels.

        >>> Segments.of(np.array([7, 7, 3])).sum(np.array([1.0, 2.0, 5.0]))
        array([3., 5.])
        """
        return cls(*codes_of(np.asarray(labels)))

    @cached_property
    def counts(self) -> Index:
        """`[size]` rows in each piece."""
        return np.bincount(self.codes, minlength=self.size)

    @cached_property
    def starts(self) -> Index:
        """`[size]` where each piece begins in `order`."""
        return np.cumsum(self.counts) - self.counts

    @cached_property
    def contiguous(self) -> bool:
        """Whether rows already lie piece after piece, in the order of the labels."""
        return bool((self.codes[1:] >= self.codes[:-1]).all())

    @cached_property
    def width(self) -> int:
        """The common length of the pieces if they are contiguous, equally long and short; else 0.

        Such pieces are the columns of a table, which is several times faster than gathering by label.
        """
        width = len(self.codes) // max(self.size, 1)
        fits = 0 < width <= WIDEST and self.contiguous and bool((self.counts == width).all())
        return width if fits else 0

    @cached_property
    def order(self) -> Index:
        """`[M]` rows piece after piece, in their order within each."""
        return np.arange(len(self.codes)) if self.contiguous else np.argsort(self.codes, kind="stable")

    def sum(self, x: Array) -> Array:
        """`[size]` total per piece, added up in row order; 0 for an empty piece."""
        if self.width:
            return _across(x.reshape(-1, self.width), np.add)
        return np.bincount(self.codes, weights=x, minlength=self.size).astype(np.float64, copy=False)

    def mean(self, x: Array) -> Array:
        """`[size]` mean per piece, never outside the values of the piece; NaN for an empty piece."""
        with np.errstate(invalid="ignore", divide="ignore"):
            rough = self.sum(x) / self.counts
        return np.clip(rough, self.extreme(x, np.minimum, np.nan), self.extreme(x, np.maximum, np.nan))

    def extreme(self, x: Array, of: np.ufunc, empty: float) -> Array:
        """`[size]` `np.minimum`, `np.maximum` or `np.multiply` per piece; `empty` for a piece without rows."""
        if self.width:
            return _across(x.reshape(-1, self.width), of)
        out = np.full(self.size, empty, np.float64)
        filled = self.counts > 0
        if filled.any():
            sorted_x = x if self.contiguous else x[self.order]
            out[filled] = of.reduceat(sorted_x, self.starts[filled])
        return out

    def spread(self, values: Array) -> Array:
        """`[M]` the value of its piece for every row."""
        return np.repeat(values, self.width) if self.width else values[self.codes]

    def moments(self, x: Array, ddof: int = 0) -> tuple[Array, Array]:
        """`[size]` mean and variance Σ(x − x̄)² / (n − ddof) per piece, NaN where n ≤ ddof; equal values vary exactly 0."""
        n = self.counts
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = self.mean(x)
            deviation = x - self.spread(mean)
            return mean, np.where(n > ddof, self.sum(deviation * deviation) / (n - ddof), np.nan)

    def sorted(self, x: Array) -> Index:
        """`[M]` rows piece after piece, smallest `x` first, NaN last, ties in row order."""
        by_value = np.argsort(x, kind="stable")
        return by_value if self.size == 1 else by_value[np.argsort(self.codes[by_value], kind="stable")]

    def rows(self, ordered: Index) -> Index:
        """`[M]` the place of each row of `ordered` (piece after piece) within its piece, from 0."""
        return np.arange(len(ordered)) - np.repeat(self.starts, self.counts)


def _across(table: Array, of: np.ufunc) -> Array:
    """`[rows]` the columns of a table taken together, from left to right."""
    out = table[:, 0].copy()
    for column in table.T[1:]:
        of(out, column, out=out)
    return out


class Levels:
    """The levels of one batch: how long each is and how values travel between them."""

    def __init__(self, size: int, group: tuple[Index, int] | None, axes: Mapping[str, Axis]) -> None:
        self.rows = size
        self.group = group
        self.axes = dict(axes)

    def size(self, level: str) -> int:
        """Number of values at `level`."""
        if level == "batch":
            return 1
        if level == "group":
            return self._groups()[1]
        return self.rows if level == "sample" else len(self.axis(level))

    def axis(self, name: str) -> Axis:
        """The axis called `name`; LevelError if nothing opened it."""
        if name in self.axes:
            return self.axes[name]
        raise LevelError(
            f"this batch has no axis {name!r}; it has {', '.join(sorted(self.axes)) or 'none'}. "
            "Open one with batch.with_axis(...), guerdon.batch.with_steps(...), or a column named "
            f"'{name}.<column>' that holds lists"
        )

    def open(self, name: str, counts: Index) -> None:
        """Register an axis that a source opened; a second source must bring the same counts."""
        known = self.axes.get(name)
        if known is None:
            self.axes[name] = Axis.from_counts(counts)
        elif not np.array_equal(known.counts, counts):
            row = int(np.argmax(known.counts != counts))
            raise LevelError(
                f"two openings of axis {name!r} disagree at row {row}: {known.counts[row]} items and "
                f"{counts[row]}. Give one of the sources another axis name"
            )

    def to_sample(self, level: str) -> Index:
        """`[size(level)]` the row of each value of an axis or of the samples themselves."""
        return np.arange(self.rows) if level == "sample" else self.axis(level).index

    def spread(self, values: Array, start: str, end: str) -> Array:
        """`values` of a coarser level `start`, repeated for every value of the finer level `end`."""
        if start == end or start == "batch":
            return values if start == end else np.broadcast_to(values, (self.size(end),))
        rows = self.to_sample(end)
        return values[self._groups()[0][rows]] if start == "group" else values[rows]

    def segments(self, level: str, to: str) -> Segments:
        """The values of `level` cut into one piece per value of the coarser level `to`."""
        count = self.size(level)
        if to == "batch":
            return Segments(np.zeros(count, np.int64), 1)
        if to == level:
            return Segments(np.arange(count), count)
        rows = self.to_sample(level)
        codes = self._groups()[0][rows] if to == "group" else rows
        return Segments(codes, self.size(to))

    def _groups(self) -> tuple[Index, int]:
        if self.group is None:
            raise LevelError(
                "this batch has no groups: add a column `group` (one label per prompt) or `prompt` (equal "
                "prompts form a group); for files: --column group=<name in the file>"
            )
        return self.group
