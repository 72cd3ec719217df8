"""What hypothesis feeds the tests of numbers: small batches with every corner in them, and the same data as plain lists.

A `World` holds one batch twice: as a `Batch`, and as Python rows that the slow definitions in the tests read. Groups are
ragged and scattered, labels may be missing, groups of one and rows without steps occur, values tie, are 0.1-like or NaN.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import ArrayLike

from guerdon.batch import Batch
from guerdon.batch.levels import Axis
from guerdon.expr import Expr, col, max
from guerdon.expr.compute import Arithmetic

__all__ = [
    "FINER",
    "NAN",
    "World",
    "assert_same",
    "column",
    "compute",
    "known",
    "masks",
    "numbers",
    "worlds",
]

NAN = math.nan
FINER = {"batch": 0, "group": 1, "sample": 2, "step": 3}

finite = st.sampled_from([0.0, 1.0, 1.0, 0.1, -1.0, 2.5, -0.0]) | st.floats(-9, 9).map(lambda v: round(v, 3))
numbers = finite | st.just(NAN)
masks = st.sampled_from([0.0, 1.0, 1.0, -2.0, NAN])
labels = st.sampled_from([[7, 8, 9], ["a", "b", None], [1.5, NAN, 2.0], [[1], [1, 2], None]])

Place = Any
"""One spot of a level: None for the batch, a group label, a row, or (row, position)."""


@dataclass(frozen=True)
class World:
    """One batch, twice: `batch` for the library, `rows` for the tests."""

    batch: Batch
    rows: list[dict[str, Any]]

    def places(self, level: str) -> list[Place]:
        """The spots of `level`, in the library's order."""
        rows = range(len(self.rows))
        return {
            "batch": [None],
            "group": list(dict.fromkeys(row["label"] for row in self.rows)),
            "sample": list(rows),
            "step": [(row, k) for row in rows for k in range(len(self.rows[row]["steps"]))],
        }[level]

    def up(self, place: Place, level: str, to: str) -> Place:
        """The spot of the coarser level `to` in which `place` of `level` lies."""
        if to == "batch":
            return None
        if level == to:
            return place
        row = place[0] if level == "step" else place
        return row if to == "sample" else self.rows[row]["label"]

    def cell(self, name: str, place: Place, level: str) -> Any:
        """A column: `x`, `y`, `m`, `k` of a sample; of a step where `level` is `step`."""
        if level == "step":
            return self.rows[place[0]]["steps"][place[1]][name]
        return self.rows[place][name]

    def value(self, name: str, place: Place, level: str) -> float:
        """Column `name` at a spot; at group and batch, the largest known value of the samples inside (NaN without any)."""
        if level in ("sample", "step"):
            return float(self.cell(name, place, level))
        inside = [row[name] for row in self.rows if level == "batch" or row["label"] == place]
        return float(np.nanmax(inside)) if known(inside) else NAN


def column(name: str, level: str) -> Expr:
    """The expression whose slow twin is `World.value(name, place, level)`."""
    if level == "step":
        return col(f"step.{name}")
    return col(name) if level == "sample" else max(col(name), to=level)


def known(values: list[float]) -> list[float]:
    """The values that are not NaN."""
    return [value for value in values if not math.isnan(value)]


def compute(expr: Expr, batch: Batch) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The value of `expr` at its own level."""
    return Arithmetic(batch, batch.levels(), {}).value(expr)


def assert_same(given: ArrayLike, wanted: ArrayLike, tolerance: float = 1e-9, note: str = "") -> None:
    """Equal shapes and values; NaN equals NaN."""
    given, wanted = np.asarray(given, np.float64), np.asarray(wanted, np.float64)
    assert given.shape == wanted.shape, f"{note}: {given.shape} values where {wanted.shape} were wanted"
    np.testing.assert_allclose(given, wanted, rtol=tolerance, atol=tolerance, equal_nan=True, err_msg=note)


def _label(value: Any) -> Hashable:
    """A label as a key: missing ones are equal, lists are compared by content."""
    if value is None or value != value:
        return "missing"
    return tuple(value) if isinstance(value, list) else value


@st.composite
def worlds(draw: Callable[..., Any], most: int = 9) -> World:
    """Batches of up to `most` samples in up to three groups, with an axis `step` of up to four items per sample."""
    names = draw(labels)
    groups = draw(st.lists(st.sampled_from(names), max_size=most))
    cell = {
        "x": numbers,
        "y": numbers,
        "m": masks,
        "k": st.sampled_from(["p", "q", None]),
    }
    item = st.fixed_dictionaries(cell)
    rows = [draw(item) | {"group": group, "label": _label(group)} for group in groups]
    for row in rows:
        row["steps"] = draw(st.lists(item, max_size=4))
    columns = {name: [row[name] for row in rows] for name in ("group", *cell)}
    lists = {name: [[step[name] for step in row["steps"]] for row in rows] for name in cell}
    return World(Batch(columns, {"step": Axis.from_lists(len(rows), lists)}, size=len(rows)), rows)
