"""Which words are units, and how they relate."""

from __future__ import annotations

from fractions import Fraction

import pytest

from guerdon.sources.verify.units import read_unit

ALIKE = [
    ("cm", "centimeters", "\\text{ centimetre}", " cm.", "\\text{cm}"),
    (" feet", " ft", " foot"),
    (" inches", " in", " inch"),
    (" hours", " hrs", " hour", "\\text{ hr}"),
    (" dollars", " USD", " dollar"),
    (" square meters", "\\text{ m}^2", "\\text{ square metre}", "\\text{ sq m}", " meters^2", " meters^{2}"),
    (" cubic inches", " in^3", "\\text{ in}^{ 3 }"),
    ("^\\circ", "^{\\circ}", "°", " degrees", "\\text{ deg}"),
]

RATIOS = [
    (" hour", " minutes", 60),
    (" km", " m" + "eters", 1000),
    (" foot", " inches", 12),
    (" mile", " yards", 1760),
    (" pound", " ounces", 16),
    (" dollar", " cents", 100),
    (" week", " days", 7),
    ("\\text{ m}^2", "\\text{ cm}^2", 10_000),
    (" cubic feet", " cubic inches", 1728),
]

NOT_UNITS = [
    " pi",
    " dozen",
    " less",
    " percent",
    "\\text{ million}",
    "x",
    " a",
    " xy",
    " sin",
    "^2",
    " 5",
    " one, two",
    "\\text{",
    "\\text{}^2",
    "",
]


@pytest.mark.parametrize("names", ALIKE)
def test_names_of_one_unit(names: tuple[str, ...]) -> None:
    units = {read_unit(name) for name in names}
    assert len(units) == 1
    (unit,) = units
    assert unit is not None
    assert unit.kind is not None


@pytest.mark.parametrize(("large", "small", "ratio"), RATIOS)
def test_how_many_there_are_in_another(large: str, small: str, ratio: int) -> None:
    one, other = read_unit(large), read_unit(small)
    assert one is not None
    assert other is not None
    assert one.kind == other.kind
    assert one.size == ratio * other.size


@pytest.mark.parametrize(
    "text", [" eggs", " people", "\\text{ dollars per day}", " duck eggs", "\\text{}", "\\text{ x}"]
)
def test_things_are_counted(text: str) -> None:
    unit = read_unit(text)
    assert unit is not None
    assert unit.kind is None
    assert unit.size == Fraction(1)


@pytest.mark.parametrize("text", NOT_UNITS)
def test_words_that_are_no_unit(text: str) -> None:
    assert read_unit(text) is None
