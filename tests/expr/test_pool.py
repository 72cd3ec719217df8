"""Real processes: every index once, whatever the items do to the process that computes them.

Functions are defined inside tests: they travel by value, and the workers need not import pytest.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guerdon.expr import worker
from guerdon.expr.job import Failed, Job, Run
from guerdon.expr.pool import Pool
from guerdon.expr.worker import Died, Message, Worker
from tests.expr.pools import PATIENCE, eventually, gone, once, ones

pytestmark = pytest.mark.skipif(not hasattr(os, "killpg"), reason="these accidents are POSIX ones")


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    with Pool(workers=2) as pool:
        yield pool


# ── values ──


@settings(deadline=None, max_examples=20)
@given(values=st.lists(st.integers() | st.text() | st.none() | st.floats(allow_nan=False), max_size=40))
def test_every_index_once_with_its_own_value(pool: Pool, values: list[Any]) -> None:
    items = list(enumerate(values))
    assert once(pool.map(lambda index, value: (value, index), items, timeout=PATIENCE), len(items)) == [
        (value, index) for index, value in items
    ]


def test_many_cheap_items(pool: Pool) -> None:
    results = pool.map(lambda n: n * n, ones(range(20_000)), timeout=PATIENCE)
    assert once(results, 20_000) == [n * n for n in range(20_000)]


def test_both_workers_take_part(pool: Pool) -> None:
    def who(_: int) -> int:
        time.sleep(0.01)
        return os.getpid()

    assert len(set(once(pool.map(who, ones(range(60)), timeout=PATIENCE), 60))) == 2


def test_large_items_and_values(pool: Pool) -> None:
    texts = ["x" * 3_000_000, "", "é" * 1_000_000, "y" * 5_000_000]
    assert once(pool.map(lambda text: text[::-1], ones(texts), timeout=PATIENCE), 4) == [text[::-1] for text in texts]


def test_workers_stay_and_remember_many_functions(pool: Pool) -> None:
    def numbered(number: int) -> Any:
        return lambda: (number, os.getpid())

    found = [once(pool.map(numbered(n % 20), [()], timeout=PATIENCE), 1)[0] for n in range(60)]
    assert [number for number, _ in found] == [n % 20 for n in range(60)]
    assert len({pid for _, pid in found}) <= 2


def test_nothing_to_do(pool: Pool) -> None:
    assert list(pool.map(abs, [], timeout=1)) == []


# ── failures of one item ──


def test_exceptions_become_reasons(pool: Pool) -> None:
    class Clumsy(Exception):
        def __str__(self) -> str:
            raise RuntimeError("not even this")

    def trouble(kind: str) -> Any:
        from guerdon.errors import Unscored

        def deep(n: int) -> int:
            return 1 + deep(n + 1)

        match kind:
            case "value":
                raise ValueError("no\n  number")
            case "bare":
                raise KeyError
            case "unscored":
                raise Unscored("the reference has no number")
            case "exit":
                sys.exit(3)
            case "interrupt":
                raise KeyboardInterrupt
            case "recursion":
                return deep(0)
            case "clumsy":
                raise Clumsy
            case "long":
                raise ValueError("x" * 10**6)
            case "unpicklable":
                return threading.Lock()
            case _:
                return kind

    kinds = ["value", "bare", "unscored", "exit", "interrupt", "recursion", "clumsy", "unpicklable", "fine", "long"]
    *failures, fine, long = once(pool.map(trouble, ones(kinds), timeout=PATIENCE), len(kinds))
    assert fine == "fine"
    reasons = [failure.reason for failure in failures]
    assert reasons[:5] == [
        "ValueError: no number",
        "KeyError",
        "the reference has no number",
        "SystemExit: 3",
        "KeyboardInterrupt",
    ]
    assert reasons[5].startswith("RecursionError: maximum recursion depth exceeded")
    assert reasons[6:] == ["Clumsy", "TypeError: cannot pickle '_thread.lock' object"]
    assert long.reason.startswith("ValueError: xxx")
    assert len(long.reason) == 500


def test_an_item_that_cannot_be_sent_fails_alone(pool: Pool) -> None:
    class Sour:
        def __reduce__(self) -> Any:
            return int, ("sour",)

    items = [(n,) for n in range(300)]
    items[250:252] = [(threading.Lock(),), (Sour(),)]
    values = once(pool.map(lambda item: item, items, timeout=PATIENCE), 300)
    assert values[250] == Failed("TypeError: cannot pickle '_thread.lock' object")
    assert values[251].reason.startswith("ValueError: invalid literal for int()")
    assert values[:250] + values[252:] == [n for n in range(300) if n not in (250, 251)]


def test_a_value_that_cannot_be_received_fails_alone(pool: Pool) -> None:
    def answer(n: int) -> Any:
        class Sour:
            def __reduce__(self) -> Any:
                return int, ("sour",)

        return Sour() if n == 3 else n

    values = once(pool.map(answer, ones(range(6)), timeout=PATIENCE), 6)
    assert values[3].reason.startswith("ValueError: invalid literal for int()")
    assert values[:3] + values[4:] == [0, 1, 2, 4, 5]


@pytest.mark.parametrize("size", [12, 400])
def test_what_hangs_is_killed_and_the_others_get_their_values(pool: Pool, size: int) -> None:
    stuck = {3: "loop", size // 2: "power", size - 1: "deaf"}

    def work(n: int) -> int:
        match stuck.get(n):
            case "loop":
                while True:
                    pass
            case "power":
                return 9**9**9**9 % 7
            case "deaf":
                for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGALRM):
                    signal.signal(number, signal.SIG_IGN)
                while True:
                    time.sleep(1)
            case _:
                return -n

    def prepare() -> None:
        worker.GRACE = 600.0  # it is the pool that kills, not the worker itself

    values = once(pool.map(work, ones(range(size)), timeout=0.5, prepare=prepare), size)
    assert values == [Failed("took longer than 0.5 s: killed") if n in stuck else -n for n in range(size)]


def test_a_dying_worker_costs_one_item(pool: Pool) -> None:
    def work(n: int) -> int:
        if n == 20:
            os._exit(7)
        if n == 50:
            os.kill(os.getpid(), signal.SIGSEGV)
        if n == 99:
            os.killpg(0, signal.SIGKILL)
        return n

    values = once(pool.map(work, ones(range(100)), timeout=PATIENCE), 100)
    died = {20: "exit 7", 50: f"exit -{signal.SIGSEGV.value}", 99: "exit -9"}
    assert values == [Failed(f"worker died ({died[n]})") if n in died else n for n in range(100)]


def test_a_memory_bomb_is_a_failure_and_its_worker_is_replaced() -> None:
    def work(n: int) -> int:
        if n == 5:
            hoard = [bytearray(1 << 20)]
            while True:
                hoard.append(bytearray(1 << 20))
        if n == 9:
            return len(bytes(1 << 40))
        return os.getpid()

    with Pool(workers=1, memory_mb=400) as small:
        values = once(small.map(work, ones(range(12)), timeout=PATIENCE), 12)
    assert values[5] == values[9] == Failed("MemoryError: more than the 400 MB of a worker")
    pids = [set(values[:5]), set(values[6:9]), set(values[10:])]
    assert [len(some) for some in pids] == [1, 1, 1]
    assert len(set.union(*pids)) == 3


def test_prints_and_input_do_not_touch_the_conversation(pool: Pool) -> None:
    def noisy(n: int) -> Any:
        print("answer", n, flush=True)
        os.write(1, b"\0" * 100)
        os.write(2, b"x" * 200_000)
        subprocess.run([sys.executable, "-c", "print(1)"], check=True)
        return n, sys.stdin.read()

    assert once(pool.map(noisy, ones(range(4)), timeout=PATIENCE), 4) == [(n, "") for n in range(4)]


def test_children_of_a_killed_item_die_with_it(pool: Pool, tmp_path: Path) -> None:
    note = str(tmp_path / "child")

    def work() -> None:
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
        with open(note, "w") as file:
            file.write(str(child.pid))
        child.wait()

    assert once(pool.map(work, [()], timeout=0.7), 1) == [Failed("took longer than 0.7 s: killed")]
    assert eventually(gone, int(Path(note).read_text()))


# ── the clock ──


def test_start_up_and_prepare_are_on_nobodys_clock() -> None:
    def prepare() -> None:
        time.sleep(1)

    with Pool(workers=1) as fresh:
        assert once(fresh.map(abs, ones([-1, 2]), timeout=0.5, prepare=prepare), 2) == [1, 2]


def test_the_limit_is_per_item(pool: Pool) -> None:
    def nap(n: int) -> int:
        time.sleep(0.1)
        return n

    assert once(pool.map(nap, ones(range(20)), timeout=0.7), 20) == list(range(20))


def test_items_behind_a_hanging_one_do_not_wait_for_it(pool: Pool, tmp_path: Path) -> None:
    note = str(tmp_path / "behind")

    def work(n: int) -> int:
        if n == 200:  # ends only when the ten behind it, most of them in the same run, have been computed
            while not os.path.exists(note) or os.path.getsize(note) < 10:
                time.sleep(0.02)
        elif 200 < n <= 210:
            with open(note, "a") as file:
                file.write("x")
        return n

    assert once(pool.map(work, ones(range(1000)), timeout=15), 1000) == list(range(1000))


class Scripted(Worker):
    """A worker whose process is a story: what it says, and when the watchdog loses patience."""

    def __init__(self, *story: tuple[bool, list[Message]]) -> None:
        self.story = list(story)
        self.digests = set()
        self.overdue = self.killed = False

    def send(self, message: tuple[Any, ...]) -> None:
        assert message[0] == "run"

    def receive(self) -> list[Message]:
        late, messages = self.story.pop(0)
        if late:
            self.overdue = self.killed = True
        if not messages:
            raise Died
        return messages

    def end(self) -> tuple[int, str]:
        return -9, ""


BEGUN: list[Message] = [("begun", None)]
ANSWER: list[Message] = [("value", 0.5)]


@pytest.mark.parametrize(
    ("story", "known"),
    [
        ([(False, BEGUN), (False, ANSWER), (True, [])], [0.5, Failed("took longer than 3 s: killed")]),
        ([(False, BEGUN), (True, ANSWER), (False, [])], [0.5]),  # it had answered, the news had not arrived
        ([(False, BEGUN + ANSWER), (False, [])], [0.5, Failed("worker died (exit -9)")]),
        ([(True, BEGUN), (False, [])], []),
        ([(False, [])], []),
    ],
    ids=["late", "just in time", "died", "begun just in time", "never begun"],
)
def test_only_the_item_in_progress_is_to_blame(story: list[tuple[bool, list[Message]]], known: list[Any]) -> None:
    job = Job(ones(range(8)), b"", timeout=3.0, workers=1)
    job.pace(Run(0, 100, answered=100), 0.01)
    job.pace(Run(0, 100, answered=100), 0.01)
    with Pool(workers=1) as pool:
        pool._serve(job, Scripted(*story))  # pyright: ignore[reportPrivateUsage]
    pairs: list[tuple[int, Any]] = []
    while not job.known.empty():
        some = job.known.get()
        assert isinstance(some, list)
        pairs += some
    assert pairs == list(enumerate(known))
    left = [n for run in iter(job.take, None) for n in range(run.start, run.stop)]
    assert left == list(range(len(known), 8))
