"""`guerdon explain` and `guerdon plan`: look before and after."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from guerdon.batch.files import read
from guerdon.cli.rewards import reward_of
from guerdon.errors import DataError
from guerdon.expr.evaluate import evaluate
from guerdon.expr.plan import check, plan

__all__ = ["explain_row", "plan_text"]

PEEK = 64


def explain_row(
    file: Path,
    reward: str,
    row: int,
    *,
    columns: Mapping[str, str],
    t: float | None = None,
    batch_rows: int | None = None,
) -> str:
    """Step by step why row `row` of `file` gets its reward; only its batch is scored.

    Raises:
        DataError: the file has no such row.
    """
    planned = plan(reward_of(reward))
    start, state = 0, {}
    for batch in read(file, columns=columns, rows=batch_rows):
        if row < start + batch.size or planned.remembers:
            scores = evaluate(planned, batch, t=t, state=state)
            state = scores.state
            if row < start + batch.size:
                return scores.explain(row - start).replace(f"row {row - start}", f"row {row}", 1)
        start += batch.size
    raise DataError(f"{file} has no row {row}: its rows are 0 to {start - 1}")


def plan_text(file: Path, reward: str, *, columns: Mapping[str, str]) -> str:
    """The plan of the reward, after checking that `file` has what it reads."""
    planned = plan(reward_of(reward))
    for batch in read(file, columns=columns, limit=PEEK):
        if "t" in planned.columns and "t" not in batch:
            batch = batch.with_columns({"t": [0.0] * batch.size})
        check(planned, batch)
        break
    return str(planned)
