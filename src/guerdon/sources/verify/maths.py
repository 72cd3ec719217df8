r"""`verify.Math`: is the answer of the response that of the reference?"""

from __future__ import annotations

from functools import lru_cache
from typing import ClassVar

from guerdon.errors import ExpressionError, Unscored, suggest
from guerdon.expr.source import RowSource
from guerdon.sources.verify.compare import clean, compare, spell
from guerdon.sources.verify.extract import MAX_ANSWER, WAYS, Answer, extract
from guerdon.sources.verify.limits import breach, surely_huge
from guerdon.sources.verify.numerals import read_numeral
from guerdon.sources.verify.symbolic import same

__all__ = ["Math"]

STATED = ("tag", "boxed", "hash", "phrase")
OVER_LIMIT = ("unscored", "wrong")
SHOWN = 60


class Math(RowSource):
    r"""1 if the response gives the answer of the reference, else 0.

    The answer is looked for in the order of `ways` (see `guerdon.sources.verify.extract.extract`). The reference may be
    the bare answer or a text that states it: a box, a `####` line, an `A:` line, "the answer is ...".

    Plain numbers, equal texts and words are compared at once and exactly (see `guerdon.sources.verify.compare.compare`);
    for the rest, math-verify decides in a worker process. An answer that no computer should evaluate (towers of powers,
    brackets thirty deep) never gets there: it is wrong if the reference is a number that it surely exceeds, else unscored.

    Args:
        ways: where an answer is looked for: some of `tag`, `boxed`, `hash`, `phrase`, `number`, in order of authority.
        over_limit: what an answer beyond the static limits is, where nothing is sure: `unscored`, or `wrong`, so that a
            policy cannot escape a bad score by writing one.
        timeout: seconds that a worker may take for one row.

    Returns:
        `[N]`: 1 right, 0 wrong, which includes a response without an answer. NaN, with the reason among the failures,
        where nobody could tell: no text, no answer in the reference, an answer beyond the static limits or the timeout.

    Raises:
        ExpressionError: an unknown way or an unknown `over_limit`.

    Example:
        >>> Math().quick("16 - 3 - 4 = 9, so she makes 9 * 2.\nA: 18", "18")
        1.0
        >>> Math().quick(r"The answer is $\frac{3}{4}$.", "#### 0.75")
        1.0
        >>> Math(ways=("boxed",)).quick("The answer is 18.", "18")
        0.0
        >>> Math().quick(r"\boxed{x + 1}", "1 + x") is None  # left to math-verify
        True
    """

    ways: tuple[str, ...] = WAYS
    over_limit: str = "unscored"

    needs: ClassVar[tuple[str, ...]] = ("response", "reference")

    def __post_init__(self) -> None:
        if isinstance(self.ways, str):
            object.__setattr__(self, "ways", (self.ways,))
        for way in self.ways:
            if way not in WAYS:
                raise ExpressionError(f"ways are some of {', '.join(WAYS)}, got {way!r}.{suggest(str(way), WAYS)}")
        if not self.ways or self.over_limit not in OVER_LIMIT:
            raise ExpressionError(
                f"Math needs at least one way, and over_limit 'unscored' or 'wrong': got {self.ways}, {self.over_limit!r}"
            )

    def quick(self, *values: str) -> float | None:
        """The verdict, or None if that takes algebra."""
        response, reference = values
        wanted = _reference(reference)
        given = extract(response, self.ways)
        if given is None:
            return 0.0
        verdict = compare(given.text, wanted) if len(given.text) <= MAX_ANSWER else None
        return self._within_limits(given.text, wanted) if verdict is None else float(verdict)

    def _within_limits(self, given: str, wanted: str) -> float | None:
        """None for an answer that may be evaluated, else what it counts."""
        reason = breach(wanted)
        if reason:
            raise Unscored(f"the answer of the reference has {reason}")
        long = len(given) > MAX_ANSWER
        reason = f"more than {MAX_ANSWER} characters" if long else breach(given)
        if reason is None:
            return None
        if self.over_limit == "wrong" or (surely_huge(given) and read_numeral(clean(wanted))):
            return 0.0
        raise Unscored(f"the answer has {reason}")

    def score_row(self, *values: str) -> float:
        """The verdict of math-verify."""
        response, reference = values
        given = extract(response, self.ways)
        return 0.0 if given is None else float(same(spell(given.text), spell(_reference(reference))))

    def prepare(self) -> None:
        """Loads math-verify and lets it build its tables."""
        same("1 + x", "x + 1")

    def why(self, *values: str) -> str:
        """What was compared with what."""
        response, reference = values
        given = extract(response, self.ways)
        wanted = _shown(_reference(reference))
        return f"given {_shown(given.text)} ({given.how}), wanted {wanted}" if given else f"no answer, wanted {wanted}"


def _shown(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"


def _reference(text: str) -> str:
    """The answer of a reference: the one it states, else all of it."""
    stated = _stated_reference(text) if len(text) < 20_000 else _stated_reference.__wrapped__(text)
    answer = stated.text if stated else text.strip()
    if not clean(answer):
        raise Unscored("the reference has no answer")
    if len(answer) > MAX_ANSWER:
        raise Unscored(f"the answer of the reference has more than {MAX_ANSWER} characters")
    return answer


@lru_cache(4096)
def _stated_reference(text: str) -> Answer | None:
    return extract(text, STATED)
