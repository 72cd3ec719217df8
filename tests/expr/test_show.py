"""Formulas read well and read back."""

from __future__ import annotations

import pytest

from guerdon.expr import Expr, channels, col, std
from guerdon.expr.plan import plan
from guerdon.expr.show import number, show
from guerdon.expr.text import parse

a, b = col("a"), col("b")


@pytest.mark.parametrize(
    ("expr", "text"),
    [
        (a - (b - a), "col('a') - (col('b') - col('a'))"),
        ((a + b) * 2, "(col('a') + col('b')) * 2"),
        ((-a) ** 2, "(-col('a')) ** 2"),
        ((a > 0) & (b > 0), "(col('a') > 0) & (col('b') > 0)"),
        (std(a, over="group"), "std(col('a'), over='group')"),
        (std(a, over="group", ddof=1), "std(col('a'), over='group', ddof=1)"),
        (channels(x=a, y=b), "channels(x=col('a'), y=col('b'))"),
        ((a * 2).named("twice") + 1, "twice = col('a') * 2\ntwice + 1"),
    ],
)
def test_formulas(expr: Expr, text: str) -> None:
    assert show(expr) == text
    assert parse(text) == expr


def test_numbers_read_back_to_the_same_bits() -> None:
    for value in (0.1, -0.0, 2.0, 1e300, 1 / 3, float("inf"), 1e16):
        assert repr(float(number(value))) == repr(value)


def test_a_plan_shows_stages() -> None:
    assert str(plan(a + 1)) == "then\n  col('a') + 1\nreads a"
