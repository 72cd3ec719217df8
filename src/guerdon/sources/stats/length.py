"""How long a text is, in characters, words or tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from guerdon.errors import DataError, ExpressionError, MissingExtra, suggest
from guerdon.expr.source import Source

if TYPE_CHECKING:
    from guerdon.batch import Batch
    from guerdon.batch.levels import Array

__all__ = ["Length"]

UNITS = ("chars", "words", "tokens")
ENCODED_AT_ONCE = 1024

Count = Callable[[Sequence[str]], list[int]]


class Length(Source):
    """The number of characters, words or tokens of a text.

    Words are what white space separates, characters are Unicode code points. Tokens are the items of the axis `token`
    if no tokenizer is named, so that they are the policy's own; else what the tokenizer makes of the text, without
    special tokens.

    Args:
        unit: `chars`, `words` or `tokens`.
        of: the column that is measured.
        tokenizer: a tokenizer.json file, a folder that holds one, or a name on the Hugging Face hub. For tokens only.

    Returns:
        `[N]`, whole numbers from 0; NaN where there is no text.

    Raises:
        ExpressionError: an unknown unit, or a tokenizer that is needed and missing or given and not needed.
        MissingExtra: a tokenizer is named and the package `tokenizers` is not installed.
        DataError: the tokenizer cannot be read.

    Example:
        >>> from guerdon.batch import Batch
        >>> Length("words").score(Batch({"response": ["so it is 4", "", None]}))
        array([ 4.,  0., nan])
    """

    unit: str = "chars"
    of: str = "response"
    tokenizer: str | None = None

    def __post_init__(self) -> None:
        if self.unit not in UNITS:
            raise ExpressionError(
                f"unit is one of {', '.join(UNITS)}, got {self.unit!r}.{suggest(str(self.unit), UNITS)}"
            )
        if self.tokenizer is not None and self.unit != "tokens":
            raise ExpressionError(f"a tokenizer counts tokens: write Length('tokens', tokenizer={self.tokenizer!r})")
        if self.unit == "tokens" and self.tokenizer is None and self.of != "response":
            raise ExpressionError(
                f"the axis `token` holds the tokens of the response; for {self.of!r} name a tokenizer: "
                f"Length('tokens', of={self.of!r}, tokenizer='<name or path>')"
            )

    def reads(self) -> tuple[str, ...]:
        """The measured column, or the token axis."""
        return ("token.count",) if self.unit == "tokens" and self.tokenizer is None else (self.of,)

    def score(self, batch: Batch) -> Array:
        """`[N]` the length of each text."""
        if self.unit == "tokens" and self.tokenizer is None:
            return batch.levels().axis("token").counts.astype(np.float64)
        texts = batch.text(self.of)
        out = np.full(len(texts), np.nan)
        rows = [row for row, text in enumerate(texts) if text is not None]
        out[rows] = self._count()([cast(str, texts[row]) for row in rows])
        return out

    def _count(self) -> Count:
        if self.unit == "chars":
            return lambda texts: [len(text) for text in texts]
        if self.unit == "words":
            return lambda texts: [len(text.split()) for text in texts]
        return _tokens(cast(str, self.tokenizer))


@lru_cache(8)
def _tokens(name: str) -> Count:
    """Counts the tokens of many texts with the tokenizer called `name`."""
    try:
        from tokenizers import Tokenizer  # pyright: ignore[reportMissingImports, reportUnknownVariableType]
    except ImportError:
        raise MissingExtra("counting with a tokenizer needs the package tokenizers: pip install tokenizers") from None
    path = Path(name)
    file = path / "tokenizer.json" if path.is_dir() else path
    try:
        load = cast(Any, Tokenizer)
        tokenizer = load.from_file(str(file)) if file.is_file() else load.from_pretrained(name)
    except Exception as error:
        raise DataError(
            f"the tokenizer {name!r} could not be read ({type(error).__name__}: {error}): give a tokenizer.json file, a "
            "folder that holds one, or a name on the Hugging Face hub"
        ) from None

    def count(texts: Sequence[str]) -> list[int]:
        clean = [text.encode("utf-8", "replace").decode() for text in texts]
        parts = (clean[start : start + ENCODED_AT_ONCE] for start in range(0, len(clean), ENCODED_AT_ONCE))
        return [len(e.ids) for part in parts for e in tokenizer.encode_batch(part, add_special_tokens=False)]

    return count
