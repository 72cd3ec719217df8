"""Arithmetic over a whole tree: sharing, levels between levels, and what is refused while the tree is built."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from guerdon.batch import Batch
from guerdon.batch.levels import Array
from guerdon.errors import ExpressionError, LevelError, MissingColumn
from guerdon.expr import col, count, lag, leave_one_out, lift, max, mean, position, rank, sum, where, zscore
from guerdon.expr.compute import Arithmetic
from guerdon.expr.core import Const, Expr
from guerdon.expr.evaluate import evaluate
from guerdon.expr.nodes import Reduce, Window
from guerdon.expr.source import Source
from tests.strategies import NAN, World, assert_same, column, compute, known, worlds

X, V = col("x"), col("step.v")


@given(worlds())
def test_reduce_then_spread_is_the_window(world: World) -> None:
    """Over every pair of levels: the value of the coarser one, repeated, is the window over it."""
    for fine, coarse in (
        ("step", "sample"),
        ("step", "group"),
        ("step", "batch"),
        ("sample", "group"),
        ("sample", "batch"),
    ):
        x = column("x", fine)
        for op in (mean, sum, max, count):
            spread = op(x, to=coarse) + 0 * count(x, over="batch")
            assert_same(compute(spread, world.batch), compute(op(x, over=coarse), world.batch))


@given(worlds())
def test_sums_in_stages_are_the_sum_at_once(world: World) -> None:
    """step → sample → group → batch, and every short cut."""
    x = column("x", "step")
    wanted = compute(sum(x, to="batch"), world.batch)
    for path in (("sample",), ("group",), ("sample", "group")):
        staged = x
        for level in path:
            staged = sum(staged, to=level)
        assert_same(compute(sum(staged, to="batch"), world.batch), wanted)


@given(worlds())
def test_a_window_over_group_and_position_is_the_mean_of_a_column_of_the_table(world: World) -> None:
    """over=("group", "step"): a step is compared with the steps at the same position of the group's other samples."""
    expr = mean(column("x", "step"), over=("group", "step"))
    wanted = []
    for row, k in world.places("step"):
        peers = [
            other["steps"][k]["x"]
            for other in world.rows
            if other["label"] == world.rows[row]["label"] and len(other["steps"]) > k
        ]
        wanted.append(np.mean(known(peers)) if known(peers) else NAN)
    assert_same(compute(expr, world.batch), wanted)


@settings(max_examples=30)
@given(worlds())
def test_equal_subtrees_are_computed_once(world: World) -> None:
    arithmetic = Arithmetic(world.batch, world.batch.levels(), {})
    once = zscore(X, over="group")
    arithmetic.value(once)
    held = arithmetic.values[once]
    twice = arithmetic.value(zscore(col("x"), over="group") * 2 + once)
    assert arithmetic.values[once] is held
    assert_same(twice, held * 3)


def test_values_put_in_from_outside_are_used_as_they_are() -> None:
    batch = Batch({"x": [1.0, 2.0]})
    arithmetic = Arithmetic(batch, batch.levels(), {})
    arithmetic.values[X] = np.array([10.0, 20.0])
    assert arithmetic.value(X + 1).tolist() == [11, 21]
    assert arithmetic.at(mean(X, to="batch"), "sample").tolist() == [15, 15]


def test_the_inputs_are_left_alone() -> None:
    x, v = np.array([3.0, NAN, 1.0]), np.array([1.0, 2.0])
    batch = Batch.from_records([{"step.v": [1.0, 2.0]}, {}, {}]).with_columns({"x": x, "group": [0, 0, 0]})
    for expr in (rank(X, over="group"), leave_one_out(X, over="group"), X.named("a"), lag(V, along="step", fill=X)):
        evaluate(expr, batch).values[:] = 99
    np.testing.assert_array_equal(batch["x"], [3, NAN, 1])
    np.testing.assert_array_equal(batch["step.v"], v)
    np.testing.assert_array_equal(x, [3, NAN, 1])


def test_an_empty_batch_gives_empty_values() -> None:
    batch = Batch.from_records([]).with_columns({"x": [], "group": []})
    batch = batch.with_axis("step", Batch.from_records([{"step.v": [1.0]}]).select([]).axes["step"])
    for expr in (X, mean(X, over="group"), rank(X, over="batch"), sum(V, to="sample"), mean(V, over=("group", "step"))):
        assert compute(expr, batch).shape == (0,), expr
    assert compute(sum(X, to="batch"), batch).tolist() == [0]
    assert_same(compute(mean(V, to="batch"), batch), [NAN])
    assert compute(count(mean(X, to="group"), to="batch"), batch).tolist() == [0]


def test_rows_without_items() -> None:
    batch = Batch.from_records([{"step.v": []}, {"step.v": [4.0]}, {"step.v": None}]).with_columns({"group": [1, 2, 1]})
    assert_same(compute(mean(V, to="sample"), batch), [NAN, 4, NAN])
    assert_same(compute(sum(V, to="sample"), batch), [0, 4, 0])
    assert_same(compute(max(V, to="group", empty=-1), batch), [-1, 4])
    assert_same(compute(mean(V, over="group"), batch), [4])


def test_built_in_columns_of_an_axis_and_their_overriding() -> None:
    batch = Batch.from_records([{"step.v": [1.0, 1.0]}, {"step.v": [1.0]}])
    assert compute(position("step") * 10 + col("step.count"), batch).tolist() == [2, 12, 1]
    assert compute(sum(V, over="step.count"), batch).tolist() == [2, 2, 1]
    own = Batch.from_records([{"step.position": [5, 6]}])
    assert compute(position("step"), own).tolist() == [5, 6]
    with pytest.raises(MissingColumn, match=r"step\.size"):
        compute(col("step.size"), batch)


def build_reduce(level: str, to: str) -> Expr:
    return mean(column("x", level), to=to)


@pytest.mark.parametrize(
    ("level", "to"),
    [pair for pair in itertools.product(("batch", "group", "sample"), repeat=2) if pair[0] in ("batch", pair[1])]
    + [("group", "sample")],
)
def test_reducing_to_the_same_or_a_finer_level_is_refused(level: str, to: str) -> None:
    with pytest.raises(LevelError) as caught:
        build_reduce(level, to)
    assert f"already per {level}, which is not finer than {to}" in str(caught.value)
    assert "over=" in str(caught.value)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda: mean(X, to="step"), "'sample', 'group' or 'batch', not to 'step'; over='step'"),
        (lambda: mean(V, to="step"), "not to 'step'"),
        (
            lambda: mean(V, to="sample", where=col("token.m")),
            "mean cannot combine values per step .* with values per token",
        ),
        (lambda: mean(max(X, to="batch"), over="batch"), "one value for the whole batch, nothing to look over"),
        (lambda: mean(lift(1), over="group"), "one value for the whole batch"),
        (lambda: mean(X, over="sample"), "'sample' does not cut values per sample"),
        (lambda: mean(X, over="step.v"), "'step.v' does not cut values per sample"),
        (
            lambda: mean(max(X, to="group"), over="group"),
            "'group' does not cut values per group.*no other at this level",
        ),
        (lambda: mean(max(X, to="group"), over="k"), "'k' does not cut values per group"),
        (lambda: mean(V, over="token.k"), r"'token\.k' does not cut values per step.*'sample', 'step'"),
        (lambda: mean(X, over=("batch", "group")), "'batch' means everything.*drop one"),
        (lambda: mean(V, over=("group", col("token.k"))), "per step .* per token"),
        (lambda: V + col("token.v"), "add cannot combine values per step .* with values per token"),
        (lambda: where(V, X, col("token.v")), "where cannot combine values per step"),
        (lambda: zscore(V, over="sample", where=col("token.m")), "per step .* per token"),
    ],
)
def test_levels_are_refused_while_building(wrong: Callable[[], Expr], words: str) -> None:
    """The message names both levels and says what to write."""
    with pytest.raises(LevelError, match=words):
        wrong()


@pytest.mark.parametrize(
    ("expr", "words"),
    [
        (mean(X, over="group"), "no groups: add a column `group`"),
        (max(X, to="group"), "no groups"),
        (mean(position("step"), over="step"), "no axis 'step'"),
        (sum(position("turn"), to="sample"), "no axis 'turn'"),
    ],
)
def test_a_batch_without_the_level_is_refused_before_anything_runs(expr: Expr, words: str) -> None:
    with pytest.raises((LevelError, MissingColumn), match=words):
        evaluate(expr, Batch({"x": [1.0]}))


def test_a_missing_key_column_names_the_nearest() -> None:
    with pytest.raises(MissingColumn, match="Did you mean 'user'"):
        evaluate(mean(X, over=("usr",)), Batch({"x": [1.0], "user": ["a"]}))


class _Unrun(Source):
    def score(self, batch: Batch) -> Array:
        raise AssertionError("arithmetic never runs a source")


def test_arithmetic_does_not_run_sources() -> None:
    with pytest.raises(ExpressionError, match="must come from running it"):
        compute(_Unrun() + 1, Batch({"response": ["a"]}))


def test_nothing_counts_is_not_nobody_could_say() -> None:
    """Over columns the sum of nothing is 0; where a source failed it is unknown. `count` counts, `empty=` decides."""
    batch = Batch({"response": ["a"] * 4, "group": [1, 2, 3, 4], "x": [1.0, 1.0, NAN, NAN], "m": [0.0, NAN, 1.0, 0.0]})

    def given(expr: Expr) -> list[float]:
        arithmetic = Arithmetic(batch, batch.levels(), {})
        arithmetic.values[_Unrun()] = batch.numbers("m")
        return arithmetic.value(expr).tolist()

    failed = _Unrun()
    assert_same(given(sum(X, to="group", where=col("m"))), [0, 0, 0, 0])
    assert_same(given(sum(X, to="group", where=failed)), [0, NAN, 0, 0])
    assert_same(given(sum(failed, to="group")), [0, NAN, 1, 0])
    assert_same(given(count(X, to="group", where=failed)), [0, 0, 0, 0])
    assert_same(given(sum(X, to="group", where=failed, empty=-1)), [-1, -1, -1, -1])


def test_nodes_built_by_hand_are_checked_too() -> None:
    with pytest.raises(LevelError):
        Reduce("mean", Const(1.0), "group")
    with pytest.raises(ExpressionError):
        Window("mean", X, ())
    with pytest.raises(ExpressionError):
        Window("mean", X, (3,))  # type: ignore[arg-type]


def test_one_value_per_batch_and_group_is_repeated_for_every_sample() -> None:
    batch = Batch({"x": [1.0, 3.0, 8.0], "group": ["b", "a", "b"]})
    assert evaluate(max(X, to="batch"), batch).values.tolist() == [8] * 3
    assert evaluate(mean(X, to="group"), batch).values.tolist() == [4.5, 3, 4.5]
    assert compute(mean(X, to="group"), batch).tolist() == [4.5, 3]
    assert evaluate(rank(mean(X, to="group"), over="batch"), batch).values.tolist() == [2, 1, 2]


def test_many_rows_in_many_groups() -> None:
    """Against numpy on rows that lie group after group: 3000 groups of ragged size, scattered."""
    random = np.random.default_rng(0)
    sizes = random.integers(1, 9, 3000)
    group = np.repeat(np.arange(3000), sizes)
    x = random.normal(size=len(group))
    order = random.permutation(len(group))
    batch = Batch({"group": group[order], "x": x[order]})
    wanted: Any = np.concatenate([p - p.mean() for p in np.split(x, np.cumsum(sizes)[:-1])])
    assert_same(compute(X - mean(X, over="group"), batch), wanted[order], 1e-12)
