"""Rewards as JSON, bit for bit: a list of nodes, children before parents, shared ones once.

    {"guerdon": 1, "nodes": [{"kind": "Source", "type": "guerdon.sources.verify.maths:Math", ...}, ...]}

A file names the classes it needs. Those of guerdon are loaded; any other only with `trust=True`, because importing a
module runs it.
"""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, cast

from guerdon.errors import DataError, ExpressionError, GuerdonError
from guerdon.expr.core import Apply, Column, Const, Expr, View, misfit, postorder
from guerdon.expr.nodes import Reduce, Scan, State, Window
from guerdon.expr.show import BINARY, FUNCTIONS
from guerdon.expr.source import Source
from guerdon.expr.text import vocabulary
from guerdon.expr.view import Edit

__all__ = ["from_json", "load", "save", "to_json"]

FORMAT = 1
KINDS: tuple[type[Expr], ...] = (Apply, Column, Const, Reduce, Scan, State, View, Window)
NODES: Mapping[str, type[Expr]] = {kind.__name__: kind for kind in KINDS}


def to_json(expr: Expr) -> str:
    """The reward as JSON text; equal rewards give equal text.

    Raises:
        ExpressionError: a source or edit with a field that is not plain data, or defined inside a function.

    >>> from guerdon.expr import col
    >>> from_json(to_json(2 * col("score"))) == 2 * col("score")
    True
    """
    number: dict[Expr, int] = {}
    entries: list[dict[str, Any]] = []
    for node in postorder(expr):
        if node not in number:
            number[node] = len(entries)
            entries.append(_node(node, number))
    return json.dumps({"guerdon": FORMAT, "nodes": entries}, separators=(",", ":"), ensure_ascii=False)


def from_json(text: str, *, trust: bool = False) -> Expr:
    """The reward that `to_json` wrote.

    Args:
        trust: whether classes outside guerdon may be imported. Importing runs code: only for files of your own.

    Raises:
        DataError: not a saved reward, or one of a newer format.
        ExpressionError: a class outside guerdon without `trust`, or values that do not make an expression.
    """
    try:
        data = json.loads(text)
        entries, version = data["nodes"], data["guerdon"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise DataError('this is not a saved reward: expected {"guerdon": 1, "nodes": [...]}') from None
    if version != FORMAT:
        raise DataError(
            f"the reward was saved in format {version!r}, this guerdon reads format {FORMAT}: update guerdon"
        )
    if not isinstance(entries, list):
        raise DataError(f"the nodes of the saved reward are a {type(entries).__name__}, expected a list")
    made: list[Expr] = []
    for place, node in enumerate(cast("list[Any]", entries)):
        try:
            made.append(_made(node, made, trust))
        except GuerdonError as error:
            raise type(error)(f"node {place} of the saved reward: {error}") from None
        except Exception as error:  # whatever a constructor makes of hostile values
            raise DataError(f"node {place} of the saved reward is broken: {type(error).__name__}: {error}") from None
    if not made:
        raise DataError("the saved reward has no nodes")
    return made[-1]


def save(expr: Expr, path: str | Path) -> None:
    """Write the reward to a .json file, atomically.

    Raises:
        ExpressionError: it cannot be saved (see `to_json`).
        DataError: the file cannot be written; an old one is intact.
    """
    target = Path(path)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        part.write_text(to_json(expr) + "\n", encoding="utf-8", errors="surrogatepass")
        os.replace(part, target)
    except OSError as error:
        raise DataError(f"{path} could not be written: {error}") from None
    finally:
        part.unlink(missing_ok=True)


def load(path: str | Path, *, trust: bool = False) -> Expr:
    """Read a reward that `save` wrote (see `from_json`)."""
    try:
        return from_json(Path(path).read_text(encoding="utf-8", errors="surrogatepass"), trust=trust)
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} could not be read: {error}") from None


def _node(node: Expr, number: Mapping[Expr, int]) -> dict[str, Any]:
    entry: dict[str, Any] = {"kind": "Source" if isinstance(node, Source) else type(node).__name__}
    if isinstance(node, Source):
        entry["type"] = _path(type(node))
    return entry | {f.name: _plain(getattr(node, f.name), number, node) for f in fields(cast(Any, node))}


def _plain(value: Any, number: Mapping[Expr, int], owner: object) -> Any:
    if isinstance(value, Expr):
        return {"node": number[value]}
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return {"float": repr(value)}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, tuple):
        return {"tuple": [_plain(item, number, owner) for item in cast("tuple[Any, ...]", value)]}
    if is_dataclass(value) and not isinstance(value, type):
        return {
            "type": _path(type(value)),
            "fields": {f.name: _plain(getattr(value, f.name), number, value) for f in fields(value)},
        }
    raise ExpressionError(
        f"{type(owner).__name__} holds a {type(value).__name__}, which cannot be saved: its fields must be text, numbers, "
        "bools, tuples, or dataclasses of these"
    )


def _path(kind: type) -> str:
    if "<locals>" in kind.__qualname__ or kind.__module__ == "__main__":
        raise ExpressionError(
            f"{kind.__qualname__} of {kind.__module__} cannot be found again: define it in a module to save it"
        )
    return f"{kind.__module__}:{kind.__qualname__}"


def _made(entry: Any, made: list[Expr], trust: bool) -> Expr:
    values = {name: _value(value, made, trust) for name, value in entry.items() if name not in ("kind", "type")}
    if entry["kind"] == "Source":
        return _instance(entry["type"], Source, values, trust)
    node = NODES[entry["kind"]](**values)
    if misfit(node):
        raise DataError(misfit(node))
    if isinstance(node, View) and not isinstance(cast(Any, node.edit), Edit):
        raise DataError(f"a view holds an edit, not {node.edit!r:.60}")
    if _by_word(node) != node:
        raise DataError(f"{node} is nothing that its words would make")
    return node


def _by_word(node: Expr) -> Expr:
    """The same node made by its word, which checks operator, arguments and parameters."""
    words, over = vocabulary(), {"where": getattr(node, "where", None), "empty": getattr(node, "empty", None)}
    given = {name: value for name, value in over.items() if value is not None}
    match node:
        case Apply("negative", (x,), ()):
            return -x
        case Apply("not", (x,), ()):
            return ~x
        case Apply(op, (first, second), ()) if op in BINARY:
            return Apply(op, (first, second))
        case Apply("channels", args, params):
            return words["channels"](**dict(zip((str(name) for _, name in params), args, strict=True)))
        case Apply(op, args, params):
            return words[FUNCTIONS.get(op, op)](*args, **dict(params))
        case Reduce(op, arg, to, params=params):
            return words[op](arg, to=to, **given, **dict(params))
        case Window(op, arg, over, params=params):
            return words[op](arg, over=over, **given, **dict(params))
        case Scan(op, (x, *second), along, order, params):
            more = {"init" if op == "recur" else "fill": value for value in second}
            return words[op](x, along=along, order=order, **more, **dict(params))
        case State(op, args, params, name):
            return words[op](*args, name=name, **given, **dict(params))
        case _:
            return node


def _value(value: Any, made: list[Expr], trust: bool) -> Any:
    if not isinstance(value, dict):
        return value
    entry = cast("dict[str, Any]", value)
    if "node" in entry:
        place = entry["node"]
        if not isinstance(place, int) or not 0 <= place < len(made):
            raise DataError(f"the saved reward refers to node {place!r}, which does not come before")
        return made[place]
    if "float" in entry:
        return float(entry["float"])
    if "tuple" in entry:
        return tuple(_value(item, made, trust) for item in entry["tuple"])
    inner = {name: _value(item, made, trust) for name, item in entry["fields"].items()}
    return _instance(entry["type"], object, inner, trust)


def _instance(path: str, base: type, values: dict[str, Any], trust: bool) -> Any:
    module, _, name = path.partition(":")
    if not trust and (module.split(".")[0] != "guerdon" or "__main__" in module):
        raise ExpressionError(
            f"the saved reward needs {path}, which is not part of guerdon: load it with trust=True if it is yours"
        )
    try:
        kind: Any = importlib.import_module(module)
        for attribute in name.split("."):
            kind = getattr(kind, attribute)
    except (ImportError, AttributeError) as error:
        raise DataError(f"the saved reward needs {path}: {error}") from None
    owner = getattr(kind, "__module__", "").split(".")[0]
    fits = isinstance(kind, type) and issubclass(cast(Any, kind), base) and is_dataclass(cast(Any, kind))
    if not fits or not (trust or owner == "guerdon"):
        raise ExpressionError(f"the saved reward names {path}, which is not a source, an edit or plain data")
    thing = kind(**values)
    if misfit(thing):
        raise DataError(misfit(thing))
    return thing
