"""Parquet: Python values in and out, schemas that widen on the way, files that cannot be read."""

from __future__ import annotations

import datetime
import itertools
import math

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guerdon.batch.formats.comma import cell_text
from guerdon.batch.formats.parquet import ParquetSink, read_parquet
from guerdon.errors import DataError


def column(*values):
    return np.fromiter(values, dtype=object, count=len(values))


def sink_in(folder):
    numbers = itertools.count()
    return ParquetSink(lambda: (folder / f"{next(numbers)}.part").open("xb"))


def written(folder, *chunks) -> dict[str, list]:
    """The columns that a sink has written, after it has removed all but one file."""
    sink = sink_in(folder)
    for chunk in chunks:
        sink.write(chunk, len(next(iter(chunk.values()))))
    sink.close()
    assert not sink.file.closed
    sink.file.close()
    (left,) = folder.iterdir()
    assert str(left) == sink.file.name
    return pq.read_table(left).to_pydict()


def test_values_come_back_as_python_has_them(tmp_path):
    rows = {
        "text": column("é數", None, ""),
        "chat": column([{"role": "user", "content": "hi"}], [], None),
        "number": np.array([1, 2, 3]),
        "share": np.array([0.5, math.inf, -0.0]),
        "flag": np.array([True, False, True]),
        "reward": np.ma.masked_where([False, True, False], np.array([1.0, math.nan, 2.0])),
        "when": column(datetime.datetime(2025, 1, 2, 3, 4, 5, 6), None, None),
        "nothing": column(None, None, None),
    }
    assert written(tmp_path, rows) == {name: values.tolist() for name, values in rows.items()}


def test_nan_of_the_input_stays_nan(tmp_path):
    assert math.isnan(written(tmp_path, {"a": np.array([math.nan])})["a"][0])


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (None, "text"),
        (None, 3),
        (None, [{"a": 1}]),
        (1, 2.5),
        (2.5, 1),
        ([1], [2.5]),
        ([], ["x"]),
        ([], [[{"a": 1}]]),
        (1, None),
        ([1], None),
        (True, None),
    ],
)
def test_a_later_chunk_may_widen_a_type(tmp_path, first, second):
    assert written(tmp_path, {"a": column(first)}, {"a": column(second)}) == {"a": [first, second]}


def test_dicts_with_new_keys_widen(tmp_path):
    chunks = [{"a": column({"x": 1})}, {"a": column({"y": "b"}, {"x": 2.5})}, {"a": column({"z": None})}]
    assert written(tmp_path, *chunks)["a"] == [
        {"x": 1, "y": None, "z": None},
        {"x": None, "y": "b", "z": None},
        {"x": 2.5, "y": None, "z": None},
        {"x": None, "y": None, "z": None},
    ]


def test_new_and_absent_columns_are_null(tmp_path):
    chunks = [{"a": column("x")}, {"b": np.array([1])}, {"b": np.array([2]), "a": column("y")}]
    assert written(tmp_path, *chunks) == {"a": ["x", None, "y"], "b": [None, 1, 2]}


@pytest.mark.parametrize(
    "values",
    [
        (18, "x = 3"),
        (True, 1),
        (1.5, False),
        ({"a": 1}, "text"),
        ([{"content": "a"}], "prompt"),
        ([1], {"a": 1}),
        ({"a": 1}, {"a": "x"}),
        (2**64, 1),
        (2**60 + 1, 0.5),
        ({}, None),
        ([{}], []),
        ({"a": {}}, None),
        ({str(i): i for i in range(300)}, None),
    ],
)
@pytest.mark.parametrize("together", [True, False])
def test_values_without_a_common_type_become_text(tmp_path, values, together):
    chunks = [{"a": column(*values)}] if together else [{"a": column(value)} for value in values]
    chunks.append({"a": column("later", None)})
    wanted = [None if value is None else cell_text(value) for value in values]
    assert written(tmp_path, *chunks)["a"] == [*wanted, "later", None]


def test_two_columns_may_become_text_in_one_rewriting(tmp_path):
    chunks = [
        {"a": np.array([2**60 + 1]), "b": np.array([2**61 + 1]), "c": np.array([1])},
        {"a": np.array([0.5]), "b": np.array([0.25]), "c": np.array([1.5])},
    ]
    assert written(tmp_path, *chunks) == {
        "a": [str(2**60 + 1), "0.5"],
        "b": [str(2**61 + 1), "0.25"],
        "c": [1.0, 1.5],
    }


def test_a_lone_surrogate_is_replaced(tmp_path):
    chunks = [{"a": column("\ud800", "b"), "c": column([{"\ud800": "x\udfff"}], [])}]
    assert written(tmp_path, *chunks) == {"a": ["?", "b"], "c": [[{"?": "x?"}], []]}


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=3),
    st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=3), max_size=2),
)


@given(st.lists(st.lists(VALUES, min_size=1, max_size=3), min_size=1, max_size=4))
def test_any_mixture_is_written_as_it_is_or_as_its_text(tmp_path_factory, chunks):
    folder = tmp_path_factory.mktemp("parquet")
    found = written(folder, *({"a": column(*chunk)} for chunk in chunks))["a"]
    for value, got in zip(itertools.chain.from_iterable(chunks), found, strict=True):
        as_number = str(float(value)) if type(value) is int and abs(value) <= 2**53 else None
        assert got in (value, as_number) or got == cell_text(value)
        assert (got is None) == (value is None)


def test_nothing_written_is_a_file_without_rows(tmp_path):
    sink = sink_in(tmp_path)
    sink.close()
    sink.file.close()
    assert pq.read_table(sink.file.name).num_rows == 0
    assert list(read_parquet(tmp_path / "0.part")) == []


def test_rows_are_numbered_and_nested_values_are_python(tmp_path):
    table = pa.table(
        {
            "chat": [[{"role": "user", "content": "a"}], None, []],
            "kind": pa.array(["x", "y", "x"]).dictionary_encode(),
            "n": pa.array([1, None, 3], pa.int32()),
            "when": pa.array([1_000_000_001, None, 0], pa.timestamp("ns", "UTC")),
            "took": pa.array([1_500, None, 0], pa.duration("ns")),
            "at": pa.array([1_500, None, 0], pa.time64("ns")),
        }
    )
    path = tmp_path / "a.parquet"
    pq.write_table(table, path, row_group_size=2)
    records = list(read_parquet(path, rows=1))
    assert [number for number, _ in records] == [1, 2, 3]
    second = datetime.datetime(1970, 1, 1, 0, 0, 1, tzinfo=records[0][1]["when"].tzinfo)
    assert records[0][1] == {
        "chat": [{"role": "user", "content": "a"}],
        "kind": "x",
        "n": 1,
        "when": second,
        "took": datetime.timedelta(microseconds=1),
        "at": datetime.time(microsecond=1),
    }
    assert set(records[1][1].values()) == {None, "y"}


def test_a_file_that_is_not_parquet_is_named(tmp_path):
    path = tmp_path / "a.parquet"
    path.write_bytes(b'{"a": 1}\n')
    with pytest.raises(DataError, match=r"a.parquet cannot be read as Parquet, after row 0: "):
        list(read_parquet(path))
    path.write_bytes(b"")
    assert list(read_parquet(path)) == []


def test_damage_within_a_file_is_told_after_the_rows_before_it(tmp_path):
    path = tmp_path / "a.parquet"
    table = pa.table({"a": [f"{i:05}" * 3 for i in range(20_000)]})
    pq.write_table(table, path, row_group_size=10_000, use_dictionary=False, write_page_checksum=True)
    data = bytearray(path.read_bytes())
    place = data.rfind(b"1999")
    data[place - 5000 : place - 4000] = b"\xff" * 1000
    path.write_bytes(data)
    rows = []
    with pytest.raises(DataError, match=r"a.parquet cannot be read as Parquet, after row \d+: \S"):
        rows.extend(row["a"] for _, row in read_parquet(path))
    assert len(rows) >= 8192
    assert rows == [f"{i:05}" * 3 for i in range(len(rows))]


def test_two_columns_of_one_name_are_refused(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"]), path)
    with pytest.raises(DataError, match=r"a.parquet has two columns named 'a'; rename one of them"):
        list(read_parquet(path))
