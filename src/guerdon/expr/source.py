"""Leaves: where a signal enters a reward. To add one, subclass, name the columns, write `score`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from guerdon.errors import ExpressionError
from guerdon.expr.core import Expr

if TYPE_CHECKING:
    from guerdon.batch import Batch
    from guerdon.batch.levels import Array, Index

__all__ = ["AsyncSource", "Limits", "Ragged", "RowSource", "Source"]


class Ragged(NamedTuple):
    """What a source returns that opens an axis: `values` `[M]` flat, row after row, and `counts` `[N]` per row."""

    values: Array
    counts: Index


@dataclass(frozen=True)
class Limits:
    """How hard a remote scorer may be pressed.

    Attributes:
        concurrency: calls under way at once.
        per_second: calls started per second; None for no limit.
        retries: further tries after a failed one, with exponentially growing pauses.
        timeout: seconds for one try.
        backoff: seconds before the first further try, doubled each time.
    """

    concurrency: int = 32
    per_second: float | None = None
    retries: int = 2
    timeout: float = 60.0
    backoff: float = 0.5

    def __post_init__(self) -> None:
        paced = self.per_second is None or self.per_second > 0
        if self.concurrency < 1 or not paced or self.retries < 0 or not self.timeout > 0 or not self.backoff >= 0:
            raise ExpressionError(
                f"Limits need concurrency ≥ 1, per_second > 0 or None, retries ≥ 0, timeout > 0 and backoff ≥ 0, got {self}"
            )


class Source(Expr):
    """Scores a whole batch at once, in this process; it must be fast and safe.

    A subclass is a frozen dataclass by itself; its fields are plain values (text, numbers, bools, tuples of them): they
    are printed, compared, saved and part of the cache key.
    """

    needs: ClassVar[tuple[str, ...]] = ("response",)
    """Columns it reads."""
    raw: ClassVar[tuple[str, ...]] = ()
    """Those of them that a row source wants as stored, not as text."""
    axis: ClassVar[str] = "sample"
    """Level of its values; an axis that the batch lacks is opened by returning `Ragged`."""
    rowwise: ClassVar[bool] = True
    """Whether the score of a row depends on that row alone."""
    costly: ClassVar[bool] = False
    """Whether it is worth running only for the rows that a condition left open (row and async sources always are)."""

    def reads(self) -> tuple[str, ...]:
        """The columns this instance reads: `needs`, unless its fields name others."""
        return self.needs

    @cached_property
    def level(self) -> str:
        return self.axis

    def score(self, batch: Batch) -> Array | Ragged:
        """One number per sample `[N]` (or per item of the axis); NaN where it could not be scored."""
        raise NotImplementedError


class RowSource(Source):
    """Scores row by row. Equal rows are scored once, results are cached.

    `quick` answers in this process when it can do so cheaply and safely; what it leaves open goes to `score_row` in a
    worker process, which is killed when a row takes longer than `timeout` seconds. Raise `Unscored(reason)` for a row
    that cannot be judged; any other exception is recorded as a failure of that row.
    """

    timeout: float = field(default=10.0, compare=False, kw_only=True)

    def quick(self, *values: Any) -> float | None:
        """The score if it is cheap and safe to tell, else None."""
        return None

    def score_row(self, *values: Any) -> float | Sequence[float]:
        """The score of one row; runs in a worker process."""
        raise NotImplementedError

    def prepare(self) -> None:
        """Called once in each worker before its first row, outside the time limit: the place for slow imports."""

    def why(self, *values: Any) -> str:
        """One line for `Scores.explain`: what was compared with what."""
        return ""


class AsyncSource(Source):
    """Scores row by row by waiting for someone else: judges, remote scorers. Equal rows once, cached, retried."""

    limits: Limits = field(default=Limits(), compare=False, kw_only=True)

    async def score_row(self, *values: Any) -> float | Sequence[float]:
        """The score of one row."""
        raise NotImplementedError
