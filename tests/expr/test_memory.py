"""Expressions that remember: batches in sequence, the state in between, and what may be remembered at all."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guerdon.batch import Batch
from guerdon.batch.levels import Array
from guerdon.errors import DataError, ExpressionError, LevelError
from guerdon.expr import col, max, mean, memory, sum
from guerdon.expr.core import Expr
from guerdon.expr.evaluate import evaluate
from guerdon.expr.memory import dual, ema, hold, knn, percentile, previous, running_mean, running_std
from tests.strategies import NAN, World, assert_same, known, worlds

X = col("x")
BATCH_MEAN = mean(X, to="batch")


def run(expr: Expr, batches: Sequence[Batch], through: Callable[[Any], Any] = lambda state: state) -> list[Array]:
    """The values batch after batch; `through` is done to the state in between."""
    state: Mapping[str, Any] = {}
    out: list[Array] = []
    for batch in batches:
        scores = evaluate(expr, batch, state=state)
        out.append(scores.values)
        state = through(scores.state)
    return out


def batches_of(*values: Sequence[float]) -> list[Batch]:
    return [Batch({"x": np.array(rows, np.float64), "group": [0] * len(rows)}) for rows in values]


EVERYTHING: dict[str, Expr] = {
    "dual": dual(BATCH_MEAN - 1, 0.3, high=5),
    "ema": X - ema(BATCH_MEAN, 0.7),
    "hold": hold(BATCH_MEAN, 2),
    "knn": knn(col("step.x"), 2),
    "percentile": X - percentile(X, 0.25, window=5),
    "previous": X - previous(BATCH_MEAN, init=0),
    "running_mean": X - running_mean(X),
    "running_std": X / running_std(X),
}


def with_vectors(world: World) -> Batch:
    """The samples of a world with three steps each, so that they are vectors."""
    lists = [{"step.x": ([step["x"] for step in row["steps"]] + [1.0, 2.0, 3.0])[:3]} for row in world.rows]
    vectors = Batch.from_records(lists)
    return world.batch.with_axis("step", vectors.axes["step"]) if lists else world.batch


@settings(max_examples=30)
@given(st.lists(worlds(most=4), max_size=4))
def test_going_on_from_json_gives_the_same_bits(found: list[World]) -> None:
    batches = [with_vectors(world) for world in found]
    for name, expr in EVERYTHING.items():
        straight = run(expr, batches)
        stored = run(expr, batches, lambda state: json.loads(json.dumps(state)))
        for one, other in zip(straight, stored, strict=True):
            np.testing.assert_array_equal(one, other, err_msg=name)


@settings(max_examples=50)
@given(st.lists(worlds(most=4), min_size=1, max_size=4))
def test_two_batches_are_remembered_like_one(found: list[World]) -> None:
    """After the last batch, the mean and deviation of all values are those of one pass over all of them."""
    seen = known([row["x"] for world in found for row in world.rows])
    batches = [world.batch for world in found] + [Batch({"x": [NAN]})]
    average = math.fsum(seen) / len(seen) if seen else NAN
    assert_same(run(running_mean(X), batches)[-1], [average])
    spread = math.sqrt(math.fsum((v - average) ** 2 for v in seen) / len(seen)) if seen else NAN
    assert_same(run(running_std(X), batches)[-1], [spread])
    for q, window in ((0.5, 3), (0.0, 100), (1.0, 2)):
        recent = seen[-window:]
        wanted = float(np.quantile(recent, q)) if recent else NAN
        assert_same(run(percentile(X, q, window=window), batches)[-1], [wanted])


def test_by_hand() -> None:
    batches = batches_of([1, 3], [5], [NAN], [9, 9, 9])
    means = [2.0, 5.0, NAN, 9.0]
    assert_same([v[0] for v in run(ema(BATCH_MEAN, 0.5), batches)], [2, 3.5, 3.5, 6.25])
    assert_same([v[0] for v in run(previous(BATCH_MEAN), batches)], [NAN, *means[:3]])
    assert_same([v[0] for v in run(hold(BATCH_MEAN, 2), batches)], [2, 2, 2, 2])
    assert_same([v[0] for v in run(hold(BATCH_MEAN, 3), batches)], [2, 2, 2, 9])
    assert_same([v[0] for v in run(dual(BATCH_MEAN - 4, 1.0), batches)], [0, 0, 1, 1])
    assert_same([v[0] for v in run(dual(BATCH_MEAN, 1.0, init=1, high=4), batches)], [1, 3, 4, 4])
    assert_same([v[0] for v in run(running_mean(X), batches)], [2, 3, 3, 6])
    assert_same([v[0] for v in run(percentile(X, 0.5, window=2), batches)], [2, 4, 4, 9])


def test_hold_waits_for_its_first_value() -> None:
    assert_same([v[0] for v in run(hold(BATCH_MEAN, 3), batches_of([NAN], [4], [5], [6]))], [NAN, 4, 4, 6])


def test_a_memory_may_take_values_per_group() -> None:
    """Each group counts once, not once per sample."""
    batch = Batch({"group": [1, 1, 2], "x": [1.0, 3.0, 8.0]})
    assert evaluate(running_mean(max(X, to="group")), batch).values.tolist() == [5.5] * 3
    assert evaluate(running_mean(X), batch).values.tolist() == [4] * 3


def test_an_empty_batch_changes_nothing() -> None:
    for name, expr in EVERYTHING.items():
        first = Batch.from_records([{"x": 2.0, "step.x": [1.0, 0.0]}, {"x": 4.0, "step.x": [0.0, 1.0]}])
        empty = first.select([])
        state = evaluate(expr, first).state
        after = evaluate(expr, empty, state=state).state
        if name not in ("previous", "hold"):
            assert after == state, name


def test_the_state_is_handed_on_not_changed() -> None:
    batches = batches_of([1.0], [2.0])
    scores = evaluate(ema(BATCH_MEAN, 0.5), batches[0])
    before = json.dumps(scores.state)
    evaluate(ema(BATCH_MEAN, 0.5), batches[1], state=scores.state)
    assert json.dumps(scores.state) == before


def test_memories_are_kept_under_their_names() -> None:
    both = ema(BATCH_MEAN, 0.5, name="level") + ema(BATCH_MEAN, 0.9)
    state = evaluate(both, batches_of([1.0])[0]).state
    assert state["level"] == {"mean": 1.0}
    assert len(state) == 2
    unrelated = evaluate(X, batches_of([1.0])[0], state={"other": {"mean": 3.0}}).state
    assert unrelated == {"other": {"mean": 3.0}}, "what this reward does not know is handed on"


def test_one_name_for_two_memories_is_refused() -> None:
    two = ema(BATCH_MEAN, 0.5, name="a") + previous(BATCH_MEAN, init=0, name="a")
    with pytest.raises(ExpressionError, match="two different memories are called 'a'"):
        evaluate(two, batches_of([1.0])[0])
    same = ema(BATCH_MEAN, 0.5, name="a") * 2 + ema(BATCH_MEAN, 0.5, name="a")
    assert evaluate(same, batches_of([1.0])[0]).values.tolist() == [3]


def test_neighbours_by_hand() -> None:
    rows = [{"v.x": [3.0, 4.0], "good": 1}, {"v.x": [0.0, 2.0], "good": 0}, {"v.x": [], "good": 1}]
    batch = Batch.from_records(rows)
    novelty = knn(col("v.x"), 1, metric="euclidean", where=col("good"))
    first, second, third = run(novelty, [batch, batch, batch])
    assert_same(first, [NAN] * 3)
    assert_same(second, [0, math.sqrt(13), NAN])
    assert_same(third, second)
    everyone = run(knn(col("v.x"), 2, metric="cosine"), [batch, batch])[1]
    assert_same(everyone, [0.1, 0.1, NAN])


def test_vectors_must_have_one_length() -> None:
    batch = Batch.from_records([{"v.x": [1.0, 2.0]}, {"v.x": [1.0]}])
    with pytest.raises(DataError, match=r"vectors of one length on axis 'v', got \[1, 2\]"):
        evaluate(knn(col("v.x"), 1), batch)
    assert_same(evaluate(knn(col("v.x"), 1), Batch.from_records([{"v.x": []}, {"v.x": None}])).values, [NAN, NAN])


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda: ema(X, 0.5), r"ema takes one value per batch, .* is per sample: reduce it.*to='batch'"),
        (lambda: hold(max(X, to="group"), 2), "hold takes one value per batch, .* is per group"),
        (lambda: dual(col("step.x"), 1), "dual takes one value per batch, .* is per step"),
        (lambda: previous(X), "previous takes one value per batch, .* is per sample"),
        (lambda: percentile(col("step.x"), 0.5), r"percentile takes one value per sample, .* is per step"),
        (lambda: running_mean(col("step.x")), "running_mean takes one value per sample, .* is per step"),
        (lambda: running_std(col("step.x")), "running_std takes one value per sample, .* is per step"),
        (lambda: knn(X, 1), "knn takes an axis of equal length per row .*, .* is per sample"),
        (lambda: knn(BATCH_MEAN, 1), "is per batch"),
        (lambda: knn(col("v.x"), 1, where=col("v.y")), "where= chooses samples, .* is per v"),
    ],
)
def test_levels_are_refused_while_building(wrong: Callable[[], Expr], words: str) -> None:
    with pytest.raises(LevelError, match=words):
        wrong()


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: ema(BATCH_MEAN, 1.0),
        lambda: ema(BATCH_MEAN, -0.1),
        lambda: percentile(X, 1.1),
        lambda: percentile(X, 0.5, window=0),
        lambda: hold(BATCH_MEAN, 0),
        lambda: knn(col("v.x"), 0),
        lambda: knn(col("v.x"), 1, capacity=0),
        lambda: knn(col("v.x"), 1, metric="manhattan"),
        lambda: dual(BATCH_MEAN, 1.0, low=2, high=1),
        lambda: dual(BATCH_MEAN, 1.0, init=-1),
    ],
)
def test_wrong_arguments_are_refused(wrong: Callable[[], Expr]) -> None:
    with pytest.raises(ExpressionError):
        wrong()


def test_a_memory_lives_per_batch_and_knn_per_sample() -> None:
    assert {name: expr.level for name, expr in EVERYTHING.items() if name in ("dual", "hold", "knn")} == {
        "dual": "batch",
        "hold": "batch",
        "knn": "sample",
    }
    assert sum(X, to="batch").level == "batch"


def test_everything_here_is_exported_and_tried() -> None:
    assert {*globals()} & {*memory.__all__} == {*memory.__all__} == {*EVERYTHING}
