"""Edits against batches edited by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from guerdon.batch import Axis, Batch
from guerdon.expr import on
from guerdon.expr.evaluate import evaluate
from guerdon.expr.view import assign, drop, forced_answer, prefixes, replace, swap, truncate
from guerdon.sources.stats import Length
from guerdon.sources.verify import Exact

BATCH = Batch({"prompt": ["p", "q"], "response": ["abcd", "xy"], "other": ["ab", "x"], "reference": ["ab", "xy"]})
STEPS = BATCH.with_axis("step", Axis.from_lists(2, {"end": [[2, 4], [2]]}))


def test_edits_of_one_row_each() -> None:
    length = Length()
    for edit, wanted in [
        (assign("response", "other"), [2, 1]),
        (swap("response", "other"), [2, 1]),
        (drop(("response",)), [0, 0]),
        (replace("response", "[ax]"), [3, 1]),
        (truncate(0.5), [2, 1]),
    ]:
        assert evaluate(on(length, edit), BATCH).values.tolist() == wanted, edit


def test_prefixes_say_after_which_step_the_answer_is_there() -> None:
    scores = evaluate(on(Exact(), prefixes()), STEPS)
    assert (scores.level, scores.values.tolist()) == ("step", [1.0, 0.0, 1.0])


class Scripted:
    def generate(self, prompts: Sequence[str], n: int) -> list[list[str]]:
        self.prompts = list(prompts)
        return [["!" * (i + 1) for i in range(n)] for _ in prompts]


def test_forced_answers_are_averaged_per_step() -> None:
    policy = Scripted()
    scores = evaluate(on(Length(), forced_answer(policy, k=2, cue=">")), STEPS)
    assert policy.prompts == ["pab>", "pabcd>", "qxy>"]
    np.testing.assert_allclose(scores.values, [4.5, 6.5, 4.5])
