"""Text → reward: what is meant is read, and what is printed is read back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

import guerdon as gd
from guerdon.errors import ExpressionError, LevelError
from guerdon.expr import Expr, channels, col, edit, eq, lag, lift, maximum, mean, ne, on, prev, recur, where
from guerdon.expr.evaluate import evaluate
from guerdon.expr.save import from_json, to_json
from guerdon.expr.text import LONGEST, NAMESPACES, parse, vocabulary
from guerdon.sources import stats, verify
from tests.expr.expressions import BATCH, rewards

a, b, c = col("a"), col("b"), col("c")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("col('a') + 2 * col('b') ** -1", a + 2 * b**-1),
        ("-col('a') ** 2", -(a**2)),
        ("(-col('a')) ** 2", (-a) ** 2),
        ("2 ** col('a') ** col('b')", 2 ** (a**b)),
        ("-2 ** col('a')", -(lift(2) ** a)),
        ("+col('a') - +1", a - 1),
        ("--col('a')", -a.__neg__()),
        ("col('a') if col('b') > 0 else col('c')", where(b > 0, a, c)),
        ("1 if col('a') else 2 if col('b') else 3", where(a, 1, where(b, 2, 3))),
        ("col('a') and col('b') or not col('c')", (a & b) | ~c),
        ("col('a') & col('b') | ~col('c')", (a & b) | ~c),
        ("not col('a') == col('b')", ~eq(a, b)),
        ("col('a') == col('b')", eq(a, b)),
        ("col('a') != 1", ne(a, 1)),
        ("col('a') <= 1 < 2", None),
        ("mean(col('a'), over=('group', col('b')), where=col('c'))", mean(a, over=("group", b), where=c)),
        ("mean(col('a'), over=['group', 'model'])", mean(a, over=("group", "model"))),
        ("case((col('a'), 1), (col('b'), 2), otherwise=3)", where(a, 1, where(b, 2, 3))),
        ("channels(x=col('a'), y=2)", channels(x=a, y=2)),
        ("lag(col('step.v'), 2, along='step', fill=nan)", lag(col("step.v"), 2, along="step")),
        ("clip(col('a'), -inf, inf)", gd.clip(a)),
        ("abs(col('a') % 3)", abs(a % 3)),
        ("x = col('a')\nx * x", a.named("x") * a.named("x")),
        ("_x = col('a')\n_x * _x", a * a),
        ("x = col('a') + 1", (a + 1).named("x")),
        ("x = 2\ny = x + col('a')\n# a remark\ny", (lift(2).named("x") + a).named("y")),
        ("x = 1; x + x", lift(1).named("x") + lift(1).named("x")),
        ("mean = col('a')\nmean(mean, over='group')", mean(a.named("mean"), over="group")),
        ("\ufeff  col('a')\r\n", a),
        ("(col('a') +\n   1)", a + 1),
        ("1_000 * 0x10 + 1e-3", lift(1000) * 16 + 0.001),
        ("True + col('a')", 1 + a),
        ("verify.Math() - 0.1 * stats.Length('words')", verify.Math() - 0.1 * stats.Length("words")),
        ("verify.Format('think', 'answer', once=False)", verify.Format("think", "answer", once=False)),
        ("on(verify.Exact(), edit.truncate(0.5))", on(verify.Exact(), edit.truncate(0.5))),
        ("recipes.laser(col('a'), col('b'), target=4)", gd.recipes.laser(a, b, target=4)),
        ("anneal.linear(1, 0, 100) * col('a')", gd.anneal.linear(1, 0, 100) * a),
        (
            "recur(maximum(0, prev + col('step.g')), init=0, along='step')",
            recur(maximum(0, prev + col("step.g")), init=0, along="step"),
        ),
    ],
)
def test_what_is_meant_is_read_and_printed_back(text: str, wanted: Expr | None) -> None:
    if wanted is None:
        with pytest.raises(ExpressionError, match=r"write a < b < c as \(a < b\) & \(b < c\) at line 1, column 1"):
            parse(text)
        return
    assert parse(text) == wanted
    assert parse(str(parse(text))) == wanted


@settings(max_examples=300)
@given(rewards())
def test_whatever_is_printed_is_read_back(expr: Expr) -> None:
    """The same tree from its text and from its JSON; printing once more gives the same text."""
    again, loaded = parse(str(expr)), from_json(to_json(expr))
    assert again == expr
    assert loaded == expr
    assert str(again) == str(loaded) == str(expr)


@settings(max_examples=150)
@given(rewards())
def test_what_is_read_back_is_worth_the_same(expr: Expr) -> None:
    """Bit for bit, state included, or refused with the same words."""
    results: list[object] = []
    for one in (expr, parse(str(expr)), from_json(to_json(expr))):
        try:
            scores = evaluate(one, BATCH)
        except ExpressionError as error:
            results.append(str(error))
        else:
            results.append((scores.values.tobytes(), repr(scores.state), scores.failures, scores.explain(3)))
    assert results[0] == results[1] == results[2]


def test_a_long_sum_needs_no_depth() -> None:
    text = " + ".join(["col('a')"] * 700)
    assert len(text) < LONGEST
    assert evaluate(parse(text), BATCH).values[0] == 700
    assert parse(str(parse(text))) == parse(text)
    assert parse(" and ".join(["col('a')"] * 800)).level == "sample"
    assert parse("\n".join([f"p{i} = col('a') * {i}" for i in range(300)] + ["p7 - p3"])) is not None


def test_shared_names_stay_shared() -> None:
    lines = ["_0 = col('a')", *(f"_{i + 1} = _{i} * _{i}" for i in range(200)), "_200"]
    expr = parse("\n".join(lines))
    assert len(gd.plan(expr).nodes) == 201
    assert evaluate(expr, BATCH).values[0] == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "_x = 1\nverify.Meth()",
            r"unknown function 'verify\.Meth' at line 2, column 1\. Did you mean 'verify\.Math'\?",
        ),
        ("verify.math()", r"Did you mean 'verify\.Math'\?"),
        ("Math()", r"unknown function 'Math' at line 1, column 1\. Did you mean 'verify\.Math'\?"),
        ("1 + verfy.Math()", r"unknown namespace 'verfy' at line 1, column 5\. Did you mean 'verify'\?"),
        ("meen(col('a'), over='group')", r"unknown function 'meen' at line 1, column 1\. Did you mean 'mean'\?"),
        ("length", r"unknown name 'length' at line 1, column 1\. A column is col\('length'\)"),
        ("stats.Length", r"Attribute has no meaning here at line 1, column 1"),
        ("exp", r"Call it: exp\(\.\.\.\)"),
        ("x = 1\nx = 2\nx", r"'x' is assigned twice at line 2, column 1"),
        ("x = 1\ny", r"unknown name 'y' at line 2, column 1\. Did you mean 'x'\?|unknown name 'y'"),
        ("inf = 2\ninf", r"a part needs a name.*got 'inf' \(at line 1, column 1\)"),
        ("mean(col('a'))", r"mean needs exactly one of to= and over=.*\(at line 1, column 1\)"),
        ("1 + mean(col('a'), to='sample')", r"already per sample.*\(at line 1, column 5\)"),
        ("gate(col('a'))", r"gate: .*missing 1 required positional argument: 'x' at line 1"),
        ("gate(col('a'), 1, foo=2)", r"gate: .*unexpected keyword argument 'foo' at line 1"),
        ("gate(col('a'), 1, otherwise=1, otherwise=2)", r"an argument is given twice at line 1, column 1"),
        ("1 + (col('a') == 'x')", r"expected a number or an expression, got 'x' at line 1, column 18"),
        ("1 if", r"not an expression \(line 1\)"),
        ("1 +\n* 2", r"not an expression \(line 1\)"),
        ("on(verify.Math(), 5)", r"takes an edit, such as edit\.truncate\(0\.5\), got 5 \(at line 1, column 1\)"),
        ("edit.truncate(0.5)", r"expected a number or an expression, got truncate"),
        ("on(verify.Math(), edit.truncate(2))", r"share lies in \[0, 1\].*\(at line 1, column 19\)"),
        ("on(verify.Math(), edit.assign('a', 5))", r"source of assign is str, got 5 at line 1, column 19"),
        ("verify.Math(timeout=col('a'))", r"timeout of Math is float, got col\('a'\) at line 1, column 1"),
        ("lag(col('step.v'), 1.5, along='step')", r"whole number ≥ 1, got 1\.5 \(at line 1, column 1\)"),
        ("std(col('a'), over='group', ddof='x')", r"ddof is a whole number ≥ 0, got 'x'"),
        ("ema(mean(col('a'), to='batch'), 0.5, name=7)", r"name of State is str \| None, got 7"),
        ("maximum(*(1, 2))", r"\* and \*\* have no meaning here at line 1, column 1"),
        ("maximum(**{'a': 1})", r"\* and \*\* have no meaning here at line 1, column 1"),
        (
            "mean(col('a'), over='group', empty='x')",
            r"mean: could not convert string to float: 'x' at line 1, column 1",
        ),
        ("1 - -True", r"expected a number or an expression, got True at line 1, column 6"),
        (" + ".join(["col('a')"] * 900), r"more than 5000 nodes: save it as JSON instead"),
        ("where(True, 1, 2)", r"a condition is an expression, not True.*at line 1, column 1"),
        ("", r"the expression is empty: write e\.g\. verify\.Math\(\)"),
        ("# nothing", r"the expression is empty"),
    ],
)
def test_errors_name_the_place_and_what_to_write(text: str, message: str) -> None:
    with pytest.raises(ExpressionError, match=f"(?s){message}"):
        parse(text)


def test_mixed_levels_are_said_with_the_place() -> None:
    with pytest.raises(
        LevelError, match=r"per step \(col\('step\.v'\)\) with values per token.*\(at line 1, column 18\)"
    ):
        parse("col('step.v') +  col('token.id')")


def test_the_vocabulary_is_what_the_modules_offer() -> None:
    words = vocabulary()
    assert {"col", "mean", "where", "recur", "ema", "abs", "case", "on", "position"} <= set(words)
    assert not {"prev", "lift", "parse", "Edit", "Expr", "evaluate"} & set(words)
    for space in NAMESPACES:
        assert vocabulary(space), space
        assert all(not name.startswith("_") for name in vocabulary(space))
    assert set(vocabulary("edit")) == {"assign", "drop", "forced_answer", "prefixes", "replace", "swap", "truncate"}
    assert set(vocabulary("verify")) == set(verify.__all__)
    np.testing.assert_array_equal(evaluate(words["col"]("a"), BATCH).values, BATCH.numbers("a"))
