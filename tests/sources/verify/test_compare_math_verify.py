"""Where `compare` decides, math-verify decides alike; the cases where that is not so, and why they are decided otherwise."""

from __future__ import annotations

import random
from collections import Counter
from fractions import Fraction
from importlib.metadata import version

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guerdon.sources.verify.compare import compare, spell
from guerdon.sources.verify.extract import extract
from guerdon.sources.verify.symbolic import same
from tests.sources.real import beside
from tests.sources.verify.spellings import NEARBY, numbers, spellings

DROPS_UNITS = "math-verify drops units"
NO_PROSE = "math-verify reads the letters of a word as a product"
NO_SPELLING = "math-verify has no such spelling"
RULINGS = [
    ("18 cm", "18 \\text{ m}", False, True, DROPS_UNITS),
    ("3 \\text{ cm}^2", "3 \\text{ cm}", False, True, DROPS_UNITS),
    ("60 minutes", "1 hour", True, False, DROPS_UNITS),
    ("18 eggs", "18", True, False, NO_PROSE),
    ("$20,000 dollars", "20000", True, False, NO_PROSE),
    ("2 million", "2000000", True, False, NO_PROSE),
    ("SLEPT", "slept", True, False, NO_PROSE),
    ("18.", "18", True, False, "the full stop of the sentence stops math-verify"),
    ("1 1/2", "1.5", True, False, NO_SPELLING + ": it reads 1 · 1/2, simplified to 1"),
    ("1 1/2", "1", False, True, NO_SPELLING + ": it reads 1 · 1/2, simplified to 1"),
    ("1\\,000", "1000", True, False, NO_SPELLING + ": it reads 1 · 000"),
    ("1.5e3", "1500", True, False, NO_SPELLING + ": it reads 1.5 · e · 3"),
    ("5e0", "6e0", False, True, NO_SPELLING + ": it reads 5 · e · 0"),
    ("x = 32,348", "32348", True, False, "math-verify reads a thousands separator behind `=` as a list"),
    ("-12.5%", "-1/8", True, True, ""),
    ("5700.0%", "57", True, False, "math-verify multiplies percentages with a decimal point in floating point"),
]


@pytest.mark.parametrize(("given_", "wanted", "ours", "theirs", "why"), RULINGS)
def test_rulings(given_: str, wanted: str, ours: bool, theirs: bool, why: str) -> None:
    assert compare(given_, wanted) is ours
    if version("math-verify").startswith("0.9."):
        assert same(given_, wanted) is theirs, f"math-verify has changed, the ruling may go: {why}"


@settings(max_examples=400)
@given(numbers, st.sampled_from([Fraction(0), Fraction(0), *NEARBY]), st.booleans(), st.data())
def test_numbers(value: Fraction, step: Fraction, negative: bool, data: st.DataObject) -> None:
    sign = -1 if negative else 1
    this = data.draw(st.sampled_from(spellings(sign * value, units=False)))
    that = data.draw(st.sampled_from(spellings(sign * (value + step))))
    verdict = compare(this, that)
    assert verdict is None or verdict is same(spell(this), spell(that))


WORDS = ["none", "the", "John's", "of", "apples", "are", "east", "six", "pie", "it", "INF", "error"]


@settings(max_examples=150)
@given(
    st.sampled_from(["18", "1/2", "50%", "3.25", "-7", "0"]),
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=3),
    st.sampled_from(["", "10+", "3 - "]),
)
def test_a_number_and_words(number: str, words: list[str], start: str) -> None:
    text = start + " ".join(words)
    assert compare(text, number) in (False, None)
    assert compare(text, number) is None or same(spell(text), spell(number)) is False


REWRITES = [
    lambda text: text.replace("(", "\\left(").replace(")", "\\right)"),
    lambda text: text.replace("\\frac", "\\dfrac"),
    lambda text: text.replace("+", " + ").replace("-", " - ").replace(",", ", "),
    lambda text: text.replace(" ", "") if "\\text" not in text and "\\begin" not in text else text,
    lambda text: f"${text}$.",
    lambda text: f"x = {text}",
    lambda text: text.replace("x", "y"),
    lambda text: text.translate(str.maketrans("123456789", "234567891")),
    lambda text: f"\\text{{{text}}}" if text.isalpha() else text,
]


def test_answers_of_math500() -> None:
    answers = [row["answer"] for row in beside("math_sets/math500")]
    choose = random.Random(7)
    tally: Counter[bool | None] = Counter()
    for answer in answers:
        for _ in range(2):
            text = choose.choice(REWRITES)(choose.choice(REWRITES)(answer))
            verdict = compare(text, answer)
            tally[verdict] += 1
            assert verdict is None or verdict is same(spell(text), spell(answer)), (text, answer, verdict)
    assert tally[True] > 500
    assert tally[False] > 100


def test_worked_solutions_of_math500() -> None:
    undecided = 0
    for row in beside("math_sets/math500"):
        found = extract(row["solution"])
        assert found is not None
        verdict = compare(found.text, row["answer"])
        undecided += verdict is None
        assert verdict or same(spell(found.text), spell(row["answer"])), (found, row["answer"])
    assert undecided <= 1


MISLABELLED = {("10000", "10{,}000")}


def test_eight_solutions_by_a_model() -> None:
    rows = beside("math_best_of_8/qwen25_math_with_rm_scores")
    undecided = 0
    for row in rows:
        found = extract(row["response"])
        assert found is not None
        given_, wanted = found.text, row["answer"]
        verdict = compare(given_, wanted)
        if verdict is None:
            undecided += 1
            verdict = same(spell(given_), spell(wanted))
        assert verdict is row["is_correct"] or (given_, wanted) in MISLABELLED
    assert undecided < 0.02 * len(rows)


@pytest.mark.parametrize(("name", "column"), [("math_sets/svamp", "Answer"), ("math_sets/aime24", "answer")])
def test_number_answers(name: str, column: str) -> None:
    for row in beside(name):
        answer = row[column]
        text = f"{answer:.12g}" if isinstance(answer, float) else answer
        more = "0" if "." in text else ".0"
        assert compare(text + more, text) is True
        assert compare(text, f"{text} eggs") is True
        assert compare(f"{text}1", text) is False
        assert compare(f"-{text}", text) is (float(text) == 0)
