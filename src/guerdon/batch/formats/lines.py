"""The lines of a text file, plain or gzipped, and what is wrong with the file as a whole."""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from guerdon.errors import DataError

__all__ = ["Damaged", "numbered_lines"]

_BUFFER = 1 << 20
_GZIP = b"\x1f\x8b"
_FOREIGN = {
    _GZIP: "it is gzipped: give it a name that ends in .jsonl.gz",
    b"PAR1": "it is a Parquet file: give it a name that ends in .parquet",
    codecs.BOM_UTF16_LE: "it is UTF-16 text: save it as UTF-8",
    codecs.BOM_UTF16_BE: "it is UTF-16 text: save it as UTF-8",
}


class Damaged(Exception):
    """The file breaks off behind line `number`; the text says how."""

    def __init__(self, number: int, how: str) -> None:
        super().__init__(f"after line {number}: the gzip stream {how}")
        self.number = number


def numbered_lines(path: Path, gzipped: bool = False) -> Iterator[tuple[int, bytes]]:
    """Every line of the file with its number, from 1; the byte-order mark of UTF-8 is removed.

    Raises:
        DataError: the file is of another kind than its name says.
        Damaged: a gzip stream ends early or is corrupt; the complete lines before the damage have been given.
    """
    number = 0
    with io.BufferedReader(io.FileIO(path), _BUFFER) as file:
        try:
            for number, line in enumerate(_unzipped(path, file) if gzipped else file, 1):
                yield number, line if number > 1 else _first(path, line)
        except EOFError as error:
            raise Damaged(number, "ends early") from error
        except (zlib.error, gzip.BadGzipFile) as error:
            raise Damaged(number, f"is corrupt ({error})") from error


def _unzipped(path: Path, file: io.BufferedReader[io.FileIO]) -> BinaryIO:
    if file.peek(2)[:2] not in (_GZIP, b""):
        raise DataError(f"{path} is not a gzip file, whatever its name says")
    return io.BufferedReader(_Unzipped(gzip.GzipFile(fileobj=file, mode="rb")), _BUFFER)


class _Unzipped(io.RawIOBase):
    """Hands over what could be unzipped before it meets damage; GzipFile alone drops up to a buffer of it."""

    def __init__(self, file: gzip.GzipFile) -> None:
        self.file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        view = memoryview(buffer)
        data = self.file.read1(len(view))
        view[: len(data)] = data
        return len(data)


def _first(path: Path, line: bytes) -> bytes:
    for magic, why in _FOREIGN.items():
        if line.startswith(magic):
            raise DataError(f"{path} cannot be read as text; {why}")
    return line.removeprefix(codecs.BOM_UTF8)
