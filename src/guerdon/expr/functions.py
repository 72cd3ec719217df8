"""Functions of each value alone. Missing values (NaN) are carried, unless a line says otherwise.

Coarser arguments are spread to the finest: a value per group meets a value per sample as the group's value, repeated.
"""

from __future__ import annotations

import math

from guerdon.errors import ExpressionError
from guerdon.expr import core
from guerdon.expr.core import Apply, Column, Expr, Value, View, lift
from guerdon.expr.view import Edit

__all__ = [
    "abs",
    "bucket",
    "case",
    "ceil",
    "channels",
    "clip",
    "col",
    "cos",
    "eq",
    "exp",
    "expm1",
    "fill",
    "floor",
    "gate",
    "is_last",
    "is_unscored",
    "log",
    "log1p",
    "logsigmoid",
    "maximum",
    "minimum",
    "named",
    "ne",
    "on",
    "position",
    "relu",
    "sigmoid",
    "sign",
    "sin",
    "sqrt",
    "tanh",
    "where",
]


def col(name: str) -> Expr:
    """A numeric column of the batch; `col("token.logprob")` is a column of the axis `token`.

    Bools count 0 and 1, numeric text is parsed, anything else is NaN.

    >>> 2 * col("score")
    2 * col('score')
    """
    return Column(name)


def named(x: Value, name: str) -> Expr:
    """`x` as a part called `name` (the same as `x.named(name)`)."""
    return lift(x).named(name)


def where(condition: Value, then: Value, otherwise: Value) -> Expr:
    """`then` where `condition` is not 0, else `otherwise`; NaN where `condition` is NaN.

    The branch that is not taken is never computed for that row: a judge in it costs nothing.
    """
    return Apply("where", (core.condition(condition), lift(then), lift(otherwise)))


def gate(condition: Value, x: Value, otherwise: Value = 0.0) -> Expr:
    """`x` where `condition` holds, else `otherwise`: `where` for the usual case of paying only for what passed.

    >>> gate(col("ok") > 0, col("judge"))
    where(col('ok') > 0, col('judge'), 0)
    """
    return where(condition, x, otherwise)


def case(*pairs: tuple[Value, Value], otherwise: Value) -> Expr:
    """The value of the first pair `(condition, value)` whose condition holds, else `otherwise`.

    >>> case((col("a") > 1, 2), (col("a") > 0, 1), otherwise=0)
    where(col('a') > 1, 2, where(col('a') > 0, 1, 0))
    """
    result = lift(otherwise)
    for condition, value in reversed(pairs):
        result = where(condition, value, result)
    return result


def channels(**parts: Value) -> Expr:
    """Rewards kept apart under names. Its value is their sum; `Scores.channels` has each, `expr["name"]` gives one back.

    >>> both = channels(correct=col("a"), style=0.1 * col("b"))
    >>> both["style"]
    0.1 * col('b')
    """
    if not parts:
        raise ExpressionError("channels needs at least one name=expression")
    names = tuple((f"name{i}", name) for i, name in enumerate(parts))
    return Apply("channels", tuple(lift(part) for part in parts.values()), names)


def on(x: Expr, edit: Edit) -> Expr:
    """`x` evaluated on edited samples: prefixes, a removed verdict, a swapped pair, a forced early answer.

    The result has the level that the edit works at (`edit.at`); several edited rows of one parent are averaged,
    and a parent without any is NaN.
    """
    return View(x, edit)


def eq(a: Value, b: Value) -> Expr:
    """1 where the values are equal, else 0. (`==` compares expressions, not their values.)"""
    return Apply("equal", (lift(a), lift(b)))


def ne(a: Value, b: Value) -> Expr:
    """1 where the values differ, else 0."""
    return Apply("not_equal", (lift(a), lift(b)))


def clip(x: Value, low: Value = -math.inf, high: Value = math.inf) -> Expr:
    """`min(max(x, low), high)`.

    >>> clip(col("x"), 0, 1)
    clip(col('x'), 0, 1)
    """
    return Apply("clip", (lift(x), lift(low), lift(high)))


def minimum(a: Value, b: Value) -> Expr:
    """The smaller of two values."""
    return Apply("minimum", (lift(a), lift(b)))


def maximum(a: Value, b: Value) -> Expr:
    """The larger of two values."""
    return Apply("maximum", (lift(a), lift(b)))


def fill(x: Value, value: Value) -> Expr:
    """`x`, and `value` where `x` is NaN: the one way to turn "unscored" into a number, in words."""
    return Apply("fill", (lift(x), lift(value)))


def is_unscored(x: Value) -> Expr:
    """1 where `x` is NaN, else 0."""
    return Apply("is_unscored", (lift(x),))


def bucket(x: Value, edges: tuple[float, ...]) -> Expr:
    """How many of the rising `edges` are ≤ `x`: 0 below the first, `len(edges)` from the last on.

    >>> bucket(col("p"), (1/3, 2/3)).level
    'sample'
    """
    rising = tuple(float(edge) for edge in edges)
    if not rising or list(rising) != sorted(rising) or any(map(math.isnan, rising)):
        raise ExpressionError(f"bucket needs rising edges, got {edges!r}")
    return Apply("bucket", (lift(x),), (("edges", rising),))


def position(along: str) -> Expr:
    """The place of each item in its row, from 0, along an axis (`step`, `token`, `turn`, ...)."""
    return Column(f"{along}.position")


def is_last(along: str) -> Expr:
    """1 for the last item of each row of an axis, else 0: `where(is_last("token"), x, 0)` places x at the end."""
    return eq(position(along), Column(f"{along}.count") - 1)


def abs(x: Value) -> Expr:
    """|x|."""
    return Apply("abs", (lift(x),))


def exp(x: Value) -> Expr:
    """eˣ."""
    return Apply("exp", (lift(x),))


def expm1(x: Value) -> Expr:
    """eˣ − 1, exact near 0."""
    return Apply("expm1", (lift(x),))


def log(x: Value) -> Expr:
    """Natural logarithm; −inf at 0, NaN below."""
    return Apply("log", (lift(x),))


def log1p(x: Value) -> Expr:
    """log(1 + x), exact near 0."""
    return Apply("log1p", (lift(x),))


def sqrt(x: Value) -> Expr:
    """√x; NaN below 0."""
    return Apply("sqrt", (lift(x),))


def sigmoid(x: Value) -> Expr:
    """σ(x) = 1 / (1 + e⁻ˣ), in (0, 1), without overflow."""
    return Apply("sigmoid", (lift(x),))


def logsigmoid(x: Value) -> Expr:
    """log σ(x) = −log(1 + e⁻ˣ), below 0, without overflow."""
    return Apply("logsigmoid", (lift(x),))


def tanh(x: Value) -> Expr:
    """Hyperbolic tangent, in (−1, 1)."""
    return Apply("tanh", (lift(x),))


def cos(x: Value) -> Expr:
    """Cosine of an angle in radians."""
    return Apply("cos", (lift(x),))


def sin(x: Value) -> Expr:
    """Sine of an angle in radians."""
    return Apply("sin", (lift(x),))


def relu(x: Value) -> Expr:
    """max(x, 0)."""
    return Apply("relu", (lift(x),))


def sign(x: Value) -> Expr:
    """−1, 0 or 1."""
    return Apply("sign", (lift(x),))


def floor(x: Value) -> Expr:
    """The largest whole number ≤ x."""
    return Apply("floor", (lift(x),))


def ceil(x: Value) -> Expr:
    """The smallest whole number ≥ x."""
    return Apply("ceil", (lift(x),))
