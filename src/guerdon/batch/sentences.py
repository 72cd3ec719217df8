"""Where sentences end in the prose that models write: with decimals, formulas, lists and quotations."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate

__all__ = ["sentence_ends"]

# A run of terminators and whatever closes behind it; possessive, so that no input makes it backtrack.
_END = re.compile(r"""(?P<mark>[.!?…]++|[。！？]++)(?P<close>["'”’»」』)\]}*_`]*+)""")
_LINE_BREAK = re.compile(r"\r\n|\r|\n")
_ITEM = re.compile(r"[ \t]*+(?:[\r\n]|[-+*•]\s|\*\*|[#>]|\(?\d{1,3}[.)][ \t])")
_BLANK_LINE = re.compile(r"(?:\r\n|\r|\n)[ \t]*+[\r\n]")
_INK = re.compile(r"\S")

_WINDOW = 16  # characters before a full stop that decide what it is
_WORD = re.compile(r"[A-Za-z][A-Za-z.]*$")
_LISTED = re.compile(r"[\s>#*_(-]*(?:\d{1,3}|[A-Za-z]|[ivx]{2,4}|[IVX]{2,4})")

_NEVER_LAST = frozenset(
    {
        "e.g",
        "i.e",
        "E.g",
        "I.e",
        "cf",
        "Cf",
        "vs",
        "viz",
        "resp",
        "approx",
        "fig",
        "figs",
        "Fig",
        "Figs",
        "eq",
        "eqs",
        "eqn",
        "Eq",
        "Eqs",
        "Mr",
        "Mrs",
        "Ms",
        "Dr",
        "Prof",
        "St",
    }
)
_BEFORE_NUMBER = frozenset(
    {"no", "nos", "p", "pp", "sec", "ch", "vol", "thm", "lem", "def", "prop", "cor", "ex", "ref", "refs"}
)
_SELDOM_LAST = frozenset({"etc", "al", "inc", "ltd", "co", "corp", "jr", "sr", "est"})

_MATH = re.compile(r"\\[()\[\]]|\\.|\$\$?", re.DOTALL)
_OPENED_BY = {r"\)": r"\(", r"\]": r"\[", "$": "$", "$$": "$$"}
_FAMILY = {r"\(": "(", r"\)": "(", r"\[": "[", r"\]": "[", "$": "$", "$$": "$"}


def sentence_ends(text: str, start: int = 0, end: int | None = None) -> Iterator[int]:
    r"""Offsets in `text[start:end]` at which one sentence has ended and another may begin; linear time.

    A sentence ends with . ! ? (or 。！？) and the quotes or brackets that close behind it, before a space. It
    does not end at a decimal point (3.14), an ellipsis, a common abbreviation (e.g., Dr., Fig. 2, No. 5,
    vs.), the number of a list item at the start of a line (1.), a point within `$...$`, `$$...$$`, `\(...\)`
    or `\[...\]`, nor at a quotation or bracket after which the sentence goes on ("Why?" she asked). A blank
    line and the start of a list item, heading or quoted line end a sentence as well; any other line end does
    not.

    >>> text = "Pi is 3.14, i.e. more than 3. So?! Yes."
    >>> edges = [0, *sentence_ends(text)]
    >>> [text[a:b] for a, b in zip(edges, edges[1:])]
    ['Pi is 3.14, i.e. more than 3.', ' So?!', ' Yes.']
    """
    stop = len(text) if end is None else end
    formulas = sorted(_formulas(text, start, stop))
    begins = [begin for begin, _ in formulas]
    reached = list(accumulate((close for _, close in formulas), max))
    ends = (match.end() for match in _END.finditer(text, start, stop) if _is_last(text, match, start, stop))
    breaks = (match.end() for match in _LINE_BREAK.finditer(text, start, stop) if _ITEM.match(text, match.end(), stop))
    for cut in sorted([*ends, *breaks]):
        before = bisect_left(begins, cut) - 1
        if before < 0 or cut >= reached[before]:
            yield cut


def _is_last(text: str, match: re.Match[str], start: int, stop: int) -> bool:
    """Whether a run of terminators ends its sentence."""
    mark, close = match["mark"], match["close"]
    if mark[0] in "。！？":
        return True
    ink = _INK.search(text, match.end(), stop)
    if ink is None or ink.start() == match.end():
        return ink is None
    goes_on = ink.group().islower()
    if mark.endswith(("..", "…")) or (close and goes_on):
        return False
    return mark != "." or not _is_inner(text, match.start(), start, ink, goes_on)


def _is_inner(text: str, at: int, start: int, ink: re.Match[str], goes_on: bool) -> bool:
    """Whether the full stop at `at` belongs to an abbreviation or to the number of a list item."""
    window = text[max(start, at - _WINDOW) : at]
    line = _LINE_BREAK.split(window)[-1]
    begins_line = len(line) < len(window) or at - _WINDOW <= start
    if begins_line and _LISTED.fullmatch(line) and not _LINE_BREAK.search(text, at, ink.start()):
        return True
    found = _WORD.search(line)
    word = found.group() if found else ""
    if word in _NEVER_LAST:
        return True
    if word.lower() in _BEFORE_NUMBER:
        return ink.group().isdigit() or ink.group() in "$\\(#"
    return (word.lower() in _SELDOM_LAST or "." in word) and goes_on


def _formulas(text: str, start: int, stop: int) -> Iterator[tuple[int, int]]:
    """The formulas of the text: delimiters that are next to one another in their family and agree.

    A single dollar opens before ink and closes behind ink but not before a digit: "$5 and $10" is money.
    """
    latest: dict[str, re.Match[str]] = {}
    for match in _MATH.finditer(text, start, stop):
        mark = match.group()
        if mark not in _FAMILY:
            continue
        family = _FAMILY[mark]
        opening = latest.pop(family, None)
        if opening and opening.group() == _OPENED_BY.get(mark) and _encloses(text, opening, match, stop):
            yield opening.start(), match.end()
        else:
            latest[family] = match


def _encloses(text: str, opening: re.Match[str], closing: re.Match[str], stop: int) -> bool:
    if _BLANK_LINE.search(text, opening.end(), closing.start()):
        return False
    if closing.group() != "$":
        return True
    after = text[closing.end() : min(closing.end() + 1, stop)]
    return not (text[opening.end()].isspace() or text[closing.start() - 1].isspace() or after.isdigit())
