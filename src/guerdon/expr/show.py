"""Expressions as text that `guerdon.parse` reads back: the formula, the plan, the steps behind one reward."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Any, cast

from guerdon.expr.core import Apply, Column, Const, Expr, View, postorder
from guerdon.expr.nodes import Reduce, Scan, State, Window, holds_prev
from guerdon.expr.source import AsyncSource, RowSource, Source

if TYPE_CHECKING:
    from guerdon.expr.plan import Leaf, Plan

__all__ = ["BINARY", "FUNCTIONS", "number", "show", "show_plan", "show_steps"]

BINARY = {
    "less": ("<", 1),
    "less_equal": ("<=", 1),
    "greater": (">", 1),
    "greater_equal": (">=", 1),
    "or": ("|", 2),
    "and": ("&", 3),
    "add": ("+", 4),
    "subtract": ("-", 4),
    "multiply": ("*", 5),
    "divide": ("/", 5),
    "mod": ("%", 5),
    "power": ("**", 7),
}
"""Operators between two values and how tightly they bind, as in Python."""
UNARY = {"negative": "-", "not": "~"}
FUNCTIONS = {"equal": "eq", "not_equal": "ne"}
"""Operators whose function has another name."""
DEFAULTS = {"ddof": 0, "ties": "average", "pct": False, "method": "linear", "temperature": 1.0, "n": 1}
ATOM = 9
SIGN = 6


def number(value: float) -> str:
    """A number as short as it reads back to the same bits.

    >>> number(2.0), number(0.1), number(float("inf"))
    ('2', '0.1', 'inf')
    """
    if math.isfinite(value) and value == int(value) and abs(value) < 1e15:
        return "-0.0" if value == 0 and math.copysign(1, value) < 0 else str(int(value))
    return repr(value)


def show(expr: Expr) -> str:
    """The formula. Parts and subexpressions used more than once come first, each on a line of its own."""
    lines = _lines(expr, _hoisted(expr, leaves=False))
    return "\n".join([*(f"{name} = {text}" for name, text, _ in lines[:-1]), lines[-1][1]])


def show_steps(plan: Plan, value: Callable[[Expr], str], why: Callable[[Expr], str]) -> list[str]:
    """The formula line by line with the value of each line, sources and views included."""
    steps = _lines(plan.expr, _hoisted(plan.expr, leaves=True))
    texts = [f"  {name or 'reward'} = {text}" for name, text, _ in steps]
    width = min(max(map(len, texts)), 88)
    shown: list[str] = []
    for text, (_, _, node) in zip(texts, steps, strict=True):
        reason = why(node)
        shown.append(f"{text:<{width}}  → {value(node)}{f'   ({reason})' if reason else ''}")
    return shown


def show_plan(plan: Plan) -> str:
    """What runs, in which order, for which rows, and what it needs."""
    names = {node: name for name, node in plan.names.items()}
    lines: list[str] = []
    for number_, stage in enumerate(plan.stages, 1):
        lines.append(f"stage {number_}")
        lines += [f"  {_leaf_line(leaf, names)}" for leaf in stage]
    lines += ["then", *(f"  {line}" for line in show(plan.expr).splitlines())]
    return "\n".join([*lines, f"reads {', '.join(plan.columns) or 'no column'}"])


def _leaf_line(leaf: Leaf, names: dict[Expr, str]) -> str:
    node = leaf.node
    if isinstance(node, RowSource):
        how = f"quick, else in worker processes ({node.timeout:g} s per row)"
    elif isinstance(node, AsyncSource):
        how = f"{node.limits.concurrency} calls at once"
    else:
        how = "on edited rows" if isinstance(node, View) else "whole batch"
    if any(not demand for demand in leaf.demands):
        where = "every row"
    else:
        alternatives = (" and ".join(sorted(_condition(c, names) for c in demand)) for demand in leaf.demands)
        where = "only rows where " + ", or ".join(sorted(alternatives))
    text = _text(node, {})
    return f"{leaf.name}: {text}  [{where}; {how}]"


def _condition(condition: tuple[Expr, str], names: dict[Expr, str]) -> str:
    expr, truth = condition
    while isinstance(expr, Apply) and expr.op == "named":
        if expr.args[0] in names:
            return f"{names[expr.args[0]]} is {truth}"
        expr = expr.args[0]
    return f"{names.get(expr) or _text(expr, {node: name for node, name in names.items() if node != expr})} is {truth}"


def _hoisted(root: Expr, leaves: bool) -> dict[Expr, str]:
    """The nodes that get a line of their own, and the name of the line."""
    uses: Counter[Expr] = Counter()
    outside = set(postorder(root, lambda node: not (leaves and isinstance(node, View))))
    nodes = dict.fromkeys(node for node in postorder(root) if node in outside)
    for node in nodes:
        uses.update(node.children)
    named = {str(node.params[0][1]): node for node in reversed(nodes) if isinstance(node, Apply) and node.op == "named"}
    names: dict[Expr, str] = {node: name for name, node in named.items()}
    used: Counter[str] = Counter()
    for node in nodes:
        if leaves and holds_prev(node):
            names.pop(node, None)
        elif isinstance(node, Source | View) and (uses[node] > 1 or leaves):
            inside = node.arg if isinstance(node, View) else node
            base = f"_{type(inside).__name__.lower()}" if isinstance(inside, Source) else "_view"
            used[base] += 1
            names[node] = base if used[base] == 1 else f"{base}_{used[base]}"
        elif uses[node] > 1 and node not in names and not isinstance(node, Const | Column):
            used["_"] += 1
            names[node] = f"_{used['_']}"
    wrapped = {node.args[0] for name, node in named.items() if names.get(node) == name} - {*named.values()}
    return {node: name for node, name in names.items() if not (node in wrapped and uses[node] == 1)}


def _lines(root: Expr, hoisted: dict[Expr, str]) -> list[tuple[str, str, Expr]]:
    """(name, text, node) for each line, the root last with the empty name unless it has one."""
    texts: dict[Expr, tuple[str, int]] = {}
    lines: list[tuple[str, str, Expr]] = []
    nodes = dict.fromkeys(postorder(root))
    uses = Counter(child for node in nodes for child in node.children)
    for node in nodes:
        if node in hoisted:
            text = _render(node, texts)[0]
            if isinstance(node, Apply) and node.params == (("name", hoisted[node]),):
                text = texts[node.args[0]][0]
            lines.append((hoisted[node], text, node))
            texts[node] = (hoisted[node], ATOM)
        else:
            texts[node] = _render(node, texts)
        uses.subtract(node.children)
        for child in node.children:
            if not uses[child]:
                texts.pop(child, None)
    lines.append(("", texts[root][0], root))
    return lines


def _text(node: Expr, known: dict[Expr, str]) -> str:
    texts: dict[Expr, tuple[str, int]] = {node: (name, ATOM) for node, name in known.items()}
    for inner in postorder(node, lambda n: n not in texts):
        if inner not in texts:
            texts[inner] = _render(inner, texts)
    return texts[node][0]


def _render(node: Expr, texts: dict[Expr, tuple[str, int]]) -> tuple[str, int]:
    """The text of a node and how tightly its outermost operator binds."""

    def inside(child: Expr, tight: int) -> str:
        text, binds = texts[child]
        return text if binds >= tight else f"({text})"

    def plain(child: Expr) -> str:
        return texts[child][0]

    match node:
        case Const(value):
            text = number(value)
            return text, SIGN if text.startswith("-") else ATOM
        case Column(name):
            return "prev" if name == "prev" else f"col({name!r})", ATOM
        case Apply(op, (a, b)) if op in BINARY:
            symbol, binds = BINARY[op]
            left = binds + 1 if binds in (1, 7) else binds
            right = SIGN if binds == 7 else binds + 1
            return f"{inside(a, left)} {symbol} {inside(b, right)}", binds
        case Apply(op, (a,)) if op in UNARY:
            return UNARY[op] + inside(a, SIGN), SIGN
        case Apply("channels", args, params):
            return _call("channels", [], [(str(n), plain(a)) for (_, n), a in zip(params, args, strict=True)])
        case Apply(op, args, params):
            return _call(FUNCTIONS.get(op, op), map(plain, args), _params(params))
        case Reduce() | Window():
            where = [] if node.where is None else [("where", plain(node.where))]
            empty = [] if node.empty is None else [("empty", number(node.empty))]
            key = [("to", repr(node.to))] if isinstance(node, Reduce) else [("over", _over(node.over, texts))]
            return _call(node.op, [plain(node.arg)], [*key, *where, *empty, *_params(node.params)])
        case Scan(op, args, along, order, params):
            second = {"recur": "init", "lag": "fill", "lead": "fill"}.get(op)
            filled = [] if second is None or (second == "fill" and _is_nan(args[1])) else [(second, plain(args[1]))]
            ordered = [] if order is None else [("order", plain(order))]
            return _call(op, [plain(args[0])], [*_params(params), *filled, ("along", repr(along)), *ordered])
        case State(op, args, params, name, where):
            extra = [
                *([] if where is None else [("where", plain(where))]),
                *([] if name is None else [("name", repr(name))]),
            ]
            return _call(op, map(plain, args), [*_params(params), *extra])
        case View(arg, edit):
            return _call("on", [plain(arg), f"edit.{_instance(edit, type(edit).__name__)}"], [])
        case _:
            return _instance(node, _public_name(type(node))), ATOM


def _call(name: str, args: Iterable[str], keywords: Iterable[tuple[str, str]]) -> tuple[str, int]:
    return f"{name}({', '.join([*args, *(f'{k}={v}' for k, v in keywords)])})", ATOM


def _params(params: tuple[tuple[str, Any], ...]) -> list[tuple[str, str]]:
    shown = [(name, value) for name, value in params if not _alike(DEFAULTS.get(name), value)]
    return [(name, _literal(value, number)) for name, value in shown]


def _alike(default: Any, value: Any) -> bool:
    return type(default) is type(value) and default == value


def _literal(value: Any, real: Callable[[float], str] = float.__repr__) -> str:
    """A value as it is written; `real` writes floats, by default so that they do not come back as ints."""
    if isinstance(value, float):
        return real(value)
    if isinstance(value, tuple):
        items = [_literal(item, real) for item in cast("tuple[Any, ...]", value)]
        return f"({', '.join(items)}{',' if len(items) == 1 else ''})"
    return repr(value)


def _over(keys: tuple[str | Expr, ...], texts: dict[Expr, tuple[str, int]]) -> str:
    shown = [texts[key][0] if isinstance(key, Expr) else repr(key) for key in keys]
    return shown[0] if len(shown) == 1 else f"({', '.join(shown)})"


def _is_nan(node: Expr) -> bool:
    return isinstance(node, Const) and math.isnan(node.value)


def _instance(thing: Any, name: str) -> str:
    """A call that makes `thing` again: its fields that differ from their defaults, the leading ones by position."""
    args: list[str] = []
    named: list[str] = []
    gap = False
    for f in fields(thing):
        value = getattr(thing, f.name)
        default: Any = (
            f.default if f.default is not MISSING else f.default_factory() if callable(f.default_factory) else MISSING
        )
        if _alike(default, value):
            gap = gap or not f.kw_only
        elif gap or f.kw_only:
            named.append(f"{f.name}={_literal(value)}")
        else:
            args.append(_literal(value))
    return f"{name}({', '.join([*args, *named])})"


def _public_name(kind: type) -> str:
    parts = kind.__module__.split(".")
    return f"{parts[2]}.{kind.__name__}" if parts[:2] == ["guerdon", "sources"] and len(parts) > 2 else kind.__name__
