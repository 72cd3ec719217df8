"""`verify.Format`: does the response have the required form?"""

from __future__ import annotations

import re
from typing import Any, ClassVar

from guerdon.errors import ExpressionError
from guerdon.expr.source import RowSource

__all__ = ["Format"]

OUTSIDE = ("none", "after", "any")
TAG_NAME = re.compile(r"[A-Za-z_][\w.:-]*")


class Format(RowSource):
    """1 if the response has the required form, else 0: blocks in tags, or a pattern.

    With tags, every `<tag>` must be closed and hold something but white space, and no two blocks may nest or overlap.

    Args:
        names: the tags, such as `"think", "answer"`; the tuple of them is the field `tags`.
        pattern: a regular expression that the whole response must match, instead of tags. It runs in a worker process,
            because a pattern may take for ever on some texts.
        once: whether every block must stand there exactly once; else at least once.
        order: whether the blocks must follow one another in the order of the tags; with `once=False`, the whole sequence
            may repeat.
        outside: where other text may stand: `none`; `after` the last block; `any`. By default `after` for a single tag,
            as the answer follows the reasoning, and `none` for several.
        timeout: seconds that a worker may take for one row; for a pattern.

    Returns:
        `[N]` 1 or 0; NaN where there is no response, or where the pattern ran out of time.

    Raises:
        ExpressionError: neither tags nor a pattern, or both; a tag with brackets; a pattern that is none; an unknown
            `outside`.

    Example:
        >>> Format("think").quick("<think>2 + 2</think> 4"), Format("think").quick("4")
        (1.0, 0.0)
        >>> two = Format("think", "answer")
        >>> two.quick("<think>2 + 2</think>\\n<answer>4</answer>"), two.quick("<think>2 + 2</think> 4")
        (1.0, 0.0)
        >>> Format(pattern=r"[ABCD]").score_row("B")
        1.0
    """

    tags: tuple[str, ...] = ()
    pattern: str | None = None
    once: bool = True
    order: bool = True
    outside: str = ""

    needs: ClassVar[tuple[str, ...]] = ("response",)

    def __init__(
        self,
        *names: str | tuple[str, ...],
        tags: tuple[str, ...] = (),
        pattern: str | None = None,
        once: bool = True,
        order: bool = True,
        outside: str = "",
        timeout: float = 10.0,
    ) -> None:
        given = [name for item in (*names, tags) for name in ((item,) if isinstance(item, str) else item)]
        if bool(given) == (pattern is not None):
            raise ExpressionError(
                f"Format needs tags or a pattern, one of them: Format('think', 'answer') or Format(pattern='...'); got tags "
                f"{tuple(given)} and pattern {pattern!r}"
            )
        for name in given:
            if not TAG_NAME.fullmatch(name) or given.count(name) > 1:
                raise ExpressionError(
                    f"a tag is a name without brackets, once: Format('think') for <think>; got {name!r}"
                )
        if outside not in ("", *OUTSIDE):
            raise ExpressionError(f"outside is one of {', '.join(OUTSIDE)}, got {outside!r}")
        try:
            re.compile(pattern or "")
        except (re.error, OverflowError, RecursionError) as error:
            raise ExpressionError(f"the pattern {pattern!r} is no regular expression: {error}") from None
        values: dict[str, Any] = {"tags": tuple(given), "pattern": pattern, "once": once, "order": order}
        values |= {"outside": outside, "timeout": timeout}
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def quick(self, *values: str) -> float | None:
        """The verdict for tags; None for a pattern."""
        (response,) = values
        return None if self.pattern is not None else float(not self._fault(response))

    def score_row(self, *values: str) -> float:
        """The verdict."""
        (response,) = values
        if self.pattern is not None:
            return float(re.fullmatch(self.pattern, response) is not None)
        return float(not self._fault(response))

    def why(self, *values: str) -> str:
        """What is wrong with the form, or nothing."""
        (response,) = values
        return "" if self.pattern is not None else self._fault(response)

    def _fault(self, text: str) -> str:
        """The first thing that is wrong, or the empty string."""
        marks = self._marks(text)
        if isinstance(marks, str):
            return marks
        for (start, _, tag), (end, _, close) in zip(marks[::2], marks[1::2], strict=True):
            if close != f"/{tag}":
                return f"<{tag}> at {start} meets <{close}> at {end}"
        for (_, start, tag), (end, _, _) in zip(marks[::2], marks[1::2], strict=True):
            if start == end or text[start:end].isspace():
                return f"<{tag}> is empty"
        blocks = [tag for _, _, tag in marks[::2]]
        if self.order and any(tag != self.tags[i % len(self.tags)] for i, tag in enumerate(blocks)):
            return f"the blocks are {', '.join(blocks[:10])}, in another order than {', '.join(self.tags)}"
        if self.order and len(blocks) % len(self.tags):
            return f"the last {', '.join(self.tags)} is not complete"
        return self._outside_fault(text, marks)

    def _marks(self, text: str) -> list[tuple[int, int, str]] | str:
        """(start, end, name) of every tag, opening and closing, in order; or what is wrong with their number."""
        marks: list[tuple[int, int, str]] = []
        for tag in self.tags:
            opened, closed = text.count(f"<{tag}>"), text.count(f"</{tag}>")
            if opened != closed or not opened:
                return f"<{tag}> is opened {opened} times and closed {closed} times"
            if self.once and opened > 1:
                return f"<{tag}> stands there {opened} times"
            for name in (tag, f"/{tag}"):
                place = text.find(f"<{name}>")
                while place >= 0:
                    marks.append((place, place + len(name) + 2, name))
                    place = text.find(f"<{name}>", place + 1)
        return sorted(marks)

    def _outside_fault(self, text: str, marks: list[tuple[int, int, str]]) -> str:
        outside = self.outside or ("after" if len(self.tags) == 1 else "none")
        if outside == "any":
            return ""
        starts = [0, *(end for _, end, _ in marks[1::2])]
        ends = [start for start, _, _ in marks[::2]] + ([len(text)] if outside == "none" else [])
        for start, end in zip(starts, ends, strict=False):
            if start < end and not text[start:end].isspace():
                return f"there is text outside the tags at {start}"
        return ""
