"""The table of samples that every reward is evaluated on."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from os import PathLike
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from guerdon.batch.levels import Array, Axis, Index, Levels, as_column, codes_of
from guerdon.errors import DataError, MissingColumn, suggest

__all__ = ["Batch", "missing", "text_of"]


class Batch:
    """An immutable table: one row per response, columns by name, ragged axes under the rows.

    Standard columns are `prompt` (text or a list of `{"role", "content"}`), `response`, `reference`, `group` (one label
    per prompt; without it, equal prompts form a group), `user` and the training step `t`; any other column may be
    added. A dotted name, `token.logprob`, is a column of an axis. None and NaN are missing values.

    Args:
        columns: name → `[N]` values. Numbers and bools keep a numeric dtype, everything else is kept as it is.
        axes: name → Axis.
        problems: row → why it could not be read. Such a row is never scored: its reward is NaN, with that reason.
        size: N, needed only when there is no column.

    Raises:
        DataError: columns, axes and problems that do not agree on the number of rows.

    Example:
        >>> batch = Batch({"prompt": ["1+1?", "1+1?"], "response": ["2", "3"]})
        >>> len(batch), batch["response"][1]
        (2, '3')
    """

    def __init__(
        self,
        columns: Mapping[str, ArrayLike],
        axes: Mapping[str, Axis] | None = None,
        problems: Mapping[int, str] | None = None,
        size: int | None = None,
    ) -> None:
        self.columns: dict[str, NDArray[Any]] = {name: as_column(values) for name, values in columns.items()}
        self.axes: dict[str, Axis] = dict(axes or {})
        self.problems: dict[int, str] = dict(problems or {})
        lengths = {name: len(values) for name, values in self.columns.items()}
        lengths |= {f"axis {name}": len(axis.counts) for name, axis in self.axes.items()}
        self.size: int = next(iter(lengths.values()), 0) if size is None else size
        if any(length != self.size for length in lengths.values()):
            given = ", ".join(f"{name} {length}" for name, length in lengths.items())
            raise DataError(f"every column and axis needs one entry per row ({self.size} rows), got {given}")
        if any(not 0 <= row < self.size for row in self.problems):
            raise DataError(f"problems name rows outside 0..{self.size - 1}: {sorted(self.problems)}")

    def __len__(self) -> int:
        return self.size

    def __repr__(self) -> str:
        axes = "".join(f", {name}: {len(axis)} items" for name, axis in self.axes.items())
        return f"Batch({self.size} rows: {', '.join(self.columns) or 'no columns'}{axes})"

    @property
    def names(self) -> list[str]:
        """Every column, those of axes dotted."""
        return [*self.columns, *(f"{axis}.{c}" for axis in self.axes for c in self.axes[axis].columns)]

    def __contains__(self, name: str) -> bool:
        return name in self.columns or name in self.names

    def __getitem__(self, name: str) -> NDArray[Any]:
        """The column `[N]`, or `[M]` for a dotted name; MissingColumn names the nearest one there is."""
        if name in self.columns:
            return self.columns[name]
        axis, _, column = name.partition(".")
        if axis in self.axes and column in self.axes[axis].columns:
            return self.axes[axis].columns[column]
        raise MissingColumn(
            f"there is no column {name!r}; the batch has {', '.join(self.names) or 'none'}."
            f"{suggest(name, self.names)} Rename with batch.rename({{'{name}': '<its name>'}}) or, for files, "
            f"--column {name}=<its name>"
        )

    def text(self, name: str) -> list[str | None]:
        """The column as text, None where missing.

        Numbers are written as Python writes them (18 → "18"). A list of chat messages becomes the content of its last
        message in a completion (`prompt` apart, where all messages are joined as "role: content" lines).

        >>> Batch({"reference": [18, None]}).text("reference")
        ['18', None]
        """
        whole = name == "prompt"
        return [value if type(value) is str else text_of(value, whole) for value in self[name].tolist()]

    def numbers(self, name: str) -> Array:
        """The column as float64: bools are 0 and 1, numeric text is parsed, everything else is NaN.

        >>> Batch({"score": [True, "2.5", None, "n/a"]}).numbers("score")
        array([1. , 2.5, nan, nan])
        """
        values = self[name]
        if values.dtype != object:
            return values.astype(np.float64)
        return np.fromiter((_number(value) for value in values.tolist()), np.float64, len(values))

    def codes(self, name: str) -> tuple[Index, int]:
        """`[N]` one number per distinct value of the column and how many there are."""
        if name == "group":
            return self._group_codes
        if name not in self._codes:
            self._codes[name] = codes_of(self[name])
        return self._codes[name]

    @cached_property
    def _codes(self) -> dict[str, tuple[Index, int]]:
        return {}

    @cached_property
    def _group_codes(self) -> tuple[Index, int]:
        return codes_of(self["group" if "group" in self.columns or "prompt" not in self.columns else "prompt"])

    def levels(self) -> Levels:
        """The level arithmetic of this batch."""
        grouped = "group" in self.columns or "prompt" in self.columns
        return Levels(self.size, self._group_codes if grouped else None, self.axes)

    def select(self, rows: ArrayLike) -> Batch:
        """The chosen rows, in the order given: row numbers from 0, or a `[N]` bool mask."""
        chosen = np.asarray(rows)
        if chosen.dtype == bool and len(chosen) != self.size:
            raise DataError(f"a mask needs one entry per row ({self.size} rows), got {len(chosen)}")
        chosen = np.flatnonzero(chosen) if chosen.dtype == bool else chosen.astype(np.int64)
        if len(chosen) and not 0 <= chosen.min() <= chosen.max() < self.size:
            raise DataError(f"rows lie in 0..{self.size - 1}, got {chosen.min()}..{chosen.max()}")
        problems: dict[int, str] = {}
        if self.problems:
            problems = {i: self.problems[row] for i, row in enumerate(chosen.tolist()) if row in self.problems}
        return Batch(
            {name: values[chosen] for name, values in self.columns.items()},
            {name: axis.select(chosen) for name, axis in self.axes.items()},
            problems,
            len(chosen),
        )

    @staticmethod
    def concat(batches: Sequence[Batch]) -> Batch:
        """The rows of `batches` one after another; a column or axis that one of them lacks is missing there."""
        names = dict.fromkeys(name for batch in batches for name in batch.columns)
        axes = dict.fromkeys(name for batch in batches for name in batch.axes)
        offsets = np.cumsum([0, *(batch.size for batch in batches)]).tolist()
        problems = {
            row + start: reason
            for batch, start in zip(batches, offsets, strict=False)
            for row, reason in batch.problems.items()
        }
        columns = {name: _join([b.columns.get(name, _nothing(b.size)) for b in batches]) for name in names}
        joined = {name: _join_axes([(b.axes.get(name), b.size) for b in batches]) for name in axes}
        return Batch(columns, joined, problems, offsets[-1])

    def with_columns(self, columns: Mapping[str, ArrayLike]) -> Batch:
        """The same rows with columns added or replaced."""
        return Batch({**self.columns, **columns}, self.axes, self.problems, self.size)

    def with_axis(self, name: str, axis: Axis) -> Batch:
        """The same rows with an axis added or replaced."""
        return Batch(self.columns, {**self.axes, name: axis}, self.problems, self.size)

    def rename(self, names: Mapping[str, str]) -> Batch:
        """Columns of the samples under other names, `{new: old}`; a column whose name is taken over is dropped.

        A dotted new name makes a column of lists a column of that axis.

        >>> Batch({"answer": ["2"]}).rename({"reference": "answer"})
        Batch(1 rows: reference)
        """
        for old in names.values():
            if self[old] is not self.columns.get(old):
                raise DataError(f"rename works on columns of the samples, {old!r} is a column of an axis")
        columns = {new: self.columns[old] for old, news in _renamed(self.columns, names) for new in news}
        dotted = {name: columns.pop(name).tolist() for name in names if "." in name}
        flat, opened = _opened(dotted, self.size)
        for axis in opened:
            if axis in self.axes:
                raise DataError(
                    f"the batch already has an axis {axis!r}: put all its columns in by batch.with_axis(...)"
                )
        return Batch({**columns, **flat}, {**self.axes, **opened}, self.problems, self.size)

    @staticmethod
    def from_records(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str] | None = None) -> Batch:
        """A batch from dicts; a key that a row lacks is missing there.

        Keys with a dot and list values, or renamed to a dotted name, become columns of an axis.

        Args:
            rows: one dict per sample.
            columns: our name → the name in the rows.

        >>> Batch.from_records([{"a": 1, "token.logprob": [-0.1, -0.2]}], {"response": "a"})
        Batch(1 rows: response, token: 2 items)
        """
        keys = dict.fromkeys(key for row in rows for key in row)
        absent = [old for old in (columns or {}).values() if old not in keys]
        if absent and rows:
            raise MissingColumn(
                f"there is no column {absent[0]!r}; the rows have {', '.join(keys) or 'none'}.{suggest(absent[0], keys)}"
            )
        named = {name: key for key, names in _renamed(keys, columns or {}) for name in names}
        flat, axes = _opened({name: [row.get(key) for row in rows] for name, key in named.items()}, len(rows))
        return Batch(flat, axes, size=len(rows))

    @staticmethod
    def from_files(*paths: str | PathLike[str], columns: Mapping[str, str] | None = None) -> Batch:
        """The rows of .jsonl, .jsonl.gz, .parquet or .csv files, one file after another (see `guerdon.read_all`).

        Raises:
            DataError, MissingColumn: a file that cannot be used as given.
        """
        from guerdon.batch.files import read_all

        return Batch.concat([read_all(path, columns=columns) for path in paths])

    def records(self) -> list[dict[str, Any]]:
        """One dict per row, axis columns as lists under their dotted names."""
        columns: dict[str, Sequence[Any]] = {name: values.tolist() for name, values in self.columns.items()}
        for axis_name, axis in self.axes.items():
            columns |= {f"{axis_name}.{name}": axis.lists(values) for name, values in axis.columns.items()}
        return [dict(zip(columns, row, strict=True)) for row in _rows(columns, self.size)]


def _renamed(names: Iterable[str], renames: Mapping[str, str]) -> Iterator[tuple[str, list[str]]]:
    """Every name with what it is called after `renames` (`{new: old}`): nothing, if another one takes its place."""
    for name in names:
        news = [new for new, old in renames.items() if old == name]
        yield name, news or ([] if name in renames else [name])


def _opened(columns: Mapping[str, list[Any]], size: int) -> tuple[dict[str, list[Any]], dict[str, Axis]]:
    """Columns of the samples, and the axes that columns of lists under dotted names make."""
    flat: dict[str, list[Any]] = {}
    lists: dict[str, dict[str, list[Any]]] = {}
    for name, values in columns.items():
        axis, _, column = name.partition(".")
        if column and all(value is None or isinstance(value, list | tuple | np.ndarray) for value in values):
            lists.setdefault(axis, {})[column] = values
        else:
            flat[name] = values
    return flat, {axis: Axis.from_lists(size, inside) for axis, inside in lists.items()}


def missing(value: Any) -> bool:
    """Whether a cell holds no value: None or NaN."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def text_of(value: Any, whole: bool = False) -> str | None:
    """One cell as text (see `Batch.text`); `whole` joins all chat messages instead of taking the last.

    >>> text_of([{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}])
    'hello'
    """
    if isinstance(value, str):
        return value
    if missing(value):
        return None
    if isinstance(value, tuple | np.ndarray):
        value = list(cast("Iterable[Any]", value))
    if (
        isinstance(value, list)
        and value
        and all(isinstance(m, dict) and "content" in m for m in cast("list[Any]", value))
    ):
        messages = cast("list[dict[str, Any]]", value)
        if whole:
            return "\n".join(f"{m.get('role', 'user')}: {_content(m['content'])}" for m in messages)
        return _content(messages[-1]["content"])
    return str(cast(Any, value))


def _content(content: Any) -> str:
    """The text of a chat message: a string, or a list of parts of which the text ones count."""
    if isinstance(content, list):
        parts = cast("list[Any]", content)
        return "".join(str(part.get("text") or "") if isinstance(part, dict) else str(part) for part in parts)  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
    return "" if content is None else str(content)


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def _nothing(size: int) -> NDArray[Any]:
    return np.full(size, None, dtype=object)


def _join(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    filled = [part for part in parts if len(part)] or list(parts[:1])
    alike = len({part.dtype.kind for part in filled}) == 1
    return np.concatenate(filled if alike else [part.astype(object) for part in filled])


def _join_axes(parts: Sequence[tuple[Axis | None, int]]) -> Axis:
    full = [Axis(np.zeros(size, np.int64)) if axis is None else axis for axis, size in parts]
    names = dict.fromkeys(name for axis in full for name in axis.columns)
    columns = {name: _join([axis.columns.get(name, _nothing(len(axis))) for axis in full]) for name in names}
    return Axis(np.concatenate([axis.counts for axis in full]), columns)


def _rows(columns: Mapping[str, Sequence[Any]], size: int) -> Iterator[tuple[Any, ...]]:
    return zip(*columns.values(), strict=True) if columns else iter([()] * size)
