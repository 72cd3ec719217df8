"""CSV: quoting against the standard library, missing against empty, and records that break the rules."""

from __future__ import annotations

import csv
import io
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guerdon.batch.formats.comma import CsvSink, cell_text, read_csv
from guerdon.errors import DataError

CELLS = st.text(st.sampled_from('ab",\n\r é\u2028数'), max_size=8)
TABLES = st.integers(1, 4).flatmap(
    lambda width: st.lists(st.lists(CELLS, min_size=width, max_size=width), min_size=1, max_size=5)
)


def read(tmp_path, text: str | bytes):
    path = tmp_path / "a.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return list(read_csv(path))


def rows(tmp_path, text: str | bytes):
    return [list(row.values()) if isinstance(row, dict) else row for _, row in read(tmp_path, text)]


def test_an_empty_field_is_missing_and_a_quoted_one_is_empty(tmp_path):
    assert read(tmp_path, 'a,b,c\n,"",x\n') == [(2, {"a": None, "b": "", "c": "x"})]


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_line_ends_quotes_and_numbers_of_lines(tmp_path, newline):
    text = newline.join(["\ufeffa,b", "", '"x', 'y",1', '"say ""hi""",2', '5" pipe,3', "", '"",", "', "z,"])
    assert read(tmp_path, text) == [
        (3, {"a": f"x{newline}y", "b": "1"}),
        (5, {"a": 'say "hi"', "b": "2"}),
        (6, {"a": '5" pipe', "b": "3"}),
        (8, {"a": "", "b": ", "}),
        (9, {"a": "z", "b": None}),
    ]


@given(TABLES, st.sampled_from(["\n", "\r\n"]))
def test_what_the_standard_library_writes_is_read(tmp_path_factory, table, newline):
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator=newline)
    writer.writerow([f"column {i}" for i in range(len(table[0]))])
    writer.writerows(table)
    path.write_bytes(text.getvalue().encode())
    assert [list(row.values()) for _, row in read_csv(path)] == table


@given(TABLES)
def test_what_the_sink_writes_the_standard_library_reads(tmp_path_factory, table):
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    sink = CsvSink(lambda: path.open("xb"))
    names = [f"column {i}" for i in range(len(table[0]))]
    columns = zip(*table, strict=True)
    sink.write({n: np.array([*c, ""], dtype=object)[:-1] for n, c in zip(names, columns, strict=True)}, len(table))
    sink.close()
    sink.file.close()
    with path.open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file)) == [names, *table]


@pytest.mark.parametrize(
    ("record", "why"),
    [
        ("1", "line 2: expected 2 fields, as in the header, got 1"),
        ("1,2,3", "line 2: expected 2 fields, as in the header, got 3"),
        ('"a"b,2', "line 2: there is text behind the closing quote of field 1; double the quotes in a field"),
        ('1,"x" ', "line 2: there is text behind the closing quote of field 2; double the quotes in a field"),
        (b"1,\xff", "line 2: field 2 is invalid UTF-8"),
        (b'"\n\xff\n",2', "line 2: field 1 is invalid UTF-8"),
    ],
)
def test_a_record_that_breaks_the_rules_says_why_and_the_next_is_read(tmp_path, record, why):
    record = record.encode() if isinstance(record, str) else record
    assert rows(tmp_path, b"a,b\n" + record + b"\n8,9\n") == [why, ["8", "9"]]


def test_a_quote_that_is_never_closed_is_one_bad_row(tmp_path):
    found = rows(tmp_path, 'a,b\n1,2\n3,"4\n5,6\n')
    assert found == [["1", "2"], "line 3: a quoted field is never closed; everything behind its quote is lost"]


def test_a_quoted_field_without_end_does_not_fill_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("guerdon.batch.formats.comma._LONGEST", 1 << 20)
    with pytest.raises(DataError, match=r"begins on line 2 is longer than 1 MB; is its closing quote missing\?"):
        read(tmp_path, 'a\n"' + "x\n" * 600_000)


def test_huge_fields_of_many_lines(tmp_path):
    field = 'x"y,\n' * 1_000_000
    quoted = field.replace('"', '""')
    assert rows(tmp_path, f'a,b\n"{quoted}",1\n') == [[field, "1"]]


def test_a_header_is_needed_and_names_each_column_once(tmp_path):
    assert read(tmp_path, "") == read(tmp_path, "\n\n") == read(tmp_path, "a,b\n") == []
    with pytest.raises(DataError, match=r"a.csv has two columns named 'b'; rename one"):
        read(tmp_path, "a,b,b\n1,2,3\n")
    with pytest.raises(DataError, match="the header cannot be read: line 1: field 1 is invalid UTF-8"):
        read(tmp_path, b"\xff,b\n1,2\n")
    assert read(tmp_path, ",b\n1,2\n") == [(2, {"": "1", "b": "2"})]


def test_cells_are_text_as_python_writes_it():
    values = ["a", 18, 2.5, True, [1, None, "é"], {"a": "b"}, (1,), b"\0", np.array([1.5])]
    wanted = ["a", "18", "2.5", "True", '[1, null, "é"]', '{"a": "b"}', "[1]", "AA==", "[1.5]"]
    assert [cell_text(value) for value in values] == wanted


def sink_in(tmp_path):
    numbers = itertools.count()
    return CsvSink(lambda: (tmp_path / f"{next(numbers)}.part").open("xb"))


def test_missing_values_are_empty_and_empty_text_is_quoted(tmp_path):
    sink = sink_in(tmp_path)
    sink.write({"a": np.array([None, "", "x"], dtype=object), "b": np.array([np.nan, 0.5, np.inf])}, 3)
    sink.file.flush()
    assert (tmp_path / "0.part").read_text() == 'a,b\n,\n"",0.5\nx,inf\n'
    sink.file.close()


def test_a_lone_missing_value_is_a_record_all_the_same(tmp_path):
    sink = sink_in(tmp_path)
    sink.write({"a": np.array([None, "x"], dtype=object)}, 2)
    sink.file.close()
    assert [row for _, row in read_csv(tmp_path / "0.part")] == [{"a": ""}, {"a": "x"}]


def test_a_new_column_rewrites_the_file_and_leaves_no_other_behind(tmp_path):
    sink = sink_in(tmp_path)
    sink.write({"a": np.array(["1", 'x\n"y"', None], dtype=object)}, 3)
    sink.write({"b": np.array([2.5]), "a": np.array(["z"], dtype=object)}, 1)
    sink.write({"a": np.array(["\ud800"], dtype=object)}, 1)
    sink.file.close()
    (left,) = tmp_path.iterdir()
    assert left.read_text() == 'a,b\n1,\n"x\n""y""",\n"",\nz,2.5\n?,\n'
