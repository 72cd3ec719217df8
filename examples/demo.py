"""Scores 5,276 real solutions to GSM8K with a reward of several parts. python examples/demo.py [--quick] [--out FILE]

Four models answered the 1,319 test problems of GSM8K (examples/data/README.md). The reward pays for the right answer, and
less for a long one in the half of the problems that are answered best; a second channel pays for stating the answer as
asked and takes off for repetition. The verdict of the data set, `is_correct`, is no part of the reward: `verify.Math`
is compared with it.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

import guerdon as gd

DATA = Path(__file__).parent / "data" / "gsm8k_solutions.jsonl.gz"
COLUMNS = {"prompt": "question", "reference": "answer", "group": "problem_id"}  # guerdon's name: name in the file

REWARD = r"""
correct = verify.Math()
length = stats.Length('words')
repetition = stats.Repetition(n=4)
stated = verify.Format(pattern='(?s).*\nA: [^\n]+')
channels(
    task=recipes.grpo_lambda(correct, length, alpha=0.2, lam=0.5),
    style=0.1 * stated - 0.2 * repetition,
)
"""


def per_model(batch: gd.Batch, scores: gd.Scores) -> str:
    """Means for every model and for all: the verdict of the data set, every part of the reward, the reward."""
    models = batch["model"]
    rows = {name: models == name for name in dict.fromkeys(models)} | {"all": np.full(len(batch), True)}
    lines = [" " * 12 + "".join(f"{name:>19}" for name in rows)]
    for name, values in {"is_correct": batch.numbers("is_correct"), **scores.parts, "reward": scores.values}.items():
        lines.append(f"{name:<12}" + "".join(f"{np.nanmean(values[chosen]):>19.4f}" for chosen in rows.values()))
    return "\n".join(lines)


def main() -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--quick", action="store_true", help="only the first 400 rows")
    options.add_argument("--out", type=Path, default=Path("out/gsm8k_scored.parquet"))
    given = options.parse_args()
    started = time.perf_counter()

    reward = gd.parse(REWARD)
    print(f"The reward\n{reward}\n")
    print(f"What will run\n{gd.plan(reward)}\n")

    batch = gd.read_all(DATA, columns=COLUMNS, limit=400 if given.quick else None)
    scores = gd.evaluate(reward, batch)
    print(f"Means over {len(batch):,} solutions (correct: accuracy by verify.Math)\n{per_model(batch, scores)}\n")

    correct, verdict = scores.parts["correct"], batch.numbers("is_correct")
    print(f"verify.Math agrees with is_correct on {int((correct == verdict).sum()):,} of {len(batch):,} solutions\n")

    for label, wanted in (("right", 1), ("wrong", 0)):
        row = int(np.flatnonzero(correct == wanted)[0])
        print(f"A {label} answer\n{batch['response'][row]}\n\n{scores.explain(row)}\n")

    print(f"Where the time went\n{scores.profile()}\n")

    given.out.parent.mkdir(parents=True, exist_ok=True)
    with gd.Writer(given.out, columns=COLUMNS) as out:
        out.write(batch, {"reward": scores.values, **{f"reward.{name}": part for name, part in scores.parts.items()}})
    print(
        f"{given.out}: {len(batch):,} rows, {len(scores.failures)} unscored; {time.perf_counter() - started:.1f} s in all"
    )


if __name__ == "__main__":
    main()
