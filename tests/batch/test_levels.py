"""Index arithmetic: axes, labels, pieces, and travel between the levels."""

from __future__ import annotations

import math
from collections.abc import Hashable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guerdon.batch import Batch
from guerdon.batch.levels import Axis, Levels, Segments, as_column, codes_of, combine
from guerdon.errors import DataError, LevelError
from tests.strategies import FINER, NAN, World, assert_same, numbers, worlds

lengths = st.lists(st.integers(0, 4), max_size=7)


def objects(values: list[Any]) -> np.ndarray[Any, Any]:
    column = np.empty(len(values), object)
    for i, value in enumerate(values):
        column[i] = value
    return column


@given(lengths)
def test_an_axis_knows_the_row_and_place_of_each_item(counts: list[int]) -> None:
    axis = Axis.from_counts(counts)
    items = [(row, k) for row, count in enumerate(counts) for k in range(count)]
    assert list(zip(axis.index.tolist(), axis.position.tolist(), strict=True)) == items
    assert len(axis) == len(items)


@given(lengths, st.data())
def test_selecting_rows_of_an_axis_takes_their_items(counts: list[int], data: st.DataObject) -> None:
    """Any rows in any order, some twice, some never."""
    lists = [[f"{row}.{k}" for k in range(count)] for row, count in enumerate(counts)]
    rows = data.draw(st.lists(st.sampled_from(range(len(counts))), max_size=9)) if counts else []
    axis = Axis.from_lists(len(counts), {"name": lists})
    chosen = axis.select(np.array(rows, np.int64))
    assert chosen.columns["name"].tolist() == [name for row in rows for name in lists[row]]
    assert chosen.counts.tolist() == [counts[row] for row in rows]
    starts = np.cumsum([0, *counts])
    items = [starts[row] + k for row in rows for k in range(counts[row])]
    assert axis.items(np.array(rows, np.int64)).tolist() == items


def test_lists_of_an_axis_must_line_up() -> None:
    with pytest.raises(DataError, match=r"'b' does not line up .* at row 1"):
        Axis.from_lists(2, {"a": [[1], [2, 3]], "b": [[1], [2]]})
    with pytest.raises(DataError, match="one list per row"):
        Axis.from_lists(2, {"a": [[1]]})
    with pytest.raises(DataError, match="has 1 values, the counts add up to 2"):
        Axis.from_counts([2], {"a": [1]})
    with pytest.raises(DataError, match="numbers >= 0"):
        Axis.from_counts([-1])
    with pytest.raises(DataError, match="numbers >= 0"):
        Axis.from_counts([[1]])  # type: ignore[list-item]
    assert Axis.from_lists(3, {}).counts.tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, 2], "i"),
        ([True, False], "b"),
        ([0.5, NAN], "f"),
        ([np.float64(1), 2.0], "f"),
        ([2**63], "u"),
        ([1, 0.5], "O"),
        ([True, 1], "O"),
        ([1, None], "O"),
        ([2**70], "O"),
        ([2**63, -1], "O"),
        (["a"], "O"),
        ([[1], [2]], "O"),
        ([[1, 2], [3, 4]], "O"),
        ([np.arange(2), np.arange(2)], "O"),
        ([{"a": 1}], "O"),
        ([], "O"),
        (np.arange(3), "i"),
        (np.array(["a", "b"]), "O"),
        (np.ones((2, 2)), "O"),
        (range(3), "i"),
        ((1.5, 2.5), "f"),
    ],
)
def test_only_values_of_one_numeric_kind_become_numbers(values: Any, kind: str) -> None:
    column = as_column(values)
    assert column.dtype.kind == kind
    assert column.shape == (len(values),)
    for stored, value in zip(column.tolist(), values, strict=True):
        same = np.array_equal(stored, value) if isinstance(value, np.ndarray) else stored == value
        assert same or stored != stored


LABELS = st.one_of(
    st.lists(st.sampled_from(["a", "b", "", None, NAN])),
    st.lists(st.sampled_from([1.5, 0.0, -0.0, NAN, math.inf])),
    st.lists(st.sampled_from([1, 2, 2**70, -(2**70), None])),
    st.lists(st.sampled_from(["a", 1, 1.5, None, NAN, (1, 2), "\ud800"])),
    st.lists(st.sampled_from([[1], [1, [2]], [NAN], [None], None, [], {"a": 1, "b": 2}, {"b": 2, "a": 1}])),
    st.lists(st.booleans()),
)


def content(value: Any) -> Hashable:
    """Equal for equal content: the definition of a label, in plain Python."""
    if value is None or value != value:
        return "missing"
    if isinstance(value, list | tuple):
        return ("list", *map(content, value))
    return ("dict", *sorted(value.items())) if isinstance(value, dict) else ("value", value)


@given(LABELS)
def test_codes_number_values_by_first_appearance(values: list[Any]) -> None:
    seen = list(dict.fromkeys(content(value) for value in values))
    wanted = [seen.index(content(value)) for value in values]
    codes, size = codes_of(objects(values))
    assert codes.tolist() == wanted
    assert size == len(seen)
    assert codes.dtype == np.int64
    codes, size = codes_of(as_column(values))
    assert (codes.tolist(), size) == (wanted, len(seen))


def test_labels_of_numpy_types() -> None:
    for array in (
        np.array([3, 1, 3], np.uint8),
        np.array([0.5, 0.25, 0.5], np.float16),
        np.array([0.5, 0.25, 0.5], np.float32),
        np.array([True, False, True]),
        np.array(["x", "y", "x"]),
    ):
        assert codes_of(array)[0].tolist() == [0, 1, 0]


def test_long_arrays_are_told_apart() -> None:
    """Their repr leaves out the middle."""
    one, other = np.zeros(5000), np.zeros(5000)
    other[2500] = 1
    assert codes_of(objects([one, other, one.copy()]))[0].tolist() == [0, 1, 0]


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(0, 1))))
def test_combined_labels_are_tuples_of_labels(rows: list[tuple[int, int, int]]) -> None:
    parts = [(np.array([row[i] for row in rows], np.int64), size) for i, size in enumerate((3, 4, 2))]
    codes, size = combine(parts, len(rows))
    seen = list(dict.fromkeys(rows))
    assert codes.tolist() == [seen.index(row) for row in rows]
    assert size == len(seen)
    assert combine([], 3)[0].tolist() == [0, 0, 0]


pieces = st.lists(st.tuples(st.integers(0, 4), numbers.filter(lambda v: v == v)), max_size=12)


@given(pieces)
def test_pieces_are_their_definition(rows: list[tuple[int, float]]) -> None:
    segments = Segments(np.array([row[0] for row in rows], np.int64), 5)
    x = np.array([row[1] for row in rows], np.float64)
    lists = [[value for code, value in rows if code == piece] for piece in range(5)]
    assert segments.counts.tolist() == [len(values) for values in lists]
    assert_same(segments.sum(x), [math.fsum(values) for values in lists])
    assert_same(segments.extreme(x, np.minimum, -99), [sorted(v)[0] if v else -99 for v in lists])
    assert_same(segments.extreme(x, np.maximum, NAN), [sorted(v)[-1] if v else NAN for v in lists])
    assert_same(segments.mean(x), [math.fsum(v) / len(v) if v else NAN for v in lists])
    for ddof in (0, 1, 2):
        mean, variance = segments.moments(x, ddof)
        assert_same(mean, segments.mean(x))
        spread = [math.fsum((a - math.fsum(v) / len(v)) ** 2 for a in v) for v in lists]
        assert_same(
            variance, [s / (len(v) - ddof) if len(v) > ddof else NAN for s, v in zip(spread, lists, strict=True)]
        )
    assert x[segments.order].tolist() == [value for values in lists for value in values]
    assert x[segments.sorted(x)].tolist() == [value for values in lists for value in sorted(values)]
    assert segments.rows(segments.order).tolist() == [k for values in lists for k in range(len(values))]


@given(st.integers(1, 5), st.integers(1, 4), st.data())
def test_pieces_of_one_length_give_the_bits_of_ragged_ones(width: int, size: int, data: st.DataObject) -> None:
    """Equal pieces that lie one after another are taken as a table; an empty piece at the end rules that out."""
    x = np.array(data.draw(st.lists(st.floats(-9, 9), min_size=width * size, max_size=width * size)), np.float64)
    codes = np.repeat(np.arange(size), width)
    table, ragged = Segments(codes, size), Segments(codes, size + 1)
    assert (table.width, ragged.width) == (width, 0)
    for name in ("sum", "mean"):
        np.testing.assert_array_equal(getattr(table, name)(x), getattr(ragged, name)(x)[:-1], err_msg=name)
    for of in (np.minimum, np.maximum, np.multiply):
        np.testing.assert_array_equal(table.extreme(x, of, NAN), ragged.extreme(x, of, NAN)[:-1])
    for one, other in zip(table.moments(x, 1), ragged.moments(x, 1), strict=True):
        np.testing.assert_array_equal(one, other[:-1])
    assert table.spread(np.arange(size, dtype=np.float64)).tolist() == codes.tolist()
    assert table.sorted(x).tolist() == ragged.sorted(x).tolist()


@pytest.mark.parametrize(
    ("codes", "size", "width"),
    [
        ([0, 0, 1, 1], 2, 2),
        ([0, 1, 0, 1], 2, 0),
        ([0, 0, 0, 1], 2, 0),
        ([1, 1, 0, 0], 2, 0),
        ([0, 0], 2, 0),
        ([], 0, 0),
        ([0] * 64, 1, 64),
        ([0] * 65, 1, 0),
    ],
)
def test_only_short_equal_pieces_in_order_are_a_table(codes: list[int], size: int, width: int) -> None:
    assert Segments(np.array(codes, np.int64), size).width == width


def test_sorting_keeps_ties_in_row_order_and_missing_values_last() -> None:
    segments = Segments(np.array([1, 0, 1, 1, 0]), 2)
    assert segments.sorted(np.array([NAN, 5.0, 2.0, 2.0, 5.0])).tolist() == [1, 4, 2, 3, 0]


@given(worlds(), st.data())
def test_travel_between_levels(world: World, data: st.DataObject) -> None:
    start = data.draw(st.sampled_from(sorted(FINER)))
    end = data.draw(st.sampled_from([level for level in sorted(FINER) if FINER[level] >= FINER[start]]))
    levels = world.batch.levels()
    sources, targets = world.places(start), world.places(end)
    assert levels.size(start) == len(sources)
    values = np.arange(len(sources), dtype=np.float64)
    wanted = [sources.index(world.up(place, end, start)) for place in targets]
    assert levels.spread(values, start, end).tolist() == wanted
    if start != "step":
        codes = levels.segments(end, start)
        assert codes.codes.tolist() == wanted
        assert codes.size == len(sources)


def test_unknown_levels_are_explained() -> None:
    levels = Batch({"x": [1.0]}).levels()
    with pytest.raises(LevelError, match="no axis 'step'; it has none"):
        levels.size("step")
    with pytest.raises(LevelError, match="no groups: add a column `group`"):
        levels.size("group")
    levels = Batch.from_records([{"turn.role": ["user"], "step.v": [1.0]}]).levels()
    with pytest.raises(LevelError, match=r"no axis 'token'; it has step, turn.*'token\.<column>'"):
        levels.axis("token")


def test_a_source_opens_an_axis_once() -> None:
    levels = Levels(3, None, {})
    levels.open("test", np.array([2, 0, 1]))
    levels.open("test", np.array([2, 0, 1]))
    assert levels.size("test") == 3
    with pytest.raises(LevelError, match="disagree at row 1: 0 items and 5"):
        levels.open("test", np.array([2, 5, 1]))
