"""Running leaves: what a source is asked, what its answers become, and what is remembered."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guerdon.batch import Batch
from guerdon.errors import DataError, GuerdonError
from guerdon.expr import Source, col, gate
from guerdon.expr.cache import FileCache, MemoryCache
from guerdon.expr.evaluate import evaluate, evaluate_async
from guerdon.expr.run import Failure, LeafRun, cells
from guerdon.expr.scores import Scores
from tests.expr.leaves import CALLS, Bare, Costly, Length, Odd, Worker

NAN = math.nan


@pytest.fixture(autouse=True)
def _nothing_asked() -> None:
    CALLS.clear()


def run_of(scores: Scores) -> LeafRun:
    (run,) = scores.runs
    return run


def reasons(scores: Scores) -> dict[int, str]:
    return {failure.row: failure.reason for failure in scores.failures}


def test_quick_answers_stay_here_and_equal_rows_are_one() -> None:
    scores = evaluate(Length(), Batch({"response": ["aa", "b", "aa", None, "bad", "hm", "bad"]}))
    np.testing.assert_array_equal(scores.values, [2, 1, 2, NAN, NAN, NAN, NAN])
    assert Counter(CALLS["length"])["aa"] == 1
    run = run_of(scores)
    assert (run.asked, run.distinct, run.quick, run.cached, run.calls) == (7, 4, 4, 0, 0)
    assert scores.failures == [
        Failure(3, "length", "response is missing"),
        Failure(4, "length", "ValueError: it is bad"),
        Failure(5, "length", "nobody can tell"),
        Failure(6, "length", "ValueError: it is bad"),
    ]


def test_what_workers_say() -> None:
    """Time out, exception, no opinion, answers that are no number: the row fails, the others are scored."""
    told = ["fine", "crash", "hang", "unscored", "text", "none", "list", "nan", "huge", "fine"]
    scores = evaluate(Worker(timeout=1.0), Batch({"response": told}), workers=2)
    np.testing.assert_array_equal(scores.values, [2, *[NAN] * 8, 2])
    assert reasons(scores) == {
        1: "ZeroDivisionError: by nothing",
        2: "took longer than 1 s: killed",
        3: "cannot be read",
        4: "returned str '1.0' where one number was expected",
        5: "returned NoneType None where one number was expected",
        6: "returned list [1.0] where one number was expected",
        7: "no score",
        8: "returned int 1" + "0" * 59 + " where one number was expected",
    }
    run = run_of(scores)
    assert (run.asked, run.distinct, run.quick, run.calls) == (10, 9, 0, 9)


def test_an_answer_that_is_no_score_is_neither_a_number_nor_remembered() -> None:
    cache = MemoryCache()
    scores = evaluate(Worker(), Batch({"response": ["nan", "fine"]}), cache=cache)
    assert (reasons(scores), len(cache)) == ({0: "no score"}, 1)

    class Unsure(Length):
        def quick(self, *values: Any) -> float:
            return NAN if values[0] == "x" else 1.0

    quick = evaluate(Unsure(), Batch({"response": ["x", "y", "x"]}))
    assert quick.failures == [Failure(row, "unsure", "no score") for row in (0, 2)]
    np.testing.assert_array_equal(quick.values, [NAN, 1, NAN])


def test_of_several_gaps_the_first_is_told() -> None:
    class Pair(Length):
        needs: ClassVar[tuple[str, ...]] = ("response", "other")

        def quick(self, *values: Any) -> float:
            return float(len(values[0]) + len(values[1]))

    scores = evaluate(Pair(), Batch({"response": [None, "a", None, "ab"], "other": [None, None, "b", "c"]}))
    np.testing.assert_array_equal(scores.values, [NAN, NAN, NAN, 3])
    told = {0: "response is missing", 1: "other is missing", 2: "response is missing"}
    assert scores.failures == [Failure(row, "pair", reason) for row, reason in told.items()]


class Answers(Length):
    """Gives back what column `response` stands for."""

    def quick(self, *values: Any) -> Any:
        return {
            "int": 3,
            "bool": True,
            "numpy": np.float32(0.5),
            "point": np.array(0.25),
            "text": "1",
            "bytes": b"1",
            "array": np.ones(1),
            "tuple": (1.0,),
            "dict": {},
            "nan": NAN,
            "inf": math.inf,
            "fail": ZeroDivisionError,
        }[values[0]]


def test_what_counts_as_a_number() -> None:
    told = ["int", "bool", "numpy", "point", "inf", "text", "bytes", "array", "tuple", "dict", "nan", "fail"]
    scores = evaluate(Answers(), Batch({"response": told}))
    np.testing.assert_array_equal(scores.parts["answers"], [3, 1, 0.5, 0.25, math.inf, *[NAN] * 7])
    assert math.isnan(scores.values[4])
    assert set(reasons(scores)) == {4, 5, 6, 7, 8, 9, 10, 11}
    assert reasons(scores)[10] == "no score"
    assert reasons(scores)[7] == "returned ndarray array([1.]) where one number was expected"


def test_numbers_and_messages_arrive_as_text() -> None:
    chat = [{"role": "user", "content": "abc"}]
    batch = Batch({"response": [18, 1.5, True, chat, NAN]})
    scores = evaluate(Length(), batch)
    assert CALLS["length"] == ["18", "1.5", "True", "abc"]
    assert reasons(scores) == {4: "response is missing"}


def test_raw_columns_arrive_as_stored() -> None:
    """Equal contents once, whatever the order of keys; 1, 1.0 and True apart; missing values reach the source."""
    data: list[Any] = [[1], [1], {"a": 1, "b": 2}, {"b": 2, "a": 1}, 1, 1.0, True, None, "ab", [1.0]]
    scores = evaluate(Odd(), Batch({"data": data}))
    assert scores.values.tolist() == [1, 1, 2, 2, 0.5, 0.5, 0.5, -1, 2, 1]
    assert len(CALLS["odd"]) == 8
    assert not scores.failures


def test_a_cell_of_a_strange_type_fails_alone() -> None:
    scores = evaluate(Odd(), Batch({"data": [{1, 2}, [1], object(), [1, 2]]}))
    np.testing.assert_array_equal(scores.values, [NAN, 1, NAN, 2])
    assert "type set cannot be part of a cache key" in reasons(scores)[0]
    assert set(reasons(scores)) == {0, 2}


class Joined(Length):
    """All texts of a row's steps."""

    needs: ClassVar[tuple[str, ...]] = ("step.text", "response")

    def quick(self, *values: Any) -> float:
        CALLS["joined"].append(values)
        return float(len("".join(values[0])))

    def why(self, *values: Any) -> str:
        return f"of {values}"


def test_a_column_of_an_axis_arrives_as_a_list() -> None:
    rows = [{"response": r, "step.text": texts} for r, texts in (("a", ["x", "yy"]), ("b", []), ("a", ["x", "yy"]))]
    batch = Batch.from_records(rows)
    scores = evaluate(Joined(), batch)
    assert scores.values.tolist() == [3, 0, 3]
    assert sorted(CALLS["joined"]) == [([], "b"), (["x", "yy"], "a")]
    assert "of (['x', 'yy'], 'a')" in scores.explain(2)
    assert cells(batch, "step.text", raw=False) == [["x", "yy"], [], ["x", "yy"]]
    assert cells(batch.select([1]), "step.text", raw=False) == [[]]
    assert cells(batch, "response", raw=True) == ["a", "b", "a"]


@pytest.mark.parametrize(
    ("source", "error", "text"),
    [
        (Bare("short"), DataError, r"Bare\('short'\) returned an array of shape \[3\], expected \[2\]: one value per sample"),
        (Bare("square"), DataError, r"shape \[2, 2\], expected \[2\]"),
        (Bare("text"), ValueError, "could not convert"),
        (Bare("ragged"), DataError, r"Ragged with \[2\] values and counts \[0, 0\]: expected a count"),
        (Bare("crash"), ZeroDivisionError, "division"),
    ],
)  # fmt: skip
def test_a_whole_batch_source_that_is_wrong_is_an_error(source: Source, error: Any, text: str) -> None:
    """Wrong code is not a row that failed."""
    with pytest.raises(error, match=text) as caught:
        evaluate(source, Batch({"response": ["a", "b"]}))
    if not isinstance(caught.value, GuerdonError):
        assert f"while {source} scored Batch(2 rows" in caught.value.__notes__[0]


def test_a_costly_whole_batch_source_gets_the_rows_left_open() -> None:
    batch = Batch({"id": ["r0", "r1", "r2"], "x": [1.0, 2.0, NAN], "ok": [1, 0, 1]})
    scores = evaluate(gate(col("ok"), Costly()), batch)
    np.testing.assert_array_equal(scores.values, [1, 0, NAN])
    assert CALLS["costly"] == ["r0", "r2"]
    assert reasons(scores) == {2: "x is missing"}
    assert (run_of(scores).asked, run_of(scores).calls) == (2, 1)


def test_rows_that_could_not_be_read_are_not_asked() -> None:
    batch = Batch(
        {"response": ["aa", None, "b"], "id": ["0", "1", "2"], "x": [1, 2, 3]}, problems={1: "line 2: no JSON"}
    )
    for expr in (Length(), Costly()):
        scores = evaluate(expr, batch)
        assert [i for i in range(3) if math.isnan(scores.values[i])] == [1]
        assert scores.failures == [Failure(1, "file", "line 2: no JSON")]
    assert CALLS["costly"] == ["0", "2"]


def test_scores_are_remembered_and_asked_once(tmp_path: Path) -> None:
    batch = Batch({"response": ["fine", "crash", "other", "fine"]})
    with FileCache(tmp_path / "cache") as cache:
        first = evaluate(Worker(), batch, cache=cache)
        assert (run_of(first).cached, run_of(first).calls, len(cache)) == (0, 3, 2)
        again = evaluate(Worker(timeout=5.0), batch, cache=cache)
        assert (run_of(again).cached, run_of(again).calls) == (2, 1)
        np.testing.assert_array_equal(again.values, first.values)
        assert again.failures == first.failures
    with FileCache(tmp_path / "cache") as cache:
        later = evaluate(Worker(), batch.select([0, 2]), cache=cache)
        assert (run_of(later).cached, run_of(later).calls) == (2, 0)


class Half(Worker):
    """Answers for short responses at once."""

    def quick(self, *values: Any) -> float | None:
        return 0.5 if len(values[0]) < 4 else None


def test_what_quick_leaves_open_goes_to_a_worker() -> None:
    scores = evaluate(Half(), Batch({"response": ["a", "long one", "b", "long one", "crash"]}))
    np.testing.assert_array_equal(scores.values, [0.5, 2, 0.5, 2, NAN])
    run = run_of(scores)
    assert (run.asked, run.distinct, run.quick, run.calls) == (5, 4, 2, 2)


def test_a_cancelled_run_of_workers_keeps_what_was_scored(tmp_path: Path) -> None:
    batch = Batch({"response": ["fine", "other", "hang"]})

    async def main(cache: FileCache) -> None:
        enough = asyncio.Event()
        loop = asyncio.get_running_loop()

        def progress(source: str, done: int, total: int) -> None:
            if done == 2:
                loop.call_soon_threadsafe(enough.set)

        task = asyncio.ensure_future(
            evaluate_async(Worker(timeout=600.0), batch, cache=cache, workers=1, progress=progress)
        )
        await enough.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(cache) == 2

    with FileCache(tmp_path / "cache") as cache:
        asyncio.run(main(cache))
        assert evaluate(Worker(), batch.select([1, 0]), cache=cache).runs[0].calls == 0


def test_quick_answers_are_not_worth_remembering() -> None:
    cache = MemoryCache()
    evaluate(Length(), Batch({"response": ["a"]}), cache=cache)
    assert len(cache) == 0


def test_scores_go_to_the_cache_in_portions_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from guerdon.expr import run

    portions: list[set[bytes]] = []

    class Noting(MemoryCache):
        def put_many(self, items: Any) -> None:
            portions.append(set(items))
            super().put_many(items)

    monkeypatch.setattr(run, "FLUSH", 2)
    monkeypatch.setattr(run, "FLUSH_SECONDS", 3600.0)
    evaluate(Worker(), Batch({"response": ["a", "b", "c", "crash", "d", "e"]}), cache=Noting())
    assert [len(portion) for portion in portions] == [2, 2, 1]
    assert len(set.union(*portions)) == 5


class Full(MemoryCache):
    """A cache on a full disk."""

    def put_many(self, items: Any) -> None:
        raise DataError("the disk is full")


def test_a_cache_that_cannot_be_written_costs_no_score() -> None:
    scores = evaluate(Worker(), Batch({"response": ["fine", "other"]}), cache=Full())
    assert scores.values.tolist() == [2, 2]
    assert scores.warnings == ["scores are kept in memory only: the disk is full"]
    assert not scores.failures
    assert evaluate(Worker(), Batch({"response": ["fine"]})).warnings == []


def test_an_answer_of_another_kind_from_the_cache_is_a_failure() -> None:
    from guerdon.expr.cache import key

    cache = MemoryCache()
    cache.put_many({key(Worker().digest.hex(), ("fine",)): [1.0, 2.0]})
    scores = evaluate(Worker(), Batch({"response": ["fine", "b"]}), cache=cache)
    assert scores.values[1] == 2
    assert reasons(scores) == {0: "returned list [1.0, 2.0] where one number was expected"}


def test_progress_is_told_row_by_row() -> None:
    told: list[tuple[str, int, int]] = []
    evaluate(Worker().named("w"), Batch({"response": ["a", "b", "a"]}), progress=lambda *state: told.append(state))
    assert told == [("w", 1, 2), ("w", 2, 2)]


@settings(max_examples=60)
@given(st.lists(st.sampled_from(["a", "bb", "ccc", None, "bad", "hm"]), max_size=12))
def test_counts_add_up(responses: list[str | None]) -> None:
    CALLS.clear()
    scores = evaluate(Length(), Batch({"response": np.array(responses, dtype=object)}))
    run = run_of(scores)
    distinct = {r for r in responses if r is not None}
    assert (run.asked, run.distinct, run.quick, run.calls, run.cached) == (
        len(responses),
        len(distinct),
        len(distinct),
        0,
        0,
    )
    assert set(CALLS["length"]) == distinct
    assert [failure.row for failure in scores.failures] == sorted(failure.row for failure in run.failures)
    assert len(run.failures) == sum(r in (None, "bad", "hm") for r in responses)
    np.testing.assert_array_equal(scores.values, [NAN if r in (None, "bad", "hm") else len(r) for r in responses])
