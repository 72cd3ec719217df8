"""How much of a text says again what it has said: shares of repeated n-grams, and the tokens inside them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from guerdon.errors import ExpressionError, suggest
from guerdon.expr.source import Source

if TYPE_CHECKING:
    from guerdon.batch import Batch
    from guerdon.batch.levels import Array, Index

__all__ = ["RepeatedTokens", "Repetition", "repeated_starts"]

UNITS = ("words", "chars", "tokens")
HELD_AS_TUPLES = 16
"""The longest n-grams that are compared as tuples; longer ones are numbered (see `repeated_starts`)."""


class Repetition(Source):
    """The share of n-grams of a text that occurred in it before.

        1 − distinct n-grams / n-grams

    Words are compared in lower case, characters and tokens as they are. A text of fewer than n words repeats nothing: 0.

    Args:
        n: the length of an n-gram, at least 1.
        unit: `words`, `chars`, or `tokens` (the column `token.id` of the axis `token`).
        of: the column that is measured; for words and characters.

    Returns:
        `[N]` in [0, 1), NaN where there is no text.

    Raises:
        ExpressionError: n below 1, an unknown unit, or tokens of a column other than the response.

    Example:
        >>> from guerdon.batch import Batch
        >>> Repetition(n=2).score(Batch({"response": ["so it is so it is", "all new words", "one", None]}))
        array([0.4, 0. , 0. , nan])

    Source: Yeo et al. (2025), arXiv:2502.03373 (scalar form; it multiplies this by a penalty).
    """

    n: int = 3
    unit: str = "words"
    of: str = "response"

    def __post_init__(self) -> None:
        _check_n(self.n)
        if self.unit not in UNITS:
            raise ExpressionError(
                f"unit is one of {', '.join(UNITS)}, got {self.unit!r}.{suggest(str(self.unit), UNITS)}"
            )
        if self.unit == "tokens" and self.of != "response":
            raise ExpressionError(f"tokens are those of the response, not of {self.of!r}: use unit='words' or 'chars'")

    def reads(self) -> tuple[str, ...]:
        """The measured column, or the token ids."""
        return ("token.id",) if self.unit == "tokens" else (self.of,)

    def score(self, batch: Batch) -> Array:
        """`[N]` the repeated share of each text."""
        if self.unit == "tokens":
            axis = batch.levels().axis("token")
            return _shares(np.asarray(batch["token.id"]), axis.counts, self.n)
        texts = batch.text(self.of)
        return np.fromiter(map(self._share, texts), np.float64, len(texts))

    def _share(self, text: str | None) -> float:
        if text is None:
            return np.nan
        parts = text.lower().split() if self.unit == "words" else text
        total = len(parts) - self.n + 1
        if total < 1:
            return 0.0
        if self.n > HELD_AS_TUPLES:
            numbers = dict(zip(dict.fromkeys(parts), range(total + self.n), strict=False))
            ids = np.fromiter((numbers[part] for part in parts), np.int64, len(parts))
            return float(_shares(ids, np.array([len(parts)]), self.n)[0])
        return 1 - len(set(zip(*(parts[start:] for start in range(self.n)), strict=False))) / total


class RepeatedTokens(Source):
    """1 for every token inside an n-gram that occurred earlier in its response, else 0.

    The earlier occurrence may overlap. The first occurrence counts 0. With `only_start`, of n-grams that repeat in a row
    only the first counts: one is left out if it starts at most n tokens behind the start of the repeated n-gram before
    it, as in the published code.

    Args:
        n: the length of an n-gram, at least 1.
        only_start: whether to mark only where each run of repetition starts.

    Returns:
        `[M]`, one value per item of the axis `token`: 0 or 1. NaN where a token has no id.

    Raises:
        ExpressionError: n below 1.

    Example:
        >>> from guerdon.batch import Axis, Batch
        >>> tokens = Axis.from_lists(1, {"id": [[1, 2, 1, 2, 1]]})
        >>> RepeatedTokens(n=2).score(Batch({}, {"token": tokens}, size=1))
        array([0., 0., 1., 1., 1.])

    Source: Yeo et al. (2025), arXiv:2502.03373, with n = 40 and a penalty of -0.05 per marked token;
        `RepetitionDensePenalty` of github.com/eddycmu/demystify-long-cot.
    """

    n: int = 40
    only_start: bool = False

    needs: ClassVar[tuple[str, ...]] = ("token.id",)
    axis: ClassVar[str] = "token"

    def __post_init__(self) -> None:
        _check_n(self.n)

    def score(self, batch: Batch) -> Array:
        """`[M]` 1 where a token belongs to a repeated n-gram."""
        axis = batch.levels().axis("token")
        ids = batch.numbers("token.id")
        starts = np.flatnonzero(repeated_starts(ids, axis.counts, self.n))
        if self.only_start and len(starts):
            runs_on = np.diff(starts) <= self.n  # never across rows: there the distance is n + 1 at least
            starts = starts[np.concatenate([[True], ~runs_on])]
        edges = np.zeros(len(ids) + 1)
        edges[starts] += 1
        np.subtract.at(edges, starts + self.n, 1)
        marked = np.cumsum(edges[:-1]) > 0
        return np.where(np.isnan(ids), np.nan, marked.astype(np.float64))


def repeated_starts(ids: NDArray[np.generic], counts: Index, n: int) -> NDArray[np.bool_]:
    """Where an n-gram starts that occurred earlier in its row.

    Numbers the n-grams exactly, without hashing: those of length 2w are pairs of those of length w, so that log₂ n + 2
    sorts suffice.

    Args:
        ids: `[M]` items, row after row; equal ids are equal items.
        counts: `[N]` items per row.
        n: length of an n-gram.

    Returns:
        `[M]`; False where fewer than n items are left in the row.

    Example:
        >>> repeated_starts(np.array([1, 2, 1, 2, 1]), np.array([5]), 2).tolist()
        [False, False, True, True, False]
    """
    rows = np.repeat(np.arange(len(counts)), counts)
    ends = np.repeat(np.cumsum(counts), counts)
    whole = np.arange(len(ids)) + n <= ends
    out = np.zeros(len(ids), dtype=np.bool_)
    if not whole.any():
        return out
    codes = _numbered(ids)
    width = 1
    while width < n:
        step = min(width, n - width)
        later = np.concatenate([codes[step:], np.zeros(step, np.int64)])
        codes = _numbered(codes * len(ids) + later)
        width += step
    places = np.flatnonzero(whole)
    first = np.unique(rows[places] * len(ids) + codes[places], return_index=True)[1]
    out[places] = True
    out[places[first]] = False
    return out


def _numbered(values: NDArray[np.generic]) -> Index:
    """`[M]` equal numbers from 0 for equal values."""
    return np.unique(values, return_inverse=True)[1].astype(np.int64).reshape(-1)


def _shares(ids: NDArray[np.generic], counts: Index, n: int) -> Array:
    """`[N]` the share of the n-grams of each row that occurred in it before."""
    rows = np.repeat(np.arange(len(counts)), counts)
    repeated = np.bincount(rows[repeated_starts(ids, counts, n)], minlength=len(counts))
    return repeated / np.maximum(counts - n + 1, 1)


def _check_n(n: object) -> None:
    if not isinstance(n, int) or isinstance(n, bool) or n < 1:
        raise ExpressionError(f"n is the length of an n-gram, a whole number of at least 1, got {n!r}")
