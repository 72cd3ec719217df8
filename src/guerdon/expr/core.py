"""The algebra: an immutable tree of eight kinds of node. Nothing here computes a number.

    Const · Column · Source · View · Apply · Window/Reduce · Scan · State

An operator is a line in a table, not a class. `==` compares trees; `eq(a, b)` compares values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, is_dataclass
from functools import cached_property
from hashlib import blake2b
from keyword import iskeyword
from numbers import Real
from typing import Any, NoReturn, cast, dataclass_transform

from guerdon.errors import ExpressionError, LevelError
from guerdon.expr.view import Edit

__all__ = [
    "ORDER",
    "Apply",
    "Column",
    "Const",
    "Expr",
    "Param",
    "Params",
    "Value",
    "View",
    "axis_level",
    "condition",
    "join",
    "lift",
    "misfit",
    "postorder",
    "rank_of",
    "whole",
]

NO_TRUTH = (
    "an expression has no value yet, so it is neither true nor false. Write where(c, a, b) for `a if c else b`; &, |, ~ "
    "for `and`, `or`, `not` (with brackets: (a > 0) & (b > 0)); eq(a, b) for a comparison of values; any(x, over='group') "
    "for any(x). The expression is: "
)
ORDER = {"batch": 0, "group": 1, "sample": 2}
PLAIN: tuple[type[Any], ...] = (bool, int, float, str)
"""What a field may be; a subclass, such as numpy's float64, counts as what it is written and read back as."""
RESERVED = ("inf", "nan", "prev")
"""Words of the text form that no part can be called."""

Param = float | int | str | bool | None | tuple[float, ...] | tuple[str, ...]
Params = tuple[tuple[str, Param], ...]


def _binary(op: str, swapped: bool = False) -> Callable[[Expr, Value], Expr]:
    def method(self: Expr, other: Value) -> Expr:
        pair = (lift(other), self) if swapped else (self, lift(other))
        return Apply(op, pair)

    return method


@dataclass_transform(frozen_default=True, eq_default=False)
class Expr:
    """A reward that has not been computed. A subclass becomes a frozen dataclass by itself."""

    __array_ufunc__ = None  # an array on the left of an operator leaves it to us

    def __init_subclass__(cls) -> None:
        dataclass(frozen=True, eq=False, repr=False)(cls)

    @cached_property
    def level(self) -> str:
        """Where the values live: `batch`, `group`, `sample`, or the name of an axis."""
        raise NotImplementedError

    @cached_property
    def children(self) -> tuple[Expr, ...]:
        """The expressions directly inside this one, in the order of the fields."""
        return tuple(_expressions([getattr(self, f.name) for f in fields(cast(Any, self))]))

    @cached_property
    def digest(self) -> bytes:
        """16 bytes that are equal for equal trees, in every process. Linear in the size of the graph."""
        for node in postorder(self, lambda node: "digest" not in node.__dict__):
            if "digest" not in node.__dict__:
                node.__dict__["digest"] = node._own_digest()
        return self.__dict__["digest"]

    def _own_digest(self) -> bytes:
        kind = type(self)
        values = [getattr(self, f.name) for f in fields(cast(Any, self)) if f.compare]
        text = f"{kind.__module__}:{kind.__qualname__}{_canonical(values)}"
        hasher = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16)
        for child in self.children:
            hasher.update(child.digest)
        return hasher.digest()

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Expr) and self.digest == other.digest)

    def __hash__(self) -> int:
        return hash(self.digest)

    def __bool__(self) -> NoReturn:
        raise TypeError(f"{NO_TRUTH}{self}")

    def __iter__(self) -> NoReturn:
        raise TypeError(f"an expression cannot be iterated: sum(x, over='group') stands for sum(x). It is: {self}")

    def __repr__(self) -> str:
        from guerdon.expr.show import show

        return show(self)

    def __getitem__(self, name: str) -> Expr:
        if isinstance(self, Apply) and self.op == "channels":
            named = dict(zip((value for _, value in self.params), self.args, strict=True))
            if name in named:
                return named[name]
            raise ExpressionError(f"there is no channel {name!r}; there are {', '.join(map(str, named))}")
        raise ExpressionError(f"only channels(...) has parts to take by name, not {self}")

    def named(self, name: str) -> Expr:
        """The same values as a part: shown under `name` in the formula, in `Scores.parts` and in the output file."""
        return Apply("named", (self,), (("name", name),))

    __add__ = _binary("add")
    __radd__ = _binary("add", swapped=True)
    __sub__ = _binary("subtract")
    __rsub__ = _binary("subtract", swapped=True)
    __mul__ = _binary("multiply")
    __rmul__ = _binary("multiply", swapped=True)
    __truediv__ = _binary("divide")
    __rtruediv__ = _binary("divide", swapped=True)
    __pow__ = _binary("power")
    __rpow__ = _binary("power", swapped=True)
    __mod__ = _binary("mod")
    __rmod__ = _binary("mod", swapped=True)
    __and__ = _binary("and")
    __rand__ = _binary("and", swapped=True)
    __or__ = _binary("or")
    __ror__ = _binary("or", swapped=True)
    __lt__ = _binary("less")
    __le__ = _binary("less_equal")
    __gt__ = _binary("greater")
    __ge__ = _binary("greater_equal")

    def __neg__(self) -> Expr:
        return Const(-self.value) if isinstance(self, Const) else Apply("negative", (self,))

    def __abs__(self) -> Expr:
        return Apply("abs", (self,))

    def __invert__(self) -> Expr:
        return Apply("not", (self,))


Value = Expr | float


class Const(Expr):
    """The same number for everyone."""

    value: float

    def __post_init__(self) -> None:
        if isinstance(cast(Any, self.value), bool | str | bytes):
            raise ExpressionError(f"a constant is a number, got {self.value!r:.60}")
        self.__dict__["value"] = float(self.value)

    @cached_property
    def level(self) -> str:
        return "batch"


class Column(Expr):
    """A numeric column of the batch; `axis.name` is a column of an axis, `axis.position` and `axis.count` are built in."""

    name: str

    def __post_init__(self) -> None:
        if not (isinstance(cast(Any, self.name), str) and all(self.name.split(".")) and self.name.count(".") < 2):
            raise ExpressionError(f"a column is `name` or `axis.name`, got {self.name!r}")

    @cached_property
    def level(self) -> str:
        axis, dot, _ = self.name.partition(".")
        return axis if dot else "sample"


class View(Expr):
    """`arg` evaluated on edited samples; several edited rows of one parent are averaged."""

    arg: Expr
    edit: Edit

    def __post_init__(self) -> None:
        if not isinstance(cast(Any, self.edit), Edit):
            raise ExpressionError(f"on(x, edit) takes an edit, such as edit.truncate(0.5), got {self.edit!r:.60}")
        if self.arg.level not in ORDER:
            raise LevelError(f"a view takes values per sample, {self.arg} is per {self.arg.level}: reduce it first")

    @cached_property
    def level(self) -> str:
        return self.edit.at


class Apply(Expr):
    """A function of each value alone. Coarser arguments are spread to the finest."""

    op: str
    args: tuple[Expr, ...]
    params: Params = ()

    def __post_init__(self) -> None:
        join(*self.args, what=self.op)
        if self.op in ("named", "channels"):
            for _, name in self.params:
                _check_name(name)

    @cached_property
    def level(self) -> str:
        return join(*self.args, what=self.op)


def lift(value: object) -> Expr:
    """`value` as an expression; ExpressionError for what is neither a number nor an expression."""
    if isinstance(value, Expr):
        return value
    if isinstance(value, Real) or type(value).__name__ in ("bool", "bool_"):
        try:
            return Const(float(cast(float, value)))
        except OverflowError:
            raise ExpressionError("the number is too large: write inf for infinity") from None
    raise ExpressionError(
        f"expected a number or an expression, got {type(value).__name__} {value!r:.80}. A column is col('name')"
    )


def condition(value: object) -> Expr:
    """`value` as a condition; ExpressionError for True and False, which `==` between expressions gives."""
    if isinstance(value, bool):
        raise ExpressionError(
            f"a condition is an expression, not {value}: == and != ask whether two formulas are the same; to compare their "
            "values write eq(a, b) and ne(a, b)"
        )
    return lift(value)


def whole(value: object, what: str, least: int = 1) -> int:
    """`value` if it is a whole number from `least` on; ExpressionError otherwise."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= least:
        return value
    raise ExpressionError(f"{what} is a whole number ≥ {least}, got {value!r:.60}")


def rank_of(level: str) -> int:
    """How fine a level is: batch 0, group 1, sample 2, every axis 3."""
    return ORDER.get(level, 3)


def join(*args: Expr, what: str = "this operation") -> str:
    """The finest level among `args`; LevelError for two different axes."""
    finest = "batch"
    owner: Expr | None = None
    for arg in args:
        level = arg.level
        if rank_of(level) == 3 == rank_of(finest) and level != finest:
            raise LevelError(
                f"{what} cannot combine values per {finest} ({owner}) with values per {level} ({arg}). "
                f"Reduce one of them first, e.g. mean(x, to='sample')"
            )
        if rank_of(level) > rank_of(finest):
            finest, owner = level, arg
    return finest


def axis_level(level: str) -> bool:
    """Whether `level` is an axis under the samples."""
    return level not in ORDER


def postorder(root: Expr, enter: Callable[[Expr], bool] = lambda _: True) -> Iterator[Expr]:
    """Every distinct node object once, children before parents; `enter(node)` False leaves out what is inside it."""
    seen: set[int] = set()
    stack: list[tuple[Expr, bool]] = [(root, False)]
    while stack:
        node, done = stack.pop()
        if done:
            yield node
        elif id(node) not in seen:
            seen.add(id(node))
            stack.append((node, True))
            if enter(node):
                stack.extend((child, False) for child in reversed(node.children) if id(child) not in seen)


def _check_name(name: object) -> None:
    text = name if isinstance(name, str) else ""
    fits = text.isidentifier() and text[0] != "_" and not iskeyword(text) and text not in RESERVED
    if not fits or not (text.isascii() or text == _normal(text)):
        raise ExpressionError(f"a part needs a name like `style` or `length_bonus`, got {name!r}")


def misfit(thing: object) -> str:
    """What is wrong with a field of a node, source or edit that came from a text or a file; the empty string if nothing.

    >>> from guerdon.expr.view import truncate
    >>> misfit(truncate(0.5)), misfit(truncate(0.5, column=7))
    ('', 'column of truncate is str, got 7')
    """
    for f in fields(cast(Any, thing)):
        value = getattr(thing, f.name)
        if not _fits(value, str(f.type)):
            return f"{f.name} of {type(thing).__name__} is {f.type}, got {value!r:.60}"
    return ""


def _fits(value: Any, kind: str) -> bool:
    """Whether a value is of the kind that an annotation names; no expression is of a kind that is not known here."""
    if kind.startswith("tuple[") and kind.endswith(", ...]"):
        return isinstance(value, tuple) and all(_fits(item, kind[6:-6]) for item in cast("tuple[Any, ...]", value))
    if " | " in kind:
        return any(_fits(value, one) for one in kind.split(" | "))
    if kind == "Params":
        pairs: tuple[Any, ...] = cast(Any, value) if isinstance(value, tuple) else (None,)
        return all(_fits(pair, "tuple[Param, ...]") and len(pair) == 2 and _fits(pair[0], "str") for pair in pairs)
    if kind in ("int", "float"):
        return isinstance(value, int if kind == "int" else int | float) and not isinstance(value, bool)
    known = {"Expr": Expr, "None": type(None), "bool": bool, "str": str}.get(kind)
    return not isinstance(value, Expr) if known is None else isinstance(value, known)


def _normal(name: str) -> str:
    """The name as Python's parser gives it back."""
    from unicodedata import normalize

    return normalize("NFKC", name)


def _expressions(values: list[Any]) -> Iterator[Expr]:
    for value in values:
        if isinstance(value, Expr):
            yield value
        elif isinstance(value, tuple):
            yield from _expressions(list(cast("tuple[Any, ...]", value)))


def _canonical(value: Any) -> str:
    """A text that tells apart what must be told apart: 1, 1.0, True, "1", -0.0; `@` stands for an expression."""
    if isinstance(value, Expr):
        return "@"
    if isinstance(value, tuple | list):
        return f"({','.join(_canonical(item) for item in cast('list[Any]', value))})"
    if isinstance(value, dict):
        return f"{{{','.join(sorted(f'{_canonical(k)}:{_canonical(v)}' for k, v in cast('dict[Any, Any]', value).items()))}}}"
    if is_dataclass(value) and not isinstance(value, type):
        kind, inside = type(value), [getattr(value, f.name) for f in fields(value) if f.compare]
        return f"{kind.__module__}:{kind.__qualname__}{_canonical(inside)}"
    kind = cast("type[Any]", type(value))
    base: Any = next((base for base in PLAIN if issubclass(kind, base)), kind)
    return f"{base.__name__}:{base.__repr__(value)}"
