"""The whole way from a reward and a batch to scores: who may call it, what is NaN and why, what is handed on."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

import guerdon as gd
from guerdon.batch import Batch
from guerdon.errors import DataError, GuerdonError, MissingColumn, ScoringError
from guerdon.expr import channels, col, edit, ema, fill, gate, is_unscored, lift, mean, on, where
from guerdon.expr.evaluate import evaluate, evaluate_async
from guerdon.expr.plan import plan
from guerdon.expr.run import Failure
from tests.expr.leaves import CALLS, Costly, Items, Judge, Length, Relative, Worker
from tests.strategies import World, worlds

NAN = math.nan
REWARD = 0.5 * Length() + 0.1 * Worker() + mean(Length(), over="group")
BATCH = Batch({"response": ["a", "bb", "bad", "ccc"], "group": [0, 0, 0, 1]})
WANTED = [2.2, 2.7, NAN, 4.7]


@pytest.fixture(autouse=True)
def _nothing_asked() -> None:
    CALLS.clear()


def test_with_and_without_a_running_event_loop() -> None:
    """The same numbers from plain code, from inside a running loop (a notebook), and awaited."""

    async def inside() -> Any:
        return evaluate(REWARD, BATCH).values, (await evaluate_async(REWARD, BATCH)).values

    for values in (evaluate(REWARD, BATCH).values, *asyncio.run(inside())):
        np.testing.assert_allclose(values, WANTED)


def test_errors_come_out_of_a_running_loop_too() -> None:
    async def inside() -> None:
        with pytest.raises(MissingColumn, match="'x'"):
            evaluate(col("x"), BATCH)

    asyncio.run(inside())


def test_many_evaluations_at_once() -> None:
    async def inside() -> list[Any]:
        return await asyncio.gather(*(evaluate_async(REWARD, BATCH.select([i])) for i in range(4)))

    alone = [0.5 * n + 0.2 + n for n in (1, 2, 3)]
    np.testing.assert_allclose([s.values[0] for s in asyncio.run(inside())], [alone[0], alone[1], NAN, alone[2]])


def test_a_plan_can_be_used_again() -> None:
    planned = plan(Length() + mean(Length(), over="batch"))
    assert evaluate(planned, BATCH.select([0, 1])).values.tolist() == [2.5, 3.5]
    assert evaluate(planned, BATCH.select([3])).values.tolist() == [6]


def test_the_step_of_a_schedule() -> None:
    reward = gd.anneal.linear(1, 0, 10) * col("x")
    batch = Batch({"x": [1.0, 2.0], "t": [0, 5]})
    assert evaluate(reward, batch).values.tolist() == [1, 1]
    assert evaluate(reward, batch, t=5).values.tolist() == [0.5, 1]
    assert evaluate(reward, batch.select([0]), t=20).values.tolist() == [0]
    with pytest.raises(MissingColumn, match=r"evaluate\(\.\.\., t=100\)"):
        evaluate(reward, Batch({"x": [1.0]}))
    assert list(batch["t"]) == [0, 5]


def test_raise_says_how_many_and_the_first() -> None:
    batch = BATCH.select([3, 2, 0, 2])
    with pytest.raises(ScoringError, match=r"2 of 4 rows could not be scored; row 1, length: ValueError: it is bad"):
        evaluate(Length(), batch, on_error="raise")
    assert evaluate(Length(), batch.select([0, 2]), on_error="raise").values.tolist() == [3, 1]
    with pytest.raises(ScoringError, match="row 0, reward: the value is infinite"):
        evaluate(1 / col("group"), BATCH.select([0]), on_error="raise")


@pytest.mark.parametrize("on_error", ["ignore", "", None])
def test_another_word_for_on_error(on_error: Any) -> None:
    with pytest.raises(DataError, match="'nan' or 'raise', got"):
        evaluate(Length(), BATCH, on_error=on_error)
    assert not CALLS["length"]


def test_no_workers_are_refused() -> None:
    with pytest.raises(GuerdonError, match="positive"):
        evaluate(Worker(), BATCH, workers=0)


def test_infinite_values_are_unscored_and_say_so() -> None:
    batch = Batch({"x": [1.0, 0.0, -0.0, NAN]})
    scores = evaluate(1 / col("x"), batch)
    np.testing.assert_array_equal(scores.values, [1, NAN, NAN, NAN])
    assert [f.reason for f in scores.failures] == ["the value is infinite: guard the division or logarithm"] * 2 + [
        "x is missing"
    ]


def test_why_the_arithmetic_gave_nothing() -> None:
    batch = Batch({"x": [0.0, 1.0, 2.0], "text": ["one", "2", None], "group": [0, 1, 1]})
    cases: list[tuple[Any, dict[int, str]]] = [
        (col("x") / col("x"), {0: "the arithmetic gave no number (0/0, or an empty window or axis)"}),
        (col("text") + 1, {0: "text is not a number: 'one'", 2: "text is missing"}),
        (mean(col("x"), over="group", where=col("x") > 0), {0: "the arithmetic gave no number (0/0, or an empty window or axis)"}),
        (where(col("text") > 0, col("x"), 1 / 0.5), {0: "text is not a number: 'one'", 2: "text is missing"}),
        (fill(col("text"), 0) + col("x"), {}),
        (is_unscored(col("text")), {}),
    ]  # fmt: skip
    for expr, wanted in cases:
        scores = evaluate(expr, batch)
        assert {f.row: f.reason for f in scores.failures} == wanted, expr
        assert set(np.flatnonzero(np.isnan(scores.values)).tolist()) == set(wanted)


@settings(max_examples=60)
@given(worlds())
def test_every_unscored_value_has_a_record(world: World) -> None:
    """At every level, whatever is missing: values, masks, groups, items."""
    steps = world.batch.axes["step"].index
    for expr in (
        col("x") / col("y"),
        gd.log(col("x")) - mean(col("m"), over="group"),
        gd.zscore(col("x"), over="group", where=col("m")),
        gd.max(col("x"), to="group"),
        gd.median(col("x"), to="batch"),
        mean(col("step.x"), to="sample", where=col("step.m")),
        col("step.x") / col("step.y") + col("x"),
    ):
        scores = evaluate(expr, world.batch)
        assert np.isfinite(scores.values[~np.isnan(scores.values)]).all()
        rows = steps if scores.level == "step" else np.arange(world.batch.size)
        assert set(rows[np.isnan(scores.values)].tolist()) <= {f.row for f in scores.failures}, expr
        assert [f.row for f in scores.failures] == sorted(f.row for f in scores.failures)


def test_rows_that_could_not_be_read() -> None:
    batch = Batch({"x": [1.0, 2.0, 3.0]}, problems={2: "line 3 is no JSON", 0: "line 1 is empty"})
    scores = evaluate(fill(col("x"), 7), batch)
    np.testing.assert_array_equal(scores.values, [NAN, 2, NAN])
    assert scores.failures == [Failure(0, "file", "line 1 is empty"), Failure(2, "file", "line 3 is no JSON")]
    steps = Batch.from_records([{"step.v": [1, 2]}, {"step.v": [3]}])
    steps = Batch({}, steps.axes, {0: "cut off"}, 2)
    np.testing.assert_array_equal(evaluate(col("step.v"), steps).values, [NAN, NAN, 3])


def test_a_source_inside_recur() -> None:
    """Which branch is taken depends on the value before, so the source is asked for every row."""
    reward = gd.recur(where(gd.prev > 2, Length(), gd.prev + Length()), init=0, along="group")
    batch = Batch({"response": ["a", "bb", "ccc", "d"], "group": [0, 0, 0, 1]})
    assert evaluate(reward, batch).values.tolist() == [1, 3, 3, 1]


def test_an_empty_batch() -> None:
    empty = BATCH.with_columns({"id": list("abcd"), "x": [1.0] * 4}).select([])
    for expr in (REWARD, Judge() + Costly(), on(Length(), edit.truncate(0.5)), mean(Items(), to="sample"), Relative()):
        scores = evaluate(expr, empty)
        assert scores.values.shape == (0,)
        assert scores.failures == []
        assert "0 per sample" in repr(scores)
    assert evaluate(lift(3), empty).values.shape == (0,)
    assert evaluate(lift(3), Batch({}, size=2)).values.tolist() == [3, 3]


def test_a_reward_on_an_axis_keeps_its_level() -> None:
    batch = Batch.from_records([{"step.v": [1, None]}, {"step.v": []}, {"step.v": [4]}])
    scores = evaluate((col("step.v") * 2).named("double") + 1, batch)
    assert scores.level == "step"
    np.testing.assert_array_equal(scores.values, [3, NAN, 9])
    np.testing.assert_array_equal(scores.items["double"], [2, NAN, 8])
    assert scores.parts == {}
    assert [f.row for f in scores.failures] == [0]


def test_rewards_of_a_group_or_batch_are_spread_to_the_rows() -> None:
    assert evaluate(gd.sum(Length(), to="group"), BATCH).values.tolist() == [3, 3, 3, 3]
    assert evaluate(gd.max(Length(), to="batch"), BATCH).values.tolist() == [3] * 4
    assert evaluate(lift(0.5), BATCH).values.tolist() == [0.5] * 4
    assert evaluate(gd.max(Length(), to="group").named("best") * 1, BATCH).parts["best"].tolist() == [2, 2, 2, 3]
    assert evaluate(gd.max(Length(), to="group"), BATCH).level == "sample"


def test_state_goes_in_and_comes_out() -> None:
    average = ema(mean(col("x"), to="batch"), 0.5, name="average")
    other = gd.running_mean(col("x"))
    first = evaluate(col("x") - average + 0 * other, Batch({"x": [1.0, 3.0]}))
    assert first.values.tolist() == [-1, 1]
    before = dict(first.state)
    second = evaluate(col("x") - average + 0 * other, Batch({"x": [4.0]}), state=first.state)
    assert second.values.tolist() == [1]
    assert second.state["average"] == {"mean": 3.0}
    assert first.state == before
    kept = evaluate(col("x"), Batch({"x": [1.0]}), state={**second.state, "stranger": {"n": 1}})
    assert kept.state == {**second.state, "stranger": {"n": 1}}


def test_state_of_a_view_and_of_the_reward_around_it() -> None:
    """A condition that remembers is evaluated before the view behind it; the view must not take the old memory back."""
    average = ema(mean(col("x"), to="batch"), 0.5, name="outside")
    inside = on(Length() + 0 * ema(mean(Length(), to="batch"), 0.5, name="inside"), edit.truncate(1.0))
    reward = gate(average > -1, inside)
    one = evaluate(reward, BATCH.with_columns({"x": [0.0] * 4}))
    two = evaluate(reward, BATCH.with_columns({"x": [1.0] * 4}), state=one.state)
    assert two.state == {"outside": {"mean": 0.5}, "inside": {"mean": 2.0}}
    later = gate(average > -1, on(Length(), edit.truncate(1.0)))
    assert [leaf.stage for leaf in plan(later).leaves] == [0]
    assert [leaf.demands for leaf in plan(later).leaves] != [(frozenset(),)]
    one = evaluate(later, BATCH.with_columns({"x": [0.0] * 4}))
    two = evaluate(later, BATCH.with_columns({"x": [1.0] * 4}), state=one.state)
    assert two.state == {"outside": {"mean": 0.5}}


def test_parts_are_what_was_named_and_every_source() -> None:
    reward = (0.5 * Length()).named("half") + channels(judge=Judge("group"), rest=col("group") * 2)
    scores = evaluate(reward, BATCH.with_columns({"id": list("abcd")}))
    np.testing.assert_array_equal(scores.parts["half"], [0.5, 1, NAN, 1.5])
    np.testing.assert_array_equal(scores.parts["length"], [1, 2, NAN, 3])
    assert set(scores.parts) == {"half", "length", "judge", "rest"}
    assert {name: values.tolist() for name, values in scores.channels.items()} == {
        "judge": [0, 0, 0, 1],
        "rest": [0, 0, 0, 2],
    }
    assert evaluate(Length(), BATCH).channels == {}
    spared = evaluate(gate(col("group") > 0, Length()), BATCH)
    np.testing.assert_array_equal(spared.parts["length"], [NAN, NAN, NAN, 3])
    assert spared.values.tolist() == [0, 0, 0, 3]


def test_leaves_of_one_stage_run_side_by_side() -> None:
    """Two judges that wait for one another would never end if one ran after the other."""
    meeting: dict[str, asyncio.Event] = {}

    class First(gd.AsyncSource):
        async def score_row(self, *values: Any) -> float:
            meeting["first"].set()
            await meeting["second"].wait()
            return 1.0

    class Second(gd.AsyncSource):
        async def score_row(self, *values: Any) -> float:
            meeting["second"].set()
            await meeting["first"].wait()
            return 2.0

    async def main() -> Any:
        meeting.update(first=asyncio.Event(), second=asyncio.Event())
        return await asyncio.wait_for(evaluate_async(First() + Second(), BATCH.select([0])), 30)

    assert asyncio.run(main()).values.tolist() == [3]


def test_the_values_of_one_evaluation_are_its_own() -> None:
    batch = Batch({"x": [1.0, 2.0]})
    scores = evaluate(col("x"), batch)
    scores.values[:] = 9
    assert batch["x"].tolist() == [1, 2]
    assert evaluate(col("x"), batch).values.tolist() == [1, 2]
