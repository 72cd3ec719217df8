"""A judge behind a verifier: what gating, equal rows once and the cache save. python benchmarks/gating.py [--quick]

The judge is a stub that answers after 200 ms and takes 32 calls at once. It only matters where the verifier passes, a
quarter of the rows; 30 % of the rows repeat another one. guerdon is run without a cache file and again with the file it
left. Beside it stands the same work as TRL runs reward functions: each function sees every row, asynchronous ones are
gathered on an event loop in a daemon thread, and the results are summed with weights. TRL has no way to tell a function
what another one found, so it cannot gate; the third line is what its users may write by hand, a judge function that
verifies once more by itself. Equal values are asserted on all rows that both score.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import re
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, ClassVar
from zlib import crc32

import numpy as np
from _report import machine

import guerdon as gd

CONNECTIONS = 32
LAST_NUMBER = re.compile(r"-?\d+(?=\D*$)")


class Service:
    """The judge's server: counts the calls and answers with the same score for the same text."""

    calls = 0

    @classmethod
    async def ask(cls, text: str, latency: float) -> float:
        cls.calls += 1
        await asyncio.sleep(latency)
        return crc32(text.encode()) % 101 / 100


class Judge(gd.AsyncSource):
    """Quality of the response, in [0, 1]."""

    latency: float
    needs: ClassVar[tuple[str, ...]] = ("response",)

    async def score_row(self, response: str) -> float:
        return await Service.ask(response, self.latency)


@dataclass
class Result:
    """Scores per row (NaN where there is none), and what they took: one entry per run."""

    scores: np.ndarray
    calls: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


def rollouts(rows: int) -> gd.Batch:
    """A quarter of the rows is right; of the right and of the wrong ones 30 % repeat another row."""
    rng = random.Random(0)
    made: list[tuple[str, str]] = []
    for right, size in ((True, rows // 4), (False, rows - rows // 4)):
        distinct: list[tuple[str, str]] = []
        for _ in range(size - int(0.3 * size)):
            a, b = rng.randrange(10**6), rng.randrange(100)
            given = a + b if right else a + b + 1 + rng.randrange(9)
            distinct.append((f"{a} and {b} more make {given}.\n#### {given}", str(a + b)))
        made += distinct + rng.choices(distinct, k=size - len(distinct))
    rng.shuffle(made)
    return gd.Batch({"response": [text for text, _ in made], "reference": [answer for _, answer in made]})


def guerdon_reward(latency: float) -> gd.Expr:
    correct = gd.verify.Math().named("correct")
    return gd.where(correct, 0.5 + 0.5 * Judge(latency).named("judge"), 0)


def correct_reward(
    prompts: list[str], completions: list[str], completion_ids: list[list[int]], *, reference: list[str], **kwargs: Any
) -> list[float | None]:
    """1 if the last number is that of the reference."""
    found = [LAST_NUMBER.search(text) for text in completions]
    return [float(number is not None and number[0] == r) for number, r in zip(found, reference, strict=True)]


def judge_function(latency: float, gated: bool) -> Callable[..., Any]:
    """An asynchronous TRL reward function, for every row or for those that it has verified itself."""

    async def judge_reward(prompts: Any, completions: list[str], completion_ids: Any, **kwargs: Any) -> list[Any]:
        slots = asyncio.Semaphore(CONNECTIONS)
        wanted = correct_reward(prompts, completions, completion_ids, **kwargs) if gated else [1.0] * len(completions)

        async def score(text: str, asked: float | None) -> float | None:
            if not asked:
                return None
            async with slots:
                return await Service.ask(text, latency)

        return await asyncio.gather(*(score(text, asked) for text, asked in zip(completions, wanted, strict=True)))

    return judge_reward


def run_guerdon(batch: gd.Batch, latency: float, times: int) -> tuple[Result, Result]:
    """`times` first runs, each with a cache file of its own, and a second run after each."""
    first, second = Result(np.empty(0)), Result(np.empty(0))
    reward = guerdon_reward(latency)
    with tempfile.TemporaryDirectory() as folder:
        for number in range(times):
            for result in (first, second):
                with gd.open_cache(Path(folder) / f"{number}.cache") as cache:
                    measure(result, lambda cache=cache: gd.evaluate(reward, batch, cache=cache))
    return first, second


def run_trl(batch: gd.Batch, latency: float, times: int, gated: bool) -> Result:
    """The judge's scores as TRL collects them: the synchronous function first, then the asynchronous one on its loop."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    judge = judge_function(latency, gated)
    columns: dict[str, Any] = {"reference": batch.text("reference")}
    completions: Any = batch.text("response")
    prompts, ids = [""] * len(batch), [[0]] * len(batch)

    def step() -> np.ndarray:
        correct_reward(prompts, completions, ids, **columns)
        scores = asyncio.run_coroutine_threadsafe(judge(prompts, completions, ids, **columns), loop).result()
        return np.array([np.nan if score is None else score for score in scores])

    result = Result(np.empty(0))
    for _ in range(times):
        measure(result, step)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()
    return result


def measure(result: Result, step: Callable[[], Any]) -> None:
    before, started = Service.calls, time.perf_counter()
    scores = step()
    result.seconds.append(time.perf_counter() - started)
    result.calls.append(Service.calls - before)
    result.scores = scores.parts["judge"] if isinstance(scores, gd.Scores) else scores


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--rows", type=int, default=512)
    options.add_argument("--repeat", type=int, default=5, help="runs of which the median is shown")
    options.add_argument("--latency", type=float, default=0.2, help="seconds per call")
    options.add_argument("--quick", action="store_true", help="64 rows, 10 ms, once")
    given = options.parse_args()
    rows, repeat, latency = (64, 1, 0.01) if given.quick else (given.rows, given.repeat, given.latency)

    batch = rollouts(rows)
    gd.evaluate(guerdon_reward(latency), batch.select([0]))
    first, second = run_guerdon(batch, latency, repeat)
    everything = run_trl(batch, latency, repeat, gated=False)
    by_hand = run_trl(batch, latency, repeat, gated=True)

    passed = ~np.isnan(by_hand.scores)
    asked = {text for text, ok in zip(batch.text("response"), passed, strict=True) if ok}
    assert passed.sum() == rows // 4, "the verifier passes a quarter"
    assert set(first.calls) == {len(asked)}, "guerdon asks once for each different text that passes"
    assert set(second.calls) == {0}, "the cache file answers the second run"
    for result in (first, second, by_hand):
        np.testing.assert_array_equal(result.scores, np.where(passed, everything.scores, np.nan))

    print(machine())
    print(f"{rows} rows, {int(passed.sum())} pass the verifier, 30 % repeat another; judge: {latency * 1000:.0f} ms, "
          f"{CONNECTIONS} connections; median of {repeat}")  # fmt: skip
    lines = {
        "guerdon": first,
        "guerdon, second run with the cache file": second,
        "TRL reward functions (cannot gate)": everything,
        "TRL, judge function verifies again by hand": by_hand,
    }
    print(f"{'':<44}{'calls':>8}{'seconds':>10}{'x guerdon':>11}")
    for label, result in lines.items():
        seconds = median(result.seconds)
        print(f"{label:<44}{max(result.calls):>8}{seconds:>10.3f}{seconds / median(first.seconds):>11.2f}")
    print(f"judge scores equal on all {int(passed.sum())} rows that both score")


if __name__ == "__main__":
    main()
