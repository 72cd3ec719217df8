"""Random rewards that mean something: every operator, level, source and edit that a text can name."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

import guerdon as gd
from guerdon.batch import Axis, Batch
from guerdon.expr import Expr, aggregates, col, edit, functions, lift
from guerdon.expr.core import rank_of
from guerdon.sources import stats, verify

__all__ = ["BATCH", "LEVELS", "rewards"]

LEVELS = ("batch", "group", "sample", "step")
BATCH = Batch(
    {
        "prompt": ["p", "p", "q", "q", "r"],
        "response": ["<think>2</think> 4", "B", "7", "", "so it is 12"],
        "reference": ["4", "B", "8", "1", "12"],
        "group": [0, 0, 1, 1, 2],
        "model": ["x", "y", "x", None, "y"],
        "a": [1.0, 0.0, -2.5, math.nan, 0.1],
        "b": [3, 0, 1, 1, -1],
        "t": [0, 10, 20, 30, 40],
    },
    {
        "step": Axis.from_lists(5, {"v": [[1.0, -0.5], [0.0], [], [math.nan, 2.0, 0.1], [4.0]], "end": [[3, 9], [1], [], [0, 0, 0], [4]]}),
        "token": Axis.from_lists(5, {"id": [[1, 2, 1, 2], [3], [], [4, 4], [5]]}),
    },
)  # fmt: skip

numbers = st.sampled_from([0, 1, 2, 0.1, -0.0, -1.5, 1e300, 1e16, 1 / 3, math.inf, -math.inf, math.nan]) | st.floats(
    -9, 9
)
texts = st.sampled_from(["response", "a'b", 'a"b', "\\n\n", "\\d+", "é∂", "\u202e", "{}", "", "\ud800"])
names = st.sampled_from(["style", "length_bonus", "p1", "mean", "verify", "é", "x_2"])

ONE = [
    "exp",
    "expm1",
    "log",
    "log1p",
    "sqrt",
    "sigmoid",
    "logsigmoid",
    "tanh",
    "cos",
    "sin",
    "relu",
    "sign",
    "floor",
    "ceil",
]
ONE += ["abs", "is_unscored"]
TWO: list[Callable[[Any, Any], Expr]] = [
    lambda x, y: x + y,
    lambda x, y: x - y,
    lambda x, y: x * y,
    lambda x, y: x / y,
    lambda x, y: x**y,
    lambda x, y: x % y,
    lambda x, y: x & y,
    lambda x, y: x | y,
    lambda x, y: x < y,
    lambda x, y: x <= y,
    lambda x, y: x > y,
    lambda x, y: x >= y,
    gd.eq,
    gd.ne,
    gd.minimum,
    gd.maximum,
    gd.fill,
]  # fmt: skip
FOLDS = [
    "mean",
    "sum",
    "prod",
    "min",
    "max",
    "median",
    "count",
    "any",
    "all",
    "first",
    "last",
    "argmax",
    "argmin",
    "logmeanexp",
]
ALONG = ["lag", "lead", "diff", "cumsum", "revcumsum", "cummean", "cummin", "cummax", "cumprod", "discounted", "latch"]
ALONG += ["first_where"]
SOURCES = [
    verify.Exact(),
    verify.Exact(ignore_case=True),
    verify.Choice("AB", timeout=3.0),
    verify.Format("think"),
    verify.Format("think", "answer", once=False, outside="any"),
    stats.Length(),
    stats.Length("words", "prompt"),
    stats.Length("tokens"),
    stats.Repetition(n=2),
]


@st.composite
def edits(draw: Callable[..., Any]) -> edit.Edit:
    return draw(
        st.sampled_from(
            [
                edit.truncate(0.5),
                edit.truncate(1),
                edit.truncate(share=0.25, column="prompt"),
                edit.assign("response", "reference"),
                edit.swap("response", "reference"),
                edit.drop(("prompt",)),
                edit.replace("response", "[a-z]+", "x"),
                edit.replace("response", "'", by='"'),
            ]
        )
    )


@st.composite
def rewards(draw: Callable[..., Any], level: str | None = None, depth: int = 4) -> Expr:
    """An expression at `level`, or at any."""
    level = draw(st.sampled_from(LEVELS)) if level is None else level
    if depth <= 0:
        return draw(atoms(level))
    kinds = ["atom", "one", "two", "two", "branch", "coarser", "shared", "named"]
    kinds += ["fold", "fold"] if level != "step" else ["scan", "recur"]
    kinds += ["window", "window"] if level != "batch" else ["state"]
    kinds += ["along group", "view", "channels", "schedule"] if level == "sample" else []
    kind = draw(st.sampled_from(kinds))

    def inside(at: str = level, less: int = 1) -> Expr:
        return draw(rewards(at, depth - less))

    coarser = draw(st.sampled_from([one for one in LEVELS if rank_of(one) <= rank_of(level)]))
    if kind == "atom":
        return draw(atoms(level))
    if kind == "one":
        one = draw(st.sampled_from([*ONE, "-", "~", "builtin abs", "bucket", "clip"]))
        x = inside()
        return {
            "-": lambda: -x,
            "~": lambda: ~x,
            "builtin abs": lambda: abs(x),
            "bucket": lambda: gd.bucket(x, (0, 1 / 3, 2)),
            "clip": lambda: gd.clip(x, -1, draw(numbers)),
        }.get(one, lambda: getattr(functions, one)(x))()
    if kind == "two":
        pair = [inside(), inside(coarser, 2)]
        return draw(st.sampled_from(TWO))(*draw(st.permutations(pair)))
    if kind == "branch":
        branches = [inside(), inside(coarser, 2), draw(atoms(coarser))]
        return gd.where(*draw(st.permutations(branches)))
    if kind == "coarser":
        return inside(coarser) + 0 * draw(atoms(level))
    if kind == "shared":
        x = inside(less=2)
        return draw(st.sampled_from(TWO))(x, x) * x
    if kind == "named":
        return inside().named(draw(names))
    if kind == "channels":
        return gd.channels(right=inside(less=2), style=inside(coarser, 2))
    if kind == "view":
        return gd.on(draw(st.sampled_from(SOURCES)) + inside(coarser, 3), draw(edits()))
    if kind == "schedule":
        word = draw(st.sampled_from(["linear", "cosine", "exponential", "step"]))
        made = {
            "linear": lambda: gd.anneal.linear(1, draw(st.integers(-2, 2)), 15),
            "cosine": lambda: gd.anneal.cosine(0.5, 0, 25),
            "exponential": lambda: gd.anneal.exponential(0.3, 500),
            "step": lambda: gd.anneal.step((1, 0.1, 0), (10, 20.5)),
        }
        return made[word]() * inside()
    if kind == "state":
        return draw(states(inside))
    if kind in ("scan", "recur", "along group"):
        return draw(scans(kind, inside))
    mask = draw(st.none() | st.just(draw(atoms(level if kind == "window" else coarser))))
    empty = draw(st.none() | st.sampled_from([0, -1.5]))
    if kind == "fold":
        finer = draw(st.sampled_from([one for one in LEVELS if rank_of(one) > rank_of(level)]))
        return draw(folds(inside(finer), {"to": level, "where": mask, "empty": empty}))
    return draw(windows(inside(), level, mask, empty))


@st.composite
def atoms(draw: Callable[..., Any], level: str) -> Expr:
    number = lift(draw(numbers))
    return {
        "batch": lambda: number,
        "group": lambda: aggregates.max(draw(st.sampled_from([col("a"), col("b")])), to="group"),
        "sample": lambda: draw(st.sampled_from([col("a"), col("b"), col("t"), *SOURCES])),
        "step": lambda: draw(
            st.sampled_from(
                [col("step.v"), gd.position("step"), gd.is_last("step"), gd.on(verify.Exact(), edit.prefixes())]
            )
        ),
    }[level]()


@st.composite
def folds(draw: Callable[..., Any], x: Expr, options: dict[str, Any]) -> Expr:
    word = draw(st.sampled_from([*FOLDS, "std", "var", "quantile"]))
    if word in ("std", "var"):
        options["ddof"] = draw(st.integers(0, 1))
    if word == "quantile":
        options |= {
            "q": draw(st.sampled_from([0, 0.25, 1])),
            "method": draw(st.sampled_from(["linear", "inverted_cdf"])),
        }
    return getattr(aggregates, word)(x, **options)


@st.composite
def windows(draw: Callable[..., Any], x: Expr, level: str, mask: Expr | None, empty: float | None) -> Expr:
    keys: list[Any] = ["batch", (aggregates.max(col("b"), to="group"),)]
    keys += ["group", "model", ("group", "model"), ("group", col("b") > 0), (col("a"),)] if level != "group" else []
    keys += ["step", "sample", ("group", "step"), ("sample", col("step.v") > 0)] if level == "step" else []
    over = draw(st.sampled_from(keys))
    if draw(st.booleans()):
        return draw(folds(x, {"over": over, "where": mask, "empty": empty}))
    word = draw(st.sampled_from(["rank", "zscore", "softmax", "leave_one_out"]))
    options: dict[str, Any] = {
        "rank": lambda: {
            "ties": draw(st.sampled_from(["min", "dense", "first", "average"])),
            "pct": draw(st.booleans()),
        },
        "zscore": lambda: {"ddof": draw(st.integers(0, 1))},
        "softmax": lambda: {"temperature": draw(st.sampled_from([1, 0.5]))},
        "leave_one_out": lambda: {"empty": empty},
    }[word]()
    return getattr(aggregates, word)(x, over=over, where=mask, **options)


@st.composite
def states(draw: Callable[..., Any], inside: Callable[..., Expr]) -> Expr:
    x, sample = inside(), draw(atoms("sample"))
    name = draw(st.none() | st.uuids().map(str))
    return draw(
        st.sampled_from(
            [
                lambda: gd.ema(x, 0.9, name=name),
                lambda: gd.running_mean(sample, name=name),
                lambda: gd.running_std(sample),
                lambda: gd.percentile(sample, 0.75, window=10, name=name),
                lambda: gd.dual(x, 0.1, init=1, high=5),
                lambda: gd.previous(x, init=0),
                lambda: gd.hold(x, 3, name=name),
            ]
        )
    )()


@st.composite
def scans(draw: Callable[..., Any], kind: str, inside: Callable[..., Expr]) -> Expr:
    x = inside()
    where: dict[str, Any] = {"along": "step"}
    if kind == "along group":
        where = {"along": "group", "order": draw(st.sampled_from([None, col("b"), -col("t")]))}
    if kind == "recur":
        prev = gd.prev
        bodies = [prev + x, gd.maximum(0, prev + x), gd.where(prev > 0, x * prev, 1), (prev + 1) * (prev + 1) - x, x]
        return gd.recur(draw(st.sampled_from(bodies)), init=draw(numbers), **where)
    word = draw(st.sampled_from(ALONG))
    options = {"lag": {"n": 2}, "lead": {"fill": 0}, "diff": {"start": x}, "discounted": {"gamma": 0.9}}.get(word, {})
    return getattr(gd, word)(x, **options, **where)
