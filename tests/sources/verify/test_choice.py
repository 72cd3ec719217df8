"""`verify.Choice`: which option a text chooses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guerdon.batch import Batch
from guerdon.errors import ExpressionError, Unscored
from guerdon.expr.evaluate import evaluate
from guerdon.sources.verify import Choice

SIZE = 5_000_000

CHOSEN = [
    ("B", "B"),
    ("b", "B"),
    ("(B)", "B"),
    ("B.", "B"),
    ("**C**", "C"),
    ("B. Paris", "B"),
    ("(C) because the rest is wrong", "C"),
    ("B) Paris\nIt is the capital.", "B"),
    (r"So \boxed{D}.", "D"),
    (r"So $\boxed{\text{(D)}}$.", "D"),
    (r"\boxed{B. Paris}", "B"),
    ("The correct option is A because 3 > 2.", "A"),
    ("answer: b", "B"),
    ("Answer: **C**", "C"),
    ("**Answer:** (C)", "C"),
    ("Answer:\nC", "C"),
    ("The answer is (b).", "B"),
    ("the answer is option C", "C"),
    ("Therefore, option B is correct.", "B"),
    ("C is the right answer", "C"),
    ("I choose D.", "D"),
    ("I would go with option D, since it fits", "D"),
    ("The best choice is clearly B", "B"),
    ("The answer to the question is therefore C", "C"),
    ("The answer to the question is C", "C"),
    ("A is small. B is large.\nThe answer is B", "B"),
    ("<think>The answer is A</think>The answer is B", "B"),
    ("<answer>C</answer>", "C"),
    ("The answer is A. <answer>C</answer>", "C"),
    ("The answer is A. Or rather, the answer is B.", "AB"),
    (r"\boxed{A} or \boxed{B}", "AB"),
    ("The answer is A or B", "AB"),
    ("Answer: A, C and D", "ACD"),
    ("A\nthen more\nB", "AB"),
    ("The answer is not B", ""),
    ("The answer is a bit hard", ""),
    ("The answer is about two", ""),
    ("Answer: Almost", ""),
    ("A large dog", ""),
    ("E", ""),
    ("", ""),
    ("I do not know", ""),
    ("Plan B's outcome", ""),
]


@pytest.mark.parametrize(("text", "letters"), CHOSEN)
def test_what_is_chosen(text: str, letters: str) -> None:
    choice = Choice()
    for option in "ABCD":
        assert choice.quick(text, option) == float(letters == option)
        assert choice.score_row(text, option) == float(letters == option)
    if letters:
        assert choice.quick(text, ", ".join(letters)) == 1.0


@pytest.mark.parametrize(
    "reference", ["B", "b", "(B)", "B.", "B. Paris", "(B) Paris", " B\n", r"$\text{B}$", "The answer is B."]
)
def test_references(reference: str) -> None:
    assert Choice().quick("B", reference) == 1.0
    assert Choice().quick("C", reference) == 0.0


@pytest.mark.parametrize("reference", ["", "E", "Paris", "42", "Better"])
def test_a_reference_that_names_no_option_is_unscored(reference: str) -> None:
    with pytest.raises(Unscored, match="names none of the options A, B, C, D"):
        Choice().quick("A", reference)


def test_texts_of_the_options() -> None:
    choice, texts = Choice(choices=True), ["London", "Paris", "2,000 km", "None of these."]
    assert choice.quick("It is in France.\nParis.", "B", texts) == 1.0
    assert choice.quick(r"\boxed{\text{paris}}", "Paris", texts) == 1.0
    assert choice.quick("**none of  these**", "D", texts) == 1.0
    assert choice.quick("Paris", "B", {"A": "London", "b": "Paris"}) == 1.0
    assert choice.quick("Paris is large", "B", texts) == 0.0
    assert choice.quick("Berlin", "B", texts) == 0.0
    assert choice.why("Paris", "A", texts) == "chose B, wanted A"
    assert choice.why("Berlin", "A", texts) == "chose nothing, wanted A"
    for wrong in (None, "Paris", 3):
        with pytest.raises(Unscored, match="choices must be a list"):
            choice.quick("Paris", "B", wrong)


def test_choices_are_read_from_their_column() -> None:
    columns = {
        "response": ["Paris", "A"],
        "reference": ["B", "B"],
        "choices": [["London", "Paris"], ["Paris", "London"]],
    }
    batch = Batch(columns)
    assert evaluate(Choice("AB", choices=True), batch).values.tolist() == [1.0, 0.0]
    assert evaluate(Choice("AB"), Batch({"response": ["B"], "reference": ["B"]})).values.tolist() == [1.0]


@pytest.mark.parametrize("options", ["", "A", "AA", "ab", "A1", "ÄB"])
def test_wrong_options(options: str) -> None:
    with pytest.raises(ExpressionError, match="capital letters"):
        Choice(options)


def test_other_options() -> None:
    assert Choice("ABCDEFGHIJ").quick("The answer is J.", "J") == 1.0
    assert Choice("YN").quick("The answer is N", "N") == 1.0


HOSTILE = [
    *(
        "A" * SIZE,
        "(A) " * (SIZE // 4),
        "answer is A " * (SIZE // 12),
        "answer to " * (SIZE // 10),
        "\\boxed{" * (SIZE // 7),
    ),
    *(
        "\\boxed{A}" * (SIZE // 9),
        "B is " * (SIZE // 5),
        "choose " * (SIZE // 7),
        "\0" * SIZE,
        "\ud800" * SIZE,
        "A and " * (SIZE // 6),
    ),
    *("{" * SIZE, "\n" * SIZE, "\u202e" * SIZE, "<answer>" * (SIZE // 8), "*" * SIZE),
]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:12]))
def test_hostile_texts_of_megabytes(text: str) -> None:
    assert Choice().quick(text, "B") == 0.0


@given(st.sampled_from("ABCD"), st.sampled_from("ABCD"))
def test_two_different_statements_are_never_right(one: str, other: str) -> None:
    text = f"The answer is {one}. Wait. The answer is {other}."
    assert Choice().quick(text, other) == float(one == other)
