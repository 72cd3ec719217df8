"""From records to batches and back: names, axes, bad rows, and values that come back as they were."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guerdon.batch import Batch
from guerdon.batch.records import Shaper, column_of, originals
from guerdon.errors import DataError, MissingColumn


def shape(rows, columns=None, textual=False, shaper=None) -> Batch:
    shaper = shaper or Shaper("a.jsonl", columns or {}, "line", textual)
    records = list(enumerate(rows, 1))
    shaper.see(records)
    return shaper.batch(records)


def back(batch, columns=None) -> list[dict]:
    named = originals(batch, columns or {})
    return [dict(zip(named, row, strict=True)) for row in zip(*(v.tolist() for v in named.values()), strict=True)]


def test_columns_keep_their_values_and_numeric_ones_their_type():
    batch = shape([{"a": 1, "b": 1.5, "c": True, "d": "x", "e": 1}, {"a": 2, "b": 2.0, "c": False, "e": 2.5}])
    kinds = {name: values.dtype.kind for name, values in batch.columns.items()}
    assert kinds == {"a": "i", "b": "f", "c": "b", "d": "O", "e": "O"}
    assert batch["d"].tolist() == ["x", None]
    assert list(map(type, batch["e"].tolist())) == [int, float]


@given(st.lists(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.lists(st.integers())))
def test_a_column_holds_exactly_its_values(values):
    found = column_of(values).tolist()
    assert found == values
    assert list(map(type, found)) == list(map(type, values))


def test_renaming_and_the_way_back():
    columns = {"reference": "answer", "response": "text", "group": "question", "prompt": "question"}
    rows = [{"question": "q", "answer": "4", "text": "5", "reference": "own", "file:x": 1, "more": None}]
    batch = shape(rows, columns)
    assert batch.columns.keys() == {
        *("reference", "response", "group", "prompt", "file:reference", "file:file:x", "more")
    }
    assert batch["reference"].tolist() == ["4"]
    assert batch["group"].tolist() == batch["prompt"].tolist() == ["q"]
    assert batch["file:reference"].tolist() == ["own"]
    assert back(batch, columns) == rows


def test_two_columns_may_change_places():
    columns = {"a": "b", "b": "a"}
    batch = shape([{"a": 1, "b": 2}], columns)
    assert (batch["a"].tolist(), batch["b"].tolist()) == ([2], [1])
    assert back(batch, columns) == [{"a": 1, "b": 2}]


def test_a_missing_column_names_the_nearest():
    with pytest.raises(
        MissingColumn, match=r"has no column 'answr' to be 'reference'; it has answer, text\..*'answer'\?"
    ):
        shape([{"answer": 1, "text": 2}], {"reference": "answr"})


def test_a_column_may_be_absent_from_later_chunks_and_stays():
    shaper = Shaper("a.jsonl", {"reference": "answer"}, "line", False)
    first = shape([{"answer": 1, "x": 2}], shaper=shaper)
    second = shape([{"y": 3}, "line 2: bad"], shaper=shaper)
    assert first.columns.keys() == {"reference", "x"}
    assert second.columns.keys() == {"reference", "x", "y"}
    assert second["reference"].tolist() == [None, None]


def test_names_that_begin_with_file_are_taken():
    with pytest.raises(DataError, match="cannot be renamed to 'file:x'"):
        Shaper("a.jsonl", {"file:x": "y"}, "line", False)


def test_an_unreadable_row_is_missing_everywhere():
    batch = shape([{"a": 1, "t.x": [1]}, "line 2: invalid JSON", {"a": 2, "t.x": [2, 3]}])
    assert batch.problems == {1: "line 2: invalid JSON"}
    assert batch["a"].tolist() == [1, None, 2]
    assert batch.axes["t"].counts.tolist() == [1, 0, 2]
    assert back(batch)[1] == {"a": None, "t.x": None}


def test_dotted_columns_of_lists_are_axes():
    rows = [
        {"token.logprob": [-0.5, 0], "token.id": [7, 8], "turn.role": ["user"], "meta.source": "web"},
        {"token.logprob": [], "token.id": [], "turn.role": ["a", "b"], "meta.source": None},
    ]
    batch = shape(rows)
    assert {name: axis.counts.tolist() for name, axis in batch.axes.items()} == {"token": [2, 0], "turn": [1, 2]}
    assert batch["token.logprob"].dtype.kind == "f"
    assert batch["token.id"].tolist() == [7, 8]
    assert batch.columns.keys() == {"meta.source"}
    assert back(batch) == [{k: row[k] for k in ["meta.source", *list(row)[:3]]} for row in rows]


@pytest.mark.parametrize("name", [".x", "x.", "."])
def test_a_dot_alone_makes_no_axis(name):
    assert shape([{name: [1, 2]}]).columns.keys() == {name}


def test_a_renamed_column_of_lists_is_an_axis_and_its_null_comes_back():
    columns = {"token.logprob": "logprobs"}
    rows = [{"logprobs": [-0.5, -1.5]}, {"logprobs": None}, {"logprobs": []}, {}]
    batch = shape(rows, columns)
    assert batch.axes["token"].counts.tolist() == [2, 0, 0, 0]
    assert [row["logprobs"] for row in back(batch, columns)] == [[-0.5, -1.5], None, [], None]


def test_a_column_missing_beside_others_is_filled():
    batch = shape([{"t.x": [1, 2], "t.y": None}, {"t.x": [3], "t.y": ["c"]}])
    assert batch["t.x"].tolist() == [1, 2, 3]
    assert batch["t.y"].tolist() == [None, None, "c"]
    assert back(batch) == [{"t.x": [1, 2], "t.y": None}, {"t.x": [3], "t.y": ["c"]}]


def test_lists_of_unequal_length_are_a_bad_row_that_comes_back():
    rows = [{"t.x": [1], "t.y": [2]}, {"t.x": [1, 2], "t.y": [3]}, {"t.x": [], "t.y": [4, 5]}]
    batch = shape(rows)
    why = "the columns of one axis need lists of one length, got t.x {} and t.y {} items"
    assert batch.problems == {1: "line 2: " + why.format(2, 1), 2: "line 3: " + why.format(0, 2)}
    assert batch.axes["t"].counts.tolist() == [1, 0, 0]
    assert back(batch) == rows


def test_what_is_no_list_is_a_bad_row():
    batch = shape([{"lp": [1]}, {"lp": 3}, {"lp": "[1"}, {"lp": "{}"}, {"lp": '["x"]'}], {"t.x": "lp"})
    assert batch.problems == {
        1: "line 2: t.x must hold a list, got 3",
        2: "line 3: t.x must hold a list, got [1",
        3: "line 4: t.x must hold a list, got {}",
    }
    assert batch["t.x"].tolist() == [1, "x"]
    assert [row["lp"] for row in back(batch, {"t.x": "lp"})] == [[1], 3, "[1", "{}", '["x"]']


def test_an_unreadable_row_keeps_its_own_reason():
    batch = shape([{"t.x": [1]}, "line 2: first reason"])
    assert batch.problems == {1: "line 2: first reason"}


def test_what_the_first_values_were_decides():
    shaper = Shaper("a.jsonl", {}, "line", False)
    assert shape([{"t.x": None, "u.x": None}], shaper=shaper).axes == {}
    assert shape([{"t.x": [1], "u.x": 1}], shaper=shaper).axes.keys() == {"t"}
    later = shape([{"t.x": 5, "u.x": [1]}, {}], shaper=shaper)
    assert later.axes.keys() == {"t"}
    assert later["u.x"].tolist() == [[1], None]
    assert later.problems == {0: "line 1: t.x must hold a list, got 5"}


def test_text_of_lists_is_an_axis_only_where_all_is_text():
    rows = [{"t.x": "[1, 2]", "t.y": "no"}]
    assert shape(rows).axes == {}
    textual = shape(rows, textual=True)
    assert textual["t.x"].tolist() == [1, 2]
    assert textual["t.y"].tolist() == ["no"]
    assert back(textual) == [{"t.y": "no", "t.x": "[1, 2]"}]


def test_large_ints_among_floats_stay_exact():
    assert shape([{"t.x": [2**53 + 1, 0.5]}])["t.x"].tolist() == [2**53 + 1, 0.5]
    assert shape([{"t.x": [1, 0.5]}])["t.x"].dtype == np.float64


def test_batches_of_one_file_can_be_joined_and_still_go_back():
    shaper = Shaper("a.jsonl", {}, "line", False)
    rows = [[{"t.x": [1]}, {"t.x": []}], [{"t.x": None}, {"t.x": [2]}]]
    joined = Batch.concat([shape(part, shaper=shaper) for part in rows])
    assert joined["t.x"].tolist() == [1, 2]
    assert [row["t.x"] for row in back(joined)][0::3] == [[1], [2]]
    assert back(joined.select([3, 0])) == [{"t.x": [2]}, {"t.x": [1]}]


LISTS = st.none() | st.lists(st.integers(0, 3) | st.sampled_from([0.5, "x", None]), max_size=3)
ROWS = st.lists(
    st.fixed_dictionaries(
        {"p": st.sampled_from([None, "a", 1])}, optional={"t.x": LISTS, "t.y": LISTS, "u.z": LISTS | st.just(4)}
    ),
    max_size=6,
)


@given(ROWS, st.sampled_from([{}, {"p": "t.x"}, {"t.x": "u.z"}, {"v.w": "p"}]))
def test_every_value_comes_back(rows, columns):
    keys = dict.fromkeys(key for row in rows for key in row)
    if not all(old in keys for old in columns.values()):
        columns = {}
    batch = shape(rows, columns)
    assert back(batch, columns) == [dict.fromkeys(keys) | row for row in rows if keys]
    assert all(sum(batch.axes[axis].counts[[*batch.problems]]) >= 0 for axis in batch.axes)
