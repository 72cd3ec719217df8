"""The comparison with plain loops runs, and its equality checks hold."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_quick_run() -> None:
    command = [sys.executable, "-W", "error", "benchmarks/group_reward.py", "--quick"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "whole reward, from text: 20,000 rows, values equal to 1e-9" in done.stdout
    assert "arithmetic and windows alone: 20,000 rows, values equal to 1e-9" in done.stdout
    assert len(re.findall(r"^  ratio +[0-9.]+ x$", done.stdout, re.MULTILINE)) == 2
    assert len(re.findall(r" rows +[0-9.]+ s +[0-9]+ MB at most$", done.stdout, re.MULTILINE)) == 3
