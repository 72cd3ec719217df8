"""Running leaves: equal rows once, cached, in worker processes or by waiting for a remote scorer; failures as records."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Event
from typing import Any, cast

import numpy as np

from guerdon.batch import Batch
from guerdon.batch.batch import missing
from guerdon.batch.levels import Array, Index
from guerdon.errors import DataError, GuerdonError, Unscored
from guerdon.expr.cache import Cache, key
from guerdon.expr.core import axis_level
from guerdon.expr.pool import Failed, Pool
from guerdon.expr.remote import ask
from guerdon.expr.show import show
from guerdon.expr.source import AsyncSource, Ragged, RowSource, Source

__all__ = ["Failure", "LeafRun", "Progress", "Runner", "cells"]

Progress = Callable[[str, int, int], object]
Score = float | Sequence[float]
FLUSH = 256
FLUSH_SECONDS = 1.0
NO_SCORE = "no score"


@dataclass(frozen=True)
class Failure:
    """One row that a source could not score."""

    row: int
    source: str
    reason: str


@dataclass
class LeafRun:
    """What running one leaf gave, and what it took."""

    name: str
    values: Array | Ragged
    failures: list[Failure] = field(default_factory=list["Failure"])
    asked: int = 0
    distinct: int = 0
    cached: int = 0
    quick: int = 0
    calls: int = 0
    seconds: float = 0.0


@dataclass
class _Rows:
    """The distinct rows a source is asked for: `items[u]` is scored once; row `rows[i]` is item `which[i]`."""

    items: list[tuple[Any, ...]]
    rows: Index
    which: Index
    failed: list[Failure]


@dataclass
class Runner:
    """Runs the leaves of one evaluation."""

    batch: Batch
    cache: Cache
    pool: Callable[[], Pool]
    progress: Progress | None = None
    warnings: list[str] = field(default_factory=list[str])
    _columns: dict[tuple[str, bool], list[Any]] = field(default_factory=dict[tuple[str, bool], list[Any]])

    async def run(self, source: Source, name: str, rows: Index) -> LeafRun:
        """Score `rows` of the batch; the others are NaN (an opened axis has no items there)."""
        started = time.perf_counter()
        if isinstance(source, RowSource | AsyncSource):
            run = await self._by_row(source, name, rows)
        else:
            run = LeafRun(name, _whole(source, self.batch, rows), asked=len(rows), distinct=len(rows), calls=1)
            run.failures = self._unscored(source, name, rows, run.values)
        run.seconds = time.perf_counter() - started
        return run

    async def _by_row(self, source: RowSource | AsyncSource, name: str, rows: Index) -> LeafRun:
        chosen = self._distinct(source, name, rows)
        scores = _quick(source, chosen.items) if isinstance(source, RowSource) else [None] * len(chosen.items)
        open_ = [u for u, score in enumerate(scores) if score is None]
        run = LeafRun(name, np.empty(0), asked=len(rows), distinct=len(chosen.items), quick=len(scores) - len(open_))
        if open_:
            await self._ask(source, run, chosen.items, scores, open_)
        run.values, failed = _gather(source, name, self.batch.size, chosen, scores)
        run.failures = chosen.failed + failed
        return run

    async def _ask(
        self,
        source: RowSource | AsyncSource,
        run: LeafRun,
        items: list[tuple[Any, ...]],
        scores: list[Any],
        open_: list[int],
    ) -> None:
        """Fill in `scores[u]` for the items in `open_`: from the cache, else from workers or remote calls."""
        label = source.digest.hex()
        keys = {u: key(label, items[u]) for u in open_}
        known = self.cache.get_many(list(keys.values()))
        for u in open_:
            score = known.get(keys[u])
            scores[u] = score if score is None else _checked(source, score)
        asked = {u: items[u] for u in open_ if scores[u] is None}
        run.cached, run.calls = len(open_) - len(asked), len(asked)
        store = _Store(self, keys)
        report = self._reporter(run.name, len(asked))

        def done(u: int, score: Any) -> None:
            scores[u] = score if isinstance(score, Failed) else _checked(source, score)
            store(u, scores[u])
            report()

        try:
            await (self._workers(source, asked, done) if isinstance(source, RowSource) else ask(source, asked, done))
        finally:
            store.flush()

    def _distinct(self, source: Source, name: str, rows: Index) -> _Rows:
        """Equal rows once; a row without a text that the source needs fails here."""
        reads = source.reads()
        columns = [self._column(column, column in source.raw) for column in reads]
        if len(rows) != self.batch.size:
            columns = [[column[row] for row in rows.tolist()] for column in columns]
        failed: dict[int, Failure] = {}
        for column, values in zip(reads, columns, strict=True):
            if column not in source.raw and None in values:
                gaps = [i for i, value in enumerate(values) if value is None and i not in failed]
                failed |= {i: Failure(int(rows[i]), name, f"{column} is missing") for i in gaps}
        if failed:
            kept = [i for i in range(len(rows)) if i not in failed]
            columns, rows = [[values[i] for i in kept] for values in columns], rows[kept]
        pairs: list[tuple[Any, ...]] = list(zip(*columns, strict=True)) if columns else [()] * len(rows)
        labels: list[Any] = pairs
        refused: list[Failure] = []
        if source.raw or any("." in column for column in reads):
            labels = [_label(pair) for pair in pairs]
            fit = [i for i, label in enumerate(labels) if isinstance(label, bytes)]
            if len(fit) < len(labels):
                unfit = ((int(row), label) for row, label in zip(rows, labels, strict=True))
                refused = [Failure(row, name, label) for row, label in unfit if isinstance(label, str)]
                pairs, labels, rows = [pairs[i] for i in fit], [labels[i] for i in fit], rows[fit]
        item_of = dict(zip(labels, pairs, strict=True))
        number = {label: u for u, label in enumerate(item_of)}
        which = np.fromiter(map(number.__getitem__, labels), np.int64, len(labels))
        return _Rows(list(item_of.values()), rows, which, [*failed.values(), *refused])

    def _column(self, name: str, raw: bool) -> list[Any]:
        if (name, raw) not in self._columns:
            self._columns[(name, raw)] = cells(self.batch, name, raw)
        return self._columns[(name, raw)]

    def _reporter(self, name: str, total: int) -> Callable[[], None]:
        done = 0

        def report() -> None:
            nonlocal done
            done += 1
            if self.progress is not None:
                self.progress(name, done, total)

        return report

    def _unscored(self, source: Source, name: str, rows: Index, values: Array | Ragged) -> list[Failure]:
        if isinstance(values, Ragged) or axis_level(source.level):
            return []
        failures: list[Failure] = []
        for row in rows[np.isnan(values[rows])].tolist():
            gaps = (c for c in source.reads() if c in self.batch.columns and missing(self.batch[c][row]))
            gap = next(gaps, None)
            failures.append(Failure(row, name, NO_SCORE if gap is None else f"{gap} is missing"))
        return failures

    async def _workers(
        self, source: RowSource, items: Mapping[int, tuple[Any, ...]], done: Callable[[int, Any], object]
    ) -> None:
        order = list(items)
        stop = Event()

        def work() -> None:
            rows = [items[u] for u in order]
            results = self.pool().map(source.score_row, rows, timeout=source.timeout, prepare=source.prepare, stop=stop)
            for index, value in results:
                done(order[index], value)

        try:
            await asyncio.to_thread(work)
        finally:
            stop.set()


class _Store:
    """Hands scores to the cache in portions, so that an interrupted run loses at most the last second."""

    def __init__(self, runner: Runner, keys: Mapping[int, bytes]) -> None:
        self.runner = runner
        self.keys = keys
        self.waiting: dict[bytes, Score] = {}
        self.last = time.monotonic()

    def __call__(self, u: int, score: Score | Failed) -> None:
        if not isinstance(score, Failed):
            self.waiting[self.keys[u]] = score
        if len(self.waiting) >= FLUSH or time.monotonic() - self.last > FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        known, self.waiting = self.waiting, {}
        try:
            if known:
                self.runner.cache.put_many(known)
        except DataError as error:
            self.runner.warnings.append(f"scores are kept in memory only: {error}")
        self.last = time.monotonic()


def cells(batch: Batch, name: str, raw: bool) -> list[Any]:
    """What a row source gets of column `name`, row by row: text, the value as stored, or the list of an axis column."""
    if "." in name and name not in batch.columns:
        return batch.axes[name.partition(".")[0]].lists(batch[name])
    return batch[name].tolist() if raw else batch.text(name)


def _label(pair: tuple[Any, ...]) -> bytes | str:
    """Bytes that are equal for equal cells, lists and dicts included; text that says why there are none."""
    try:
        return key("", pair)
    except DataError as error:
        return str(error)


def _quick(source: RowSource, items: list[tuple[Any, ...]]) -> list[Any]:
    """What the source says at once: a score, `Failed`, or None for what it leaves open."""
    if type(source).quick is RowSource.quick:
        return [None] * len(items)
    scores: list[Any] = []
    for item in items:
        try:
            scores.append(source.quick(*item))
        except Unscored as error:
            scores.append(Failed(str(error) or "unscored"))
        except Exception as error:
            scores.append(Failed(f"{type(error).__name__}: {error}"))
    if set(map(type, scores)) <= {float, type(None)} and not axis_level(source.level):
        return scores
    return [s if s is None or isinstance(s, Failed) else _checked(source, s) for s in scores]


def _checked(source: Source, score: Any) -> Score | Failed:
    """What a source returned as a float, or as a list of floats where it opens an axis."""
    try:
        if axis_level(source.level):
            if isinstance(score, list | tuple) or getattr(score, "ndim", 0) == 1:
                return [_number(value) for value in cast("Sequence[Any]", score)]
        elif not math.isnan(value := _number(score)):
            return value
        else:
            return Failed(NO_SCORE)
    except Exception:  # of whatever object it is
        pass
    wanted = f"a list, one number per {source.level}" if axis_level(source.level) else "one number"
    given = cast(Any, score)
    return Failed(f"returned {type(given).__name__} {given!r:.60} where {wanted} was expected")


def _number(value: Any) -> float:
    if isinstance(value, str | bytes):
        raise TypeError("text is no number, not even if it looks like one")
    return float(value)


def _whole(source: Source, batch: Batch, rows: Index) -> Array | Ragged:
    part = batch if len(rows) == batch.size else batch.select(rows)
    try:
        scored = source.score(part)
        values = np.asarray(scored.values if isinstance(scored, Ragged) else scored, dtype=np.float64)
    except GuerdonError:
        raise
    except Exception as error:
        error.add_note(f"while {show(source)} scored {part}")
        raise
    level = source.level
    if isinstance(scored, Ragged):
        lengths = np.asarray(scored.counts)
        if lengths.shape != (part.size,) or (lengths < 0).any() or values.shape != (lengths.sum(),):
            raise DataError(
                f"{show(source)} returned Ragged with {list(values.shape)} values and counts {lengths.tolist()!r:.60}: "
                f"expected a count >= 0 for each of {part.size} rows, and as many values as they add up to"
            )
        counts = np.zeros(batch.size, np.int64)
        counts[rows] = lengths
        return Ragged(values, counts)
    if axis_level(level) and level not in part.axes:
        raise DataError(f"{show(source)} has values per {level}, which the batch lacks: open it by returning Ragged")
    wanted = len(part.axes[level]) if axis_level(level) else part.size
    if values.shape != (wanted,):
        raise DataError(
            f"{show(source)} returned an array of shape {list(values.shape)}, expected [{wanted}]: one value per {level}"
        )
    if part is batch:
        return values
    items = batch.axes[level].items(rows) if axis_level(level) else rows
    full = np.full(len(batch.axes[level]) if axis_level(level) else batch.size, np.nan)
    full[items] = values
    return full


def _gather(
    source: Source, name: str, size: int, chosen: _Rows, scores: list[Any]
) -> tuple[Array | Ragged, list[Failure]]:
    """Scores of the distinct items, dealt out to the rows; a record for every row whose item failed."""
    reasons = {u: score.reason for u, score in enumerate(scores) if type(score) is Failed}
    ragged = axis_level(source.level)
    table = np.empty(0)
    if not ragged:
        table = np.array([math.nan if u in reasons else score for u, score in enumerate(scores)], dtype=np.float64)
        reasons |= {u: NO_SCORE for u in np.flatnonzero(np.isnan(table)).tolist() if u not in reasons}
    failures: list[Failure] = []
    if reasons:
        hit = np.isin(chosen.which, list(reasons))
        pairs = zip(chosen.rows[hit].tolist(), chosen.which[hit].tolist(), strict=True)
        failures = [Failure(row, name, reasons[u]) for row, u in pairs]
    if ragged:
        lists: list[list[float]] = [[] if u in reasons else scores[u] for u in chosen.which.tolist()]
        counts = np.zeros(size, np.int64)
        counts[chosen.rows] = [len(items) for items in lists]
        return Ragged(np.array([v for items in lists for v in items], dtype=np.float64), counts), failures
    values = np.full(size, np.nan)
    values[chosen.rows] = table[chosen.which]
    return values, failures
