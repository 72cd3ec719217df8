"""Verdicts without algebra: fixed cases and laws. See test_compare_math_verify.py for the agreement with math-verify."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from guerdon.sources.verify.compare import clean, compare, spell
from tests.sources.verify.spellings import NEARBY, numbers, spellings

SAME = [
    ("18", "18."),
    ("1,000", "1000.0"),
    ("1 1/2", "1.5"),
    ("1\\frac{1}{2}", "\\frac{3}{2}"),
    ("0.333333", "\\frac{1}{3}"),
    ("0.3333333", "1/3"),
    ("50%", "50"),
    ("50%", "0.5"),
    ("100%", "1"),
    ("12.5%", "1/8"),
    ("$18", "18 dollars"),
    ("$18", "18"),
    ("18 cm", "18"),
    ("18", "18 \\text{ cm}"),
    ("18 eggs", "18 \\text{ duck eggs}"),
    ("60 minutes", "1 \\text{ hour}"),
    ("2.5 km", "2500 meters"),
    ("\u22125", "-5"),
    ("x = 5", "5"),
    ("5.0", "x=5"),
    ("\\left(3, \\frac{\\pi}{2}\\right)", "(3,\\dfrac{\\pi}{2})"),
    ("\\text{Evelyn}", "evelyn"),
    ("(C)", "\\text{(C)}"),
    ("C", "(C)"),
    ("\\mathrm{east}", "\\textbf{ East }"),
    ("x + 1", "x+1"),
    ("\\begin{pmatrix} 1 \\\\ 2 \\end{pmatrix}", "\\begin{ pmatrix }1\\\\2\\end{ pmatrix }"),
]

DIFFERENT = [
    ("18", "19"),
    ("18.000001", "18"),
    ("18.0000001", "18"),
    ("0.33333", "1/3"),
    ("0.333334", "1/3"),
    ("5", "-5"),
    ("12.5%", "12.5"),
    ("-50%", "-50"),
    ("50", "500%"),
    ("18 cm", "18 \\text{ m}"),
    ("18 cm", "18^\\circ"),
    ("3 \\text{ cm}^2", "3 \\text{ cm}"),
    ("60 minutes", "2 hours"),
    ("10000 \\text{ cm}^2", "100 \\text{ cm}"),
    ("none of them", "0"),
    ("3", "cannot be determined"),
    ("10+John's age", "50"),
    ("x = 6", "5"),
]

OPEN = [
    ("x+1", "1+x"),
    ("2x", "x"),
    ("1, 2", "2, 1"),
    ("1, 000", "1000"),
    ("(1, 2)", "1, 2"),
    ("x=5", "y=5"),
    ("\\sqrt{4}", "2"),
    ("e", "2.718282"),
    ("1/0", "2/0"),
    ("abc", "bca"),
    ("ab c", "a bc"),
    ("3 4", "34"),
    ("5 dozen", "60"),
    ("0.1234565", "0.123456"),
    ("0.1", "0.0999999"),
    ("65784211.454545", "723626326/11"),
    ("1234567.00", "1234567.0000001234"),
    ("0.333333", "333333333333333333/1000000000000000001"),
    ("", ""),
    ("$$", ""),
    ("9^{9^{9}}", "9^{9^{8}}"),
    ("\u0663", "3"),
]


@pytest.mark.parametrize(("given_", "wanted"), SAME)
def test_same(given_: str, wanted: str) -> None:
    assert compare(given_, wanted) is True
    assert compare(wanted, given_) is True


@pytest.mark.parametrize(("given_", "wanted"), DIFFERENT)
def test_different(given_: str, wanted: str) -> None:
    assert compare(given_, wanted) is False
    assert compare(wanted, given_) is False


@pytest.mark.parametrize(("given_", "wanted"), OPEN)
def test_left_open(given_: str, wanted: str) -> None:
    assert compare(given_, wanted) is None
    assert compare(wanted, given_) is None


def test_cleaning_keeps_what_has_a_meaning() -> None:
    assert clean("\\begin{pmatrix} 1 \\\\ 2 \\end{pmatrix}") == "\\begin{pmatrix} 1 \\\\ 2 \\end{pmatrix}"
    assert clean("\\leftarrow") == "\\leftarrow"
    assert clean("\\$1,\\!000") == "1,000"
    assert clean("3...") == "3..."
    assert clean("$x$ and $y$") == "$x$ and $y$"
    assert clean("**$\\boxed{5}$.**") == "\\boxed{5}"
    assert clean("-\\$5") == "-5"
    assert clean("\\dfrac 3 4") == "\\frac{3}{4}"
    assert clean("\\frac12345") == "\\frac12345"
    assert clean("10{,}000") == "10,000"


def test_spelling_for_a_parser() -> None:
    assert spell("20,000 dollars") == "20000"
    assert spell("x = 32,348") == "x = 32348"
    assert spell("25.0%") == "0.25"
    assert spell("25%") == "25\\%"
    assert spell("\\textit{ South East}") == "\\text{south east}"
    assert spell("abc") == "abc"


@given(numbers, st.booleans(), st.data())
def test_spellings_of_one_number_are_the_same(value: Fraction, negative: bool, data: st.DataObject) -> None:
    value = -value if negative else value
    this, that = data.draw(st.sampled_from(spellings(value))), data.draw(st.sampled_from(spellings(value, units=False)))
    assert compare(this, that) is True


@given(numbers, st.sampled_from(NEARBY), st.booleans(), st.data())
def test_spellings_of_two_numbers_are_not(value: Fraction, step: Fraction, whole: bool, data: st.DataObject) -> None:
    other = value + step
    percentage = any(x * 100 == y for x, y in ((value, other), (other, value)))
    assume(step >= Fraction(2, 10**6) and not percentage)
    this, that = data.draw(st.sampled_from(spellings(value, units=False))), data.draw(st.sampled_from(spellings(other)))
    assert compare(this, that) is False


@given(numbers, st.sampled_from(NEARBY))
def test_a_rounding_never_equals_an_integer(value: Fraction, step: Fraction) -> None:
    whole = Fraction(int(value))
    near = whole + step
    assert compare(f"{whole.numerator}", f"{float(near):.7f}") is (near == whole)


@given(st.text(max_size=30), st.text(max_size=30))
def test_any_two_texts(this: str, that: str) -> None:
    assert compare(this, that) in (True, False, None)
    assert compare(this, this) in (True, None)
    assert compare(this, that) == compare(that, this)


@pytest.mark.parametrize(
    "text", ["a" * 2000 + "!", "9" * 1999 + "x", "1 " * 1000, "{" * 2000, "\\text{" * 300, "\\frac{1}{" * 200]
)
def test_long_answers_are_compared_in_no_time(text: str) -> None:
    assert compare(text, "18") is None
    assert compare(text, text[:-1] + "2") is None
