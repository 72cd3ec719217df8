"""Functions of each value alone, against slow definitions in plain Python, at every level."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from guerdon.batch import Batch
from guerdon.errors import ExpressionError, LevelError, MissingColumn
from guerdon.expr import core, edit, functions, lift
from guerdon.expr.core import Apply, Column, Const, Expr, postorder
from guerdon.expr.evaluate import evaluate
from guerdon.expr.functions import (
    abs,
    bucket,
    case,
    ceil,
    channels,
    clip,
    col,
    cos,
    eq,
    exp,
    expm1,
    fill,
    floor,
    gate,
    is_last,
    is_unscored,
    log,
    log1p,
    logsigmoid,
    maximum,
    minimum,
    named,
    ne,
    on,
    position,
    relu,
    sigmoid,
    sign,
    sin,
    sqrt,
    tanh,
    where,
)
from guerdon.expr.tables import APPLY
from tests.strategies import FINER, NAN, World, assert_same, column, compute, worlds

INF = math.inf


def carried(f: Callable[..., float]) -> Callable[..., float]:
    """NaN in, NaN out."""
    return lambda *values: NAN if any(math.isnan(v) for v in values) else f(*values)


def guarded(f: Callable[[float], float], low: float, at_low: float) -> Callable[[float], float]:
    """`f` above `low`, `at_low` there, NaN below."""
    return carried(lambda v: f(v) if v > low else at_low if v == low else NAN)


def divided(a: float, b: float) -> float:
    if b != 0:
        return a / b
    return NAN if a == 0 else math.copysign(INF, a) * math.copysign(1, b)


def powered(a: float, b: float) -> float:
    try:
        value = a**b
        return NAN if isinstance(value, complex) else value
    except ZeroDivisionError:
        return math.copysign(INF, a) if b == int(b) and int(b) % 2 else INF
    except OverflowError:
        return -INF if a < 0 and int(b) % 2 else INF


def all_of(a: float, b: float) -> float:
    """A known false decides, whatever the other is."""
    return 0.0 if 0 in (a, b) else carried(lambda a, b: 1.0)(a, b)


def any_of(a: float, b: float) -> float:
    """A known true decides, whatever the other is."""
    return 1.0 if [v for v in (a, b) if v != 0 and not math.isnan(v)] else carried(lambda a, b: 0.0)(a, b)


def log_of_sigmoid(x: float) -> float:
    return -math.log1p(math.exp(-x)) if x > -700 else x


def grown(f: Callable[[float], float]) -> Callable[[float], float]:
    def function(v: float) -> float:
        try:
            return f(v)
        except OverflowError:
            return INF

    return carried(function)


X, Y, Z = col("x"), col("y"), col("z")
EDGES = (-1.0, 0.0, 0.0, 2.5)
BUILT: dict[str, tuple[Expr, Callable[..., float]]] = {
    "abs": (abs(X), carried(lambda x: -x if x < 0 else x + 0.0)),
    "add": (X + Y, carried(lambda x, y: x + y)),
    "and": (X & Y, all_of),
    "bucket": (bucket(X, EDGES), carried(lambda x: float(len([e for e in EDGES if e <= x])))),
    "ceil": (ceil(X), carried(lambda x: -float(-x // 1))),
    "channels": (channels(a=X, b=Y, c=Z), carried(lambda x, y, z: x + y + z)),
    "clip": (clip(X, Y, Z), carried(lambda x, y, z: sorted([sorted([x, y])[1], z])[0])),
    "cos": (cos(X), carried(math.cos)),
    "divide": (X / Y, carried(divided)),
    "equal": (eq(X, Y), carried(lambda x, y: float(x == y))),
    "exp": (exp(X), grown(math.exp)),
    "expm1": (expm1(X), grown(math.expm1)),
    "fill": (fill(X, Y), lambda x, y: y if math.isnan(x) else x),
    "floor": (floor(X), carried(lambda x: float(x // 1))),
    "greater": (X > Y, carried(lambda x, y: float(x > y))),
    "greater_equal": (X >= Y, carried(lambda x, y: float(x >= y))),
    "is_unscored": (is_unscored(X), lambda x: float(math.isnan(x))),
    "less": (X < Y, carried(lambda x, y: float(x < y))),
    "less_equal": (X <= Y, carried(lambda x, y: float(x <= y))),
    "log": (log(X), guarded(math.log, 0, -INF)),
    "log1p": (log1p(X), guarded(math.log1p, -1, -INF)),
    "logsigmoid": (logsigmoid(X), carried(log_of_sigmoid)),
    "maximum": (maximum(X, Y), carried(lambda x, y: x if x > y else y)),
    "minimum": (minimum(X, Y), carried(lambda x, y: x if x < y else y)),
    "mod": (X % Y, carried(lambda x, y: NAN if y == 0 else float(Fraction(x) % Fraction(y)))),
    "multiply": (X * Y, carried(lambda x, y: x * y)),
    "named": (named(X, "part"), lambda x: x),
    "negative": (-X, lambda x: -x),
    "not": (~X, carried(lambda x: float(x == 0))),
    "not_equal": (ne(X, Y), carried(lambda x, y: float(x != y))),
    "or": (X | Y, any_of),
    "power": (X**Y, lambda x, y: 1.0 if x == 1 or y == 0 else carried(powered)(x, y)),
    "relu": (relu(X), carried(lambda x: x if x > 0 else 0.0)),
    "sigmoid": (sigmoid(X), carried(lambda x: math.exp(x) / (1 + math.exp(x)) if x < 0 else 1 / (1 + math.exp(-x)))),
    "sign": (sign(X), carried(lambda x: float((x > 0) - (x < 0)))),
    "sin": (sin(X), carried(math.sin)),
    "sqrt": (sqrt(X), guarded(math.sqrt, 0, 0.0)),
    "subtract": (X - Y, carried(lambda x, y: x - y)),
    "tanh": (tanh(X), carried(lambda x: math.tanh(x))),
    "where": (where(X, Y, Z), lambda x, y, z: NAN if math.isnan(x) else z if x == 0 else y),
}
CORNERS = [0.0, -0.0, 1.0, -1.0, 2.5, NAN, 0.1, 800.0, -800.0, 1e-300, 3.0, -2.0]
cells = st.sampled_from(CORNERS) | st.integers(-40, 40).map(lambda v: v / 8)


def test_every_operator_has_a_definition_here() -> None:
    assert set(BUILT) == set(APPLY), "an operator was added or removed: give it its slow definition"
    for op, (expr, _) in BUILT.items():
        assert isinstance(expr, Apply)
        assert expr.op == op


@settings(max_examples=60)
@example(list(itertools.product(CORNERS, repeat=3)))
@given(st.lists(st.tuples(cells, cells, cells), max_size=6))
def test_an_operator_is_its_definition(rows: list[tuple[float, float, float]]) -> None:
    batch = Batch({name: np.array([row[i] for row in rows], np.float64) for i, name in enumerate("xyz")})
    for op, (expr, definition) in BUILT.items():
        arity = len({node.name for node in expr.args if isinstance(node, Column)}) if isinstance(expr, Apply) else 0
        wanted = [definition(*row[:arity]) for row in rows]
        assert_same(compute(expr, batch), wanted, 1e-12, note=op)


@given(worlds(), st.data())
def test_coarser_arguments_are_spread_to_the_finest(world: World, data: st.DataObject) -> None:
    """Every pair and triple of batch, group, sample and step meet at the finer one."""
    level_of = {name: data.draw(st.sampled_from(sorted(FINER))) for name in "xym"}
    finest = sorted(level_of.values(), key=lambda level: FINER[level])[-1]
    x, y, m = (column(name, level) for name, level in level_of.items())
    built: list[tuple[Expr, Callable[..., float]]] = [
        (where(m, x, y), lambda x, y, m: BUILT["where"][1](m, x, y)),
        (x + y * m, carried(lambda x, y, m: x + y * m)),
    ]
    for expr, definition in built:
        assert expr.level == finest
        wanted = [
            definition(*(world.value(n, world.up(place, finest, own), own) for n, own in level_of.items()))
            for place in world.places(finest)
        ]
        assert_same(compute(expr, world.batch), wanted)


TRUTH = {"0": 0.0, "1": 1.0, "?": NAN}


@pytest.mark.parametrize(
    ("op", "table"),
    [
        ("and", "000 010 0?0 100 111 1?? ?00 ?1? ???"),
        ("or", "000 011 0?? 101 111 1?1 ?0? ?11 ???"),
        ("equal", "001 010 0?? 100 111 1?? ?0? ?1? ???"),
        ("not_equal", "000 011 0?? 101 110 1?? ?0? ?1? ???"),
        ("less", "000 011 0?? 100 110 1?? ?0? ?1? ???"),
        ("less_equal", "001 011 0?? 100 111 1?? ?0? ?1? ???"),
        ("greater", "000 010 0?? 101 110 1?? ?0? ?1? ???"),
        ("greater_equal", "001 010 0?? 101 111 1?? ?0? ?1? ???"),
    ],
)
def test_three_valued_logic(op: str, table: str) -> None:
    """The truth tables of Kleene: unknown unless the known side decides; a comparison with unknown is unknown."""
    rows = [tuple(TRUTH[mark] for mark in row) for row in table.split()]
    batch = Batch({"x": [row[0] for row in rows], "y": [row[1] for row in rows]})
    assert_same(compute(BUILT[op][0], batch), [row[2] for row in rows])


def test_not_of_unknown_is_unknown() -> None:
    assert_same(compute(~X, Batch({"x": [0.0, 1.0, NAN, -2.0]})), [1, 0, NAN, 0])


@given(st.lists(st.tuples(cells, cells)))
def test_laws_of_logic(rows: list[tuple[float, float]]) -> None:
    """De Morgan, and the comparisons are complements where both sides are known."""
    batch = Batch({"x": [row[0] for row in rows], "y": [row[1] for row in rows]})
    for one, other in (
        (~(X & Y), ~X | ~Y),
        (~(X | Y), ~X & ~Y),
        (X < Y, ~(X >= Y)),
        (X > Y, Y < X),
        (eq(X, Y), ~ne(X, Y)),
    ):
        assert_same(compute(one, batch), compute(other, batch))


def test_reflected_operators() -> None:
    batch = Batch({"x": [3.0, -2.0, NAN]})
    for given_expr, wanted in (
        (1 - X, X * -1 + 1),
        (6 / X, lift(6) / X),
        (2**X, lift(2) ** X),
        (7 % X, lift(7) % X),
        (lift(0.5) <= X, X >= 0.5),
        (1 & X, lift(1) & X),
        (0 | X, lift(0) | X),
        (True * X, X * 1),
    ):
        assert_same(compute(given_expr, batch), compute(wanted, batch))


def test_sigmoid_never_overflows_and_stays_exact_in_its_tails() -> None:
    batch = Batch({"x": [-INF, -1000.0, -40.0, 0.0, 40.0, 1000.0, INF]})
    assert compute(sigmoid(X), batch).tolist() == [0, 0, math.exp(-40) / (1 + math.exp(-40)), 0.5, 1, 1, 1]
    assert compute(logsigmoid(X), batch).tolist() == [-INF, -1000, -40, -math.log(2), -math.exp(-40), 0, 0]


def test_case_takes_the_first_condition_that_holds() -> None:
    batch = Batch({"x": [3.0, 1.5, 0.0, NAN]})
    graded = case((X > 2, 20), (X > 1, 10), otherwise=0)
    assert_same(compute(graded, batch), [20, 10, 0, NAN])
    assert case(otherwise=4) == lift(4)


def test_gate_is_where_with_a_default() -> None:
    assert gate(X, Y) == where(X, Y, 0)
    assert gate(X, Y, -1) == where(X, Y, -1)


def test_the_branch_not_taken_does_not_leak() -> None:
    """NaN, infinity and warnings of the other branch stay there."""
    batch = Batch({"x": [0.0, 4.0]})
    assert compute(where(X > 0, 1 / X, 0), batch).tolist() == [0, 0.25]
    assert compute(where(X > 0, log(X), -1), batch).tolist() == [-1, math.log(4)]


def test_position_and_is_last() -> None:
    batch = Batch.from_records([{"step.v": [5, 6, 7]}, {"step.v": []}, {"step.v": [8]}])
    assert compute(position("step"), batch).tolist() == [0, 1, 2, 0]
    assert compute(is_last("step"), batch).tolist() == [0, 0, 1, 1]
    assert compute(col("step.count"), batch).tolist() == [3, 3, 3, 1]


def test_channels_keep_their_parts() -> None:
    both = channels(correct=X, style=0.1 * Y)
    assert both["style"] == 0.1 * Y
    with pytest.raises(ExpressionError, match="no channel 'styl'; there are correct, style"):
        both["styl"]
    with pytest.raises(ExpressionError, match="only channels"):
        X["correct"]
    with pytest.raises(ExpressionError, match="at least one"):
        channels()


@pytest.mark.parametrize("edges", [(), (2.0, 1.0), (0.0, NAN)])
def test_bucket_wants_rising_edges(edges: Sequence[float]) -> None:
    with pytest.raises(ExpressionError, match="rising edges"):
        bucket(X, tuple(edges))


@pytest.mark.parametrize("name", ["", "two words", "_hidden", "1st", "a.b"])
def test_a_part_needs_a_name(name: str) -> None:
    with pytest.raises(ExpressionError, match="a part needs a name"):
        named(X, name)


@pytest.mark.parametrize("name", ["", ".", "a.", ".b", "a.b.c"])
def test_a_column_needs_a_name(name: str) -> None:
    with pytest.raises(ExpressionError, match=r"`name` or `axis\.name`"):
        col(name)


@pytest.mark.parametrize("value", [3, 2.5, True, np.float64(2), np.float32(2), np.int64(2), np.int32(2), np.True_])
def test_numbers_become_constants(value: Any) -> None:
    assert lift(value) == Const(float(value))


@pytest.mark.parametrize("value", ["1", None, [1.0], np.array([1.0]), 1j])
def test_other_things_do_not(value: Any) -> None:
    with pytest.raises(ExpressionError, match="expected a number or an expression"):
        lift(value)


def test_no_truth_value() -> None:
    for mistake in (lambda: X > 0 and Y, lambda: 0 < X < 1, lambda: not X, lambda: 1.0 if X else 0.0, lambda: bool(X)):
        with pytest.raises(TypeError, match=r"Write where\(c, a, b\)"):
            mistake()


def test_no_iteration() -> None:
    for mistake in (lambda: list(X), lambda: sum(X), lambda: max(X)):
        with pytest.raises(TypeError, match=r"sum\(x, over='group'\)"):
            mistake()


def test_two_axes_do_not_meet() -> None:
    batch = Batch.from_records([{"step.v": [1.0], "token.v": [1.0, 2.0]}])
    with pytest.raises(LevelError, match=r"per step .*per token .*Reduce one") as caught:
        col("step.v") + col("token.v")
    assert "mean(x, to='sample')" in str(caught.value)
    with pytest.raises(LevelError, match=r"where cannot combine values per token .* step"):
        where(col("token.v"), X, col("step.v"))
    with pytest.raises(LevelError, match="no axis 'turn'; it has step, token"):
        evaluate(position("turn"), batch)


def test_a_missing_column_names_the_nearest() -> None:
    with pytest.raises(MissingColumn, match="Did you mean 'length'"):
        evaluate(col("lenght"), Batch({"length": [1]}))
    with pytest.raises(MissingColumn, match=r"'step\.gian'.*Did you mean 'step\.gain'"):
        evaluate(col("step.gian"), Batch.from_records([{"step.gain": [1.0]}]))


def test_equality_is_structural() -> None:
    one, other = 2 * X + 1, 2 * col("x") + 1.0
    assert one == other
    assert hash(2 * X) == hash(2 * col("x"))
    different = [2 * X, X * 2, 2 * Y, X, lift(2), lift(0.0), lift(-0.0), X.named("a"), X.named("b")]
    for one, other in itertools.combinations(different, 2):
        assert one != other


def test_hashing_visits_every_node_once_or_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where every node is asked, children first, and where subtrees are shared: 2**400 paths lead to `x` here."""
    visits = 0

    def counting(*args: Any) -> Iterator[Expr]:
        nonlocal visits
        for node in postorder(*args):
            visits += 1
            yield node

    monkeypatch.setattr(core, "postorder", counting)
    expr = X
    for _ in range(400):
        expr = expr + expr
        assert len(expr.digest) == 16
    assert visits <= 3 * 400
    deep = X
    for _ in range(5000):
        deep = deep + 1
    assert compute(deep, Batch({"x": [1.0]})).tolist() == [5001]
    assert visits <= 3 * 400 + 4 * 5000


def test_everything_here_is_exported_and_tried() -> None:
    tried = {*globals()} & {*functions.__all__}
    assert tried == {*functions.__all__}


def test_a_view_takes_values_per_sample() -> None:
    with pytest.raises(LevelError, match="a view takes values per sample"):
        on(col("step.v"), edit.drop(("x",)))
