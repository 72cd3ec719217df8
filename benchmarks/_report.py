"""What the benchmarks share: who ran them, and medians of repeated runs."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import TypeVar

__all__ = ["machine", "timed"]

T = TypeVar("T")
U = TypeVar("U")


def machine() -> str:
    """Versions, processor and date in one line."""
    packages = ", ".join(f"{name} {version(name)}" for name in ("guerdon", "numpy", "pyarrow"))
    return (
        f"Python {platform.python_version()}, {packages}; {_processor()}, {_cores()} cores; {time.strftime('%Y-%m-%d')}"
    )


def timed(first: Callable[[], T], second: Callable[[], U], times: int) -> tuple[float, float, T, U]:
    """Median seconds of each over `times` rounds of one after the other, and the last results; a first round is not counted."""
    seconds: list[tuple[float, float]] = []
    for _ in range(times + 1):
        started = time.perf_counter()
        one = first()
        between = time.perf_counter()
        two = second()
        seconds.append((between - started, time.perf_counter() - between))
    return median(a for a, _ in seconds[1:]), median(b for _, b in seconds[1:]), one, two


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
