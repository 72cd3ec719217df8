"""Measurements of a text: how long it is, how often it repeats itself."""

from guerdon.sources.stats.length import Length
from guerdon.sources.stats.repetition import RepeatedTokens, Repetition

__all__ = ["Length", "RepeatedTokens", "Repetition"]
