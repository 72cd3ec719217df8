"""Keys are equal when sources and values are, in every process, and otherwise never."""

from __future__ import annotations

import hashlib
import os
import struct
import subprocess
import sys
from enum import IntEnum
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guerdon.errors import DataError
from guerdon.expr.cache import key

PLAIN = (
    st.none()
    | st.booleans()
    | st.integers(-2, 2)
    | st.integers()
    | st.sampled_from([0.0, -0.0, 1.0, -1.0, float("nan"), float("inf")])
    | st.floats()
    | st.text("s1:", max_size=4)
    | st.text(max_size=4)
    | st.binary(max_size=4)
)
VALUES = st.recursive(
    PLAIN,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text("ab", max_size=2), inner, max_size=3)
    ),
    max_leaves=6,
)
ROWS = st.lists(VALUES, max_size=3)


def spelled(value: Any) -> str:
    """The value as text that names every type: what two values share if and only if they are the same."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name!r}: {spelled(value[name])}" for name in sorted(value)) + "}"
    if isinstance(value, list | tuple):
        return type(value).__name__ + "[" + ", ".join(map(spelled, value)) + "]"
    return f"{type(value).__name__} {value!r}"


@given(st.text(max_size=3), ROWS, st.text(max_size=3), ROWS)
def test_keys_differ_when_sources_or_values_do(source: str, row: list[Any], other: str, another: list[Any]) -> None:
    same = source == other and spelled(row) == spelled(another)
    assert (key(source, row) == key(other, another)) == same


def test_no_two_small_rows_share_a_key() -> None:
    leaves = ["", "s", "1", "s0", "s1", ":", "s0:", "s1:s", b"", b"s", 0, 1, True, False, None, 1.0, 0.0]
    pairs = [*((leaf,) for leaf in leaves), *product(leaves, leaves), ()]
    values = [*leaves, *pairs, *map(list, pairs), *({"": leaf} for leaf in leaves), *({"s": leaf} for leaf in leaves)]
    rows = [[], *([value] for value in values), *([a, b] for a in values for b in leaves), *product(leaves, repeat=3)]
    assert len({key("s", row) for row in rows}) == len(rows)


TWINS = [
    [1, 1.0, True, "1", b"1", [1], (1,), {"1": 1}, None, "", b"", [], (), {}, 0, 0.0, -0.0, False, "None"],
    [["a", "b"], ["ab"], [["a"], "b"], ["a", ["b"]], [["a", "b"]], ["a", "b", ""], ["", "a", "b"], "ab"],
    ["\ud83d\ude00", "\U0001f600", "\ud83d", "\ud83e", "?", "??", b"\xf0\x9f\x98\x80"],
    [255, -1, 256, -256, 2**63, -(2**63), 2**64, 10**5000],
    [{"a": 1, "b": 2}, {"a": 2, "b": 1}, {"a": {"b": 2}}, ["a", 1, "b", 2], {"ab": 1}],
]


@pytest.mark.parametrize("values", TWINS, ids=lambda values: f"{len(values)} values")
def test_look_alikes_have_different_keys(values: list[Any]) -> None:
    assert len({key("s", [value]) for value in values}) == len(values)


def test_the_source_is_not_a_value() -> None:
    assert len({key("a", ["b"]), key("a", []), key("ab", []), key("b", ["a"]), key("", ["a", "b"])}) == 5


class Level(IntEnum):
    HIGH = 3


class Pair(NamedTuple):
    left: str
    right: str


@pytest.mark.parametrize(
    ("value", "same"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        (float("nan"), -float("nan")),
        (Level.HIGH, 3),
        (Pair("a", "b"), ("a", "b")),
        (np.float64(0.5), 0.5),
        (np.float32(0.5), 0.5),
        (np.int64(3), 3),
        (np.bool_(True), True),
        (np.str_("a"), "a"),
    ],
)
def test_equal_content_has_equal_keys(value: Any, same: Any) -> None:
    assert key("s", [value]) == key("s", [same])


def looped() -> list[Any]:
    loop: list[Any] = []
    loop.append(loop)
    return loop


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ({1, 2}, "type set"),
        (object(), "type object"),
        ([1 + 2j], "type complex"),
        ({"a": {3: 1}}, "key 3"),
        (np.array([1.0]), "type ndarray"),
        (np.datetime64("2026-01-01", "ns"), "type datetime64"),
        (looped(), "nested too deeply"),
    ],
    ids=str,
)
def test_what_cannot_be_told_apart_is_refused(value: Any, complaint: str) -> None:
    with pytest.raises(DataError, match=complaint):
        key("s", [value])


def test_keys_are_the_same_in_every_process() -> None:
    row = ["é", 1, 2.5, {"b": None, "a": [True, (b"x",)]}]
    text = f"from guerdon.expr.cache import key; print(key('s', {row!r}).hex())"
    for seed in ("0", "1"):
        environment = os.environ | {"PYTHONHASHSEED": seed}
        done = subprocess.run([sys.executable, "-c", text], env=environment, capture_output=True, text=True)
        assert done.stdout.strip() == key("s", row).hex()


def test_keys_of_this_format_never_change() -> None:
    one, minus_zero = struct.pack("<d", 1.0), struct.pack("<d", -0.0)
    written_out = b"s6:sources4:texti1:\x01f" + one + b"T0l0:d1:s1:af" + minus_zero
    row = ["text", 1, 1.0, True, None, [], {"a": -0.0}]
    assert key("source", row) == hashlib.blake2b(written_out, digest_size=16).digest()
