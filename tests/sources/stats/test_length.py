"""`stats.Length`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guerdon.batch import Axis, Batch
from guerdon.errors import DataError, ExpressionError, LevelError, MissingExtra
from guerdon.expr.evaluate import evaluate
from guerdon.sources.stats import Length

TEXTS: list[Any] = ["so it is 4", "", " \n\t", "\u00e9\u0301 \U0001f600", None, 18, "a\0b", "\ud800 x", float("nan")]


def test_units() -> None:
    batch = Batch({"response": TEXTS})
    np.testing.assert_array_equal(Length().score(batch), [10, 0, 3, 4, np.nan, 2, 3, 3, np.nan])
    np.testing.assert_array_equal(Length("words").score(batch), [4, 0, 0, 2, np.nan, 1, 1, 2, np.nan])


def test_another_column() -> None:
    batch = Batch({"prompt": ["a b c"], "response": ["x"]})
    assert Length("words", of="prompt").score(batch).tolist() == [3]
    assert Length("words", of="prompt").reads() == ("prompt",)


@given(st.lists(st.none() | st.text(alphabet="ab \n", max_size=12), max_size=6))
def test_definition(texts: list[str | None]) -> None:
    batch = Batch({"response": texts}, size=len(texts))
    chars = [np.nan if text is None else sum(1 for _ in text) for text in texts]
    words = [np.nan if text is None else sum(map(bool, text.replace("\n", " ").split(" "))) for text in texts]
    np.testing.assert_array_equal(Length().score(batch), chars)
    np.testing.assert_array_equal(Length("words").score(batch), words)


def test_tokens_of_the_axis() -> None:
    batch = Batch({}, {"token": Axis.from_lists(3, {"logprob": [[-0.1, -0.2], None, [-0.3]]})}, size=3)
    assert Length("tokens").score(batch).tolist() == [2, 0, 1]
    assert evaluate(Length("tokens"), batch).values.tolist() == [2, 0, 1]
    with pytest.raises(LevelError, match="token"):
        evaluate(Length("tokens"), Batch({"response": ["a"]}))


@pytest.fixture
def tokenizer(tmp_path: Path) -> Path:
    tokenizers = pytest.importorskip("tokenizers")
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel({"[UNK]": 0, "a": 1, "b": 2}, unk_token="[UNK]"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    made.post_processor = tokenizers.processors.TemplateProcessing(single="a $A", special_tokens=[("a", 1)])
    made.save(str(tmp_path / "tokenizer.json"))
    return tmp_path


def test_tokens_of_a_tokenizer(tokenizer: Path) -> None:
    batch = Batch({"response": ["a b, c", "", None, "\ud800 b"]})
    for name in (tokenizer, tokenizer / "tokenizer.json"):
        length = Length("tokens", tokenizer=str(name))
        np.testing.assert_array_equal(length.score(batch), [4, 0, np.nan, 2])
    many = Batch({"response": ["a b"] * 3000})
    assert Length("tokens", tokenizer=str(tokenizer)).score(many).sum() == 6000


def test_a_tokenizer_that_cannot_be_read(tmp_path: Path) -> None:
    pytest.importorskip("tokenizers")
    (tmp_path / "tokenizer.json").write_text("no tokenizer")
    with pytest.raises(DataError, match=r"tokenizer\.json"):
        Length("tokens", tokenizer=str(tmp_path)).score(Batch({"response": ["a"]}))


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(MissingExtra, match="pip install tokenizers"):
        Length("tokens", tokenizer="some/name").score(Batch({"response": ["a"]}))


WRONG: list[dict[str, Any]] = [
    {"unit": "bytes"},
    {"unit": "words", "tokenizer": "gpt2"},
    {"unit": "tokens", "of": "prompt"},
]


@pytest.mark.parametrize("settings", WRONG)
def test_wrong_settings(settings: dict[str, Any]) -> None:
    with pytest.raises(ExpressionError):
        Length(**settings)
