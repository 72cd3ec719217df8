"""The command line as a whole: quick help, one readable block on misuse."""

from __future__ import annotations

import subprocess
import sys


def guerdon(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "guerdon.cli", *args], capture_output=True, text=True, timeout=60)


def test_help_names_the_commands() -> None:
    told = guerdon("--help")
    assert told.returncode == 0
    assert all(name in told.stdout for name in ("score", "explain", "plan", "papers"))


def test_help_loads_nothing_heavy() -> None:
    code = "import sys; from guerdon.cli.app import app; print(sorted({'numpy', 'pyarrow', 'rich'} & set(sys.modules)))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert told.stdout.strip() == "[]", told


def test_misuse_ends_with_2() -> None:
    told = guerdon("score", "x.jsonl", "--no-such-option")
    assert told.returncode == 2
    assert "--no-such-option" in told.stderr


def test_a_missing_file_ends_with_2() -> None:
    told = guerdon("score", "no_such_file.jsonl", "--reward", "col('x')")
    assert told.returncode == 2
    assert "no_such_file.jsonl" in told.stderr
    assert "Traceback" not in told.stderr
