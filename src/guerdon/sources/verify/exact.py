"""`verify.Exact`: is the response the reference, letter by letter?"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from guerdon.expr.source import Source

if TYPE_CHECKING:
    from guerdon.batch import Batch
    from guerdon.batch.levels import Array

__all__ = ["Exact"]

PUNCTUATION = re.compile(r"[^\w\s]|_")
SPACE = re.compile(r"\s+")
ARTICLES = re.compile(r"\b(?:a|an|the)\b", re.IGNORECASE)


class Exact(Source):
    """1 if the response is the reference, else 0, apart from white space around them.

    The options apply to both, in this order: case is folded, punctuation is dropped, articles are dropped and single
    spaces left between words, all white space is dropped.

    Args:
        ignore_case: whether "Paris" is "PARIS" (Unicode case folding: "ß" is "ss").
        ignore_punctuation: whether everything but letters, digits and white space is dropped.
        ignore_space: whether all white space is dropped.
        ignore_articles: whether the English words a, an and the are dropped.

    Returns:
        `[N]` 1 or 0; NaN where the response or the reference is missing. Two empty texts are equal.

    Example:
        >>> from guerdon.batch import Batch
        >>> batch = Batch({"response": [" Paris ", "the Paris", None], "reference": ["Paris", "Paris.", "Paris"]})
        >>> Exact().score(batch)
        array([ 1.,  0., nan])
        >>> Exact(ignore_punctuation=True, ignore_articles=True).score(batch)
        array([ 1.,  1., nan])
    """

    ignore_case: bool = False
    ignore_punctuation: bool = False
    ignore_space: bool = False
    ignore_articles: bool = False

    needs: ClassVar[tuple[str, ...]] = ("response", "reference")

    def score(self, batch: Batch) -> Array:
        """`[N]` whether each response is its reference."""
        plain = self._plain()
        pairs = zip(batch.text("response"), batch.text("reference"), strict=True)
        verdicts = (np.nan if a is None or b is None else a == b or plain(a) == plain(b) for a, b in pairs)
        return np.fromiter(verdicts, np.float64, batch.size)

    def _plain(self) -> Callable[[str], str]:
        """What is left of a text by the options."""
        steps: list[Callable[[str], str]] = []
        if self.ignore_case:
            steps.append(str.casefold)
        if self.ignore_punctuation:
            steps.append(lambda text: PUNCTUATION.sub("", text))
        if self.ignore_articles:
            steps.append(lambda text: " ".join(ARTICLES.sub(" ", text).split()))
        if self.ignore_space:
            steps.append(lambda text: SPACE.sub("", text))
        if not steps:
            return str.strip

        def plain(text: str) -> str:
            for step in steps:
                text = step(text)
            return text.strip()

        return plain
