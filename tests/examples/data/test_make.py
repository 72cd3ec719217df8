"""The shipped solutions are what `make.py` makes of their source."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).parents[3]
SHIPPED = ROOT / "examples" / "data" / "gsm8k_solutions.jsonl.gz"


def original(path: Path, rows: list[dict[str, Any]]) -> None:
    """The rows as OpenAI published them: a line per problem."""
    lines: list[dict[str, Any]] = []
    for four in (rows[start : start + 4] for start in range(0, len(rows), 4)):
        solutions = {row["model"]: {"is_correct": row["is_correct"], "solution": row["response"]} for row in four}
        lines.append({"question": four[0]["question"], "ground_truth": four[0]["reference_solution"], **solutions})
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def parquet(path: Path, rows: list[dict[str, Any]]) -> None:
    pq.write_table(pa.Table.from_pylist(rows), path)


@pytest.mark.parametrize(("name", "write"), [("solutions.jsonl", original), ("solutions.parquet", parquet)])
def test_both_kinds_of_source_give_the_shipped_rows(name: str, write: Any, tmp_path: Path) -> None:
    shipped = gzip.decompress(SHIPPED.read_bytes())
    write(tmp_path / name, [json.loads(line) for line in shipped.splitlines()])
    out = tmp_path / "made.jsonl.gz"
    command = [sys.executable, str(SHIPPED.parent / "make.py"), str(tmp_path / name), str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "5276 rows" in done.stdout
    assert gzip.decompress(out.read_bytes()) == shipped


def test_the_file_is_small() -> None:
    assert SHIPPED.stat().st_size < 1_000_000
