"""Plain numbers in every spelling, as exact rationals."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guerdon.sources.verify.numerals import MAX_DIGITS, Numeral, read_numeral
from tests.sources.verify.spellings import numbers

READ = [
    ("18", Fraction(18), "18"),
    ("018", Fraction(18), "18"),
    ("-5", Fraction(-5), "-5"),
    ("- 5", Fraction(-5), "-5"),
    ("+5", Fraction(5), "5"),
    ("-0", Fraction(0), "-0"),
    ("1,000", Fraction(1000), "1000"),
    ("1 000", Fraction(1000), "1000"),
    ("12,345,678.50", Fraction(24691357, 2), "12345678.5"),
    ("5.0", Fraction(5), "5.0"),
    (".5", Fraction(1, 2), "0.5"),
    ("0.125", Fraction(1, 8), "0.125"),
    ("1/2", Fraction(1, 2), "\\frac{1}{2}"),
    ("-6/4", Fraction(-3, 2), "-\\frac{3}{2}"),
    ("6/3", Fraction(2), "2"),
    ("0/7", Fraction(0), "0"),
    ("1 1/2", Fraction(3, 2), "\\frac{3}{2}"),
    ("-1 1/2", Fraction(-3, 2), "-\\frac{3}{2}"),
    ("2\\frac{1}{2}", Fraction(5, 2), "\\frac{5}{2}"),
    ("2 \\frac{1}{2}", Fraction(5, 2), "\\frac{5}{2}"),
    ("\\frac{-3}{4}", Fraction(-3, 4), "-\\frac{3}{4}"),
    ("-\\frac{-3}{4}", Fraction(3, 4), "\\frac{3}{4}"),
    ("50%", Fraction(1, 2), "50\\%"),
    ("50\\%", Fraction(1, 2), "50\\%"),
    ("50 percent", Fraction(1, 2), "50\\%"),
    ("-50%", Fraction(-1, 2), "-0.50"),
    ("12.5%", Fraction(1, 8), "0.125"),
    ("1.5e3", Fraction(1500), "1500"),
    ("15E-1", Fraction(3, 2), "1.5"),
    ("1.5 \\times 10^3", Fraction(1500), "1500"),
    ("1.5\\cdot10^{-3}", Fraction(3, 2000), "0.0015"),
    ("2 x 10^4", Fraction(20000), "20000"),
    ("2.5 million", Fraction(2500000), "2500000"),
    ("3 \\text{ hundred}", Fraction(300), "300"),
    ("2 million dollars", Fraction(2000000), "2000000"),
    ("18 cm", Fraction(18), "18"),
    ("18\\text{ cm}^2", Fraction(18), "18"),
    ("\\frac{1}{2} mile", Fraction(1, 2), "\\frac{1}{2}"),
]

NOT_READ = [
    *(
        "",
        "x",
        "5x",
        "5 x",
        "1, 000",
        "1,00",
        "1234,567",
        "0,111",
        "1,234,56",
        "1/0",
        "1 1/0",
        "2 \\frac{-1}{2}",
        "1/2/3",
    ),
    *(
        "1.2.3",
        "1..2",
        "5-3",
        "--5",
        "1/2.5",
        "5!",
        "5^2",
        "3\\pi",
        "5 dozen",
        "5 less",
        "\\frac12 3",
        "1 2",
        "1:2",
        ".",
    ),
    *(
        "\u0663",
        "\u00b2",
        "1\u0663",
        "1e99999",
        "1e5000",
        "1 \\times 10^{12345}",
        "5 a",
        "\\frac{x}{2}",
        "0x10",
        "1_000",
    ),
]


@pytest.mark.parametrize(("text", "value", "latex"), READ)
def test_what_is_read(text: str, value: Fraction, latex: str) -> None:
    number = read_numeral(text)
    assert number is not None
    assert number.value == value
    assert number.latex in (latex, latex.removesuffix("0"))


@pytest.mark.parametrize("text", NOT_READ)
def test_what_is_no_plain_number(text: str) -> None:
    assert read_numeral(text) is None


def flags(text: str) -> tuple[bool, bool, str | None]:
    number = read_numeral(text)
    assert number is not None
    return number.decimal, number.percent, number.unit.kind if number.unit else None


def test_how_it_was_written() -> None:
    assert flags("18") == (False, False, None)
    assert flags("18.0") == (True, False, None)
    assert flags("0.5") == (False, False, None)
    assert flags("-0.5") == (True, False, None)
    assert flags("50%") == (False, True, None)
    assert flags("50.0%") == (False, False, None)
    assert flags("12.5%") == (True, False, None)
    assert flags("1.5e1") == (False, False, None)
    assert flags("18 \\text{ kg}") == (False, False, "mass")


def test_long_numbers() -> None:
    assert read_numeral("9" * MAX_DIGITS) is not None
    assert read_numeral("9" * (MAX_DIGITS + 1)) is None
    assert read_numeral("-" + "9" * (MAX_DIGITS + 1)) is None
    assert read_numeral("0." + "3" * MAX_DIGITS) is None
    assert read_numeral("1/" + "3" * (MAX_DIGITS + 1)) is None
    assert read_numeral(f"1e{MAX_DIGITS}") is not None


@given(numbers, st.sampled_from(["", "-"]))
def test_the_latex_spelling_means_the_same(value: Fraction, sign: str) -> None:
    for text in (f"{sign}{value.numerator}/{value.denominator}", f"{sign}{float(value):.6f}"):
        number = read_numeral(text)
        again = read_numeral(number.latex) if number else None
        assert number is not None
        assert again == number._replace(unit=None)


@given(st.text(alphabet="0123456789.,/ -+%e\\frac{}x", max_size=25))
def test_arbitrary_texts(text: str) -> None:
    number = read_numeral(text)
    assert number is None or (isinstance(number, Numeral) and any(c.isdigit() for c in text))
