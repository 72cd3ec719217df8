"""Whoever dies, hangs or is relieved: every index becomes known exactly once."""

from __future__ import annotations

from math import inf
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guerdon.expr.job import RUN_BYTES, Failed, Job, Run
from guerdon.expr.worker import Message

BEGUN: list[Message] = [("begun", None)]
END: list[Message] = [("end", True)]


def job_of(items: int | list[Any], workers: int = 2, run: int = 1) -> Job:
    """A job whose runs are `run` items long where that leaves enough for the others."""
    job = Job([(item,) for item in (range(items) if isinstance(items, int) else items)], b"", 1.0, workers)
    for _ in range(20):
        job.pace(Run(0, run, answered=run), 0.05)
    return job


def taken(job: Job) -> Run:
    run = job.take()
    assert run is not None
    return run


def known(job: Job) -> list[tuple[int, Any]]:
    pairs: list[tuple[int, Any]] = []
    while not job.known.empty():
        some = job.known.get()
        assert isinstance(some, list)
        pairs += some
    return pairs


def truth(index: int) -> Any:
    return Failed(f"no {index}") if index % 5 == 0 else -index


def answers(run: Run, count: int) -> list[Message]:
    first = run.start + run.answered
    return [("failed", f"no {n}") if n % 5 == 0 else ("value", -n) for n in range(first, first + count)]


def finish(job: Job, run: Run, stop: int) -> None:
    messages = ([] if run.begun else BEGUN) + answers(run, stop - run.start - run.answered) + END
    job.record(run, messages)
    job.settle(run, None)


ACTS = st.lists(
    st.tuples(st.sampled_from(["take", "begin", "answer", "silence", "settle", "blame"]), st.integers(0, 30)),
    max_size=60,
)


@given(st.integers(1, 60), st.sampled_from([1, 3, 50]), ACTS)
def test_every_index_once(size: int, length: int, acts: list[tuple[str, int]]) -> None:
    job = job_of(size, run=length)
    sent: dict[Run, int] = {}  # what each worker believes it has to do
    blamed = 0
    for act, pick in acts:
        if act == "take" or not sent:
            run = job.take()
            sent |= {run: run.stop} if run is not None else {}
            continue
        run = list(sent)[pick % len(sent)]
        left = sent[run] - run.start - run.answered
        if act == "begin" and not run.begun:
            job.record(run, BEGUN)
        elif act == "answer" and run.begun and left:
            job.record(run, answers(run, 1 + pick % left))
        elif act == "silence" and run.begun and run.start + run.answered + 1 < run.stop:
            run.heard = -inf
            assert job.wait()
        elif act in ("settle", "blame"):
            blamed += act == "blame"
            job.settle(run, "killed" if act == "blame" else None)
            del sent[run]
    while sent or (run := job.take()) is not None:
        run, stop = sent.popitem() if sent else (run, run.stop)
        finish(job, run, stop)
    assert not job.wait()
    pairs = known(job)
    assert sorted(index for index, _ in pairs) == list(range(size))
    unlucky = [index for index, value in pairs if value == Failed("killed")]
    assert len(unlucky) <= blamed
    assert all(value == truth(index) for index, value in pairs if index not in unlucky)


def test_runs_grow_to_the_pace_and_leave_enough_for_others() -> None:
    job = job_of(1000, workers=2)
    lengths: list[int] = []
    while (run := job.take()) is not None:
        lengths.append(run.stop - run.start)
        finish(job, run, run.stop)
        job.pace(run, 0.001 * run.answered)
    assert lengths[:7] == [1, 2, 4, 8, 16, 32, 50]
    assert max(lengths) == 50
    assert lengths[-1] == 1
    left = 1000
    for length in lengths:
        assert length <= max(1, left // 4)
        left -= length


def test_a_slow_item_makes_runs_short_again() -> None:
    job = job_of(1000, run=40)
    job.pace(Run(0, 40, answered=1), 30.0)
    run = taken(job)
    assert run.stop - run.start == 1


def test_runs_are_bounded_in_bytes() -> None:
    job = job_of(["x" * (RUN_BYTES // 3)] * 100, workers=1, run=50)
    run = taken(job)
    assert run.stop - run.start == 4


def test_what_a_silent_worker_has_not_reached_goes_to_others() -> None:
    job = job_of(100, run=10)
    run = taken(job)
    job.record(run, BEGUN + answers(run, 3))
    while (other := job.take()) is not None:
        finish(job, other, other.stop)
    known(job)
    run.heard = -inf
    assert job.wait()
    reached = []
    while (other := job.take()) is not None:
        reached += range(other.start, other.stop)
        finish(job, other, other.stop)
    assert reached == [4, 5, 6, 7, 8, 9]
    finish(job, run, 10)  # the silent one does all of it after all
    assert sorted(known(job)) == [(n, truth(n)) for n in range(3 + 1 - 1, 10)]
    assert not job.wait()


@pytest.mark.parametrize("begun", [False, True])
def test_a_worker_is_not_relieved_of_the_item_it_is_on(begun: bool) -> None:
    job = job_of(4, run=1)
    run = taken(job)
    if begun:
        job.record(run, BEGUN)
    run.heard = -inf
    while (other := job.take()) is not None:
        finish(job, other, other.stop)
    known(job)
    job.settle(run, "killed")
    assert known(job) == ([(0, Failed("killed"))] if begun else [])


def test_a_run_that_has_not_begun_is_left_alone() -> None:
    job = job_of(100, run=10)
    run = taken(job)
    while job.take() is not None:
        pass
    run.heard = -inf
    assert not job._relieve()  # pyright: ignore[reportPrivateUsage]
    job.record(run, BEGUN)
    assert not job._relieve()  # pyright: ignore[reportPrivateUsage]
    run.heard = -inf
    assert job._relieve()  # pyright: ignore[reportPrivateUsage]


def test_a_run_that_never_began_is_tried_item_by_item_and_each_twice() -> None:
    job = job_of(40, workers=1, run=5)
    job.settle(taken(job), "died")
    alone = [taken(job) for _ in range(5)]
    assert [(run.start, run.stop) for run in alone] == [(n, n + 1) for n in range(5)]
    job.settle(alone[2], "died")
    again = taken(job)
    assert (again.start, again.stop) == (2, 3)
    assert known(job) == []
    job.settle(again, "died")
    assert known(job) == [(2, Failed("died"))]


def test_nothing_is_taken_from_an_abandoned_job() -> None:
    job = job_of(10)
    job.abandon()
    assert not job.wait()
    assert job.take() is None
