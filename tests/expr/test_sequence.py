"""Scans as expressions: along an axis and along a group, with and without an order, and their laws."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guerdon.batch import Batch
from guerdon.errors import ExpressionError, LevelError
from guerdon.expr import col, eq, fill, max, maximum, mean, position, sequence, where
from guerdon.expr.core import Expr
from guerdon.expr.evaluate import evaluate
from guerdon.expr.sequence import (
    cummax,
    cummean,
    cummin,
    cumprod,
    cumsum,
    diff,
    discounted,
    first_where,
    lag,
    latch,
    lead,
    prev,
    recur,
    revcumsum,
)
from tests.strategies import NAN, World, assert_same, compute, worlds

V, X = col("step.x"), col("x")
Floats = list[float]


def steps_of(world: World, name: str = "x") -> list[Floats]:
    return [[float(step[name]) for step in row["steps"]] for row in world.rows]


def members(world: World, order: str | None) -> list[list[int]]:
    """The rows of each group, in the order in which a scan along "group" meets them: NaN last, ties as they stand."""

    def place(row: int) -> tuple[bool, float]:
        value = world.rows[row][order] if order else 0.0
        return math.isnan(value), 0.0 if math.isnan(value) else value

    rows: dict[Any, list[int]] = {}
    for i, row in enumerate(world.rows):
        rows.setdefault(row["label"], []).append(i)
    return [sorted(found, key=place) for found in rows.values()]


def loop(values: Floats, step: Callable[[float, float], float], start: float) -> Floats:
    out: Floats = []
    for value in values:
        start = step(start, value)
        out.append(start)
    return out


BUILT: dict[str, tuple[Callable[..., Expr], Callable[[Floats], Floats]]] = {
    "cumsum": (cumsum, lambda v: loop(v, lambda a, b: a + b, 0.0)),
    "cumprod": (cumprod, lambda v: loop(v, lambda a, b: a * b, 1.0)),
    "cummean": (cummean, lambda v: [a / (k + 1) for k, a in enumerate(loop(v, lambda a, b: a + b, 0.0))]),
    "cummax": (cummax, lambda v: [NAN if nan(v[: k + 1]) else sorted(v[: k + 1])[-1] for k in range(len(v))]),
    "cummin": (cummin, lambda v: [NAN if nan(v[: k + 1]) else sorted(v[: k + 1])[0] for k in range(len(v))]),
    "revcumsum": (revcumsum, lambda v: loop(v[::-1], lambda a, b: a + b, 0.0)[::-1]),
    "diff": (diff, lambda v: [b - a for a, b in zip([0.0, *v], v, strict=False)]),
    "lag": (lag, lambda v: [NAN, *v][: len(v)]),
    "lead": (lead, lambda v: [*v[1:], NAN][: len(v)]),
}


def nan(values: Floats) -> bool:
    return bool([v for v in values if math.isnan(v)])


@given(worlds())
def test_along_an_axis(world: World) -> None:
    for name, (build, definition) in BUILT.items():
        expr = build(V, along="step")
        assert expr.level == "step"
        wanted = [value for values in steps_of(world) for value in definition(values)]
        assert_same(compute(expr, world.batch), wanted, note=name)


@given(worlds(), st.sampled_from([None, "y", "m"]))
def test_along_a_group_in_an_order(world: World, order: str | None) -> None:
    for name, (build, definition) in BUILT.items():
        expr = build(X, along="group", order=None if order is None else col(order))
        assert expr.level == "sample"
        wanted = [NAN] * len(world.rows)
        for rows in members(world, order):
            values = definition([world.rows[row]["x"] for row in rows])
            for row, value in zip(rows, values, strict=True):
                wanted[row] = value
        assert_same(compute(expr, world.batch), wanted, note=name)


@given(worlds(), st.sampled_from([None, "y"]))
def test_recur_is_a_loop_along_a_group(world: World, order: str | None) -> None:
    expr = recur(
        maximum(0.5 * prev + X, max(col("m"), to="group")),
        init=col("y"),
        along="group",
        order=None if order is None else col(order),
    )
    wanted = [NAN] * len(world.rows)
    for rows in members(world, order):
        state = world.rows[rows[0]]["y"]
        for row in rows:
            bound = world.value("m", world.rows[row]["label"], "group")
            state = 0.5 * state + world.rows[row]["x"]
            state = NAN if nan([state, bound]) else state if state > bound else bound
            wanted[row] = state
    assert_same(compute(expr, world.batch), wanted)


@given(worlds())
def test_recur_is_a_loop_along_an_axis(world: World) -> None:
    """With values per step, per sample and per batch in the step, and `prev` used twice."""
    expr = recur(where(prev < V, prev * X, prev - V), init=mean(V, to="sample"), along="step")
    wanted: Floats = []
    for row, values in zip(world.rows, steps_of(world), strict=True):
        scored = [v for v in values if not math.isnan(v)]
        state = math.fsum(scored) / len(scored) if scored else NAN
        for v in values:
            state = NAN if nan([v, state]) else state * row["x"] if v > state else state - v
            wanted.append(state)
    assert_same(compute(expr, world.batch), wanted)


@given(worlds(), st.integers(1, 3))
def test_lag_and_lead_undo_each_other(world: World, n: int) -> None:
    """Away from the ends, and at the ends `fill` stands."""
    there = compute(lead(lag(V, n, along="step", fill=-9), n, along="step", fill=-8), world.batch)
    wanted = [v if k + n < len(values) else -8 for values in steps_of(world) for k, v in enumerate(values)]
    assert_same(there, wanted)


@given(worlds())
def test_laws(world: World) -> None:
    batch = world.batch
    known = fill(V, 0)
    same = [
        (discounted(V, 1, along="step"), revcumsum(V, along="step")),
        (discounted(V, 0, along="step"), V + 0 * revcumsum(V, along="step")),
        (cumsum(V, along="step"), recur(prev + V, init=0, along="step")),
        (cumsum(diff(known, along="step"), along="step"), known),
        (cummax(V, along="step"), -cummin(-V, along="step")),
        (latch(V, along="step"), cummax(fill(eq(V, 0) < 1, 0), along="step") + 0 * latch(V, along="step")),
        (cumsum(first_where(known, along="step"), along="step"), latch(known, along="step")),
        (cumsum(1 + 0 * known, along="step"), position("step") + 1),
        (cummean(V, along="step") * (position("step") + 1), cumsum(V, along="step")),
    ]
    for one, other in same:
        assert_same(compute(one, batch), compute(other, batch), note=f"{one} = {other}")


@settings(max_examples=50)
@given(worlds(), st.randoms())
def test_permuting_rows_permutes_results(world: World, random: Any) -> None:
    order = list(range(len(world.rows)))
    random.shuffle(order)
    moved = world.batch.select(order)
    for expr in (cumsum(V, along="step"), lag(V, along="step", fill=X), first_where(V, along="step")):
        rows = np.array(order, np.int64)
        np.testing.assert_array_equal(
            compute(expr, moved), compute(expr, world.batch)[world.batch.axes["step"].items(rows)]
        )


def test_coarser_values_run_along_an_axis() -> None:
    batch = Batch.from_records([{"x": 2.0, "step.v": [0, 0, 0]}, {"x": -1.0, "step.v": [0]}])
    assert compute(cumsum(X, along="step"), batch).tolist() == [2, 4, 6, -1]
    assert compute(lag(col("step.v"), along="step", fill=X), batch).tolist() == [2, 0, 0, -1]
    assert compute(cumsum(1, along="step"), batch).tolist() == [1, 2, 3, 1]


def test_a_return_by_hand() -> None:
    batch = Batch.from_records([{"step.r": [1.0, 2.0, 3.0]}])
    assert compute(discounted(col("step.r"), 0.5, along="step"), batch).tolist() == [2.75, 3.5, 3]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda: cumsum(X, along="batch"), "not 'batch'"),
        (lambda: cumsum(X, along="sample"), "'step', 'token', 'turn'.* or 'group', not 'sample'"),
        (lambda: cumsum(V, along="group"), "takes values per sample, got values per step"),
        (lambda: cumsum(col("token.v"), along="step"), "takes values per step, got values per token"),
        (lambda: lag(V, along="step", fill=col("token.v")), "per step.*per token"),
        (lambda: lag(X, along="group", fill=V), "takes values per sample, got values per step"),
        (lambda: cumsum(V, along="step", order=X), "order= belongs to along='group'"),
        (lambda: cumsum(X, along="group", order=V), "takes values per sample, got values per step"),
    ],
)
def test_levels_are_refused_while_building(wrong: Callable[[], Expr], words: str) -> None:
    with pytest.raises(LevelError, match=words):
        wrong()


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: lag(V, 0, along="step"),
        lambda: lead(V, -1, along="step"),
        lambda: discounted(V, 1.5, along="step"),
        lambda: discounted(V, -0.1, along="step"),
        lambda: discounted(V, NAN, along="step"),
    ],
)
def test_wrong_arguments_are_refused(wrong: Callable[[], Expr]) -> None:
    with pytest.raises(ExpressionError):
        wrong()


@pytest.mark.parametrize(
    ("expr", "words"),
    [
        (recur(mean(prev + X, over="group"), init=0, along="group"), "only arithmetic may be done on `prev`"),
        (recur(cumsum(prev, along="group"), init=0, along="group"), "only arithmetic may be done on `prev`"),
        (prev + 1, "only in the first argument of recur"),
        (recur(recur(prev + 1, init=prev, along="group"), init=0, along="group"), "only in the first argument"),
        (recur(prev + 1, init=prev, along="group"), "only in the first argument"),
    ],
)
def test_prev_belongs_to_the_step_of_recur(expr: Expr, words: str) -> None:
    with pytest.raises(ExpressionError, match=words):
        evaluate(expr, Batch({"group": [1, 1], "x": [1.0, 2.0]}))


def test_a_recur_inside_a_recur_is_a_value_like_any_other() -> None:
    batch = Batch({"group": [1, 1, 1]})
    inner = recur(prev + 1, init=0, along="group")
    assert compute(recur(prev + inner, init=0, along="group"), batch).tolist() == [1, 3, 6]


def test_everything_here_is_exported_and_tried() -> None:
    assert {*globals()} & {*sequence.__all__} == {*sequence.__all__}
