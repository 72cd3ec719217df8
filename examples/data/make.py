"""Writes gsm8k_solutions.jsonl.gz: python examples/data/make.py SOURCE [OUT]

SOURCE is OpenAI's grade_school_math/data/example_model_solutions.jsonl, one problem with four solutions a line, or a
Parquet file that already has the seven columns of OUT. The same input gives the same bytes.
"""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MODELS = ("6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification")
OUT = Path(__file__).with_name("gsm8k_solutions.jsonl.gz")


def solutions(source: Path) -> Iterator[dict[str, Any]]:
    """One row per problem and model."""
    for number, line in enumerate(source.read_text(encoding="utf-8").splitlines()):
        problem = json.loads(line)
        for model in MODELS:
            yield {
                "problem_id": number,
                "question": problem["question"],
                "reference_solution": problem["ground_truth"],
                "answer": problem["ground_truth"].rpartition("A:")[2].strip(),
                "model": model,
                "response": problem[model]["solution"],
                "is_correct": problem[model]["is_correct"],
            }


def rows(source: Path) -> Iterator[dict[str, Any]]:
    """The rows of either kind of source."""
    if source.suffix == ".parquet":
        import pyarrow.parquet

        yield from pyarrow.parquet.read_table(source).to_pylist()
    else:
        yield from solutions(source)


def main() -> None:
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    source, out = Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else OUT
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows(source))
    out.write_bytes(gzip.compress(text.encode("utf-8"), compresslevel=9, mtime=0))
    print(f"{out}: {text.count(chr(10))} rows, {out.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
