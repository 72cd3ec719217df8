"""Aggregates and windows against slow definitions, one value after another, and the laws they keep."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guerdon.batch import Batch
from guerdon.errors import ExpressionError, LevelError
from guerdon.expr import aggregates, col, eq, fill, lift, position
from guerdon.expr.aggregates import (
    argmax,
    count,
    leave_one_out,
    max,
    mean,
    median,
    min,
    quantile,
    rank,
    softmax,
    std,
    sum,
    var,
    zscore,
)
from guerdon.expr.core import Expr
from guerdon.expr.evaluate import evaluate
from guerdon.expr.tables import EMPTY, REDUCE, WINDOW
from tests.strategies import FINER, NAN, World, assert_same, column, compute, known, numbers, worlds

Member = tuple[int, float]
"""Place among all members, and the value; only members that count are handed to a definition."""


def variance(values: list[float], ddof: int) -> float:
    if len(values) <= ddof:
        return NAN
    middle = math.fsum(values) / len(values)
    return 0.0 if len(set(values)) == 1 else math.fsum((v - middle) ** 2 for v in values) / (len(values) - ddof)


def share_below(values: list[float], q: float, method: str) -> float:
    ordered, exact = sorted(values), Fraction(q).limit_denominator(1000)
    if method == "inverted_cdf":
        return next(v for v in ordered if Fraction(len([w for w in values if w <= v]), len(values)) >= exact)
    at = exact * (len(ordered) - 1)
    low, share = ordered[math.floor(at)], float(at - math.floor(at))
    return low + (ordered[math.ceil(at)] - low) * share


REDUCED: dict[str, Callable[..., float]] = {
    "all": lambda members: float(not [v for _, v in members if v == 0]),
    "any": lambda members: float(bool([v for _, v in members if v != 0])),
    "argmax": lambda members: next(i for i, v in members if v == sorted(w for _, w in members)[-1]),
    "argmin": lambda members: next(i for i, v in members if v == sorted(w for _, w in members)[0]),
    "count": lambda members: float(len(members)),
    "first": lambda members: members[0][1],
    "last": lambda members: members[-1][1],
    "logmeanexp": lambda members: math.log(math.fsum(math.exp(v) for _, v in members) / len(members)),
    "max": lambda members: sorted(v for _, v in members)[-1],
    "mean": lambda members: math.fsum(v for _, v in members) / len(members),
    "min": lambda members: sorted(v for _, v in members)[0],
    "prod": lambda members: math.prod(v for _, v in members),
    "quantile": lambda members, q, method: share_below([v for _, v in members], q, method),
    "std": lambda members, ddof: math.sqrt(variance([v for _, v in members], ddof)),
    "sum": lambda members: math.fsum(v for _, v in members),
    "var": lambda members, ddof: variance([v for _, v in members], ddof),
}
OF_NOTHING = {"all": 1.0, "any": 0.0, "count": 0.0, "prod": 1.0, "sum": 0.0}


def place_in_order(x: float, own: int, counting: list[Member], ties: str, pct: bool) -> float:
    if own not in [i for i, _ in counting]:
        return NAN
    values = [v for _, v in counting]
    below, equal = len([v for v in values if v < x]), len([v for v in values if v == x])
    place = {
        "min": below + 1.0,
        "max": float(below + equal),
        "average": below + (equal + 1) / 2,
        "dense": len({v for v in values if v < x}) + 1.0,
        "first": below + len([i for i, v in counting if v == x and i <= own]) + 0.0,
    }[ties]
    return place / len(values) if pct else place


def standardised(x: float, counting: list[Member], ddof: int) -> float:
    values = [v for _, v in counting]
    if math.isnan(x) or not values:
        return NAN
    spread = variance(values, ddof)
    return 0.0 if math.isnan(spread) or spread == 0 else (x - math.fsum(values) / len(values)) / math.sqrt(spread)


def softened(x: float, own: int, counting: list[Member], temperature: float) -> float:
    if own not in [i for i, _ in counting]:
        return NAN
    return math.exp(x / temperature) / math.fsum(math.exp(v / temperature) for _, v in counting)


def others(own: int, counting: list[Member]) -> float:
    rest = [v for i, v in counting if i != own]
    return math.fsum(rest) / len(rest) if rest else NAN


PER_MEMBER: dict[str, Callable[..., float]] = {
    "leave_one_out": lambda x, own, counting: others(own, counting),
    "rank": lambda x, own, counting, ties, pct: place_in_order(x, own, counting, ties, pct),
    "softmax": lambda x, own, counting, temperature: softened(x, own, counting, temperature),
    "zscore": lambda x, own, counting, ddof: standardised(x, counting, ddof),
}
PARAMS: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "quantile": st.fixed_dictionaries(
        {
            "q": st.sampled_from([0.0, 0.1, 0.2, 0.25, 1 / 3, 0.5, 0.75, 0.9, 1.0]),
            "method": st.sampled_from(["linear", "inverted_cdf"]),
        }
    ),
    "std": st.fixed_dictionaries({"ddof": st.integers(0, 2)}),
    "var": st.fixed_dictionaries({"ddof": st.integers(0, 2)}),
    "zscore": st.fixed_dictionaries({"ddof": st.integers(0, 2)}),
    "softmax": st.fixed_dictionaries({"temperature": st.sampled_from([0.5, 1.0, 3.0])}),
    "rank": st.fixed_dictionaries(
        {"ties": st.sampled_from(["average", "min", "max", "dense", "first"]), "pct": st.booleans()}
    ),
}


def test_every_operator_has_a_definition_here() -> None:
    assert set(REDUCED) == set(REDUCE), "an aggregate was added or removed: give it its slow definition"
    assert set(PER_MEMBER) == set(WINDOW), "a window was added or removed: give it its slow definition"
    assert set(aggregates.__all__) == {*REDUCE, *WINDOW, "median"}
    assert dict(EMPTY) == OF_NOTHING


def counting(world: World, places: Sequence[Any], level: str, x_level: str, mask: str | None) -> list[Member]:
    """Of `places`, those that count: value known, mask known and not 0."""
    found: list[Member] = []
    for i, place in enumerate(places):
        value = world.value("x", world.up(place, level, x_level), x_level)
        held = 1.0 if mask is None else world.value("m", world.up(place, level, mask), mask)
        if not math.isnan(value) and not math.isnan(held) and held != 0:
            found.append((i, value))
    return found


def reduced(op: str, members: list[Member], params: dict[str, Any], empty: float | None) -> float:
    if members:
        return REDUCED[op](members, **params)
    return OF_NOTHING.get(op, NAN) if empty is None else empty


def build(op: str, x: Expr, params: dict[str, Any], **kwargs: Any) -> Expr:
    return getattr(aggregates, op)(x, **params, **kwargs)


@settings(max_examples=150)
@given(world=worlds(), data=st.data())
def test_a_reduction_is_its_definition(world: World, data: st.DataObject) -> None:
    """From every level to every coarser one; the mask may live at another level than the values."""
    x_level = data.draw(st.sampled_from(["group", "sample", "step"]))
    mask = data.draw(st.sampled_from([None, "batch", "group", "sample", "step"]))
    level = x_level if mask is None or FINER[mask] <= FINER[x_level] else mask
    to = data.draw(st.sampled_from([name for name in ("batch", "group", "sample") if FINER[name] < FINER[level]]))
    empty = data.draw(st.sampled_from([None, 0.0, -7.5]))
    where = None if mask is None else column("m", mask)
    insides = [[p for p in world.places(level) if world.up(p, level, to) == target] for target in world.places(to)]
    members = [counting(world, inside, level, x_level, mask) for inside in insides]
    for op in REDUCE:
        params = data.draw(PARAMS[op]) if op in PARAMS else {}
        expr = build(op, column("x", x_level), params, to=to, where=where, empty=empty)
        assert expr.level == to
        wanted = [reduced(op, inside, params, empty) for inside in members]
        assert_same(compute(expr, world.batch), wanted, note=op)


Key = tuple[Any, Callable[[World, Any], Hashable]]


def _number(value: float) -> Hashable:
    return "missing" if math.isnan(value) else value


SAMPLE_KEYS: list[Key] = [
    ("group", lambda world, row: world.rows[row]["label"]),
    ("k", lambda world, row: world.rows[row]["k"]),
    ("y", lambda world, row: _number(world.rows[row]["y"])),
    (col("y"), lambda world, row: _number(world.rows[row]["y"])),
    (max(col("y"), to="group"), lambda world, row: _number(world.value("y", world.rows[row]["label"], "group"))),
    (max(col("y"), to="batch"), lambda world, row: 0),
]
KEYS: dict[str, list[Key]] = {
    "group": [
        (max(col("y"), to="group"), lambda world, label: _number(world.value("y", label, "group"))),
        (max(col("y"), to="batch"), lambda world, label: 0),
    ],
    "sample": SAMPLE_KEYS,
    "step": [
        *((key, lambda world, place, of=of: of(world, place[0])) for key, of in SAMPLE_KEYS),
        ("sample", lambda world, place: place[0]),
        ("step", lambda world, place: place[1]),
        ("step.position", lambda world, place: place[1]),
        (position("step"), lambda world, place: place[1]),
        ("step.count", lambda world, place: len(world.rows[place[0]]["steps"])),
        ("step.k", lambda world, place: world.cell("k", place, "step")),
        (col("step.y"), lambda world, place: _number(world.cell("y", place, "step"))),
    ],
}


@settings(max_examples=150)
@given(world=worlds(), data=st.data())
def test_a_window_is_its_definition(world: World, data: st.DataObject) -> None:
    """At every level, over one key or several: levels, positions, columns, expressions."""
    level = data.draw(st.sampled_from(["group", "sample", "step"]))
    mask = data.draw(st.sampled_from([None, *(name for name in FINER if FINER[name] <= FINER[level])]))
    choices = st.lists(st.sampled_from(KEYS[level]), min_size=1, max_size=3, unique_by=lambda key: str(key[0]))
    keys = data.draw(choices | st.just([("batch", lambda world, place: 0)]))
    over = keys[0][0] if len(keys) == 1 else tuple(key for key, _ in keys)
    where = None if mask is None else column("m", mask)
    x = column("x", level)
    places = world.places(level)
    cuts = [tuple(of(world, place) for _, of in keys) for place in places]
    insides = [[p for p, c in zip(places, cuts, strict=True) if c == cut] for cut in cuts]
    members = [counting(world, inside, level, level, mask) for inside in insides]
    own = [inside.index(place) for place, inside in zip(places, insides, strict=True)]
    values = [world.value("x", place, level) for place in places]
    for op in (*REDUCE, *WINDOW):
        params = data.draw(PARAMS[op]) if op in PARAMS else {}
        empty = data.draw(st.sampled_from([None, 0.5])) if op in REDUCE or op == "leave_one_out" else None
        expr = build(op, x, params, over=over, where=where, **({} if empty is None else {"empty": empty}))
        assert expr.level == level
        if op in REDUCE:
            wanted = [reduced(op, inside, params, empty) for inside in members]
        else:
            wanted = [PER_MEMBER[op](*case, **params) for case in zip(values, own, members, strict=True)]
            wanted = [empty if empty is not None and math.isnan(value) else value for value in wanted]
        assert_same(compute(expr, world.batch), wanted, note=op)


@given(worlds(), st.sampled_from(["mean", "zscore", "rank", "leave_one_out", "softmax", "std", "median"]), st.randoms())
def test_permuting_rows_permutes_results(world: World, op: str, random: Any) -> None:
    order = list(range(len(world.rows)))
    random.shuffle(order)
    expr = getattr(aggregates, op)(col("x"), over="group", where=col("m"))
    assert_same(compute(expr, world.batch.select(order)), compute(expr, world.batch)[order])


@settings(max_examples=50)
@given(worlds(), st.integers(-20, 20))
def test_a_constant_added_to_a_group_changes_no_comparison(world: World, shift: int) -> None:
    x, moved = col("x"), col("x") + shift * max(col("y"), over="group", empty=1)
    for compare in (
        lambda v: zscore(v, over="group"),
        lambda v: v - leave_one_out(v, over="group"),
        lambda v: v - mean(v, over="group"),
        lambda v: std(v, over="group"),
    ):
        assert_same(compute(compare(moved), world.batch), compute(compare(x), world.batch), 1e-6)
    assert_same(compute(rank(x + shift, over="group"), world.batch), compute(rank(x, over="group"), world.batch))


@settings(max_examples=40)
@given(worlds())
def test_splitting_a_batch_between_groups_changes_no_bit(world: World) -> None:
    labels = [row["label"] for row in world.rows]
    for op in (*REDUCE, *WINDOW):
        params: dict[str, Any] = {"q": 0.3} if op == "quantile" else {}
        expr = getattr(aggregates, op)(col("x"), over="group", **params)
        whole = compute(expr, world.batch)
        for label in set(labels):
            rows = [i for i, own in enumerate(labels) if own == label]
            np.testing.assert_array_equal(compute(expr, world.batch.select(rows)), whole[rows])


@settings(max_examples=40)
@given(worlds())
def test_spread_then_reduce_is_the_identity(world: World) -> None:
    """A coarse value repeated for every member is the first, the mean, the median, ... of its copies, bit for bit."""
    filled = {row["label"] for row in world.rows if row["steps"]}
    for op in (mean, median, min, max, aggregates.first, aggregates.last):
        for coarse, fine in (("group", "sample"), ("sample", "step"), ("group", "step")):
            x = column("x", coarse)
            spread = x + 0 * fill(column("y", fine), 0)
            back = compute(op(spread, to=coarse), world.batch)
            want = compute(x, world.batch)
            for place, given_back, wanted in zip(world.places(coarse), back, want, strict=True):
                empty = fine == "step" and not (world.rows[place]["steps"] if coarse == "sample" else place in filled)
                assert given_back == wanted or (math.isnan(given_back) and (empty or math.isnan(wanted)))


@settings(max_examples=50)
@given(worlds())
def test_softmax_sums_to_one(world: World) -> None:
    total = compute(sum(softmax(col("x"), over="group"), to="group"), world.batch)
    members = compute(count(col("x"), to="group"), world.batch)
    assert_same(total, np.where(members > 0, 1.0, 0.0))


@pytest.mark.parametrize("values", [[0.1] * 3, [0.1, 0.1, 0.1, NAN], [1e300] * 3, [0.7], [1 / 3] * 7, [-0.1] * 6])
def test_a_constant_group_has_no_spread(values: list[float]) -> None:
    """Summing [0.1, 0.1, 0.1] and dividing by 3 does not give 0.1: without a guard its z-scores are ±1."""
    batch = Batch({"x": values, "group": [0] * len(values)})
    x = col("x")
    scored = ~np.isnan(np.array(values))
    for ddof in (0, 1):
        assert_zero(compute(zscore(x, over="group", ddof=ddof), batch)[scored])
    assert_zero(compute(std(x, over="group"), batch))
    assert_zero(compute(var(x, over="batch"), batch))
    assert_zero(compute(x - mean(x, over="group"), batch)[scored])
    assert (compute(x >= mean(x, over="group"), batch)[scored] == 1).all()
    if scored.sum() > 1:
        assert_zero(compute(x - leave_one_out(x, over="group"), batch)[scored])


def assert_zero(values: np.ndarray[Any, Any]) -> None:
    assert (values == 0).all(), values


@given(st.lists(numbers, min_size=1))
def test_a_mean_lies_between_its_values(values: list[float]) -> None:
    batch = Batch({"x": values})
    if known(values):
        assert np.nanmin(values) <= compute(mean(col("x"), to="batch"), batch)[0] <= np.nanmax(values)


def test_windows_leave_missing_values_out() -> None:
    batch = Batch({"group": [0, 0, 0], "x": [1.0, NAN, 3.0], "m": [1.0, 1.0, NAN]})
    x, m = col("x"), col("m")
    assert compute(mean(x, over="group"), batch).tolist() == [2, 2, 2]
    assert compute(count(x, over="group"), batch).tolist() == [2, 2, 2]
    assert compute(sum(x, over="group", where=m), batch).tolist() == [1, 1, 1]
    assert_same(compute(rank(x, over="group", where=m), batch), [1, NAN, NAN])


def test_infinite_values_do_not_spoil_their_neighbours() -> None:
    batch = Batch({"group": [0, 0, 0], "x": [1.0, 2.0, math.inf]})
    assert compute(median(col("x"), to="batch"), batch).tolist() == [2]
    assert compute(quantile(col("x"), 0, to="batch"), batch).tolist() == [1]
    assert compute(quantile(col("x"), 1, to="batch"), batch).tolist() == [math.inf]
    assert compute(max(col("x"), to="batch"), batch).tolist() == [math.inf]
    assert np.isnan(compute(zscore(col("x"), over="group"), batch)).all(), "an infinite value has no z-score, not 0"


def test_argmax_counts_every_member() -> None:
    """The place is the one in the row, also where members outside `where` come first."""
    batch = Batch.from_records([{"step.gain": [-1.0, 0.0, 2.0, 3.0]}, {"step.gain": [-1.0]}])
    gain = col("step.gain")
    assert_same(compute(argmax(gain > 0, to="sample", where=gain > 0), batch), [2, NAN])


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: mean(col("x")),
        lambda: mean(col("x"), to="group", over="group"),
        lambda: quantile(col("x"), 1.5, to="group"),
        lambda: quantile(col("x"), 0.5, to="group", method="nearest"),
        lambda: rank(col("x"), over="group", ties="random"),
        lambda: softmax(col("x"), over="group", temperature=0),
        lambda: mean(col("x"), over=("group", 3)),  # type: ignore[arg-type]
        lambda: mean(col("x"), over=()),
    ],
)
def test_wrong_arguments_are_refused(wrong: Callable[[], Expr]) -> None:
    with pytest.raises(ExpressionError):
        wrong()


def test_the_help_for_min_of_two_values() -> None:
    with pytest.raises(ExpressionError, match=r"minimum\(a, b\)"):
        min(col("x"))


def test_a_list_of_keys_is_as_good_as_a_tuple() -> None:
    assert mean(col("x"), over=["group", "k"]) == mean(col("x"), over=("group", "k"))  # type: ignore[arg-type]


def test_a_constant_cannot_be_reduced() -> None:
    with pytest.raises(LevelError, match="already per batch"):
        mean(lift(1.0), to="sample")


def test_ten_thousand_groups_of_one() -> None:
    size = 10_000
    batch = Batch({"group": np.arange(size)[::-1], "x": np.arange(size) * 0.1})
    scores = evaluate(zscore(col("x"), over="group") + rank(col("x"), over="group") + eq(col("x"), 0) * 0, batch)
    assert (scores.values == 1).all()
