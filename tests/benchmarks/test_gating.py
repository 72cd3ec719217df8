"""The judge is called for the rows that pass, once for equal ones, and not again with the cache."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_quick_run() -> None:
    command = [sys.executable, "-W", "error", "benchmarks/gating.py", "--quick"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "judge scores equal on all 16 rows that both score" in done.stdout
    lines = re.findall(r"^(\S.*?) {2,}(\d+) +[0-9.]+ +[0-9.]+$", done.stdout, re.MULTILINE)
    assert {label: int(calls) for label, calls in lines} == {
        "guerdon": 12,
        "guerdon, second run with the cache file": 0,
        "TRL reward functions (cannot gate)": 64,
        "TRL, judge function verifies again by hand": 16,
    }
