"""The kernels of state against their definitions, batch after batch, with the memory through JSON in between."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guerdon.batch.levels import Array
from guerdon.errors import DataError
from guerdon.expr.state import STATE, Memory, knn
from tests.strategies import NAN, assert_same, known, numbers

Floats = list[float]
Batches = list[Floats]


def averaged(batches: Batches, decay: float) -> Floats:
    out: Floats = []
    for (x,) in batches:
        last = out[-1] if out else NAN
        out.append(x if math.isnan(last) else last if math.isnan(x) else decay * last + (1 - decay) * x)
    return out


def so_far(batches: Batches, summary: Callable[[Floats], float], window: int | None = None) -> Floats:
    """`summary` of everything known up to each batch, or of the last `window` values of it."""
    out: Floats = []
    for k in range(len(batches)):
        seen = known([v for batch in batches[: k + 1] for v in batch])
        seen = seen if window is None else seen[-window:]
        out.append(summary(seen) if seen else NAN)
    return out


def average(values: Floats) -> float:
    return math.fsum(values) / len(values)


def deviation(values: Floats) -> float:
    return math.sqrt(math.fsum((v - average(values)) ** 2 for v in values) / len(values))


def quantile(values: Floats, q: float) -> float:
    ordered, at = sorted(values), q * (len(values) - 1)
    low, high = ordered[math.floor(at)], ordered[math.ceil(at)]
    return low + (high - low) * (at - math.floor(at))


def multiplied(batches: Batches, lr: float, init: float, low: float, high: float) -> Floats:
    out, value = list[float](), init
    for (slope,) in batches:
        out.append(value)
        value = value if math.isnan(slope) else sorted([low, value + lr * slope, high])[1]
    return out


def held(batches: Batches, every: int) -> Floats:
    """The value of the last batch with number 0, every, 2·every, ... that had one; until then the first that had one."""
    out, value = list[float](), NAN
    for number, (x,) in enumerate(batches):
        if (number % every == 0 or math.isnan(value)) and not math.isnan(x):
            value = x
        out.append(value)
    return out


ONE = st.lists(numbers.map(lambda v: [v]), max_size=7)
MANY = st.lists(st.lists(numbers, max_size=4), max_size=6)
DEFINED: dict[str, tuple[st.SearchStrategy[Batches], list[dict[str, Any]], Callable[..., Floats]]] = {
    "dual": (
        ONE,
        [
            {"lr": 0.5, "init": 1.0, "low": 0.0, "high": 2.0},
            {"lr": 1.0, "init": 0.0, "low": -1.0, "high": math.inf},
        ],
        multiplied,
    ),
    "ema": (ONE, [{"decay": 0.0}, {"decay": 0.9}], averaged),
    "hold": (ONE, [{"every": 1}, {"every": 3}], held),
    "percentile": (
        MANY,
        [{"q": q, "window": n} for q in (0.0, 0.3, 1.0) for n in (1, 3, 100)],
        lambda batches, q, window: so_far(batches, lambda v: quantile(v, q), window),
    ),
    "previous": (ONE, [{"init": 0.5}, {"init": NAN}], lambda b, init: [init, *(x for (x,) in b)][: len(b)]),
    "running_mean": (MANY, [{}], lambda batches: so_far(batches, average)),
    "running_std": (MANY, [{}], lambda batches: so_far(batches, deviation)),
}


def test_every_operator_has_a_definition_here() -> None:
    assert set(DEFINED) == set(STATE), "a state operator was added or removed: give it its slow definition"


@pytest.mark.parametrize("op", sorted(STATE))
@given(data=st.data())
def test_a_memory_is_its_definition(op: str, data: st.DataObject) -> None:
    """One value per batch, and the same bits when the memory is written to JSON and read back after every batch."""
    strategy, choices, definition = DEFINED[op]
    batches, params = data.draw(strategy), data.draw(st.sampled_from(choices))
    memory: Memory = {}
    stored: Memory = {}
    out: Floats = []
    for values in batches:
        x = np.array(values, np.float64)
        before = json.dumps(memory)
        now, after = STATE[op](memory, x, **params)
        assert json.dumps(memory) == before, "the memory handed in stays as it is"
        again, stored = STATE[op](stored, x, **params)
        np.testing.assert_array_equal(now, again)
        memory, stored = after, json.loads(json.dumps(stored))
        assert now.shape == (1,)
        out.append(float(now[0]))
    assert_same(out, definition(batches, **params))


def test_a_running_deviation_keeps_its_digits_far_from_zero() -> None:
    memory: Memory = {}
    now = np.empty(1)
    for values in ([1e9, 1e9 + 1], [1e9 + 2]):
        now, memory = STATE["running_std"](memory, np.array(values))
    assert_same(now, [math.sqrt(2 / 3)], 1e-12)


def distance(one: Floats, other: Floats, metric: str) -> float:
    if metric == "euclidean":
        return math.dist(one, other)
    return 1 - sum(a * b for a, b in zip(one, other, strict=True)) / (math.hypot(*one) * math.hypot(*other))


def usable(vector: Floats, metric: str) -> bool:
    return known(vector) == vector and (metric == "euclidean" or any(vector))


vector = st.lists(st.integers(-3, 3).map(float) | st.just(NAN), min_size=3, max_size=3) | st.just([0.0, 0.0, 0.0])
vectors = st.lists(vector, max_size=5)


@given(
    st.lists(st.tuples(vectors, st.lists(st.sampled_from([0.0, 1.0, -2.0, NAN]), min_size=5)), max_size=4),
    st.integers(1, 4),
    st.integers(1, 6),
    st.sampled_from(["cosine", "euclidean"]),
)
def test_knn_is_its_definition(batches: list[tuple[Batches, Floats]], k: int, capacity: int, metric: str) -> None:
    """Mean distance to the k nearest remembered; missing vectors, and zero ones under cosine, neither ask nor stay."""
    memory: Memory = {}
    remembered: Batches = []
    for rows, marks in batches:
        keep = marks[: len(rows)]
        x = np.array(rows, np.float64).reshape(-1, 3)
        given_values, memory = knn(memory, x, np.array(keep), k=k, capacity=capacity, metric=metric)
        memory = json.loads(json.dumps(memory))
        wanted: Floats = []
        for row in rows:
            gaps = sorted(distance(row, old, metric) for old in remembered) if usable(row, metric) else []
            wanted.append(average(gaps[:k]) if gaps else NAN)
        assert_same(given_values, wanted)
        remembered += [
            row for row, mark in zip(rows, keep, strict=True) if usable(row, metric) and mark != 0 and mark == mark
        ]
        remembered = remembered[-capacity:]
        assert len(memory["vectors"]) == len(remembered)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_a_remembered_vector_is_no_distance_away(metric: str) -> None:
    """√(|a|² + |b|² − 2ab) would leave 1e-8 · |a| here."""
    x = np.array([[123.456, -7.89, 0.1], [1e6, 1e6, 1.0]])
    _, memory = knn({}, x, np.ones(2), k=1, capacity=9, metric=metric)
    again, _ = knn(memory, x, np.ones(2), k=1, capacity=9, metric=metric)
    assert (np.abs(again) < (1e-15 if metric == "cosine" else 1e-300)).all(), again
    assert (again >= 0).all()


def test_a_zero_vector_has_no_direction() -> None:
    """Under cosine it neither gets a distance nor is remembered; it is a point like any other to euclidean."""
    x = np.array([[0.0, 0.0], [3.0, 4.0]])
    _, memory = knn({}, x, np.ones(2), k=1, capacity=9, metric="cosine")
    assert memory["vectors"] == [[0.6, 0.8]]
    assert_same(knn(memory, x, np.ones(2), k=1, capacity=9, metric="cosine")[0], [NAN, 0])
    _, memory = knn({}, x, np.ones(2), k=2, capacity=9, metric="euclidean")
    assert_same(knn(memory, x, np.ones(2), k=2, capacity=9, metric="euclidean")[0], [2.5, 2.5])


def test_opposite_vectors_are_two_apart() -> None:
    _, memory = knn({}, np.array([[1.0, 1.0]]), np.ones(1), k=1, capacity=9, metric="cosine")
    far, _ = knn(memory, np.array([[-3.0, -3.0], [1.0, -1.0]]), np.ones(2), k=1, capacity=9, metric="cosine")
    assert_same(far, [2, 1], 1e-15)


def test_vectors_of_another_length_are_refused() -> None:
    _, memory = knn({}, np.ones((2, 3)), np.ones(2), k=1, capacity=9, metric="euclidean")
    with pytest.raises(DataError, match="remembers vectors of 3 numbers, this batch has vectors of 2"):
        knn(memory, np.ones((3, 2)), np.ones(3), k=1, capacity=9, metric="euclidean")


def test_a_batch_without_vectors_leaves_the_memory_alone() -> None:
    _, memory = knn({}, np.ones((2, 3)), np.ones(2), k=1, capacity=9, metric="euclidean")
    for empty in (np.empty((0, 3)), np.empty((4, 0)), np.empty((0, 0))):
        rows = len(empty)
        given_values, after = knn(memory, empty, np.ones(rows), k=1, capacity=9, metric="euclidean")
        assert_same(given_values, [NAN] * rows)
        assert after == memory


def test_the_oldest_vectors_go_first() -> None:
    memory: Memory = {}
    for value in (1.0, 2.0, 3.0):
        _, memory = knn(memory, row(value), np.ones(1), k=1, capacity=2, metric="euclidean")
    assert memory["vectors"] == [[2.0], [3.0]]


def row(value: float) -> Array:
    return np.array([[value]])
