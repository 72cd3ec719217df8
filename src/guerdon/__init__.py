"""Rewards for post-training language models, written as expressions. Names load on first use.

import guerdon as gd

correct = gd.verify.Math()
reward = gd.recipes.grpo_lambda(correct, gd.stats.Length(), alpha=0.2, lam=0.2)
scores = gd.evaluate(reward, batch)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from guerdon import credit as credit
    from guerdon import recipes as recipes
    from guerdon.batch import Axis as Axis
    from guerdon.batch import Batch as Batch
    from guerdon.batch.files import read as read
    from guerdon.batch.files import read_all as read_all
    from guerdon.batch.segment import with_phases as with_phases
    from guerdon.batch.segment import with_steps as with_steps
    from guerdon.batch.segment import with_turns as with_turns
    from guerdon.batch.write import Writer as Writer
    from guerdon.errors import GuerdonError as GuerdonError
    from guerdon.errors import Unscored as Unscored
    from guerdon.expr import *  # noqa: F403
    from guerdon.expr.cache import open_cache as open_cache
    from guerdon.expr.evaluate import evaluate as evaluate
    from guerdon.expr.evaluate import evaluate_async as evaluate_async
    from guerdon.expr.plan import plan as plan
    from guerdon.expr.save import from_json as from_json
    from guerdon.expr.save import load as load
    from guerdon.expr.save import save as save
    from guerdon.expr.save import to_json as to_json
    from guerdon.expr.scores import Scores as Scores
    from guerdon.expr.text import parse as parse
    from guerdon.sources import stats as stats
    from guerdon.sources import verify as verify

__version__ = "0.1.0"

_HOMES = {
    "guerdon.batch": ("Axis", "Batch"),
    "guerdon.batch.files": ("read", "read_all"),
    "guerdon.batch.write": ("Writer",),
    "guerdon.batch.segment": ("with_phases", "with_steps", "with_turns"),
    "guerdon.errors": ("GuerdonError", "Unscored"),
    "guerdon.expr.cache": ("open_cache",),
    "guerdon.expr.evaluate": ("evaluate", "evaluate_async"),
    "guerdon.expr.plan": ("plan",),
    "guerdon.expr.save": ("from_json", "load", "save", "to_json"),
    "guerdon.expr.scores": ("Scores",),
    "guerdon.expr.text": ("parse",),
    "guerdon": ("credit", "recipes"),
    "guerdon.sources": ("stats", "verify"),
    "guerdon.expr": (
        "AsyncSource",
        "Expr",
        "Limits",
        "Ragged",
        "RowSource",
        "Source",
        "abs",
        "all",
        "anneal",
        "any",
        "argmax",
        "argmin",
        "bucket",
        "case",
        "ceil",
        "channels",
        "clip",
        "col",
        "cos",
        "count",
        "cummax",
        "cummean",
        "cummin",
        "cumprod",
        "cumsum",
        "diff",
        "discounted",
        "dual",
        "edit",
        "ema",
        "eq",
        "exp",
        "expm1",
        "fill",
        "first",
        "first_where",
        "floor",
        "gate",
        "hold",
        "is_last",
        "is_unscored",
        "knn",
        "lag",
        "last",
        "latch",
        "lead",
        "leave_one_out",
        "lift",
        "log",
        "log1p",
        "logmeanexp",
        "logsigmoid",
        "max",
        "maximum",
        "mean",
        "median",
        "min",
        "minimum",
        "named",
        "ne",
        "on",
        "percentile",
        "position",
        "prev",
        "previous",
        "prod",
        "quantile",
        "rank",
        "recur",
        "relu",
        "revcumsum",
        "running_mean",
        "running_std",
        "sigmoid",
        "sign",
        "sin",
        "softmax",
        "sqrt",
        "std",
        "sum",
        "tanh",
        "var",
        "where",
        "zscore",
    ),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        from guerdon.errors import suggest

        raise AttributeError(f"guerdon has no name {name!r}.{suggest(name, _HOME)}")
    module = _HOME[name]
    value = import_module(f"{module}.{name}") if module == "guerdon" else getattr(import_module(module), name, None)
    if value is None:
        value = import_module(f"{module}.{name}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*globals(), *__all__]
