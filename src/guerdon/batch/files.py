"""Streaming reads: JSON Lines, Parquet and CSV become batches that are cut only between groups."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import islice
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np

from guerdon.batch.batch import Batch
from guerdon.batch.formats import Record, suffix_of
from guerdon.batch.formats.comma import read_csv
from guerdon.batch.formats.jsonl import read_jsonl
from guerdon.batch.formats.parquet import read_parquet
from guerdon.batch.levels import Index
from guerdon.batch.records import Shaper
from guerdon.errors import DataError, MissingColumn, suggest

__all__ = ["read", "read_all"]


def read(
    path: str | PathLike[str],
    *,
    columns: Mapping[str, str] | None = None,
    rows: int | None = 65_536,
    limit: int | None = None,
    keep_groups: str | None = "group",
) -> Iterator[Batch]:
    """Batches of about `rows` rows from a .jsonl, .jsonl.gz, .parquet or .csv file, one at a time in memory.

    Names: a column named `token.logprob` that holds lists becomes a column of axis `token`; `columns`
    renames, and `{"token.logprob": "logprobs"}` makes an axis of any column of lists. Where a renamed column
    hides one of the file's own, the batch keeps that as `file:<name>`.

    Groups: a batch ends between two groups, and grows until it does; rows of one group must stand together.
    Besides the batch, 16 bytes per group are kept, to find a group that comes back.

    Bad rows: a line that is not one JSON object in UTF-8, one with a key twice, with NaN or Infinity, a CSV
    record with more or fewer fields than the header, lists of unequal length in one axis, the place where a
    gzip stream breaks off: the row stays, with None in every column, and `Batch.problems` says "line N: ...".
    Blank lines are skipped. In CSV every value is text, an empty field is None and a quoted empty field is
    "".

    Args:
        path: the file; its suffix says the format.
        columns: our name → the name in the file.
        rows: how many rows a batch has at least, None for all in one batch.
        limit: how many rows are read at most.
        keep_groups: the column whose equal labels stay together (`prompt` if the file has no `group`); None
            cuts anywhere.

    Raises:
        DataError: no such file, an unknown suffix, an empty file, one without a single readable row, one that
            cannot be read at all, or a group that comes back after its batch has been given.
        MissingColumn: a column that `columns` or `keep_groups` names is not in the file.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "rollouts.jsonl"
        >>> _ = path.write_text('{"prompt": "1+1?", "text": "2"}\\n{"prompt": "1+1?", "text": "3"}\\n')
        >>> [batch["response"].tolist() for batch in read(path, columns={"response": "text"})]
        [['2', '3']]
    """
    for name, value in (("rows", rows), ("limit", limit)):
        if value is not None and value < 1:
            raise DataError(f"{name} must be at least 1, not {value}; leave it out to read all rows")
    suffix = suffix_of(path)
    file = Path(fspath(path))
    if not file.is_file():
        raise DataError(f"{file} {'is a directory' if file.is_dir() else 'does not exist'}; expected a {suffix} file")
    shaper = Shaper(file, columns or {}, "row" if suffix == ".parquet" else "line", suffix == ".csv")
    return _batches(file, shaper, islice(_records(file, suffix, rows), limit), rows, keep_groups)


def read_all(path: str | PathLike[str], *, columns: Mapping[str, str] | None = None, limit: int | None = None) -> Batch:
    """The whole file as one batch, its groups in any order (see `read`)."""
    return next(read(path, columns=columns, rows=None, limit=limit))


def _records(path: Path, suffix: str, rows: int | None) -> Iterator[Record]:
    if suffix == ".parquet":
        return read_parquet(path, rows)
    return read_csv(path) if suffix == ".csv" else read_jsonl(path, gzipped=suffix == ".jsonl.gz")


def _batches(
    path: Path, shaper: Shaper, records: Iterator[Record], rows: int | None, keep_groups: str | None
) -> Iterator[Batch]:
    cutter = _Cutter(path, shaper, records, rows, keep_groups)
    try:
        while chunk := cutter.next_chunk():
            batch = shaper.batch(chunk)
            chunk.clear()
            yield batch
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error


class _Cutter:
    """Cuts records into chunks that end between two groups."""

    def __init__(
        self, path: Path, shaper: Shaper, records: Iterator[Record], rows: int | None, keep_groups: str | None
    ) -> None:
        self.path = path
        self.shaper = shaper
        self.records = records
        self.rows = rows
        self.keep = keep_groups if rows is not None else None
        self._started = False
        self._key: str | None = None
        self._pending: list[Record] = []
        self._closed = _Closed()

    def next_chunk(self) -> list[Record]:
        """The next records, none at the end of the file; at least one of the first chunk is readable."""
        chunk, self._pending = self._pending, []
        chunk += islice(self.records, None if self.rows is None else self.rows - len(chunk))
        if not self._started:
            self._reach_readable(chunk)
        self.shaper.see(chunk)
        key = self._group_key()
        if self._started and key != self._key:
            raise DataError(
                f"{self.path}: column {key!r} first appears on {self.shaper.unit} {chunk[0][0]} or later, when earlier "
                "rows have been cut without it; give it to every row or read the file whole with rows=None "
                "(--batch-rows 0)"
            )
        self._started, self._key = True, key
        if chunk and key is not None:
            self.shaper.see(self._finish_group(chunk, key))
            self._close(chunk, key)
        return chunk

    def _reach_readable(self, chunk: list[Record]) -> None:
        """Lengthen the first chunk until it has a row that could be read."""
        while not any(isinstance(row, dict) for _, row in chunk):
            more = list(islice(self.records, self.rows))
            if not more:
                why = f"has no readable row; {chunk[0][1]}" if chunk else "is empty"
                raise DataError(f"{self.path} {why}")
            chunk += more

    def _group_key(self) -> str | None:
        """The column of the file whose equal values stay together."""
        if self.keep is None:
            return None
        key = self.shaper.key_of(self.keep)
        if key is None and self.keep != "group":
            known = ", ".join(self.shaper.keys)
            raise MissingColumn(
                f"{self.path} has no column {self.keep!r} to keep together; it has {known}."
                f"{suggest(self.keep, self.shaper.keys)}"
            )
        return key or self.shaper.key_of("prompt")

    def _finish_group(self, chunk: list[Record], key: str) -> list[Record]:
        """Take the rest of the group with which `chunk` ends; an unreadable row belongs to the group around it."""
        begun = len(chunk)
        label = next(_label(row, key) for _, row in reversed(chunk) if isinstance(row, dict))
        for record in self.records:
            if isinstance(record[1], dict) and _label(record[1], key) != label:
                self._pending = [record]
                break
            chunk.append(record)
        return chunk[begun:]

    def _close(self, chunk: list[Record], key: str) -> None:
        """Remember the groups of a chunk; DataError if one has been in an earlier chunk."""
        firsts: dict[str, int] = {}
        previous: Any = object()
        for number, row in chunk:
            if isinstance(row, dict):
                label = _label(row, key)
                if label != previous:
                    firsts.setdefault(label if isinstance(label, str) else f"\0{label!r}", number)
                    previous = label
        back = self._closed.add(firsts)
        if back is not None:
            label, before, now = back
            shown = label[1:] if label.startswith("\0") else repr(label)
            raise DataError(
                f"{self.path}: group {shown:.60} is on {self.shaper.unit} {before} and again on {self.shaper.unit} "
                f"{now}, after its batch was given; sort the file by group or read it whole with rows=None "
                "(--batch-rows 0)"
            )


def _label(row: Mapping[str, Any], key: str) -> Any:
    value = row.get(key)
    return None if isinstance(value, float) and math.isnan(value) else value


class _Closed:
    """The labels of groups that are over, as hashes in sorted runs: 16 bytes for each."""

    def __init__(self) -> None:
        self.runs: list[tuple[Index, Index]] = []

    def add(self, labels: Mapping[str, int]) -> tuple[str, int, int] | None:
        """Add labels with the place of each; one that was there before with its two places, if there is one."""
        if not labels:
            return None
        hashes = np.fromiter(map(hash, labels), np.int64, len(labels))
        places = np.fromiter(labels.values(), np.int64, len(labels))
        for known, first in self.runs:
            at = np.minimum(np.searchsorted(known, hashes), len(known) - 1)
            back = np.flatnonzero(known[at] == hashes)
            if len(back):
                i = int(back[0])
                return list(labels)[i], int(first[at[i]]), int(places[i])
        order = np.argsort(hashes)
        self.runs.append((hashes[order], places[order]))
        while len(self.runs) > 1 and len(self.runs[-2][0]) <= 2 * len(self.runs[-1][0]):
            merged = [np.concatenate(pair) for pair in zip(self.runs.pop(), self.runs.pop(), strict=True)]
            order = np.argsort(merged[0])
            self.runs.append((merged[0][order], merged[1][order]))
        return None
