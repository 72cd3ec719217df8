"""Schedules against their formulas, at the ends, beyond them and in between."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guerdon.batch import Batch
from guerdon.errors import ExpressionError, MissingColumn
from guerdon.expr import anneal, col, max
from guerdon.expr.anneal import cosine, exponential, linear, step
from guerdon.expr.core import Expr
from guerdon.expr.evaluate import evaluate
from tests.strategies import NAN, assert_same, compute

times = st.lists(st.floats(-10, 1000), min_size=1, max_size=6)
ends = st.floats(-5, 5)
steps = st.floats(0.5, 500)


def at(expr: Expr, when: list[float]) -> np.ndarray[Any, Any]:
    return compute(expr, Batch({"t": when}))


def between(t: float, n: float) -> float:
    return sorted([0.0, t / n, 1.0])[1]


@given(times, ends, ends, steps)
def test_linear_and_cosine_are_their_formulas(when: list[float], start: float, end: float, n: float) -> None:
    straight = [(1 - between(t, n)) * start + between(t, n) * end for t in when]
    assert_same(at(linear(start, end, n), when), straight)
    waved = [end + (start - end) * math.cos(math.pi * between(t, n) / 2) ** 2 for t in when]
    assert_same(at(cosine(start, end, n), when), waved)


@given(times, ends, steps)
def test_exponential_is_its_formula(when: list[float], start: float, n: float) -> None:
    assert_same(at(exponential(start, n), when), [start * math.e ** (-t / n) for t in when])


@given(times, st.lists(st.integers(0, 9), unique=True, min_size=1, max_size=3).map(sorted), st.data())
def test_step_is_its_definition(when: list[float], bounds: list[int], data: st.DataObject) -> None:
    values = data.draw(st.lists(ends, min_size=len(bounds) + 1, max_size=len(bounds) + 1))
    wanted = [values[len([b for b in bounds if b <= t])] for t in when]
    assert_same(at(step(tuple(values), tuple(bounds)), when), wanted)


def test_the_ends_are_met() -> None:
    when = [0.0, 50.0, 100.0, 101.0]
    assert at(linear(1, 0, 100), when).tolist() == [1, 0.5, 0, 0]
    assert_same(at(cosine(1, 0, 100), when), [1, 0.5, 0, 0], 1e-15)
    assert at(step((1, 0.5, 0.25), (50, 101)), when).tolist() == [1, 0.5, 0.5, 0.25]
    assert_same(at(exponential(0.3, 100), when)[[0, 2]], [0.3, 0.3 / math.e], 1e-15)


def test_an_unknown_time_gives_no_value() -> None:
    for expr in (linear(1, 0, 9), cosine(1, 0, 9), exponential(1, 9), step((1, 0), (5,))):
        assert np.isnan(at(expr, [NAN])).all()


def test_time_is_a_column_an_argument_or_an_expression() -> None:
    batch = Batch({"x": [1.0, 1.0]})
    assert evaluate(linear(0, 1, 10), batch, t=5).values.tolist() == [0.5, 0.5]
    assert evaluate(linear(0, 1, 10), batch.with_columns({"t": [0, 10]})).values.tolist() == [0, 1]
    assert evaluate(linear(0, 1, 10, t=col("x")), batch).values.tolist() == [0.1, 0.1]
    assert linear(0, 1, 10, t=max(col("x"), to="batch")).level == "batch"
    with pytest.raises(MissingColumn, match=r"evaluate\(\.\.\., t=100\)"):
        evaluate(linear(0, 1, 10), batch)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: linear(0, 1, 0),
        lambda: cosine(0, 1, -1),
        lambda: exponential(1, 0),
        lambda: linear(0, 1, NAN),
        lambda: step((1,), (5,)),
        lambda: step((1, 2, 3), (5, 4)),
    ],
)
def test_wrong_arguments_are_refused(wrong: Callable[[], Expr]) -> None:
    with pytest.raises(ExpressionError):
        wrong()


def test_everything_here_is_tried() -> None:
    assert {*globals()} & {*anneal.__all__} == {*anneal.__all__}
