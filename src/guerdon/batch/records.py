"""From the records of a file to batches, and from batches back to the columns that the file had."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from guerdon.batch.batch import Batch
from guerdon.batch.formats import Record
from guerdon.batch.levels import Axis, Index
from guerdon.errors import DataError, MissingColumn, suggest

__all__ = ["KEPT", "Shaper", "column_of", "originals"]

KEPT = "file:"
_LIST = (list, tuple, np.ndarray)
_EXACT = 2.0**53


class Shaper:
    """Makes the batches of one file alike: the columns of earlier chunks stay, and what was an axis stays one.

    A column that the file calls `answer` may be renamed to `reference`. If the file has a column `reference`
    of its own, the batch keeps that as `file:reference`, and likewise the lists behind an axis where the axis
    alone could not give them back (null, text, lists of unequal length). `originals` undoes all of it.

    Args:
        path: the file, for messages.
        columns: our name → name in the file; several names may stand for one column. A dotted name turns a
            column of lists into a column of an axis.
        unit: what the number of a record counts, "line" or "row".
        textual: all values are text (CSV), so that a list is JSON in text.
    """

    def __init__(self, path: object, columns: Mapping[str, str], unit: str, textual: bool) -> None:
        self.path = path
        self.columns = dict(columns)
        self.unit = unit
        self.textual = textual
        self.keys: dict[str, None] = {}
        self._is_axis: dict[str, bool] = {name: True for name in columns if _dotted(name)}
        reserved = [name for name in columns if name.startswith(KEPT)]
        if reserved:
            raise DataError(f"a column cannot be renamed to {reserved[0]!r}: names with {KEPT!r} are taken")

    def see(self, records: Sequence[Record]) -> None:
        """Take note of the columns of a chunk.

        Raises:
            MissingColumn: the first readable rows lack a column that is to be renamed.
        """
        first, seen = not self.keys, dict[str, Any]()
        for _, row in records:
            if type(row) is dict:
                seen.update(row)
        self.keys.update(dict.fromkeys(seen))
        absent = [(new, old) for new, old in self.columns.items() if old not in self.keys]
        if first and seen and absent:
            new, old = absent[0]
            raise MissingColumn(
                f"{self.path} has no column {old!r} to be {new!r}; it has {', '.join(self.keys)}."
                f"{suggest(old, self.keys)}"
            )

    def key_of(self, name: str) -> str | None:
        """The column of the file that the batch calls `name`."""
        own = name in self.keys and name not in self.columns.values()
        return self.columns.get(name, name if own else None)

    def batch(self, records: Sequence[Record]) -> Batch:
        """The batch of a chunk that has been seen. An unreadable row has None in every column."""
        rows = [row if isinstance(row, dict) else {} for _, row in records]
        problems = {i: row for i, (_, row) in enumerate(records) if isinstance(row, str)}
        columns: dict[str, NDArray[Any]] = {}
        axes: dict[str, dict[str, list[Any]]] = {}
        names = self._names()
        for name, key in names.items():
            values = [row.get(key) for row in rows]
            if self._opens_axis(name, values):
                axes.setdefault(name.partition(".")[0], {})[name] = values
            else:
                columns[name] = column_of(values)
        opened: dict[str, Axis] = {}
        for axis, lists in axes.items():
            opened[axis], kept, bad = _axis(lists)
            columns |= {KEPT + names[name]: column_of(lists[name]) for name in kept}
            problems |= {row: f"{self.unit} {records[row][0]}: {why}" for row, why in bad.items()}
        return Batch(columns, opened, problems, len(rows))

    def _names(self) -> dict[str, str]:
        """Our name → name in the file, in the order of the file."""
        ours: dict[str, list[str]] = {}
        for new, old in self.columns.items():
            ours.setdefault(old, []).append(new)
        names: dict[str, str] = {}
        for key in self.keys:
            own = KEPT + key if key in self.columns or key.startswith(KEPT) else key
            names |= dict.fromkeys(ours.get(key, [own]), key)
        return names

    def _opens_axis(self, name: str, values: list[Any]) -> bool:
        """Whether a column is one of an axis; settled by its first chunk with values."""
        if name not in self._is_axis and _dotted(name):
            given = [value for value in values if value is not None]
            if not given:
                return False
            self._is_axis[name] = all(map(self._is_list, given))
        return self._is_axis.get(name, False)

    def _is_list(self, value: Any) -> bool:
        return isinstance(value, _LIST) or (self.textual and value.startswith("[") and value.endswith("]"))


def originals(batch: Batch, columns: Mapping[str, str]) -> dict[str, NDArray[Any]]:
    """The columns as the file had them: its names, its values, axes as lists.

    Args:
        columns: our name → name in the file, as it was given to read the file.

    >>> batch = Batch({"reference": ["4"], "file:reference": ["four"]})
    >>> {name: values.tolist() for name, values in originals(batch, {"reference": "answer"}).items()}
    {'answer': ['4'], 'reference': ['four']}
    """
    lists: dict[str, NDArray[Any]] = {}
    for axis_name, axis in batch.axes.items():
        for column, values in axis.columns.items():
            name = f"{axis_name}.{column}"
            key = columns.get(name, name)
            rows: list[Any] = axis.lists(values)
            if KEPT + key in batch.columns:
                kept = batch.columns[KEPT + key].tolist()
                rows = [_kept(row, own) for row, own in zip(rows, kept, strict=True)]
            lists.setdefault(key, column_of(rows))
    flat: dict[str, NDArray[Any]] = {}
    for name, values in batch.columns.items():
        key = name.removeprefix(KEPT) if name.startswith(KEPT) else columns.get(name, name)
        if key not in lists:
            flat.setdefault(key, values)
    return flat | lists


def _kept(items: list[Any], own: Any) -> Any:
    """The list behind a row of an axis; a batch joined from several may have kept none (null) beside its items."""
    return items if own is None and any(item is not None for item in items) else own


def _dotted(name: str) -> bool:
    axis, _, column = name.partition(".")
    return bool(axis and column) and not name.startswith(KEPT)


def column_of(values: list[Any]) -> NDArray[Any]:
    """An array that holds exactly these values: numeric only where all are of one numeric type."""
    kinds = set(map(type, values))
    kind = kinds.pop() if len(kinds) == 1 else object
    if kind in (bool, int, float):
        try:
            return np.array(values, dtype=np.int64 if kind is int else kind)
        except OverflowError:
            pass
    return np.fromiter(values, dtype=object, count=len(values))


def _items(values: list[Any]) -> NDArray[Any]:
    """The items of an axis: ints among floats become floats if that is exact."""
    if set(map(type, values)) == {int, float}:
        floats = np.array(values, dtype=np.float64)
        if np.abs(floats).max() < _EXACT:
            return floats
    return column_of(values)


def _axis(lists: Mapping[str, list[Any]]) -> tuple[Axis, list[str], dict[int, str]]:
    """An axis from its columns: a list, or JSON text of one, per row; None is a list of missing values.

    Returns the axis, the columns that it does not hold as they were given, and what is wrong with which row.
    Such a row has no items.
    """
    kept: dict[str, None] = {}
    bad: dict[int, str] = {}
    parsed: dict[str, list[list[Any] | None]] = {}
    for name, values in lists.items():
        parsed[name] = [_as_list(value) for value in values]
        for row, (value, items) in enumerate(zip(values, parsed[name], strict=True)):
            if items is not value or items is None:
                kept[name] = None
                if items is None and value is not None:
                    bad.setdefault(row, f"{name} must hold a list, got {value!s:.40}")
    sizes = {
        name: np.array([-1 if items is None else len(items) for items in rows], np.int64)
        for name, rows in parsed.items()
    }
    counts = np.maximum(np.max(list(sizes.values()), axis=0), 0)
    uneven = np.any([(size >= 0) & (size != counts) for size in sizes.values()], axis=0)
    for row in np.flatnonzero(uneven).tolist():
        told = " and ".join(f"{name} {size[row]}" for name, size in sizes.items() if size[row] >= 0)
        bad.setdefault(row, f"the columns of one axis need lists of one length, got {told} items")
    counts[list(bad)] = 0
    if bad:
        kept = dict.fromkeys(lists)
    columns = {
        name.partition(".")[2]: _items(list(chain.from_iterable(_filled(rows, counts))))
        for name, rows in parsed.items()
    }
    return Axis.from_counts(counts, columns), list(kept), bad


def _filled(rows: list[list[Any] | None], counts: Index) -> Iterator[list[Any]]:
    for row, count in zip(rows, counts.tolist(), strict=True):
        yield [None] * count if row is None else row[:count]


def _as_list(value: Any) -> list[Any] | None:
    if isinstance(value, list):
        return cast("list[Any]", value)
    if isinstance(value, tuple | np.ndarray):
        return list(cast("Sequence[Any]", value))
    if isinstance(value, str) and value.startswith("["):
        try:
            found = json.loads(value)
        except (ValueError, RecursionError):
            return None
        return cast("list[Any]", found) if isinstance(found, list) else None
    return None
