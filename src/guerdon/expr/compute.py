"""Arithmetic: the value of every node from the values of its leaves, vectorised over flat arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from guerdon.batch import Batch
from guerdon.batch.levels import Array, Index, Levels, Segments, combine
from guerdon.errors import DataError, ExpressionError
from guerdon.expr.core import Apply, Column, Const, Expr, View, axis_level, postorder
from guerdon.expr.nodes import Reduce, Scan, State, Window, holds_prev
from guerdon.expr.scan import SCAN, Sequences, recur
from guerdon.expr.sequence import prev
from guerdon.expr.source import Source
from guerdon.expr.state import STATE, Memory, knn
from guerdon.expr.tables import APPLY, EMPTY, REDUCE, WINDOW

__all__ = ["Arithmetic"]


class Arithmetic:
    """Values of expressions on one batch. Leaves are put in from outside; everything else is computed once, when asked.

    Args:
        batch: the samples.
        levels: where values live; sources may have opened axes.
        memory: state of earlier batches by key. What the batch leaves behind is in `after`.
    """

    def __init__(self, batch: Batch, levels: Levels, memory: Mapping[str, Memory]) -> None:
        self.batch = batch
        self.levels = levels
        self.before = memory
        self.after: dict[str, Memory] = dict(memory)
        self.values: dict[Expr, Array] = {}
        self._segments: dict[tuple[Any, ...], Segments] = {}

    def value(self, expr: Expr) -> Array:
        """`[size of its level]` float64, NaN where unscored."""
        if holds_prev(expr):
            raise ExpressionError(f"`prev` means something only in the first argument of recur(...), not in {expr}")
        with np.errstate(all="ignore"):
            for node in postorder(expr, lambda node: node not in self.values and not holds_prev(node)):
                if node not in self.values and not holds_prev(node):
                    self.values[node] = self._compute(node)
        return self.values[expr]

    def forget(self) -> None:
        """Drop what was computed: an axis has other items now."""
        self.values = {node: values for node, values in self.values.items() if isinstance(node, Source | View)}
        self._segments = {}

    def at(self, expr: Expr, level: str) -> Array:
        """The value of `expr`, spread to `level`."""
        return self.levels.spread(self.value(expr), expr.level, level)

    def _compute(self, node: Expr) -> Array:
        match node:
            case Const(value):
                return np.array([value])
            case Column(name):
                return self._column(name)
            case Apply(op, args, params):
                level = node.level
                spread = [self.levels.spread(self.values[arg], arg.level, level) for arg in args]
                return np.asarray(APPLY[op](*spread, **dict(params)), dtype=np.float64)
            case Reduce():
                pieces = self._pieces(node.source_level, (node.to,))
                return self._reduce(node, node.source_level, pieces)
            case Window():
                return self._window(node)
            case Scan():
                return self._scan(node)
            case State():
                return self._state(node)
            case _:
                raise ExpressionError(f"the value of {node} must come from running it; this is a defect of guerdon")

    def _column(self, name: str) -> Array:
        axis_name, dot, column = name.partition(".")
        if dot and name not in self.batch and column in ("position", "count"):
            axis = self.levels.axis(axis_name)
            values = axis.position if column == "position" else np.repeat(axis.counts, axis.counts)
            return values.astype(np.float64)
        return self.batch.numbers(name)

    def _pieces(self, level: str, keys: tuple[str | Expr, ...]) -> Segments:
        """The values of `level` cut by `keys`: level names, columns, or expressions."""
        known = self._segments.get((level, keys))
        if known is None:
            if len(keys) == 1 and isinstance(keys[0], str) and keys[0] in ("batch", "group", "sample"):
                known = self.levels.segments(level, keys[0])
            else:
                known = Segments(*combine([self._codes(level, key) for key in keys], self.levels.size(level)))
            self._segments[(level, keys)] = known
        return known

    def _codes(self, level: str, key: str | Expr) -> tuple[Index, int]:
        if isinstance(key, Expr):
            values = self.at(key, level)
            _, codes = np.unique(values, return_inverse=True)
            return codes.astype(np.int64), int(codes.max(initial=-1)) + 1
        if key in ("group", "sample"):
            pieces = self.levels.segments(level, key)
            return pieces.codes, pieces.size
        if key == level and axis_level(level):
            axis = self.levels.axis(level)
            return axis.position, int(axis.counts.max(initial=0))
        if "." in key:
            return self.batch.codes(key) if key in self.batch else self._codes(level, Column(key))
        codes, size = self.batch.codes(key)
        return codes[self.levels.to_sample(level)], size

    def _counting(self, node: Reduce | Window, level: str) -> tuple[Array, NDArray[np.bool_]]:
        x = self.at(node.arg, level)
        counts = ~np.isnan(x)
        if node.where is not None:
            mask = self.at(node.where, level)
            counts &= (mask != 0) & ~np.isnan(mask)
        return x, counts

    def _reduce(self, node: Reduce | Window, level: str, pieces: Segments) -> Array:
        x, counts = self._counting(node, level)
        inner, kept = pieces, x
        if not counts.all():
            inner, kept = Segments(pieces.codes[counts], pieces.size), x[counts]
        place = np.empty(0, np.int64)
        if node.op in ("argmax", "argmin"):
            place = np.empty(len(x), np.int64)
            place[pieces.order] = pieces.rows(pieces.order)
            place = place[counts]
        out = np.asarray(REDUCE[node.op](kept, inner, place, **dict(node.params)), dtype=np.float64)
        nothing = inner.counts == 0
        if nothing.any():
            out[nothing] = self._of_nothing(node, level, pieces)[nothing]
        return out

    def _of_nothing(self, node: Reduce | Window, level: str, pieces: Segments) -> Array:
        """`[size]` the value of a piece in which nothing counts; NaN where a source failed to say whether anything does."""
        if node.empty is not None:
            return np.full(pieces.size, node.empty)
        empty = np.full(pieces.size, EMPTY.get(node.op, np.nan))
        mask = np.ones(1) if node.where is None else self.at(node.where, level)
        if node.op != "count" and _asks(node.arg):
            empty[pieces.codes[np.isnan(self.at(node.arg, level)) & (mask != 0) & ~np.isnan(mask)]] = np.nan
        if node.op != "count" and node.where is not None and _asks(node.where):
            empty[pieces.codes[np.isnan(mask)]] = np.nan
        return empty

    def _window(self, node: Window) -> Array:
        level = node.level
        pieces = self._pieces(level, node.over)
        if node.op in REDUCE:
            return pieces.spread(self._reduce(node, level, pieces))
        x, counts = self._counting(node, level)
        out = WINDOW[node.op](x, counts, pieces, **dict(node.params))
        return out if node.empty is None else np.where(np.isnan(out), node.empty, out)

    def _scan(self, node: Scan) -> Array:
        level = node.level
        order: Index | None = None
        if node.along == "group":
            pieces = self._pieces("sample", ("group",))
            order = pieces.order if node.order is None else pieces.sorted(self.at(node.order, "sample"))
            counts = pieces.counts
        else:
            counts = self.levels.axis(node.along).counts
        sequences = Sequences(counts)
        if node.op == "recur":
            out = self._recur(node, sequences, order)
        else:
            args = [self.at(arg, level) for arg in node.args]
            args = args if order is None else [arg[order] for arg in args]
            out = SCAN[node.op](*args, sequences, **dict(node.params))
        if order is None:
            return out
        back = np.empty_like(out)
        back[order] = out
        return back

    def _recur(self, node: Scan, sequences: Sequences, order: Index | None) -> Array:
        body, init = node.args
        steps = [inner for inner in postorder(body, holds_prev) if holds_prev(inner)]
        if any(not isinstance(inner, Apply) and inner != prev for inner in steps):
            raise ExpressionError(f"recur: only arithmetic may be done on `prev`, not {body}")
        fixed: dict[Expr, Array] = {}
        for inner in postorder(body, holds_prev):
            if not holds_prev(inner):
                values = self.at(inner, node.level)
                fixed[inner] = values if order is None else values[order]

        def step(before: Array, items: Index) -> Array:
            values: dict[Expr, Array] = {inner: array[items] for inner, array in fixed.items()}
            values[prev] = before
            for inner in steps:
                if isinstance(inner, Apply):
                    values[inner] = np.asarray(
                        APPLY[inner.op](*[values[arg] for arg in inner.args], **dict(inner.params)),
                        np.float64,
                    )
            return values[body]

        start = self.at(init, node.level)
        return recur(start if order is None else start[order], sequences, lambda v, items: step(v, items))

    def _state(self, node: State) -> Array:
        memory = dict(self.before.get(node.key, {}))
        arg = node.args[0]
        if node.op == "knn":
            value, after = self._knn(node, arg, memory)
        else:
            value, after = STATE[node.op](memory, self.values[arg], **dict(node.params))
        self.after[node.key] = after
        return value

    def _knn(self, node: State, arg: Expr, memory: Memory) -> tuple[Array, Memory]:
        counts = self.levels.axis(arg.level).counts
        width = int(counts.max(initial=0))
        if ((counts != width) & (counts != 0)).any():
            raise DataError(
                f"knn needs vectors of one length on axis {arg.level!r}, got {sorted(set(counts.tolist()))}"
            )
        vectors = np.full((self.levels.rows, width), np.nan)
        vectors[counts > 0] = self.values[arg].reshape(np.count_nonzero(counts), width)
        keep = np.ones(self.levels.rows) if node.where is None else self.at(node.where, "sample")
        params: dict[str, Any] = dict(node.params)
        return knn(memory, vectors, keep, **params)


def _asks(node: Expr) -> bool:
    """Whether a source or view is inside."""
    return any(isinstance(inside, Source | View) for inside in postorder(node))
