"""Scores remembered by content: the key is a digest of a source and a row, the value a number or a list.

A cache may lose anything and must invent nothing. So values are kept as their bits (nothing in a file is ever
executed), a file of another kind is refused, and a write that fails leaves what was there before.
"""

from __future__ import annotations

import os
import sqlite3
import struct
import sys
from collections import OrderedDict
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from hashlib import blake2b
from math import isnan
from pathlib import Path
from threading import Lock
from typing import Any, Protocol, Self, cast

from guerdon.errors import DataError

__all__ = ["Cache", "FileCache", "MemoryCache", "Score", "key", "open_cache"]

Score = float | Sequence[float]
"""What a source says of one row: a number, or one number per item of the axis that it opens."""

APPLICATION = 0x67647363  # "gdsc", in the header of the file
FORMAT = 1
SLICE = 500  # keys in one query; SQLite takes 999 at least
BUSY_SECONDS = 60.0


class Cache(Protocol):
    """What `evaluate` asks of a cache. Safe to use from several threads."""

    def get_many(self, keys: Sequence[bytes]) -> dict[bytes, float | list[float]]:
        """The values of those keys that are known."""
        ...

    def put_many(self, items: Mapping[bytes, Score]) -> None:
        """Remember all `items`, or none of them and raise `DataError`."""
        ...

    def close(self) -> None:
        """Let go of the file, if there is one. May be called twice."""
        ...

    def __len__(self) -> int: ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *exception: object) -> None: ...


class MemoryCache:
    """The last `max_items` scores that were stored or asked for, in this process.

    >>> cache = MemoryCache(max_items=2)
    >>> cache.put_many({b"a": 1.0, b"b": [0.5, 0.25]})
    >>> cache.get_many([b"a", b"c"])
    {b'a': 1.0}
    >>> cache.put_many({b"c": 0.0})
    >>> sorted(cache.get_many([b"a", b"b", b"c"]))
    [b'a', b'c']
    """

    def __init__(self, max_items: int = 1_000_000) -> None:
        self.max_items = max_items
        self._blobs: OrderedDict[bytes, bytes] = OrderedDict()
        self._lock = Lock()

    def get_many(self, keys: Sequence[bytes]) -> dict[bytes, float | list[float]]:
        """The values of those keys that are known."""
        found: dict[bytes, float | list[float]] = {}
        with self._lock:
            for name in keys:
                blob = self._blobs.get(name)
                if blob is not None:
                    self._blobs.move_to_end(name)
                    found[name] = _unpack(blob)
        return found

    def put_many(self, items: Mapping[bytes, Score]) -> None:
        """Remember all `items`; the longest unused ones make room."""
        blobs = {name: _pack(value) for name, value in items.items()}
        with self._lock:
            for name, blob in blobs.items():
                self._blobs[name] = blob
                self._blobs.move_to_end(name)
            while len(self._blobs) > self.max_items:
                self._blobs.popitem(last=False)

    def close(self) -> None:
        """Nothing to let go of."""

    def __len__(self) -> int:
        return len(self._blobs)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class FileCache:
    """Scores in one SQLite file, shared by any number of processes and threads of one machine.

    Every `put_many` is one transaction: a process killed in the middle, at any moment, leaves all values of
    the earlier calls and none of this one. Beside `path`, `path-wal` and `path-shm` exist while someone has
    it open. The file must be on a local disk; network file systems do not lock well enough for several
    writers.

    Raises:
        DataError: the folder does not exist; the file is of another kind, damaged, or of a newer format; or,
            from `put_many`, the values could not be stored (disk full, file read-only, not numbers). The
            scores themselves are not affected: catch it around `put_many`, warn, and go on; the cache can
            still be read, and written to when there is room again.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._forebears: list[sqlite3.Connection] = []
        self._open()

    def get_many(self, keys: Sequence[bytes]) -> dict[bytes, float | list[float]]:
        """The values of those keys that are known; a value that is not a score counts as unknown."""
        found: dict[bytes, float | list[float]] = {}
        with self._database() as database:
            for start in range(0, len(keys), SLICE):
                some = keys[start : start + SLICE]
                marks = ",".join("?" * len(some))
                rows = database.execute(f"SELECT key, value FROM scores WHERE key IN ({marks})", some)
                for name, blob in rows:
                    with suppress(struct.error, TypeError, ValueError):
                        found[name] = _unpack(blob)
        return found

    def put_many(self, items: Mapping[bytes, Score]) -> None:
        """Remember all `items` in one transaction, or raise `DataError` and remember none of them."""
        rows = [(name, _pack(value)) for name, value in items.items()]
        with self._database() as database, _transaction(database):
            database.executemany("INSERT OR REPLACE INTO scores VALUES (?, ?)", rows)

    def close(self) -> None:
        """Close the file. May be called twice."""
        with self._database() as database:
            database.close()

    def __len__(self) -> int:
        with self._database() as database:
            return int(database.execute("SELECT count(*) FROM scores").fetchone()[0])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _open(self) -> None:
        if not self.path.parent.is_dir():
            raise DataError(f"cache {self.path}: there is no folder {self.path.parent}: create it or give another path")
        self._process = os.getpid()
        self._lock = Lock()
        with self._explained():
            self._connection = sqlite3.connect(
                self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            try:
                with _transaction(self._connection):
                    self._found_or_made()
                self._connection.execute("PRAGMA journal_mode = WAL")
                self._connection.execute("PRAGMA synchronous = NORMAL")
            except BaseException:
                self._connection.close()
                raise

    def _found_or_made(self) -> None:
        database = self._connection
        application, version, tables = (
            database.execute(question).fetchone()[0]
            for question in (
                "PRAGMA application_id",
                "PRAGMA user_version",
                "SELECT count(*) FROM sqlite_master",
            )
        )
        if (application, version, tables) == (0, 0, 0):
            database.execute("CREATE TABLE scores (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID")
            database.execute(f"PRAGMA application_id = {APPLICATION}")
            database.execute(f"PRAGMA user_version = {FORMAT}")
        elif application != APPLICATION:
            raise DataError(f"{self.path} is a database of another program, not a score cache: give another path")
        elif version != FORMAT:
            raise DataError(
                f"{self.path} is a score cache of format {version}, this guerdon reads format {FORMAT}: "
                "give another path or update guerdon"
            )

    @contextmanager
    def _database(self) -> Generator[sqlite3.Connection]:
        if self._process != os.getpid():  # a connection must not be used, nor closed, on the far side of a fork
            self._forebears.append(self._connection)
            self._open()
        with self._lock, self._explained():
            yield self._connection

    @contextmanager
    def _explained(self) -> Generator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise DataError(f"cache {self.path}: {error}") from error


def open_cache(path: str | Path | None) -> Cache:
    """The cache in file `path`, made if need be; None for one that lives as long as this process.

    Raises:
        DataError: the folder does not exist, or the file is not a score cache that this version can read.
    """
    return MemoryCache() if path is None else FileCache(path)


def key(source: str, values: Sequence[Any]) -> bytes:
    """Sixteen bytes that stand for a source and the values of one row.

        BLAKE2b-128(encode(source) encode(values₁) encode(values₂) …)

    The encoding is injective: 1, 1.0, True and "1" differ, ("ab", "c") and ("a", "bc") differ, and so do
    lists and tuples. What is equal in content is equal in key: dicts in any order of their keys, all NaNs, a
    numpy scalar and its Python value, a subclass and its base class. The same in every process and on every
    machine.

    Args:
        source: whatever tells one source from another: its class path and its fields.
        values: text, numbers, bools, None, bytes, and lists, tuples and dicts (with text keys) of these.

    Raises:
        DataError: a value of any other type, or one nested too deeply.

    >>> key("verify.Exact()", ["4", "4"]).hex()
    '803b3b4b5c30dcc8271b0173b016fb64'
    """
    parts: list[bytes] = []
    try:
        _text(source, parts)
        for value in values:
            if type(value) is str:
                _text(value, parts)
            else:
                _encode(value, parts)
    except RecursionError:
        raise DataError(f"a value for {source} is nested too deeply for a cache key: flatten it") from None
    return blake2b(b"".join(parts), digest_size=16).digest()


def _encode(value: Any, parts: list[bytes]) -> None:
    encode = ENCODERS.get(cast(Any, type(value)))
    if encode is None:
        value = _plain(value)
        encode = next(encode for kind, encode in ENCODERS.items() if isinstance(value, kind))
    encode(value, parts)


def _plain(value: Any) -> Any:
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.generic) and value.dtype.kind in "biuf":
        value = value.item()
    if isinstance(value, tuple(ENCODERS)):
        return value
    raise DataError(
        f"a value of type {type(value).__name__} cannot be part of a cache key: "
        "give text, numbers, bools, None, bytes, or lists, tuples and dicts of these"
    )


def _text(value: str, parts: list[bytes]) -> None:
    data = value.encode("utf-8", "surrogatepass")
    parts += (b"s%d:" % len(data), data)


def _bytes(value: bytes, parts: list[bytes]) -> None:
    parts += (b"y%d:" % len(value), value)


def _integer(value: int, parts: list[bytes]) -> None:
    data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    parts += (b"i%d:" % len(data), data)


def _real(value: float, parts: list[bytes]) -> None:
    parts.append(b"n" if isnan(value) else b"f" + struct.pack("<d", value))


def _list(value: list[Any], parts: list[bytes]) -> None:
    parts.append(b"l%d:" % len(value))
    for item in value:
        _encode(item, parts)


def _tuple(value: tuple[Any, ...], parts: list[bytes]) -> None:
    parts.append(b"t%d:" % len(value))
    for item in value:
        _encode(item, parts)


def _dict(value: dict[Any, Any], parts: list[bytes]) -> None:
    for name in value:
        if not isinstance(name, str):
            raise DataError(f"a dict with the key {name!r} cannot be part of a cache key: use text keys")
    parts.append(b"d%d:" % len(value))
    for name in sorted(value):
        _text(name, parts)
        _encode(value[name], parts)


ENCODERS: dict[type[Any], Callable[[Any, list[bytes]], None]] = {
    str: _text,
    bool: lambda value, parts: parts.append(b"T" if value else b"F"),
    type(None): lambda value, parts: parts.append(b"0"),
    int: _integer,
    float: _real,
    bytes: _bytes,
    list: _list,
    tuple: _tuple,
    dict: _dict,
}


def _pack(value: Score) -> bytes:
    try:
        if isinstance(value, Sequence):
            return b"l" + struct.pack(f"<{len(value)}d", *value)
        return b"f" + struct.pack("<d", value)
    except (struct.error, OverflowError):
        raise DataError(f"a score is a number or a list of numbers, not {value!r:.80}") from None


def _unpack(blob: bytes) -> float | list[float]:
    kind, numbers = blob[:1], struct.unpack(f"<{len(blob) // 8}d", memoryview(blob)[1:])
    if kind == b"l":
        return list(numbers)
    if kind == b"f" and len(numbers) == 1:
        return numbers[0]
    raise ValueError(f"not a score: {blob!r:.80}")


@contextmanager
def _transaction(database: sqlite3.Connection) -> Generator[None]:
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            with suppress(sqlite3.Error):
                database.execute("ROLLBACK")
        raise
