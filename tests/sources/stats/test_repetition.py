"""`stats.Repetition` and `stats.RepeatedTokens` against their definitions, loop by loop."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guerdon.batch import Axis, Batch
from guerdon.errors import ExpressionError
from guerdon.expr.evaluate import evaluate
from guerdon.sources.stats import RepeatedTokens, Repetition

TOKENS = st.lists(st.lists(st.integers(0, 2), max_size=14), min_size=1, max_size=4)


def tokens_of(rows: Sequence[Sequence[float]]) -> Batch:
    return Batch({}, {"token": Axis.from_lists(len(rows), {"id": [list(row) for row in rows]})}, size=len(rows))


def grams(items: Sequence[Hashable], n: int) -> list[tuple[Hashable, ...]]:
    return [tuple(items[start : start + n]) for start in range(len(items) - n + 1)]


def share(items: Sequence[Hashable], n: int) -> float:
    seen: list[tuple[Hashable, ...]] = []
    for gram in grams(items, n):
        if gram not in seen:
            seen.append(gram)
    return 1 - len(seen) / len(grams(items, n)) if grams(items, n) else 0.0


def marked(items: Sequence[int], n: int, only_start: bool) -> list[float]:
    """The loop of the published code: after each repeated n-gram, a start must lie beyond its end to count."""
    marks, seen, end = [0.0] * len(items), [], -1
    for start, gram in enumerate(grams(items, n)):
        if gram in seen:
            if not only_start or start > end:
                marks[start : start + n] = [1.0] * n
            end = start + n
        seen.append(gram)
    return marks


@given(TOKENS, st.integers(1, 20))
def test_share_of_words_characters_and_tokens(rows: list[list[int]], n: int) -> None:
    words = Batch({"response": [" ".join(map(str, row)) for row in rows]})
    chars = Batch({"response": ["".join(map(str, row)) for row in rows]})
    wanted = [share(row, n) for row in rows]
    np.testing.assert_allclose(Repetition(n).score(words), wanted, atol=1e-12)
    np.testing.assert_allclose(Repetition(n, "chars").score(chars), wanted, atol=1e-12)
    np.testing.assert_allclose(Repetition(n, "tokens").score(tokens_of(rows)), wanted, atol=1e-12)


@given(TOKENS, st.integers(1, 6), st.booleans())
def test_repeated_tokens(rows: list[list[int]], n: int, only_start: bool) -> None:
    wanted = [mark for row in rows for mark in marked(row, n, only_start)]
    assert RepeatedTokens(n, only_start).score(tokens_of(rows)).tolist() == wanted


@given(st.lists(st.integers(0, 9), min_size=60, max_size=90), st.integers(17, 25))
def test_long_ngrams_in_text_repeated_twice(ids: list[int], n: int) -> None:
    text = " ".join(map(str, ids + ids))
    np.testing.assert_allclose(Repetition(n).score(Batch({"response": [text]})), [share(ids + ids, n)], atol=1e-12)


def test_the_published_example() -> None:
    batch = tokens_of([[1, 2, 1, 2, 1]])
    assert RepeatedTokens(n=2).score(batch).tolist() == [0, 0, 1, 1, 1]
    assert RepeatedTokens(n=2, only_start=True).score(batch).tolist() == [0, 0, 1, 1, 0]
    assert evaluate(RepeatedTokens(n=2), batch).values.tolist() == [0, 0, 1, 1, 1]


def test_rows_do_not_repeat_one_another() -> None:
    rows = [[1, 2, 3], [1, 2, 3], [3, 1], [1, 2]]
    assert RepeatedTokens(n=2).score(tokens_of(rows)).tolist() == [0] * 10
    assert RepeatedTokens(n=1).score(tokens_of([[5], [5, 5]])).tolist() == [0, 0, 1]


def test_a_run_in_another_row_does_not_hide_a_start() -> None:
    rows = [[1, 1, 1], [1, 1, 1]]
    assert RepeatedTokens(n=2, only_start=True).score(tokens_of(rows)).tolist() == [0, 1, 1, 0, 1, 1]


def test_tokens_without_an_id() -> None:
    scores = RepeatedTokens(n=1).score(tokens_of([[1.0, np.nan, 1.0]]))
    np.testing.assert_array_equal(scores, [0, np.nan, 1])


def test_texts() -> None:
    batch = Batch({"response": ["The cat the CAT the cat", "one", "", None, "x y"]})
    np.testing.assert_allclose(Repetition(2).score(batch), [0.6, 0, 0, np.nan, 0])
    np.testing.assert_allclose(Repetition(1, "chars").score(Batch({"response": ["aAa"]})), [1 / 3])
    assert Repetition(2, of="prompt").score(Batch({"prompt": ["a a a"]})).tolist() == [0.5]


def test_large_ids_and_many_rows() -> None:
    ids = np.array([10**15, -(10**15), 10**15, -(10**15)])
    batch = Batch({}, {"token": Axis.from_counts([4] * 1000, {"id": np.tile(ids, 1000)})}, size=1000)
    assert RepeatedTokens(n=2).score(batch).sum() == 2000
    np.testing.assert_allclose(Repetition(2, "tokens").score(batch), [1 / 3] * 1000)


@pytest.mark.parametrize("n", [1, 3, 16, 17, 40, 1000, 99_999, 100_000, 200_000])
def test_long_responses(n: int) -> None:
    count = 100_000
    text, ids = "a " * count, np.zeros(count)
    wanted = 1 - 1 / (count - n + 1) if n <= count else 0.0
    assert Repetition(n).score(Batch({"response": [text]}))[0] == pytest.approx(wanted, abs=1e-12)
    axis = Axis.from_counts([count], {"id": ids})
    marks = RepeatedTokens(n).score(Batch({}, {"token": axis}, size=1))
    assert marks.sum() == (count - 1 if n < count else 0)


def test_five_megabytes() -> None:
    text = "\0\u202e\ud800" * 1_700_000
    assert Repetition(4, "chars").score(Batch({"response": [text]}))[0] == pytest.approx(1, abs=1e-4)
    assert Repetition(40, "chars").score(Batch({"response": [text[:600_000]]}))[0] == pytest.approx(1, abs=1e-4)


WRONG: list[Any] = [
    lambda: Repetition(0),
    lambda: Repetition(True),
    lambda: Repetition(2.0),
    lambda: Repetition(2, "lines"),
    lambda: Repetition(2, "tokens", of="prompt"),
    lambda: RepeatedTokens(0),
]


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_settings(wrong: Any) -> None:
    with pytest.raises(ExpressionError):
        wrong()
