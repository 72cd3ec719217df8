"""What the tests of worker processes share."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PATIENCE = 60.0  # a time limit that no item of these tests should reach


def ones(values: range | list[Any]) -> list[tuple[Any]]:
    return [(value,) for value in values]


def once(results: Iterator[tuple[int, Any]], count: int) -> list[Any]:
    """The values in order, after checking that each index came exactly once."""
    pairs = list(results)
    assert sorted(index for index, _ in pairs) == list(range(count))
    return [value for _, value in sorted(pairs, key=lambda pair: pair[0])]


def gone(pid: int) -> bool:
    """Whether the process has ended; one that waits for init to notice has ended too."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except FileNotFoundError:
        pass
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def reaped(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def eventually(condition: Any, *arguments: Any) -> bool:
    for _ in range(1000):
        if condition(*arguments):
            return True
        time.sleep(0.02)
    return False


def lines(path: Path) -> list[str]:
    return path.read_text().split() if path.exists() else []
