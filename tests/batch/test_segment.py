"""Phases, steps and turns: the documented behaviour, literal re-computations, hostile text."""

from __future__ import annotations

import re
import sys
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guerdon.batch import Batch
from guerdon.batch.segment import Span, phases, rest, steps, with_phases, with_steps, with_turns
from guerdon.errors import DataError, ExpressionError, MissingColumn

PIECES = st.lists(st.sampled_from(["<t>", "</t>", "<u>", "</u>", "a", " ", "<", "t>", "\n"]), max_size=14).map("".join)


def inside(text: str, **options) -> dict[str, str | None]:
    return {name: span and span.of(text) for name, span in phases(text, **options).items()}


@pytest.mark.parametrize(
    ("text", "think", "answer"),
    [
        ("<think>why</think><answer>4</answer>", "why", "4"),
        ("no tags", None, None),
        ("", None, None),
        ("<think></think>", "", None),
        ("<think>never closed <answer>4</answer>", "never closed <answer>4</answer>", "4"),
        ("<answer>4", None, "4"),
        ("<think>", "", None),
        ("opened by the prompt</think> so <answer>4</answer>", "opened by the prompt", "4"),
        ("a</think>b</think>c", "a", None),
        ("4</answer>", None, None),
        ("4</answer> no, <answer>5</answer>", None, "5"),
        ("<think>a<think>b</think>c</think>d", "a<think>b</think>c", None),
        ("<think>a<think>b</think>c", "a<think>b</think>c", None),
        ("<think>a</think><think>b</think>", "a", None),
        ("<think>so <answer>4</answer> it is</think>", "so <answer>4</answer> it is", "4"),
        ("<Think>a</Think><THINK>", None, None),
        ("<think>a</think> stray </think>", "a", None),
        ("<think >a</think >", None, None),
        ("<think>\r\na\r\n</think>\r\n", "\r\na\r\n", None),
        ("<think>数🙂</think><answer>é</answer>", "数🙂", "é"),
    ],
)
def test_phases_behave_as_documented(text, think, answer):
    assert inside(text) == {"think": think, "answer": answer}


def test_pick_chooses_among_repeated_phases():
    text = "<answer>1</answer> wait <answer>2</answer> no <answer>3"
    assert inside(text, tags=["answer"], pick="first") == {"answer": "1"}
    assert inside(text, tags=["answer"], pick="last") == {"answer": "3"}


def test_a_closing_tag_starts_at_zero_only_where_the_prompt_may_have_opened_it():
    text = "thought</think>4</answer>"
    assert inside(text, implied_open=()) == {"think": None, "answer": None}
    assert inside(text, implied_open=("answer",)) == {"think": None, "answer": "thought</think>4"}
    assert inside(text, implied_open="think") == {"think": "thought", "answer": None}


def test_markers_can_be_literal_and_named():
    text = "<|begin_of_thought|>why.*<|end_of_thought|>4"
    pair = ("<|begin_of_thought|>", "<|end_of_thought|>")
    assert inside(text, tags=[pair]) == {"<|begin_of_thought|>": "why.*"}
    assert inside(text, tags={"thought": pair, "final": "answer"}) == {"thought": "why.*", "final": None}
    assert inside(text, tags="think") == {"think": None}


def test_equal_markers_alternate():
    assert inside("a $$x$$ b $$y", tags={"math": ("$$", "$$")}, pick="last") == {"math": "y"}
    assert inside("a $$x$$ b $$y$$", tags={"math": ("$$", "$$")}) == {"math": "x"}


def test_a_marker_that_begins_another_is_told_from_it():
    assert inside("[a[/ b [/]", tags={"x": ("[", "[/")}, pick="first") == {"x": "a"}


@pytest.mark.parametrize("tags", [[""], [("<a>", "")], [("<a>",)], {"": "a"}, [], ""])
def test_empty_tags_are_refused(tags):
    with pytest.raises(ExpressionError, match="tags are names or pairs of markers"):
        phases("text", tags)


def test_an_unknown_pick_is_refused():
    with pytest.raises(ExpressionError, match="'first' or 'last', not 'longest'"):
        phases("text", pick="longest")


def by_hand(text: str, tag: str, implied: bool) -> list[tuple[int, int]]:
    """Every outermost phase, character by character."""
    found, stack, seen, i = [], [], False, 0
    while i < len(text):
        if text[i:].startswith(f"<{tag}>"):
            stack.append(i + len(tag) + 2)
            seen, i = True, i + len(tag) + 2
        elif text[i:].startswith(f"</{tag}>"):
            if stack:
                start = stack.pop()
                found += [(start, i)] if not stack else []
            elif implied and not seen:
                found.append((0, i))
            seen, i = True, i + len(tag) + 3
        else:
            i += 1
    return found + ([(stack[0], len(text))] if stack else [])


@given(PIECES, st.booleans(), st.sampled_from(["first", "last"]))
def test_phases_are_what_a_stack_finds(text, implied, pick):
    spans = phases(text, ("t", "u"), pick=pick, implied_open=("t",) if implied else ())
    for tag in ("t", "u"):
        wanted = by_hand(text, tag, implied and tag == "t")
        assert spans[tag] == (wanted[0 if pick == "first" else -1] if wanted else None)


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("<think>why</think> 4", " 4"),
        ("why</think> 4", " 4"),
        ("4", "4"),
        ("", ""),
        ("<think>why", ""),
        ("<think>a</think> 3 <think>b</think> 4", " 4"),
        ("<think>a</think> 3 <think>b", ""),
        ("a</think> 3 </think> 4", " 4"),
        ("<think>a</think>", ""),
    ],
)
def test_the_rest_is_what_follows_the_last_thought(text, after):
    assert rest(text).of(text) == after


def test_the_rest_ignores_a_closing_tag_that_nothing_opened():
    assert rest("a</think>4", implied_open=()) == Span(0, 10)
    assert rest("a]]4", ("[[", "]]")) == Span(0, 4)
    assert rest("[[a]]4", ("[[", "]]")) == Span(5, 6)


@pytest.mark.parametrize(
    ("by", "text", "wanted"),
    [
        ("line", "one\n\n  two \r\nthree\rfour", ["one", "two", "three", "four"]),
        ("line", " \n\t\n", []),
        ("line", "", []),
        ("blank_line", "one\ntwo\n\nthree\n \t\nfour\n\n\n", ["one\ntwo", "three", "four"]),
        ("blank_line", "one\r\ntwo\r\n\r\nthree", ["one\r\ntwo", "three"]),
        ("blank_line", "\n\none", ["one"]),
        ("sentence", "It is so. Is it? Yes!", ["It is so.", "Is it?", "Yes!"]),
        (r"marker:Step \d+:", "Plan.\nStep 1: a\nStep 22: b", ["Plan.", "Step 1: a", "Step 22: b"]),
        (r"marker:Step \d+:", "Step 1: a", ["Step 1: a"]),
        (r"marker:Step \d+:", "no marker", ["no marker"]),
        ("marker:(?m)^- ", "- a - b\r\n- c", ["- a - b", "- c"]),
        ("marker:(?=Step)", "Step 1 Step 2", ["Step 1", "Step 2"]),
    ],
)
def test_steps(by, text, wanted):
    assert [span.of(text) for span in steps(text, by)] == wanted


STEPPED = st.text(st.sampled_from("ab1. \n\r\t$!?…(\"') \u3000。\\[]"), max_size=40)


@given(STEPPED, st.sampled_from(["line", "blank_line", "sentence", r"marker:a+", r"marker:", r"marker:\s*b"]))
def test_steps_are_ordered_stripped_and_cover_the_text(text, by):
    spans = steps(text, by)
    assert all(span.of(text) and span.of(text) == span.of(text).strip() for span in spans)
    assert all(left.end <= right.start for left, right in pairwise(spans))
    inked = [i for i, char in enumerate(text) if not char.isspace()]
    assert [i for span in spans for i in range(*span) if not text[i].isspace()] == inked


@given(st.text(st.sampled_from("ab \t\n\r"), max_size=30))
def test_paragraphs_are_runs_of_lines_that_are_not_blank(text):
    wanted, run = [], []
    for line in [*re.split("\r\n|\r|\n", text), ""]:
        if line.strip():
            run.append(line.strip())
        elif run:
            wanted.append(run)
            run = []
    found = [re.split(r"\s*[\r\n]+\s*", span.of(text)) for span in steps(text, "blank_line")]
    assert found == wanted


def test_an_unknown_cut_names_the_nearest():
    with pytest.raises(ExpressionError, match=r"steps by 'lines'.*Did you mean 'line'"):
        steps("text", "lines")
    with pytest.raises(ExpressionError, match=r"'\(' is not a regular expression"):
        steps("text", "marker:(")


HOSTILE = [
    "<think>",
    "</think>",
    "<think></think>",
    "<",
    "\n",
    "\n ",
    ". ",
    '."',
    "$",
    "$a",
    "\\(",
    "Mr. ",
    "...",
    "1.",
]


def lines_run(call) -> int:
    """How many lines of Python `call` executes."""
    count = 0

    def trace(frame, event, argument):
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("unit", HOSTILE)
@pytest.mark.parametrize("by", [None, "line", "blank_line", "sentence"])
def test_twice_the_text_costs_twice_the_work(unit, by):
    def work(times):
        text = unit * times + "x"
        return lines_run(lambda: phases(text) and rest(text) if by is None else steps(text, by))

    assert work(2000) <= 2.1 * work(1000) + 100


@pytest.mark.parametrize("unit", HOSTILE)
def test_a_hostile_text_of_five_megabytes_ends(unit):
    """A quadratic regular expression would take hours here."""
    text = unit * (1_000_000 // len(unit)) + "x" * 4_000_000
    phases(text)
    for by in ("line", "blank_line", "sentence"):
        assert steps(text, by) is not None


def test_a_hundred_thousand_tags_that_nobody_closes():
    text = "<think>" * 100_000
    assert phases(text) == {"think": Span(7, len(text)), "answer": None}


def test_with_phases_adds_a_text_column_per_tag():
    batch = Batch({"response": ["<think>a</think><answer>b</answer>", "c", None]})
    added = with_phases(batch)
    assert added["think"].tolist() == ["a", "", None]
    assert added["answer"].tolist() == ["b", "", None]
    assert added["response"].tolist() == batch["response"].tolist()
    assert len(with_phases(Batch({"response": []}))) == 0


def test_with_phases_reads_the_last_message_of_a_chat_and_adds_the_rest():
    chat = [{"role": "user", "content": "<think>no</think>"}, {"role": "assistant", "content": "a</think> b"}]
    added = with_phases(Batch({"reply": [chat, None]}), ["think", "answer"], "reply", rest_as="final")
    assert added["think"].tolist() == ["a", None]
    assert added["final"].tolist() == [" b", None]
    apart = with_phases(Batch({"reply": [chat]}), ["think"], "reply", implied_open=(), rest_as="final")
    assert apart["final"].tolist() == ["a</think> b"]


def test_with_phases_does_not_replace_a_column():
    with pytest.raises(DataError, match=r"already has a column 'answer'.*tags=\{'answer_phase'"):
        with_phases(Batch({"response": ["a"], "answer": ["4"]}))
    with pytest.raises(DataError, match="already has a column 'final'"):
        with_phases(Batch({"response": ["a"], "final": ["4"]}), rest_as="final")
    named = with_phases(Batch({"response": ["<answer>5"], "answer": ["4"]}), {"said": "answer"})
    assert named["said"].tolist() == ["5"]
    assert named["answer"].tolist() == ["4"]


def test_with_steps_opens_an_axis_of_spans():
    text = "<think>one\ntwo</think>\nthree"
    axis = with_steps(Batch({"response": [text, None, "", "x"]})).axes["step"]
    assert axis.counts.tolist() == [3, 0, 0, 1]
    assert axis.columns["text"].tolist() == ["<think>one", "two</think>", "three", "x"]
    starts, ends = axis.columns["start"].tolist(), axis.columns["end"].tolist()
    assert [text[a:b] for a, b in zip(starts[:3], ends[:3], strict=True)] == axis.columns["text"].tolist()[:3]
    assert set(axis.columns) == {"text", "start", "end"}


def test_with_steps_cuts_at_phases_and_labels_them():
    text = "hm <think>one\ntwo <answer>3</answer> four</think> five"
    axis = with_steps(Batch({"response": [text]}), phase=("think", "answer")).axes["step"]
    assert axis.columns["text"].tolist() == ["hm", "one", "two", "3", "four", "five"]
    assert axis.columns["phase"].tolist() == ["", "think", "think", "answer", "think", ""]
    assert all(
        text[a:b] == said for said, a, b in zip(*(axis.columns[c] for c in ("text", "start", "end")), strict=True)
    )


def test_overlapping_phases_lose_only_their_markers():
    axis = with_steps(Batch({"response": ["<a>1<b>2</a>3</b>4"]}), phase=["a", "b"]).axes["step"]
    assert axis.columns["text"].tolist() == ["1", "2", "3", "4"]
    assert axis.columns["phase"].tolist()[0::2] == ["a", "b"]
    assert axis.columns["phase"].tolist()[3] == ""


def test_steps_of_nothing_have_the_columns_all_the_same():
    axis = with_steps(Batch({"response": [None, "  "]}), phase="think").axes["step"]
    assert axis.counts.tolist() == [0, 0]
    assert {name: len(values) for name, values in axis.columns.items()} == dict.fromkeys(
        ["text", "start", "end", "phase"], 0
    )
    assert axis.columns["start"].dtype.kind == "i"


def test_with_turns_opens_an_axis_of_messages():
    chat = [
        {"role": "user", "content": "6 * 7?"},
        {"role": "assistant", "content": None, "tool_calls": [1]},
        {"role": "tool", "content": [{"type": "text", "text": "42"}, {"type": "image", "url": "x"}]},
        {"content": "42"},
    ]
    axis = with_turns(Batch({"messages": [chat, None, "plain", []]})).axes["turn"]
    assert axis.counts.tolist() == [4, 0, 1, 0]
    assert axis.columns["role"].tolist() == ["user", "assistant", "tool", "assistant", "assistant"]
    assert axis.columns["content"].tolist() == ["6 * 7?", "", "42", "42", "plain"]
    assert with_turns(Batch({"prompt": ["hi"]}), "prompt").axes["turn"].columns["role"].tolist() == ["user"]


@pytest.mark.parametrize("value", [7, ["text"], {"role": "user"}, [[1]]])
def test_turns_of_something_else_name_the_row(value):
    batch = Batch({"messages": [None, value]})
    if isinstance(value, dict):
        assert with_turns(batch).axes["turn"].counts.tolist() == [0, 1]
        return
    with pytest.raises(DataError, match="row 1: column 'messages' must hold text or a list"):
        with_turns(batch)


def test_a_missing_column_is_named():
    with pytest.raises(MissingColumn, match="Did you mean 'response'"):
        with_steps(Batch({"response": ["a"]}), of="respons")
