"""Atomic writes: round trips through every pair of formats, and nothing half written is ever seen."""

from __future__ import annotations

import gzip
import json
import math
import os
import random
import signal
import stat
import subprocess
import sys
import textwrap

import numpy as np
import pyarrow.parquet as pq
import pytest

from guerdon.batch import Batch
from guerdon.batch.files import read, read_all
from guerdon.batch.formats.comma import cell_text
from guerdon.batch.records import originals
from guerdon.batch.write import Writer
from guerdon.errors import DataError

SUFFIXES = ["jsonl", "jsonl.gz", "csv", "parquet"]
CHAT = [{"content": "Sei knapp.", "role": "system"}, {"content": 'Wie "viel", 数🙂?\r\n', "role": "user"}]
ROWS = [
    {"question": CHAT, "text": "long " * 50_000, "answer": "18", "n": 1, "share": 0.1, "ok": True, "t.p": [-0.5, -1.5]},
    {"question": CHAT, "text": "", "answer": None, "n": 2, "share": 1e-300, "ok": False, "t.p": []},
    {"question": [], "text": 'a,"b"\n\r\n', "answer": "é'\t", "n": -3, "share": None, "ok": True, "t.p": [0.25]},
    {"question": None, "text": None, "answer": "None", "n": 2**60, "share": 2.5, "ok": None, "t.p": None},
]
RENAMED = {"prompt": "question", "response": "text", "reference": "answer", "token.logprob": "t.p"}


def as_found(path, columns=None) -> list[dict]:
    """The rows of a file with its own names."""
    found = originals(read_all(path, columns=columns), columns or {})
    return [dict(zip(found, row, strict=True)) for row in zip(*(v.tolist() for v in found.values()), strict=True)]


def as_text(row: dict) -> dict:
    return {name: None if value is None else cell_text(value) for name, value in row.items()}


@pytest.mark.parametrize("target", SUFFIXES)
@pytest.mark.parametrize("source", SUFFIXES)
def test_every_value_survives_every_pair_of_formats(tmp_path, source, target):
    first, second = tmp_path / f"in.{source}", tmp_path / f"out.{target}"
    with Writer(first) as out:
        out.write_rows(ROWS)
    with Writer(second, columns=RENAMED) as out:
        for batch in read(first, columns=RENAMED, rows=2, keep_groups=None):
            assert set(batch.columns) >= {"prompt", "response", "reference"}
            out.write(batch, {"reward": np.where(np.arange(2) == 1, math.nan, 0.5), "reward.failure": [None, "why"]})
    rewards = [{"reward": 0.5, "reward.failure": None}, {"reward": None, "reward.failure": "why"}] * 2
    wanted = [row | reward for row, reward in zip(ROWS, rewards, strict=True)]
    found = as_found(second, RENAMED)
    if source == "csv":
        wanted = [as_text(row) | reward for row, reward in zip(ROWS, rewards, strict=True)]
    if target == "csv":
        wanted = [as_text(row) for row in wanted]
    assert [dict(sorted(row.items())) for row in found] == [dict(sorted(row.items())) for row in wanted]
    again = read_all(second, columns=RENAMED)
    assert again.axes["token"].counts.tolist() == [2, 0, 1, 0]
    assert again["token.logprob"].tolist() == [-0.5, -1.5, 0.25]
    assert again.numbers("share").tolist()[:2] == [0.1, 1e-300]


def test_the_output_has_the_names_and_order_of_the_input(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"id": 7, "reference": "own", "answer": "4", "reward": "old", "extra": [1]}\nbroken\n')
    columns = {"reference": "answer", "group": "id"}
    with Writer(tmp_path / "b.jsonl", columns=columns) as out:
        for batch in read(path, columns=columns):
            extra = {"reward": [1.0, math.nan], "reward.math": [1, 0], "reward.failure": [None, batch.problems[1]]}
            out.write(batch, extra)
    first, second = map(json.loads, (tmp_path / "b.jsonl").read_text().splitlines())
    wanted = {"id": 7, "reference": "own", "answer": "4", "reward": 1.0, "extra": [1]}
    assert first == wanted | {"reward.math": 1, "reward.failure": None}
    assert list(first)[:5] == list(wanted)
    assert second == dict.fromkeys(wanted) | {
        "reward.math": 0,
        "reward.failure": "line 2: invalid JSON: Expecting value at column 1",
    }


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_missing_rewards_are_null_or_empty(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    with Writer(path) as out:
        out.write(Batch({"a": ["x", "y"]}), {"reward": [math.nan, -math.inf], "part": np.array([math.nan, None])})
    if suffix == "parquet":
        found = pq.read_table(path).to_pydict()
        assert (found["reward"], found["part"]) == ([None, -math.inf], [None, None])
    elif suffix == "csv":
        assert path.read_text() == "a,reward,part\nx,,\ny,-inf,\n"
    else:
        text = gzip.decompress(path.read_bytes()) if suffix == "jsonl.gz" else path.read_bytes()
        first, second = text.decode().splitlines()
        assert first == '{"a": "x", "reward": null, "part": null}'
        assert second == '{"a": "y", "reward": -1e999, "part": null}'


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_columns_may_come_and_widen_between_chunks(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    rows = [{"a": None, "d": 0}, {"a": 1, "b": {"x": 1}}, {"a": 2.5, "b": {"y": None}}, {"b": None, "c": "new"}]
    with Writer(path) as out:
        for row in rows:
            out.write_rows([row])
    whole = [{name: row.get(name) for name in "adbc"} for row in rows]
    if suffix == "csv":
        whole = [as_text(row) for row in whole]
    if suffix == "parquet":
        whole = [row | {"b": row["b"] and {"x": None, "y": None} | row["b"]} for row in whole]
    assert as_found(path) == whole
    assert os.listdir(tmp_path) == [path.name]


def write_and_raise(path, trouble):
    with Writer(path) as out:
        out.write_rows([{"a": 1}])
        out.write_rows([{"a": 1, "b": "wider"}])
        assert [name for name in os.listdir(path.parent) if name.endswith(".part")]
        raise trouble


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("old", [None, b"the old one"])
@pytest.mark.parametrize("trouble", [ValueError("mine"), KeyboardInterrupt(), SystemExit(3)])
def test_a_block_that_raises_leaves_everything_as_it_was(tmp_path, suffix, old, trouble):
    path = tmp_path / f"a.{suffix}"
    if old is not None:
        path.write_bytes(old)
    with pytest.raises(type(trouble)):
        write_and_raise(path, trouble)
    assert os.listdir(tmp_path) == ([] if old is None else [path.name])
    assert old is None or path.read_bytes() == old


def test_ctrl_c_leaves_everything_as_it_was(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("old")

    def interrupted():
        with Writer(path) as out:
            out.write_rows([{"a": 1}])
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.csv"]


def test_nothing_is_seen_before_the_end(tmp_path):
    path = tmp_path / "a.jsonl"
    with Writer(path) as out:
        out.write_rows([{"a": 1}])
        assert not path.exists()
        (part,) = os.listdir(tmp_path)
        assert part.startswith(".a.jsonl.")
        assert part.endswith(".part")
    assert os.listdir(tmp_path) == ["a.jsonl"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_may_be_replaced_while_it_is_read(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    with Writer(path) as out:
        out.write_rows([{"prompt": f"p{i}", "n": i} for i in range(100)])
    with Writer(path) as out:
        for batch in read(path, rows=10):
            out.write(batch, {"reward": batch.numbers("n") / 2})
    batch = read_all(path)
    assert batch.numbers("n").tolist() == [*range(100)]
    assert batch.numbers("reward").tolist() == [i / 2 for i in range(100)]


FULL = """
    import resource, signal, sys
    import numpy as np
    from guerdon.batch import Batch
    from guerdon.batch.write import Writer
    from guerdon.errors import DataError

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
    noise = np.random.default_rng(0)
    try:
        with Writer(sys.argv[1]) as out:
            for chunk in range(int(sys.argv[2])):
                text = [noise.bytes(40).hex() for _ in range(1000)]
                out.write(Batch({"text": text, "n": np.arange(1000) if chunk < 2 else text}))
    except DataError as error:
        print(error)
"""


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("late", [False, True])
def test_a_disk_that_fills_up_leaves_the_old_file(tmp_path, suffix, late):
    """No file may grow past 300 kB: it happens while rows are written, or late, as the buffer is handed over."""
    chunks = 40 if not late else 8 if suffix == "jsonl.gz" else 3
    path = tmp_path / f"a.{suffix}"
    path.write_text("old")
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(FULL), str(path), str(chunks)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout == f"{path} could not be written: File too large; the old a.{suffix} is intact\n"
    assert run.stderr == ""
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == [path.name]


class FullDisk:
    """A file that takes nothing."""

    def __init__(self, file):
        self.file, self.name = file, file.name

    def write(self, data):
        raise OSError(28, "No space left on device")

    def __getattr__(self, name):
        return getattr(self.file, name)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_full_disk_is_told_in_its_own_words(tmp_path, suffix, monkeypatch):
    path = tmp_path / f"a.{suffix}"
    new = Writer._new_part
    monkeypatch.setattr(Writer, "_new_part", lambda self: FullDisk(new(self)))
    with (
        pytest.raises(DataError, match="could not be written: No space left on device; nothing was left behind"),
        Writer(path) as out,
    ):
        out.write_rows([{"a": 1}])
    assert os.listdir(tmp_path) == []


def test_a_failed_write_cannot_be_published_by_ignoring_it(tmp_path, monkeypatch):
    path = tmp_path / "a.jsonl"

    def careless():
        with Writer(path) as out:
            with monkeypatch.context() as patched:
                patched.setattr(out._sink, "write", lambda *_: FullDisk(out._sink.file).write(b""))
                with pytest.raises(DataError, match="No space left"):
                    out.write_rows([{"a": 1}])
            out.write_rows([{"a": 2}])

    with pytest.raises(DataError, match="was not written: an earlier write had failed"):
        careless()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("none/a.csv", r"there is no directory .*none; create it"),
        ("folder.csv", "is a directory or device; expected the name of a .csv file"),
        ("a.txt", "unknown kind of file"),
        ("a.csv.gz", "unknown kind of file"),
        ("x" * 300 + ".csv", "could not be written: File name too long"),
    ],
)
def test_a_place_that_cannot_be_written_is_refused_on_entry(tmp_path, name, why):
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(DataError, match=why):
        Writer(tmp_path / name).__enter__()
    assert os.listdir(tmp_path) == ["folder.csv"]


def test_a_directory_that_may_not_be_written_is_refused_on_entry(tmp_path, monkeypatch):
    def refuse(*_args, **_options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("guerdon.batch.write.Path.open", refuse)
    with pytest.raises(DataError, match=r"a.csv could not be written: Permission denied"):
        Writer(tmp_path / "a.csv").__enter__()


def test_a_writer_outside_its_block_is_refused(tmp_path):
    out = Writer(tmp_path / "a.csv")
    with pytest.raises(DataError, match="is not open; use it in a with block"):
        out.write_rows([{"a": 1}])
    with out:
        out.write_rows([{"a": 1}])
    with pytest.raises(DataError, match="is not open"):
        out.write_rows([{"a": 2}])


def test_extra_columns_need_a_value_per_row(tmp_path):
    with Writer(tmp_path / "a.csv") as out:
        with pytest.raises(DataError, match="column 'reward' has 1 values for 2 rows"):
            out.write(Batch({"a": [1, 2]}), {"reward": [0.5]})
        out.write(Batch({"a": [1, 2]}))
    assert (tmp_path / "a.csv").read_text() == "a\n1\n2\n"


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_nothing_written_is_an_empty_file(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    with Writer(path) as out:
        out.write(Batch({"a": []}))
    with pytest.raises(DataError, match="is empty"):
        read_all(path)


def test_the_file_has_the_rights_of_the_one_it_replaces(tmp_path):
    path = tmp_path / "a.csv"
    before = os.umask(0o027)
    try:
        for wanted in (0o640, 0o604):
            with Writer(path) as out:
                out.write_rows([{"a": 1}])
            assert stat.S_IMODE(path.stat().st_mode) == wanted
            path.chmod(0o604)
    finally:
        os.umask(before)


def test_a_link_is_followed(tmp_path):
    (tmp_path / "real").mkdir()
    link = tmp_path / "a.csv"
    link.symlink_to(tmp_path / "real" / "b.csv")
    with Writer(link) as out:
        out.write_rows([{"a": 1}])
    assert link.is_symlink()
    assert (tmp_path / "real" / "b.csv").read_text() == "a\n1\n"


def test_equal_input_gives_equal_bytes(tmp_path):
    rows = [{"a": random.Random(i).random(), "b": str(i)} for i in range(100)]
    for name in ("a.jsonl.gz", "b.jsonl.gz"):
        with Writer(tmp_path / name) as out:
            out.write_rows(rows)
    assert (tmp_path / "a.jsonl.gz").read_bytes() == (tmp_path / "b.jsonl.gz").read_bytes()
