"""Where answers are found, and that no text makes the search slow."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guerdon.sources.verify.extract import MAX_ANSWER, WAYS, Answer, extract, final_part, last_tag
from tests.sources.real import beside, gsm8k_solutions

SIZE = 5_000_000

BOXED = [
    (r"So \boxed{18}.", "18"),
    (r"\boxed{\frac{1}{2}} or so", r"\frac{1}{2}"),
    (r"\fbox{7}", "7"),
    (r"\boxed 5.", "5."),
    (r"$\boxed5$", "5"),
    (r"\boxed {x}", "x"),
    (r"\boxed{\{1, 2\}}", r"\{1, 2\}"),
    (r"\boxed{\left\{ x \right.} then", r"\left\{ x \right."),
    (r"\boxed{5} was wrong; it is $\boxed{6}$", "6"),
    (r"\boxed{1}, \boxed{2}", "1, 2"),
    (r"$\boxed{1}$ and $\boxed{2}$", "1, 2"),
    (r"\boxed{3} \text{ or } \fbox{4}", "3, 4"),
    (r"\boxed{3}, \boxed{3}", "3"),
    (r"\boxed{\boxed{3}}", "3"),
    (r"\boxed{\frac{1}{2}", r"\frac{1}{2}"),
    ("\\boxed{12 $\nand more", "12"),
    (r"\boxed{} but the answer is 5", "5"),
]

LINES = [
    ("16 - 3 = 13\n#### 18", "18", "#### line"),
    ("#### 1,000 \n", "1,000", "#### line"),
    ("#### -3.5\n\nThis is why.", "-3.5", "#### line"),
    ("#### x + 1\n", "x + 1", "#### line"),
    ("#### Step 2: add 3\nThe answer is 5.", "5", "answer is"),
    ("so 2 * 9 = 18\nA: 18", "18", "A: line"),
    ("A: 5", "5", "A: line"),
    ("Q: 3?\n **A:** 5 eggs\n", "5 eggs", "A: line"),
    ("A: -1.8 billion", "-1.8 billion", "A: line"),
    ("A: 10+John's age", "10+John's age", "A: line"),
    ("text        A: 5 or DNA: 6", "6", "last number"),
    ("The answer is 4.\nA: 5", "5", "A: line"),
    ("A: 5\nNo, the answer is 4.", "4", "answer is"),
]

PHRASES = [
    ("The answer is 18.", "18"),
    ("the answer is **18**", "18"),
    ("ANSWER: 18", "18"),
    ("**Answer:** 18 dollars per day", "18 dollars"),
    ("**Final Answer**\n\n18", "18"),
    ("### Final Answer\n18", "18"),
    ("The final answer is: $18 per day because of 3 eggs", "$18 per"),
    ("The answer is 3.5. So 4 is wrong", "3.5"),
    ("The answer is $-5$.", "-5"),
    ("The answer is -$5", "-$5"),
    ("Answer: $1,000.50", "$1,000.50"),
    ("The answer to the question about 3 eggs is 5 apples.", "5 apples"),
    ("Answer: x = 5", "x = 5"),
    ("answer is 5x + 3.", "5x + 3"),
    ("answer is 7 - the rest", "7"),
    ("The answer is 5 or 6.", "5 or 6"),
    ("The answers are 3 and 5.", "3 and 5"),
    ("The answers are $1$, $2$ and $3$.", "1, 2, 3"),
    ("The answer is 18!", "18"),
    ("The answer is 5 (five).", "5"),
    ("The answer is (3, 4).", "(3, 4)"),
    ("The answer is 1 1/2 cups", "1 1/2 cups"),
    ("The answer is 5:30 pm", "5:30 pm"),
    ("The answer is 12 cm^2.", "12 cm^2"),
    (r"The answer is \(\sqrt{2}\), as above", r"\sqrt{2}"),
    (r"the answer is therefore $5 + 3 = 8$.", "5 + 3 = 8"),
    ("answer is approximately 3.14 m", "3.14"),
    ("The answer is Evelyn.", "Evelyn"),
    ("The answer is 3.\nThe answer is 4.", "4"),
    ("so we get the answer\nFirst take 3. It is 8", "8"),
]

NUMBERS = [
    ("I have 3, 4 and -7 apples", "-7"),
    ("so 10-5", "5"),
    ("x - 5", "5"),
    ("x = -5, y = 3 or -2", "-2"),
    ("about 1,234.50 in all", "1,234.50"),
    ("it is 50% of it", "50%"),
    (r"we get $\frac{3}{4}$.", r"\frac{3}{4}"),
    (r"$\frac{3}{4}$ of 5 cakes", "5"),
    (r"\frac{1}{2} and -\dfrac{5}{6}", r"-\dfrac{5}{6}"),
    ("3/4 of it", "3/4"),
    ("only .5 then", ".5"),
]


@pytest.mark.parametrize(("text", "answer"), BOXED)
def test_boxes(text: str, answer: str) -> None:
    found = extract(text)
    assert found is not None
    assert found.text == answer


@pytest.mark.parametrize(("text", "answer", "how"), LINES)
def test_lines(text: str, answer: str, how: str) -> None:
    assert extract(text) == Answer(answer, how)


@pytest.mark.parametrize(("text", "answer"), PHRASES)
def test_phrases(text: str, answer: str) -> None:
    found = extract(text)
    assert found is not None
    assert found.text == answer


@pytest.mark.parametrize(("text", "answer"), NUMBERS)
def test_the_last_number(text: str, answer: str) -> None:
    assert extract(text) == Answer(answer, "last number")


@pytest.mark.parametrize("text", ["", "no digits", "\0", "\u0663", "\ud800", r"\boxed{}", "The answer is"])
def test_no_answer(text: str) -> None:
    assert extract(text) is None


def test_tags() -> None:
    assert extract("<answer>7</answer> 8") == Answer("7", "answer tag")
    assert extract("<answer>1</answer> 2 <answer> 3 </answer>") == Answer("3", "answer tag")
    assert extract(r"\boxed{1} <answer>so \boxed{2}</answer>") == Answer("2", "boxed")
    assert extract("<answer>The total is 18 dollars</answer>") == Answer("18", "answer tag")
    assert extract("<answer>1\n2</answer>") == Answer("1\n2", "answer tag")
    assert extract("<answer></answer> 5") == Answer("5", "last number")
    assert last_tag("<answer>4", "answer") is None
    assert last_tag("4</answer>", "answer") is None


def test_reasoning_is_no_answer() -> None:
    assert final_part("a</think>b</think>c") == "c"
    assert final_part("a <think> b") == ""
    assert final_part("</think>a<think>b") == ""
    assert extract(r"<think>\boxed{1}</think>It is 2") == Answer("2", "last number")
    assert extract(r"<think>\boxed{1}") is None


def test_the_order_of_ways_decides() -> None:
    text = r"\boxed{1} <answer>2</answer> The answer is 3. Also 4"
    assert [(extract(text, (way,)) or Answer("", "")).text for way in WAYS] == ["2", "1", "", "3", "4"]
    assert extract(text, ("number", "tag")) == Answer("4", "last number")
    assert extract(text, ("hash", "phrase")) == Answer("3", "answer is")


def test_long_answers_come_back_cut() -> None:
    for text in (r"\boxed{" + "1+" * SIZE + "1}", "The answer is x" + "+x" * SIZE, "9" * SIZE):
        found = extract(text)
        assert found is not None
        assert len(found.text) == MAX_ANSWER + 1


HOSTILE = {
    "unclosed boxes": ("\\boxed{" * (SIZE // 7), None),
    "open braces": ("{" * SIZE, None),
    "a box and open braces": ("\\boxed{1}" + "{" * SIZE, "1"),
    "a box in 100,000 braces": ("{" * 100_000 + "\\boxed{1}" + "}" * 100_000, "1"),
    "a box before closing braces": ("\\boxed{1}" + "}" * SIZE, "1"),
    "many boxes": ("\\boxed{1}, " * (SIZE // 11), "1"),
    "white space": (" " * SIZE + "5", "5"),
    "white space in a statement": ("The answer is" + " " * SIZE + "5", "5"),
    "statements without an answer": ("answer is " * (SIZE // 10) + "5", "5"),
    "half statements": ("answer to " * (SIZE // 10) + "5", "5"),
    "words": ("answer" * (SIZE // 6) + " 5", "5"),
    "A lines": ("A:\n" * (SIZE // 3) + "5", "5"),
    "headings": ("#### 1x\n" * (SIZE // 8), "1x"),
    "hashes": ("#" * SIZE + "5", "5"),
    "dollars": ("answer is " + "$" * 6000 + "5", "$" * (MAX_ANSWER + 1)),
    "open parentheses": ("answer is " + "\\(a" * 3000, ("\\(a" * 3000)[: MAX_ANSWER + 1]),
    "thousands": ("1," * (SIZE // 2), "1"),
    "minus signs": ("-" * SIZE + "5", "-5"),
    "tags": ("<answer>" * (SIZE // 8) + "5", "5"),
    "reasoning": ("<think>" * (SIZE // 7) + "5", None),
    "nulls": ("\0" * SIZE + "5", "5"),
    "right to left": ("\u202e\u0663" * (SIZE // 2) + "5", "5"),
    "surrogates": ("\ud800" * SIZE + "5", "5"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_texts_of_megabytes(name: str) -> None:
    text, answer = HOSTILE[name]
    found = extract(text)
    assert (found and found.text) == answer


@given(st.text(alphabet="\\boxed{}$ aA:#answer is12.,/%-\n<>think", max_size=60))
def test_never_fails_and_only_quotes(text: str) -> None:
    found = extract(text)
    if found is not None:
        assert found.text
        assert all(part.strip() in text for part in found.text.split(", "))


@given(st.text(max_size=40).filter(lambda s: "{" not in s and "}" not in s and "\\" not in s), st.text(max_size=20))
def test_a_closed_box_is_found_behind_any_text(inside: str, before: str) -> None:
    found = extract(before.replace("\\", "") + " \\boxed{" + inside + "}", ("boxed",))
    hidden = "<think>" in inside + before or "</think>" in inside + before
    assert hidden or (found.text if found else "") == inside.strip()


def test_every_solution_of_the_shipped_data_states_its_last_line() -> None:
    for row in gsm8k_solutions():
        found = extract(row["reference_solution"])
        assert found == Answer(row["answer"], "A: line")


@pytest.mark.parametrize(("name", "how"), [("gsm8k/train", "#### line")])
def test_every_worked_solution_states_its_answer(name: str, how: str) -> None:
    for row in beside(name):
        assert extract(row["solution"]) == Answer(row["answer"], how)
