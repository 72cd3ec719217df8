"""Text → reward, by walking Python's syntax tree and admitting only guerdon's words. The text is treated as hostile.

    correct = verify.Math()
    brief = correct * (1 - 0.2 * sigmoid(zscore(stats.Length(), over="group")))
    where(mean(correct, over="group") >= 0.5, brief, correct)

A text is one expression, after any number of assignments. A name that is assigned becomes a part of that name; names
with a leading underscore are only abbreviations. `a if c else b`, `and`, `or`, `not`, `==` and `!=` mean `where`, `&`,
`|`, `~`, `eq` and `ne`. Nothing else of Python exists here: no attributes beyond the namespaces below, no builtins, no
comprehensions, no arithmetic on anything but float64.
"""

from __future__ import annotations

import ast
import importlib
import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, cast

from guerdon.errors import ExpressionError, GuerdonError, suggest
from guerdon.expr import aggregates, functions, memory, sequence
from guerdon.expr.core import Apply, Expr, lift, misfit
from guerdon.expr.view import Edit

__all__ = ["NAMESPACES", "parse", "vocabulary"]

NAMESPACES = {
    "anneal": "guerdon.expr.anneal",
    "edit": "guerdon.expr.view",
    "recipes": "guerdon.recipes",
    "stats": "guerdon.sources.stats",
    "verify": "guerdon.sources.verify",
}
"""Prefix → module whose `__all__` may be called."""
WORDS = (functions, aggregates, sequence, memory)
LONGEST = 20_000
DEEPEST = 100
MOST_NODES = 5_000
BINARY: Mapping[type[ast.AST], str] = {
    ast.Add: "add",
    ast.Sub: "subtract",
    ast.Mult: "multiply",
    ast.Div: "divide",
    ast.Mod: "mod",
    ast.Pow: "power",
    ast.BitAnd: "and",
    ast.BitOr: "or",
    ast.Lt: "less",
    ast.LtE: "less_equal",
    ast.Gt: "greater",
    ast.GtE: "greater_equal",
    ast.Eq: "equal",
    ast.NotEq: "not_equal",
}


def parse(text: str) -> Expr:
    """The reward that a text describes (see the module).

    Raises:
        ExpressionError: anything outside the language; the message shows the place and, for an unknown word, the
            nearest known one.

    >>> parse("0.5 * col('a') if col('b') > 0 else 0")
    where(col('b') > 0, 0.5 * col('a'), 0)
    >>> parse("__import__('os')")
    Traceback (most recent call last):
    ...
    guerdon.errors.ExpressionError: unknown function '__import__' at line 1, column 1
    """
    _refuse_bombs(text)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text.strip("\ufeff \t\r\n"), mode="exec")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", None)
        raise ExpressionError(
            f"this is not an expression{f' (line {line})' if line else ''}: {getattr(error, 'msg', error)}"
        ) from None
    if sum(1 for _ in ast.walk(tree)) > MOST_NODES:
        raise ExpressionError(f"the expression has more than {MOST_NODES} nodes: save it as JSON instead")
    return _Reader().module(tree)


@cache
def vocabulary(namespace: str = "") -> Mapping[str, Callable[..., Any]]:
    """The words that may be called: those without a prefix, or those of one namespace."""
    modules = [importlib.import_module(NAMESPACES[namespace])] if namespace else list(WORDS)
    words = {name: getattr(module, name) for module in modules for name in module.__all__}
    return {name: word for name, word in words.items() if callable(word) and name not in ("Derived", "Edit")}


def _refuse_bombs(text: str) -> None:
    if len(text) > LONGEST:
        raise ExpressionError(
            f"the expression has {len(text)} characters, at most {LONGEST} are read: save it as JSON instead"
        )
    depth = deepest = run = 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        run = run + 1 if character in "-+~ \t" else 0
        deepest = max(deepest, depth, run)
    if deepest > DEEPEST:
        raise ExpressionError(f"brackets, signs or spaces {deepest} deep: at most {DEEPEST} are read")


@dataclass
class _Reader:
    """Turns a checked syntax tree into nodes."""

    names: dict[str, Expr] = field(default_factory=dict[str, Expr])
    depth: int = 0

    def module(self, tree: ast.Module) -> Expr:
        if not tree.body:
            raise ExpressionError("the expression is empty: write e.g. verify.Math() - 0.1 * stats.Length() / 1000")
        for statement in tree.body[:-1]:
            self._assign(statement)
        last = tree.body[-1]
        if isinstance(last, ast.Assign):
            self._assign(last)
            return self.names[cast(ast.Name, last.targets[0]).id]
        if not isinstance(last, ast.Expr):
            raise self._error("only assignments and one final expression are read", last)
        return self._expression(last.value)

    def _assign(self, statement: ast.stmt) -> None:
        if not (
            isinstance(statement, ast.Assign)
            and len(statement.targets) == 1
            and isinstance(statement.targets[0], ast.Name)
        ):
            raise self._error("expected `name = expression`", statement)
        name = statement.targets[0].id
        if name in self.names:
            raise self._error(f"{name!r} is assigned twice", statement)
        value = self._expression(statement.value)
        self.names[name] = value if name.startswith("_") else self._make(statement, name, value.named, name)

    def _expression(self, node: ast.AST) -> Expr:
        value = self._value(node)
        if isinstance(value, Expr | float | int):
            return lift(value)
        raise self._error(f"expected a number or an expression, got {value!r:.60}", node)

    def _value(self, node: ast.AST) -> Any:
        """An expression, or a constant or tuple for an argument."""
        self.depth += 1
        try:
            if self.depth > DEEPEST:
                raise self._error(f"nested more than {DEEPEST} deep", node)
            return self._read(node)
        finally:
            self.depth -= 1

    def _read(self, node: ast.AST) -> Any:
        match node:
            case ast.Constant(value=bool() | None as value):
                return value
            case ast.Constant(value=int() | float() as value):
                return self._number(value, node)
            case ast.Constant(value=str() as value):
                return value
            case ast.Name(id=name):
                return self._name(name, node)
            case ast.Tuple(elts=items) | ast.List(elts=items):
                return tuple(self._value(item) for item in items)
            case ast.UnaryOp(op=ast.USub() | ast.UAdd() as sign, operand=inner):
                value = self._value(inner)
                if isinstance(value, int | float) and not isinstance(value, bool):
                    return -value if isinstance(sign, ast.USub) else value
                return -self._lift(value, inner) if isinstance(sign, ast.USub) else self._lift(value, inner)
            case ast.UnaryOp(op=ast.Not() | ast.Invert(), operand=inner):
                return ~self._expression(inner)
            case ast.BinOp(op=op) if type(op) in BINARY:
                return self._chain(node)
            case ast.BoolOp(op=op, values=values):
                result = self._expression(values[0])
                for value in values[1:]:
                    result = self._apply("and" if isinstance(op, ast.And) else "or", result, value)
                return result
            case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in BINARY:
                return self._apply(BINARY[type(op)], self._expression(left), right)
            case ast.Compare(ops=[_, _, *_]):
                raise self._error("write a < b < c as (a < b) & (b < c)", node)
            case ast.IfExp(test=test, body=body, orelse=orelse):
                branches = self._expression(test), self._expression(body), self._expression(orelse)
                return self._make(node, "", functions.where, *branches)
            case ast.Call(func=func, args=args, keywords=keywords):
                return self._call(func, args, keywords, node)
            case _:
                raise self._error(f"{type(node).__name__} has no meaning here", node)

    def _chain(self, node: ast.BinOp) -> Expr:
        """a + b + c ... without going one level deeper for each."""
        links = [node]
        while isinstance(inner := links[-1].left, ast.BinOp) and type(inner.op) in BINARY:
            links.append(inner)
        result = self._expression(links[-1].left)
        for link in reversed(links):
            result = self._apply(BINARY[type(link.op)], result, link.right)
        return result

    def _apply(self, op: str, left: Expr, right: ast.expr) -> Expr:
        return self._make(right, "", Apply, op, (left, self._expression(right)))

    def _make(self, node: ast.AST, what: str, word: Callable[..., Any], /, *args: Any, **named: Any) -> Any:
        """What `word` makes of its arguments; whatever is wrong with them is said with the place."""
        try:
            made = word(*args, **named)
        except GuerdonError as error:
            raise type(error)(f"{error} (at {_place(node)})") from None
        except Exception as error:
            raise self._error(f"{what}: {error}", node) from None
        wrong = misfit(made) if isinstance(made, Expr | Edit) else ""
        if wrong:
            raise self._error(f"{what}: {wrong}", node)
        return made

    def _lift(self, value: Any, node: ast.AST) -> Expr:
        if isinstance(value, Expr):
            return value
        raise self._error(f"expected a number or an expression, got {value!r:.60}", node)

    def _number(self, value: float, node: ast.AST) -> float:
        try:
            finite = math.isfinite(float(value))
        except OverflowError:
            finite = False
        if not finite:
            raise self._error("the number is too large: write inf for infinity", node)
        return value

    def _name(self, name: str, node: ast.AST) -> Any:
        if name in self.names:
            return self.names[name]
        if name in ("inf", "nan"):
            return float(name)
        if name == "prev":
            return sequence.prev
        words = [*self.names, *vocabulary(), *NAMESPACES]
        hint = f" Call it: {name}(...)" if name in vocabulary() else suggest(name, words)
        raise self._error(f"unknown name {name!r}", node, f"{hint} A column is col({name!r})")

    def _call(self, func: ast.expr, args: list[ast.expr], keywords: list[ast.keyword], node: ast.AST) -> Any:
        word = self._word(func)
        if any(isinstance(arg, ast.Starred) for arg in args) or any(keyword.arg is None for keyword in keywords):
            raise self._error("* and ** have no meaning here", node)
        given = [self._value(arg) for arg in args]
        named = {str(keyword.arg): self._value(keyword.value) for keyword in keywords}
        if len(named) < len(keywords):
            raise self._error("an argument is given twice", node)
        return self._make(node, ast.unparse(func), word, *given, **named)

    def _word(self, func: ast.expr) -> Callable[..., Any]:
        match func:
            case ast.Name(id=name):
                words, prefix = vocabulary(), ""
            case ast.Attribute(value=ast.Name(id=space), attr=name) if space in NAMESPACES:
                words, prefix = vocabulary(space), f"{space}."
            case ast.Attribute(value=ast.Name(id=space)):
                raise self._error(
                    f"unknown namespace {space!r}",
                    func,
                    f"{suggest(space, NAMESPACES)} There are {', '.join(NAMESPACES)}",
                )
            case _:
                raise self._error("only named functions can be called", func)
        if name not in words:
            everywhere = [
                *vocabulary(),
                *(f"{space}.{word}" for space in NAMESPACES for word in vocabulary(space)),
            ]
            lowered = {word.split(".")[-1].lower(): word for word in everywhere}
            near = lowered.get(name.lower())
            hint = f" Did you mean {near!r}?" if near else suggest(prefix + name, everywhere)
            raise self._error(f"unknown function {prefix + name!r}", func, hint)
        return words[name]

    def _error(self, what: str, node: ast.AST, hint: str = "") -> ExpressionError:
        return ExpressionError(f"{what} at {_place(node)}{'.' if hint else ''}{hint}")


def _place(node: ast.AST) -> str:
    return f"line {getattr(node, 'lineno', 1)}, column {getattr(node, 'col_offset', 0) + 1}"
