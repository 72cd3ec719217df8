"""Remote scorers: how many at once, how many a second, how often again, and what an interruption leaves."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from guerdon.batch import Batch
from guerdon.errors import Unscored
from guerdon.expr import AsyncSource, Limits, col, gate
from guerdon.expr import remote as module
from guerdon.expr.cache import FileCache
from guerdon.expr.evaluate import evaluate, evaluate_async
from guerdon.expr.scores import Scores
from tests.expr.leaves import CALLS, Judge, Picky

NOW = Limits(backoff=0.0)
RESPONSES = Batch({"response": [f"r{i}" for i in range(20)]})


@pytest.fixture(autouse=True)
def _nothing_asked() -> Iterator[None]:
    CALLS.clear()
    Picky.plan.clear()
    Counting.under_way = Counting.most = 0
    yield
    Picky.plan.clear()


def reasons(scores: Scores) -> dict[int, str]:
    return {failure.row: failure.reason for failure in scores.failures}


class Counting(AsyncSource):
    """Knows how many of its calls are under way."""

    under_way: ClassVar[int] = 0
    most: ClassVar[int] = 0

    async def score_row(self, *values: Any) -> float:
        Counting.under_way += 1
        Counting.most = max(Counting.most, Counting.under_way)
        for _ in range(3):
            await asyncio.sleep(0)
        Counting.under_way -= 1
        return 1.0


@pytest.mark.parametrize(("concurrency", "most"), [(1, 1), (3, 3), (20, 20), (32, 20)])
def test_as_many_calls_at_once_as_are_allowed(concurrency: int, most: int) -> None:
    scores = evaluate(Counting(limits=Limits(concurrency=concurrency)), RESPONSES)
    assert scores.values.tolist() == [1.0] * 20
    assert (Counting.most, Counting.under_way) == (most, 0)


class Clock:
    """Time that passes only while everybody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0
        self.sleepers: list[tuple[float, asyncio.Future[None]]] = []

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        future = asyncio.get_running_loop().create_future()
        self.sleepers.append((self.now + seconds, future))
        self.wait(50)
        await future

    def wait(self, turns: int) -> None:
        """After so many turns of the loop in which nobody lay down, wake the first."""
        known = len(self.sleepers)
        asyncio.get_running_loop().call_soon(self.turn, turns, known)

    def turn(self, turns: int, known: int) -> None:
        if len(self.sleepers) != known:
            return  # somebody else is counting
        if turns:
            self.wait(turns - 1)
            return
        self.sleepers.sort(key=lambda pair: pair[0])
        self.now, future = self.sleepers.pop(0)
        future.set_result(None)
        if self.sleepers:
            self.wait(50)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(module, "asyncio", Patched(clock))
    return clock


class Patched:
    """asyncio with another `sleep`."""

    def __init__(self, clock: Clock) -> None:
        self.sleep = clock.sleep

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)


class Timed(AsyncSource):
    """Notes when it is called."""

    async def score_row(self, *values: Any) -> float:
        CALLS["timed"].append(module.time.monotonic())
        if values[0] == "r3":
            raise ConnectionError("reset")
        return 1.0


def test_calls_start_at_the_pace_that_is_allowed(clock: Clock) -> None:
    """Four a second: a quarter of a second between starts, tries that are repeated included."""
    evaluate(Timed(limits=Limits(per_second=4.0, retries=2, backoff=0.0)), RESPONSES)
    starts = CALLS["timed"]
    assert len(starts) == 22
    assert np.diff(sorted(starts)).min() >= 0.25 - 1e-9
    assert max(starts) - min(starts) == pytest.approx(21 * 0.25)


def test_without_a_pace_nobody_waits(clock: Clock) -> None:
    evaluate(Timed(limits=Limits(retries=0)), RESPONSES)
    assert set(CALLS["timed"]) == {100.0}


def test_pauses_grow_from_try_to_try(clock: Clock) -> None:
    evaluate(Timed(limits=Limits(retries=3, backoff=0.5)), RESPONSES.select([3]))
    assert CALLS["timed"] == [100.0, 100.5, 101.5, 103.5]


def test_what_fails_is_tried_again_until_it_works() -> None:
    Picky.plan.update(r0=[OSError("down"), OSError("down"), 5.0], r1=[7.0])
    scores = evaluate(Picky(limits=NOW), RESPONSES.select([0, 1]))
    assert scores.values.tolist() == [5, 7]
    assert CALLS["picky"].count("r0") == 3
    assert CALLS["picky"].count("r1") == 1
    assert not scores.failures


def test_what_goes_on_failing_becomes_a_record() -> None:
    Picky.plan.update(r0=[OSError("down")], r1=[Unscored("a poem")], r2=[Unscored("")], r3=["hang"], r4=["text"])
    scores = evaluate(Picky(limits=Limits(retries=1, timeout=0.05, backoff=0.0)), RESPONSES.select(range(6)))
    np.testing.assert_array_equal(scores.values, [*[np.nan] * 5, 1])
    assert reasons(scores) == {
        0: "OSError: down (2 tries)",
        1: "a poem",
        2: "unscored",
        3: "no answer within 0.05 s (2 tries)",
        4: "returned str 'text' where one number was expected",
    }
    assert {r: CALLS["picky"].count(f"r{r}") for r in range(6)} == {0: 2, 1: 1, 2: 1, 3: 2, 4: 1, 5: 1}


def test_the_last_error_is_the_one_that_is_told() -> None:
    Picky.plan.update(r0=["hang", ValueError("bad reply")])
    scores = evaluate(Picky(limits=Limits(retries=1, timeout=0.05, backoff=0.0)), RESPONSES.select([0]))
    assert reasons(scores) == {0: "ValueError: bad reply (2 tries)"}


def test_scores_are_remembered_and_failures_are_not(tmp_path: Path) -> None:
    Picky.plan.update(r0=[Unscored("not now"), 3.0])
    with FileCache(tmp_path / "cache") as cache:
        first = evaluate(Picky(limits=NOW), RESPONSES, cache=cache)
        assert (first.runs[0].calls, first.runs[0].cached, len(cache)) == (20, 0, 19)
        CALLS["other"] = CALLS["picky"].copy()
        second = evaluate(Picky(limits=NOW), RESPONSES, cache=cache)
        assert (second.runs[0].calls, second.runs[0].cached) == (1, 19)
        assert second.values.tolist() == [3.0] + [1.0] * 19
        third = evaluate(Picky(limits=NOW), RESPONSES, cache=cache)
        assert (third.runs[0].calls, third.runs[0].cached) == (0, 20)
        other = evaluate(Picky(label="other", limits=NOW), RESPONSES.select([5]), cache=cache)
        assert other.runs[0].cached == 0


class Interrupted(AsyncSource):
    """Scores seven rows, then somebody presses Ctrl-C."""

    async def score_row(self, *values: Any) -> float:
        CALLS["interrupted"].append(values[0])
        if len(CALLS["interrupted"]) == 8:
            signal.raise_signal(signal.SIGINT)
            raise OSError("the connection was reset in the same moment")
        return float(len(values[0]))


def test_an_interrupted_run_keeps_what_was_scored_and_the_next_one_asks_for_the_rest(tmp_path: Path) -> None:
    source = Interrupted(limits=Limits(concurrency=1, backoff=3600.0))
    with FileCache(tmp_path / "cache") as cache:
        with pytest.raises(KeyboardInterrupt):
            evaluate(source, RESPONSES, cache=cache)
        assert len(cache) == 7
    with FileCache(tmp_path / "cache") as cache:
        scores = evaluate(source, RESPONSES, cache=cache)
    assert not scores.failures
    assert CALLS["interrupted"][8:] == [f"r{i}" for i in range(7, 20)]


def test_ctrl_c_inside_a_running_event_loop_ends_the_other_thread(tmp_path: Path) -> None:
    """As in a notebook: the loop of the caller runs, so the work is done in a thread that no signal reaches."""

    class Bell(AsyncSource):
        async def score_row(self, *values: Any) -> float:
            if values[0] == "r5":
                CALLS["bell"].append(asyncio.current_task())
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
                await asyncio.sleep(3600)
            return 1.0

    async def main(cache: FileCache) -> None:
        evaluate(Bell(limits=Limits(concurrency=1, timeout=1e6)), RESPONSES, cache=cache)

    loop = asyncio.new_event_loop()
    try:
        with FileCache(tmp_path / "cache") as cache:
            with pytest.raises(KeyboardInterrupt):
                loop.run_until_complete(main(cache))
            assert len(cache) == 5
    finally:
        loop.close()
    assert CALLS["bell"][0].cancelled()


def test_a_cancelled_run_keeps_what_was_scored_and_the_next_one_asks_for_the_rest(tmp_path: Path) -> None:
    Picky.plan.update({f"r{i}": ["hang"] for i in range(7, 20)})

    async def main(cache: FileCache) -> None:
        task = asyncio.ensure_future(evaluate_async(Picky(limits=Limits(concurrency=4)), RESPONSES, cache=cache))
        while len(CALLS["picky"]) < 11:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(asyncio.all_tasks()) == 1

    with FileCache(tmp_path / "cache") as cache:
        asyncio.run(main(cache))
        assert len(cache) == 7
        CALLS.clear()
        Picky.plan.clear()
        scores = evaluate(Picky(), RESPONSES, cache=cache)
    assert scores.values.tolist() == [1.0] * 20
    assert CALLS["picky"] == [f"r{i}" for i in range(7, 20)]


def test_calls_that_are_cancelled_may_put_their_things_away() -> None:
    """A connection is closed before the caller goes on, not some time later."""

    class Tidy(AsyncSource):
        async def score_row(self, *values: Any) -> float:
            CALLS["opened"].append(values[0])
            try:
                await asyncio.sleep(3600)
            finally:
                for _ in range(5):
                    await asyncio.sleep(0)
                CALLS["closed"].append(values[0])
            return 1.0

    async def main() -> None:
        task = asyncio.ensure_future(evaluate_async(Tidy(limits=Limits(concurrency=3)), RESPONSES))
        while len(CALLS["opened"]) < 3:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert sorted(CALLS["closed"]) == sorted(CALLS["opened"])

    asyncio.run(main())


def test_one_failing_leaf_ends_the_others() -> None:
    """An error of the code of one source: the judge beside it must not go on spending."""
    from tests.expr.leaves import Bare

    Picky.plan.update({f"r{i}": ["hang"] for i in range(20)})

    async def main() -> None:
        with pytest.raises(ZeroDivisionError):
            await evaluate_async(Picky() + Bare("crash"), RESPONSES)
        await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(main())
    assert len(CALLS["picky"]) <= 20


def test_rows_behind_a_verifier_are_the_only_ones_asked() -> None:
    batch = Batch({"id": [f"r{i % 3}" for i in range(8)], "x": [i % 3 for i in range(8)], "ok": [1, 0] * 4})
    scores = evaluate(gate(col("ok"), Judge()), batch)
    assert sorted(CALLS["judge"]) == ["r0", "r1", "r2"]
    assert scores.values.tolist() == [0, 0, 2, 0, 1, 0, 0, 0]
    assert (scores.runs[0].asked, scores.runs[0].distinct, scores.runs[0].calls) == (4, 3, 3)
