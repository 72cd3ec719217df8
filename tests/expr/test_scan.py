"""The kernels of scans: both ways through the items give the same bits, and those are the definitions."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guerdon.batch.levels import Array
from guerdon.expr.scan import SCAN, Sequences, recur
from tests.strategies import NAN, assert_same, numbers

Floats = list[float]


def running(step: Callable[[float, float], float]) -> Callable[[Floats], Floats]:
    """Left to right, NaN once anything was NaN."""

    def function(values: Floats) -> Floats:
        out: Floats = []
        for value in values:
            last = out[-1] if out else None
            unknown = math.isnan(value) or (last is not None and math.isnan(last))
            out.append(NAN if unknown else value if last is None else step(last, value))
        return out

    return function


def averages(values: Floats) -> Floats:
    return [total / (k + 1) for k, total in enumerate(running(lambda a, b: a + b)(values))]


def returns(values: Floats, gamma: float) -> Floats:
    return [
        NAN if [v for v in values[k:] if math.isnan(v)] else sum(gamma**i * v for i, v in enumerate(values[k:]))
        for k in range(len(values))
    ]


def latched(values: Floats) -> Floats:
    """Is something true up to here? Yes, no, or unknown: nothing true yet and something unknown."""
    out: Floats = []
    for k in range(len(values)):
        so_far = values[: k + 1]
        if [v for v in so_far if v != 0 and not math.isnan(v)]:
            out.append(1.0)
        else:
            out.append(NAN if [v for v in so_far if math.isnan(v)] else 0.0)
    return out


def firsts(values: Floats) -> Floats:
    """The first true position, judged over every way in which the unknown values could turn out."""
    out: Floats = []
    unknown = [k for k, v in enumerate(values) if math.isnan(v)]
    worlds = [dict(zip(unknown, way, strict=True)) for way in product((0.0, 1.0), repeat=len(unknown))]
    for k in range(len(values)):
        answers = set[float]()
        for world in worlds:
            real = [world.get(i, v) for i, v in enumerate(values)]
            answers.add(float(real[k] != 0 and not [v for v in real[:k] if v != 0]))
        out.append(answers.pop() if len(answers) == 1 else NAN)
    return out


def shifted(values: Floats, fill: Floats, n: int) -> Floats:
    return [values[k - n] if 0 <= k - n < len(values) else fill[k] for k in range(len(values))]


DEFINED: dict[str, Callable[..., Floats]] = {
    "cummax": running(lambda a, b: b if b > a else a),
    "cummean": averages,
    "cummin": running(lambda a, b: b if b < a else a),
    "cumprod": running(lambda a, b: a * b),
    "cumsum": running(lambda a, b: a + b),
    "discounted": returns,
    "first_where": firsts,
    "lag": lambda values, fill, n: shifted(values, fill, n),
    "latch": latched,
    "lead": lambda values, fill, n: shifted(values, fill, -n),
}
PARAMS: dict[str, list[dict[str, Any]]] = {
    "discounted": [{"gamma": g} for g in (0.0, 0.5, 0.99, 1.0)],
    "lag": [{"n": n} for n in (1, 2, 5)],
    "lead": [{"n": n} for n in (1, 2, 5)],
}
ragged = st.lists(st.lists(numbers, max_size=5), max_size=6)


def flat(lists: list[Floats]) -> Array:
    return np.array([value for values in lists for value in values], np.float64)


def test_every_scan_has_a_definition_here() -> None:
    assert set(DEFINED) == set(SCAN), "a scan was added or removed: give it its slow definition"


@given(ragged)
def test_a_scan_is_its_definition(lists: list[Floats]) -> None:
    sequences = Sequences(np.array([len(values) for values in lists], np.int64))
    x, fill = flat(lists), flat([[10.0 * k + row for k in range(len(values))] for row, values in enumerate(lists)])
    fills = [[10.0 * k + row for k in range(len(values))] for row, values in enumerate(lists)]
    for op, definition in DEFINED.items():
        for params in PARAMS.get(op, [{}]):
            if op in ("lag", "lead"):
                given_values = SCAN[op](x, fill, sequences, **params)
                wanted = [definition(v, f, **params) for v, f in zip(lists, fills, strict=True)]
            else:
                given_values = SCAN[op](x, sequences, **params)
                wanted = [definition(values, **params) for values in lists]
            assert_same(given_values, flat(wanted), note=f"{op} {params}")


class Forced(Sequences):
    """Sequences that are walked the way the test says."""

    way = False

    @property
    def few(self) -> bool:
        return self.way


wild = st.floats(allow_nan=True, allow_infinity=True) | numbers


@settings(max_examples=200)
@given(st.lists(st.lists(wild, max_size=7), max_size=5))
def test_by_position_and_by_sequence_give_the_same_bits(lists: list[Floats]) -> None:
    counts = np.array([len(values) for values in lists], np.int64)
    x = flat(lists)
    with np.errstate(all="ignore"):
        for op in SCAN:
            for params in PARAMS.get(op, [{}]):
                results: list[Array] = []
                for way in (False, True):
                    sequences = Forced(counts)
                    sequences.way = way
                    args = [x, np.zeros_like(x)] if op in ("lag", "lead") else [x]
                    results.append(SCAN[op](*args, sequences, **params))
                np.testing.assert_array_equal(results[0], results[1], err_msg=f"{op} {params}")


@given(ragged)
def test_positions_cover_every_item_once_in_order(lists: list[Floats]) -> None:
    sequences = Sequences(np.array([len(values) for values in lists], np.int64))
    steps = [items.tolist() for items in sequences.at_positions()]
    owner = [(row, k) for row, values in enumerate(lists) for k in range(len(values))]
    assert sorted(item for items in steps for item in items) == list(range(len(owner)))
    for k, items in enumerate(steps):
        assert all(owner[item][1] == k for item in items)
        if k:
            rows_before = [owner[item][0] for item in steps[k - 1]]
            assert [owner[item][0] for item in items] == rows_before[: len(items)], "entry k keeps its sequence"
    assert sequences.position.tolist() == [k for _, k in owner]


def test_few_sequences_are_walked_one_by_one() -> None:
    assert Sequences(np.array([5, 2])).few
    assert not Sequences(np.array([1, 1, 1])).few
    assert not Sequences(np.array([], np.int64)).few


@given(ragged)
def test_recur_is_a_loop(lists: list[Floats]) -> None:
    x = flat(lists)
    counts = np.array([len(values) for values in lists], np.int64)
    init = np.arange(len(x), dtype=np.float64)
    wanted: Floats = []
    for values in lists:
        state = float(len(wanted))
        for value in values:
            state = 0.5 * state - value
            wanted.append(state)
    given_values = recur(init, Sequences(counts), lambda before, items: 0.5 * before - x[items])
    np.testing.assert_array_equal(given_values, np.array(wanted, np.float64))


@pytest.mark.parametrize(
    ("values", "latch", "first"),
    [
        ([0, 0, 1, 0, 1], [0, 0, 1, 1, 1], [0, 0, 1, 0, 0]),
        ([NAN, 0, 1, 0], [NAN, NAN, 1, 1], [NAN, 0, NAN, 0]),
        ([0, NAN, 0], [0, NAN, NAN], [0, NAN, 0]),
        ([1, NAN, 1], [1, 1, 1], [1, 0, 0]),
        ([0, 0], [0, 0], [0, 0]),
        ([-3.0, 0], [1, 1], [1, 0]),
    ],
)
def test_unknown_items_stay_unknown_only_where_they_matter(values: Floats, latch: Floats, first: Floats) -> None:
    sequences = Sequences(np.array([len(values)]))
    assert_same(SCAN["latch"](np.array(values, np.float64), sequences), latch)
    assert_same(SCAN["first_where"](np.array(values, np.float64), sequences), first)


def test_a_scan_does_not_change_its_input() -> None:
    x, fill = np.array([1.0, 2.0, 3.0]), np.array([9.0, 9.0, 9.0])
    for op in SCAN:
        for params in PARAMS.get(op, [{}])[:1]:
            args = [x, fill] if op in ("lag", "lead") else [x]
            SCAN[op](*args, Sequences(np.array([3])), **params)
            SCAN[op](*args, Sequences(np.array([1, 1, 1])), **params)
    assert x.tolist() == [1, 2, 3]
    assert fill.tolist() == [9, 9, 9]
