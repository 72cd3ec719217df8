"""Real processes: called from threads, event loops and scripts, by several at once.

Functions are defined inside tests: they travel by value, and the workers need not import pytest.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from guerdon.expr.job import Job
from guerdon.expr.pool import Pool
from tests.expr.pools import PATIENCE, eventually, once, ones

pytestmark = pytest.mark.skipif(not hasattr(os, "killpg"), reason="these accidents are POSIX ones")


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    with Pool(workers=2) as pool:
        yield pool


def test_from_any_thread_and_two_at_once(pool: Pool) -> None:
    def work(n: int) -> int:
        time.sleep(0.005)
        return n

    found: dict[int, list[Any]] = {}

    def call(who: int) -> None:
        found[who] = once(pool.map(work, ones(range(who, who + 30)), timeout=PATIENCE), 30)

    threads = [threading.Thread(target=call, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {who: list(range(who, who + 30)) for who in range(4)}


def test_a_short_call_is_served_while_a_long_one_runs(pool: Pool) -> None:
    with closing(pool.map(lambda n: time.sleep(0.01), ones(range(1_000_000)), timeout=PATIENCE)) as long:
        next(long)
        assert once(pool.map(abs, ones(range(8)), timeout=PATIENCE), 8) == list(range(8))
        assert next(long)[1] is None


def test_who_waits_for_a_worker_gets_one_in_turn() -> None:
    job = Job([()], b"", timeout=1.0, workers=1)
    order: list[int] = []
    with Pool(workers=1) as pool:

        def turn(number: int) -> None:
            worker = pool._acquire(job)  # pyright: ignore[reportPrivateUsage]
            assert worker is not None
            order.append(number)
            pool._release(worker, job)  # pyright: ignore[reportPrivateUsage]

        first = pool._acquire(job)  # pyright: ignore[reportPrivateUsage]
        assert first is not None
        threads: list[threading.Thread] = []
        for number in range(5):
            threads.append(threading.Thread(target=turn, args=(number,)))
            threads[-1].start()
            assert eventually(lambda n=number: len(pool._queue) == n + 1)  # pyright: ignore[reportPrivateUsage]
        pool._release(first, job)  # pyright: ignore[reportPrivateUsage]
        turn(5)
        for thread in threads:
            thread.join()
    assert order == [0, 1, 2, 3, 4, 5]


def test_from_an_event_loop(pool: Pool) -> None:
    async def both() -> list[Any]:
        calls = [
            asyncio.to_thread(lambda k=k: once(pool.map(pow, [(k, 2), (k, 3)], timeout=PATIENCE), 2)) for k in (2, 3)
        ]
        return await asyncio.gather(*calls)

    assert asyncio.run(both()) == [[4, 8], [9, 27]]


SCRIPT = """
import os
from dataclasses import dataclass
from guerdon.expr.pool import Pool

@dataclass(frozen=True)
class Source:
    factor: int

    def score(self, text):
        return helper(text) * self.factor

def helper(text):
    return len(text.word)

@dataclass
class Text:
    word: str

with Pool(2) as pool:
    print(sorted(pool.map(Source(3).score, [(Text("ab"),), (Text("abc"),)], timeout=60)))
"""


def test_a_script_without_a_main_guard(tmp_path: Path) -> None:
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    (tmp_path / "json.py").write_text("raise SystemExit('the wrong json')")
    done = subprocess.run([sys.executable, "-P", path], capture_output=True, text=True, cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("[(0, 6), (1, 9)]\n", "")


def test_modules_of_the_callers_path(pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "late_module.py").write_text("def triple(x): return 3 * x")
    monkeypatch.syspath_prepend(tmp_path)
    import late_module  # pyright: ignore[reportMissingImports]

    assert once(pool.map(late_module.triple, ones([1, 2]), timeout=PATIENCE), 2) == [3, 6]
