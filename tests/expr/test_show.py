"""Formulas and plans as text: they read well, and formulas read back."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

import guerdon as gd
from guerdon import recipes
from guerdon.expr import (
    Expr,
    Limits,
    channels,
    col,
    edit,
    ema,
    eq,
    fill,
    gate,
    lag,
    lift,
    mean,
    on,
    prev,
    quantile,
    rank,
    recur,
    std,
)
from guerdon.expr.plan import plan
from guerdon.expr.show import number, show
from guerdon.expr.text import parse
from guerdon.sources import stats, verify
from tests.expr.leaves import Costly, Judge, Length

a, b = col("a"), col("b")


@pytest.mark.parametrize(
    ("expr", "text"),
    [
        (a - (b - a), "col('a') - (col('b') - col('a'))"),
        (a - b - a, "col('a') - col('b') - col('a')"),
        ((a + b) * 2, "(col('a') + col('b')) * 2"),
        (a / (b * 2), "col('a') / (col('b') * 2)"),
        (a * b / 2, "col('a') * col('b') / 2"),
        (a % (b % 2), "col('a') % (col('b') % 2)"),
        ((-a) ** 2, "(-col('a')) ** 2"),
        (-(a**2), "-col('a') ** 2"),
        (a**-2, "col('a') ** -2"),
        ((a**b) ** 2, "(col('a') ** col('b')) ** 2"),
        (a ** b**2, "col('a') ** col('b') ** 2"),
        (-a * b, "-col('a') * col('b')"),
        (-(a * b), "-(col('a') * col('b'))"),
        (~(a > 0), "~(col('a') > 0)"),
        (~lift(0) + a, "~0 + col('a')"),
        (lift(-2) ** a, "(-2) ** col('a')"),
        (a - lift(-2), "col('a') - -2"),
        ((a > 0) & (b > 0), "(col('a') > 0) & (col('b') > 0)"),
        ((a & b) | a, "col('a') & col('b') | col('a')"),
        (a & (b | a), "col('a') & (col('b') | col('a'))"),
        ((a < b) + 1, "(col('a') < col('b')) + 1"),
        (eq(a < b, 1), "eq(col('a') < col('b'), 1)"),
        (std(a, over="group"), "std(col('a'), over='group')"),
        (std(a, over="group", ddof=1), "std(col('a'), over='group', ddof=1)"),
        (mean(a, over=("group", b)), "mean(col('a'), over=('group', col('b')))"),
        (mean(a, to="group", where=b > 0, empty=0), "mean(col('a'), to='group', where=col('b') > 0, empty=0)"),
        (quantile(a, 0.5, to="batch"), "quantile(col('a'), to='batch', q=0.5)"),
        (rank(a, over="group", ties="min", pct=True), "rank(col('a'), over='group', ties='min', pct=True)"),
        (lag(a, along="group"), "lag(col('a'), along='group')"),
        (lag(a, 2, along="group", fill=0, order=b), "lag(col('a'), n=2, fill=0, along='group', order=col('b'))"),
        (recur(prev + 1, init=math.nan, along="step"), "recur(prev + 1, init=nan, along='step')"),
        (ema(mean(a, to="batch"), 0.9, name="m"), "ema(mean(col('a'), to='batch'), decay=0.9, name='m')"),
        (channels(x=a, y=b), "channels(x=col('a'), y=col('b'))"),
        (gd.bucket(a, (1, 2.5)), "bucket(col('a'), edges=(1, 2.5))"),
        (gd.bucket(a, (1,)), "bucket(col('a'), edges=(1,))"),
        (on(verify.Exact(), edit.truncate(0.5)), "on(verify.Exact(), edit.truncate(0.5))"),
        (on(a, edit.replace("r", "x", by="y")), "on(col('a'), edit.replace('r', 'x', 'y'))"),
        (on(a, edit.drop(("r",))), "on(col('a'), edit.drop(('r',)))"),
        (lift(math.inf) - math.nan, "inf - nan"),
        ((a * 2).named("twice") + 1, "twice = col('a') * 2\ntwice + 1"),
        (a.named("x"), "x = col('a')\nx"),
        (a.named("x").named("y"), "x = col('a')\ny = x\ny"),
        ((a + b) * (a + b), "_1 = col('a') + col('b')\n_1 * _1"),
        ((a + b).named("s") * (a + b), "_1 = col('a') + col('b')\ns = _1\ns * _1"),
        (a.named("x") + b.named("x"), "x = col('a')\nx + named(col('b'), name='x')"),
        (verify.Math() * verify.Math(), "_math = verify.Math()\n_math * _math"),
        (verify.Choice("AB", timeout=3.0), "verify.Choice('AB', timeout=3.0)"),
        (verify.Exact(ignore_space=True), "verify.Exact(ignore_space=True)"),
    ],
)  # fmt: skip
def test_formulas(expr: Expr, text: str) -> None:
    assert show(expr) == str(expr) == text
    assert parse(text) == expr


@given(st.floats() | st.integers(-(10**20), 10**20).map(float))
def test_numbers_read_back_to_the_same_bits(value: float) -> None:
    assert repr(float(number(value))) == repr(value)
    assert parse(str(lift(value))) == lift(value)


def test_numbers_are_short() -> None:
    wanted = {2.0: "2", -3.0: "-3", 0.1: "0.1", 0.0: "0", 1e300: "1e+300", 1e16: "1e+16", 1e14: "100000000000000"}
    assert {value: number(value) for value in wanted} == wanted
    assert number(-0.0) == "-0.0"


def test_names_of_lines_do_not_collide() -> None:
    one, two = Judge(label="1"), Judge(label="2")
    text = str((one + two) * (one - two) + (a + b) ** (a + b) + (a * b) ** (a * b))
    assert [line.split(" = ")[0] for line in text.splitlines()[:-1]] == ["_judge", "_judge_2", "_1", "_2"]
    assert "judge = " in str(one.named("judge") + (one + 1) * (one + 1))


def test_a_plan_without_leaves() -> None:
    assert str(plan(a + 1)) == "then\n  col('a') + 1\nreads a"


def test_a_plan_of_every_kind_of_leaf() -> None:
    judge = Judge(limits=Limits(concurrency=8))
    cut = on(Length(), edit.truncate(0.5))
    reward = gate(verify.Exact() > 0, fill(col("known"), judge)) + Costly() + (cut * 1).named("cut") + stats.Length()
    assert str(plan(reward)).splitlines() == [
        "stage 1",
        "  exact: verify.Exact()  [every row; whole batch]",
        "  costly: Costly()  [every row; whole batch]",
        "  length: on(Length(), edit.truncate(0.5))  [every row; on edited rows]",
        "  length_2: stats.Length()  [every row; whole batch]",
        "stage 2",
        "  judge: Judge(limits=Limits(concurrency=8, per_second=None, retries=2, timeout=60.0, backoff=0.5))  "
        "[only rows where col('known') is unscored and exact > 0 is true; 8 calls at once]",
        "then",
        "  cut = on(Length(), edit.truncate(0.5)) * 1",
        "  where(verify.Exact() > 0, fill(col('known'), Judge(limits=Limits(concurrency=8, per_second=None, retries=2, "
        "timeout=60.0, backoff=0.5))), 0) + Costly() + cut + stats.Length()",
        "reads response, reference, known, id, x",
    ]


MATH, LENGTH = verify.Math(), stats.Length()
PLANS = {
    "grpo_lambda": (
        recipes.grpo_lambda(MATH, LENGTH, alpha=0.2, lam=0.4),
        """\
stage 1
  math: verify.Math()  [every row; quick, else in worker processes (10 s per row)]
  length: stats.Length()  [every row; whole batch]
then
  _math = verify.Math()
  easy = rank(-mean(_math, to='group'), over='batch', ties='min', pct=True) <= 0.4
  brief = where(_math, 1 - 0.2 * sigmoid(zscore(stats.Length(), over='group', where=_math)), 0)
  where(easy, brief, _math)
reads response, reference""",
    ),
    "laser": (
        recipes.laser(MATH, LENGTH, target=400),
        """\
stage 1
  math: verify.Math()  [every row; quick, else in worker processes (10 s per row)]
  length: stats.Length()  [every row; whole batch]
then
  _math = verify.Math()
  where(_math, 1, -0.5) + where(_math & (stats.Length() <= 400), 0.5, 0)
reads response, reference""",
    ),
    "cosine_length": (
        recipes.cosine_length(MATH, LENGTH, max_length=1000),
        """\
stage 1
  length: stats.Length()  [every row; whole batch]
stage 2
  math: verify.Math()  [only rows where length + 16 >= 1000 is false; quick, else in worker processes (10 s per row)]
then
  _length = stats.Length()
  _1 = 1 + cos(3.141592653589793 * _length / 1000)
  where(_length + 16 >= 1000, -10, where(verify.Math(), 1 + 0.5 * _1, 0 + -5 * _1))
reads response, reference""",
    ),
    "trust_grpo": (
        recipes.trust_grpo(MATH, Judge("response")),
        """\
stage 1
  math: verify.Math()  [every row; quick, else in worker processes (10 s per row)]
stage 2
  judge: Judge('response')  [only rows where mixed is true; 32 calls at once]
then
  _math = verify.Math()
  mixed = ~all(_math >= 0.9, over='group') & ~all(_math <= 0.1, over='group')
  _1 = where(mixed, Judge('response'), 0)
  _2 = _math >= 0.5
  _3 = mean(_1, over='group', where=_2, empty=0)
  _4 = mean(_1, over='group', where=~_2, empty=0)
  trust = where((_3 >= _4) | ~any(_2, over='group'), 1, exp(_3 - _4))
  _math + 0.3 * exp(-col('t') / 500) * trust * _1
reads response, reference, t, id""",
    ),
}


@pytest.mark.parametrize("name", PLANS)
def test_plans_of_the_recipes(name: str) -> None:
    reward, text = PLANS[name]
    assert str(plan(reward)) == text
    if name != "trust_grpo":
        formula = [line[2:] for line in text.split("then\n")[1].splitlines()[:-1]]
        assert parse("\n".join(formula)) == reward
