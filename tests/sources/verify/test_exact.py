"""`verify.Exact` against its definition."""

from __future__ import annotations

import unicodedata
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guerdon.batch import Batch
from guerdon.sources.verify import Exact

OPTIONS = ("ignore_case", "ignore_punctuation", "ignore_articles", "ignore_space")


def score(response: object, reference: object, **options: bool) -> float:
    return float(Exact(**options).score(Batch({"response": [response], "reference": [reference]}))[0])


CASES: list[tuple[str, str, dict[str, bool], float]] = [
    ("Paris", "Paris", {}, 1),
    (" Paris\n", "Paris", {}, 1),
    ("paris", "Paris", {}, 0),
    ("", " ", {}, 1),
    ("a  b", "a b", {}, 0),
    ("paris", "PARIS", {"ignore_case": True}, 1),
    ("Straße", "STRASSE", {"ignore_case": True}, 1),
    ("Paris!", "Paris", {"ignore_punctuation": True}, 1),
    ("snake_case", "snakecase", {"ignore_punctuation": True}, 1),
    ("3.5", "35", {"ignore_punctuation": True}, 1),
    ("a  b", "ab", {"ignore_space": True}, 1),
    ("The  dog", "a dog", {"ignore_articles": True}, 1),
    ("Theory", "ory", {"ignore_articles": True}, 0),
    ("the.", "", {"ignore_articles": True, "ignore_punctuation": True}, 1),
    ("A cat, an owl", "cat owl", {"ignore_articles": True, "ignore_punctuation": True}, 1),
]


@pytest.mark.parametrize(("response", "reference", "options", "wanted"), CASES)
def test_cases(response: str, reference: str, options: dict[str, bool], wanted: float) -> None:
    assert score(response, reference, **options) == wanted


def test_missing_values_and_numbers() -> None:
    batch = Batch({"response": ["18", None, "x", float("nan"), "18"], "reference": [18, 1, None, None, 18.0]})
    np.testing.assert_array_equal(Exact().score(batch), [1, np.nan, np.nan, np.nan, 0])
    assert Exact().score(Batch({"response": [], "reference": []})).shape == (0,)


def plain(text: str, options: dict[str, bool]) -> str:
    """The definition, character by character and word by word."""
    if options["ignore_case"]:
        text = text.casefold()
    if options["ignore_punctuation"]:
        text = "".join(c for c in text if c.isspace() or unicodedata.category(c)[0] in "LN")
    if options["ignore_articles"]:
        text = " ".join(word for word in text.split() if word.lower() not in ("a", "an", "the"))
    if options["ignore_space"]:
        text = "".join(text.split())
    return text.strip()


WORDS = st.lists(st.sampled_from(["the", "The", "a", "an", "cat", "cats", "CAT", "!", ",", ".", " ", "\n"]), max_size=4)


@given(WORDS.map(" ".join), WORDS.map(" ".join), st.lists(st.booleans(), min_size=4, max_size=4))
def test_definition(response: str, reference: str, flags: list[bool]) -> None:
    options: dict[str, Any] = dict(zip(OPTIONS, flags, strict=True))
    assert score(response, reference, **options) == float(plain(response, options) == plain(reference, options))
