"""The third pass: leaves by stage, then arithmetic. Sync and async callers run the same coroutine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from guerdon.batch import Batch
from guerdon.batch.batch import missing
from guerdon.batch.levels import Array, Axis, Index
from guerdon.errors import DataError, LevelError, ScoringError
from guerdon.expr.cache import Cache, MemoryCache
from guerdon.expr.compute import Arithmetic
from guerdon.expr.core import Column, Expr, View, axis_level
from guerdon.expr.plan import Condition, Leaf, Plan, check, plan
from guerdon.expr.pool import shared_pool
from guerdon.expr.run import Failure, LeafRun, Progress, Runner
from guerdon.expr.scores import Scores
from guerdon.expr.source import AsyncSource, Ragged, RowSource, Source
from guerdon.expr.state import Memory

__all__ = ["evaluate", "evaluate_async"]

Rows = NDArray[np.bool_]


def evaluate(
    expr: Expr | Plan,
    batch: Batch,
    *,
    state: Mapping[str, Memory] | None = None,
    t: float | None = None,
    cache: Cache | None = None,
    workers: int | None = None,
    on_error: str = "nan",
    progress: Progress | None = None,
) -> Scores:
    """Score a batch.

    Args:
        expr: the reward, or its plan (planning once pays when many batches are scored).
        batch: the samples.
        state: `Scores.state` of the batch before, for rewards that remember.
        t: training step for schedules; fills column `t`.
        cache: scores of earlier runs by content (`guerdon.open_cache(path)`); without it, nothing outlives the call.
        workers: worker processes for row sources; None for one per core.
        on_error: `nan` keeps unscored rows as NaN with a failure record; `raise` ends with a ScoringError if there are any.
        progress: called as `progress(source, done, total)` while leaves run.

    Returns:
        Scores: `values` `[N]`, NaN where a row could not be scored, `parts`, `failures`, the new `state`.

    Raises:
        MissingColumn, LevelError: the batch lacks what the reward reads; nothing has been run.
        ScoringError: rows failed under `on_error="raise"`.

    Example:
        >>> from guerdon.expr import col, mean
        >>> batch = Batch({"group": [1, 1, 2], "score": [1.0, 0.0, 5.0]})
        >>> evaluate(col("score") - mean(col("score"), over="group"), batch).values
        array([ 0.5, -0.5,  0. ])
    """
    box: list[Scores] = []
    under_way: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[None]]] = []

    async def fill_box() -> None:
        under_way.append((asyncio.get_running_loop(), cast("asyncio.Task[None]", asyncio.current_task())))
        box.append(
            await evaluate_async(
                expr, batch, state=state, t=t, cache=cache, workers=workers, on_error=on_error, progress=progress
            )
        )

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(fill_box())
    else:
        with ThreadPoolExecutor(1) as thread:
            try:
                thread.submit(asyncio.run, fill_box()).result()
            except KeyboardInterrupt:  # it reaches this thread alone: end the other one too
                for loop, task in under_way:
                    with suppress(RuntimeError):  # over in the meantime
                        loop.call_soon_threadsafe(task.cancel)
                raise
    return box[0]


async def evaluate_async(
    expr: Expr | Plan,
    batch: Batch,
    *,
    state: Mapping[str, Memory] | None = None,
    t: float | None = None,
    cache: Cache | None = None,
    workers: int | None = None,
    on_error: str = "nan",
    progress: Progress | None = None,
) -> Scores:
    """`evaluate` for callers inside an event loop."""
    if on_error not in ("nan", "raise"):
        raise DataError(f"on_error is 'nan' or 'raise', got {on_error!r}")
    planned = expr if isinstance(expr, Plan) else plan(expr)
    if t is not None:
        batch = batch.with_columns({"t": np.full(batch.size, float(t))})
    check(planned, batch)
    runner = Runner(batch, MemoryCache() if cache is None else cache, lambda: shared_pool(workers), progress)
    arithmetic = Arithmetic(batch, batch.levels(), state or {})
    runs = await _leaves(planned, arithmetic, runner)
    scores = _collect(planned, arithmetic, runs)
    scores.warnings.extend(dict.fromkeys(runner.warnings))
    if on_error == "raise" and scores.failures:
        first = scores.failures[0]
        rows = len({failure.row for failure in scores.failures})
        raise ScoringError(
            f"{rows} of {batch.size} rows could not be scored; row {first.row}, {first.source}: {first.reason}"
        )
    return scores


async def _leaves(planned: Plan, arithmetic: Arithmetic, runner: Runner) -> list[LeafRun]:
    """Run every leaf, stage by stage, and put the values into `arithmetic`."""
    readable = np.ones(runner.batch.size, dtype=bool)
    readable[list(runner.batch.problems)] = False
    runs: list[LeafRun] = []
    openings: dict[str, list[_Opening]] = {}
    for stage in planned.stages:
        wanted = [np.flatnonzero(readable & _needed(leaf, arithmetic)) for leaf in stage]
        done = await _all([_run(leaf, rows, arithmetic, runner) for leaf, rows in zip(stage, wanted, strict=True)])
        for leaf, rows, run in zip(stage, wanted, done, strict=True):
            if isinstance(run.values, Ragged):
                opening = _Opening(leaf.node, run, run.values, _answered(run, rows, runner.batch.size))
                openings.setdefault(leaf.node.level, []).append(opening)
            else:
                arithmetic.values[leaf.node] = run.values
        for level, opened in openings.items():
            _lay_out(level, opened, arithmetic)
        runs += done
    return runs


async def _all(work: Iterable[Coroutine[Any, Any, LeafRun]]) -> list[LeafRun]:
    """Wait for all; if one fails, or the caller gives up, none goes on alone."""
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        return await asyncio.gather(*tasks)
    except (Exception, asyncio.CancelledError):
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


def _run(leaf: Leaf, rows: Index, arithmetic: Arithmetic, runner: Runner) -> Coroutine[Any, Any, LeafRun]:
    if isinstance(leaf.node, View):
        return _view(leaf.node, leaf.name, rows, arithmetic, runner)
    return runner.run(leaf.node, leaf.name, rows)


@dataclass
class _Opening:
    """What a leaf gave that has a list for every row: `answered` `[N]` says for which rows it did."""

    node: Source | View
    run: LeafRun
    given: Ragged
    answered: Rows


def _answered(run: LeafRun, rows: Index, size: int) -> Rows:
    answered = np.zeros(size, dtype=bool)
    answered[rows] = True
    answered[[failure.row for failure in run.failures]] = False
    return answered


def _lay_out(level: str, openings: Iterable[_Opening], arithmetic: Arithmetic) -> None:
    """One axis for all leaves that give lists of `level`; NaN where one has nothing to say.

    A row for which all of them failed, or were not asked, has one unscored item: nothing is known of it, which is not
    the same as an empty list.
    """
    known = arithmetic.batch.axes.get(level)
    counts = np.full(arithmetic.levels.rows, -1) if known is None else known.counts
    for opening in openings:
        _refuse_other_counts(level, opening, counts)
        counts = np.where(opening.answered & (counts < 0), opening.given.counts, counts)
    counts = np.where(counts < 0, 1, counts)
    if level in arithmetic.levels.axes and not np.array_equal(arithmetic.levels.axes[level].counts, counts):
        del arithmetic.levels.axes[level]
        arithmetic.forget()
    arithmetic.levels.open(level, counts)
    axis = arithmetic.levels.axis(level)
    for opening in openings:
        rows = np.flatnonzero(opening.answered)
        values = np.full(len(axis), np.nan)
        values[axis.items(rows)] = opening.given.values[Axis.from_counts(opening.given.counts).items(rows)]
        arithmetic.values[opening.node] = values


def _refuse_other_counts(level: str, opening: _Opening, counts: Index) -> None:
    """A row with another number of items than its axis has: a failure of that row; an error of a whole-batch source."""
    off = np.flatnonzero(opening.answered & (counts >= 0) & (opening.given.counts != counts))
    for row in off.tolist():
        reason = (
            f"gave {opening.given.counts[row]} values, {level!r} has {counts[row]} items in this row; "
            "a source that opens an axis of its own needs another name for it"
        )
        if not isinstance(opening.node, RowSource | AsyncSource):
            raise LevelError(f"{opening.node}, row {row}: {reason}")
        opening.run.failures.append(Failure(row, opening.run.name, reason))
    opening.answered[off] = False


def _needed(leaf: Leaf, arithmetic: Arithmetic) -> Rows:
    """`[N]` the rows for which any demand on the leaf holds."""
    size = arithmetic.levels.rows
    needed = np.zeros(size, dtype=bool)
    for demand in leaf.demands:
        rows = np.ones(size, dtype=bool)
        for condition in demand:
            rows &= _holds(condition, arithmetic)
        needed |= rows
    return needed


def _holds(condition: Condition, arithmetic: Arithmetic) -> Rows:
    """`[N]` where the condition has the truth asked for; on an axis, where any item has."""
    expr, truth = condition
    values = arithmetic.value(expr)
    unknown = np.isnan(values)
    holds = {
        "true": ~unknown & (values != 0),
        "false": ~unknown & (values == 0),
        "not false": unknown | (values != 0),
        "not true": unknown | (values == 0),
        "unscored": unknown,
    }[truth]
    if axis_level(expr.level):
        any_item = np.zeros(arithmetic.levels.rows, dtype=bool)
        any_item[arithmetic.levels.axis(expr.level).index[holds]] = True
        return any_item
    return arithmetic.levels.spread(holds.astype(np.float64), expr.level, "sample") > 0


async def _view(view: View, name: str, rows: Index, arithmetic: Arithmetic, runner: Runner) -> LeafRun:
    """Evaluate the inside of a view on edited rows and average them per parent."""
    started = time.perf_counter()
    batch, planned = runner.batch, plan(view.arg)
    used = {node.level for node in planned.nodes} | {
        name.partition(".")[0] for name in (*planned.columns, *view.edit.reads())
    }
    axes = {name: axis for name, axis in batch.axes.items() if name in used}
    part = Batch(batch.columns, axes, batch.problems, batch.size).select(rows)
    derived = await asyncio.to_thread(view.edit.apply, part)
    inner = Runner(derived.batch, runner.cache, runner.pool, runner.progress, runner.warnings)
    inside = Arithmetic(derived.batch, derived.batch.levels(), arithmetic.before)
    check(planned, derived.batch)
    inner_runs = await _leaves(planned, inside, inner)
    values = inside.at(view.arg, "sample")
    at_axis = axis_level(view.level)
    axis = batch.axes[view.level] if at_axis else None
    parents = axis.items(rows) if axis is not None else rows
    size = len(axis) if axis is not None else batch.size
    scored = ~np.isnan(values)
    owner = parents[derived.parent]
    counts = np.bincount(owner[scored], minlength=size)
    totals = np.bincount(owner[scored], weights=values[scored], minlength=size)
    arithmetic.after |= {key: memory for key, memory in inside.after.items() if memory is not inside.before.get(key)}
    with np.errstate(invalid="ignore"):
        run = LeafRun(name, totals / counts, asked=len(rows), distinct=derived.batch.size)
    row_of = axis.index if axis is not None else np.arange(batch.size)
    for row, reason in derived.batch.problems.items():
        run.failures.append(Failure(int(row_of[owner[row]]), name, reason))
    for inner_run in inner_runs:
        run.calls += inner_run.calls
        run.cached += inner_run.cached
        run.quick += inner_run.quick
        for failure in inner_run.failures:
            row = int(row_of[owner[failure.row]])
            run.failures.append(Failure(row, name, f"on an edited row: {failure.source}: {failure.reason}"))
    run.seconds = time.perf_counter() - started
    return run


def _collect(planned: Plan, arithmetic: Arithmetic, runs: Iterable[LeafRun]) -> Scores:
    batch, expr = arithmetic.batch, planned.expr
    values = np.array(arithmetic.value(expr))
    level = expr.level
    if not axis_level(level):
        values, level = np.array(arithmetic.levels.spread(values, level, "sample")), "sample"
    row_of = arithmetic.levels.to_sample(level)
    values[np.isin(row_of, list(batch.problems))] = np.nan
    failures = [Failure(row, "file", reason) for row, reason in sorted(batch.problems.items())]
    failures += [failure for run in runs for failure in run.failures]
    for i in np.flatnonzero(np.isinf(values)).tolist():
        failures.append(Failure(int(row_of[i]), "reward", "the value is infinite: guard the division or logarithm"))
    values[np.isinf(values)] = np.nan
    failures += _unexplained(planned, arithmetic, values, row_of, {failure.row for failure in failures})
    parts: dict[str, Array] = {}
    items: dict[str, Array] = {}
    for name, node in planned.names.items():
        part = arithmetic.value(node)
        if axis_level(node.level):
            items[name] = part
        else:
            parts[name] = arithmetic.levels.spread(part, node.level, "sample")
    axes: dict[str, Axis] = arithmetic.levels.axes
    leaves: dict[Expr, Array] = {leaf.node: arithmetic.values[leaf.node] for leaf in planned.leaves}
    failures.sort(key=lambda failure: failure.row)
    return Scores(
        planned,
        batch,
        values,
        level,
        parts,
        items,
        failures,
        arithmetic.after,
        list(runs),
        axes,
        leaves,
        arithmetic.before,
    )


def _unexplained(
    planned: Plan, arithmetic: Arithmetic, values: Array, row_of: Index, explained: set[int]
) -> list[Failure]:
    """A record for every unscored row that has none yet: the first column without a number, or the arithmetic."""
    rows = [row for row in dict.fromkeys(row_of[np.isnan(values)].tolist()) if row not in explained]
    if not rows:
        return []
    columns = [
        node for node in planned.nodes if isinstance(node, Column) and node.level == "sample" and node.name != "prev"
    ]
    tables = [(node.name, np.isnan(arithmetic.value(node))) for node in columns]
    found: list[Failure] = []
    for row in rows:
        gap = next((name for name, gaps in tables if gaps[row]), None)
        if gap is None:
            found.append(Failure(row, "reward", "the arithmetic gave no number (0/0, or an empty window or axis)"))
        else:
            value = arithmetic.batch[gap][row]
            found.append(
                Failure(row, gap, f"{gap} is {'missing' if missing(value) else f'not a number: {value!r:.60}'}")
            )
    return found
