r"""Where in a response the answer stands. Pure functions of text, in time linear in its length.

Nothing here backtracks: markers are found by `str.rfind`, and what follows a marker is read from a window of bounded
length, so that five megabytes of braces cost what five megabytes of prose cost.
"""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["MAX_ANSWER", "WAYS", "Answer", "extract", "final_part", "last_tag"]

WAYS = ("tag", "boxed", "hash", "phrase", "number")
"""The places an answer is looked for, the most authoritative first."""

MAX_ANSWER = 2000
"""Characters of an answer that are read; a longer one comes back cut to one character more than that."""

BRACES = re.compile(r"\\.|[{}]", re.DOTALL)
BETWEEN_BOXES = re.compile(r"(?:\s|[$,;.&]|and\b|or\b|\\[()\[\]]|\\text\{ ?(?:and|or) ?\}){0,30}")
BARE_BOX = re.compile(r"\s*([^\s$\\{}]+)")

STATED = re.compile(
    r"[sS]?[*_`]{0,4}(?:\s{1,9}(?:to|for|of)\b[^.\n:]{0,100}?)?\s{0,9}"
    r"(?::|=|is\b|IS\b|are\b|would be\b|equals\b)"
)
HEADING = re.compile(r"[sS]?[*_`:]{0,4}[ \t]{0,9}\n")
INLINE = re.compile(r"\$\$([^$]+)\$\$|\$(?!\s)([^$\n]*[^$\s])\$(?![0-9])|\\\((.+?)\\\)|\\\[(.+?)\\\]", re.DOTALL)
SENTENCE_END = re.compile(r"\.(?=\s|$)|\n|\*\*")
NUMBER = r"(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]+)?|\.[0-9]+"
LEADING = re.compile(rf"[-−+]?\\?[$£€]?[-−]?(?:{NUMBER})(?: [0-9]+/[0-9]+|/[0-9]+)?(?:\s?\\?%)?")
GOES_ON = re.compile(
    r"\s?(?:[+*/^=<>{}×÷·\\\[\])]|-(?! )|- ?(?=[0-9\\({$.])|:\s?[0-9]|\((?![A-Za-z]{2})"
    r"|(?:and|or|to)\s?[-0-9\\$]|,\s?[-0-9\\$(]|[A-Za-z]\b(?!['’]))"
)
UNIT_WORD = re.compile(r"\s?(?:[A-Za-z]{2,}|°[CF]?)")
NUMERAL = re.compile(rf"(?:{NUMBER})(?:/[0-9]+)?(?:\s?\\?%)?")
FRACTION = re.compile(r"-?\\[dt]?frac\{[0-9]{1,50}\}\{[0-9]{1,50}\}")
DIGIT = re.compile(r"[0-9]")
AND_MORE = re.compile(r"\s{0,3}(?:,\s{0,3})?(?:(?:and|or)\s{0,3})?(?=\$|\\[(\[])")
FORMULA = re.compile(r"[=\\^(\[{]")
NEARBY = 64


class Answer(NamedTuple):
    """An answer as it stands in the text, and where it was found: `boxed`, `A: line`, `last number`, ..."""

    text: str
    how: str


def extract(text: str, ways: tuple[str, ...] = WAYS) -> Answer | None:
    r"""The final answer that a text states, or None.

    The ways are tried in the order given and the first that finds something decides:

    - `tag`: the last `<answer>...</answer>`; inside it the other ways are tried, then all of it is the answer.
    - `boxed`: the last `\boxed{...}` or `\fbox{...}` with its nested braces, or `\boxed 5`. Boxes that follow one another
      (`\boxed{1}, \boxed{2}`) are one answer, `1, 2`. A last box that never closes counts to the end of its line.
    - `hash`: what follows the last `####` of the text, if it is a number or ends the text (elsewhere it is a heading).
    - `phrase`: the last "answer is ...", "Answer: ...", or a line that starts with `A:`; bold marks are ignored.
    - `number`: the last number of the text.

    Text up to the last `</think>` is no part of the answer; a `<think>` that never closes leaves none.

    Args:
        text: a response, or a worked solution.
        ways: some of `WAYS`, in order of authority.

    Returns:
        The answer, at most `MAX_ANSWER` + 1 characters of it; None where no way finds one.

    Example:
        >>> extract(r"So $x = \boxed{\frac{1}{2}}$.")
        Answer(text='\\frac{1}{2}', how='boxed')
        >>> extract("16 - 3 = 13 eggs\nA: 26")
        Answer(text='26', how='A: line')
        >>> extract("<think>5, or rather \\boxed{6}</think> I cannot tell.") is None
        True
    """
    text = final_part(text)
    for way in ways:
        found = READERS[way](text, ways)
        if found is not None:
            return Answer(found.text[: MAX_ANSWER + 1], found.how)
    return None


def final_part(text: str) -> str:
    """What follows the reasoning: the text after the last `</think>`; nothing after a `<think>` that never closes.

    >>> final_part("<think>2 + 2</think> 4")
    ' 4'
    """
    end = text.rfind("</think>")
    start = text.rfind("<think>")
    if start > end:
        return ""
    return text[end + len("</think>") :] if end >= 0 else text


def last_tag(text: str, name: str) -> str | None:
    """What stands in the last closed `<name>...</name>`, without the white space around it.

    >>> last_tag("<answer>4</answer> or <answer> 5 </answer>", "answer")
    '5'
    """
    end = text.rfind(f"</{name}>")
    start = text.rfind(f"<{name}>", 0, max(end, 0))
    return text[start + len(name) + 2 : end].strip() if start >= 0 else None


def _tag(text: str, ways: tuple[str, ...]) -> Answer | None:
    inside = last_tag(text, "answer")
    if not inside:
        return None
    within = tuple(way for way in ways if way not in ("tag", "number"))
    return extract(inside, within) or Answer(inside if "\n" in inside else _stated(inside), "answer tag")


def _boxed(text: str, ways: tuple[str, ...]) -> Answer | None:
    box = _box_before(text, len(text))
    if box is None:
        return None
    start, content = box
    parts = [content]
    for _ in range(NEARBY):
        near = text[max(0, start - MAX_ANSWER) : start]
        box = _box_before(near, len(near)) if "\\boxed" in near or "\\fbox" in near else None
        if box is None or not box[1] or not BETWEEN_BOXES.fullmatch(near, box[0] + _width(near, box[0])):
            break
        start -= len(near) - box[0]
        parts.append(box[1])
    return Answer(", ".join(dict.fromkeys(reversed(parts))), "boxed") if any(parts) else None


def _box_before(text: str, end: int) -> tuple[int, str] | None:
    """Where the last box before `end` starts and what is in it."""
    start = max(text.rfind("\\boxed", 0, end), text.rfind("\\fbox", 0, end))
    if start < 0:
        return None
    opening = text.index("x", start) + 1 if text.startswith("\\fbox", start) else start + len("\\boxed")
    window = text[opening : min(end, opening + 2 * MAX_ANSWER)]
    inside = window.lstrip()
    if not inside.startswith("{"):
        bare = BARE_BOX.match(window)
        return start, bare[1] if bare else ""
    close = _closing(inside)
    return start, (inside[1:close] if close else inside[1:].partition("\n")[0].rstrip("$ ")).strip()


def _width(text: str, start: int) -> int:
    """Characters from the start of a box to behind its closing brace; the rest of the text if it has none."""
    brace = text.find("{", start)
    close = _closing(text[brace:]) if brace >= 0 else 0
    return brace - start + close + 1 if close else len(text) - start


def _closing(text: str) -> int:
    """Where the brace that opens at 0 closes; 0 if it does not."""
    depth = 0
    for mark in BRACES.finditer(text):
        depth += {"{": 1, "}": -1}.get(mark[0], 0)
        if depth == 0:
            return mark.start()
    return 0


def _hash(text: str, ways: tuple[str, ...]) -> Answer | None:
    start = text.rfind("####")
    if start < 0:
        return None
    line, _, rest = text[start + 4 :].strip(" \t*#").partition("\n")
    number = LEADING.match(line)
    plain = number is not None and not line[number.end() :].strip(" *.")
    line = line[: MAX_ANSWER + 1].strip(" \t\r*")
    return Answer(line, "#### line") if line and (plain or not rest.strip()) else None


def _phrase(text: str, ways: tuple[str, ...]) -> Answer | None:
    initial = _last_initial(text)
    worded = _last_worded(text, initial)
    start = max(initial, worded)
    if start < 0:
        return None
    stated = _stated(text[start : start + 4 * MAX_ANSWER])
    how = "A: line" if initial > worded else "answer is"
    return Answer(stated, how) if stated else None


def _last_initial(text: str) -> int:
    """Where the text after the last `A:` at the start of a line begins, or -1."""
    for place in _from_the_end(text, ("A:", "A**:"), 0):
        line = text.rfind("\n", 0, place) + 1
        if not text[line:place].strip(" \t*_"):
            return place + 1
    return -1


def _last_worded(text: str, after: int) -> int:
    """Where the text after the last "answer is" or "Answer:" begins, or -1; places before `after` do not count."""
    for place in _from_the_end(text, ("answer", "Answer", "ANSWER"), max(after, 0)):
        stated = STATED.match(text, place + 6) or (text[place] == "A" and HEADING.match(text, place + 6))
        if stated:
            return stated.end()
    return -1


def _from_the_end(text: str, words: tuple[str, ...], after: int) -> list[int]:
    """The last few places of any of `words`, the last first: a bounded number, so that the search stays linear."""
    places: list[int] = []
    for word in words:
        place = len(text)
        for _ in range(NEARBY):
            place = text.rfind(word, after, place)
            if place < 0:
                break
            places.append(place)
    return sorted(places, reverse=True)


def _stated(tail: str) -> str:
    """The answer at the start of `tail`, without the sentence around it."""
    tail = tail.lstrip(" \t\r\n*_:`")
    marked = _marked(tail)
    if marked:
        return marked
    number = LEADING.match(tail)
    if number and not GOES_ON.match(tail, number.end()):
        unit = UNIT_WORD.match(tail, number.end())
        if not unit or not GOES_ON.match(tail, unit.end()):
            return tail[: unit.end() if unit else number.end()].strip()
    end = SENTENCE_END.search(tail)
    return _core(tail[: end.start() if end else MAX_ANSWER + 1].strip(" \t\r*_`,;"))


def _marked(text: str) -> str:
    """The marked mathematics at the start of `text`, several joined by commas: "$1$ and $2$" is "1, 2"."""
    parts: list[str] = []
    inline = INLINE.match(text)
    while inline and inline.lastindex:
        parts.append(inline[inline.lastindex].strip())
        more = AND_MORE.match(text, inline.end())
        inline = INLINE.match(text, more.end()) if more else None
    return ", ".join(parts)


def _core(sentence: str) -> str:
    """The mathematics in a sentence if it marks some, else its number if it is prose with a number, else all of it."""
    marked = [m[m.lastindex].strip() for m in INLINE.finditer(sentence) if m.lastindex]
    if marked:
        return marked[-1]
    if sentence[:2].isalpha() and len(sentence) > 1 and not FORMULA.search(sentence):
        number = NUMERAL.search(sentence)
        return _signed(sentence, number) if number else sentence
    return sentence


def _number(text: str, ways: tuple[str, ...]) -> Answer | None:
    end = _last_digit(text)
    if end < 0:
        return None
    start = max(0, end - 2 * MAX_ANSWER)
    window = text[start : end + 4]
    for fraction in FRACTION.finditer(window, max(0, len(window) - 130)):
        if fraction.end() > end - start:
            return Answer(fraction[0], "last number")
    numbers = list(NUMERAL.finditer(window))
    return Answer(_signed(window, numbers[-1]), "last number")


def _last_digit(text: str) -> int:
    """Where the last digit stands, or -1."""
    for start in range(len(text), 0, -4096):
        chunk = text[max(0, start - 4096) : start]
        digits = [m.start() for m in DIGIT.finditer(chunk)]
        if digits:
            return max(0, start - 4096) + digits[-1]
    return -1


def _signed(text: str, number: re.Match[str]) -> str:
    """The number with its minus, unless that minus subtracts it from something."""
    start = number.start()
    before = text[:start].rstrip("$")
    if before.endswith(("-", "−")) and not (before[-2:-1].isalnum() or before[-2:-1] in (")", "}", "%")):
        return "-" + number[0]
    return number[0]


READERS = {"tag": _tag, "boxed": _boxed, "hash": _hash, "phrase": _phrase, "number": _number}
