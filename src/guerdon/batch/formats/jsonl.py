"""JSON Lines: one object per line."""

from __future__ import annotations

import base64
import json
import math
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast
from uuid import uuid4

import numpy as np

from guerdon.batch.formats import Record
from guerdon.batch.formats.lines import Damaged, numbered_lines
from guerdon.batch.formats.sink import Columns, rows_of

__all__ = ["JsonlSink", "json_text", "read_jsonl"]

_SPACE = " \t\r\n"
_DEPTH = 100
_GZIP = 16 + zlib.MAX_WBITS
_TOO_DEEP = f"the JSON is nested more than {_DEPTH} levels deep"
_INFINITY = f"infinity-{uuid4()}"


class _Refused(ValueError):
    """JSON as Python reads it, but not as the standard or good sense has it."""


def read_jsonl(path: Path, gzipped: bool = False) -> Iterator[Record]:
    """The objects of the file. Blank lines are skipped; of a line that cannot be read, why.

    Refused, besides what is not JSON in UTF-8: several values on a line, a value that is not an object, a key
    that occurs twice in an object, NaN and Infinity, more than 100 levels of nesting.
    """
    decode = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant).raw_decode
    try:
        for number, line in numbered_lines(path, gzipped):
            if line.isspace():
                continue
            try:
                text = line.decode().strip(_SPACE)
                value, end = decode(text)
                _check(value, text, end)
                yield number, value
            except (ValueError, RecursionError) as error:
                yield number, f"line {number}: {_reason(error)}"
    except Damaged as error:
        yield error.number + 1, str(error)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        raise _Refused(f"duplicate key {next(k for k, _ in pairs if k in seen or seen.add(k))!r}")
    return found


def _no_constant(name: str) -> Any:
    raise _Refused(f"{name} is not JSON: write null for a missing number")


def _check(value: Any, text: str, end: int) -> None:
    """Raise _Refused unless the line is one object of a depth that can be written again."""
    if end != len(text):
        raise _Refused(f"invalid JSON: more text after column {end}")
    if type(value) is not dict:
        raise _Refused(f"expected a JSON object, got {text[:40]}")
    if text.count("[") + text.count("{") > _DEPTH:
        layer: list[Any] = [value]
        for _ in range(_DEPTH):
            layer = [child for item in layer for child in _inside(item)]
        if layer:
            raise _Refused(_TOO_DEEP)


def _inside(item: Any) -> list[Any]:
    """The lists and dicts directly within one."""
    children: list[Any] = list(cast("dict[str, Any]", item).values()) if type(item) is dict else item
    return [child for child in children if type(child) in (dict, list)]


def _reason(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"invalid UTF-8 at byte {error.start + 1}"
    if isinstance(error, json.JSONDecodeError):
        return f"invalid JSON: {error.msg} at column {error.colno}"
    if isinstance(error, RecursionError):
        return _TOO_DEEP
    return str(error) if isinstance(error, _Refused) else f"invalid JSON: {error}"


def json_text(value: Any) -> str:
    """JSON that any reader accepts: NaN is null, ±infinity is ±1e999, what JSON lacks becomes text.

    >>> json_text({"a": float("nan"), "b": float("-inf"), "c": b"x"})
    '{"a": null, "b": -1e999, "c": "eA=="}'
    """
    try:
        return _encode(value)
    except ValueError:
        text = _encode(_finite(value))
        return text.replace(f'"-{_INFINITY}"', "-1e999").replace(f'"{_INFINITY}"', "1e999")


def _plain(value: Any) -> Any:
    """What to write for a value that JSON has no word for."""
    if isinstance(value, np.generic | np.ndarray):
        return cast(Any, value).tolist()
    return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)


_encode: Callable[[Any], str] = json.JSONEncoder(ensure_ascii=False, allow_nan=False, default=_plain).encode


def _finite(value: Any) -> Any:
    """The value without NaN and infinity."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in cast("dict[str, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in cast("list[Any]", value)]
    if isinstance(value, np.generic | np.ndarray):
        return _finite(cast(Any, value).tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else "-" * (value < 0) + _INFINITY
    return value


class JsonlSink:
    """Writes columns as one JSON object per line."""

    def __init__(self, new: Callable[[], BinaryIO], gzipped: bool = False) -> None:
        self.file = new()
        self._packer = zlib.compressobj(6, zlib.DEFLATED, _GZIP) if gzipped else None

    def write(self, columns: Columns, size: int) -> None:
        """Append `size` rows. A surrogate without its pair is written as its escape."""
        names = list(columns)
        for row in rows_of(columns, size):
            line = f"{json_text(dict(zip(names, row, strict=True)))}\n".encode("utf-8", "backslashreplace")
            self.file.write(line if self._packer is None else self._packer.compress(line))

    def close(self) -> None:
        """Hand over what is held back; the file stays open."""
        packer, self._packer = self._packer, None
        if packer is not None:
            self.file.write(packer.flush())
