"""Atomic writes: the file is there complete, or as it was."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from os import PathLike, fspath
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from guerdon.batch.batch import Batch, missing
from guerdon.batch.formats import suffix_of
from guerdon.batch.formats.comma import CsvSink
from guerdon.batch.formats.jsonl import JsonlSink
from guerdon.batch.formats.parquet import ParquetSink
from guerdon.batch.formats.sink import Columns, Sink
from guerdon.batch.levels import as_column
from guerdon.batch.records import column_of, originals
from guerdon.errors import DataError

__all__ = ["Writer"]

_BUFFER = 1 << 20


class Writer:
    """Writes rows to a .jsonl, .jsonl.gz, .parquet or .csv file, which appears when the `with` block has ended well.

    Everything goes to a hidden file beside `path` first. If the block raises, is interrupted, or the disk
    fills up, that file is removed and what stood at `path` is untouched; `path` may be the file that is being
    read.

    Missing values and NaN among the extra columns are null in JSON and Parquet and empty in CSV. JSON has no
    NaN (null) nor infinity (1e999, which every parser reads as infinity). In CSV and in Parquet columns of
    mixed types, lists and dicts are written as JSON text, other values as Python writes them.

    Args:
        path: the file to write; its suffix says the format. Its directory must exist.
        columns: our name → name in the file, as given to `read`: columns are written under the names that
        they had.

    Raises:
        DataError: on entry, an unknown suffix or a place where nothing can be written; later, a write that
        failed.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "scored.jsonl"
        >>> with Writer(path) as out:
        ...     out.write(Batch({"response": ["2", "3"]}), {"reward": [1.0, float("nan")]})
        >>> print(path.read_text(), end="")
        {"response": "2", "reward": 1.0}
        {"response": "3", "reward": null}
    """

    def __init__(self, path: str | PathLike[str], *, columns: Mapping[str, str] | None = None) -> None:
        self.path = Path(fspath(path))
        self.columns = dict(columns or {})
        self._suffix = suffix_of(path)
        self._target = Path(os.path.realpath(self.path))
        self._parts: list[BinaryIO] = []
        self._sink: Sink | None = None
        self._broken = False

    def __enter__(self) -> Self:
        if os.path.exists(self._target) and not os.path.isfile(self._target):
            raise DataError(f"{self.path} is a directory or device; expected the name of a {self._suffix} file")
        if not os.path.isdir(self._target.parent):
            raise DataError(f"{self.path} cannot be written: there is no directory {self._target.parent}; create it")
        try:
            with self._writing():
                with suppress(FileNotFoundError):
                    os.stat(self._target)
                self._sink = self._new_sink()
        except BaseException:
            self._discard()
            raise
        return self

    def write(self, batch: Batch, extra: Mapping[str, ArrayLike] | None = None) -> None:
        """Append the rows of a batch, as the file had them, and `extra` columns, which replace any of their name.

        Raises:
            DataError: an extra column of another length than the batch; the disk is full.
        """
        added = {name: _nullable(as_column(values)) for name, values in (extra or {}).items()}
        for name, values in added.items():
            if len(values) != batch.size:
                raise DataError(f"column {name!r} has {len(values)} values for {batch.size} rows")
        self._append({**originals(batch, self.columns), **added}, batch.size)

    def write_rows(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Append rows given as dicts; a key that a row lacks is missing there."""
        names = dict.fromkeys(key for row in rows for key in row)
        self._append({name: column_of([row.get(name) for row in rows]) for name in names}, len(rows))

    def _append(self, columns: Columns, size: int) -> None:
        if self._sink is None:
            raise DataError(f"the writer of {self.path} is not open; use it in a with block")
        if size:
            with self._writing():
                self._sink.write(columns, size)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None and self._sink is not None:
                if self._broken:
                    raise DataError(f"{self.path} was not written: an earlier write had failed")
                with self._writing():
                    self._publish(self._sink)
        finally:
            self._discard()

    def _publish(self, sink: Sink) -> None:
        """Complete the hidden file and put it in its place."""
        sink.close()
        sink.file.flush()
        os.fsync(sink.file.fileno())
        sink.file.close()
        with suppress(FileNotFoundError):
            shutil.copymode(self._target, sink.file.name)
        os.replace(sink.file.name, self._target)
        with suppress(OSError):
            directory = os.open(self._target.parent, os.O_RDONLY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)

    def _discard(self) -> None:
        """Close and remove whatever was not published."""
        sink, self._sink = self._sink, None
        if sink is not None:
            with suppress(Exception):
                sink.close()
        for part in self._parts:
            with suppress(OSError):
                part.close()
            with suppress(OSError):
                os.unlink(part.name)
        self._parts.clear()

    def _new_sink(self) -> Sink:
        if self._suffix == ".parquet":
            return ParquetSink(self._new_part)
        if self._suffix == ".csv":
            return CsvSink(self._new_part)
        return JsonlSink(self._new_part, gzipped=self._suffix == ".jsonl.gz")

    def _new_part(self) -> BinaryIO:
        """A new hidden file beside the target."""
        name = f".{self._target.name[:200]}.{secrets.token_hex(4)}.part"
        part = (self._target.parent / name).open("xb", buffering=_BUFFER)
        self._parts.append(part)
        return part

    @contextmanager
    def _writing(self) -> Generator[None]:
        """Turn what the system says into a DataError, and let nothing half written be published."""
        try:
            yield
        except OSError as error:
            self._broken = True
            kept = f"the old {self.path.name} is intact" if os.path.exists(self._target) else "nothing was left behind"
            raise DataError(f"{self.path} could not be written: {error.strerror or error}; {kept}") from error
        except BaseException:
            self._broken = True
            raise


def _nullable(values: NDArray[Any]) -> NDArray[Any]:
    """The values with NaN as missing."""
    if values.dtype == object:
        return column_of([None if missing(value) else value for value in values.tolist()])
    masked: NDArray[Any] = np.ma.masked_where(np.isnan(values), values)
    return masked
