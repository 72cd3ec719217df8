"""Synthetic rollouts: eight responses to a question, each some reasoning and a short answer that is right or wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet

__all__ = ["SIZE", "rollouts", "write_rollouts"]

SIZE = 8
WORDS = (
    "so we add the two numbers and then take half of what is left for each of them because every box holds twelve eggs "
    "while the farmer sells three per day at a fixed price which gives total cost minus change he gets back after paying "
    "for his seven apples plus one more bag from her sister who bought five before lunch"
)


def rollouts(groups: int, seed: int = 0) -> dict[str, np.ndarray[Any, Any]]:
    """Columns of `groups` questions with `SIZE` responses each; a question is between never and always answered right."""
    rng = np.random.default_rng(seed)
    rows = groups * SIZE
    group = np.repeat(np.arange(groups), SIZE)
    answer = rng.integers(2, 2000, groups)
    right = rng.random(rows) < rng.beta(0.8, 0.8, groups)[group]
    given = np.where(right, answer[group], answer[group] + rng.integers(1, 9, rows))
    phrases = _phrases(rng, 4096)
    counts = rng.integers(1, 4, rows)
    picks = phrases[rng.integers(0, len(phrases), (rows, 3))].tolist()
    thinking = [
        f"{' '.join(pick[:n])} {i % 997}." for i, (pick, n) in enumerate(zip(picks, counts.tolist(), strict=True))
    ]
    questions = np.array([f"Question {i} of the farmer and the eggs: how many?" for i in range(groups)], dtype=object)
    return {
        "group": group,
        "prompt": questions[group],
        "thinking": np.array(thinking, dtype=object),
        "response": np.array([f"{number} eggs\n" for number in given.tolist()], dtype=object),
        "reference": np.array([f"{number} eggs" for number in answer.tolist()], dtype=object)[group],
    }


def _phrases(rng: np.random.Generator, number: int) -> np.ndarray[Any, Any]:
    """Runs of 4 to 16 words."""
    words = np.array(WORDS.split(), dtype=object)
    lengths = rng.integers(4, 17, number)
    return np.array([" ".join(rng.choice(words, n)) for n in lengths], dtype=object)


def write_rollouts(path: Path, groups: int, chunk: int = 12_500) -> None:
    """The same rows as a Parquet file, written in portions."""
    writer = None
    for start in range(0, groups, chunk):
        columns = rollouts(min(chunk, groups - start), seed=start)
        columns["group"] += start
        table = pa.table(columns)
        writer = writer or pyarrow.parquet.ParquetWriter(path, table.schema, compression="zstd")
        writer.write_table(table)
    if writer is not None:
        writer.close()
