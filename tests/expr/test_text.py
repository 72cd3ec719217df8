"""Text → reward: what is meant is read, and nothing else of Python exists."""

from __future__ import annotations

import pytest

from guerdon.errors import ExpressionError
from guerdon.expr import col, eq, maximum, mean, ne, prev, recur, where
from guerdon.expr.text import parse

a, b, c = col("a"), col("b"), col("c")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("col('a') + 2 * col('b') ** -1", a + 2 * b**-1),
        ("col('a') if col('b') > 0 else col('c')", where(b > 0, a, c)),
        ("col('a') and col('b') or not col('c')", (a & b) | ~c),
        ("col('a') == col('b')", eq(a, b)),
        ("col('a') != 1", ne(a, 1)),
        ("mean(col('a'), over=('group', col('b')), where=col('c'))", mean(a, over=("group", b), where=c)),
        ("x = col('a')\nx * x", a.named("x") * a.named("x")),
        ("_x = col('a')\n_x * _x", a * a),
        (
            "recur(maximum(0, prev + col('step.g')), init=0, along='step')",
            recur(maximum(0, prev + col("step.g")), init=0, along="step"),
        ),
    ],
)
def test_what_is_meant_is_read_and_printed_back(text: str, wanted: object) -> None:
    assert parse(text) == wanted
    assert parse(str(parse(text))) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1 if",
        "__import__('os').system('true')",
        "verify.__class__",
        "verify.Math().__class__",
        "verify.Math.__init__()",
        "recipes.__init__",
        "stats.np.load('x')",
        "expr.core.Const(1)",
        "anneal.Expr()",
        "[x for x in (1, 2)]",
        "lambda: 1",
        "f'{1}'",
        "(x := 1)",
        "import os",
        "exec('1')",
        "col(*['a'])",
        "col(**{'a': 1})",
        "col('a').named('b')",
        "'a' * 10**9",
        "1e999",
        "9" * 5000,
        "(" * 5000 + ")" * 5000,
        "-" * 15000 + "1",
        "col('x')\x00",
        "x = 1\nx = 2\nx",
        "1 < col('a') < 2",
        "mean(col('a'))",
        "where(col('a'))",
        "y" * 30_000,
    ],
    ids=lambda text: text[:24],
)
def test_hostile_or_broken_text_is_refused(text: str) -> None:
    with pytest.raises(ExpressionError):
        parse(text)


def test_huge_powers_are_floating_point_arithmetic_of_nodes() -> None:
    assert str(parse("10**10**10")) == "10 ** 10 ** 10"


def test_errors_name_the_place_and_the_nearest_word() -> None:
    with pytest.raises(ExpressionError, match=r"'verify\.Meth' at line 2, column 1\. Did you mean 'verify\.Math'\?"):
        parse("_x = 1\nverify.Meth()")
