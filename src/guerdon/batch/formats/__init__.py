"""The four file formats, each with a reader of records and a sink for columns."""

from __future__ import annotations

from os import PathLike, fspath
from pathlib import Path
from typing import Any, TypeAlias

from guerdon.errors import DataError

__all__ = ["SUFFIXES", "Record", "suffix_of"]

SUFFIXES = (".jsonl", ".jsonl.gz", ".parquet", ".csv")

# The line (or, in Parquet, the row) in the file and what stands there, or in words why it cannot be read.
Record: TypeAlias = tuple[int, dict[str, Any] | str]


def suffix_of(path: str | PathLike[str]) -> str:
    """Which of the four formats the name of a file announces; DataError for any other.

    >>> suffix_of("runs/Rollouts.JSONL.gz")
    '.jsonl.gz'
    """
    name = Path(fspath(path)).name.lower()
    for suffix in SUFFIXES:
        if name.endswith(suffix):
            return suffix
    raise DataError(f"{fspath(path)}: unknown kind of file; the name must end in one of {', '.join(SUFFIXES)}")
