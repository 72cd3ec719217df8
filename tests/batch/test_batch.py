"""The table of samples: columns, conversions, selections, and the way from records and back."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guerdon.batch import Batch
from guerdon.batch.batch import missing, text_of
from guerdon.batch.levels import Axis
from guerdon.errors import DataError, MissingColumn
from tests.strategies import NAN, World, worlds

TALK = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "1+1?"}]


def same(one: Any, other: Any) -> bool:
    """Equal, or both NaN; lists item by item."""
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and (one == other or (one != one and other != other))


def assert_same_records(given_records: list[dict[str, Any]], wanted: list[dict[str, Any]]) -> None:
    assert len(given_records) == len(wanted)
    for one, other in zip(given_records, wanted, strict=True):
        assert list(one) == list(other)
        for name in one:
            assert same(one[name], other[name]), f"{name}: {one[name]!r} is not {other[name]!r}"


cells = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3), st.lists(st.integers(), max_size=2)
)
names = st.sampled_from(["response", "reference", "x", "y"])


@st.composite
def records(draw: Any) -> list[dict[str, Any]]:
    columns = draw(st.lists(names, unique=True, min_size=1))
    rows: list[dict[str, Any]] = [{name: draw(cells) for name in columns} for _ in range(draw(st.integers(0, 5)))]
    for row in rows:
        row["step.gain"] = draw(st.lists(st.floats(), max_size=3))
        row["step.text"] = [draw(st.text(max_size=2)) for _ in row["step.gain"]]
    return rows


@given(records())
def test_records_come_back_as_they_were(rows: list[dict[str, Any]]) -> None:
    """Ints stay ints beside floats and None, bools stay bools, NaN stays NaN, lists and axes keep their lengths."""
    assert_same_records(Batch.from_records(rows).records(), rows)


@given(worlds(), st.data())
def test_selecting_is_indexing(world: World, data: st.DataObject) -> None:
    rows = data.draw(st.lists(st.sampled_from(range(len(world.rows))))) if world.rows else []
    whole = world.batch.records()
    assert_same_records(world.batch.select(rows).records(), [whole[row] for row in rows])
    mask = np.array([row in rows for row in range(len(whole))], bool)
    assert_same_records(world.batch.select(mask).records(), [whole[row] for row in sorted(set(rows))])


@given(worlds(), st.data())
def test_concat_puts_a_cut_batch_together(world: World, data: st.DataObject) -> None:
    size = len(world.rows)
    cuts = sorted(data.draw(st.lists(st.integers(0, size), max_size=3)))
    parts = [world.batch.select(list(range(a, b))) for a, b in zip([0, *cuts], [*cuts, size], strict=True)]
    joined = Batch.concat(parts)
    assert_same_records(joined.records(), world.batch.records())
    for name in world.batch.columns:
        assert joined[name].dtype == world.batch[name].dtype


def test_a_key_that_a_row_lacks_is_missing_there() -> None:
    batch = Batch.from_records([{"x": 1, "step.v": [1.0]}, {"y": "b"}, {"step.v": None}])
    assert batch["x"].tolist() == [1, None, None]
    assert batch["y"].tolist() == [None, "b", None]
    assert batch.axes["step"].counts.tolist() == [1, 0, 0]
    assert len(Batch.from_records([])) == 0
    assert Batch.from_records([{}, {}]).size == 2
    assert Batch.from_records([{}, {}]).records() == [{}, {}]


def test_a_dotted_key_without_lists_stays_a_column() -> None:
    batch = Batch.from_records([{"meta.score": 3}, {"meta.score": [1]}])
    assert batch["meta.score"].tolist() == [3, [1]]
    assert not batch.axes


def test_records_under_other_names() -> None:
    rows = [{"answer": "2", "gold": 3, "lp": [0.5, 0.25]}]
    batch = Batch.from_records(rows, {"response": "answer", "token.logprob": "lp"})
    assert batch.names == ["response", "gold", "token.logprob"]
    with pytest.raises(MissingColumn, match=r"no column 'anser'.*Did you mean 'answer'"):
        Batch.from_records(rows, {"response": "anser"})
    assert Batch.from_records([], {"response": "answer"}).size == 0


def test_names_that_collide_while_renaming() -> None:
    rows = [{"response": "old", "answer": "new", "b": 1, "a": 2}]
    batch = Batch.from_records(rows, {"response": "answer", "a": "b", "b": "a"})
    assert batch.records() == [{"response": "new", "a": 1, "b": 2}]
    later = Batch.from_records([{"answer": "new", "response": "old"}], {"response": "answer"})
    assert later.records() == [{"response": "new"}]
    twice = Batch.from_records(rows, {"group": "answer", "user": "answer"})
    assert twice.records() == [{"response": "old", "group": "new", "user": "new", "b": 1, "a": 2}]

    swapped = Batch({"answer": ["new"], "response": ["old"]}).rename({"response": "answer"})
    assert swapped.records() == [{"response": "new"}]
    batch = Batch.from_records(rows)
    assert batch.rename({"response": "answer"}).names == ["response", "b", "a"]
    assert batch.rename({"response": "answer"})["response"].tolist() == ["new"]
    assert batch.rename({"a": "b", "b": "a"}).records()[0] == {"response": "old", "answer": "new", "a": 1, "b": 2}
    assert batch.rename({"group": "a", "user": "a"}).records()[0]["group"] == 2
    assert batch.rename({"a": "a"}).names == batch.names
    with pytest.raises(MissingColumn, match="Did you mean 'answer'"):
        batch.rename({"x": "answr"})


def test_renaming_to_a_dotted_name_opens_an_axis() -> None:
    batch = Batch.from_records([{"lp": [0.5, 0.25], "step.v": [1.0], "meta.score": 3}, {"lp": None}])
    opened = batch.rename({"token.logprob": "lp", "score": "meta.score"})
    assert opened.names == ["score", "step.v", "token.logprob"]
    assert opened["token.logprob"].tolist() == [0.5, 0.25]
    assert opened.axes["token"].counts.tolist() == [2, 0]
    assert batch.rename({"meta.points": "meta.score"})["meta.points"].tolist() == [3, None]
    with pytest.raises(DataError, match=r"'step\.v' is a column of an axis"):
        batch.rename({"gain": "step.v"})
    with pytest.raises(DataError, match="already has an axis 'step'"):
        batch.rename({"step.logprob": "lp"})


def test_concat_with_columns_and_axes_that_one_part_lacks() -> None:
    one = Batch({"x": [1, 2]}, {"step": Axis.from_lists(2, {"v": [[1.0], []]})}, {1: "line 2 is no JSON"})
    other = Batch({"y": ["a"]}, {"token": Axis.from_counts([2], {"id": [7, 8]})}, {0: "broken"})
    joined = Batch.concat([one, other, Batch({}, size=1)])
    assert joined["x"].tolist() == [1, 2, None, None]
    assert joined["y"].tolist() == [None, None, "a", None]
    assert joined.axes["step"].counts.tolist() == [1, 0, 0, 0]
    assert joined.axes["token"].counts.tolist() == [0, 0, 2, 0]
    assert joined["token.id"].tolist() == [7, 8]
    assert joined.problems == {1: "line 2 is no JSON", 2: "broken"}
    assert Batch.concat([]).size == 0


def test_concat_keeps_numbers_as_written() -> None:
    joined = Batch.concat([Batch({"x": [18]}), Batch({"x": [2.5]}), Batch({"x": [True]}), Batch({"x": []})])
    assert joined.text("x") == ["18", "2.5", "True"]
    for empty in (Batch({"x": []}), Batch({"y": []}), Batch({}, size=0)):
        assert Batch.concat([Batch({"x": [18]}), empty, Batch({"x": [19]})])["x"].dtype.kind == "i"


def test_problems_travel_with_their_rows() -> None:
    batch = Batch({"x": [1, 2, 3]}, problems={1: "bad"})
    assert batch.select([2, 1, 1]).problems == {1: "bad", 2: "bad"}
    assert batch.select(np.array([True, False, True])).problems == {}
    assert batch.with_columns({"y": [1, 2, 3]}).problems == {1: "bad"}
    assert batch.rename({"y": "x"}).problems == {1: "bad"}


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: Batch({"x": [1], "y": [1, 2]}), r"\(1 rows\), got x 1, y 2"),
        (lambda: Batch({"x": [1]}, {"step": Axis.from_counts([1, 2])}), "x 1, axis step 2"),
        (lambda: Batch({"x": [1]}, size=3), r"\(3 rows\), got x 1"),
        (lambda: Batch({"x": [1]}, problems={1: "?"}), "outside 0..0"),
        (lambda: Batch({"x": [1]}).with_columns({"y": []}), "x 1, y 0"),
        (lambda: Batch({"x": [1]}).with_axis("step", Axis.from_counts([])), "axis step 0"),
        (lambda: Batch({"x": [1, 2]}).select(np.array([True])), "a mask needs one entry per row"),
        (lambda: Batch({"x": [1, 2]}).select([True, False, True]), r"\(2 rows\), got 3"),
        (lambda: Batch({"x": [1, 2]}).select([0, 2]), r"rows lie in 0..1, got 0..2"),
        (lambda: Batch({"x": [1, 2]}).select([-1]), r"rows lie in 0..1, got -1..-1"),
    ],
)
def test_wrong_lengths_are_refused(build: Any, words: str) -> None:
    with pytest.raises(DataError, match=words):
        build()


def test_a_missing_column_names_the_nearest() -> None:
    batch = Batch.from_records([{"response": "a", "token.logprob": [0.5]}])
    with pytest.raises(MissingColumn, match=r"'respons'.*Did you mean 'response'.*--column respons="):
        batch["respons"]
    with pytest.raises(MissingColumn, match=r"Did you mean 'token\.logprob'"):
        batch["token.logprobs"]
    with pytest.raises(LookupError):
        batch["token"]
    assert "token.logprob" in batch
    assert "token" not in batch


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("as it is ", "as it is "),
        ("", ""),
        (None, None),
        (NAN, None),
        (np.float64("nan"), None),
        (18, "18"),
        (18.0, "18.0"),
        (-0.5, "-0.5"),
        (True, "True"),
        (math.inf, "inf"),
        (TALK, "1+1?"),
        (np.array(TALK, object), "1+1?"),
        (tuple(TALK), "1+1?"),
        ([{"role": "assistant", "content": None}], ""),
        ([{"content": [{"type": "text", "text": "a"}, {"type": "image"}, {"type": "text", "text": None}, "b"]}], "ab"),
        ([], "[]"),
        ([1, 2], "[1, 2]"),
        ([{"role": "user"}], "[{'role': 'user'}]"),
        ({"a": 1}, "{'a': 1}"),
    ],
)
def test_cells_as_text(value: Any, text: str | None) -> None:
    assert text_of(value) == text
    assert Batch.from_records([{"response": value}, {"response": "x"}]).text("response") == [text, "x"]


def test_a_prompt_is_all_its_messages() -> None:
    batch = Batch({"prompt": [TALK, "plain", None, [{"content": "no role"}]]})
    assert batch.text("prompt") == ["system: Be brief.\nuser: 1+1?", "plain", None, "user: no role"]


def test_numbers_keep_their_writing_beside_others() -> None:
    assert Batch({"x": [18, 2.5]}).text("x") == ["18", "2.5"]
    assert Batch({"x": [18, NAN]}).text("x") == ["18", None]
    assert Batch({"x": [18, None]}).text("x") == ["18", None]


def test_cells_as_numbers() -> None:
    values = [
        True,
        False,
        3,
        2.5,
        " -1e3 ",
        "inf",
        "n/a",
        "",
        None,
        NAN,
        [1.0],
        np.array([1.0]),
        {},
        10**400,
        np.int8(7),
    ]
    wanted = [1, 0, 3, 2.5, -1000, math.inf, *[NAN] * 8, 7]
    np.testing.assert_array_equal(Batch({"x": values}).numbers("x"), wanted)
    assert Batch({"x": np.array([1, 2], np.uint8)}).numbers("x").dtype == np.float64
    assert Batch({"x": []}).numbers("x").tolist() == []
    assert Batch({"x": np.array(["1", "b"])}).numbers("x")[0] == 1


@given(st.lists(st.floats() | st.none() | st.booleans()))
def test_numbers_of_numeric_columns_are_exact(values: list[Any]) -> None:
    wanted = [NAN if value is None else float(value) for value in values]
    np.testing.assert_array_equal(Batch({"x": values}).numbers("x"), wanted)


def test_groups_are_the_group_column_or_equal_prompts() -> None:
    both = Batch({"group": ["b", "a", "b"], "prompt": ["p", "p", "p"]})
    assert both.codes("group")[0].tolist() == [0, 1, 0]
    only_prompts = Batch({"prompt": [TALK, "p", [dict(message) for message in TALK]]})
    assert only_prompts.codes("group")[0].tolist() == [0, 1, 0]
    with pytest.raises(MissingColumn, match="'group'"):
        Batch({"x": [1]}).codes("group")


def test_ten_thousand_groups_of_one() -> None:
    codes, size = Batch({"group": [f"q{i}" for i in range(10_000)]}).codes("group")
    assert size == 10_000
    assert codes.tolist() == list(range(10_000))


def test_a_batch_shows_what_it_has() -> None:
    batch = Batch.from_records([{"response": "a", "step.v": [1.0, 2.0]}])
    assert repr(batch) == "Batch(1 rows: response, step: 2 items)"
    assert repr(Batch({})) == "Batch(0 rows: no columns)"
    assert len(Batch({}, size=4)) == 4


@pytest.mark.parametrize(("value", "is_missing"), [(None, True), (NAN, True), (0, False), ("", False), ([], False)])
def test_missing_is_none_or_nan(value: Any, is_missing: bool) -> None:
    assert missing(value) is is_missing


def test_from_files_reads_one_after_another(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "1", "x": 1}\n')
    (tmp_path / "b.csv").write_text("text\n2\n")
    batch = Batch.from_files(tmp_path / "a.jsonl", tmp_path / "b.csv", columns={"response": "text"})
    assert batch["response"].tolist() == ["1", "2"]
    assert batch["x"].tolist() == [1, None]
    with pytest.raises(DataError, match="does not exist"):
        Batch.from_files(tmp_path / "absent.csv")
