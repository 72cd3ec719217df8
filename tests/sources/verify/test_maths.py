"""`verify.Math` on real solutions, bombs and hostile texts."""

from __future__ import annotations

from typing import Any

import pytest

from guerdon.batch import Batch
from guerdon.errors import ExpressionError, Unscored
from guerdon.expr.evaluate import evaluate
from guerdon.sources.verify import Math
from tests.sources.real import beside, gsm8k_solutions

BOMB = r"\boxed{9^{9^{9^{9}}}}"


def test_every_verdict_of_the_shipped_solutions_is_quick_and_right() -> None:
    math = Math()
    for row in gsm8k_solutions():
        for reference in (row["reference_solution"], row["answer"], f"#### {row['answer']}", f"${row['answer']}$"):
            assert math.quick(row["response"], reference) == float(row["is_correct"])


def test_evaluation_agrees_with_the_data_set() -> None:
    rows = gsm8k_solutions()
    batch = Batch({name: [row[name] for row in rows] for name in ("response", "answer")})
    scores = evaluate(Math(), batch.rename({"reference": "answer"}))
    assert scores.values.tolist() == [float(row["is_correct"]) for row in rows]
    assert not scores.failures


VERDICTS: list[tuple[str, str, float | None]] = [
    (r"\boxed{18}", "18", 1.0),
    (r"\boxed{18}", "The answer is 18.", 1.0),
    (r"\boxed{18}", r"so \boxed{18.0}", 1.0),
    (r"\boxed{18}", "<answer>19</answer>", 0.0),
    ("I do not know.", "18", 0.0),
    ("", "18", 0.0),
    (r"<think>\boxed{18}</think>", "18", 0.0),
    (r"<think>\boxed{18}", "18", 0.0),
    (r"\boxed{17}, \boxed{18}", "18", None),
    (r"\boxed{x+1}", "1+x", None),
    (r"\boxed{Evelyn}", r"\text{Evelyn}", 1.0),
    (BOMB, "18", 0.0),
    (BOMB, r"\boxed{9^{9^{9^{9}}}}", 1.0),
    (r"\boxed{x}" + "{" * 1_000_000, "x", 1.0),
]


@pytest.mark.parametrize(("response", "reference", "verdict"), VERDICTS)
def test_quick_verdicts(response: str, reference: str, verdict: float | None) -> None:
    assert Math().quick(response, reference) == verdict


@pytest.mark.parametrize("reference", ["", " ", "$$", "x" * 2001, "9^{9^{9^9}}", "1+" * 600 + "1"])
def test_a_reference_without_a_usable_answer_is_unscored(reference: str) -> None:
    with pytest.raises(Unscored, match="the reference"):
        Math().quick("The answer is x", reference)


UNSURE = [
    (BOMB, r"\frac{\pi}{2}", "a number of more than 200000 binary digits"),
    (r"\boxed{9**9**9**9}", "18", "a number of more than 200000 binary digits"),
    (r"\boxed{" + "(" * 50 + "}", "18", "brackets 50 deep"),
    (r"\boxed{" + "1+" * 2000 + "1}", "2001", "more than 2000 characters"),
    (r"\boxed{5" + r"\," * 1500 + "+1}", "5", "more than 2000 characters"),
    ("The answer is " + "9" * 5_000_000, "18", "more than 2000 characters"),
]


@pytest.mark.parametrize(("response", "reference", "reason"), UNSURE)
def test_answers_beyond_the_limits(response: str, reference: str, reason: str) -> None:
    with pytest.raises(Unscored, match=reason):
        Math().quick(response, reference)
    assert Math(over_limit="wrong").quick(response, reference) == 0.0


def test_what_quick_leaves_open_is_decided_by_math_verify() -> None:
    assert Math().score_row(r"\boxed{x+1}", "1+x") == 1.0
    assert Math().score_row(r"\boxed{17}, \boxed{18}", "18") == 0.0
    assert Math().score_row(r"\boxed{18}, \boxed{17}", "17 or 18") == 1.0
    assert Math().score_row("nothing", "18") == 0.0
    assert Math().score_row(r"\boxed{x = \frac{1}{2}}", r"\dfrac12") == 1.0


def test_worked_solutions_verify_themselves() -> None:
    math = Math()
    for row in beside("math_sets/math500"):
        values = row["solution"], row["answer"]
        verdict = math.quick(*values)
        assert verdict == 1.0 or math.score_row(*values) == 1.0


def test_ways() -> None:
    text = r"\boxed{1} The answer is 2. Also 3"
    assert [Math(ways=(way,)).quick(text, "2") for way in ("boxed", "phrase", "number")] == [0.0, 1.0, 0.0]
    assert Math("boxed") == Math(ways=("boxed",))  # type: ignore[arg-type]
    assert Math(("hash",)).quick("18", "18") == 0.0


@pytest.mark.parametrize("wrong", [{"ways": ("boxes",)}, {"ways": ()}, {"over_limit": "nan"}])
def test_wrong_settings(wrong: dict[str, Any]) -> None:
    with pytest.raises(ExpressionError):
        Math(**wrong)
    with pytest.raises(ExpressionError, match="Did you mean 'boxed'"):
        Math(ways=("boxes",))


def test_why() -> None:
    assert Math().why("9 * 2 = 26\nA: 26", "so 18\nA: 18") == "given 26 (A: line), wanted 18"
    assert Math().why("no idea", "18") == "no answer, wanted 18"
    assert len(Math().why(r"\boxed{" + "x" * 1000 + "}", "y\n" * 500)) < 160


def test_a_bomb_harms_no_other_row() -> None:
    batch = Batch({"response": [BOMB, r"\boxed{x+1}", r"\boxed{2}"], "reference": [r"\pi", "1+x", "2"]})
    scores = evaluate(Math(), batch)
    assert scores.values.tolist()[1:] == [1.0, 1.0]
    assert [(failure.row, failure.source) for failure in scores.failures] == [(0, "math")]
