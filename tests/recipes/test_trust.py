"""Trust-GRPO against its paper's formula, response by response (golden numbers: test_length.py reads them for all recipes)."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from guerdon.batch import Batch
from guerdon.expr import col, fill, gate
from guerdon.expr.evaluate import evaluate
from guerdon.recipes import trust_grpo
from tests.strategies import NAN, assert_same, known

Row = dict[str, float]
sample = st.fixed_dictionaries(
    {
        "group": st.integers(0, 2),
        "outcome": st.sampled_from([0.0, 0.05, 0.1, 0.3, 0.5, 0.89, 0.9, 1.0, NAN]),
        "thinking": st.sampled_from([0.0, 0.1, 0.4, 0.8, 1.0, NAN]),
    }
)
OUTCOME, T = col("outcome"), col("thinking")


def batch_of(rows: list[Row], t: float) -> Batch:
    columns = {name: np.array([row[name] for row in rows], np.float64) for name in ("group", "outcome", "thinking")}
    return Batch(columns | {"t": np.full(len(rows), t)})


def average(values: list[float]) -> float:
    """0 of nothing, as in the paper."""
    return math.fsum(values) / len(values) if values else 0.0


def reward(row: Row, rows: list[Row], t: float) -> float:
    group = [r for r in rows if r["group"] == row["group"] and not math.isnan(r["outcome"])]
    outcomes = [r["outcome"] for r in group]
    if math.isnan(row["outcome"]):
        return NAN
    if all(o >= 0.9 for o in outcomes) or all(o <= 0.1 for o in outcomes):
        return row["outcome"]
    right = average(known([r["thinking"] for r in group if r["outcome"] >= 0.5]))
    wrong = average(known([r["thinking"] for r in group if r["outcome"] < 0.5]))
    trust = 1.0 if right >= wrong or not [o for o in outcomes if o >= 0.5] else math.exp(right - wrong)
    return row["outcome"] + 0.3 * math.exp(-t / 500) * trust * row["thinking"]


@given(st.lists(sample, max_size=10), st.sampled_from([0.0, 250.0, 500.0]))
def test_trust_grpo_is_its_definition(rows: list[Row], t: float) -> None:
    wanted = [reward(row, rows, t) for row in rows]
    assert_same(evaluate(trust_grpo(OUTCOME, T), batch_of(rows, t)).values, wanted)
    if rows:
        assert_same(evaluate(trust_grpo(OUTCOME, T), batch_of(rows, NAN), t=t).values, wanted)


def test_an_unreadable_judgement_counts_zero_when_asked_to() -> None:
    rows = [{"group": 0, "outcome": 1.0, "thinking": NAN}, {"group": 0, "outcome": 0.0, "thinking": 0.5}]
    assert_same(evaluate(trust_grpo(OUTCOME, T), batch_of(rows, 0)).values, [NAN, 0.15 * math.exp(-0.5)])
    assert_same(evaluate(trust_grpo(OUTCOME, fill(T, 0)), batch_of(rows, 0)).values, [1, 0.15 * math.exp(-0.5)])


def test_the_released_codes_way() -> None:
    """Responses with an outcome below 0.2 are not judged and count 0: g is 1 where the paper's is e^−0.3."""
    rows = [
        {"group": 0, "outcome": outcome, "thinking": thinking}
        for outcome, thinking in zip((1, 1, 0, 0), (0.4, 0.6, 0.8, 0.8), strict=True)
    ]
    values = evaluate(trust_grpo(OUTCOME, gate(OUTCOME >= 0.2, T)), batch_of(rows, 0)).values
    assert_same(values, [1.12, 1.18, 0, 0])


def test_the_parts_that_decide_are_named() -> None:
    rows = [{"group": 0, "outcome": 1.0, "thinking": 0.2}, {"group": 0, "outcome": 0.0, "thinking": 0.5}]
    scores = evaluate(trust_grpo(OUTCOME, T), batch_of(rows, 0))
    assert set(scores.parts) == {"mixed", "trust"}
    assert_same(scores.parts["trust"], [math.exp(-0.3)] * 2)
