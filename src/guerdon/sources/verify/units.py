r"""Units behind a number: which words are one, and how much of another they are."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import NamedTuple

__all__ = ["Unit", "read_unit"]

SIZES = {
    "length": "mm .001 cm .01 dm .1 m 1 km 1000 inch .0254 foot .3048 yard .9144 mile 1609.344",
    "mass": "mg .000001 g .001 kg 1 ton 1000 ounce .028349523125 pound .45359237",
    "time": "second 1 minute 60 hour 3600 day 86400 week 604800",
    "money": "cent .01 dollar 1",
    "volume": "ml .001 liter 1",
    "angle": "degree 1",
}
"""What is measured: each unit and how many of the basic one it is."""
ALIASES = (
    "millimeter mm centimeter cm meter m kilometer km millimetre mm centimetre cm metre m kilometre km in inch inches inch "
    "ft foot feet foot yd yard mi mile milligram mg gram g kilogram kg tonne ton oz ounce lb pound sec second min minute "
    "hr hour usd dollar milliliter ml litre liter deg degree"
)
"""Another name, then the unit."""


def _pairs(text: str) -> list[tuple[str, str]]:
    words = iter(text.split())
    return list(zip(words, words, strict=True))


KNOWN = {unit: (kind, Fraction(size)) for kind, sizes in SIZES.items() for unit, size in _pairs(sizes)}
NAMES = dict(_pairs(ALIASES))

WRAPPED = re.compile(r" ?\\text\{([^{}]*)\} ?(?:\^ ?\{? ?([23]) ?\}?)?\.?")
WORDS = re.compile(r" ?([A-Za-z]{2,20}(?: [A-Za-z]{2,20}){0,3}) ?(?:\^ ?\{? ?([23]) ?\}?)?\.?")
DEGREES = re.compile(r" ?(?:\^ ?\{? ?\\circ ?\}?|°)")
AREA = {"square": 2, "sq": 2, "cubic": 3, "cu": 3}
NOT_UNIT = re.compile(
    r".*%.*|pi|sin|cos|tan|cot|csc|log|ln|lg|exp|sqrt|inf|infinity|infty|mod|and|or|if|not|no|less|more|than|to|over|of|as|"
    r"times|plus|minus|divided|by|squared|cubed|half|dozen|hundred|thousand|[mbtr]+illion|percent|pct|percentage|choose|"
    r"gcd|lcm|max|ab|bc|cd|xy|xyz|abc"
)


class Unit(NamedTuple):
    """A unit: what it measures (None for things, such as eggs) and how many of the basic unit it is."""

    kind: str | None
    size: Fraction


THINGS = Unit(None, Fraction(1))


def read_unit(text: str) -> Unit | None:
    r"""The unit that `text` is, None if it is anything else.

    Units of length, mass, time, money, volume and angle are known by name; any other words are things that are counted,
    which agree with every unit. Words that change the number (`dozen`, `less`, `pi`) are no unit.

    >>> read_unit(r"\text{ cm}^2")
    Unit(kind='length^2', size=Fraction(1, 10000))
    >>> read_unit(" apples").kind is None, read_unit(" dozen")
    (True, None)
    """
    if DEGREES.fullmatch(text):
        return Unit("angle", Fraction(1))
    wrapped = WRAPPED.fullmatch(text)
    match = wrapped or WORDS.fullmatch(text)
    if not match:
        return None
    words = match[1].lower().replace(".", "").split()
    if any(NOT_UNIT.fullmatch(word) for word in words) or (not words and match[2]):
        return None
    power = int(match[2] or 1)
    if words and words[0] in AREA and power == 1:
        power = AREA[words.pop(0)]
    if len(words) != 1:
        return THINGS if wrapped or all(len(word) > 2 for word in words) else None
    return _named(words[0], power, wrapped is not None)


def _named(word: str, power: int, wrapped: bool) -> Unit | None:
    single = word[:-1] if word.endswith("s") else word
    name = next((n for n in (word, NAMES.get(word), single, NAMES.get(single)) if n in KNOWN), None)
    if name is None:
        return THINGS if wrapped or len(word) > 2 else None
    kind, size = KNOWN[name]
    return Unit(kind if power == 1 else f"{kind}^{power}", size**power)
