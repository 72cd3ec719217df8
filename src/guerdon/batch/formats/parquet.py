"""Parquet: typed columns; lists and structs become Python lists and dicts."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from guerdon.batch.batch import missing
from guerdon.batch.formats import Record
from guerdon.batch.formats.comma import cell_text
from guerdon.batch.formats.sink import Columns
from guerdon.errors import DataError

__all__ = ["ParquetSink", "read_parquet"]

_ROWS = 8192
_FIELDS = 256


def read_parquet(path: Path, rows: int | None = None) -> Iterator[Record]:
    """The rows of the file as dicts, numbered from 1; times are kept to the microsecond, maps are lists of pairs.

    At most `rows` rows are in memory at a time.

    Raises:
        DataError: a file that is not Parquet, is damaged, or has two columns of one name.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        with cast(Any, pq.ParquetFile(path, pre_buffer=False)) as file:
            _check_names(path, file.schema_arrow.names)
            for part in file.iter_batches(batch_size=min(rows or _ROWS, _ROWS)):
                for row in _microseconds(part).to_pylist():
                    number += 1
                    yield number, row
    except DataError:
        raise
    except (pa.ArrowException, OSError, ValueError) as error:
        if path.stat().st_size > 0:
            reason = " ".join(str(error).split())
            raise DataError(f"{path} cannot be read as Parquet, after row {number}: {reason:.300}") from error


def _check_names(path: Path, names: Sequence[str]) -> None:
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        raise DataError(f"{path} has two columns named {twice[0]!r}; rename one of them")


def _microseconds(part: Any) -> Any:
    """The record batch with its nanosecond columns cut to what Python's times can hold."""
    import pyarrow as pa

    for i, field in enumerate(part.schema):
        if getattr(field.type, "unit", None) == "ns":
            coarser: Any = {
                pa.types.is_timestamp: pa.timestamp("us", getattr(field.type, "tz", None)),
                pa.types.is_duration: pa.duration("us"),
                pa.types.is_time: pa.time64("us"),
            }
            target = next(kind for is_kind, kind in coarser.items() if is_kind(field.type))
            part = part.set_column(i, field.name, part.column(i).cast(target, safe=False))
    return part


class ParquetSink:
    """Writes columns as Parquet, one row group per chunk.

    The type of a column follows its values. Where a later chunk needs a wider one (a number after nulls, a
    float after ints, a dict with new keys), the file is rewritten. A column whose values have no type in
    common, or none that Parquet can store (dicts without keys, ints beyond 64 bits), becomes text, see
    `cell_text`.
    """

    def __init__(self, new: Callable[[], BinaryIO]) -> None:
        self.file = new()
        self._new = new
        self._types: dict[str, Any] = {}  # the Arrow type of each column, None where it has become text
        self._writer: Any = None

    def write(self, columns: Columns, size: int) -> None:
        """Append `size` rows. A surrogate without its pair becomes a question mark."""
        natural = {name: self._learn(name, values) for name, values in columns.items()}
        nothing = np.full(size, None, dtype=object)
        arrays: list[Any] | None = None
        while arrays is None:
            try:
                if self._writer is not None and self._writer.schema != self._schema():
                    self._rewrite()
                arrays = [self._array(name, columns.get(name, nothing), natural.get(name)) for name in self._types]
            except _BecameText:
                continue
        self._writer = self._writer or self._open(self.file)
        self._append(self._writer, arrays)

    def close(self) -> None:
        """Write the footer."""
        writer, self._writer = self._writer or self._open(self.file), None
        writer.close()

    def _learn(self, name: str, values: NDArray[Any]) -> Any:
        """Widen the type of a column to take `values`; they as an Arrow array, None if they have no type."""
        import pyarrow as pa

        known = self._types.get(name, pa.null())
        array = None if known is None else _natural(values)
        self._types[name] = None if array is None else _common(known, array.type)
        return array

    def _array(self, name: str, values: NDArray[Any], natural: Any = None) -> Any:
        """The values in the type of their column."""
        import pyarrow as pa

        kind = self._types[name]
        if natural is not None and natural.type == _stored(kind):
            return natural
        try:
            return _arrow(values.tolist() if kind is not None else _texts(values.tolist()), _stored(kind))
        except (pa.ArrowException, OverflowError) as error:
            self._types[name] = None
            raise _BecameText from error

    def _schema(self) -> Any:
        import pyarrow as pa

        return pa.schema([(name, _stored(kind)) for name, kind in self._types.items()])

    def _open(self, file: BinaryIO) -> Any:
        import pyarrow.parquet as pq

        return pq.ParquetWriter(file, self._schema())

    def _append(self, writer: Any, arrays: list[Any]) -> None:
        import pyarrow as pa

        writer.write_table(pa.Table.from_arrays(arrays, schema=self._schema()))

    def _rewrite(self) -> None:
        """Start again with the types of now; on failure everything is as it was."""
        import pyarrow.parquet as pq

        self._writer.close()
        self.file.flush()
        wider = self._new()
        writer = self._open(wider)
        try:
            with cast(Any, pq.ParquetFile(self.file.name, pre_buffer=False)) as old:
                for part in old.iter_batches(batch_size=_ROWS):
                    self._append(writer, [self._old(part, name) for name in self._types])
        except BaseException:
            with suppress(Exception):
                writer.close()
            wider.close()
            os.unlink(wider.name)
            raise
        self.file.close()
        os.unlink(self.file.name)
        self.file, self._writer = wider, writer

    def _old(self, part: Any, name: str) -> Any:
        """A column of rows already written, in the type of now."""
        values = np.full(part.num_rows, None, dtype=object)
        if name in part.schema.names:
            for row, value in enumerate(part.column(name).to_pylist()):
                values[row] = value
        return self._array(name, values)


class _BecameText(Exception):
    """A value did not fit the type of its column, which is stored as text from now on."""


def _natural(values: NDArray[Any]) -> Any:
    """The values as an Arrow array of the type that they suggest, None if they suggest none."""
    import pyarrow as pa

    if values.dtype != object:
        return pa.array(values)
    items = values.tolist()
    kinds = set(map(type, items)) - {type(None)}
    if len(kinds) > 1 and kinds != {int, float}:
        return None
    try:
        return _arrow(items)
    except (pa.ArrowException, OverflowError):
        return None


def _arrow(items: list[Any], kind: Any = None) -> Any:
    import pyarrow as pa

    array: Any = pa.array
    try:
        return array(items, type=kind)
    except UnicodeEncodeError:
        return array([_paired(item) for item in items], type=kind)


def _paired(value: Any) -> Any:
    """The value with its lone surrogates replaced."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [_paired(item) for item in cast("list[Any]", value)]
    if isinstance(value, dict):
        return {_paired(key): _paired(item) for key, item in cast("dict[str, Any]", value).items()}
    return value


def _texts(items: list[Any]) -> list[str | None]:
    return [None if missing(item) else cell_text(item) for item in items]


def _common(known: Any, new: Any) -> Any:
    """The narrowest type that takes the values of both, None if there is none or Parquet cannot store it."""
    import pyarrow as pa

    try:
        both: Any = [pa.schema([("x", kind)]) for kind in (known, new)]
        kind: Any = cast(Any, pa).unify_schemas(both, promote_options="permissive").field("x").type
    except pa.ArrowException:
        return None
    return kind if _storable(kind) else None


def _storable(kind: Any) -> bool:
    import pyarrow as pa

    inner = [kind.field(i).type for i in range(kind.num_fields)]
    return not (pa.types.is_struct(kind) and not 0 < len(inner) <= _FIELDS) and all(map(_storable, inner))


def _stored(kind: Any) -> Any:
    """The type in the file: columns of nulls alone and of mixed values are text."""
    import pyarrow as pa

    return pa.string() if kind is None or pa.types.is_null(kind) else kind
