r"""`verify.Choice`: does the response choose the option of the reference?"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, ClassVar, cast

from guerdon.errors import ExpressionError, Unscored
from guerdon.expr.source import RowSource
from guerdon.sources.verify.extract import MAX_ANSWER, final_part, last_tag

__all__ = ["Choice"]

MARKUP = re.compile(r"\\(?:text|textbf|mathrm|mathbf|bf|rm) ?(?=\{)|[*_`$]|\\[()\[\]]")
BOX = re.compile(r"\\(?:boxed|fbox) ?\{([^{}]{0,200}|[^{}]{0,20}\{[^{}]{0,200}\}[^{}]{0,20})\}")
LONGEST_LINE = 400


class Choice(RowSource):
    r"""1 if the response chooses the option of the reference and no other, else 0.

    The options chosen are looked for in this order, and the first place that names any decides:

    - every `\boxed{...}`;
    - every "the answer is B", "Answer: (b)", "the correct option is **C**", "I choose D", "B is correct";
    - a first or last line that is an option: `B`, `(B)`, `B. Paris`, `B) because ...`;
    - with `choices`, a last line that is the text of an option.

    Only the text behind `</think>` counts, and of that only the last `<answer>...</answer>` if there is one. A lower-case
    letter counts only where no word can be meant ("answer: a", but not "the answer is a bit ..."). Different options in
    the place that decides are different answers: the score is 0, even if the last one is right, unless the reference
    lists all of them ("A, C").

    Args:
        options: the letters there are.
        choices: whether to read the column `choices` (a list with the text of each option, or a dict letter → text), so
            that the text of an option stands for its letter, in the response and in the reference.
        timeout: has no effect; every verdict is quick.

    Returns:
        `[N]` 1 or 0; a response that chooses nothing is 0. NaN where a text is missing or the reference names no option.

    Raises:
        ExpressionError: options that are not at least two different letters.

    Example:
        >>> choice = Choice()
        >>> choice.quick("The correct option is **B** because ...", "B"), choice.quick("(C)", "C. Paris")
        (1.0, 1.0)
        >>> choice.quick("The answer is A. No, the answer is B.", "B")
        0.0
        >>> Choice(choices=True).quick("It is Paris.\nParis", "B", ["London", "Paris"])
        1.0
    """

    options: str = "ABCD"
    choices: bool = False

    needs: ClassVar[tuple[str, ...]] = ("response", "reference")
    raw: ClassVar[tuple[str, ...]] = ("choices",)

    def __post_init__(self) -> None:
        letters = self.options
        if not re.fullmatch("[A-Z]{2,26}", letters) or len({*letters}) != len(letters):
            raise ExpressionError(
                f"options are two or more different capital letters, such as 'ABCDE', got {letters!r}"
            )

    def reads(self) -> tuple[str, ...]:
        """The response, the reference, and the choices if asked for."""
        return (*self.needs, *(self.raw if self.choices else ()))

    def quick(self, *values: Any) -> float | None:
        """The verdict."""
        response, reference, texts = self._read(values)
        return float(self._chosen(response, texts) == self._wanted(reference, texts))

    def score_row(self, *values: Any) -> float:
        """The verdict."""
        return cast(float, self.quick(*values))

    def why(self, *values: Any) -> str:
        """What was compared with what."""
        response, reference, texts = self._read(values)
        given = ", ".join(sorted(self._chosen(response, texts))) or "nothing"
        return f"chose {given}, wanted {', '.join(sorted(self._wanted(reference, texts)))}"

    def _read(self, values: tuple[Any, ...]) -> tuple[str, str, dict[str, str]]:
        """The response, the reference, and text → letter."""
        response, reference, *rest = values
        return response, reference, self._texts(rest[0]) if self.choices and rest else {}

    def _texts(self, choices: Any) -> dict[str, str]:
        """Text → letter."""
        if isinstance(choices, Mapping):
            named = cast("Mapping[str, object]", choices)
            pairs = [(str(letter).strip().upper(), text) for letter, text in named.items()]
        elif isinstance(choices, Iterable) and not isinstance(choices, str):
            pairs = list(zip(self.options, cast("Iterable[object]", choices), strict=False))
        else:
            raise Unscored(f"choices must be a list of texts or a dict letter → text, got {choices!r:.60}")
        return {_folded(str(text)): letter for letter, text in pairs if letter in self.options}

    def _wanted(self, reference: str, texts: Mapping[str, str]) -> set[str]:
        wanted = texts.get(_folded(reference))
        patterns = _patterns(self.options)
        line = MARKUP.sub("", reference[:MAX_ANSWER]).strip(" \t\r\n{}")
        found = {wanted} if wanted else patterns.alone(line) or patterns.leading(line) or patterns.stated(line)
        if not found:
            raise Unscored(f"the reference {reference!r:.60} names none of the options {', '.join(self.options)}")
        return found

    def _chosen(self, response: str, texts: Mapping[str, str]) -> set[str]:
        text = final_part(response)
        tagged = last_tag(text, "answer")
        text = (text if tagged is None else tagged)[-50 * MAX_ANSWER :]
        patterns = _patterns(self.options)
        boxes = [MARKUP.sub("", box).strip(" {}.") for box in BOX.findall(text)]
        boxed = [patterns.alone(box) or patterns.leading(box) or self._by_text(box, texts) for box in boxes]
        if any(boxed):
            return _union(boxed)
        plain = MARKUP.sub("", text)
        lines = [line.strip() for line in plain.splitlines() if line.strip()]
        ends = list(dict.fromkeys([lines[0][:LONGEST_LINE], lines[-1][:LONGEST_LINE]])) if lines else []
        return (
            patterns.stated(plain)
            or _union(patterns.alone(line) or patterns.leading(line) for line in ends)
            or self._by_text(ends[-1] if ends else "", texts)
        )

    def _by_text(self, line: str, texts: Mapping[str, str]) -> set[str]:
        letter = texts.get(_folded(line))
        return {letter} if letter else set()


class _Patterns:
    """Ways to name the options of one alphabet."""

    def __init__(self, options: str) -> None:
        capital, small = f"[{options}]", f"[{options.lower()}]"
        bare = rf"(?:\({capital}\)|\({small}\)|{capital}(?![A-Za-z0-9'’])|{small}(?=\s*(?:[.,;:)!]|$)))"
        several = rf"{bare}(?:\s?(?:,|and|or|/|&)\s?(?:and |or )?{bare}){{0,25}}"
        self.letter = re.compile(rf"(?<![A-Za-z])[{options}{options.lower()}](?![A-Za-z])")
        self.only = re.compile(rf"(?:option |choice |answer )?(?:{several}|{small})[).:]?", re.IGNORECASE)
        self.lead = re.compile(rf"(?:\({capital}\)|{capital}[).:])(?=\s)")
        claim = (
            r"\b(?:answer|option|choice|solution)(?: (?:letter|choice|option|key))?(?: to [^.\n]{0,80}?)?"
            r"(?:\s?[:=]\s{0,3}|\s+(?:is|was|would be|must be|should be)(?: clearly| therefore| thus| definitely)?:?\s+)"
            r"(?:(?:the )?(?:correct )?(?:option|choice|answer|letter)\s?:?\s+)?"
        )
        choose = r"\b(?:choose|chose|select|pick|go with)\s+(?:(?:the )?(?:option|choice|answer)\s+)?"
        chosen = rf"(?i:{choose})({several})(?=\s*(?:[.,;:!]|because|as\b|since|$))"
        judged = rf"(?<![A-Za-z])(?:(?i:option|choice)\s+)?({several})\s+is\s+(?:the\s+)?(?:correct|right|best)"
        self.claims = re.compile(rf"(?i:{claim})({several})|{chosen}|{judged}", re.MULTILINE)

    def alone(self, line: str) -> set[str]:
        """The options if the line is nothing else."""
        return self._letters(line) if len(line) <= 100 and self.only.fullmatch(line) else set()

    def leading(self, line: str) -> set[str]:
        """The option that the line starts with: "B. Paris"."""
        match = self.lead.match(line)
        return self._letters(match[0]) if match else set()

    def stated(self, text: str) -> set[str]:
        """Every option that the text says is the answer."""
        return _union(self._letters(match[match.lastindex or 0]) for match in self.claims.finditer(text))

    def _letters(self, text: str) -> set[str]:
        return {letter.upper() for letter in self.letter.findall(text)}


@lru_cache(64)
def _patterns(options: str) -> _Patterns:
    return _Patterns(options)


def _union(sets: Iterable[set[str]]) -> set[str]:
    return {letter for found in sets for letter in found}


def _folded(text: str) -> str:
    return " ".join(MARKUP.sub("", text).casefold().split()).strip(" .{}")
