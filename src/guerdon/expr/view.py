"""Edits: samples changed on purpose. `on(source, edit)` evaluates a source on them.

An edit maps a batch to derived rows that remember their parent: a row of the batch, or an item of an axis (`at`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, cast, dataclass_transform

from guerdon.errors import DataError, ExpressionError
from guerdon.protocols import Policy

if TYPE_CHECKING:
    from guerdon.batch import Batch
    from guerdon.batch.levels import Index

__all__ = ["Derived", "Edit", "assign", "drop", "forced_answer", "prefixes", "replace", "swap", "truncate"]


SECONDS = 10.0


class Derived(NamedTuple):
    """Edited rows and, for each, its parent: a row, or an item of the axis the edit works at."""

    batch: Batch
    parent: Index


@dataclass_transform(frozen_default=True)
class Edit:
    """How samples are changed. A subclass is a frozen dataclass by itself; write `apply` and, off the samples, `at`."""

    def __init_subclass__(cls) -> None:
        dataclass(frozen=True)(cls)

    @property
    def at(self) -> str:
        """Level of the parents: `sample` or the name of an axis."""
        return "sample"

    def reads(self) -> tuple[str, ...]:
        """Columns the edit reads."""
        raise NotImplementedError

    def gives(self) -> tuple[str, ...]:
        """Columns that the derived rows have although the batch may lack them."""
        return ()

    def apply(self, batch: Batch) -> Derived:
        """The derived rows of `batch`."""
        raise NotImplementedError


def _same_rows(batch: Batch, columns: dict[str, list[Any]]) -> Derived:
    import numpy as np

    return Derived(batch.with_columns(columns), np.arange(batch.size))


class assign(Edit):
    """Put one column in the place of another: `assign("response", "think")` scores the reasoning as if it were the response.

    >>> assign("response", "think").reads()
    ('think',)
    """

    column: str
    source: str

    def reads(self) -> tuple[str, ...]:
        return (self.source,)

    def gives(self) -> tuple[str, ...]:
        return (self.column,)

    def apply(self, batch: Batch) -> Derived:
        return _same_rows(batch, {self.column: list(batch[self.source])})


class swap(Edit):
    """Exchange two columns: the other order of a pair."""

    first: str
    second: str

    def reads(self) -> tuple[str, ...]:
        return (self.first, self.second)

    def apply(self, batch: Batch) -> Derived:
        return _same_rows(batch, {self.first: list(batch[self.second]), self.second: list(batch[self.first])})


class drop(Edit):
    """Take columns away: the prompt without its image. They become empty text."""

    columns: tuple[str, ...]

    def __post_init__(self) -> None:
        if isinstance(self.columns, str):
            raise ExpressionError(f"edit.drop takes a tuple of columns: write edit.drop(({self.columns!r},))")

    def reads(self) -> tuple[str, ...]:
        return self.columns

    def apply(self, batch: Batch) -> Derived:
        return _same_rows(batch, {name: [""] * batch.size for name in self.columns})


class replace(Edit):
    """Replace every match of a regular expression in a text column: the response without its verdict.

    Patterns may come from anybody and can take for ever, so they run in worker processes; a text that takes longer than
    10 seconds is unscored, with that reason.
    """

    column: str
    pattern: str
    by: str = ""

    def __post_init__(self) -> None:
        try:
            re.sub(self.pattern, self.by, "")
        except (re.error, IndexError, TypeError) as error:
            raise ExpressionError(f"edit.replace: {self.pattern!r} → {self.by!r} cannot be used: {error}") from None

    def reads(self) -> tuple[str, ...]:
        return (self.column,)

    def apply(self, batch: Batch) -> Derived:
        from guerdon.batch import Batch
        from guerdon.expr.pool import Failed, shared_pool

        texts = batch.text(self.column)
        rows = [row for row, text in enumerate(texts) if text is not None]
        substitute = partial(re.sub, self.pattern, self.by)
        problems = dict(batch.problems)
        for place, text in shared_pool().map(substitute, [(texts[row],) for row in rows], timeout=SECONDS):
            if isinstance(text, Failed):
                problems[rows[place]] = f"{self.pattern!r} on {self.column} {text.reason}"
            else:
                texts[rows[place]] = text
        edited, parent = _same_rows(batch, {self.column: texts})
        return Derived(Batch(edited.columns, edited.axes, problems, edited.size), parent)


class truncate(Edit):
    """Keep the first `share` (in [0, 1]) of the characters of a text column."""

    share: float
    column: str = "response"

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise ExpressionError(f"edit.truncate: share lies in [0, 1], got {self.share!r}")

    def reads(self) -> tuple[str, ...]:
        return (self.column,)

    def apply(self, batch: Batch) -> Derived:
        cut = [None if t is None else t[: round(self.share * len(t))] for t in batch.text(self.column)]
        return _same_rows(batch, {self.column: cut})


class prefixes(Edit):
    """One derived row per item of an axis with text offsets (`step`): the response up to the end of that item.

    `on(verify.Math(), prefixes())` says after each step whether the answer is already there. The derived row has the
    items up to that one; other axes stay whole.
    """

    axis: str = "step"
    column: str = "response"

    @property
    def at(self) -> str:
        return self.axis

    def reads(self) -> tuple[str, ...]:
        return (self.column, f"{self.axis}.end")

    def apply(self, batch: Batch) -> Derived:
        import numpy as np

        from guerdon.batch import Axis

        axis = batch.axes[self.axis]
        texts = batch.text(self.column)
        pairs: list[tuple[int, Any]] = list(zip(axis.index.tolist(), batch[f"{self.axis}.end"].tolist(), strict=True))
        cut: list[Any] = [None if texts[row] is None else str(texts[row])[:end] for row, end in pairs]
        rows = batch.select(axis.index).with_columns({self.column: cut})
        kept = rows.axes[self.axis].position <= axis.position[rows.axes[self.axis].index]
        columns = {name: values[kept] for name, values in rows.axes[self.axis].columns.items()}
        return Derived(rows.with_axis(self.axis, Axis(axis.position + 1, columns)), np.arange(len(cut)))


class forced_answer(Edit):
    """Stop the reasoning, ask for the answer: `k` continuations of prompt + prefix + `cue` by a policy.

    Where prompt or response is missing nobody is asked and the response stays missing.

    Args:
        policy: who continues (`guerdon.protocols.Policy`).
        axis: `step` to stop after every step (needs `step.end`), or `sample` to stop at the end.
        k: continuations per stop; they are averaged.
        cue: what is appended to make the policy answer.
    """

    policy: Policy
    axis: str = "step"
    k: int = 1
    cue: str = "\n</think>\n\n"
    column: str = "response"

    def __post_init__(self) -> None:
        if not isinstance(cast(Any, self.policy), Policy) or self.k < 1:
            raise ExpressionError(
                "edit.forced_answer needs a policy with a method generate(prompts, n), and k ≥ 1, "
                f"got {self.policy!r:.60} and k={self.k!r}"
            )

    @property
    def at(self) -> str:
        return self.axis

    def reads(self) -> tuple[str, ...]:
        return ("prompt", self.column, *([] if self.axis == "sample" else [f"{self.axis}.end"]))

    def apply(self, batch: Batch) -> Derived:
        import numpy as np

        whole = self.axis == "sample"
        stops = _same_rows(batch, {}) if whole else prefixes(self.axis, self.column).apply(batch)
        pairs = list(zip(stops.batch.text("prompt"), stops.batch.text(self.column), strict=True))
        heads = {i: (p, text + self.cue) for i, (p, text) in enumerate(pairs) if p is not None and text is not None}
        given = self.policy.generate([prompt + head for prompt, head in heads.values()], self.k) if heads else []
        if [len(texts) for texts in given] != [self.k] * len(heads):
            raise DataError(
                f"the policy was asked for {self.k} continuations of each of {len(heads)} prompts, got others"
            )
        full: list[Any] = [None] * (len(pairs) * self.k)
        for (i, (_, head)), texts in zip(heads.items(), given, strict=True):
            full[i * self.k : (i + 1) * self.k] = [head + text for text in texts]
        rows = stops.batch.select(np.repeat(np.arange(len(pairs)), self.k)).with_columns({self.column: full})
        return Derived(rows, np.repeat(stops.parent, self.k))
