"""The nodes that move values between places: to a coarser level, over a window, along a sequence, from batch to batch."""

from __future__ import annotations

from functools import cached_property
from typing import cast

from guerdon.errors import ExpressionError, LevelError
from guerdon.expr.core import ORDER, Column, Expr, Params, join, postorder, rank_of

__all__ = ["Reduce", "Scan", "State", "Window", "holds_prev"]

STATE_INPUT = {"percentile": "sample", "running_mean": "sample", "running_std": "sample", "knn": "axis"}
"""Levels that a state operator takes, where it is not one value per batch."""


class Reduce(Expr):
    """One value per `to` (a coarser level) from the values of `arg` that lie in it and in `where`."""

    op: str
    arg: Expr
    to: str
    where: Expr | None = None
    empty: float | None = None
    params: Params = ()

    def __post_init__(self) -> None:
        source = self.source_level
        if self.to not in ORDER:
            raise LevelError(
                f"{self.op} can reduce to 'sample', 'group' or 'batch', not to {self.to!r}; "
                f"over={self.to!r} keeps one value per row"
            )
        if rank_of(source) <= rank_of(self.to):
            raise LevelError(
                f"{self.op}({self.arg}, to={self.to!r}): the values are already per {source}, which is not finer than "
                f"{self.to}. Drop the call, or use over=... to keep one value per {source}"
            )

    @cached_property
    def source_level(self) -> str:
        """Level of the values that are reduced."""
        return join(self.arg, *([self.where] if self.where is not None else []), what=self.op)

    @cached_property
    def level(self) -> str:
        return self.to


class Window(Expr):
    """For every value, a function of all values that agree with it on the keys `over` and lie in `where`."""

    op: str
    arg: Expr
    over: tuple[str | Expr, ...]
    where: Expr | None = None
    empty: float | None = None
    params: Params = ()

    def __post_init__(self) -> None:
        level = self.level
        call = f"{self.op}({self.arg}, over={self.over!r})"
        keys = cast("tuple[object, ...]", self.over)
        if not keys or not all(isinstance(key, str | Expr) for key in keys):
            raise ExpressionError(f"{call}: a key is a name or an expression; for everything write over='batch'")
        if level == "batch":
            raise LevelError(f"{call}: there is one value for the whole batch, nothing to look over")
        for key in self.over:
            if isinstance(key, str) and not self._fits(key, level):
                raise LevelError(
                    f"{call}: {key!r} does not cut values per {level}. Keys are 'batch', "
                    + (
                        "no other at this level"
                        if level == "group"
                        else "'group', a column of the samples, an expression"
                    )
                    + ("" if level in ORDER else f", 'sample', {level!r} (equal position) and columns of {level}")
                )
        if "batch" in self.over and len(self.over) > 1:
            raise LevelError(f"{call}: 'batch' means everything, other keys beside it have no effect; drop one")

    @staticmethod
    def _fits(key: str, level: str) -> bool:
        axis, dot, _ = key.partition(".")
        if key == "batch":
            return True
        if level == "group":
            return False
        return axis == level if dot else key != "sample" or level not in ORDER

    @cached_property
    def level(self) -> str:
        keys = [key for key in self.over if isinstance(key, Expr)]
        return join(self.arg, *([self.where] if self.where is not None else []), *keys, what=self.op)


class Scan(Expr):
    """A function of the values up to each position `along` an axis, or along the samples of a group in `order`."""

    op: str
    args: tuple[Expr, ...]
    along: str
    order: Expr | None = None
    params: Params = ()

    def __post_init__(self) -> None:
        if self.along in ("batch", "sample"):
            raise LevelError(
                f"{self.op} runs along an axis ('step', 'token', 'turn', ...) or 'group', not {self.along!r}"
            )
        if self.along != "group" and self.order is not None:
            raise LevelError(f"{self.op}: order= belongs to along='group'; along an axis the position is the order")
        extra = [self.order] if self.order is not None else []
        level = join(*self.args, *extra, what=self.op)
        if rank_of(level) > rank_of(self.level) or (level not in ORDER and level != self.level):
            raise LevelError(f"{self.op}(along={self.along!r}) takes values per {self.level}, got values per {level}")

    @cached_property
    def level(self) -> str:
        return "sample" if self.along == "group" else self.along


class State(Expr):
    """A value that remembers earlier batches. Value in, value out; the memory is kept in `Scores.state` under `key`."""

    op: str
    args: tuple[Expr, ...]
    params: Params = ()
    name: str | None = None
    where: Expr | None = None

    def __post_init__(self) -> None:
        given = self.args[0].level
        wanted = STATE_INPUT.get(self.op, "batch")
        fits = rank_of(given) > rank_of("sample") if wanted == "axis" else rank_of(given) <= rank_of(wanted)
        if not fits:
            help_ = "an axis of equal length per row (an embedding)" if wanted == "axis" else f"one value per {wanted}"
            raise LevelError(
                f"{self.op} takes {help_}, {self.args[0]} is per {given}"
                + ("" if wanted == "axis" else f": reduce it, e.g. mean(x, to={wanted!r})")
            )
        if self.where is not None and rank_of(self.where.level) > rank_of("sample"):
            raise LevelError(
                f"{self.op}: where= chooses samples, {self.where} is per {self.where.level}: reduce it, "
                "e.g. any(x, to='sample')"
            )

    @property
    def key(self) -> str:
        """The name of this memory in the state: the given name, or one made of operator and digest."""
        return self.name or f"{self.op}-{self.digest.hex()[:12]}"

    @cached_property
    def level(self) -> str:
        return "sample" if self.op == "knn" else "batch"


def holds_prev(node: Expr) -> bool:
    """Whether `node` depends on the `prev` of a recur around it, and so has no value of its own."""
    known = node.__dict__.get("holds_prev")
    if known is None:
        for inner in postorder(node, lambda inner: "holds_prev" not in inner.__dict__):
            if "holds_prev" not in inner.__dict__:
                below = (child.__dict__["holds_prev"] for child in inner.children)
                closed = isinstance(inner, Scan) and inner.op == "recur"
                itself = isinstance(inner, Column) and inner.name == "prev"
                inner.__dict__["holds_prev"] = itself or (any(below) and not closed)
        known = node.__dict__["holds_prev"]
    return bool(known)
