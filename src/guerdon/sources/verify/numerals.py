r"""Plain numbers as people write them, read as exact rationals: 1,000 · 1 1/2 · \frac{3}{4} · 50\% · 1.5 \times 10^3 · 18 cm."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import NamedTuple

from guerdon.sources.verify.units import Unit, read_unit

__all__ = ["MAX_DIGITS", "Numeral", "read_numeral"]

MAX_DIGITS = 2000
"""Digits of a number that are read, and the largest power of ten by which it may be scaled."""

WHOLE = rf"[0-9]{{1,{MAX_DIGITS}}}"
GROUPED = r"[1-9][0-9]{0,2}(?:(?:,[0-9]{3})+|(?: [0-9]{3})+)(?![0-9])"
FRACTION = re.compile(
    rf"([-+]?) ?(?:({WHOLE})(?: |(?=\\)))?(?:({WHOLE}) ?/ ?({WHOLE})|\\frac\{{ ?(-?{WHOLE}) ?\}}\{{ ?({WHOLE}) ?\}})"
)
DECIMAL = re.compile(rf"([-+]?) ?({GROUPED}|{WHOLE})?(?:\.([0-9]{{1,{MAX_DIGITS}}}))?")
POWER = re.compile(
    r"[eE]([-+]?[0-9]{1,4})(?![0-9])| ?(?:\\times|\\cdot|[×·*x]) ?10 ?(?:\^|\*\*) ?(?:\{ ?(-?[0-9]{1,4}) ?\}|(-?[0-9]{1,4})(?![0-9]))"
)
SCALE = re.compile(r" ?(?:\\text\{ ?)?(hundred|thousand|million|billion|trillion)(?![a-z])( ?\})?")
SCALES = {"hundred": 2, "thousand": 3, "million": 6, "billion": 9, "trillion": 12}
PERCENT = re.compile(r" ?(?:\\?%|percent|\\text\{ ?(?:\\?%|percent) ?\})")


class Numeral(NamedTuple):
    """A number as it was written.

    Attributes:
        value: what it is worth, exactly; 50% is worth 1/2.
        decimal: written with a decimal point, so that it may have been rounded; `0.5` counts as 1/2.
        percent: a whole number, zero or more, written with a percent sign.
        unit: the unit behind it, or None.
        latex: the same number in a spelling that every parser of LaTeX reads alike, without its unit.
    """

    value: Fraction
    decimal: bool
    percent: bool
    unit: Unit | None
    latex: str


def read_numeral(text: str) -> Numeral | None:
    r"""The number that `text` is, None if it is anything else or has more than `MAX_DIGITS` digits.

    Reads integers, decimals, thousands separators, fractions, mixed numbers, scientific notation, hundred ... trillion,
    percent and a trailing unit. Only ASCII digits count. A mixed number is a sum: `1 1/2` is 3/2, and `-1 1/2` is -3/2.

    >>> read_numeral("1,250.50").value
    Fraction(2501, 2)
    >>> read_numeral(r"-1\frac{1}{2}").latex, read_numeral("1, 250")
    ('-\\frac{3}{2}', None)
    """
    if text.isdigit() and text.isascii() and len(text) <= MAX_DIGITS:
        return Numeral(Fraction(int(text)), False, False, None, text.lstrip("0") or "0")
    if "/" in text or "\\frac" in text:
        fraction = FRACTION.match(text)
        if fraction:
            return _fraction(fraction, text)
    match = DECIMAL.match(text)
    if not match or match[2] is match[3] is None:
        return None
    whole = (match[2] or "0").replace(",", "").replace(" ", "")
    if len(whole) + len(match[3] or "") > MAX_DIGITS:
        return None
    return _scaled(match[1] == "-", whole, match[3] or "", text[match.end() :])


def _fraction(match: re.Match[str], text: str) -> Numeral | None:
    sign, whole, top, bottom, latex_top, latex_bottom = match.groups()
    above, below = int(top or latex_top), int(bottom or latex_bottom)
    rest = text[match.end() :]
    unit = read_unit(rest) if rest else None
    if below == 0 or (rest and unit is None) or (whole and above < 0):
        return None
    value = Fraction(above, below) + int(whole or 0)
    value = -value if sign == "-" else value
    bar = "-" if value < 0 else ""
    latex = str(value) if value.denominator == 1 else f"{bar}\\frac{{{abs(value.numerator)}}}{{{value.denominator}}}"
    return Numeral(value, False, False, unit, latex)


def _scaled(negative: bool, whole: str, places: str, rest: str) -> Numeral | None:
    """The decimal `whole.places` with what follows it: a power of ten, a percent sign, a unit."""
    shift, percent = 0, False
    power, scale = POWER.match(rest), SCALE.match(rest)
    if power:
        shift = int(power[1] or power[2] or power[3])
        rest = rest[power.end() :]
    elif scale and ("\\text" in scale[0]) == (scale[2] is not None):
        shift = SCALES[scale[1]]
        rest = rest[scale.end() :]
    sign = PERCENT.match(rest) if rest else None
    if sign:
        percent, rest = True, rest[sign.end() :]
    unit = read_unit(rest) if rest else None
    if (rest and unit is None) or abs(shift) > MAX_DIGITS:
        return None
    whole_percent = percent and not (negative or places or shift)
    shift -= 2 * (percent and not whole_percent)
    written = _moved(whole, places, shift)
    value = int(whole + places) * Fraction(10) ** (shift - len(places) - 2 * whole_percent)
    latex = ("-" if negative else "") + written + ("\\%" if whole_percent else "")
    return Numeral(-value if negative else value, "." in written and latex != "0.5", whole_percent, unit, latex)


def _moved(whole: str, places: str, shift: int) -> str:
    """The digits of `whole.places` times ten to the `shift`, without an exponent; "1.50" and "1.5" are one spelling."""
    if shift >= 0:
        places = places.ljust(shift, "0")
        whole, places = whole + places[:shift], places[shift:]
    else:
        whole = whole.rjust(1 - shift, "0")
        whole, places = whole[:shift], whole[shift:] + places
    whole = whole.lstrip("0") or "0"
    return f"{whole}.{places.rstrip('0') or '0'}" if places else whole
