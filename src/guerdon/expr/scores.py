"""What comes back: values, parts, failures, state, and why a sample got what it got."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from guerdon.batch import Batch
from guerdon.batch.levels import Array, Axis, Levels
from guerdon.expr.compute import Arithmetic
from guerdon.expr.core import Apply, Const, Expr, axis_level
from guerdon.expr.plan import Plan
from guerdon.expr.run import Failure, LeafRun, cells
from guerdon.expr.show import number, show_steps
from guerdon.expr.source import RowSource
from guerdon.expr.state import Memory

__all__ = ["Scores"]


@dataclass
class Scores:
    """The result of an evaluation; `np.asarray(scores)` is `values`.

    Attributes:
        values: `[N]` float64, NaN where unscored; `[M]` when the reward lives on an axis (`level`).
        level: where `values` live: `sample` or an axis.
        parts: name → `[N]`, every named part and every source; NaN where unscored or not asked.
        items: name → `[M]`, the parts that live on an axis.
        failures: one record per row and source that could not be scored, with the reason; sorted by row.
        state: what rewards with memory hand to the next `evaluate(..., state=...)`; plain data.
        warnings: what went wrong without harm to the scores.
    """

    plan: Plan
    batch: Batch
    values: Array
    level: str
    parts: dict[str, Array]
    items: dict[str, Array]
    failures: list[Failure]
    state: dict[str, Memory]
    runs: list[LeafRun]
    axes: Mapping[str, Axis]
    leaves: Mapping[Expr, Array]
    before: Mapping[str, Memory]
    warnings: list[str] = field(default_factory=list[str])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.values, dtype=dtype) if copy or dtype not in (None, self.values.dtype) else self.values

    def __len__(self) -> int:
        return len(self.values)

    def __repr__(self) -> str:
        scored = self.values[~np.isnan(self.values)]
        mean = f", mean {scored.mean():.4g}" if len(scored) else ""
        return f"Scores({len(self.values)} per {self.level}{mean}, {int(np.isnan(self.values).sum())} unscored)"

    @property
    def channels(self) -> dict[str, Array]:
        """The parts of `channels(...)`, `[N]` each; empty when the reward keeps none apart."""
        found = [node for node in self.plan.nodes if isinstance(node, Apply) and node.op == "channels"]
        names = [str(name) for node in found for _, name in node.params]
        return {name: self.parts[name] for name in names if name in self.parts}

    def explain(self, row: int) -> str:
        """Why row `row` got its reward: the formula step by step with this row's values, and what each source saw.

        Raises:
            IndexError: there is no such row.
        """
        if not 0 <= row < self.batch.size:
            raise IndexError(f"there is no row {row}: the batch has rows 0 to {self.batch.size - 1}")
        arithmetic = Arithmetic(self.batch, Levels(self.batch.size, self._group(), self.axes), self.before)
        arithmetic.values.update(self.leaves)
        reasons = [f"  unscored by {f.source}: {f.reason}" for f in self.failures if f.row == row]

        def value(node: Expr) -> str:
            return self._value(node, row, arithmetic)

        steps = show_steps(self.plan, value, lambda node: self._why(node, row))
        return "\n".join([f"row {row}", *steps, *dict.fromkeys(reasons)])

    def profile(self) -> str:
        """Where time and calls went, a line per source: rows asked, distinct ones, how each was answered, seconds."""
        head = f"{'source':<24}{'asked':>10}{'distinct':>10}{'quick':>10}{'cached':>10}{'called':>10}{'failed':>8}{'seconds':>9}"
        lines = [
            f"{run.name:<24.24}{run.asked:>10,}{run.distinct:>10,}{run.quick:>10,}{run.cached:>10,}{run.calls:>10,}"
            f"{len(run.failures):>8,}{run.seconds:>9.2f}"
            for run in self.runs
        ]
        return "\n".join([head, *lines])

    def _group(self) -> Any:
        return self.batch.levels().group

    def _value(self, node: Expr, row: int, arithmetic: Arithmetic) -> str:
        if isinstance(node, Const):
            return number(node.value)
        values = arithmetic.value(node)
        if axis_level(node.level):
            mine = values[self.axes[node.level].index == row]
            shown = ", ".join(number(v) for v in mine[:8].tolist())
            return f"[{shown}{', …' if len(mine) > 8 else ''}]"
        return number(float(arithmetic.levels.spread(values, node.level, "sample")[row]))

    def _why(self, node: Expr, row: int) -> str:
        while isinstance(node, Apply) and node.op == "named":
            node = node.args[0]
        if not isinstance(node, RowSource):
            return ""
        index = self.axes[node.level].index if axis_level(node.level) else np.arange(self.batch.size)
        given = self.leaves[node][index == row]
        if len(given) and np.isnan(given).all():
            return ""
        alone = self.batch.select([row])
        return node.why(*(cells(alone, name, name in node.raw)[0] for name in node.reads()))
