r"""Whether two answers are the same, told without a computer algebra system where that is certain. Pure functions."""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache

from guerdon.sources.verify.numerals import MAX_DIGITS, Numeral, read_numeral

__all__ = ["clean", "compare", "spell"]

NEAR = Fraction(2, 10**6)
TIE = Fraction(1, 10**5)

WRAPPERS = (("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]"), ("**", "**"), ("`", "`"))
SIZED = re.compile(r"(?<!\\)\\(?:(?:left|right|[bB]igg?[lr]?)(?![a-zA-Z])\.?|displaystyle(?![a-zA-Z])|!)")
ENVIRONMENT = re.compile(r"\\(begin|end) ?\{ ?([a-z]+\*?) ?\}")
SPACED = re.compile(r"(?<!\\)\\[,;: ]|~|\\q?quad(?![a-zA-Z])")
FONT = re.compile(r"\\(?:math(?:rm|bf|it|sf|tt)|text(?:rm|bf|it|normal|sf|tt)|mbox)(?= ?\{)")
FRAC = re.compile(r"\\[dtc]?frac(?![a-zA-Z])")
FRAC_DIGITS = re.compile(r"\\frac ?([0-9]) ?([0-9])(?![0-9])")
MONEY = re.compile(r"\\?[$£€¥₹](?=[-.]?\s?[0-9])")
SIGNED_MONEY = re.compile(r"^([-+])\s?\\?[$£€¥](?=[0-9.])")
TRAILING = re.compile(r"(?<![\\.])[.,;:]$|[ \t]+$")
SPACES = re.compile(r"\s+")
LOOSE = re.compile(r"(?<![A-Za-z0-9\\]) | (?![A-Za-z0-9])|(?<=\\\\) (?![A-Za-z])")
TEXT = re.compile(r"\\text ?\{ ?([A-Za-z' ]+) ?\}")
LETTER = re.compile(r"\(([A-Za-z])\)|\\text ?\{ ?\(?([A-Za-z])\)? ?\}")
TERM = re.compile(r"[0-9]{1,9} ?[-+] ?")
EIO = re.compile(r"[eio]", re.IGNORECASE)
ASSIGNED = re.compile(r"([A-Za-z]) ?= ?(?=[^=<>]+$)")
WORDS = re.compile(r"(?=.*[A-Za-z]{3})[A-Za-z' ]+")
PLAIN = str.maketrans("\u2212\ufe63\uff0d\u00a0\u202f\u2009", "---   ")


def compare(given: str, wanted: str) -> bool | None:
    r"""Whether `given` is the answer `wanted`, or None if that takes algebra.

    Both are cleaned first (`clean`). Equal texts are equal. Two plain numbers are compared as exact rationals:

        equal          value(given) = value(wanted)
        also equal     neither is written as an integer, one has a decimal point and
                       both round to the same 6 decimals                            (0.333333 and 1/3)
        also equal     one is a whole percentage and the other the same whole number   (50% and 50; 0.5 too)

    A unit counts only if both have one: 60 minutes is 1 hour, 18 cm is not 18 m, 18 eggs is 18. `x = 5` is 5. A number
    and words are different. Everything else is left open. Where it decides, math-verify 0.9 with its defaults decides
    alike on the cleaned texts (`spell`), apart from units, which it drops.

    Example:
        >>> compare("1,000.0", "1000"), compare(r"\frac{1}{3}", "0.333333"), compare("18", "18.000001")
        (True, True, False)
        >>> compare("60 minutes", r"1 \text{ hour}"), compare("x+1", "1+x")
        (True, None)
    """
    given, wanted = clean(given), clean(wanted)
    if given == wanted:
        return True if given else None
    this, that = _numeral(given), _numeral(wanted)
    if this and that:
        return _same_number(this, that)
    if this or that:
        return False if _prose(given if that else wanted) else _unassigned(given, wanted)
    return True if _key(given) == _key(wanted) else _unassigned(given, wanted)


def clean(text: str) -> str:
    r"""The answer without what has no meaning: dollar signs, `\left`, thin spaces, fonts, the full stop of its sentence.

    >>> clean(r"$\left( 3,\, \dfrac12 \right)$.")
    '( 3, \\frac{1}{2} )'
    >>> clean("**$1,250.**")
    '1,250'
    """
    if text.isdigit():
        return text
    return _clean(text) if len(text) < 200 else _clean.__wrapped__(text)


@lru_cache(4096)
def _clean(text: str) -> str:
    text = _unwrapped(text.translate(PLAIN).strip())
    if "\\" in text or "~" in text:
        text = ENVIRONMENT.sub(r"\\\1{\2}", SPACED.sub(" ", SIZED.sub("", text)))
        text = FRAC_DIGITS.sub(r"\\frac{\1}{\2}", FRAC.sub(r"\\frac", FONT.sub(r"\\text", text)))
    text = SIGNED_MONEY.sub(r"\1", text)
    text = MONEY.sub("", text).replace("{,}", ",")
    return SPACES.sub(" ", text).strip()


def _unwrapped(text: str) -> str:
    """Without marks around the whole of it, and without a full stop or comma at its end."""
    for _ in range(8):
        before = text
        text = TRAILING.sub("", text)
        for opening, closing in WRAPPERS:
            inside = text[len(opening) : -len(closing)]
            if text.startswith(opening) and text.endswith(closing) and opening not in inside and closing not in inside:
                text = inside.strip()
        if text == before:
            break
    return text


@lru_cache(4096)
def _numeral(text: str) -> Numeral | None:
    if text[:1] == "(" and text[-1:] == ")" and "," not in text:
        text = text[1:-1].strip()
    return read_numeral(text) if len(text) <= 2 * MAX_DIGITS else None


def spell(text: str) -> str:
    r"""The cleaned answer as it is handed to a LaTeX parser: numbers without units and in one spelling, words as words.

    >>> spell("1 1/2 cups"), spell("2.5 million"), spell(r"\left(1,2\right)"), spell("North")
    ('\\frac{3}{2}', '2500000', '(1,2)', '\\text{north}')
    """
    text = clean(text)
    number = _numeral(text)
    if number:
        return number.latex
    assigned = ASSIGNED.match(text)
    number = _numeral(text[assigned.end() :]) if assigned else None
    if assigned and number:
        return f"{assigned[1]} = {number.latex}"
    words = _as_words(text)
    return f"\\text{{{words}}}" if words else _tight(text)


def _same_number(given: Numeral, wanted: Numeral) -> bool | None:
    this, that = given.value, wanted.value
    if given.unit and wanted.unit and given.unit.kind and wanted.unit.kind:
        if given.unit.kind != wanted.unit.kind:
            return False
        this, that = this * given.unit.size, that * wanted.unit.size
    if this == that:
        return True
    if (given.percent or wanted.percent) and _same_count(given, wanted):
        return True
    if any(not n.decimal and n.value.denominator == 1 for n in (given, wanted)):
        return False
    if not (given.decimal or wanted.decimal):
        return False
    if abs(this - that) >= max(NEAR, abs(this) / 10**12):
        return False
    return _same_rounded(this, that) if _in_float_range(given) and _in_float_range(wanted) else None


def _same_count(given: Numeral, wanted: Numeral) -> bool:
    """50% and 50: whole numbers that differ only in the percent sign."""
    counts = [n.value * 100 if n.percent else n.value for n in (given, wanted)]
    return counts[0] == counts[1] and not (given.decimal or wanted.decimal)


def _same_rounded(this: Fraction, that: Fraction) -> bool | None:
    """Whether both round to the same 6 decimals; None where binary rounding would decide: near a tie, at a power of ten."""
    if any(abs(x * 10**6 % 1 - Fraction(1, 2)) < TIE for x in (this, that)) or _digits(this) != _digits(that):
        return None
    return round(this, 6) == round(that, 6)


def _digits(value: Fraction) -> int:
    """Digits of the number cut to 20 decimals: one more from every power of ten on."""
    return len(str(int(abs(value) * 10**20)))


def _in_float_range(number: Numeral) -> bool:
    """Whether math-verify, which rounds floats of 15 digits, rounds this number as it should."""
    digits = len(number.latex.lstrip("-0.")) if number.decimal else 0
    return abs(number.value) < 10**7 and digits <= 15 and number.value.denominator < 10**15


def _key(text: str) -> str:
    """What two spellings of the same LaTeX have in common: words in lower case, else no optional spaces."""
    words = _as_words(text)
    if words:
        return f"\\text{{{words}}}"
    letter = LETTER.fullmatch(text)
    if letter:
        return letter[1] or letter[2]
    return text if "\\text" in text else _tight(text).replace(",", ", ")


def _tight(text: str) -> str:
    """Without the spaces that LaTeX does not need."""
    return text if "\\text" in text else LOOSE.sub("", text)


def _as_words(text: str) -> str:
    """The words in lower case if the text is nothing else, else the empty string.

    A word has three letters, one of them e, i or o: so few products of variables do that no formula is taken for words.
    """
    match = TEXT.fullmatch(text)
    inside = match[1].strip() if match else text
    return inside.lower() if WORDS.fullmatch(inside) and (match or EIO.search(inside)) else ""


def _prose(text: str) -> bool:
    """Whether these are plain words, after a number and a sign at most: "none of them", "10+John's age"."""
    term = TERM.match(text)
    rest = text[term.end() :] if term else text
    return WORDS.fullmatch(rest) is not None and any(c not in "eiEI' " for c in rest)


def _unassigned(given: str, wanted: str) -> bool | None:
    """`x = 5` against 5: the name counts only if both have one."""
    this, that = ASSIGNED.match(given), ASSIGNED.match(wanted)
    if (this is None) == (that is None):
        return None
    given = given[this.end() :] if this else given
    wanted = wanted[that.end() :] if that else wanted
    numbers = _numeral(given), _numeral(wanted)
    if numbers[0] and numbers[1]:
        return _same_number(numbers[0], numbers[1])
    return True if _key(given) == _key(wanted) and "\\text" not in wanted and not _as_words(wanted) else None
