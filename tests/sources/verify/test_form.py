"""`verify.Format`: tags and patterns."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guerdon.batch import Batch
from guerdon.errors import ExpressionError
from guerdon.expr.evaluate import evaluate
from guerdon.expr.save import from_json, to_json
from guerdon.expr.text import parse
from guerdon.sources.verify import Format

ONE, TWO = Format("think"), Format("think", "answer")

CASES = [
    (ONE, "<think>a</think> b", 1),
    (ONE, "<think>a</think>", 1),
    (ONE, "\n <think> a </think>\n", 1),
    (ONE, "b <think>a</think>", 0),
    (ONE, "<think>a", 0),
    (ONE, "a</think>", 0),
    (ONE, "<think></think> b", 0),
    (ONE, "<think> \n</think> b", 0),
    (ONE, "</think>a<think>", 0),
    (ONE, "<think>a</think><think>b</think>", 0),
    (ONE, "<think><think>a</think></think>", 0),
    (ONE, "<Think>a</Think>", 0),
    (ONE, "", 0),
    (TWO, "<think>a</think><answer>b</answer>", 1),
    (TWO, "<think>a</think> \n <answer>b</answer>\n", 1),
    (TWO, "<answer>b</answer><think>a</think>", 0),
    (TWO, "<think>a<answer>b</answer></think>", 0),
    (TWO, "<think>a<answer></think>b</answer>", 0),
    (Format("think", order=False), "</think>a<think>", 0),
    (Format("think", "answer", order=False), "<think>a<answer>b</think>c</answer>", 0),
    (TWO, "<think>a</think> so <answer>b</answer>", 0),
    (TWO, "<think>a</think><answer>b</answer>!", 0),
    (TWO, "<think>a</think>", 0),
    (Format("think", outside="none"), "<think>a</think> b", 0),
    (Format("think", outside="any"), "b <think>a</think> c", 1),
    (Format("think", "answer", outside="after"), "<think>a</think><answer>b</answer> c", 1),
    (Format("think", "answer", outside="after"), "<think>a</think> c <answer>b</answer>", 0),
    (Format("think", "answer", order=False), "<answer>b</answer><think>a</think>", 1),
    (Format("think", once=False), "<think>a</think><think>b</think>", 1),
    (Format("think", once=False), "<think>a</think>x<think>b</think>", 0),
    (Format("a", "b", once=False), "<a>1</a><b>2</b><a>3</a><b>4</b>", 1),
    (Format("a", "b", once=False), "<a>1</a><a>3</a><b>2</b><b>4</b>", 0),
    (Format("a", "b", once=False), "<a>1</a><b>2</b><a>3</a>", 0),
    (Format("a", "b", once=False, order=False), "<a>1</a><a>3</a><b>2</b>", 1),
    (Format(("think",)), "<think>a</think>", 1),
]


@pytest.mark.parametrize(("form", "text", "verdict"), CASES)
def test_tags(form: Format, text: str, verdict: int) -> None:
    assert form.quick(text) == float(verdict)
    assert form.score_row(text) == float(verdict)
    assert (form.why(text) == "") is bool(verdict)


def test_it_says_what_is_wrong() -> None:
    assert TWO.why("<think>a</think>") == "<answer> is opened 0 times and closed 0 times"
    assert ONE.why("b <think>a</think>") == "there is text outside the tags at 0"
    assert ONE.why("<think> </think>") == "<think> is empty"


PIECES = st.sampled_from(["<think>", "</think>", "<answer>", "</answer>", "a", " ", "\n"])


@given(st.lists(PIECES, max_size=9).map("".join))
def test_both_tags_against_a_pattern(text: str) -> None:
    content = r"(?!\s*<)(?:(?!</?(?:think|answer)>)[\s\S])*?\S(?:(?!</?(?:think|answer)>)[\s\S])*?"
    literal = re.fullmatch(rf"\s*<think>{content}</think>\s*<answer>{content}</answer>\s*", text)
    assert TWO.quick(text) == float(literal is not None)


@pytest.mark.parametrize(
    "text", ["<think>" * 700_000, "<think>a</think>" * 300_000, "\0" * 5_000_000, "\ud800</think>"]
)
def test_hostile_texts(text: str) -> None:
    assert TWO.quick(text) == 0.0
    assert Format("think", once=False, outside="any").quick(text) in (0.0, 1.0)


def test_a_pattern_is_left_to_a_worker() -> None:
    form = Format(pattern=r"[ABCD]\.?")
    assert form.quick("A") is None
    assert [form.score_row(text) for text in ("A", "B.", "AB", "A\n")] == [1.0, 1.0, 0.0, 0.0]


def test_a_pattern_that_never_ends_is_unscored() -> None:
    batch = Batch({"response": ["a" * 60 + "!", "aaa"]})
    scores = evaluate(Format(pattern="(a+)+", timeout=1), batch)
    assert scores.values[1] == 1.0
    assert [failure.row for failure in scores.failures] == [0]


WRONG: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
    ((), {}),
    (("think",), {"pattern": "a"}),
    (("<think>",), {}),
    (("think", "think"), {}),
    (("",), {}),
    (("think",), {"outside": "before"}),
    ((), {"pattern": "(a"}),
]


@pytest.mark.parametrize(("names", "settings"), WRONG)
def test_wrong_settings(names: tuple[Any, ...], settings: dict[str, Any]) -> None:
    with pytest.raises(ExpressionError):
        Format(*names, **settings)


@pytest.mark.parametrize(
    "form", [ONE, TWO, Format(pattern="a+"), Format("a", "b", once=False, order=False, outside="any")]
)
def test_it_is_printed_and_saved(form: Format) -> None:
    assert parse(str(form)) == form
    assert from_json(to_json(form)) == form
    assert form != Format("other")
