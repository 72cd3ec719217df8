"""Push-down against a slow oracle: random rewards are worth what they are worth when every leaf is asked for every row,
and no leaf is asked for a row that lazy evaluation, one row after another, would not have asked it for.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import guerdon as gd
from guerdon.batch import Batch
from guerdon.expr import Source, col, eq, fill, gate, is_unscored, lift, mean, where
from guerdon.expr.core import Expr
from guerdon.expr.evaluate import evaluate
from guerdon.expr.plan import plan
from tests.expr.leaves import CALLS, Costly, Judge, Written

LEAVES = 4
KINDS = (Judge, Written, Costly)
NAN = math.nan

cells = st.sampled_from([0.0, 1.0, 1.0, -1.0, 2.0, NAN])
Tree = tuple[Any, ...]


@st.composite
def batches(draw: Callable[..., Any], least: int = 1) -> Batch:
    size = draw(st.integers(least, 7))
    names = ["a", "b", *(f"x{i}" for i in range(LEAVES))]
    columns: dict[str, Any] = {name: draw(st.lists(cells, min_size=size, max_size=size)) for name in names}
    columns["group"] = draw(st.lists(st.integers(0, 2), min_size=size, max_size=size))
    return Batch({**columns, "id": [f"row {i}" for i in range(size)]})


def trees(rowwise: bool) -> st.SearchStrategy[Tree]:
    """Rewards as nested tuples: (operator, arguments...)."""
    atoms = st.sampled_from([("leaf",), ("leaf",), ("leaf",), ("a",), ("b",), ("number", 0.0), ("number", 2.0)])

    def grow(inner: st.SearchStrategy[Tree]) -> st.SearchStrategy[Tree]:
        pairs = st.sampled_from(["+", "*", "&", "|", "fill", ">", "max", "eq"])
        grown = [
            st.tuples(pairs, inner, inner),
            st.tuples(st.just("where"), inner, inner, inner),
            st.tuples(st.just("case"), inner, inner, inner, inner, inner),
            st.tuples(st.sampled_from(["~", "-", "unscored", "named"]), inner),
        ]
        if not rowwise:
            over = st.sampled_from(["mean", "sum", "zscore", "leave_one_out", "rank", "any"])
            to = st.sampled_from(["group", "batch"])
            grown += [
                st.tuples(st.just("over"), over, inner, inner),
                st.tuples(st.just("over everyone"), over, inner),
                st.tuples(st.just("to"), to, inner, inner),
                st.tuples(st.just("keyed"), inner, inner, inner),
            ]
        return st.one_of(grown)

    return st.recursive(atoms, grow, max_leaves=12)


def build(tree: Tree, leaf: Callable[[], Expr]) -> Expr:
    names = itertools.count()

    def made(tree: Tree) -> Expr:
        match tree:
            case ("leaf",):
                return leaf()
            case ("a" | "b" as name,):
                return col(name)
            case ("number", value):
                return lift(value)
            case ("+", x, y):
                return made(x) + made(y)
            case ("*", x, y):
                return made(x) * made(y)
            case ("&", x, y):
                return made(x) & made(y)
            case ("|", x, y):
                return made(x) | made(y)
            case (">", x, y):
                return made(x) > made(y)
            case ("max", x, y):
                return gd.maximum(made(x), made(y))
            case ("eq", x, y):
                return eq(made(x), made(y))
            case ("fill", x, y):
                return fill(made(x), made(y))
            case ("where", c, x, y):
                return where(made(c), made(x), made(y))
            case ("case", c, x, d, y, z):
                return gd.case((made(c), made(x)), (made(d), made(y)), otherwise=made(z))
            case ("~", x):
                return ~made(x)
            case ("-", x):
                return -made(x)
            case ("unscored", x):
                return is_unscored(made(x))
            case ("named", x):
                return made(x).named(f"part{next(names)}")
            case ("over", op, x, mask):
                return getattr(gd, op)(made(x) + col("a") * 0, over="group", where=made(mask))
            case ("over everyone", op, x):
                return getattr(gd, op)(made(x) + col("a") * 0, over="batch")
            case ("to", level, x, mask):
                return gd.max(made(x) + col("a") * 0, to=level, where=made(mask)) + 0 * col("b")
            case ("keyed", x, key, mask):
                return gd.sum(made(x) + col("a") * 0, over=("group", made(key)), where=made(mask))
            case _:
                raise AssertionError(tree)

    return made(tree) + 0 * col("a")


class Everywhere(Source):
    """The number in a column, for every row."""

    of: str

    def reads(self) -> tuple[str, ...]:
        return (self.of,)

    def score(self, batch: Batch) -> np.ndarray[Any, Any]:
        return batch.numbers(self.of)


def words(tree: Any) -> Iterator[str]:
    for inner in tree:
        yield from words(inner) if isinstance(inner, tuple) else [str(inner)]


def asked(label: str) -> set[int]:
    return {int(name.removeprefix("row ")) for name in CALLS[label]}


@settings(max_examples=300)
@given(trees(rowwise=False), batches(), st.data())
def test_push_down_changes_no_value(tree: Tree, batch: Batch, data: st.DataObject) -> None:
    """Few leaves in many places: they wait for one another in every way there is, in circles too."""
    CALLS.clear()
    picks = data.draw(st.lists(st.integers(0, LEAVES - 1), min_size=25, max_size=25))
    pick, again, once_more = (itertools.cycle(picks) for _ in range(3))
    kinds = [KINDS[i % 3] for i in range(LEAVES)]

    def costly() -> Expr:
        i = next(pick)
        return kinds[i](of=f"x{i}", label=f"leaf {i}")

    lazy = evaluate(build(tree, costly), batch)
    eager = evaluate(build(tree, lambda: Everywhere(f"x{next(again)}")), batch)
    np.testing.assert_array_equal(lazy.values, eager.values)
    if not {"sum", "any", "keyed"} & {*words(tree)}:  # a sum of nothing is 0, but NaN where a source failed
        plain = evaluate(build(tree, lambda: col(f"x{next(once_more)}")), batch)
        np.testing.assert_array_equal(lazy.values, plain.values)
    unscored = set(np.flatnonzero(np.isnan(lazy.values)).tolist())
    assert unscored <= {failure.row for failure in lazy.failures}
    for label, names in CALLS.items():
        assert len(names) == len(set(names)), f"{label} was asked twice for one row"


def needs(tree: Tree, row: dict[str, float]) -> tuple[float, set[int]]:
    """Value of a rowwise tree for one row, and which of its leaves (counted in reading order) had to be asked."""
    count = itertools.count()

    def visit(tree: Tree, wanted: bool) -> tuple[float, set[int]]:
        """Numbers every leaf on its way; asks only what is wanted."""
        head, *rest = tree
        if head == "leaf":
            i = next(count)
            return (row[f"x{i}"], {i}) if wanted else (NAN, set())
        if head in ("a", "b"):
            return row[head], set()
        if head == "number":
            return rest[0], set()
        if head == "case":
            c, x, d, y, z = rest
            return visit(("where", c, x, ("where", d, y, z)), wanted)
        if head == "where":
            c, told = visit(rest[0], wanted)
            x, of_x = visit(rest[1], wanted and not math.isnan(c) and c != 0)
            y, of_y = visit(rest[2], wanted and c == 0)
            return (NAN if math.isnan(c) else x if c else y), told | of_x | of_y
        x, told = visit(rest[0], wanted)
        if len(rest) == 1:
            same = {"-": -x, "named": x, "unscored": float(math.isnan(x))}
            return same[head] if head in same else NAN if math.isnan(x) else float(x == 0), told
        open_ = {"&": x != 0 or math.isnan(x), "|": math.isnan(x) or x == 0, "fill": math.isnan(x)}.get(head, True)
        y, of_y = visit(rest[1], wanted and open_)
        return binary(head, x, y), told | of_y

    return visit(tree, True)


def binary(op: str, x: float, y: float) -> float:
    unknown = math.isnan(x) or math.isnan(y)
    if op == "&":
        return 0.0 if 0 in (x, y) else NAN if unknown else 1.0
    if op == "|":
        return 1.0 if any(v != 0 and not math.isnan(v) for v in (x, y)) else NAN if unknown else 0.0
    if op == "fill":
        return y if math.isnan(x) else x
    if unknown:
        return NAN
    return {"+": x + y, "*": x * y, ">": float(x > y), "max": x if x >= y else y, "eq": float(x == y)}[op]


def count_leaves(tree: Any) -> int:
    return int(tree == ("leaf",)) or sum(count_leaves(inner) for inner in tree if isinstance(inner, tuple))


@settings(max_examples=300)
@given(trees(rowwise=True), st.sampled_from(KINDS), st.data())
def test_every_leaf_is_asked_for_exactly_the_rows_that_lazy_evaluation_asks_for(
    tree: Tree, kind: Any, data: st.DataObject
) -> None:
    """Each leaf in one place, so that none can wait in a circle."""
    CALLS.clear()
    number = count_leaves(tree)
    rows = data.draw(
        st.lists(st.fixed_dictionaries(dict.fromkeys(("a", "b", *(f"x{i}" for i in range(number))), cells)), max_size=6)
    )
    batch = Batch.from_records(rows).with_columns({"id": [f"row {i}" for i in range(len(rows))]})
    if not rows:
        batch = Batch({name: np.empty(0) for name in ("a", "b", "id", *(f"x{i}" for i in range(number)))})
    order = itertools.count()
    expr = build(tree, lambda: (i := next(order), kind(of=f"x{i}", label=f"leaf {i}"))[1])
    scores = evaluate(expr, batch)
    lazily = [needs(tree, row) for row in rows]
    wanted = [value + 0 * row["a"] for (value, _), row in zip(lazily, rows, strict=True)]
    np.testing.assert_array_equal(scores.values, wanted)
    for i in range(number):
        rows_of_leaf = {r for r, (_, told) in enumerate(lazily) if i in told}
        readable = {r for r in rows_of_leaf if kind is Costly or not math.isnan(rows[r][f"x{i}"])}
        assert asked(f"leaf {i}") == readable, plan(expr)


def test_the_generator_reaches_what_it_is_for() -> None:
    """A judge in a branch, in a mask and in a key: if the planner stopped pushing down, the laws above would still hold
    for values; this says that calls are really spared."""
    CALLS.clear()
    batch = Batch(
        {"id": [f"row {i}" for i in range(4)], "x": [1.0, 2.0, 3.0, 4.0], "a": [1, 0, NAN, 1], "group": [0] * 4}
    )
    evaluate(gate(col("a"), Judge()), batch)
    assert asked("judge") == {0, 3}
    CALLS.clear()
    scores = evaluate(gd.sum(1 + 0 * col("x"), over=("group", Judge()), where=col("a")), batch)
    assert asked("judge") == {0, 1, 2, 3}
    assert scores.values.tolist() == [1, 0, 0, 1]
    CALLS.clear()
    evaluate(mean(Judge(), over="group", where=col("a")), batch)
    assert asked("judge") == {0, 3}


@pytest.mark.parametrize("kind", KINDS)
def test_conditions_in_a_circle_give_the_right_values(kind: Any) -> None:
    """Each leaf is the condition of the other; with the circle cut, both still see every row they matter for."""
    a, b = kind(of="x0", label="a"), kind(of="x1", label="b")
    expr = gate(col("a") > 0, where(a > 0, b, 10)) + gate(col("b") > 0, where(b > 0, a, 20))
    values = [0.0, 1.0, 2.0, NAN]
    rows = [
        dict(zip(("a", "b", "x0", "x1"), row, strict=True))
        for row in itertools.product([0.0, 1.0], [0.0, 1.0], values, values)
    ]
    batch = Batch.from_records(rows).with_columns({"id": [f"row {i}" for i in range(len(rows))]})
    plain = gate(col("a") > 0, where(col("x0") > 0, col("x1"), 10)) + gate(
        col("b") > 0, where(col("x1") > 0, col("x0"), 20)
    )
    CALLS.clear()
    np.testing.assert_array_equal(evaluate(expr, batch).values, evaluate(plain, batch).values)
    spared = {r for r, row in enumerate(rows) if row["a"] == row["b"] == 0}
    assert not (asked("a") | asked("b")) & spared
