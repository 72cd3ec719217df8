"""The first two passes: `plan` orders the nodes and finds out which rows each leaf is needed for; `check` refuses early.

A leaf is needed where one of its *demands* holds. A demand is a set of conditions, each an expression and the truth it
must have. `where(c, a, b)` asks for `a` where c is true and for `b` where it is false, `c & x` for x where c is not
false, `fill(x, y)` for y where x is unscored, `mean(x, over=..., where=c)` for x where c is true. Conditions are computed
first, so a costly leaf behind one runs in a later stage and only for the rows left open.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from guerdon.errors import ExpressionError, MissingColumn, suggest
from guerdon.expr.core import Apply, Column, Expr, View, axis_level, postorder
from guerdon.expr.nodes import Reduce, Scan, State, Window, holds_prev
from guerdon.expr.source import AsyncSource, RowSource, Source

if TYPE_CHECKING:
    from guerdon.batch import Batch

__all__ = ["Condition", "Demand", "Leaf", "Plan", "check", "leaf_name", "plan"]

Condition = tuple[Expr, str]
Demand = frozenset[Condition]
ALWAYS: Demand = frozenset()
MOST_ALTERNATIVES = 16
MOST_CONDITIONS = 64
"""Beyond these a leaf is asked for more rows than needed, which costs calls but changes no value."""


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
        stages: list[list[Leaf]] = [[] for _ in range(max((leaf.stage + 1 for leaf in self.leaves), default=0))]
        for leaf in self.leaves:
            stages[leaf.stage].append(leaf)
        return stages

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
        ExpressionError: two different parts, or two different memories, with one name.
    """
    _check_memories(expr)
    unique: dict[Expr, None] = {}
    for node in postorder(expr, lambda node: not isinstance(node, View)):
        unique.setdefault(node)
    nodes = tuple(unique)
    demands = _demands(expr, nodes)
    leaves = [node for node in nodes if isinstance(node, Source | View)]
    names = _names(nodes)
    by_node = {node: name for name, node in names.items()}
    staged = _staged(leaves, demands, _leaves_below(nodes, leaves))
    planned = [replace(leaf, name=by_node.get(leaf.node, leaf_name(leaf.node))) for leaf in staged]
    columns = dict.fromkeys(name for node in nodes for name in _reads(node))
    return Plan(expr, nodes, tuple(sorted(planned, key=lambda leaf: leaf.stage)), tuple(columns), names)


def _check_memories(expr: Expr) -> None:
    owners: dict[str, State] = {}
    for node in postorder(expr):
        if isinstance(node, State) and owners.setdefault(node.key, node) != node:
            raise ExpressionError(f"two different memories are called {node.key!r}: {owners[node.key]} and {node}")


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
            if name == "t":
                raise MissingColumn(
                    "the reward follows a schedule: give the training step: evaluate(..., t=100), --t 100 on the command line, or a column `t`"
                )
            _missing(name, batch)
    for node in planned.nodes:
        if isinstance(node, Scan | Window | Reduce | View) or node.level == "group":
            for level in (node.level, *(child.level for child in node.children)):
                if level == "group":
                    levels.size("group")
                elif axis_level(level) and level not in opened:
                    levels.axis(level)
        if "group" in _keys(node):
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
    inside = node.arg if isinstance(node, View) else node
    kind = type(inside).__name__ if isinstance(inside, Source) else "View"
    return "".join(f"_{c.lower()}" if c.isupper() and i else c.lower() for i, c in enumerate(kind))


def _names(nodes: tuple[Expr, ...]) -> dict[str, Expr]:
    """Part name → node: the given names first, then every unnamed source under its class name."""
    names: dict[str, Expr] = {}
    for node in nodes:
        if isinstance(node, Apply) and node.op in ("named", "channels"):
            if holds_prev(node):
                raise ExpressionError(f"{node}: inside recur nothing has a value to be shown as a part; name the recur")
            for (_, name), arg in zip(node.params, node.args, strict=True):
                bare = arg
                while isinstance(bare, Apply) and bare.op == "named":
                    bare = bare.args[0]
                if names.setdefault(str(name), bare) != bare:
                    raise ExpressionError(f"two different parts are called {name!r}: {names[str(name)]} and {bare}")
    taken = set(names.values())
    used: Counter[str] = Counter()
    for node in nodes:
        if isinstance(node, Source | View) and node not in taken:
            base = name = leaf_name(node)
            while name in names:
                used[base] += 1
                name = f"{base}_{used[base] + 1}"
            names[name] = node
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
        for child, asked, same_rows in _asks(node):
            conditions = frozenset(condition for condition in asked if not holds_prev(condition[0]))
            bases = here if same_rows else [ALWAYS]
            found[child].extend(base | conditions if len(base) < MOST_CONDITIONS else base for base in bases)
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
            masked = child not in (node.where, *_keys(node)) and node.op not in ("zscore", "knn")
            yield child, frozenset({(node.where, "true")}) if masked else ALWAYS, _stays_in_row(node)
    else:
        for child in node.children:
            yield child, ALWAYS, _stays_in_row(node)


def _absorb(demands: list[Demand]) -> list[Demand]:
    """Drop alternatives that another, weaker one already covers."""
    kept: list[Demand] = []
    for demand in sorted(set(demands), key=len):
        if not any(weaker <= demand for weaker in kept):
            kept.append(demand)
        if len(kept) > MOST_ALTERNATIVES:
            return [ALWAYS]
    return kept


def _staged(leaves: list[Source | View], demands: Mapping[Expr, list[Demand]], below: Mapping[Expr, int]) -> list[Leaf]:
    """Stage of each leaf: 0, or one more than the latest leaf inside its conditions. Conditions in a circle are dropped.

    Sets of leaves are the bits of an int, in the order of `leaves`; `below` has those inside each node.
    """
    kept = {leaf: demands[leaf] if _costly(leaf) else [ALWAYS] for leaf in leaves}
    waits: dict[Expr, int] = {}
    stages: list[int] = []
    stage_of: dict[Expr, int] = {}
    placed = pending = 0
    stack = list(reversed(leaves))
    while stack:
        leaf = stack[-1]
        if leaf not in waits:
            pending |= below[leaf]
            kept[leaf] = _absorb([frozenset(c for c in found if not below[c[0]] & pending) for found in kept[leaf]])
            waits[leaf] = _union(below[expr] for found in kept[leaf] for expr, _ in found)
        earlier = waits[leaf] & ~placed
        if earlier and leaf not in stage_of:
            stack.append(leaves[(earlier & -earlier).bit_length() - 1])
            continue
        stack.pop()
        if leaf not in stage_of:
            latest = next((i for i in reversed(range(len(stages))) if stages[i] & waits[leaf]), -1)
            stage_of[leaf] = latest + 1
            stages += [0] * (latest + 2 - len(stages))
            stages[latest + 1] |= below[leaf]
            placed |= below[leaf]
            pending &= ~below[leaf]
    return [Leaf(leaf, "", stage_of[leaf], tuple(kept[leaf])) for leaf in leaves]


def _leaves_below(nodes: tuple[Expr, ...], leaves: list[Source | View]) -> dict[Expr, int]:
    """The leaves inside every node (a leaf is inside itself, nothing else is inside a view), as bits."""
    below: dict[Expr, int] = {leaf: 1 << i for i, leaf in enumerate(leaves)}
    for node in nodes:
        if node not in below:
            below[node] = _union(below[child] for child in node.children)
    return below


def _union(masks: Iterable[int]) -> int:
    found = 0
    for mask in masks:
        found |= mask
    return found


def _costly(node: Source | View) -> bool:
    """Whether the leaf is worth running for some rows only, and may be: no row's value depends on other rows."""
    if isinstance(node, View):
        return all(map(_stays_in_row, postorder(node.arg)))
    return node.rowwise and (node.costly or isinstance(node, RowSource | AsyncSource))


def _stays_in_row(node: Expr) -> bool:
    """Whether the value for a row depends on what lies in that row alone."""
    match node:
        case Source():
            return node.rowwise
        case Window():
            return "sample" in node.over
        case Reduce() | Scan():
            return not {"group", "batch"} & {*_keys(node)}
        case _:
            return not isinstance(node, State)
