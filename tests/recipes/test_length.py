"""The length recipes against their papers' formulas, response by response, and against golden numbers."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guerdon import recipes
from guerdon.batch import Batch
from guerdon.errors import ExpressionError
from guerdon.expr import col
from guerdon.expr.core import Expr
from guerdon.expr.evaluate import evaluate
from guerdon.expr.save import from_json, to_json
from guerdon.expr.text import parse
from guerdon.recipes import (
    adaptive_target,
    cosine_length,
    grpo_lambda,
    laser,
    laser_d,
    laser_de,
    repetition_returns,
)
from tests.strategies import NAN, assert_same, known

GOLDEN = Path(__file__).parents[1] / "golden"
ROWS: list[dict[str, Any]] = json.loads((GOLDEN / "recipes.json").read_text(encoding="utf-8"))
PRINTED = dict(part.split("\n", 1) for part in (GOLDEN / "recipes.txt").read_text(encoding="utf-8").split("## ")[1:])
C, L = col("correct"), col("length")

Row = dict[str, float]
sample = st.fixed_dictionaries(
    {
        "group": st.integers(0, 4),
        "correct": st.sampled_from([0.0, 1.0, 1.0, NAN]),
        "length": st.integers(1, 120).map(float) | st.sampled_from([7.0, NAN]),
        "loops": st.sampled_from([0.0, 1.0, NAN]),
    }
)
samples = st.lists(sample, max_size=14)


def batch_of(rows: list[Row]) -> Batch:
    return Batch(
        {name: np.array([row[name] for row in rows], np.float64) for name in ("correct", "length", "loops")}
        | {"group": np.array([row["group"] for row in rows], np.int64)}
    )


def average(values: list[float]) -> float:
    return math.fsum(values) / len(values) if values else NAN


def accuracy(rows: list[Row], label: float) -> float:
    return average(known([row["correct"] for row in rows if row["group"] == label]))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["source"][:40])
def test_golden_numbers(row: dict[str, Any]) -> None:
    records = [dict(zip(row["columns"], values, strict=True)) for values in zip(*row["columns"].values(), strict=True)]
    values = evaluate(parse(row["reward"]), Batch.from_records(records)).values
    np.testing.assert_allclose(values, row["expected"], rtol=0, atol=row["tolerance"])


def test_every_recipe_has_golden_numbers_and_a_printed_form() -> None:
    texts = [row["reward"] for row in ROWS]
    for name in recipes.__all__:
        assert any(text.startswith(f"recipes.{name}(") for text in texts), f"{name} has no golden row"
    assert set(PRINTED) == set(texts)


@pytest.mark.parametrize("text", sorted(PRINTED))
def test_a_recipe_prints_as_before(text: str) -> None:
    assert f"{parse(text)}\n" == PRINTED[text].rstrip("\n") + "\n"


@pytest.mark.parametrize("text", sorted(PRINTED))
def test_text_to_json_to_text(text: str) -> None:
    reward = parse(text)
    assert from_json(to_json(reward)) == reward
    assert parse(str(from_json(to_json(reward)))) == reward


def in_easy_groups(rows: list[Row], lam: float) -> set[float]:
    """Groups g with (number of groups that are answered better) + 1 ≤ λG."""
    rates = {label: accuracy(rows, label) for label in {row["group"] for row in rows}}
    rates = {label: rate for label, rate in rates.items() if not math.isnan(rate)}
    return {g for g, rate in rates.items() if len([r for r in rates.values() if r > rate]) + 1 <= lam * len(rates)}


@given(samples, st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.sampled_from([0.2, 0.9]))
def test_grpo_lambda_is_its_definition(rows: list[Row], lam: float, alpha: float) -> None:
    easy = in_easy_groups(rows, lam)
    wanted: list[float] = []
    for row in rows:
        group = [r for r in rows if r["group"] == row["group"]]
        lengths = known([r["length"] for r in group if r["correct"] == 1])
        if row["group"] not in easy or row["correct"] != 1:
            wanted.append(row["correct"])
            continue
        spread = math.sqrt(average([(v - average(lengths)) ** 2 for v in lengths])) if lengths else NAN
        z = 0.0 if spread == 0 else (row["length"] - average(lengths)) / spread
        z = NAN if math.isnan(row["length"]) else z
        wanted.append(1 - alpha / (1 + math.exp(-z)))
    assert_same(evaluate(grpo_lambda(C, L, alpha=alpha, lam=lam), batch_of(rows)).values, wanted)


@pytest.mark.parametrize("groups", [1, 2, 3, 5, 7, 10, 12, 25, 49, 64, 100])
def test_exactly_the_share_of_the_groups_counts_length(groups: int) -> None:
    """⌊λG⌋, also where λ·G in floating point is a hair below a whole number: 0.29 · 100 = 28.999999999999996."""
    rates = np.random.default_rng(groups).permutation(groups) / groups
    batch = Batch({"group": np.arange(groups), "correct": rates, "length": np.ones(groups)})
    for lam in ["0", "0.01", "0.07", "0.1", "0.14", "0.2", "0.29", "0.3", "0.33", "0.57", "0.58", "0.7", "0.99", "1"]:
        easy = evaluate(grpo_lambda(C, L, alpha=0.2, lam=float(lam)), batch).parts["easy"]
        wanted = math.floor(Fraction(lam) * groups)
        assert easy.sum() == wanted, f"λ = {lam}, G = {groups}"
        assert set(rates[easy == 1]) == set(np.sort(rates)[groups - wanted :])


def test_groups_tied_at_the_border_all_count_length() -> None:
    batch = Batch({"group": [1, 2, 3, 4], "correct": [1, 1, 1, 0], "length": [5, 5, 5, 5]})
    assert evaluate(grpo_lambda(C, L, alpha=0.2, lam=0.25), batch).parts["easy"].tolist() == [1, 1, 1, 0]


def test_a_group_nobody_scored_is_not_counted() -> None:
    """Two scored groups: λ = 0.5 is one of them, not one and a half of three."""
    batch = Batch({"group": [1, 2, 3], "correct": [1.0, NAN, 0.0], "length": [5.0, 5.0, 5.0]})
    assert_same(evaluate(grpo_lambda(C, L, alpha=0.2, lam=0.5), batch).values, [0.9, NAN, 0])


@given(samples, st.sampled_from([7.0, 50.0]))
def test_laser_is_its_definition(rows: list[Row], target: float) -> None:
    wanted = [
        row["correct"] if math.isnan(row["correct"]) else -0.5 if row["correct"] == 0
        else NAN if math.isnan(row["length"]) else 1.5 if row["length"] <= target else 1.0
        for row in rows
    ]  # fmt: skip
    assert_same(evaluate(laser(C, L, target=target), batch_of(rows)).values, wanted)


KINDS = {"hard": 1, "medium": 2, "easy": 5}


def kind_of(rate: float) -> str:
    return "easy" if rate >= 2 / 3 else "medium" if rate >= 1 / 3 else "hard"


def targets(rows: list[Row], low: int, high: int, grid: int) -> dict[str, float]:
    """Per difficulty, the first candidate length l with floor(coverage(l) · n) ≥ 1, found by trying one after another."""
    found: dict[str, float] = {}
    for kind, n in KINDS.items():
        mine = [
            row["length"]
            for row in rows
            if not math.isnan(row["length"])
            and not math.isnan(accuracy(rows, row["group"]))
            and kind_of(accuracy(rows, row["group"])) == kind
        ]
        candidates = [*range(low, high, grid), high]
        covering = [c for c in candidates if mine and Fraction(len([v for v in mine if v <= c]), len(mine)) * n >= 1]
        found[kind] = NAN if not mine else covering[0] if covering else high
    return found


@settings(max_examples=150)
@given(samples, st.sampled_from([(10, 100, 10), (5, 125, 40), (50, 50, 1), (1, 120, 7)]))
def test_adaptive_target_is_its_definition(rows: list[Row], grid: tuple[int, int, int]) -> None:
    low, high, step = grid
    expr = adaptive_target(C, L, low=low, high=high, grid=step)
    found = targets(rows, low, high, step)
    rates = [accuracy(rows, row["group"]) for row in rows]
    wanted = [NAN if math.isnan(rate) else found[kind_of(rate)] for rate in rates]
    assert_same(evaluate(expr, batch_of(rows)).values, wanted)


@settings(max_examples=50)
@given(samples)
def test_laser_d_and_de_are_their_definitions(rows: list[Row]) -> None:
    found = targets(rows, 10, 100, 10)
    expected_d: list[float] = []
    expected_de: list[float] = []
    for row in rows:
        rate, length = accuracy(rows, row["group"]), row["length"]
        if math.isnan(row["correct"]):
            expected_d.append(NAN)
            expected_de.append(NAN)
            continue
        target = found[kind_of(rate)]
        unknown = math.isnan(length) or math.isnan(target)
        if row["correct"] == 1:
            expected_d.append(NAN if unknown else 1.5 if length <= target else 1.0)
            expected_de.append(expected_d[-1])
            continue
        expected_d.append(-0.5)
        short, loops = not unknown and length <= target, row["loops"]
        silent = short or loops == 1
        expected_de.append(-0.5 if silent else NAN if unknown or math.isnan(loops) else 0.0)
    grid: dict[str, float] = {"low": 10, "high": 100, "grid": 10}
    assert_same(evaluate(laser_d(C, L, **grid), batch_of(rows)).values, expected_d)
    assert_same(evaluate(laser_de(C, L, col("loops"), **grid), batch_of(rows)).values, expected_de)


def test_targets_are_refreshed_every_so_many_batches() -> None:
    expr = adaptive_target(C, L, low=10, high=100, grid=10, every=2)
    state: Any = {}
    seen: list[float] = []
    for length in (12, 55, 78, 33):
        batch = Batch({"group": [1, 1], "correct": [1, 1], "length": [length, length]})
        scores = evaluate(expr, batch, state=state)
        state = json.loads(json.dumps(scores.state))
        seen.append(scores.values[0])
    assert seen == [20, 20, 80, 80]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: adaptive_target(C, L, rollouts=2),
        lambda: adaptive_target(C, L, grid=0),
        lambda: adaptive_target(C, L, low=100, high=10),
        lambda: laser_d(C, L, every=0),
        lambda: laser_d(C, L, rollouts=2),
    ],
)
def test_wrong_arguments_are_refused(wrong: Callable[[], Expr]) -> None:
    with pytest.raises(ExpressionError):
        wrong()


@given(samples, st.sampled_from([((2.0, 1.0), (-10.0, 0.0)), ((6.0, 5.0), (0.0, 0.0))]))
def test_cosine_length_is_its_definition(rows: list[Row], ends: tuple[Any, Any]) -> None:
    def reward(row: Row) -> float:
        if math.isnan(row["length"]) or (math.isnan(row["correct"]) and row["length"] + 16 < 100):
            return NAN
        if row["length"] + 16 >= 100:
            return -10.0
        start, end = ends[0] if row["correct"] == 1 else ends[1]
        return end + (start - end) * math.cos(math.pi * row["length"] / 200) ** 2

    expr = cosine_length(C, L, max_length=100, right=ends[0], wrong=ends[1])
    assert_same(evaluate(expr, batch_of(rows)).values, [reward(row) for row in rows])


@given(
    st.lists(st.tuples(st.sampled_from([1.5, -10.0, NAN]), st.lists(st.sampled_from([0, 1]), max_size=6)), max_size=4),
    st.sampled_from([(1.0, 0.99), (0.9, 1.0)]),
)
def test_repetition_returns_are_their_definition(
    rows: list[tuple[float, list[int]]], gammas: tuple[float, float]
) -> None:
    final, repetition = gammas
    wanted: list[float] = []
    for reward, marks in rows:
        for k in range(len(marks)):
            later = range(k, len(marks))
            penalty = math.fsum(repetition ** (s - k) * -0.05 * marks[s] for s in later)
            wanted.append(final ** (len(marks) - 1 - k) * reward + penalty)
    batch = Batch.from_records([{"r": reward, "token.repeated": marks} for reward, marks in rows])
    expr = repetition_returns(col("r"), col("token.repeated"), gamma=final, gamma_repetition=repetition)
    if rows:
        scores = evaluate(expr, batch)
        assert scores.level == "token"
        assert_same(scores.values, wanted)
