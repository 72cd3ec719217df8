"""`guerdon explain` and `guerdon plan`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from guerdon.cli.explain import explain_row, plan_text
from guerdon.errors import DataError, MissingColumn

ROWS = [
    {"group": 0, "response": "#### 4", "reference": "4", "x": 1.0},
    {"group": 0, "response": "#### 5", "reference": "4", "x": 3.0},
    {"group": 1, "response": "#### 6", "reference": "6", "x": 5.0},
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "in.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return path


def test_explain_shows_values_and_what_was_compared(file: Path) -> None:
    told = explain_row(file, "verify.Math() - mean(verify.Math(), over='group')", 1, columns={})
    assert told.startswith("row 1\n")
    assert "→ -0.5" in told
    assert "5" in told.split("_math = verify.Math()")[1].splitlines()[0]


def test_explain_counts_rows_over_the_whole_file(file: Path) -> None:
    told = explain_row(file, "col('x') + 0", 2, columns={}, batch_rows=1)
    assert told.startswith("row 2\n")
    assert "→ 5" in told


def test_explain_remembers_earlier_batches(file: Path) -> None:
    told = explain_row(file, "running_mean(col('x')) + 0 * col('x')", 2, columns={}, batch_rows=1)
    assert "→ 3" in told


def test_explain_refuses_a_row_beyond_the_end(file: Path) -> None:
    with pytest.raises(DataError, match="has no row 3: its rows are 0 to 2"):
        explain_row(file, "col('x')", 3, columns={})


def test_plan_names_stages_and_columns(file: Path) -> None:
    told = plan_text(file, "where(verify.Exact(), verify.Math(), 0)", columns={})
    assert "stage 1" in told
    assert "stage 2" in told
    assert "only rows where" in told
    assert told.endswith("reads response, reference")


def test_plan_checks_the_file(file: Path) -> None:
    with pytest.raises(MissingColumn, match="'y'"):
        plan_text(file, "col('y')", columns={})
    assert "anneal" not in plan_text(file, "anneal.exponential(1, 100) * col('x')", columns={})
