"""Where the thought ends and the answer begins: phases, steps and turns of a text, as offsets into it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any, Literal, NamedTuple, TypeAlias, cast

import numpy as np

from guerdon.batch.batch import Batch, missing, text_of
from guerdon.batch.levels import Axis
from guerdon.batch.sentences import sentence_ends
from guerdon.errors import DataError, ExpressionError, suggest

__all__ = ["Span", "Tag", "Tags", "phases", "rest", "steps", "with_phases", "with_steps", "with_turns"]

Tag: TypeAlias = str | tuple[str, str]
Tags: TypeAlias = str | Sequence[Tag] | Mapping[str, Tag]

_LINE = re.compile(r"[^\r\n]+")
_LINE_BREAK = re.compile(r"\r\n|\r|\n")
_MARKER = "marker:"


class Span(NamedTuple):
    """A stretch of a text, `text[start:end]`."""

    start: int
    end: int

    def of(self, text: str) -> str:
        """The text between the two offsets.

        >>> Span(1, 3).of("abcd")
        'bc'
        """
        return text[self.start : self.end]

    def holds(self, other: Span) -> bool:
        """Whether `other` lies within this span."""
        return self.start <= other.start and other.end <= self.end


class _Phase(NamedTuple):
    """A phase with its markers: `outer` begins at the opening marker and ends after the closing one."""

    outer: Span
    inner: Span


def phases(
    text: str,
    tags: Tags = ("think", "answer"),
    *,
    pick: Literal["first", "last"] = "first",
    implied_open: str | Iterable[str] = ("think",),
) -> dict[str, Span | None]:
    """The inside of each tag as a span of `text`; None where the tag does not occur.

    A tag that is never closed runs to the end of the text. A tag inside itself: the outermost pair counts. A
    tag that occurs several times: `pick` says which one counts. A closing tag that nothing opened is ignored,
    unless it is the first marker of a tag in `implied_open` (chat templates often end the prompt with
    `<think>`): then the phase starts at 0. Tags of different names are found independently and may nest.
    Upper and lower case are different. The time is linear in the text.

    Args:
        tags: `"think"` stands for `<think>` and `</think>`; a pair of strings is the two markers themselves,
            listed under the first of them. A mapping gives names: `{"thought": ("<|begin_of_thought|>",
            "<|end_of_thought|>")}`.
        pick: `"first"` or `"last"` of several phases with one tag.
        implied_open: names of the tags that the prompt may have opened.

    Raises:
        ExpressionError: an empty tag, an unknown `pick`.

    Example:
        >>> text = "6 * 7 is 42.</think><answer>42</answer>"
        >>> {name: span and span.of(text) for name, span in phases(text).items()}
        {'think': '6 * 7 is 42.', 'answer': '42'}
    """
    found = _picked(text, _named(tags), pick, _implied(implied_open))
    return {name: phase and phase.inner for name, phase in found.items()}


def rest(text: str, tag: Tag = "think", *, implied_open: str | Iterable[str] = ("think",)) -> Span:
    """What follows the last closing marker of `tag`: the answer of a model that tags only its thoughts.

    The whole text when the tag does not occur; empty when its last phase is never closed.

    >>> rest("<think>6 * 7</think> It is 42.").of("<think>6 * 7</think> It is 42.")
    ' It is 42.'
    """
    ((name, markers),) = _named((tag,)).items()
    return _after(text, markers, name in _implied(implied_open))


def steps(text: str, by: str = "line") -> list[Span]:
    """The text cut into steps: spans in order, without white space at their ends, none of them empty.

    Every character that is not white space lies in exactly one step.

    Args:
        by: `"line"`; `"blank_line"` (paragraphs); `"sentence"` (see `guerdon.batch.sentences`); or
            `"marker:"` and a regular expression: each match begins a step, and text before the first match is
            a step of its own. The expression is run as it is, so its speed is its author's concern.

    Raises:
        ExpressionError: an unknown `by`, a regular expression that does not compile.

    Example:
        >>> text = "Plan. Step 1: add. Step 2: halve."
        >>> [span.of(text) for span in steps(text, r"marker:Step \\d+:")]
        ['Plan.', 'Step 1: add.', 'Step 2: halve.']
    """
    return list(_steps(text, by, Span(0, len(text))))


def with_phases(
    batch: Batch,
    tags: Tags = ("think", "answer"),
    of: str = "response",
    *,
    pick: Literal["first", "last"] = "first",
    implied_open: str | Iterable[str] = ("think",),
    rest_as: str | None = None,
) -> Batch:
    """The batch with one text column per tag, named after it: the inside of the phase, as `phases` finds it.

    "" where the tag does not occur, None where column `of` is missing.

    Args:
        rest_as: name of one more column, the text after the last phase of the first tag (see `rest`).

    Raises:
        DataError: a column of that name is there already; a mapping gives the phase another name:
            `tags={"final": "answer"}`.

    Example:
        >>> batch = Batch({"response": ["<think>6 * 7</think> It is 42.", "42"]})
        >>> with_phases(batch, ["think"], rest_as="final")["final"].tolist()
        [' It is 42.', '42']
    """
    names = _named(tags)
    added = [*names, rest_as] if rest_as else [*names]
    taken = [name for name in added if name in batch.columns]
    if taken:
        raise DataError(
            f"the batch already has a column {taken[0]!r}; give the phase another name: "
            f"tags={{'{taken[0]}_phase': ...}}"
        )
    columns = {name: np.full(batch.size, None, dtype=object) for name in added}
    implied = _implied(implied_open)
    for row, text in enumerate(batch.text(of)):
        if text is None:
            continue
        for name, phase in _picked(text, names, pick, implied).items():
            columns[name][row] = phase.inner.of(text) if phase else ""
        if rest_as:
            first, markers = next(iter(names.items()))
            columns[rest_as][row] = _after(text, markers, first in implied).of(text)
    return batch.with_columns(columns)


def with_steps(
    batch: Batch,
    by: str = "line",
    of: str = "response",
    phase: Tags | None = None,
    *,
    pick: Literal["first", "last"] = "first",
    implied_open: str | Iterable[str] = ("think",),
) -> Batch:
    """The batch with axis `step`: columns `text`, `start` and `end` (offsets into the text of column `of`).

    With `phase`, a tag or several (as in `phases`), the text is also cut where a phase begins or ends, the
    markers belong to no step, and the axis has a column `phase`: the tag that the step lies in, the innermost
    of several, or "". A row without text has no steps.

    Example:
        >>> batch = Batch({"response": ["<think>6 * 7\\nis 42</think>42", None]})
        >>> with_steps(batch, phase="think").axes["step"].columns["phase"].tolist()
        ['think', 'think', '']
    """
    tags = {} if phase is None else _named(phase)
    implied = _implied(implied_open)
    counts = np.zeros(batch.size, np.int64)
    spans: list[Span] = []
    texts: list[str] = []
    labels: list[str] = []
    for row, text in enumerate(batch.text(of)):
        before = len(spans)
        for region, label in _regions(text or "", tags, pick, implied):
            spans.extend(_steps(text or "", by, region))
            labels.extend([label] * (len(spans) - len(labels)))
        texts.extend(span.of(text or "") for span in spans[before:])
        counts[row] = len(spans) - before
    edges = np.array(spans, dtype=np.int64).reshape(-1, 2)
    columns: dict[str, Any] = {"text": texts, "start": edges[:, 0], "end": edges[:, 1]}
    if phase is not None:
        columns["phase"] = labels
    return batch.with_axis("step", Axis.from_counts(counts, columns))


def with_turns(batch: Batch, of: str = "messages") -> Batch:
    """The batch with axis `turn`: columns `role` and `content` of the chat messages in column `of`.

    A plain text is one turn (of the user in column `prompt`, of the assistant elsewhere); a missing value has
    none. A message without content, such as a bare tool call, has the content "".

    Raises:
        DataError: a value that is neither text nor a list of messages; it names the row.

    Example:
        >>> chat = [{"role": "user", "content": "6 * 7?"}, {"role": "assistant", "content": "42"}]
        >>> with_turns(Batch({"messages": [chat, None]})).axes["turn"].columns["role"].tolist()
        ['user', 'assistant']
    """
    speaker = "user" if of == "prompt" else "assistant"
    turns = [_turns(value, speaker, of, row) for row, value in enumerate(batch[of].tolist())]
    columns = {
        "role": [role for row in turns for role, _ in row],
        "content": [content for row in turns for _, content in row],
    }
    return batch.with_axis("turn", Axis.from_counts([len(row) for row in turns], columns))


def _named(tags: Tags) -> dict[str, tuple[str, str]]:
    """Name → opening and closing marker."""
    if isinstance(tags, Mapping):
        given: Iterable[tuple[str, Tag]] = tags.items()
    else:
        listed = (tags,) if isinstance(tags, str) else tags
        given = ((tag if isinstance(tag, str) else tag[0], tag) for tag in listed)
    named = {name: (f"<{tag}>", f"</{tag}>") if isinstance(tag, str) else tag for name, tag in given}
    if not named or not all(name and len(pair) == 2 and all(pair) for name, pair in named.items()):
        raise ExpressionError(f"tags are names or pairs of markers, none of them empty; got {tags!r}")
    return named


def _implied(names: str | Iterable[str]) -> frozenset[str]:
    return frozenset((names,) if isinstance(names, str) else names)


def _picked(
    text: str, tags: Mapping[str, tuple[str, str]], pick: str, implied: frozenset[str]
) -> dict[str, _Phase | None]:
    """The phase of each tag that counts."""
    if pick not in ("first", "last"):
        raise ExpressionError(f"pick must be 'first' or 'last', not {pick!r}")
    which = 0 if pick == "first" else -1
    found = {name: _find(text, markers, name in implied) for name, markers in tags.items()}
    return {name: several[which] if several else None for name, several in found.items()}


def _after(text: str, markers: tuple[str, str], implied: bool) -> Span:
    """What follows the last closing marker, if there is a phase at all."""
    found = _find(text, markers, implied)
    if not found:
        return Span(0, len(text))
    closed = text.rfind(markers[1], found[-1].inner.end)
    return Span(len(text) if closed < 0 else closed + len(markers[1]), len(text))


def _find(text: str, markers: tuple[str, str], implied: bool) -> list[_Phase]:
    """The outermost phases of one tag, in order; one pass over its markers."""
    opening, closing = markers
    if opening not in text and closing not in text:
        return []
    found: list[_Phase] = []
    depth, begin, first = 0, Span(0, 0), True
    for match in _markers(opening, closing).finditer(text):
        opens = depth == 0 if opening == closing else match.group() == opening
        if opens:
            begin = Span(*match.span()) if depth == 0 else begin
            depth += 1
        elif depth or (implied and first):
            depth = max(depth - 1, 0)
            if depth == 0:
                found.append(_Phase(Span(begin.start, match.end()), Span(begin.end, match.start())))
        first = False
    if depth:
        found.append(_Phase(Span(begin.start, len(text)), Span(begin.end, len(text))))
    return found


@lru_cache(maxsize=256)
def _markers(opening: str, closing: str) -> re.Pattern[str]:
    longest_first = sorted({opening, closing}, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first)))


def _regions(
    text: str, tags: Mapping[str, tuple[str, str]], pick: str, implied: frozenset[str]
) -> Iterator[tuple[Span, str]]:
    """The text cut at the edges of the picked phases, without their markers; each piece with its tag."""
    found = [(name, phase) for name, phase in _picked(text, tags, pick, implied).items() if phase]
    found.sort(key=lambda item: item[1].outer.end - item[1].outer.start)
    edges = {0, len(text)} | {edge for _, phase in found for span in phase for edge in span}
    for region in map(Span._make, pairwise(sorted(edges))):
        holders = [name for name, phase in found if phase.inner.holds(region)]
        if len(holders) == sum(phase.outer.holds(region) for _, phase in found):
            yield region, holders[0] if holders else ""


def _steps(text: str, by: str, region: Span) -> Iterator[Span]:
    """The steps of one region of the text."""
    for start, end in pairwise([region.start, *_cuts(text, by, region), region.end]):
        piece = text[start:end]
        body = piece.strip()
        if body:
            lead = len(piece) - len(piece.lstrip())
            yield Span(start + lead, start + lead + len(body))


def _cuts(text: str, by: str, region: Span) -> Iterable[int]:
    """Where steps begin, in order, within the region."""
    if by == "line":
        return (match.end() for match in _LINE_BREAK.finditer(text, *region))
    if by == "blank_line":
        return _paragraphs(text, region)
    if by == "sentence":
        return sentence_ends(text, *region)
    if by.startswith(_MARKER):
        return (match.start() for match in _compiled(by.removeprefix(_MARKER)).finditer(text, *region))
    known = ["line", "blank_line", "sentence"]
    raise ExpressionError(
        f"steps by {by!r}: write one of {', '.join(known)}, or '{_MARKER}' and a regular expression."
        f"{suggest(by, known)}"
    )


def _paragraphs(text: str, region: Span) -> Iterator[int]:
    """The start of every line that follows a blank one."""
    previous_end = region.start
    for match in _LINE.finditer(text, *region):
        if not match.group().isspace():
            if len(_LINE_BREAK.findall(text, previous_end, match.start())) > 1:
                yield match.start()
            previous_end = match.end()


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise ExpressionError(f"the marker {pattern!r} is not a regular expression: {error}") from error


def _turns(value: Any, speaker: str, of: str, row: int) -> list[tuple[str, str]]:
    if missing(value):
        return []
    if isinstance(value, str):
        return [(speaker, value)]
    messages = cast("list[Any]", value) if isinstance(value, list) else [value]
    if not all(isinstance(message, dict) for message in messages):
        raise DataError(
            f"row {row}: column {of!r} must hold text or a list of {{'role', 'content'}} messages, got {value!r:.80}"
        )
    chat = cast("list[dict[str, Any]]", messages)
    return [(str(m.get("role", speaker)), text_of([{"content": m.get("content")}]) or "") for m in chat]
