"""The demo runs as a user runs it, and says what it should."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(("options", "rows"), [(["--quick"], 400), ([], 5276)])
def test_demo_scores_the_shipped_solutions(options: list[str], rows: int, tmp_path: Path) -> None:
    out = tmp_path / "new" / "scored.parquet"
    command = [sys.executable, "-W", "error", "examples/demo.py", *options, "--out", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"verify.Math agrees with is_correct on {rows:,} of {rows:,} solutions" in done.stdout
    assert "A right answer" in done.stdout
    assert "A wrong answer" in done.stdout

    scored = pq.read_table(out)
    assert scored.num_rows == rows
    parts = {"reward", "reward.correct", "reward.length", "reward.repetition", "reward.stated"}
    assert parts | {"problem_id", "question", "answer", "model", "response", "is_correct"} <= set(scored.column_names)
    assert [bool(value) for value in scored["reward.correct"].to_pylist()] == scored["is_correct"].to_pylist()


def test_demo_prints_the_accuracy_of_every_model(tmp_path: Path) -> None:
    command = [sys.executable, "examples/demo.py", "--quick", "--out", str(tmp_path / "scored.parquet")]
    output = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    table = output.partition("Means over")[2].partition("\n\n")[0]
    lines = {line.split()[0]: line.split()[1:] for line in table.splitlines()[1:]}
    scored = pq.read_table(tmp_path / "scored.parquet").to_pylist()
    models = list(dict.fromkeys(row["model"] for row in scored))
    groups = [[row["is_correct"] for row in scored if row["model"] == model] for model in models]
    shares = [f"{sum(group) / len(group):.4f}" for group in groups]
    assert len(models) == 4
    assert lines["correct"][:4] == lines["is_correct"][:4] == shares
