"""What comes back: values as an array, the profile of the run, and why a row got what it got."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import pytest

import guerdon as gd
from guerdon.batch import Batch
from guerdon.expr import AsyncSource, col, edit, ema, gate, mean, on, prev, recur
from guerdon.expr.cache import MemoryCache
from guerdon.expr.evaluate import evaluate
from tests.expr.leaves import CALLS, Items, JudgeItems, Length, Worker

BATCH = Batch({"response": ["aaaa", "bb", "bad", "aaaa"], "group": [0, 0, 1, 1]})


class Stern(AsyncSource):
    """Half a point for everyone."""

    async def score_row(self, *values: Any) -> float:
        return 0.5


def test_scores_are_an_array() -> None:
    scores = evaluate(Length(), BATCH)
    assert np.asarray(scores) is scores.values
    np.testing.assert_array_equal(np.asarray(scores, dtype=np.float32), [4, 2, np.nan, 4])
    copy = np.array(scores)
    copy[:] = 0
    assert scores.values[0] == 4
    assert len(scores) == 4
    assert repr(scores) == "Scores(4 per sample, mean 3.333, 1 unscored)"
    assert repr(evaluate(col("group") / 0, BATCH)) == "Scores(4 per sample, 4 unscored)"
    assert np.nanmax(scores) == 4


def test_the_profile_says_how_each_source_was_answered() -> None:
    cache = MemoryCache()
    reward = Length() + gate(Length() > 2, Worker()) + gate(col("group") > 0, Stern())
    evaluate(Worker(), BATCH.select([0]), cache=cache)
    scores = evaluate(reward, BATCH, cache=cache)
    lines = [re.sub(r"\d+\.\d\d$", "*", line) for line in scores.profile().splitlines()]
    assert lines == [
        "source                       asked  distinct     quick    cached    called  failed  seconds",
        "length                           4         3         3         0         0       1     *",
        "stern                            2         2         0         0         2       0     *",
        "worker                           2         1         0         1         0       0     *",
    ]
    assert all(run.seconds >= 0 for run in scores.runs)


def test_explain_shows_the_formula_step_by_step() -> None:
    reward = (Length() - mean(Length(), over="group")).named("lead") * 2 + gate(col("group") > 0, Stern())
    scores = evaluate(reward, BATCH)
    assert scores.explain(0).splitlines() == [
        "row 0",
        "  _length = Length()                                      → 4   ('aaaa' has 4 characters)",
        "  lead = _length - mean(_length, over='group')            → 1",
        "  _stern = Stern()                                        → nan",
        "  reward = lead * 2 + where(col('group') > 0, _stern, 0)  → 2",
    ]
    assert scores.explain(2).splitlines()[-1] == "  unscored by length: ValueError: it is bad"
    assert scores.explain(2).count("unscored") == 1
    assert "characters" not in scores.explain(2)


def test_explain_of_a_named_source_says_why_too() -> None:
    scores = evaluate(Length().named("size") + 1, BATCH)
    assert scores.explain(1).splitlines() == [
        "row 1",
        "  size = Length()    → 2   ('bb' has 2 characters)",
        "  reward = size + 1  → 3",
    ]


def test_explain_does_not_look_inside_views() -> None:
    """What a source said of an edited row is not what it would say of the row; its average is what counts."""
    scores = evaluate(on(Length(), edit.truncate(0.5)) + Length() * 10, BATCH)
    assert scores.explain(0).splitlines() == [
        "row 0",
        "  _length = Length()                           → 4   ('aaaa' has 4 characters)",
        "  _length_2 = on(_length, edit.truncate(0.5))  → 2",
        "  reward = _length_2 + _length * 10            → 42",
    ]
    twice = on(Length() * Length() + mean(Length(), over="batch"), edit.truncate(0.5))
    steps = evaluate(twice, BATCH).explain(1).splitlines()
    assert len(steps) == 3
    assert steps[-1].startswith("  reward = _view ")
    assert steps[-1].endswith("→ 2.75")


def test_explain_gives_each_reason_once() -> None:
    class Stubborn:
        def generate(self, prompts: Sequence[str], n: int) -> list[list[str]]:
            return [["bad"] * n for _ in prompts]

    batch = Batch({"prompt": ["p"], "response": [""]})
    scores = evaluate(on(Length(), edit.forced_answer(Stubborn(), axis="sample", k=3, cue="")), batch)
    assert len(scores.failures) == 3
    assert scores.explain(0).count("unscored by length: on an edited row: length: ValueError: it is bad") == 1


def test_explain_at_other_levels() -> None:
    rows = [
        {"response": "ab", "group": 0, "step.v": [0.5, 2]},
        {"response": "abcdefghij", "group": 0, "step.v": [1.0] * 10},
    ]
    batch = Batch.from_records(rows)
    reward = recur((prev + 1) * (prev + 1) + col("step.v") + 0 * JudgeItems(), init=0, along="step")
    scores = evaluate(reward, batch)
    first, last = scores.explain(0).splitlines()[1:]
    assert first.startswith("  _judgeitems = JudgeItems() ")
    assert first.endswith("→ [0, 1]")
    assert last.startswith(
        "  reward = recur((prev + 1) * (prev + 1) + col('step.v') + 0 * _judgeitems, init=0, along='step')"
    )
    assert last.endswith("→ [1.5, 8.25]")
    assert "→ [0, 1, 2, 3, 4, 5, 6, 7, …]" in scores.explain(1)
    whole = evaluate(gd.sum(Items(), to="sample") + mean(col("step.v"), to="batch").named("average"), batch)
    lines = whole.explain(1).splitlines()
    assert lines[1].endswith("→ [1, 1, 1, 1, 1, 1, 1, 1, …]")
    assert lines[2].startswith("  average = mean(col('step.v'), to='batch')")
    assert lines[2].endswith("→ 1.0416666666666667")


def test_explain_uses_the_memory_the_scores_were_made_with() -> None:
    average = ema(mean(col("group"), to="batch"), 0.5, name="m")
    first = evaluate(average.named("average") + 0 * col("group"), BATCH)
    second = evaluate(average.named("average") + 0 * col("group"), BATCH.select([2, 3]), state=first.state)
    assert "average = ema(mean(col('group'), to='batch'), decay=0.5, name='m')  → 0.75" in second.explain(0)


def test_explain_of_a_row_whose_source_opened_nothing() -> None:
    class Told(Items):
        def why(self, *values: Any) -> str:
            return f"of {values[0]!r}"

    scores = evaluate(mean(Told(), to="sample"), Batch({"response": ["ab", "bad", ""]}))
    assert "→ [1, 1]   (of 'ab')" in scores.explain(0)
    assert "→ [nan]\n" in scores.explain(1)
    assert "unscored by told: ValueError: it is bad" in scores.explain(1)
    assert "→ []   (of '')" in scores.explain(2)


def test_explain_shows_the_cells_that_the_source_saw() -> None:
    class Pair(Length):
        needs: ClassVar[tuple[str, ...]] = ("response", "data")
        raw: ClassVar[tuple[str, ...]] = ("data",)

        def quick(self, *values: Any) -> float:
            return 1.0

        def why(self, *values: Any) -> str:
            return repr(values)

    scores = evaluate(Pair(), Batch({"response": [5, "b"], "data": [[1], {"a": None}]}))
    assert "(('5', [1]))" in scores.explain(0)
    assert "(('b', {'a': None}))" in scores.explain(1)


@pytest.mark.parametrize("row", [-1, 4, 100])
def test_explain_of_a_row_that_is_not_there(row: int) -> None:
    with pytest.raises(IndexError, match=rf"there is no row {row}: the batch has rows 0 to 3"):
        evaluate(Length(), BATCH).explain(row)


def test_explain_asks_nobody_again() -> None:
    scores = evaluate(Length() + gate(Length() > 0, Worker()), BATCH)
    CALLS.clear()
    for row in range(4):
        scores.explain(row)
    assert not CALLS


def test_a_value_that_is_not_finite_is_shown_as_it_is() -> None:
    scores = evaluate(1 / (col("group") * 1).named("g"), BATCH)
    assert scores.explain(0).splitlines()[-2].endswith("→ inf")
    assert "unscored by reward: the value is infinite" in scores.explain(0)
    assert math.isnan(scores.values[0])
