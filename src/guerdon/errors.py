"""Everything guerdon raises on purpose.

    GuerdonError
    ├── ExpressionError (ValueError)    an expression that cannot mean anything: unknown name, bad argument, text outside the language
    │   └── LevelError                  values of levels that do not meet, or a level nobody opened
    ├── DataError (ValueError)          a file, row or column that cannot be used as given
    │   └── MissingColumn (LookupError) a column that the expression reads and the batch lacks
    ├── MissingExtra (ImportError)      an optional package is needed; the text has the line to type
    ├── ScoringError (RuntimeError)     rows could not be scored and the caller asked for `on_error="raise"`
    └── Unscored (ValueError)           raised by a source for one row: cannot be judged; becomes NaN and a failure record

Every class is also a built-in one, so `except ValueError` works for people who do not know guerdon.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = [
    "DataError",
    "ExpressionError",
    "GuerdonError",
    "LevelError",
    "MissingColumn",
    "MissingExtra",
    "ScoringError",
    "Unscored",
    "suggest",
]


class GuerdonError(Exception):
    """The root: `except GuerdonError` catches whatever guerdon raises on purpose."""


class ExpressionError(GuerdonError, ValueError):
    """The expression cannot mean anything."""


class LevelError(ExpressionError):
    """Values of two levels do not meet, or nothing opened the level."""


class DataError(GuerdonError, ValueError):
    """A file, row or column cannot be used as given."""


class MissingColumn(DataError, LookupError):
    """The expression reads a column that the batch lacks."""


class MissingExtra(GuerdonError, ImportError):
    """An optional package is needed; the message has the line to type."""


class ScoringError(GuerdonError, RuntimeError):
    """Rows could not be scored under `on_error="raise"`."""


class Unscored(GuerdonError, ValueError):
    """One row cannot be judged: it becomes NaN and a failure record, the other rows are scored."""


def suggest(name: str, known: Iterable[str]) -> str:
    """` Did you mean 'x'?` for the nearest known name, else the empty string.

    >>> suggest("respons", ["response", "prompt"])
    " Did you mean 'response'?"
    >>> suggest("zzz", ["response"])
    ''
    """
    close = get_close_matches(name, list(known), n=1)
    return f" Did you mean {close[0]!r}?" if close else ""
