"""Streaming reads: chunks and groups, bounded memory, files that are wrong."""

from __future__ import annotations

import gzip
import itertools
import json
import os
import tracemalloc

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guerdon.batch.files import _Closed, read, read_all
from guerdon.errors import DataError, MissingColumn


def jsonl(folder, rows, name="a.jsonl"):
    path = folder / name
    text = "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(text) if name.endswith("gz") else text)
    return path


def labelled(labels):
    return [{"group": label, "n": i} for i, label in enumerate(labels)]


def cuts(path, **options):
    return [batch["n"].tolist() for batch in read(path, **options)]


@pytest.mark.parametrize(
    ("labels", "rows", "wanted"),
    [
        ("aabbcc", 1, [[0, 1], [2, 3], [4, 5]]),
        ("aabbcc", 3, [[0, 1, 2, 3], [4, 5]]),
        ("aabbcc", 4, [[0, 1, 2, 3], [4, 5]]),
        ("aabbcc", 6, [[0, 1, 2, 3, 4, 5]]),
        ("aabbcc", 100, [[0, 1, 2, 3, 4, 5]]),
        ("abababc", 4, [[0, 1, 2, 3], [4], [5], [6]]),
        ("aaaaaa", 2, [[0, 1, 2, 3, 4, 5]]),
        ("abc", 1, [[0], [1], [2]]),
    ],
)
def test_a_batch_ends_between_groups(tmp_path, labels, rows, wanted):
    path = jsonl(tmp_path, labelled(labels))
    if labels == "abababc":
        with pytest.raises(DataError, match="group 'a' is on line 1 and again on line 5"):
            cuts(path, rows=rows)
        assert cuts(path, rows=rows, keep_groups=None) == [[0, 1, 2, 3], [4, 5, 6]]
        assert cuts(path, rows=None) == [[0, 1, 2, 3, 4, 5, 6]]
    else:
        assert cuts(path, rows=rows) == wanted


LABELS = st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 5)), unique_by=lambda run: run[0], min_size=1)


@given(LABELS, st.integers(1, 7), st.sampled_from([str, lambda i: i, lambda i: [{"role": "user", "content": i}]]))
def test_groups_stay_whole_and_rows_in_order(tmp_path_factory, runs, rows, kind):
    labels = [kind(label) for label, times in runs for _ in range(times)]
    path = jsonl(tmp_path_factory.mktemp("groups"), labelled(labels))
    chunks = cuts(path, rows=rows)
    assert [*itertools.chain(*chunks)] == [*range(len(labels))]
    ends = [*itertools.accumulate(times for _, times in runs)]
    assert all(chunk[-1] + 1 in ends for chunk in chunks)
    assert all(len(chunk) >= rows for chunk in chunks[:-1])
    assert all(len(chunk) < rows + 5 for chunk in chunks)


@pytest.mark.parametrize("label", ["q", 7, -1, 0.5, None, True, [{"role": "user", "content": "x"}]])
def test_a_group_that_comes_back_is_named_with_both_places(tmp_path, label):
    path = jsonl(tmp_path, [{"group": "first"}, *({"group": g} for g in (label, label, "other", label))])
    with pytest.raises(DataError) as caught:
        list(read(path, rows=1))
    assert f"group {label!r} is on line 2 and again on line 5" in str(caught.value)
    assert "sort the file by group or read it whole with rows=None" in str(caught.value)


def test_labels_whose_hashes_meet_are_not_confused(tmp_path):
    labels = [-1, -2, 0, 2**61 - 1, "0", "-1", None, "None", 0.5]
    assert len(cuts(jsonl(tmp_path, labelled(labels)), rows=1)) == len(labels)


@given(st.lists(st.lists(st.text(max_size=2), unique=True, max_size=8), max_size=12))
def test_closed_groups_are_found_again(chunks):
    closed, known = _Closed(), {}
    for i, chunk in enumerate(chunks):
        labels = {label: 100 * i + j for j, label in enumerate(chunk)}
        back = [(label, known[label], place) for label, place in labels.items() if label in known]
        found = closed.add(labels)
        assert found in back if back else found is None
        if back:
            return
        known |= labels
        assert sum(len(run) for run, _ in closed.runs) == len(known)
        assert len(closed.runs) <= 2 + np.log2(1 + len(known))


def test_equal_prompts_are_groups_where_no_column_says_so(tmp_path):
    rows = [{"prompt": [{"role": "user", "content": q}], "n": i} for i, q in enumerate("aabbb")]
    path = jsonl(tmp_path, rows)
    assert cuts(path, rows=1) == [[0, 1], [2, 3, 4]]
    assert cuts(path, rows=1, keep_groups="prompt") == [[0, 1], [2, 3, 4]]
    assert cuts(path, rows=2, keep_groups=None) == [[0, 1], [2, 3], [4]]
    renamed = jsonl(tmp_path, [{"question": q, "prompt": "same", "n": i} for i, q in enumerate("aab")])
    assert cuts(renamed, rows=1, columns={"group": "question"}) == [[0, 1], [2]]
    assert cuts(renamed, rows=1) == [[0, 1, 2]]
    assert cuts(renamed, rows=1, columns={"response": "prompt"}) == [[0], [1], [2]]


def test_rows_without_prompt_or_group_are_cut_anywhere(tmp_path):
    assert cuts(jsonl(tmp_path, [{"n": i} for i in range(5)]), rows=2) == [[0, 1], [2, 3], [4]]


def test_a_column_to_keep_together_must_be_there(tmp_path):
    path = jsonl(tmp_path, [{"user": "a", "n": 0}])
    with pytest.raises(
        MissingColumn, match=r"no column 'users' to keep together; it has user, n\. Did you mean 'user'"
    ):
        cuts(path, rows=1, keep_groups="users")
    assert cuts(path, rows=1, keep_groups="user") == [[0]]


def test_a_group_column_that_appears_late_is_refused(tmp_path):
    path = jsonl(tmp_path, [{"prompt": "a"}, {"prompt": "b"}, {"prompt": "c", "group": 1}])
    with pytest.raises(DataError, match="column 'group' first appears on line 3 or later"):
        list(read(path, rows=1))
    assert len(read_all(path)) == 3


def test_an_unreadable_row_belongs_to_the_group_around_it(tmp_path):
    rows = [*labelled("aa"), "{", *labelled("a"), "{", "{", *labelled("b")]
    batches = list(read(jsonl(tmp_path, rows), rows=1))
    assert [len(batch) for batch in batches] == [6, 1]
    assert batches[0].problems.keys() == {2, 4, 5}
    assert batches[0]["n"].tolist() == [0, 1, None, 0, None, None]
    assert [problem[:7] for problem in batches[0].problems.values()] == ["line 3:", "line 5:", "line 6:"]


def test_the_first_batch_reaches_a_readable_row(tmp_path):
    path = jsonl(tmp_path, ["{", "[]", {"n": 1}, {"n": 2}])
    assert [len(batch) for batch in read(path, rows=1)] == [3, 1]


def test_a_limit_counts_rows(tmp_path):
    path = jsonl(tmp_path, labelled("aabb"))
    assert cuts(path, limit=3) == [[0, 1, 2]]
    assert cuts(path, limit=3, rows=1) == [[0, 1], [2]]
    assert len(read_all(path, limit=1)) == 1
    assert len(read_all(path, limit=99)) == 4


@pytest.mark.parametrize("options", [{"rows": 0}, {"limit": 0}, {"limit": -1}])
def test_a_size_below_one_is_refused_at_once(tmp_path, options):
    path = jsonl(tmp_path, labelled("a"))
    with pytest.raises(DataError, match="must be at least 1, not"):
        read(path, **options)


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.csv", "a.parquet"])
def test_every_format_is_read_and_renamed(tmp_path, name):
    path = tmp_path / name
    if name == "a.csv":
        path.write_text('question,answer,t.x\r\nq,4,"[1, 2]"\r\nq,5,\r\n')
    elif name == "a.parquet":
        pq.write_table(pa.table({"question": ["q", "q"], "answer": ["4", "5"], "t.x": [[1, 2], None]}), path)
    else:
        rows = [{"question": "q", "answer": "4", "t.x": [1, 2]}, {"question": "q", "answer": "5"}]
        jsonl(tmp_path, rows, name)
    (batch,) = read(path, columns={"prompt": "question", "reference": "answer"})
    assert batch["prompt"].tolist() == ["q", "q"]
    assert batch["reference"].tolist() == ["4", "5"]
    assert batch.axes["t"].counts.tolist() == [2, 0]
    assert batch["t.x"].tolist() == [1, 2]
    assert batch.problems == {}


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.csv", "a.parquet"])
def test_an_empty_file_says_so(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"")
    with pytest.raises(DataError, match=rf"{name} is empty"):
        list(read(path))
    if name == "a.csv":
        path.write_text("only,a,header\n\n")
    elif name == "a.parquet":
        pq.write_table(pa.table({"a": pa.array([], pa.string())}), path)
    else:
        jsonl(tmp_path, ["", " "], name)
    with pytest.raises(DataError, match=rf"{name} is empty"):
        read_all(path)


def test_a_file_without_a_readable_row_says_why(tmp_path):
    with pytest.raises(DataError, match=r"a.jsonl has no readable row; line 1: invalid JSON: Expecting"):
        list(read(jsonl(tmp_path, ["[", '{"a": 1},', "]"])))
    path = tmp_path / "b.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"a": 1}\n')[:12])
    with pytest.raises(DataError, match="no readable row; after line 0: the gzip stream ends early"):
        list(read(path))


def test_a_truncated_gzip_file_gives_the_rows_before_and_one_bad_row(tmp_path):
    path = jsonl(tmp_path, [{"n": i, "noise": hash((i, 1))} for i in range(50_000)], "a.jsonl.gz")
    path.write_bytes(path.read_bytes()[:-1000])
    batches = list(read(path, rows=1000))
    told = [problem for batch in batches for problem in batch.problems.values()]
    count = sum(map(len, batches)) - 1
    assert told == [f"after line {count}: the gzip stream ends early"]
    assert batches[-1].problems.keys() == {len(batches[-1]) - 1}
    assert [n for batch in batches for n in batch["n"].tolist()] == [*range(count), None]


def test_what_cannot_be_opened_is_refused_at_once(tmp_path):
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(DataError, match=r"none.jsonl does not exist; expected a \.jsonl file"):
        read(tmp_path / "none.jsonl")
    with pytest.raises(DataError, match=r"folder.csv is a directory"):
        read(str(tmp_path / "folder.csv"))
    with pytest.raises(DataError, match=r"a.json: unknown kind of file; .* \.jsonl, \.jsonl\.gz, \.parquet, \.csv"):
        read(tmp_path / "a.json")
    with pytest.raises(MissingColumn, match="no column 'answr' to be 'reference'"):
        read_all(jsonl(tmp_path, [{"answer": 1}]), columns={"reference": "answr"})


def test_a_file_that_may_not_be_read_says_so(tmp_path, monkeypatch):
    path = jsonl(tmp_path, labelled("a"))

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("guerdon.batch.formats.lines.io.FileIO", refuse)
    with pytest.raises(DataError, match=r"a.jsonl cannot be read: Permission denied"):
        list(read(path))


def test_bad_parquet_rows_are_told_by_row(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"t.x": [[1], [1, 2]], "t.y": [[1], [1]]}), path)
    assert read_all(path).problems[1].startswith("row 2: the columns of one axis need lists of one length")


def peak_while_reading(path, **options) -> int:
    """The most memory that Python objects took while the file was read, one batch at a time."""
    sum(len(batch) for batch in read(path, **options, limit=10))
    tracemalloc.start()
    try:
        rows = sum(len(batch) for batch in read(path, **options))
        assert rows >= 4000
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.csv", "a.parquet"])
def test_memory_is_bounded_by_the_batch_not_by_the_file(tmp_path, name):
    def file(count):
        rows = [{"group": f"g{i // 4}", "response": f"{i} " * 100} for i in range(count)]
        path = tmp_path / f"{count}-{name}"
        if name == "a.csv":
            path.write_text("group,response\n" + "".join(f"{r['group']},{r['response']}\n" for r in rows))
        elif name == "a.parquet":
            pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=1000)
        else:
            jsonl(tmp_path, rows, path.name)
        return path

    small = peak_while_reading(file(4000), rows=200)
    large = peak_while_reading(file(16_000), rows=200)
    whole = peak_while_reading(file(16_000), rows=None)
    assert large < 1.3 * small + 16 * 4000
    assert whole > 3 * large


def test_a_response_of_five_megabytes_and_ten_thousand_groups_of_one(tmp_path):
    rows = [{"group": i, "n": i} for i in range(10_000)]
    rows[5]["response"] = "x" * 5_000_000
    path = jsonl(tmp_path, rows)
    batches = list(read(path, rows=500))
    assert [len(batch) for batch in batches] == [500] * 20
    assert len(batches[0]["response"][5]) == 5_000_000


def test_reading_stops_and_closes_when_the_caller_has_had_enough(tmp_path):
    path = jsonl(tmp_path, labelled("ab"))
    before = len(os.listdir("/proc/self/fd"))
    batches = read(path, rows=1)
    assert len(next(batches)) == 1
    batches.close()
    assert len(os.listdir("/proc/self/fd")) == before
