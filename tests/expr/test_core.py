"""The algebra: what is equal, what is refused, and that no tree is too deep."""

from __future__ import annotations

import math
import pickle
import subprocess
import sys
from typing import Any, ClassVar

import numpy as np
import pytest

import guerdon as gd
from guerdon.batch import Batch
from guerdon.errors import ExpressionError, LevelError
from guerdon.expr import Expr, RowSource, Source, channels, col, edit, lift, mean, named, on, prev
from guerdon.expr.core import Apply, Column, Const, condition, join, misfit, postorder, whole
from guerdon.expr.evaluate import evaluate
from guerdon.expr.plan import plan
from guerdon.expr.save import from_json, to_json
from tests.expr.leaves import Judge, Length, Worker


class Knob(Source):
    """A source whose field may be anything."""

    value: Any = 0
    needs: ClassVar[tuple[str, ...]] = ("x",)


VALUES = [0, 0.0, -0.0, 1, 1.0, True, False, None, "1", "", math.inf, -math.inf, (1,), (1.0,), ("1",), (), ((),), "a,b"]


@pytest.mark.parametrize("a", VALUES, ids=repr)
@pytest.mark.parametrize("b", VALUES, ids=repr)
def test_fields_are_equal_when_they_are_written_alike(a: Any, b: Any) -> None:
    """1, 1.0, True and "1" are four different things, 0.0 and -0.0 two."""
    alike = type(a) is type(b) and repr(a) == repr(b)
    assert (Knob(a) == Knob(b)) == alike
    assert (hash(Knob(a)) == hash(Knob(b))) == alike


def test_nan_is_equal_to_itself() -> None:
    assert Knob(math.nan) == Knob(float("nan"))
    assert lift(math.nan) == lift(-math.nan)
    assert lift(0.0) != lift(-0.0)


def test_what_an_array_library_calls_a_float_is_a_float() -> None:
    assert Knob(np.float64(0.5)) == Knob(0.5)
    assert Knob(np.str_("a")) == Knob("a")
    assert [lift(n) for n in (np.float32(2), np.int16(2), np.uint8(2), 2)] == [Const(2.0)] * 4
    assert [lift(n) for n in (np.True_, True)] == [Const(1.0)] * 2
    assert type(Const(3).value) is float


def test_separators_inside_text_join_nothing() -> None:
    assert Knob(("a", "b")) != Knob(("a,b",))
    assert Knob(("a'", "b")) != Knob(("a", "'b"))
    assert Knob("str:'a'") != Knob(("a",))


def test_fields_that_do_not_compare_do_not_count() -> None:
    assert Length(timeout=1.0) == Length(timeout=2.0)
    assert Judge(limits=gd.Limits(concurrency=1)) == Judge()
    assert Length(2.0) != Length()


def test_the_class_counts_with_its_module() -> None:
    class Length(RowSource):
        scale: float = 1.0

    from tests.expr.leaves import Length as Other

    assert Length() != Other()
    assert Length() == Length()
    Length.__qualname__ = "Length"
    assert Length() != Other()
    Length.__module__ = Other.__module__
    assert Length() == Other()


def test_edits_count_with_their_class() -> None:
    class truncate(edit.Edit):
        share: float
        column: str = "response"

    assert on(Length(), truncate(0.5)) != on(Length(), edit.truncate(0.5))
    truncate.__qualname__ = "truncate"
    assert on(Length(), truncate(0.5)) != on(Length(), edit.truncate(0.5))
    assert on(Length(), edit.truncate(0.5)) == on(Length(), edit.truncate(0.5))
    assert on(Length(), edit.truncate(0.5)) != on(Length(), edit.truncate(0.25))


def test_equality_asks_for_operator_order_and_parameters() -> None:
    a, b = col("a"), col("b")
    trees = [a, b, a + b, b + a, a - b, a * b, -a, abs(a), ~a, a < b, b > a, a & b, a | b, a**b, a % b, a / b]
    trees += [mean(a, over="group"), mean(a, over="batch"), mean(a, to="group"), mean(a, over="group", where=b), 2 + a]
    trees += [mean(a, over="group", empty=0), a.named("b"), a.named("c"), on(Length(), edit.drop(("a",))), prev]
    assert len(set(trees)) == len(trees)
    assert a + b == col("a") + col("b")
    assert a != "a"
    assert a.__eq__(1) is False


def test_sharing_costs_nothing() -> None:
    """2**60 paths lead to `x`: whatever walks them does not come back."""
    e, f = col("x"), col("x")
    for _ in range(60):
        e, f = e * e, f * f
    assert e == f
    assert len({e, f}) == 1
    assert len(plan(e).nodes) == 61
    assert len(list(postorder(e))) == 61
    assert str(e).count("\n") == 59
    assert from_json(to_json(e)) == e
    assert evaluate(e, Batch({"x": [1.0, -1.0, math.nan]})).values.tolist()[:2] == [1, 1]


def long_sum(depth: int) -> Expr:
    e = col("x")
    for i in range(depth):
        e = e * 1.0 if i % 2 else e + col("x") * float(i % 7)
    return e


def gates(depth: int) -> Expr:
    e = lift(7)
    for i in range(depth):
        e = gd.gate(col("x") >= i % 3, e)
    return e


def nested_calls(depth: int) -> Expr:
    e = col("x")
    for _ in range(depth):
        e = gd.maximum(0, e)
    return e


@pytest.mark.parametrize("build", [long_sum, gates, nested_calls])
def test_no_tree_is_too_deep(build: Any) -> None:
    """5,000 nodes above one another: five times what Python's own recursion could do."""
    e, same, batch = build(5_000), build(5_000), Batch({"x": [3.0, 4.0]})
    assert e == same
    assert hash(e) == hash(same)
    assert e != build(4_999)
    assert len(str(e)) > 10_000
    assert len(plan(e).nodes) >= 5_000
    again = from_json(to_json(e))
    assert again == e
    scores = evaluate(e, batch)
    np.testing.assert_array_equal(scores.values, evaluate(again, batch).values)
    assert scores.values.tolist() == evaluate(build(20), batch).values.tolist() or build is long_sum
    assert scores.explain(1).startswith("row 1")


def test_a_chain_of_judges_is_planned_in_no_time() -> None:
    """Each is asked only where the one before said yes; every condition holds all earlier ones."""
    e = col("x")
    for i in range(400):
        e = mean(Judge(label=f"j{i}"), over="batch", where=e > 0)
    planned = plan(e)
    assert [leaf.stage for leaf in planned.leaves] == list(range(400))
    e = lift(0)
    for i in range(1_000):
        e = gd.gate(Judge(label=f"j{i}") > 0, e)
    assert len(plan(e).stages) == 65  # beyond 64 conditions a leaf is asked for more rows than it must
    e = lift(0)
    for i in range(1_000):
        e = gd.fill(Judge(label=f"j{i}"), e)
    assert [stage[0].name for stage in plan(e).stages[:3]] == ["judge", "judge_2", "judge_3"]


def test_the_digest_is_the_same_in_every_process() -> None:
    e = (0.1 * Length(2.0) + mean(col("a"), over="group", where=Worker() > 0)).named("part")
    e = e + on(Length(), edit.replace("response", "a+", "b")) + lift(math.nan) * -0.0
    code = "import sys; from guerdon.expr.save import from_json; print(from_json(sys.stdin.read(), trust=True).digest.hex())"
    for seed in ("0", "1"):
        out = subprocess.run(
            [sys.executable, "-c", code],
            input=to_json(e),
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
        )
        assert out.stdout.strip() == e.digest.hex()


def test_nodes_cannot_be_changed() -> None:
    e = col("a") + Length()
    for node, name in ((e, "op"), (e, "args"), (Length(), "scale"), (lift(1), "value"), (e, "new")):
        with pytest.raises(AttributeError, match="cannot assign to field"):
            setattr(node, name, 1)
    assert len({e: 1, col("a") + Length(): 2}) == 1


def test_pickled_and_back() -> None:
    e = mean(0.5 * Length(3.0) - col("a"), over="group")
    again = pickle.loads(pickle.dumps(e))
    assert again == e
    assert str(again) == str(e)


@pytest.mark.parametrize(
    ("use", "error", "text"),
    [
        (lambda a: bool(a > 1), TypeError, "neither true nor false.*where.*col.'a'. > 1"),
        (lambda a: a > 0 and a < 1, TypeError, "&, |, ~"),
        (lambda a: 0 < a < 1, TypeError, "neither true nor false"),
        (lambda a: list(a), TypeError, "cannot be iterated: sum"),
        (lambda a: 1 in a, TypeError, "not iterable"),
        (lambda a: a + "x", ExpressionError, "got str 'x'. A column is col"),
        (lambda a: a + None, ExpressionError, "got NoneType None"),
        (lambda a: np.arange(2) * a, ExpressionError, "got ndarray"),
        (lambda a: a * np.arange(2), ExpressionError, "got ndarray"),
        (lambda a: a + 10**400, ExpressionError, "too large.*inf"),
        (lambda a: a["x"], ExpressionError, "only channels"),
        (lambda a: channels(x=a)["y"], ExpressionError, "no channel 'y'; there are x"),
        (lambda a: channels(), ExpressionError, "at least one"),
        (lambda a: col(""), ExpressionError, "`name` or `axis.name`, got ''"),
        (lambda a: col("a.b.c"), ExpressionError, "a.b.c"),
        (lambda a: col("a."), ExpressionError, "a\\."),
        (lambda a: col(5), ExpressionError, "got 5"),
        (lambda a: on(a, 5), ExpressionError, "takes an edit"),
        (lambda a: on(col("step.a"), edit.truncate(0.5)), LevelError, "reduce it first"),
        (lambda a: col("step.a") + col("token.b"), LevelError, "per step .*step.a.* per token .*token.b.*Reduce"),
        (lambda a: gd.where(a == 1, 2, 3), ExpressionError, "not False.*eq\\(a, b\\)"),
        (lambda a: gd.gate(a != 1, 2), ExpressionError, "not True.*ne\\(a, b\\)"),
        (lambda a: mean(a, over="group", where=a == 1), ExpressionError, "eq\\(a, b\\)"),
    ],
)
def test_what_is_refused_says_what_to_write(use: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        use(col("a"))


@pytest.mark.parametrize("name", ["", "a b", "_a", "if", "None", "inf", "nan", "prev", "1a", "a.b", "ﬁ", 5, None])
def test_a_part_needs_a_name_that_can_be_read_back(name: Any) -> None:
    for build in (
        lambda: col("a").named(name),
        lambda: named(col("a"), name),
        lambda: Apply("named", (col("a"),), (("name", name),)),
    ):
        with pytest.raises(ExpressionError, match="a part needs a name like `style`"):
            build()
    if isinstance(name, str):
        with pytest.raises(ExpressionError, match="a part needs a name"):
            channels(**{name: col("a")})


def test_operators_take_numbers_on_either_side() -> None:
    a = col("a")
    pairs = [
        (1 + a, a + 1, [2, 3]),
        (6 - a, -(a - 6), [5, 4]),
        (2 * a, a * 2, [2, 4]),
        (2 / a, (a / 2) ** -1, [2, 1]),
        (2**a, np.float64(2) ** a, [2, 4]),
        (5 % a, 1 - (a < 2), [0, 1]),
        (1 < a, a > 1, [0, 1]),
        (1 <= a, a >= 1, [1, 1]),
        (2 & (a > 1), (a > 1) & 2, [0, 1]),
        (0 | (a > 1), (a > 1) | 0, [0, 1]),
        (abs(-a), gd.abs(-a), [1, 2]),
    ]
    batch = Batch({"a": [1.0, 2.0]})
    for left, right, wanted in pairs:
        assert evaluate(left, batch).values.tolist() == wanted
        assert evaluate(right, batch).values.tolist() == wanted


def test_levels_join_to_the_finest() -> None:
    group, sample, step = mean(col("a"), to="group"), col("a"), col("step.a")
    assert [join(lift(1), *some) for some in ((), (group,), (group, sample), (step, sample, group))] == [
        "batch",
        "group",
        "sample",
        "step",
    ]
    with pytest.raises(LevelError, match="this operation cannot combine"):
        join(step, col("turn.a"))


def test_a_condition_is_no_bool_and_a_count_is_whole() -> None:
    assert condition(1) == lift(1)
    assert condition(col("a")) == col("a")
    assert whole(3, "n") == 3
    assert whole(0, "n", least=0) == 0
    for value in (0, -1, 1.0, True, "1", None):
        with pytest.raises(ExpressionError, match="n is a whole number ≥ 1, got"):
            whole(value, "n")


def test_misfits_are_told_by_their_annotation() -> None:
    fit = [Column("a"), lift(1), col("a") + 1, mean(col("a"), over=("group", col("b"))), edit.truncate(1), Length(2)]
    assert [misfit(thing) for thing in fit] == [""] * 6
    unfit = {
        "scale of Length is float, got True": Length(True),
        "column of truncate is str, got 1": edit.truncate(0.5, column=1),  # type: ignore[arg-type]
        "value of Knob": Knob(col("a")),
        "params of Apply is Params, got": Apply("add", (col("a"), col("b")), ((1, 2),)),  # type: ignore[arg-type]
        "op of Apply is str, got 3": Apply(3, (col("a"),)),  # type: ignore[arg-type]
        "timeout of Length is float, got col": Length(timeout=col("a")),  # type: ignore[arg-type]
    }
    for text, thing in unfit.items():
        assert misfit(thing).startswith(text)


def test_postorder_gives_children_first_and_each_object_once() -> None:
    a, b = col("a"), col("b")
    e = (a + b) * (a + b)
    order = [str(node) for node in postorder(e)]
    assert order[:3] == ["col('a')", "col('b')", "col('a') + col('b')"]
    assert order[-1] == str(e)
    shared = a + b
    assert len(list(postorder(shared * shared))) == 4
    assert list(postorder(shared * 2, lambda node: node != shared)) == [shared, lift(2), shared * 2]
