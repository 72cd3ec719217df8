"""JSON Lines: what is read, what is refused and with which words, and JSON that any parser reads."""

from __future__ import annotations

import datetime
import gzip
import io
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guerdon.batch.formats.jsonl import JsonlSink, json_text, read_jsonl

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def read(tmp_path, text: bytes, gzipped: bool = False):
    path = tmp_path / "a.jsonl"
    path.write_bytes(gzip.compress(text) if gzipped else text)
    return list(read_jsonl(path, gzipped))


@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
def test_objects_are_read_and_blank_lines_skipped(tmp_path, newline):
    text = newline.join([b'{"a": 1}', b"", b" \t", ' {"b": "é數\\n", "c": [{}]} '.encode(), b'{"a": null}'])
    wanted = [(1, {"a": 1}), (4, {"b": "é數\n", "c": [{}]}), (5, {"a": None})]
    assert read(tmp_path, text) == wanted
    assert read(tmp_path, b"\xef\xbb\xbf" + text + newline, gzipped=True) == wanted


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b'{"a": }', "invalid JSON: Expecting value at column 7"),
        (b'{"a": 1', "invalid JSON: Expecting ',' delimiter at column 8"),
        (b"{'a': 1}", "invalid JSON: Expecting property name enclosed in double quotes at column 2"),
        (b'{"a": "tab\there"}', "invalid JSON: Invalid control character"),
        (b'{"a": 1} {"a": 2}', "invalid JSON: more text after column 8"),
        (b'{"a": 1},', "invalid JSON: more text after column 8"),
        (b"[1, 2]", "expected a JSON object, got [1, 2]"),
        (b'"text"', 'expected a JSON object, got "text"'),
        (b"null", "expected a JSON object, got null"),
        (b'{"a": 1, "b": 2, "a": 3}', "duplicate key 'a'"),
        (b'{"m": [{"role": 1, "role": 1}]}', "duplicate key 'role'"),
        (b'{"a": NaN}', "NaN is not JSON: write null for a missing number"),
        (b'{"a": [-Infinity]}', "-Infinity is not JSON"),
        (b'{"a": "\xff"}', "invalid UTF-8 at byte 8"),
        (b'{"a": "\xed\xa0\x80"}', "invalid UTF-8 at byte 8"),
        (b'{"a": ' + b"[" * 100 + b"]" * 100 + b"}", "the JSON is nested more than 100 levels deep"),
        (b'{"a": ' + b"[" * 100_000, "the JSON is nested more than 100 levels deep"),
        (b'{"a": ' + b"1" * 5000 + b"}", "invalid JSON: Exceeds the limit"),
    ],
)
def test_a_line_that_cannot_be_read_says_why(tmp_path, line, why):
    (good, bad, after) = read(tmp_path, b'{"a": 0}\n' + line + b'\n{"a": 9}\n')
    assert (good, after) == ((1, {"a": 0}), (3, {"a": 9}))
    assert bad[0] == 2
    assert bad[1].startswith(f"line 2: {why}")


def test_what_is_deep_or_repeated_but_sound_is_read(tmp_path):
    deep = b'{"a": ' + b"[" * 99 + b"]" * 99 + b"}"
    wide = json.dumps({"a": [{"k": i} for i in range(500)], "text": "[{" * 500}).encode()
    same = b'{"a": {"k": 1}, "b": {"k": 1}, "c": "\\"a\\": 1, \\"a\\": 2"}'
    rows = [row for _, row in read(tmp_path, b"\n".join([deep, wide, same]))]
    assert rows == [json.loads(line) for line in (deep, wide, same)]


def test_a_large_object_with_a_repeated_key_is_refused_at_once(tmp_path):
    keys = ", ".join(f'"k{i}": 0' for i in range(200_000))
    assert read(tmp_path, f'{{{keys}, "k199999": 1}}'.encode()) == [(1, "line 1: duplicate key 'k199999'")]


def test_a_response_of_five_megabytes_is_read(tmp_path):
    row = {"response": "x\n" * 2_500_000}
    assert read(tmp_path, json.dumps(row).encode()) == [(1, row)]


def test_the_rows_before_damaged_gzip_are_read_and_then_the_damage_is_a_row(tmp_path):
    path = tmp_path / "a.jsonl.gz"
    text = b"".join(b'{"a": %d}\n' % i for i in range(100_000))
    path.write_bytes(gzip.compress(text)[:-20])
    records = list(read_jsonl(path, gzipped=True))
    count = len(records) - 1
    assert count > 90_000
    assert [row for _, row in records[:-1]] == [{"a": i} for i in range(count)]
    assert records[-1] == (count + 1, f"after line {count}: the gzip stream ends early")


def test_numbers_keep_their_kind_and_infinity_is_read(tmp_path):
    ((_, row),) = read(tmp_path, b'{"a": 1, "b": 1.0, "c": 12345678901234567890, "d": -1e999, "e": true}')
    assert [(type(v), v) for v in row.values()] == [
        (int, 1),
        (float, 1.0),
        (int, 12345678901234567890),
        (float, -math.inf),
        (bool, True),
    ]


@given(PLAIN)
def test_json_text_is_what_any_parser_reads_back(value):
    def refuse(name):
        raise AssertionError(f"{name} is no JSON")

    assert json.loads(json_text(value), parse_constant=refuse) == value


def test_what_json_lacks():
    nested = {"a": [math.nan, math.inf, np.float64("nan")], "b": (1, -math.inf), "c": "infinity"}
    assert json_text(nested) == '{"a": [null, 1e999, null], "b": [1, -1e999], "c": "infinity"}'
    assert json_text([np.int64(3), np.array([1.5, math.nan]), np.bool_(True)]) == "[3, [1.5, null], true]"
    assert json_text([datetime.date(2025, 1, 2), b"\0\xff"]) == '["2025-01-02", "AP8="]'


@pytest.mark.parametrize("gzipped", [False, True])
def test_the_sink_writes_an_object_per_line(gzipped):
    file = io.BytesIO()
    sink = JsonlSink(lambda: file, gzipped)
    sink.write({"a": np.array([1, 2]), "b": np.array(["é\n", "\ud800"], dtype=object)}, 2)
    sink.write({"b": np.ma.masked_where([True, False], np.array([0.0, 0.5]))}, 2)
    sink.write({}, 1)
    sink.close()
    assert not file.closed
    text = gzip.decompress(file.getvalue()) if gzipped else file.getvalue()
    assert text.decode().split("\n") == [
        '{"a": 1, "b": "é\\n"}',
        '{"a": 2, "b": "\\ud800"}',
        '{"b": null}',
        '{"b": 0.5}',
        "{}",
        "",
    ]
