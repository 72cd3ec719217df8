"""What guerdon asks of the outside. Anything with these methods will do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

__all__ = ["Policy"]


@runtime_checkable
class Policy(Protocol):
    """A language model that continues text."""

    def generate(self, prompts: Sequence[str], n: int) -> list[list[str]]:
        """`n` continuations of each prompt, without the prompt."""
        ...
