"""A four-term group-relative reward on a million rows. python benchmarks/group_reward.py [--quick]

String equality, length, repetition and GRPO-λ, each against the other seven responses to the question:
  1. the whole reward, from text;
  2. arithmetic and windows alone, the leaves given as columns;
  3. both once more as plain TRL reward functions: Python loops, each working out its own correctness (_loops.py);
  4. `guerdon score` on files of a tenth, a half and all of the rows: what the most memory was.
Values are compared row by row. Everything runs in one process and one thread.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from _loops import total
from _report import machine, timed
from _rollouts import SIZE, rollouts, write_rollouts

import guerdon as gd

LEAVES = {
    "correct": "verify.Exact()",
    "length": "stats.Length(of='thinking')",
    "repetition": "stats.Repetition(of='thinking')",
}
REWARD = """
{leaves}
grpo_lambda = recipes.grpo_lambda(correct, length, alpha=0.2, lam=0.2)
relative_accuracy = correct - mean(correct, over='group')
relative_repetition = max(repetition, over='group') - repetition
0.5 * relative_accuracy - 0.05 * zscore(length, over='group') + 0.2 * relative_repetition + grpo_lambda
"""

MEASURE = """
import resource, subprocess, sys
subprocess.run([sys.executable, "-m", *sys.argv[1:]], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
"""A small process between this one and the command: a child's peak is at least that of the process it was forked from."""


def reward(from_columns: bool) -> str:
    """The reward as text, its leaves either sources or columns of the same name."""
    lines = (f"{name} = " + (f"col('{name}')" if from_columns else leaf) for name, leaf in LEAVES.items())
    return REWARD.format(leaves="\n".join(lines))


def compare(
    label: str, text: str, columns: Mapping[str, np.ndarray[Any, Any]], times: int
) -> tuple[gd.Scores, np.ndarray[Any, Any]]:
    """Time guerdon and the loops on the same columns, in turn, check that they agree, print a line each."""
    rows = len(columns["group"])
    lists = {name: values.tolist() for name, values in columns.items()}
    ours, theirs, scores, expected = timed(
        lambda: gd.evaluate(gd.parse(text), gd.Batch(columns)), lambda: total(lists), times
    )
    np.testing.assert_allclose(scores.values, expected, rtol=0, atol=1e-9)
    print(f"\n{label}: {rows:,} rows, values equal to 1e-9")
    for name, seconds in (("guerdon", ours), ("TRL reward functions", theirs)):
        print(f"  {name:<22}{seconds:>9.3f} s {rows / seconds:>14,.0f} rows/s")
    print(f"  {'ratio':<22}{theirs / ours:>9.1f} x")
    return scores, expected


def score_file(groups: int, folder: Path) -> tuple[float, float]:
    """Megabytes at most, and seconds, of `guerdon score` on a Parquet file."""
    file, out = folder / "rollouts.parquet", folder / "scored.parquet"
    write_rollouts(file, groups)
    command = ["guerdon.cli", "score", str(file), "-o", str(out), "--quiet", "--reward", reward(from_columns=False)]
    started = time.perf_counter()
    measured = subprocess.run([sys.executable, "-c", MEASURE, *command], capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - started
    assert measured.returncode == 0, measured.stderr
    return float(measured.stdout) / (1024 if sys.platform == "linux" else 1024**2), seconds


def memory(groups: int) -> None:
    print("\nguerdon score, Parquet to Parquet, batches of 65,536 rows")
    with tempfile.TemporaryDirectory() as folder:
        for number in (groups // 10, groups // 2, groups):
            megabytes, seconds = score_file(number, Path(folder))
            print(f"  {number * SIZE:>9,} rows {seconds:>9.1f} s {megabytes:>9.0f} MB at most")


def main() -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--rows", type=int, default=1_000_000)
    options.add_argument("--repeat", type=int, default=5, help="runs of which the median is shown")
    options.add_argument("--quick", action="store_true", help="20,000 rows, once")
    given = options.parse_args()
    rows, times = (20_000, 1) if given.quick else (given.rows, given.repeat)

    print(machine())
    columns = rollouts(rows // SIZE)
    scores, _ = compare("whole reward, from text", reward(from_columns=False), columns, times)
    print(scores.profile())
    leaves = {name: scores.parts[name] for name in LEAVES}
    compare("arithmetic and windows alone", reward(from_columns=True), columns | leaves, times)
    memory(rows // SIZE)


if __name__ == "__main__":
    main()
