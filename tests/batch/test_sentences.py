"""Sentences: each trap that the docstring names, on both sides."""

from __future__ import annotations

import pytest

from guerdon.batch.segment import steps
from guerdon.batch.sentences import sentence_ends

CASES = {
    "decimals": [
        "Pi is 3.14 or so.|Tau is 6.28.",
        "It costs $3.50.|He pays.",
        "v1.2.3 is out.|Good.",
    ],
    "abbreviations": [
        "Mr. Smith met Dr. Who vs. Prof. X.|They left.",
        "Use e.g. two, i.e. a pair.|Done.",
        "See Fig. 2.|Then Eq. (3).|Go.",
    ],
    "numbers": [
        "See No. 5 and p. 12.|Done.",
        "The answer is no.|Then stop.",
    ],
    "seldom last": [
        "Apples, pears, etc. are fruit.|So are figs, etc.|They grow.",
        "Smith et al. show it.|So did Lee et al.|They agree.",
    ],
    "acronyms": [
        "The U.S. economy grew.|It fell.",
        "We met at 5 p.m. and left.|Bye.",
    ],
    "ellipses": [
        "Wait... is it?|Yes.",
        "So… maybe.|No.",
        "Hm... The end.",
    ],
    "several marks": [
        "What?!|No!!|Yes.",
        "Really?... So.|Yes.",
    ],
    "quotations": [
        '"Why?" she asked.|He said "No."|Then left.',
        "(He knew it.)|She did not.",
        "He (what a man!) left.|So.",
    ],
    "choices": [
        "The answer is B.|It fits.",
        "Pick I.|Then go.",
    ],
    "formulas": [
        "Let $x = 3. y$ be.|Then $$a. b$$ holds.|And \\(a. b\\) too.|So \\[c. d\\] ends.|Fin.",
    ],
    "money": [
        "It costs $5.|He pays $10.|She pays $x$ too.|Done.",
        "From $5-$10.|Up to $20.|Fine.",
        "It costs $5.|Later:-$10 less.",
    ],
    "escapes": [
        "A \\$5 bill.|And \\$6.|Fine.",
        "Break \\\\[2pt] a.|Then \\\\[3pt] b.|Fine.",
    ],
    "open formulas": [
        "A lone \\( here.|Then go.|And $ here.|Stop.",
        "Then \\[ a.|\\[ b. \\] c.|End.",
    ],
    "markup": [
        "**Note.**|The end.|*So.*|It is.",
    ],
    "lower case": [
        "it is so.|it is not.|why?|because.",
    ],
    "wide": [
        "好的。|真的吗？|是！",
    ],
}


def cut(text: str) -> list[str]:
    return [span.of(text) for span in steps(text, "sentence")]


@pytest.mark.parametrize(("trap", "text"), [(trap, text) for trap in CASES for text in CASES[trap]])
def test_sentences_end_where_a_reader_ends_them(trap, text):
    between = "" if trap == "wide" else " "
    assert cut(text.replace("|", between)) == text.split("|")


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_lines_end_sentences_only_before_blank_lines_and_items(newline):
    lines = [
        "A wrapped",
        "sentence. Next",
        "",
        "1. Add. Then go",
        "2) Halve",
        "- item",
        "• dot",
        "  (3) deep",
        "## Head",
    ]
    wanted = [
        "A wrapped|sentence.",
        "Next",
        "1. Add.",
        "Then go",
        "2) Halve",
        "- item",
        "• dot",
        "(3) deep",
        "## Head",
    ]
    assert cut(newline.join(lines)) == [text.replace("|", newline) for text in wanted]


def test_a_minus_at_the_start_of_a_line_is_no_item():
    assert cut("x is\n-5 and\n12 more") == ["x is\n-5 and\n12 more"]


def test_a_number_that_ends_its_line_ends_its_sentence():
    assert cut("The result:\n42.\nThat is it.") == ["The result:\n42.", "That is it."]
    assert cut("iv. Roman. Done.") == ["iv. Roman.", "Done."]


def test_a_formula_does_not_reach_over_a_blank_line():
    assert cut("Pay $x. Now.\n\nPay. y$ more.") == ["Pay $x.", "Now.", "Pay.", "y$ more."]
    assert cut("a $$b. c\nd. e$$ f") == ["a $$b. c\nd. e$$ f"]


def test_formulas_of_two_kinds_may_overlap():
    assert cut("\\( a. $b$ c. \\) d. E") == ["\\( a. $b$ c. \\) d.", "E"]


def test_only_the_given_part_of_the_text_counts():
    text = "One. Two. Three. Four."
    assert list(sentence_ends(text, 5, 15)) == [9]
    assert list(sentence_ends("a.b. c", 0, 2)) == [2]
    assert list(sentence_ends("a.  ", 0, 4)) == [2]
