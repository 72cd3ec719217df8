"""The plan: what runs, in which stage, for which rows; and what is refused before anything runs."""

from __future__ import annotations

import re
from typing import Any, ClassVar

import numpy as np
import pytest

import guerdon as gd
from guerdon.batch import Batch
from guerdon.errors import ExpressionError, LevelError, MissingColumn
from guerdon.expr import (
    AsyncSource,
    Source,
    case,
    channels,
    col,
    edit,
    ema,
    fill,
    gate,
    lift,
    mean,
    on,
    prev,
    recur,
    where,
)
from guerdon.expr.core import Expr
from guerdon.expr.plan import MOST_ALTERNATIVES, MOST_CONDITIONS, check, leaf_name, plan
from tests.expr.leaves import CALLS, Costly, Items, Judge, Length, Relative

JUDGE = Judge()
OK, GOOD = col("ok") > 0, Length() > 3


def where_line(expr: Expr, name: str = "judge") -> str:
    """What the plan says about one leaf, inside the brackets."""
    lines = [line for line in str(plan(expr)).splitlines() if line.startswith(f"  {name}: ")]
    assert len(lines) == 1, str(plan(expr))
    found = re.search(r"\[(.*); .*\]$", lines[0])
    assert found
    return found[1]


@pytest.mark.parametrize(
    ("expr", "rows"),
    [
        (JUDGE, "every row"),
        (JUDGE + gate(OK, JUDGE), "every row"),
        (gate(OK, JUDGE), "only rows where col('ok') > 0 is true"),
        (where(OK, 1, JUDGE), "only rows where col('ok') > 0 is false"),
        (OK & (JUDGE > 0), "only rows where col('ok') > 0 is not false"),
        ((JUDGE > 0) & OK, "every row"),
        (OK | (JUDGE > 0), "only rows where col('ok') > 0 is not true"),
        (fill(col("known"), JUDGE), "only rows where col('known') is unscored"),
        (gate(OK, 2 * (1 - JUDGE)), "only rows where col('ok') > 0 is true"),
        (gate(OK, gate(col("a"), JUDGE)), "only rows where col('a') is true and col('ok') > 0 is true"),
        (gate(OK, JUDGE) + gate(col("a"), JUDGE), "only rows where col('a') is true, or col('ok') > 0 is true"),
        (gate(OK, JUDGE) + gate(OK, gate(col("a"), JUDGE)), "only rows where col('ok') > 0 is true"),
        (
            case((OK, 1), (col("a"), JUDGE), otherwise=0),
            "only rows where col('a') is true and col('ok') > 0 is false",
        ),
        (mean(JUDGE, over="group", where=OK), "only rows where col('ok') > 0 is true"),
        (gate(col("a"), mean(JUDGE, over="group", where=OK)), "only rows where col('ok') > 0 is true"),
        (gate(OK, mean(JUDGE, over="group")), "every row"),
        (gate(OK, mean(JUDGE, to="batch")), "every row"),
        (gate(OK, gd.cumsum(JUDGE, along="group")), "every row"),
        (gd.zscore(JUDGE, over="group", where=OK), "every row"),
        (gd.sum(1 + 0 * col("a"), over=("group", JUDGE), where=OK), "every row"),
        (mean(JUDGE, over="group", where=JUDGE), "every row"),
        (gate(GOOD, JUDGE), "only rows where length > 3 is true"),
        (gate(GOOD.named("good"), JUDGE), "only rows where good is true"),
        (gate(Length().named("good"), JUDGE), "only rows where good is true"),
        (gate(OK, ema(mean(JUDGE, to="batch"), 0.9)), "every row"),
        (gate(OK, gd.running_mean(JUDGE)), "every row"),
        (recur(where(prev > 0, JUDGE, 1) + fill(prev, JUDGE), init=1, along="group"), "every row"),
        (
            gate(OK, recur(where(prev > 0, gate(col("a"), JUDGE), 1), init=1, along="group")),
            "only rows where col('a') is true",
        ),
    ],
    ids=str,
)
def test_a_leaf_is_asked_where_its_value_matters(expr: Expr, rows: str) -> None:
    assert where_line(expr) == rows


def test_conditions_inside_a_row_reach_through_its_items() -> None:
    """A leaf that opens an axis is as costly as any other: reducing it to the sample keeps its rows apart."""
    for expr in (
        gate(OK, mean(Items(), to="sample")),
        gate(OK, gd.max(gd.cumsum(Items(), along="test"), to="sample", where=gd.position("test") < 2)),
        gate(OK, mean(gd.rank(Items(), over="sample"), to="sample")),
    ):
        assert where_line(expr, "items").startswith("only rows where col('ok') > 0 is true")
    for expr in (
        gate(OK, mean(gd.rank(Items(), over=("group", "test")), to="sample")),
        gate(OK, mean(mean(Items(), to="group"), to="batch")),
    ):
        assert where_line(expr, "items") == "every row"


def test_what_depends_on_other_rows_gets_all_rows() -> None:
    assert where_line(gate(OK, Relative()), "relative") == "every row"
    assert where_line(gate(OK, Costly()), "costly") == "only rows where col('ok') > 0 is true"
    cut = edit.truncate(0.5)
    assert where_line(gate(OK, on(Length(), cut)), "length").startswith("only rows")
    for inside in (
        Length() - mean(Length(), over="group"),
        Length() + Relative(),
        ema(mean(col("a"), to="batch"), 0.9) + 0 * Length(),
    ):
        assert where_line(gate(OK, on(inside, cut)), leaf_name(on(inside, cut))) == "every row"


def test_a_cheap_source_runs_for_every_row() -> None:
    class Cheap(Source):
        def score(self, batch: Batch) -> Any:
            return np.ones(batch.size)

    assert where_line(gate(OK, Cheap()), "cheap") == "every row"


def test_conditions_come_first() -> None:
    first, second, third = Judge(label="1"), Judge(label="2"), Judge(label="3")
    planned = plan(gate(first, gate(second, third)) + second * 0)
    assert [[leaf.name for leaf in stage] for stage in planned.stages] == [["judge", "judge_2"], ["judge_3"]]
    planned = plan(gate(first, gate(second, third)))
    assert [leaf.stage for leaf in planned.leaves] == [0, 1, 2]


def test_conditions_in_a_circle_are_dropped() -> None:
    """`a` waits for `b` in one place and `b` for `a` in another: one of them must not wait."""
    a, b = Judge(label="a"), Judge(label="b")
    planned = plan(gate(col("p"), where(a, b, 0)) + gate(col("q"), where(b, a, 0)))
    assert sorted(leaf.stage for leaf in planned.leaves) == [0, 1]
    first, second = planned.leaves
    p, q = (col("p"), "true"), (col("q"), "true")
    assert set(first.demands) == {frozenset({p}), frozenset({q})}
    assert (first.node, second.node) == (b, a)
    assert set(second.demands) == {frozenset({p}), frozenset({q, (b, "true")})}


def test_alternatives_and_conditions_have_an_end() -> None:
    some = sum((gate(col(f"c{i}"), JUDGE) for i in range(MOST_ALTERNATIVES)), lift(0))
    assert where_line(some).count(", or ") == MOST_ALTERNATIVES - 1
    assert where_line(some + gate(col("more"), JUDGE)) == "every row"
    deep: Expr = JUDGE
    for i in range(MOST_CONDITIONS + 5):
        deep = gate(col(f"c{i}"), deep)
    assert where_line(deep).count(" and ") == MOST_CONDITIONS - 1


def test_equal_leaves_are_one_leaf() -> None:
    CALLS.clear()
    expr = Judge() * 2 + Judge(limits=gd.Limits(retries=0)) + mean(Judge(), over="group")
    assert len(plan(expr).leaves) == 1
    batch = Batch({"id": ["r0", "r1"], "x": [1.0, 3.0], "group": [0, 0]})
    assert gd.evaluate(expr, batch).values.tolist() == [5, 11]
    assert sorted(CALLS["judge"]) == ["r0", "r1"]


def test_leaves_are_named_after_their_class_or_their_part() -> None:
    class LastNumberX(AsyncSource):
        pass

    assert leaf_name(LastNumberX()) == "last_number_x"
    assert leaf_name(on(LastNumberX(), edit.truncate(0.5))) == "last_number_x"
    a, b, c = (Judge(label=label) for label in "abc")
    assert list(plan(a + b + c.named("judge_2")).names) == ["judge_2", "judge", "judge_3"]
    assert plan(a.named("first") + a).names == {"first": a}
    assert list(plan(channels(style=a, right=b) + c).names) == ["style", "right", "judge"]
    assert [leaf.name for leaf in plan(a.named("x") + b).leaves] == ["x", "judge"]


@pytest.mark.parametrize(
    ("expr", "text"),
    [
        (col("a").named("p") + col("b").named("p"), "two different parts are called 'p'.*col.'a'.*col.'b'"),
        (channels(p=col("a")) + col("b").named("p"), "two different parts are called 'p'"),
        (
            ema(mean(col("a"), to="batch"), 0.5, name="m") + ema(mean(col("b"), to="batch"), 0.5, name="m"),
            "two different memories are called 'm'",
        ),
        (recur((prev + 1).named("p"), init=0, along="step"), "inside recur nothing has a value.*name the recur"),
    ],
)
def test_names_that_clash_are_refused(expr: Expr, text: str) -> None:
    with pytest.raises(ExpressionError, match=text):
        plan(expr)


def test_one_name_for_equal_parts_is_fine() -> None:
    assert plan(col("a").named("p") + col("a").named("p")).names == {"p": col("a")}
    again = ema(mean(col("a"), to="batch"), 0.5, name="m")
    assert len(plan(again + again).nodes) == 4


def test_columns_are_what_is_read() -> None:
    cut = edit.assign("response", "think")
    cases: list[tuple[Expr, tuple[str, ...]]] = [
        (col("a") + col("step.b") + col("a"), ("a", "step.b")),
        (recur(prev + col("step.b"), init=0, along="step"), ("step.b",)),
        (mean(col("a"), over=("group", "model")), ("a", "model")),
        (mean(col("step.a"), over=("sample", "step", "step.kind")), ("step.a", "step.kind")),
        (Judge("y") + 1, ("id", "y")),
        (on(Length(), cut), ("think",)),
        (on(Length() + col("a"), edit.truncate(0.5)), ("response", "a")),
        (on(Length(), edit.prefixes()), ("response", "step.end")),
        (lift(1) + 1, ()),
    ]
    for expr, columns in cases:
        assert plan(expr).columns == columns
    assert "reads no column" in str(plan(lift(1)))


class NeedsStep(Source):
    needs: ClassVar[tuple[str, ...]] = ("step.text",)


@pytest.mark.parametrize(
    ("expr", "error", "text"),
    [
        (col("respons"), MissingColumn, "'respons', the batch has response, x, step.end. Did you mean 'response'.*--column respons="),
        (Judge(), MissingColumn, "'id'"),
        (NeedsStep(), MissingColumn, "'step.text'"),
        (col("step.start"), MissingColumn, "'step.start', the batch has response, x, step.end"),
        (col("t"), MissingColumn, "follows a schedule.*t=100"),
        (col("group"), LevelError, "no groups: add a column `group`"),
        (mean(col("x"), over="group"), LevelError, "no groups"),
        (mean(col("x"), to="group") + col("x"), LevelError, "no groups"),
        (gd.lag(col("x"), along="group"), LevelError, "no groups"),
        (gd.cumsum(col("x"), along="turn"), LevelError, "no axis 'turn'; it has step"),
        (gd.position("turn"), LevelError, "no axis 'turn'"),
        (col("turn.count"), LevelError, "no axis 'turn'"),
        (on(Length(), edit.prefixes("turn")), MissingColumn, "'turn.end'"),
        (on(NeedsStep(), edit.truncate(0.5)), MissingColumn, "'step.text'"),
        (mean(col("x"), over="model"), MissingColumn, "'model'"),
    ],
)  # fmt: skip
def test_refused_before_anything_runs(expr: Expr, error: type[Exception], text: str) -> None:
    batch = Batch.from_records([{"response": "a", "x": 1.0, "step.end": [1]}])
    with pytest.raises(error, match=text):
        check(plan(expr), batch)


def test_a_view_at_an_axis_that_is_not_there() -> None:
    class Halves(edit.Edit):
        @property
        def at(self) -> str:
            return "half"

        def reads(self) -> tuple[str, ...]:
            return ("response",)

    with pytest.raises(LevelError, match="no axis 'half'"):
        check(plan(on(Length(), Halves())), Batch({"response": ["a"]}))


def test_groups_come_from_prompts_but_not_as_a_column() -> None:
    batch = Batch({"prompt": ["p", "p"], "x": [1.0, 3.0]})
    check(plan(mean(col("x"), over="group")), batch)
    with pytest.raises(MissingColumn, match="'group', the batch has prompt, x"):
        check(plan(col("group")), batch)


def test_an_axis_that_a_source_opens_is_there() -> None:
    check(plan(mean(Items() * gd.position("test") / col("test.count"), to="sample")), Batch({"response": ["a"]}))


def test_what_a_plan_says_about_groups_and_memory() -> None:
    x = col("x")
    cases = [
        (x, ""),
        (mean(x, over="group"), "g"),
        (mean(x, to="group"), "g"),
        (mean(x, over="batch"), "b"),
        (gd.lag(x, along="group"), "g"),
    ]
    cases += [
        (on(mean(x, over="group"), edit.drop(("a",))), "g"),
        (ema(mean(x, to="batch"), 0.5), "bm"),
        (mean(col("step.a"), to="sample"), ""),
    ]
    for expr, flags in cases:
        planned = plan(expr)
        assert (planned.grouped, planned.batchwide, planned.remembers) == tuple(f in flags for f in "gbm"), expr
