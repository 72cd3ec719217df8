"""Leaves that have a list for every row: who opens an axis, what a row that failed has, who is right about how many."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
import pytest

import guerdon as gd
from guerdon.batch import Batch
from guerdon.errors import DataError, LevelError
from guerdon.expr import Ragged, Source, col, gate, mean
from guerdon.expr.evaluate import evaluate
from guerdon.expr.scores import Scores
from tests.expr.leaves import CALLS, Bare, Items, JudgeItems, Length

NAN = math.nan


@pytest.fixture(autouse=True)
def _nothing_asked() -> None:
    CALLS.clear()


def reasons(scores: Scores) -> dict[int, str]:
    return {failure.row: failure.reason for failure in scores.failures}


class Others(Items):
    """As `Items`, of another column."""

    needs: ClassVar[tuple[str, ...]] = ("other",)


def test_an_axis_is_opened_by_the_lists_of_its_rows() -> None:
    scores = evaluate(mean(Items(0.5), to="sample"), Batch({"response": ["ab", "", "c"]}))
    np.testing.assert_array_equal(scores.values, [0.5, NAN, 0.5])
    scores = evaluate(Items(2.0), Batch({"response": ["ab", "c"]}))
    assert (scores.level, scores.values.tolist()) == ("test", [2, 2, 2])
    assert scores.axes["test"].counts.tolist() == [2, 1]


@pytest.mark.parametrize("reduce", ["all", "any", "sum", "prod", "mean", "min"])
def test_a_row_whose_runner_failed_is_not_a_row_without_tests(reduce: str) -> None:
    """All of no tests have passed; of tests that could not be run nobody knows."""
    batch = Batch({"response": ["ab", "", "bad"], "ok": [1, 1, 1]})
    scores = evaluate(getattr(gd, reduce)(Items(), to="sample"), batch)
    of_nothing = {"all": 1, "any": 0, "sum": 0, "prod": 1}.get(reduce, NAN)
    np.testing.assert_array_equal(scores.values, [2 if reduce == "sum" else 1, of_nothing, NAN])
    assert reasons(scores)[2] == "ValueError: it is bad"
    spread = evaluate(getattr(gd, reduce)(Items(), over="sample"), batch)
    assert math.isnan(spread.values[-1])
    masked = evaluate(gd.sum(1, to="sample", where=Items() > 0), batch)
    np.testing.assert_array_equal(masked.values, [2, 0, NAN])
    filled = evaluate(getattr(gd, reduce)(Items(), to="sample", empty=7), batch)
    assert filled.values.tolist()[1:] == [7, 7]


def test_a_group_of_which_nothing_is_known_has_no_sum() -> None:
    batch = Batch({"response": ["aa", "bad", "bad", "bad"], "group": [0, 0, 1, 1]})
    for expr, wanted in (
        (gd.sum(Length(), over="group"), [2, 2, NAN, NAN]),
        (gd.any(Length() > 1, over="group"), [1, 1, NAN, NAN]),
        (gd.count(Length(), over="group"), [1, 1, 0, 0]),
        (gd.sum(Length(), over="group", where=col("group") < 0), [0, 0, 0, 0]),
        (gd.sum(Length(), over="group", empty=0), [2, 2, 0, 0]),
    ):
        np.testing.assert_array_equal(evaluate(expr, batch).values, wanted)


def test_rows_that_were_not_asked_open_nothing() -> None:
    batch = Batch({"response": ["ab", "abc", "d"], "ok": [1, 0, 1]})
    inner = gd.sum(Items(), to="sample").named("passed")
    scores = evaluate(gate(col("ok"), inner, otherwise=-1), batch)
    assert scores.values.tolist() == [2, -1, 1]
    assert CALLS["items"] == ["ab", "d"]
    np.testing.assert_array_equal(scores.parts["passed"], [2, NAN, 1])


def test_a_condition_on_items_asks_for_the_rows_in_which_any_item_holds() -> None:
    rows = [
        {"response": r, "step.v": v}
        for r, v in (("a", [1, -1]), ("b", [-1]), ("c", []), ("d", [None, 0]), ("e", [0, 2]))
    ]
    batch = Batch.from_records(rows)
    value = col("step.v")
    for expr, asked in (
        (gate(value > 0, Length()), ["a", "e"]),
        (gd.where(value > 0, 1, Length()), ["a", "b", "d", "e"]),
        ((value > 0) & Length(), ["a", "d", "e"]),
        ((value > 0) | Length(), ["a", "b", "d", "e"]),
        (gd.fill(value, Length()), ["d"]),
        (mean(Length() + 0 * value, to="sample", where=value > 0), ["a", "e"]),
    ):
        CALLS.clear()
        evaluate(expr, batch)
        assert CALLS["length"] == asked, expr
    np.testing.assert_array_equal(evaluate(gd.fill(value, Length()), batch).values, [1, -1, -1, 1, 0, 0, 2])


def test_two_sources_on_one_axis() -> None:
    """One fails where the other does not: its items are unscored there; a third opens nothing at all."""
    batch = Batch({"response": ["ab", "bad", "c"], "other": ["xy", "uvw", "z"]})

    for expr in (Items() + Others(2.0), Others(2.0) + Items()):
        scores = evaluate(mean(expr, to="sample"), batch)
        np.testing.assert_array_equal(scores.values, [3, NAN, 3])
        assert scores.axes["test"].counts.tolist() == [2, 3, 1]
        assert reasons(scores) == {1: "ValueError: it is bad"}
    late = evaluate(mean(Items() + gate(mean(Items(), to="sample") > 0, Others(2.0)), to="sample"), batch)
    np.testing.assert_array_equal(late.values, [3, NAN, 3])
    early = evaluate(mean(gate(col("go"), Items()) + Others(), to="sample"), batch.with_columns({"go": [1, 0, 0]}))
    np.testing.assert_array_equal(early.values, [2, 1, 1])


def test_an_axis_grows_under_values_that_were_known() -> None:
    """Stage 1 knows nothing of the row that fails; stage 2 brings its items, and what was computed is computed anew."""
    batch = Batch({"response": ["ab", "bad"], "other": ["xy", "uvw"]})

    first = gd.count(gd.position("test") + 0 * gd.fill(Items(), 0), to="sample")
    scores = evaluate(first + 0 * mean(gate(first > 0, Others(2.0)), to="sample"), batch)
    np.testing.assert_array_equal(scores.values, [2, 3])


def test_sources_that_disagree_about_an_axis() -> None:
    """The row fails for the second source, by name; the rows on which they agree are scored."""
    batch = Batch({"response": ["ab", "bad", "c"], "other": ["xy", "uv", "zz"]})

    scores = evaluate(mean(Items() + Others(2.0), to="sample"), batch)
    np.testing.assert_array_equal(scores.values, [3, NAN, NAN])
    assert reasons(scores)[2].startswith("gave 2 values, 'test' has 1 items in this row; a source that opens")
    assert {failure.source for failure in scores.failures if failure.row == 2} == {"others"}


def test_a_judge_of_steps_must_know_how_many_there_are() -> None:
    batch = Batch.from_records(
        [{"response": r, "step.v": v} for r, v in (("ab", [1, 2]), ("abc", [1, 2]), ("bad", [1]), ("", []))]
    )
    scores = evaluate(mean(JudgeItems() + col("step.v"), to="sample"), batch)
    np.testing.assert_array_equal(scores.values, [2, NAN, NAN, NAN])
    assert reasons(scores)[1].startswith("gave 3 values, 'step' has 2 items")
    assert reasons(scores)[2] == "it is bad"
    per_step = evaluate(JudgeItems(), batch)
    np.testing.assert_array_equal(per_step.values, [0, 1, NAN, NAN, NAN])


def test_lists_are_wanted_where_an_axis_is_opened_and_nowhere_else() -> None:
    class Flat(Items):
        def quick(self, *values: Any) -> Any:
            return {"number": 1.0, "text": "11", "inside": ["1"], "array": np.ones(2), "tuple": (1, NAN)}[values[0]]

    told = ["number", "text", "inside", "array", "tuple"]
    scores = evaluate(Flat(), Batch({"response": told}))
    np.testing.assert_array_equal(scores.values, [NAN, NAN, NAN, 1, 1, 1, NAN])
    assert reasons(scores)[0] == "returned float 1.0 where a list, one number per test was expected"
    assert set(reasons(scores)) == {0, 1, 2, 4}


class OnAxis(Bare):
    axis: ClassVar[str] = "step"


def test_a_whole_batch_source_on_an_axis() -> None:
    batch = Batch.from_records([{"response": "a", "step.v": [1, 2]}, {"response": "b", "step.v": []}])
    with pytest.raises(DataError, match=r"Bare|OnAxis.*expected \[2\]|shape \[3\]"):
        evaluate(OnAxis("short"), batch)
    assert evaluate(OnAxis("ones"), batch).values.tolist() == [1, 1]
    with pytest.raises(DataError, match="values per step, which the batch lacks: open it by returning Ragged"):
        evaluate(OnAxis("ones"), Batch({"response": ["a"]}))
    with pytest.raises((DataError, LevelError), match=r"Ragged|gave"):
        evaluate(OnAxis("ragged"), batch)


def test_a_whole_batch_source_that_disagrees_with_the_batch_is_an_error() -> None:
    class Two(Source):
        axis: ClassVar[str] = "step"

        def score(self, batch: Batch) -> Any:
            return Ragged(np.ones(2 * batch.size), np.full(batch.size, 2))

    rows = [{"response": "a", "step.v": [1, 2]}, {"response": "b", "step.v": [1]}]
    with pytest.raises(LevelError, match="row 1: gave 2 values, 'step' has 1 items"):
        evaluate(Two(), Batch.from_records(rows))
    assert evaluate(Two(), Batch.from_records(rows[:1])).values.tolist() == [1, 1]
    assert evaluate(Two(), Batch({"response": ["a", "b"]})).values.tolist() == [1] * 4
