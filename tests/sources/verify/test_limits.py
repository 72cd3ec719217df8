"""Bombs are told from answers without being evaluated."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guerdon.sources.verify.limits import MAX_BITS, breach, surely_huge
from tests.sources.real import beside

HARMLESS = [
    *(
        "2^{2024}-1",
        "9^2^6",
        "10^{100}",
        "5!",
        "20!",
        "e^{-x^2/2}",
        "(1+i)^{2024}",
        "\\binom{100}{50}",
        "2^{2^{10}}",
        "x^{n^2+1}",
        "",
    ),
    *(
        "\\left(\\frac{3}{4}\\right)^{10}",
        "\\sum_{i=1}^{100} i",
        "2^{1000+1000}",
        "9" * 1000,
        "3 \\cdot 10^{-8}",
        "x^\\circ",
    ),
    *("{" * 30 + "}" * 30, "\u00b2^{9}", "1\u0663^{2}", "^", "!", "x!", "\\binom", "^{^{^{9}}}", "}}}]])"),
]

BOMBS = [
    *(
        "9^{9^{9^{9}}}",
        "9**9**9**9",
        "2^{99999} \\cdot 3^{99999}",
        "2^{1000 \\cdot 1000}",
        "9^9^9^9",
        "(9^{99})^{99999}",
        "10^{10^{10}}",
        "\\frac{9^{9^{9}}}{9^{9^{9}}}",
        "100000!",
    ),
    *(
        "10!!!!",
        "\\binom{10^9}{5\\cdot 10^8}",
        "\\binom{1000000}{2}",
        "2^{1000000}",
        "x^{1000000}",
        "\\sum_{i=1}^{10^{10}} i",
    ),
    *(
        "(((((9^9)^9)^9)^9)^9)^9",
        "2^{-1000000}",
        "1 - 9^{9^{9}}",
        "7^{7^7}",
        "((3!)!)!!",
        "[9^{99999}]",
        "9^{99^{99}}+",
    ),
    *("(" * 31 + ")" * 31, "{" * 100_000, "1+" * 600, "\\frac{" * 31),
]

HUGE = [
    "9^{9^{9^{9}}}",
    "10^{10^{10}}",
    "2^{1000000}",
    "(9^{99})^{99999}",
    "2 + 3 \\cdot 7^{7^7}",
    "10!!!!",
    "\\left(2^{999999}\\right)",
]


@pytest.mark.parametrize("text", HARMLESS)
def test_answers_pass(text: str) -> None:
    assert breach(text) is None
    assert not surely_huge(text)


@pytest.mark.parametrize("text", BOMBS)
def test_bombs_do_not(text: str) -> None:
    assert breach(text)


@pytest.mark.parametrize("text", HUGE)
def test_sure_ones(text: str) -> None:
    assert surely_huge(text)


@pytest.mark.parametrize(
    "text",
    [
        "9^9^9^9",
        "9^{9^{9}} - 9^{9^{9}}",
        "1^{9^{9^{9}}}",
        "0 \\cdot 9^{9^{9^{9}}}",
        "x^{1000000}",
        "2^{2^{8+2+2+2}}",
        "15000!",
        "{" * 40,
    ],
)
def test_nothing_is_sure_about_the_rest(text: str) -> None:
    assert not surely_huge(text)


def test_reasons() -> None:
    assert breach("9^{9^{9}}") == f"a number of more than {MAX_BITS} binary digits"
    assert breach("(" * 31) == "brackets 31 deep, more than 30"
    assert breach("1+" * 501) == "1002 symbols, more than 1000"


@given(st.recursive(st.integers(0, 40), lambda t: st.tuples(st.sampled_from("+*^!"), t, t), max_leaves=6))
def test_estimates_bound_the_true_size(tree: object) -> None:
    text, value = evaluated(tree)
    if value is not None and value.bit_length() > MAX_BITS:
        assert breach(text)
    if surely_huge(text):
        assert value is None or value.bit_length() > MAX_BITS


def evaluated(tree: object) -> tuple[str, int | None]:
    """The formula and its value; None for a value that is larger than could be computed here."""
    if isinstance(tree, int):
        return str(tree), tree
    op, (left, a), (right, b) = tree[0], evaluated(tree[1]), evaluated(tree[2])  # type: ignore[index]
    if op == "!":
        small = a is not None and a < 3000
        return f"({left})!", math.factorial(a) if a is not None and small else None
    text = f"({left})^{{{right}}}" if op == "^" else f"({left} {op} {right})"
    if a is None or b is None:
        return text, None
    if op == "^":
        fits = a < 2 or b * a.bit_length() < 3 * MAX_BITS
        return text, a**b if fits else None
    return text, a + b if op == "+" else a * b


def test_answers_of_math500_pass() -> None:
    for row in beside("math_sets/math500"):
        assert breach(row["answer"]) is None
