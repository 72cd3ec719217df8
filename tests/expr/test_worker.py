"""One process, spoken to directly, and what it says of exceptions."""

from __future__ import annotations

import os
import pickle
import time
from collections.abc import Callable, Iterator
from typing import Any

import cloudpickle
import pytest

from guerdon.errors import Unscored
from guerdon.expr.worker import Died, Message, Worker, describe

pytestmark = pytest.mark.skipif(not hasattr(os, "killpg"), reason="speaks of signals")


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker(memory_mb=1024)
    yield worker
    worker.end()


def load(worker: Worker, function: Callable[..., Any]) -> None:
    assert worker.load(b"f", cloudpickle.dumps((function, None))) is None


def run(worker: Worker, items: list[Any], body: bytes | None = None) -> list[Message]:
    """All that a worker says of a run."""
    worker.send(("run", b"f", 60.0, len(items), pickle.dumps(items) if body is None else body))
    messages = worker.receive()
    while messages[-1][0] != "end":
        messages += worker.receive()
    return messages


def test_a_conversation(worker: Worker) -> None:
    load(worker, lambda a, b: a / b)
    reason = "ZeroDivisionError: division by zero"
    for _ in range(2):
        assert run(worker, [(6, 3), (1, 0)]) == [("begun", None), ("value", 2.0), ("failed", reason), ("end", True)]
    assert run(worker, []) == [("begun", None), ("end", True)]


def test_a_long_item_ends_the_run(worker: Worker) -> None:
    load(worker, lambda seconds: time.sleep(seconds))
    assert run(worker, [(0,), (0.3,), (0,)]) == [("begun", None), ("value", None), ("value", None), ("end", True)]


def test_an_unreadable_body_is_nobodys_fault_unless_alone(worker: Worker) -> None:
    load(worker, abs)
    assert run(worker, [1, 2], body=b"junk") == [("end", True)]
    (begun, (kind, reason), end) = run(worker, [1], body=b"junk")
    assert (begun, kind, end) == (("begun", None), "failed", ("end", True))
    assert "Error" in reason


def test_exhausted_memory_makes_it_unfit(worker: Worker) -> None:
    load(worker, lambda size: len(bytes(size)))
    *answers, end = run(worker, [(5,), (1 << 40,), (6,)])
    assert answers == [("begun", None), ("value", 5), ("failed", "MemoryError: more than the 1024 MB of a worker")]
    assert end == ("end", False)


def test_it_leaves_when_stdin_ends(worker: Worker) -> None:
    load(worker, abs)
    assert worker.process.stdin is not None
    worker.process.stdin.close()
    with pytest.raises(Died):
        worker.receive()


def test_core_dumps_and_interrupts_are_off(worker: Worker) -> None:
    def state() -> Any:
        import resource
        import signal

        limits = resource.getrlimit(resource.RLIMIT_CORE), resource.getrlimit(resource.RLIMIT_AS)
        return limits, signal.getsignal(signal.SIGINT) == signal.SIG_IGN, os.getpgrp() == os.getpid()

    load(worker, state)
    gigabyte = (1 << 30, 1 << 30)
    assert run(worker, [()])[1] == ("value", (((0, 0), gigabyte), True, True))


def test_killed_by_us_or_of_itself(worker: Worker) -> None:
    load(worker, os._exit)
    worker.send(("run", b"f", 60.0, 1, pickle.dumps([(3,)])))
    assert worker.receive() == [("begun", None)]
    with pytest.raises(Died):
        worker.receive()
    assert worker.process.wait() == 3
    with pytest.raises(Died):
        worker.send(("run", b"f", 60.0, 0, b""))
    assert worker.end() == (3, "")
    assert worker.end() == (3, "")
    assert not worker.killed


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("no\n number  here"), "ValueError: no number here"),
        (ValueError(), "ValueError"),
        (Unscored("no reference"), "no reference"),
        (Unscored(), "Unscored"),
        (Mute(), "Mute"),
        (KeyError("x"), "KeyError: 'x'"),
    ],
)
def test_describe(error: BaseException, line: str) -> None:
    assert describe(error) == line


def test_long_messages_are_cut() -> None:
    assert describe(ValueError("x" * 10**6)) == "ValueError: " + "x" * 488
    assert describe(Unscored("x" * 10**6)) == "x" * 500
