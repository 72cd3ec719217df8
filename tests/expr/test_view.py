"""Edits against batches edited by hand, and what a view makes of the scores of edited rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import pytest

import guerdon as gd
from guerdon.batch import Axis, Batch
from guerdon.errors import DataError, ExpressionError
from guerdon.expr import AsyncSource, Expr, Source, col, edit, gate, mean, on
from guerdon.expr.cache import MemoryCache
from guerdon.expr.evaluate import evaluate
from guerdon.expr.plan import plan
from guerdon.expr.run import Failure
from guerdon.expr.view import Edit, assign, drop, forced_answer, prefixes, replace, swap, truncate
from guerdon.sources.stats import Length
from guerdon.sources.verify import Exact
from tests.expr.leaves import CALLS, Relative
from tests.expr.leaves import Length as Counted

NAN = math.nan
BATCH = Batch({"prompt": ["p", "q"], "response": ["abcd", "xy"], "other": ["ab", "x"], "reference": ["ab", "xy"]})
STEPS = BATCH.with_axis("step", Axis.from_lists(2, {"end": [[2, 4], [2]], "v": [[1, 2], [5]]}))
HOLES = Batch({"prompt": ["p", None, "r"], "response": [None, "xy", "abc"], "other": ["ab", 5, None]})


@pytest.fixture(autouse=True)
def _nothing_asked() -> None:
    CALLS.clear()


@pytest.mark.parametrize(
    ("change", "batch", "column", "wanted"),
    [
        (assign("response", "other"), BATCH, "response", ["ab", "x"]),
        (assign("fresh", "other"), BATCH, "fresh", ["ab", "x"]),
        (assign("response", "other"), HOLES, "response", ["ab", 5, None]),
        (swap("response", "other"), BATCH, "response", ["ab", "x"]),
        (swap("response", "other"), BATCH, "other", ["abcd", "xy"]),
        (swap("response", "other"), HOLES, "other", [None, "xy", "abc"]),
        (drop(("response",)), BATCH, "response", ["", ""]),
        (drop(("response", "other")), HOLES, "other", ["", "", ""]),
        (replace("response", "[ax]"), BATCH, "response", ["bcd", "y"]),
        (replace("response", "(.)$", r"<\1>"), BATCH, "response", ["abc<d>", "x<y>"]),
        (replace("other", "5", "-"), HOLES, "other", ["ab", "-", None]),
        (truncate(0.5), BATCH, "response", ["ab", "x"]),
        (truncate(0), BATCH, "response", ["", ""]),
        (truncate(1.0), HOLES, "response", [None, "xy", "abc"]),
        (truncate(0.5, column="other"), HOLES, "other", ["a", "", None]),
    ],
)
def test_edits_of_one_row_each(change: Edit, batch: Batch, column: str, wanted: list[Any]) -> None:
    derived = change.apply(batch)
    assert derived.batch[column].tolist() == wanted
    assert derived.parent.tolist() == list(range(batch.size))
    touched = {column, *change.reads()}
    for name in set(batch.columns) - touched:
        assert derived.batch[name].tolist() == batch[name].tolist()
    assert batch.columns["response"].tolist() == (BATCH if batch is BATCH else HOLES)["response"].tolist()
    by_hand = batch.with_columns({column: wanted})
    if column == "response":
        np.testing.assert_array_equal(
            evaluate(on(Counted(), change), batch).values, evaluate(Counted(), by_hand).values
        )


def test_what_an_edit_reads_and_gives() -> None:
    assert plan(on(Exact(), assign("response", "think"))).columns == ("think", "reference")
    assert plan(on(Exact(), swap("response", "other"))).columns == ("response", "other", "reference")
    assert plan(on(Exact(), drop(("prompt",)))).columns == ("prompt", "response", "reference")
    assert plan(on(Exact(), replace("other", "a"))).columns == ("other", "response", "reference")
    assert plan(on(Exact(), prefixes("turn", "other"))).columns == ("other", "turn.end", "response", "reference")
    assert evaluate(on(Length(), assign("response", "think")), Batch({"think": ["abc"]})).values.tolist() == [3]


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (lambda: truncate(1.5), r"share lies in \[0, 1\], got 1\.5"),
        (lambda: truncate(-0.1), r"share lies in \[0, 1\]"),
        (lambda: truncate(NAN), r"share lies in \[0, 1\]"),
        (lambda: replace("response", "("), r"'\(' → '' cannot be used"),
        (lambda: replace("response", "a", r"\9"), r"invalid group reference"),
        (lambda: replace("response", "(?P<x>a)", r"\g<y>"), r"unknown group name"),
        (lambda: replace("response", 5), r"5 → '' cannot be used"),
        (lambda: drop("image"), r"takes a tuple of columns: write edit\.drop\(\('image',\)\)"),
        (lambda: forced_answer("gpt"), r"a policy with a method generate.*got 'gpt' and k=1"),
        (lambda: forced_answer(Scripted(), k=0), r"k ≥ 1, got .* and k=0"),
    ],
)
def test_edits_that_cannot_work_are_refused(build: Any, text: str) -> None:
    with pytest.raises(ExpressionError, match=f"(?s){text}"):
        build()


def test_prefixes_say_after_which_step_the_answer_is_there() -> None:
    scores = evaluate(on(Exact(), prefixes()), STEPS)
    assert (scores.level, scores.values.tolist()) == ("step", [1.0, 0.0, 1.0])


def test_prefixes_are_the_text_up_to_each_step_and_its_steps() -> None:
    rows = STEPS.with_columns({"group": [0, 1], "response": ["abcd", None]})
    derived = prefixes().apply(rows)
    assert derived.batch["response"].tolist() == ["ab", "abcd", None]
    assert derived.parent.tolist() == [0, 1, 2]
    assert derived.batch["prompt"].tolist() == ["p", "p", "q"]
    assert derived.batch.axes["step"].counts.tolist() == [1, 2, 1]
    assert derived.batch["step.v"].tolist() == [1, 1, 2, 5]
    seen = evaluate(on(gd.sum(col("step.v"), to="sample"), prefixes()), STEPS)
    assert seen.values.tolist() == [1, 3, 5]
    scores = evaluate(on(Counted(), prefixes()), rows)
    np.testing.assert_array_equal(scores.values, [2, 4, NAN])
    assert scores.failures == [Failure(1, "length", "on an edited row: length: response is missing")]


def test_prefixes_of_rows_without_steps() -> None:
    batch = BATCH.with_axis("step", Axis.from_lists(2, {"end": [[], [1]]}))
    scores = evaluate(mean(on(Length(), prefixes()), to="sample"), batch)
    np.testing.assert_array_equal(scores.values, [NAN, 1])
    assert [failure.row for failure in scores.failures] == [0]


class Scripted:
    """Continues everything by one "!", two, three ...; remembers what it was asked."""

    def __init__(self, wrong: int = 0) -> None:
        self.asked: list[tuple[list[str], int]] = []
        self.wrong = wrong

    def generate(self, prompts: Sequence[str], n: int) -> list[list[str]]:
        self.asked.append((list(prompts), n))
        return [["!" * (i + 1) for i in range(n + self.wrong)] for _ in prompts]


@pytest.mark.parametrize(("k", "more"), [(1, 1.0), (4, 2.5)])
def test_forced_answers_are_averaged_per_step(k: int, more: float) -> None:
    policy = Scripted()
    scores = evaluate(on(Length(), forced_answer(policy, k=k, cue=">")), STEPS)
    assert policy.asked == [(["pab>", "pabcd>", "qxy>"], k)]
    np.testing.assert_allclose(scores.values, [3 + more, 5 + more, 3 + more])
    assert scores.level == "step"


@pytest.mark.parametrize("k", [1, 4])
def test_forced_answers_at_the_end_of_the_response(k: int) -> None:
    policy = Scripted()
    reward = on(Counted(), forced_answer(policy, axis="sample", k=k, cue="="))
    scores = evaluate(reward, BATCH)
    assert (scores.level, policy.asked) == ("sample", [(["pabcd=", "qxy="], k)])
    np.testing.assert_allclose(scores.values, [5 + (k + 1) / 2, 3 + (k + 1) / 2])
    assert CALLS["length"] == [f"{head}={'!' * i}" for head in ("abcd", "xy") for i in range(1, k + 1)]
    assert (scores.runs[0].asked, scores.runs[0].distinct, scores.runs[0].quick) == (2, 2 * k, 2 * k)


def test_nobody_is_asked_for_what_is_missing() -> None:
    policy = Scripted()
    scores = evaluate(on(Counted(), forced_answer(policy, axis="sample", k=2, cue=">")), HOLES)
    assert policy.asked == [(["rabc>"], 2)]
    np.testing.assert_array_equal(scores.values, [NAN, NAN, 5.5])
    assert [failure.row for failure in scores.failures] == [0, 0, 1, 1]
    silent = Scripted()
    evaluate(on(Counted(), forced_answer(silent, axis="sample")), HOLES.select([0, 1]))
    assert silent.asked == []


def test_a_policy_that_gives_another_number_of_answers() -> None:
    with pytest.raises(DataError, match="asked for 3 continuations of each of 2 prompts, got others"):
        evaluate(on(Length(), forced_answer(Scripted(wrong=1), axis="sample", k=3)), BATCH)


def test_failures_on_edited_rows_belong_to_their_parents() -> None:
    batch = Batch({"response": ["xbad", "ybad", "good"], "prompt": ["a", "b", "c"]})
    scores = evaluate(on(Counted().named("size"), replace("response", "^[xy]")), batch)
    np.testing.assert_array_equal(scores.values, [NAN, NAN, 4])
    assert scores.failures == [Failure(row, "view", "on an edited row: size: ValueError: it is bad") for row in (0, 1)]


class Halves(Edit):
    """Two derived rows for every row: its first and its second half; none for an empty one."""

    def reads(self) -> tuple[str, ...]:
        return ("response",)

    def apply(self, batch: Batch) -> Any:
        texts = [text or "" for text in batch.text("response")]
        parent = np.repeat(np.arange(batch.size), [2 if text else 0 for text in texts])
        halves = [half for text in texts if text for half in (text[: len(text) // 2], text[len(text) // 2 :])]
        from guerdon.expr.view import Derived

        return Derived(batch.select(parent).with_columns({"response": np.array(halves, dtype=object)}), parent)


def test_several_edited_rows_are_averaged_and_none_is_unscored() -> None:
    """A half that fails leaves the average to the other one."""
    batch = Batch({"response": ["abc", "", "badxyz", "badbad"]})
    scores = evaluate(on(Counted(), Halves()), batch)
    np.testing.assert_array_equal(scores.values, [1.5, NAN, 3, NAN])
    assert {failure.row for failure in scores.failures} == {1, 2, 3}
    assert scores.failures[0].reason.startswith("the arithmetic gave no number")


def test_equal_edited_rows_are_scored_once_and_remembered() -> None:
    class Judge(AsyncSource):
        async def score_row(self, *values: Any) -> float:
            CALLS["judge"].append(values[0])
            return float(len(values[0]))

    cache = MemoryCache()
    batch = Batch({"response": ["ab1", "ab2", "ab", "c"]})
    reward = on(Judge(), replace("response", r"\d"))
    first = evaluate(reward, batch, cache=cache)
    assert first.values.tolist() == [2, 2, 2, 1]
    assert CALLS["judge"] == ["ab", "c"]
    assert (first.runs[0].asked, first.runs[0].distinct, first.runs[0].calls) == (4, 4, 2)
    second = evaluate(reward, batch, cache=cache)
    assert (second.runs[0].cached, second.runs[0].calls) == (2, 0)
    assert evaluate(Judge(), batch.select([2]), cache=cache).runs[0].cached == 1


def test_a_view_runs_for_the_rows_left_open() -> None:
    batch = Batch({"response": ["aa", "bbbb", "cc"], "ok": [1, 0, 1]})
    scores = evaluate(gate(col("ok"), on(Counted(), truncate(0.5))), batch)
    assert scores.values.tolist() == [1, 0, 1]
    assert CALLS["length"] == ["a", "c"]
    rows = STEPS.with_columns({"ok": [0, 1]})
    policy = Scripted()
    per_step = evaluate(gate(col("ok"), on(Length(), forced_answer(policy, cue=""))), rows)
    assert policy.asked == [(["qxy"], 1)]
    assert per_step.values.tolist() == [0, 0, 3]


@pytest.mark.parametrize(
    "inside",
    [
        Counted() - mean(Counted(), over="group"),
        Counted() + Relative(),
        mean(Counted(), to="group") + 0 * col("ok"),
        gd.cumsum(Counted(), along="group"),
    ],
    ids=str,
)
def test_a_view_that_compares_rows_gets_all_of_them(inside: Expr) -> None:
    batch = Batch({"response": ["aa", "bbbb", "cccccc"], "ok": [1, 0, 1], "group": [0, 0, 0]})
    view = on(inside, truncate(0.5))
    everywhere, gated = evaluate(view, batch), evaluate(gate(col("ok"), view, otherwise=-1), batch)
    np.testing.assert_array_equal(gated.values, np.where(batch["ok"] == 1, everywhere.values, -1))


def test_a_view_inside_a_view() -> None:
    twice = on(on(Counted(), truncate(0.5)), replace("response", "b"))
    assert evaluate(twice, Batch({"response": ["abacad"]})).values.tolist() == [2]
    assert CALLS["length"] == ["aa"]  # first without b, then half of it


def test_groups_inside_a_view_are_those_of_the_edited_rows() -> None:
    scores = evaluate(on(mean(Length(), over="group"), Halves()), Batch({"response": ["abc", "a"], "group": [0, 0]}))
    assert scores.values.tolist() == [1, 1]


def test_axes_that_nobody_inside_reads_are_left_behind() -> None:
    """Prefixes of a long response must not each carry all its tokens along."""
    seen: list[list[str]] = []

    class Spy(Source):
        needs: ClassVar[tuple[str, ...]] = ("response", "step.v")

        def score(self, batch: Batch) -> Any:
            seen.append(sorted(batch.axes))
            return np.ones(batch.size)

    batch = STEPS.with_axis("token", Axis.from_counts([5, 3]))
    evaluate(on(Spy(), prefixes()), batch)
    evaluate(on(Spy() + 0 * gd.sum(gd.position("token"), to="sample"), truncate(0.5)), batch)
    assert seen == [["step"], ["step", "token"]]


def test_what_is_inside_is_checked_before_anybody_is_asked() -> None:
    policy = Scripted()
    with pytest.raises(DataError, match="'rubric'"):
        evaluate(on(col("rubric") + Length(), forced_answer(policy, axis="sample")), BATCH)
    assert policy.asked == []


def test_rows_that_could_not_be_read_are_not_edited() -> None:
    policy = Scripted()
    batch = Batch({"prompt": ["p", None], "response": ["ab", None]}, problems={1: "line 2 is no JSON"})
    scores = evaluate(on(Length(), forced_answer(policy, axis="sample", cue="")), batch)
    np.testing.assert_array_equal(scores.values, [3, NAN])
    assert scores.failures == [Failure(1, "file", "line 2 is no JSON")]
    assert policy.asked == [(["pab"], 1)]


def test_the_base_class_edits_nothing() -> None:
    assert Edit().at == "sample"
    assert Edit().gives() == ()
    with pytest.raises(NotImplementedError):
        Edit().reads()
    with pytest.raises(NotImplementedError):
        Edit().apply(BATCH)
    assert edit.truncate is truncate


def test_a_pattern_that_takes_for_ever_leaves_its_row_unscored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("guerdon.expr.view.SECONDS", 0.5)
    batch = Batch({"response": ["aab", "a" * 60]})
    scores = evaluate(on(Length(), replace("response", "(a+)+b")), batch)
    assert scores.values[0] == 0
    assert np.isnan(scores.values[1])
    assert [(f.row, f.source) for f in scores.failures] == [(1, "length")]
    assert "took longer than 0.5 s: killed" in scores.failures[0].reason
