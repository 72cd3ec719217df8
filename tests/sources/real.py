"""Real data for tests: the solutions that ship with the examples, and data sets beside the repository if they are there."""

from __future__ import annotations

import gzip
import json
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "examples" / "data" / "gsm8k_solutions.jsonl.gz"
BESIDE = ROOT.parent / "shared" / "data"


@cache
def gsm8k_solutions() -> list[dict[str, Any]]:
    """5,276 solutions by four models, with the verdict of the data set."""
    with gzip.open(SHIPPED, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def beside(name: str) -> list[dict[str, Any]]:
    """The rows of a data set in the folder `shared/data` next to the repository; skips the test without it."""
    path = BESIDE / f"{name}.parquet"
    if not path.is_file():
        pytest.skip(f"{name} is not in {BESIDE}")
    return pq.read_table(path).to_pylist()
