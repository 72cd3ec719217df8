"""`guerdon score`: stream a file through a reward. Batches of whole groups go in, rows with rewards come out."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from guerdon.batch import Batch
from guerdon.batch.files import read
from guerdon.batch.levels import Array, Axis, as_column
from guerdon.batch.write import Writer
from guerdon.cli.rewards import reward_of
from guerdon.errors import DataError, ScoringError
from guerdon.expr.cache import open_cache
from guerdon.expr.evaluate import evaluate
from guerdon.expr.plan import Plan, plan
from guerdon.expr.run import Progress
from guerdon.expr.scores import Scores

__all__ = ["score_file"]

MOST_REASONS = 5


@dataclass
class _Summary:
    """What was done, told at the end on stderr."""

    started: float = field(default_factory=time.perf_counter)
    rows: int = 0
    unscored: int = 0
    total: float = 0.0
    batches: int = 0
    reasons: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    warnings: dict[str, None] = field(default_factory=dict[str, None])

    def add(self, scores: Scores) -> None:
        self.rows += scores.batch.size
        self.batches += 1
        per_row = _per_row(scores)
        self.unscored += int(np.isnan(per_row).sum())
        self.total += float(np.nansum(per_row))
        self.reasons.update((failure.source, failure.reason) for failure in scores.failures)
        self.warnings |= dict.fromkeys(scores.warnings)

    def text(self, planned: Plan, out: Path | None) -> str:
        seconds = time.perf_counter() - self.started
        scored = self.rows - self.unscored
        mean = f"{self.total / scored:.4g}" if scored else "none"
        lines = [
            f"{self.rows:,} rows, mean reward {mean}, {self.unscored:,} unscored, {seconds:.1f} s, "
            f"{self.rows / seconds:,.0f} rows/s{f' → {out}' if out else ''}"
        ]
        if planned.batchwide and self.batches > 1:
            lines.append(f"over='batch' spanned {self.batches} batches; --batch-rows 0 takes the file as one")
        for (source, reason), count in self.reasons.most_common(MOST_REASONS):
            lines.append(f"  {count:,} × {source}: {reason}")
        if len(self.reasons) > MOST_REASONS:
            lines.append(f"  ... and {len(self.reasons) - MOST_REASONS} other reasons, each in reward.failure")
        return "\n".join([*lines, *self.warnings])


def score_file(
    file: Path,
    reward: str,
    *,
    out: Path | None = None,
    columns: Mapping[str, str] | None = None,
    workers: int | None = None,
    cache: Path | None = None,
    limit: int | None = None,
    on_error: str = "nan",
    t: float | None = None,
    batch_rows: int | None = 65_536,
    quiet: bool = False,
) -> None:
    """Score `file`, write `out` if given, tell a summary on stderr.

    Raises:
        ScoringError: rows failed under `on_error="raise"`; `out` is as it was, the cache keeps what was scored.
        GuerdonError: unusable arguments or input; `out` is as it was.
    """
    planned = plan(reward_of(reward))
    summary = _Summary()
    state: Mapping[str, Any] = {}
    with ExitStack() as stack:
        store = stack.enter_context(open_cache(cache))
        progress = None if quiet else stack.enter_context(_progress())
        writer = stack.enter_context(Writer(out, columns=columns or {})) if out else None
        groups = "group" if planned.grouped else None
        for batch in read(file, columns=columns or {}, rows=batch_rows, limit=limit, keep_groups=groups):
            if writer is not None:
                _refuse_names(batch, planned)
            scores = evaluate(planned, batch, state=state, t=t, cache=store, workers=workers, progress=progress)
            state = scores.state
            summary.add(scores)
            if on_error == "raise" and scores.failures:
                worst = scores.failures[0]
                row = summary.rows - batch.size + worst.row
                raise ScoringError(
                    f"row {row} of {file}, {worst.source}: {worst.reason} ({len({f.row for f in scores.failures})} rows "
                    "failed in its batch). --on-error nan keeps them unscored"
                )
            if writer is not None:
                writer.write(batch, _columns(scores))
    if not quiet:
        print(summary.text(planned, out), file=sys.stderr)


def _columns(scores: Scores) -> dict[str, ArrayLike]:
    """`reward`, `reward.<part>` and `reward.failure`, one entry per row."""
    columns: dict[str, ArrayLike] = {"reward": _cells(scores.values, scores.level, scores.axes)}
    for name, node in scores.plan.names.items():
        values = scores.items[name] if name in scores.items else scores.parts[name]
        columns[f"reward.{name}"] = _cells(values, node.level, scores.axes)
    reasons: dict[int, list[str]] = {}
    for failure in scores.failures:
        reasons.setdefault(failure.row, []).append(f"{failure.source}: {failure.reason}")
    told = ["; ".join(reasons[row]) if row in reasons else None for row in range(scores.batch.size)]
    columns["reward.failure"] = np.array(told, dtype=object)
    return columns


def _cells(values: Array, level: str, axes: Mapping[str, Axis]) -> ArrayLike:
    """One number per row, or one list where the values live on an axis; unscored is NaN, in lists None."""
    if level not in axes:
        return values
    return as_column(axes[level].lists([None if value != value else value for value in values.tolist()]))


def _per_row(scores: Scores) -> Array:
    """One number per row for the summary: the mean over its items where the reward lives on an axis."""
    if scores.level == "sample":
        return scores.values
    index, known = scores.axes[scores.level].index, ~np.isnan(scores.values)
    total = np.bincount(index[known], weights=scores.values[known], minlength=scores.batch.size)
    with np.errstate(invalid="ignore"):
        return total / np.bincount(index[known], minlength=scores.batch.size)


def _refuse_names(batch: Batch, planned: Plan) -> None:
    new = ["reward", *(f"reward.{name}" for name in planned.names), "reward.failure"]
    taken = [name for name in new if name in batch.columns]
    if taken:
        raise DataError(
            f"FILE already has a column {taken[0]!r}, which OUT needs: score the original file, or rename or drop the "
            "column first"
        )


@contextmanager
def _progress() -> Generator[Progress | None]:
    """A bar per source while it runs, on a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

    tasks: dict[str, TaskID] = {}
    with Bars(console=Console(stderr=True), transient=True) as bars:

        def report(name: str, done: int, total: int) -> None:
            if name not in tasks:
                tasks[name] = bars.add_task(name, total=total)
            bars.update(tasks[name], completed=done, total=total)

        yield report
