"""A cache returns the bits it was given, from any process, after any accident, or nothing."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guerdon.errors import DataError
from guerdon.expr.cache import FORMAT, Cache, FileCache, MemoryCache, key, open_cache

FLOATS = st.floats(allow_nan=True, allow_infinity=True)
SCORES = st.dictionaries(st.binary(min_size=16, max_size=16), FLOATS | st.lists(FLOATS, max_size=5), max_size=9)


def bits(value: float | list[float]) -> object:
    return [struct.pack(">d", v) for v in value] if isinstance(value, list) else struct.pack(">d", value)


@pytest.fixture(params=["memory", "file"])
def cache(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Cache]:
    with open_cache(None if request.param == "memory" else tmp_path / "scores") as opened:
        yield opened


def script(text: str, *arguments: object, **options: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", text, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **options)


# ── both kinds ──


def test_values_come_back_with_every_bit(cache: Cache) -> None:
    odd = {
        b"nan": float("nan"),
        b"nan with a payload": struct.unpack("<d", bytes.fromhex("efbeadde0000f8ff"))[0],
        b"-0": -0.0,
        b"inf": float("-inf"),
        b"tiny": 5e-324,
        b"third": 1 / 3,
        b"list": [0.1, float("nan"), -0.0],
        b"list of one": [1.0],
        b"empty": list[float](),
    }
    cache.put_many(odd)
    found = cache.get_many([*odd, b"unknown"])
    assert {name: bits(value) for name, value in found.items()} == {name: bits(value) for name, value in odd.items()}
    assert len(cache) == len(odd)


@given(SCORES)
def test_memory_returns_what_it_was_given(scores: dict[bytes, Any]) -> None:
    memory = MemoryCache()
    memory.put_many(scores)
    found = memory.get_many(list(scores))
    assert {name: bits(value) for name, value in found.items()} == {name: bits(value) for name, value in scores.items()}


def test_a_later_value_replaces_an_earlier_one(cache: Cache) -> None:
    cache.put_many({b"k": 1.0})
    cache.put_many({b"k": [2.0]})
    assert cache.get_many([b"k"]) == {b"k": [2.0]}
    assert len(cache) == 1


def test_more_keys_than_one_query_takes(cache: Cache) -> None:
    scores = {key("many", [n]): float(n) for n in range(2345)}
    cache.put_many(scores)
    assert cache.get_many([key("many", [n]) for n in range(3000)]) == scores
    assert cache.get_many([]) == {}


def test_a_returned_list_is_the_callers_own(cache: Cache) -> None:
    given_list = [1.0, 2.0]
    cache.put_many({b"k": given_list})
    given_list.append(3.0)
    found = cache.get_many([b"k"])[b"k"]
    assert isinstance(found, list)
    found.clear()
    assert cache.get_many([b"k"]) == {b"k": [1.0, 2.0]}


@pytest.mark.parametrize("value", ["12", None, [1.0, "2"], {"a": 1}, [[1.0]], 10**400])
def test_what_is_no_score_is_refused_and_the_others_with_it(cache: Cache, value: Any) -> None:
    with pytest.raises(DataError, match="a score is a number or a list of numbers"):
        cache.put_many({b"good": 1.0, b"bad": value})
    assert len(cache) == 0


def test_integers_bools_and_numpy_numbers_are_scores(cache: Cache) -> None:
    cache.put_many({b"i": 3, b"b": True, b"f": np.float32(0.5), b"l": (1, np.float64(2))})
    assert cache.get_many([b"i", b"b", b"f", b"l"]) == {b"i": 3.0, b"b": 1.0, b"f": 0.5, b"l": [1.0, 2.0]}


def test_threads_write_and_read_at_once(cache: Cache) -> None:
    wrong: list[object] = []

    def work(who: int) -> None:
        for n in range(40):
            mine = {key("thread", [who, n, i]): float(who + n + i) for i in range(25)}
            cache.put_many(mine)
            if cache.get_many(list(mine)) != mine:
                wrong.append((who, n))

    threads = [threading.Thread(target=work, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(cache) == 4 * 40 * 25


def test_closing_twice_is_once(cache: Cache) -> None:
    with cache:
        pass
    cache.close()


# ── memory ──


def test_the_longest_unused_make_room() -> None:
    memory = MemoryCache(max_items=3)
    memory.put_many({b"a": 1.0, b"b": 2.0, b"c": 3.0})
    memory.get_many([b"a"])
    memory.put_many({b"b": 2.5})
    memory.put_many({b"d": 4.0})
    assert memory.get_many([b"a", b"b", b"c", b"d"]) == {b"a": 1.0, b"b": 2.5, b"d": 4.0}
    memory.put_many({bytes([n]): 0.0 for n in range(50)})
    assert len(memory) == 3


# ── file ──


def test_the_next_process_finds_it(tmp_path: Path) -> None:
    with FileCache(tmp_path / "scores") as first:
        first.put_many({b"k": 0.25})
    with FileCache(str(tmp_path / "scores")) as second:
        assert second.get_many([b"k"]) == {b"k": 0.25}
    assert os.listdir(tmp_path) == ["scores"]


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no folder .*nowhere"):
        open_cache(tmp_path / "nowhere" / "scores")


def other_program(path: Path) -> None:
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE mine (x)")
    database.close()


def marked(application: int | None, version: int) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        FileCache(path).close()
        database = sqlite3.connect(path)
        database.execute(f"PRAGMA user_version = {version}")
        if application is not None:
            database.execute(f"PRAGMA application_id = {application}")
        database.close()

    return make


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda path: path.write_text("prompt,response\n1,2\n" * 200), "not a database"),
        (other_program, "another program"),
        (marked(77, FORMAT), "another program"),
        (marked(None, FORMAT + 1), f"format {FORMAT + 1}, this guerdon reads format {FORMAT}"),
        (marked(None, 0), "format 0"),
        (lambda path: path.mkdir(), "unable to open"),
    ],
    ids=["csv", "tables", "application", "newer", "older", "folder"],
)
def test_a_file_of_another_kind_is_refused_and_not_touched(
    tmp_path: Path, make: Callable[[Path], object], complaint: str
) -> None:
    path = tmp_path / "scores"
    make(path)
    before = path.read_bytes() if path.is_file() else b""
    with pytest.raises(DataError, match=complaint) as caught:
        FileCache(path)
    assert str(path) in str(caught.value)
    assert before == (path.read_bytes() if path.is_file() else b"")


def test_an_empty_file_becomes_a_cache(tmp_path: Path) -> None:
    (tmp_path / "scores").touch()
    with FileCache(tmp_path / "scores") as file:
        file.put_many({b"k": 1.0})
        assert len(file) == 1


def test_what_a_stranger_wrote_is_a_score_or_unknown(tmp_path: Path) -> None:
    path = tmp_path / "scores"
    FileCache(path).close()
    pickled = b"cos\nsystem\n(S'touch " + str(tmp_path / "executed").encode() + b"'\ntR."
    database = sqlite3.connect(path, isolation_level=None)
    rows = [b"", b"x" + bytes(8), b"f" + bytes(7), b"f", b"f" + bytes(16), b"l" + bytes(9), pickled, "text", 7, 1.5]
    database.executemany("INSERT INTO scores VALUES (?, ?)", [(bytes([n]), row) for n, row in enumerate(rows)])
    database.close()
    with FileCache(path) as file:
        assert file.get_many([bytes([n]) for n in range(len(rows))]) == {}
    assert not (tmp_path / "executed").exists()


def test_after_close_it_says_so(tmp_path: Path) -> None:
    file = FileCache(tmp_path / "scores")
    file.close()
    with pytest.raises(DataError, match="closed"):
        file.put_many({b"k": 1.0})


def test_a_failure_in_the_middle_undoes_the_beginning(tmp_path: Path) -> None:
    with FileCache(tmp_path / "scores") as file:
        odd: Any = {b"good": 1.0, ("no", "key"): 2.0}
        with pytest.raises(DataError):
            file.put_many(odd)
        assert len(file) == 0
        file.put_many({b"good": 1.0})
        assert len(file) == 1


FULL = """
import resource, sys
from guerdon.errors import DataError
from guerdon.expr.cache import FileCache, key
cache = FileCache(sys.argv[1])
cache.put_many({b"early": 0.5})
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
try:
    cache.put_many({key("s", [n]): float(n) for n in range(50_000)})
except DataError as error:
    assert sys.argv[1] in str(error), error
else:
    sys.exit("the disk was not full")
assert cache.get_many([b"early", key("s", [1])]) == {b"early": 0.5}
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
cache.put_many({b"late": 0.25})
assert cache.get_many([b"early", b"late"]) == {b"early": 0.5, b"late": 0.25}
assert len(cache) == 2
"""


def test_a_full_disk_costs_that_portion_and_nothing_else(tmp_path: Path) -> None:
    pytest.importorskip("resource")
    process = script(FULL, tmp_path / "scores")
    process.communicate()
    assert process.returncode == 0


WRITER = """
import itertools, sys
from guerdon.expr.cache import FileCache, key
cache = FileCache(sys.argv[1])
who = int(sys.argv[2])
last = int(sys.argv[3]) or None
for n in itertools.islice(itertools.count(), last):
    cache.put_many({key("w", [who, n, i]): [n / 7, float(i)] if i % 2 else n / 3 + i for i in range(20)})
    print(n, flush=True)
"""


def written(who: int, n: int) -> dict[bytes, Any]:
    return {key("w", [who, n, i]): [n / 7, float(i)] if i % 2 else n / 3 + i for i in range(20)}


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs kill -9")
def test_kill_9_in_the_middle_of_writing_loses_nothing_that_was_said_to_be_stored(tmp_path: Path) -> None:
    path = tmp_path / "scores"
    stored = 0
    for who in range(6):
        process = script(WRITER, path, who, 0)
        assert process.stdout is not None
        process.stdout.readline()
        threading.Event().wait(random.uniform(0, 0.15))
        process.kill()
        portions = 1 + len(process.communicate()[0].splitlines())
        database = sqlite3.connect(path)
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        database.close()
        with FileCache(path) as file:
            for n in range(portions):
                assert file.get_many(list(written(who, n))) == written(who, n)
            extra = len(file.get_many(list(written(who, portions))))
            assert extra in (0, 20)  # stored and killed before saying so, or not stored
            stored += 20 * portions + extra
            assert len(file) == stored


def test_processes_create_and_write_one_file_at_once(tmp_path: Path) -> None:
    processes = [script(WRITER, tmp_path / "scores", who, 25) for who in range(5)]
    for process in processes:
        process.communicate()
    assert [process.returncode for process in processes] == [0] * 5
    with FileCache(tmp_path / "scores") as file:
        assert len(file) == 5 * 25 * 20
        for who in range(5):
            assert file.get_many(list(written(who, 24))) == written(who, 24)


FORKED = """
import os, signal, sys
from guerdon.expr.cache import FileCache
cache = FileCache(sys.argv[1])
cache.put_many({b"parent": 1.0})
with cache._lock:  # as if another thread were writing
    child = os.fork()
    if not child:
        signal.alarm(20)
        cache.put_many({b"child": 2.0})
        os._exit(len(cache) - 2)
assert os.waitpid(child, 0)[1] == 0
assert cache.get_many([b"parent", b"child"]) == {b"parent": 1.0, b"child": 2.0}
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_opens_the_file_anew(tmp_path: Path) -> None:
    process = script(FORKED, tmp_path / "scores")
    process.communicate()
    assert process.returncode == 0
