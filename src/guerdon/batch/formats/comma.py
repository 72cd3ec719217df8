"""Comma-separated values: every value is text, an empty field is missing, a quoted empty field is the text ""."""

from __future__ import annotations

import math
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np

from guerdon.batch.formats import Record
from guerdon.batch.formats.jsonl import json_text
from guerdon.batch.formats.lines import numbered_lines
from guerdon.batch.formats.sink import Columns, rows_of
from guerdon.errors import DataError

__all__ = ["CsvSink", "cell_text", "read_csv"]

_Fields: TypeAlias = list[str | None]
_Lines: TypeAlias = Iterator[tuple[int, bytes]]

_QUOTED = re.compile(r'([^"]*+(?:""[^"]*+)*+)("?)')
_SPECIAL = re.compile(r'[",\r\n]')
_LONGEST = 1 << 28


class _Malformed(ValueError):
    """A record that breaks the rules of the format."""


def read_csv(path: Path) -> Iterator[Record]:
    """The records below the header, as dicts of text. Blank lines are skipped.

    A quoted field may hold commas, line ends and doubled quotes. Of a record that has more or fewer fields
    than the header, is not UTF-8 or has text behind a closing quote: why.

    Raises:
        DataError: a header that cannot be read or names a column twice; a quoted field of more than 256 MB.
    """
    records = _records(path, numbered_lines(path))
    _, header = next(records, (0, None))
    if header is None:
        return
    if isinstance(header, str):
        raise DataError(f"{path}: the header cannot be read: {header}")
    names = [name or "" for name in header]
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        raise DataError(f"{path} has two columns named {twice[0]!r}; rename one of them in its header")
    for number, fields in records:
        if isinstance(fields, str):
            yield number, fields
        elif len(fields) != len(names):
            yield number, f"line {number}: expected {len(names)} fields, as in the header, got {len(fields)}"
        else:
            yield number, dict(zip(names, fields, strict=True))


def _records(path: Path, lines: _Lines) -> Iterator[tuple[int, _Fields | str]]:
    """The fields of each record, or what is wrong with it, and the number of its first line."""
    for number, line in lines:
        if line.isspace():
            continue
        try:
            fields = _split(line.decode("utf-8", "surrogateescape"), lines)
            _check_text(fields)
            yield number, fields
        except _Malformed as error:
            yield number, f"line {number}: {error}"
        except OverflowError as error:
            raise DataError(
                f"{path}: the quoted field that begins on line {number} is longer than {_LONGEST >> 20} MB; "
                "is its closing quote missing?"
            ) from error


def _split(text: str, lines: _Lines) -> _Fields:
    """The fields of the record that begins with line `text`; quoted fields take further lines as they need."""
    if '"' not in text:
        return [field or None for field in text.rstrip("\r\n").split(",")]
    fields: _Fields = []
    at = -1
    while at < 0 or text.startswith(",", at):
        at += 1
        if text.startswith('"', at):
            field, text, at = _quoted(text, at + 1, lines)
            fields.append(field)
        else:
            comma = text.find(",", at)
            end = comma if comma >= 0 else len(text.rstrip("\r\n"))
            fields.append(text[at:end] or None)
            at = end
    if text[at:] not in ("", "\n", "\r\n"):
        raise _Malformed(f"there is text behind the closing quote of field {len(fields)}; double the quotes in a field")
    return fields


def _quoted(text: str, at: int, lines: _Lines) -> tuple[str, str, int]:
    """A quoted field whose inside begins at `at`, the line on which it ends, and the place behind its end."""
    parts: list[str] = []
    length = 0
    while True:
        match = _QUOTED.match(text, at)
        assert match is not None
        parts.append(match[1])
        length += len(match[1])
        if match[2]:
            return "".join(parts).replace('""', '"'), text, match.end()
        if length > _LONGEST:
            raise OverflowError
        _, line = next(lines, (0, None))
        if line is None:
            raise _Malformed("a quoted field is never closed; everything behind its quote is lost")
        text, at = line.decode("utf-8", "surrogateescape"), 0


def _check_text(fields: Iterable[str | None]) -> None:
    for column, field in enumerate(fields, 1):
        if field and not field.isascii():
            try:
                field.encode()
            except UnicodeEncodeError as error:
                raise _Malformed(f"field {column} is invalid UTF-8") from error


def cell_text(value: Any) -> str:
    """A value as the text of one cell: text as it is, lists and dicts as JSON, anything else as Python writes it.

    >>> [cell_text(value) for value in ("a", 18, [1, None], {"b": True})]
    ['a', '18', '[1, null]', '{"b": true}']
    """
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple | dict | np.ndarray | bytes):
        return json_text(value).strip('"')
    return str(value)


def _field(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    text = cell_text(value)
    return '"' + text.replace('"', '""') + '"' if not text or _SPECIAL.search(text) else text


def _line(row: Iterable[Any]) -> bytes:
    """One record; a lone missing value is quoted, for a blank line is no record."""
    text = ",".join(map(_field, row)) or '""'
    return f"{text}\n".encode("utf-8", "replace")


class CsvSink:
    """Writes columns as comma-separated values; a new column rewrites the file."""

    def __init__(self, new: Callable[[], BinaryIO]) -> None:
        self.file = new()
        self._new = new
        self._names: list[str] = []

    def write(self, columns: Columns, size: int) -> None:
        """Append `size` rows. A surrogate without its pair becomes a question mark."""
        added = [name for name in columns if name not in self._names]
        if added:
            self._widen(added)
        nothing = np.full(size, None, dtype=object)
        for row in rows_of({name: columns.get(name, nothing) for name in self._names}, size):
            self.file.write(_line(row))

    def close(self) -> None:
        """Nothing is held back."""

    def _widen(self, added: list[str]) -> None:
        """Start again with a longer header, the old rows padded."""
        old, padding = self.file, [None] * len(added)
        if self._names:
            old.flush()
            self.file = self._new()
        self._names += added
        self.file.write(_line(self._names))
        if self.file is not old:
            path = Path(old.name)
            records = _records(path, numbered_lines(path))
            next(records)
            for _, fields in records:
                self.file.write(_line([*fields, *padding]))
            old.close()
            os.unlink(path)
