"""The first two passes: `plan` orders the nodes and finds out which rows each leaf is needed for; `check` refuses early.

A leaf is needed where one of its *demands* holds. A demand is a set of conditions, each an expression and the truth it
must have. `where(c, a, b)` asks for `a` where c is true and for `b` where it is false, `c & x` for x where c is not
false, `fill(x, y)` for y where x is unscored, `mean(x, over=..., where=c)` for x where c is true. Conditions are computed
first, so a costly leaf behind one runs in a later stage and only for the rows left open.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from guerdon.errors import ExpressionError, MissingColumn, suggest
from guerdon.expr.core import Apply, Column, Expr, View, axis_level, postorder
from guerdon.expr.nodes import Reduce, Scan, State, Window
from guerdon.expr.source import AsyncSource, RowSource, Source

if TYPE_CHECKING:
    from guerdon.batch import Batch

__all__ = ["Condition", "Demand", "Leaf", "Plan", "check", "leaf_name", "plan"]

Condition = tuple[Expr, str]
Demand = frozenset[Condition]
ALWAYS: Demand = frozenset()
MOST_ALTERNATIVES = 16


@dataclass(frozen=True)
class Leaf:
    """A source or view, the stage it runs in, and where it is needed: any of `demands` (an empty one: everywhere)."""

    node: Source | View
    name: str
    stage: int
    demands: tuple[Demand, ...]


@dataclass(frozen=True)
class Plan:
    """What will happen, in order. `print(plan(reward))` shows it."""

    expr: Expr
    nodes: tuple[Expr, ...]
    leaves: tuple[Leaf, ...]
    columns: tuple[str, ...]
    names: Mapping[str, Expr]

    @property
    def stages(self) -> list[list[Leaf]]:
        """The leaves stage by stage."""
        last = max((leaf.stage for leaf in self.leaves), default=-1)
        return [[leaf for leaf in self.leaves if leaf.stage == stage] for stage in range(last + 1)]

    @property
    def remembers(self) -> bool:
        """Whether the value of a batch depends on earlier batches."""
        return any(isinstance(node, State) for node in self.everything)

    @property
    def grouped(self) -> bool:
        """Whether the value of a sample depends on others of its group, so that groups must be kept whole."""
        return any(node.level == "group" or "group" in _keys(node) for node in self.everything)

    @property
    def batchwide(self) -> bool:
        """Whether the value of a sample depends on the whole batch."""
        return any("batch" in _keys(node) for node in self.everything)

    @property
    def everything(self) -> Iterator[Expr]:
        """Every node, those inside views too."""
        return postorder(self.expr)

    def __str__(self) -> str:
        from guerdon.expr.show import show_plan

        return show_plan(self)


def plan(expr: Expr) -> Plan:
    """Order the nodes of `expr` (equal subtrees once, children first), group its leaves into stages, list its columns.

    Raises:
        ExpressionError: two different parts with one name.
    """
    unique: dict[Expr, None] = {}
    for node in postorder(expr, lambda node: not isinstance(node, View)):
        unique.setdefault(node)
    nodes = tuple(unique)
    demands = _demands(expr, nodes)
    leaves = [node for node in nodes if isinstance(node, Source | View)]
    names = _names(nodes)
    by_node = {node: name for name, node in names.items()}
    stages = _Stages({leaf: demands[leaf] for leaf in leaves})
    planned = [Leaf(leaf, by_node.get(leaf, leaf_name(leaf)), stages.of(leaf), stages.demands(leaf)) for leaf in leaves]
    columns = dict.fromkeys(name for node in nodes for name in _reads(node))
    return Plan(expr, nodes, tuple(sorted(planned, key=lambda leaf: leaf.stage)), tuple(columns), names)


def check(planned: Plan, batch: Batch) -> None:
    """Refuse before anything is paid for.

    Raises:
        MissingColumn: a column that the expression reads is not in the batch; names the nearest one.
        LevelError: groups or an axis that the batch lacks.
    """
    levels = batch.levels()
    opened = {node.level for node in planned.nodes if isinstance(node, Source) and axis_level(node.level)}
    for name in planned.columns:
        axis, dot, column = name.partition(".")
        if dot and axis in opened and column in ("position", "count"):
            continue
        if dot and name not in batch and axis not in batch.axes and column in ("position", "count"):
            levels.axis(axis)
        if name not in batch and not (dot and column in ("position", "count")):
            if name in ("group", "prompt"):
                levels.size("group")
            elif name == "t":
                raise MissingColumn(
                    "the reward follows a schedule: give the training step, evaluate(..., t=100), or a column `t`"
                )
            else:
                _missing(name, batch)
    for node in planned.nodes:
        if isinstance(node, Scan | Window | Reduce) or node.level == "group":
            for level in (node.level, *(child.level for child in node.children)):
                if level == "group":
                    levels.size("group")
                elif axis_level(level) and level not in opened:
                    levels.axis(level)
        if isinstance(node, Window) and "group" in node.over:
            levels.size("group")


def _keys(node: Expr) -> tuple[str | Expr, ...]:
    """Where a node gathers values from: the keys of a window, the target of a reduction, the track of a scan."""
    match node:
        case Window():
            return node.over
        case Reduce():
            return (node.to,)
        case Scan():
            return (node.along,)
        case _:
            return ()


def _missing(name: str, batch: Batch) -> None:
    known = batch.names
    raise MissingColumn(
        f"the reward reads column {name!r}, the batch has {', '.join(known) or 'none'}.{suggest(name, known)} "
        f"Rename with batch.rename({{'{name}': '<its name>'}}) or, for files, --column {name}=<its name>"
    )


def _reads(node: Expr) -> Iterable[str]:
    if isinstance(node, Column):
        return [] if node.name == "prev" else [node.name]
    if isinstance(node, Source):
        return node.reads()
    if isinstance(node, View):
        given = set(node.edit.gives())
        return [*node.edit.reads(), *(name for name in plan(node.arg).columns if name not in given)]
    if isinstance(node, Window):
        return [
            key for key in node.over if isinstance(key, str) and key not in ("batch", "group", "sample", node.level)
        ]
    return []


def leaf_name(node: Expr) -> str:
    """The name of a leaf that nobody named: its class, in snake case."""
    kind = type(node.arg).__name__ if isinstance(node, View) else type(node).__name__
    return "".join(f"_{c.lower()}" if c.isupper() and i else c.lower() for i, c in enumerate(kind))


def _names(nodes: tuple[Expr, ...]) -> dict[str, Expr]:
    """Part name → node: the given names first, then every unnamed source under its class name."""
    names: dict[str, Expr] = {}
    for node in nodes:
        if isinstance(node, Apply) and node.op in ("named", "channels"):
            for (_, name), arg in zip(node.params, node.args, strict=True):
                if names.setdefault(str(name), arg) != arg:
                    raise ExpressionError(f"two different parts are called {name!r}: {names[str(name)]} and {arg}")
    taken = set(names.values())
    for node in nodes:
        if isinstance(node, Source | View) and node not in taken:
            base = leaf_name(node)
            number = next(i for i in range(1, len(nodes) + 2) if (base if i == 1 else f"{base}_{i}") not in names)
            names[base if number == 1 else f"{base}_{number}"] = node
    return names


def _demands(root: Expr, nodes: tuple[Expr, ...]) -> dict[Expr, list[Demand]]:
    """For every node, the alternatives under which its value matters; parents come before children."""
    found: dict[Expr, list[Demand]] = {node: [] for node in nodes}
    found[root] = [ALWAYS]
    for node in reversed(nodes):
        here = _absorb(found[node])
        found[node] = here
        if isinstance(node, View):
            continue
        for child, conditions, same_rows in _asks(node):
            bases = here if same_rows else [ALWAYS]
            found[child].extend(base | conditions for base in bases)
    return found


def _asks(node: Expr) -> Iterable[tuple[Expr, Demand, bool]]:
    """Children of `node`: under which further conditions each is needed, and whether for the same rows as `node`."""
    if isinstance(node, Apply) and node.op == "where":
        condition, then, otherwise = node.args
        yield condition, ALWAYS, True
        yield then, frozenset({(condition, "true")}), True
        yield otherwise, frozenset({(condition, "false")}), True
    elif isinstance(node, Apply) and node.op in ("and", "or", "fill"):
        first, second = node.args
        yield first, ALWAYS, True
        yield (
            second,
            frozenset({(first, {"and": "not false", "or": "not true", "fill": "unscored"}[node.op])}),
            True,
        )
    elif isinstance(node, Window | Reduce | State) and node.where is not None:
        for child in node.children:
            masked = child is not node.where and node.op not in ("zscore", "knn")
            yield child, frozenset({(node.where, "true")}) if masked else ALWAYS, False
    else:
        for child in node.children:
            yield child, ALWAYS, isinstance(node, Apply)


def _absorb(demands: list[Demand]) -> list[Demand]:
    """Drop alternatives that another, weaker one already covers."""
    kept: list[Demand] = []
    for demand in sorted(set(demands), key=len):
        if not any(weaker <= demand for weaker in kept):
            kept.append(demand)
    return kept if len(kept) <= MOST_ALTERNATIVES else [ALWAYS]


class _Stages:
    """Stage of each leaf: 0, or one more than the latest leaf inside its conditions. Conditions in a circle are dropped."""

    def __init__(self, demands: Mapping[Expr, list[Demand]]) -> None:
        self._demands = {node: tuple(found) if _costly(node) else (ALWAYS,) for node, found in demands.items()}
        self._stage: dict[Expr, int] = {}
        self._open: set[Expr] = set()

    def of(self, leaf: Expr) -> int:
        if leaf in self._stage:
            return self._stage[leaf]
        self._open.add(leaf)
        loose = [frozenset(c for c in demand if not self._circular(c[0])) for demand in self._demands[leaf]]
        self._demands[leaf] = tuple(_absorb(loose))
        inside = [inner for demand in self._demands[leaf] for condition, _ in demand for inner in _leaves(condition)]
        self._stage[leaf] = max((self.of(inner) + 1 for inner in inside), default=0)
        self._open.discard(leaf)
        return self._stage[leaf]

    def demands(self, leaf: Expr) -> tuple[Demand, ...]:
        return self._demands[leaf]

    def _circular(self, condition: Expr) -> bool:
        return any(inner in self._open or self._waits(inner, set()) for inner in _leaves(condition))

    def _waits(self, leaf: Expr, seen: set[Expr]) -> bool:
        """Whether `leaf` is waiting, through its own conditions, for a leaf that is being placed."""
        if leaf in self._stage or leaf in seen:
            return False
        seen.add(leaf)
        inside = [i for demand in self._demands[leaf] for condition, _ in demand for i in _leaves(condition)]
        return any(inner in self._open or self._waits(inner, seen) for inner in inside)


def _costly(node: Expr) -> bool:
    return isinstance(node, RowSource | AsyncSource | View) or (isinstance(node, Source) and node.costly)


def _leaves(expr: Expr) -> list[Expr]:
    return [node for node in postorder(expr, lambda n: not isinstance(n, View)) if isinstance(node, Source | View)]
