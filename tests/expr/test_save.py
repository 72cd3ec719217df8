"""JSON round trips, and files that are not to be trusted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from guerdon import recipes
from guerdon.errors import DataError, ExpressionError
from guerdon.expr import Expr, col, lag, on
from guerdon.expr.save import from_json, load, save, to_json
from guerdon.expr.text import parse
from guerdon.expr.view import truncate
from guerdon.sources import stats, verify

CORRECT, LENGTH = verify.Math(), stats.Length()
REWARDS = [
    recipes.grpo_lambda(CORRECT, LENGTH, alpha=0.2, lam=0.2),
    recipes.laser(CORRECT, LENGTH, target=100),
    recipes.laser_d(CORRECT, LENGTH),
    recipes.laser_de(CORRECT, LENGTH, stats.Repetition() > 0.2),
    recipes.cosine_length(CORRECT, LENGTH, max_length=100),
    recipes.repetition_returns(col("r"), stats.RepeatedTokens(n=40)),
    recipes.trust_grpo(CORRECT, col("thinking")),
    lag(col("step.x"), along="step"),
    on(CORRECT, truncate(0.5)),
    0.1 * col("x") - float("inf") * col("y"),
]


@pytest.mark.parametrize("reward", REWARDS, ids=range(len(REWARDS)))
def test_text_to_json_to_text(reward: Expr, tmp_path: Path) -> None:
    assert from_json(to_json(reward)) == reward
    assert parse(str(reward)) == reward
    save(reward, tmp_path / "reward.json")
    loaded = load(tmp_path / "reward.json")
    assert (loaded, str(loaded)) == (reward, str(reward))


def test_shared_nodes_are_written_once() -> None:
    x = col("x")
    for _ in range(60):
        x = x * x
    assert len(json.loads(to_json(x))["nodes"]) == 61
    assert from_json(to_json(x)) == x


def source(path: str) -> str:
    return json.dumps({"guerdon": 1, "nodes": [{"kind": "Source", "type": path}]})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"guerdon": 2, "nodes": []}',
        '{"guerdon": 1, "nodes": []}',
        '{"guerdon": 1, "nodes": [{"kind": "Apply", "op": "add", "args": {"tuple": [{"node": 0}]}}]}',
        '{"guerdon": 1, "nodes": [{"kind": "Nothing"}]}',
        source("guerdon.expr.pool:Pool"),
        source("guerdon.nowhere:X"),
        source("guerdon.errors:suggest"),
    ],
    ids=range(9),
)
def test_broken_files_are_refused(text: str) -> None:
    with pytest.raises((DataError, ExpressionError)):
        from_json(text)


def test_a_class_from_elsewhere_needs_trust() -> None:
    with pytest.raises(ExpressionError, match="trust=True"):
        from_json(source("subprocess:Popen"))
