"""What the sinks of all formats share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO, Protocol, TypeAlias

from numpy.typing import NDArray

__all__ = ["Columns", "Sink", "rows_of"]

# Name → one value per row; None and masked values are missing.
Columns: TypeAlias = Mapping[str, NDArray[Any]]


class Sink(Protocol):
    """Takes columns, chunk by chunk, and writes them to `file`, which it may replace by a new one.

    A sink is made from a function that opens a new, empty file. It never closes `file`.
    """

    file: BinaryIO

    def write(self, columns: Columns, size: int) -> None:
        """Append `size` rows; columns may be new or absent."""
        ...

    def close(self) -> None:
        """Complete the file."""
        ...


def rows_of(columns: Columns, size: int) -> Iterator[tuple[Any, ...]]:
    """The rows as tuples of Python values."""
    return zip(*(values.tolist() for values in columns.values()), strict=True) if columns else iter([()] * size)
