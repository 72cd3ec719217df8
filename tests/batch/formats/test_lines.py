"""Lines of text files: every line arrives, and damage is told from the end."""

from __future__ import annotations

import gzip
import random
import zlib

import pytest

from guerdon.batch.formats.lines import Damaged, numbered_lines
from guerdon.errors import DataError

NOISE = random.Random(7)
TEXT = b"".join(b'{"a": %d, "b": %f}\n' % (i, NOISE.random()) for i in range(5000))
ZIPPED = gzip.compress(TEXT)


def lines_before_damage(path):
    lines = []
    with pytest.raises(Damaged) as caught:
        lines.extend(line for _, line in numbered_lines(path, gzipped=True))
    assert caught.value.number == len(lines)
    return lines, str(caught.value)


@pytest.mark.parametrize("gzipped", [False, True])
def test_lines_are_numbered_from_one_and_keep_their_ends(tmp_path, gzipped):
    path = tmp_path / "a"
    text = b"\xef\xbb\xbfone\r\n\n\xef\xbb\xbfthree\nlast"
    path.write_bytes(gzip.compress(text) if gzipped else text)
    assert list(numbered_lines(path, gzipped)) == [
        (1, b"one\r\n"),
        (2, b"\n"),
        (3, b"\xef\xbb\xbfthree\n"),
        (4, b"last"),
    ]


@pytest.mark.parametrize("kept", [len(ZIPPED) - 1, len(ZIPPED) - 8, len(ZIPPED) // 2, 5000, 300, 12, 3])
def test_a_gzip_stream_that_ends_early_gives_every_complete_line_before(tmp_path, kept):
    path = tmp_path / "a.gz"
    path.write_bytes(ZIPPED[:kept])
    lines, why = lines_before_damage(path)
    recovered = zlib.decompressobj(31).decompress(ZIPPED[:kept])
    assert b"".join(lines) == recovered[: recovered.rfind(b"\n") + 1]
    assert why == f"after line {len(lines)}: the gzip stream ends early"


def test_a_corrupt_gzip_stream_is_told(tmp_path):
    path = tmp_path / "a.gz"
    path.write_bytes(ZIPPED[:-6] + b"\0\0" + ZIPPED[-4:])
    lines, why = lines_before_damage(path)
    assert b"".join(lines) == TEXT
    assert why.startswith("after line 5000: the gzip stream is corrupt (CRC check failed")
    path.write_bytes(ZIPPED + b"garbage")
    assert "corrupt" in lines_before_damage(path)[1]


def test_gzip_members_in_a_row_are_one_stream(tmp_path):
    path = tmp_path / "a.gz"
    path.write_bytes(ZIPPED + ZIPPED + b"\0" * 20)
    assert b"".join(line for _, line in numbered_lines(path, gzipped=True)) == TEXT * 2


@pytest.mark.parametrize("gzipped", [False, True])
def test_an_empty_file_has_no_lines(tmp_path, gzipped):
    path = tmp_path / "a"
    path.write_bytes(b"")
    assert list(numbered_lines(path, gzipped)) == []


@pytest.mark.parametrize(
    ("text", "gzipped", "why"),
    [
        (b"plain", True, "is not a gzip file"),
        (ZIPPED, False, r"it is gzipped: give it a name that ends in .jsonl.gz"),
        ("a\n".encode("utf-16"), False, "UTF-16 text: save it as UTF-8"),
        ("\ufeffa\n".encode("utf-16-be"), False, "UTF-16 text: save it as UTF-8"),
        (b"PAR1\0", False, "it is a Parquet file"),
    ],
)
def test_a_file_of_another_kind_says_so(tmp_path, text, gzipped, why):
    path = tmp_path / "a"
    path.write_bytes(text)
    with pytest.raises(DataError, match=why):
        list(numbered_lines(path, gzipped))
