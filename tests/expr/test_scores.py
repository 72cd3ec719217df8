"""Explaining, profiling and using scores as an array."""

from __future__ import annotations

import numpy as np
import pytest

from guerdon.batch import Batch
from guerdon.expr import channels, col
from guerdon.expr.evaluate import evaluate
from guerdon.sources.verify import Math

BATCH = Batch({"response": ["\\boxed{4}", None], "reference": ["4", "4"], "x": [1.0, 2.0]})


def test_explain_shows_every_line_and_what_was_compared() -> None:
    scores = evaluate(Math().named("correct") * 2 + col("x"), BATCH)
    told = scores.explain(0)
    assert "correct = verify.Math()" in told
    assert "given 4" in told
    assert "→ 3" in told
    assert "unscored by correct: response is missing" in scores.explain(1)
    with pytest.raises(IndexError, match="rows 0 to 1"):
        scores.explain(2)


def test_scores_are_an_array_with_parts_and_channels() -> None:
    scores = evaluate(channels(right=Math(), x=0.5 * col("x")), BATCH)
    np.testing.assert_array_equal(np.asarray(scores), [1.5, np.nan])
    assert scores.channels["x"].tolist() == [0.5, 1.0]
    assert scores.parts["right"][0] == 1.0
    assert "right" in scores.profile()
