"""Running leaves: equal rows once, cached, in worker processes or by waiting for a remote scorer; failures as records."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
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
from guerdon.expr.show import show
from guerdon.expr.source import AsyncSource, Limits, Ragged, RowSource, Source

__all__ = ["Failure", "LeafRun", "Progress", "Runner"]

Progress = Callable[[str, int, int], object]
Score = float | Sequence[float]
FLUSH = 256
FLUSH_SECONDS = 1.0


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
    """The distinct rows a source is asked for: `items[u]` is scored once, `which[i]` says which one row i is."""

    items: list[tuple[Any, ...]]
    which: list[int]
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
        run = LeafRun(name, np.empty(0), chosen.failed, asked=len(rows), distinct=len(chosen.items))
        scores: dict[int, Score | Failed] = {}
        if isinstance(source, RowSource):
            scores = {u: done for u, item in enumerate(chosen.items) if (done := _quick(source, item)) is not None}
            run.quick = len(scores)
        open_ = [u for u in range(len(chosen.items)) if u not in scores]
        keys = self._keys(source, chosen.items, open_)
        known = self.cache.get_many(list(keys.values())) if keys else {}
        scores |= {u: known[k] for u, k in keys.items() if k in known}
        run.cached = len(known)
        open_ = [u for u in open_ if u not in scores]
        run.calls = len(open_)
        if open_:
            store = _Store(self, keys)
            report = self._reporter(name, len(open_))
            try:
                asked = {u: chosen.items[u] for u in open_}
                ask = self._workers if isinstance(source, RowSource) else self._calls
                await ask(
                    cast(Any, source),
                    asked,
                    lambda u, score: (scores.__setitem__(u, score), store(u, score), report()),
                )
            finally:
                store.flush()
        run.values, failed = _gather(source, name, self.batch.size, chosen, scores, rows)
        run.failures += failed
        return run

    def _distinct(self, source: Source, name: str, rows: Index) -> _Rows:
        columns = [self._column(column, column in source.raw) for column in source.reads()]
        texts = [(i, column) for i, column in enumerate(source.reads()) if column not in source.raw]
        number: dict[Any, int] = {}
        chosen = _Rows([], [], [])
        for row in rows.tolist():
            item = tuple(column[row] for column in columns)
            lacking = next((column for i, column in texts if item[i] is None), None)
            if lacking is not None:
                chosen.failed.append(Failure(row, name, f"{lacking} is missing"))
                chosen.which.append(-1)
                continue
            label: Any = key("", item) if source.raw else item
            u = number.setdefault(label, len(number))
            if u == len(chosen.items):
                chosen.items.append(item)
            chosen.which.append(u)
        return chosen

    def _column(self, name: str, raw: bool) -> list[Any]:
        if (name, raw) not in self._columns:
            if "." in name and name not in self.batch.columns:
                axis = self.batch.axes[name.partition(".")[0]]
                edges = np.cumsum(axis.counts)[:-1]
                values: list[Any] = [piece.tolist() for piece in np.split(self.batch[name], edges)]
            else:
                values = self.batch[name].tolist() if raw else self.batch.text(name)
            self._columns[(name, raw)] = values
        return self._columns[(name, raw)]

    def _keys(self, source: Source, items: Sequence[tuple[Any, ...]], which: Sequence[int]) -> dict[int, bytes]:
        if not which:
            return {}
        label = source.digest.hex()
        return {u: key(label, items[u]) for u in which}

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
            failures.append(Failure(row, name, "no score" if gap is None else f"{gap} is missing"))
        return failures

    async def _workers(
        self, source: RowSource, items: Mapping[int, tuple[Any, ...]], done: Callable[[int, Any], object]
    ) -> None:
        order = list(items)
        stop = Event()

        def work() -> None:
            rows = [items[u] for u in order]
            results = self.pool().map(source.score_row, rows, timeout=source.timeout, prepare=source.prepare)
            for index, value in results:
                if stop.is_set():
                    break
                done(order[index], value)

        try:
            await asyncio.to_thread(work)
        finally:
            stop.set()

    async def _calls(
        self, source: AsyncSource, items: Mapping[int, tuple[Any, ...]], done: Callable[[int, Any], object]
    ) -> None:
        limits = source.limits
        slots = asyncio.Semaphore(limits.concurrency)
        pace = _Pace(limits.per_second)

        async def call(u: int, item: tuple[Any, ...]) -> None:
            async with slots:
                done(u, await _with_retries(partial(source.score_row, *item), limits, pace))

        waiting = iter(items.items())
        running: set[asyncio.Task[None]] = set()
        try:
            while True:
                for u, item in waiting:
                    running.add(asyncio.ensure_future(call(u, item)))
                    if len(running) >= 2 * limits.concurrency:
                        break
                if not running:
                    return
                finished, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for task in finished:
                    task.result()
        finally:
            for task in running:
                task.cancel()


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
        try:
            if self.waiting:
                self.runner.cache.put_many(self.waiting)
        except DataError as error:
            self.runner.warnings.append(f"scores are kept in memory only: {error}")
        self.waiting = {}
        self.last = time.monotonic()


class _Pace:
    """Starts at most `per_second` calls a second."""

    def __init__(self, per_second: float | None) -> None:
        self.gap = 0.0 if per_second is None else 1.0 / per_second
        self.next = 0.0

    async def wait(self) -> None:
        now = time.monotonic()
        self.next = max(self.next, now) + self.gap
        if self.next - self.gap > now:
            await asyncio.sleep(self.next - self.gap - now)


async def _with_retries(call: Callable[[], Any], limits: Limits, pace: _Pace) -> Score | Failed:
    reason = ""
    for attempt in range(limits.retries + 1):
        if attempt:
            await asyncio.sleep(limits.backoff * 2 ** (attempt - 1))
        await pace.wait()
        try:
            return _number(await asyncio.wait_for(call(), limits.timeout))
        except Unscored as error:
            return Failed(str(error))
        except TimeoutError:
            reason = f"no answer within {limits.timeout:g} s"
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
    return Failed(f"{reason} ({limits.retries + 1} tries)")


def _quick(source: RowSource, item: tuple[Any, ...]) -> Score | Failed | None:
    try:
        return source.quick(*item)
    except Unscored as error:
        return Failed(str(error))
    except Exception as error:
        return Failed(f"{type(error).__name__}: {error}")


def _number(score: Any) -> Score | Failed:
    """What a source returned, as a float or a list of floats."""
    try:
        if isinstance(score, list | tuple | np.ndarray):
            return [float(v) for v in cast("Sequence[Any]", score)]
        return float(score)
    except (TypeError, ValueError):
        given = cast(Any, score)
        return Failed(f"returned {type(given).__name__} {given!r:.60} where a number was expected")


def _whole(source: Source, batch: Batch, rows: Index) -> Array | Ragged:
    part = batch if len(rows) == batch.size else batch.select(rows)
    try:
        scored = source.score(part)
    except GuerdonError:
        raise
    except Exception as error:
        error.add_note(f"while {show(source)} scored {part}")
        raise
    level = source.level
    if isinstance(scored, Ragged):
        counts = np.zeros(batch.size, np.int64)
        counts[rows] = scored.counts
        return Ragged(np.asarray(scored.values, np.float64), counts)
    values = np.asarray(scored, dtype=np.float64)
    wanted = len(part.axes[level]) if axis_level(level) and level in part.axes else part.size
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
    source: Source, name: str, size: int, chosen: _Rows, scores: Mapping[int, Any], rows: Index
) -> tuple[Array | Ragged, list[Failure]]:
    final = {u: score if isinstance(score, Failed) else _number(score) for u, score in scores.items()}
    ragged = axis_level(source.level)
    for u, score in final.items():
        if not isinstance(score, Failed) and isinstance(score, Sequence) != ragged:
            wanted = f"a list, one number per {source.level}" if ragged else "one number"
            final[u] = Failed(f"returned {score!r:.60} where {wanted} was expected")
    failures = [
        Failure(row, name, cast(Failed, final[u]).reason)
        for row, u in zip(rows.tolist(), chosen.which, strict=True)
        if u >= 0 and isinstance(final[u], Failed)
    ]
    if ragged:
        lists: list[list[float]] = [
            [] if u < 0 or isinstance(final[u], Failed) else cast("list[float]", final[u]) for u in chosen.which
        ]
        counts = np.zeros(size, np.int64)
        counts[rows] = [len(items) for items in lists]
        return Ragged(np.array([v for items in lists for v in items], dtype=np.float64), counts), failures
    table = np.array(
        [math.nan if isinstance(final[u], Failed) else final[u] for u in range(len(chosen.items))] + [math.nan]
    )
    values = np.full(size, np.nan)
    values[rows] = table[np.array(chosen.which, dtype=np.int64)]
    return values, failures
