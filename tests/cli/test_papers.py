"""The paper index: every row of papers.toml, and what `guerdon papers` prints of it."""

from __future__ import annotations

import json
import re
import sys
import textwrap
import tomllib
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guerdon.cli import papers as index
from guerdon.cli.papers import papers, papers_command
from guerdon.errors import DataError

ROWS: list[dict[str, Any]] = tomllib.loads((Path(__file__).parents[2] / "papers.toml").read_text("utf-8"))["paper"]
NEEDED = {"n", "title", "short", "kind", "rooms", "status", "claim", "says"}
KINDS = {"method", "system", "analysis", "benchmark", "theory", "survey", "position"}
STATUSES = {"planned", "implemented", "measured", "noted"}
ROOMS = {
    "batch",
    "expr",
    "sources",
    "recipes",
    "credit",
    "search",
    "label",
    "learn",
    "agents",
    "audit",
    "serve",
    "testbed",
}
CERTAIN = {1: "2505.17018", 113: "2505.15612", 126: "2505.18086", 218: "2502.03373"}
GOOD = {
    "n": 2,
    "title": "Twice: Doubling Rewards",
    "short": "Twice",
    "arxiv": "2501.00002",
    "kind": "method",
    "rooms": ["expr"],
    "status": "implemented",
    "symbols": ["guerdon.recipes.twice"],
    "claim": {"status": "shown", "numbers": "0.4 -> 0.8", "command": "make claims"},
    "says": "Twice the reward is twice as good.",
}


def faults(row: dict[str, Any]) -> set[str]:
    """The fields of `row` that break the rules at the top of papers.toml."""
    claim = row["claim"]
    told = {"numbers", "command"} if claim["status"] != "untested" else set[str]()
    built = row["status"] in ("implemented", "measured")
    symbols = row.get("symbols", [])
    rules = {
        "fields": NEEDED <= row.keys() <= NEEDED | {"arxiv", "symbols"},
        "title": 0 < len(row["title"]) == len(row["title"].strip()) and "\n" not in row["title"],
        "short": 0 < len(row["short"]) <= 100,
        "arxiv": re.fullmatch(r"\d{2}(0[1-9]|1[0-2])\.\d{4,5}", row.get("arxiv", "2501.00001")),
        "kind": row["kind"] in KINDS,
        "rooms": row["rooms"] and set(row["rooms"]) <= ROOMS,
        "status": row["status"] in STATUSES,
        "symbols": (symbols or not built) and all(re.fullmatch(r"guerdon(\.\w+)+", name) for name in symbols),
        "claim": claim["status"] in ("untested", "shown", "failed") and claim.keys() == {"status"} | told,
        "evidence": all(isinstance(claim[name], str) and claim[name].strip() for name in told & claim.keys()),
        "says": 0 < len(row["says"]) <= 140 and "\n" not in row["says"],
    }
    return {name for name, kept in rules.items() if not kept}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row["n"]))
def test_a_row_keeps_the_rules(row: dict[str, Any]) -> None:
    assert not faults(row)


@pytest.mark.parametrize(
    ("change", "broken"),
    [
        ({}, set()),
        ({"year": 2025}, {"fields"}),
        ({"title": " spaced"}, {"title"}),
        ({"arxiv": "2513.00001"}, {"arxiv"}),
        ({"arxiv": "https://arxiv.org/abs/2501.00001"}, {"arxiv"}),
        ({"kind": "idea"}, {"kind"}),
        ({"rooms": []}, {"rooms"}),
        ({"status": "done"}, {"status"}),
        ({"symbols": []}, {"symbols"}),
        ({"symbols": ["recipes.twice"]}, {"symbols"}),
        ({"claim": {"status": "shown"}}, {"claim"}),
        ({"claim": {"status": "failed", "numbers": "0.1", "command": ""}}, {"evidence"}),
        ({"claim": {"status": "untested", "numbers": "0.1"}}, {"claim"}),
        ({"says": "x" * 141}, {"says"}),
    ],
)
def test_the_rules_can_be_broken(change: dict[str, Any], broken: set[str]) -> None:
    assert faults(GOOD | change) == broken


def test_there_are_324_papers_in_order() -> None:
    assert [row["n"] for row in ROWS] == list(range(1, 325))


def test_no_two_papers_share_a_title_or_an_arxiv_number() -> None:
    for field in ("title", "arxiv"):
        counts = Counter(row[field] for row in ROWS if field in row)
        assert [value for value, times in counts.items() if times > 1] == []


def test_the_certain_numbers_are_there() -> None:
    assert {row["n"]: row["arxiv"] for row in ROWS if row["n"] in CERTAIN} == CERTAIN


def test_papers_are_the_rows_of_the_file() -> None:
    for paper, row in zip(papers(), ROWS, strict=True):
        assert (paper.n, paper.title, paper.short, paper.says) == tuple(row[k] for k in ("n", "title", "short", "says"))
        assert paper.symbols == tuple(row.get("symbols", []))
        assert paper.link == (f"https://arxiv.org/abs/{row['arxiv']}" if "arxiv" in row else None)
    with pytest.raises(AttributeError):
        papers()[0].n = 7  # type: ignore[misc]


TOML = """
[[paper]]
n = 1
title = "A Very Long Title about Rewards That Does Not Fit Any Narrow Terminal, However Hard It Tries to Do So"
short = "Long"
kind = "survey"
rooms = ["audit", "learn"]
status = "planned"
claim = { status = "untested" }
says = "Long titles are long."

[[paper]]
n = 2
title = "Twice: Doubling Rewards"
short = "Twice"
arxiv = "2501.00002"
kind = "method"
rooms = ["expr"]
status = "implemented"
symbols = ["fake_recipes.twice", "fake_recipes.Half", "fake_recipes.gone", "no_such_package.x"]
claim = { status = "shown", numbers = "0.4 -> 0.8 (3 seeds)", command = "pytest tests/claims/test_twice.py" }
says = "Twice the reward is twice as good."
"""
COMMAND = (
    'guerdon score FILE --reward "recipes.twice(verify.Math(), factor=2.0)" --column reference=gold_answer_of_the_set'
)


def twice(reward: float, *, factor: float = 2.0) -> float:
    """Double it.

    A sentence of prose.

        r = factor · reward      where reward > 0
        r = 0                    elsewhere, which is said here at such length that the line leaves the terminal

    Args:
        reward: in [0, 1].

            not a formula

    Command: COMMAND

    Source: Nobody (2025), arXiv:2501.00002.
    """
    return factor * reward


class Half:
    """Halve it. Source: nobody."""

    def __init__(self, n: int = 2) -> None:
        self.n = n


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "papers.toml"
    path.write_text(TOML, encoding="utf-8")
    module = ModuleType("fake_recipes")
    vars(module).update(twice=twice, Half=Half)
    monkeypatch.setattr(twice, "__doc__", (twice.__doc__ or "").replace("COMMAND", COMMAND))
    monkeypatch.setitem(sys.modules, "fake_recipes", module)
    monkeypatch.setattr(index, "_PLACES", (tmp_path / "missing.toml", path))
    return path


def on_a_terminal(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", str(width))


def printed(capsys: pytest.CaptureFixture[str], query: str | None = None, as_json: bool = False) -> str:
    assert papers_command(query, as_json) == 0
    out, err = capsys.readouterr()
    assert not err
    assert "\x1b" not in out
    return out


def refused(capsys: pytest.CaptureFixture[str], query: str | None, as_json: bool = False) -> str:
    assert papers_command(query, as_json) == 2
    out, err = capsys.readouterr()
    assert not out
    return err


@pytest.mark.usefixtures("small")
def test_the_table_in_a_pipe_is_whole(capsys: pytest.CaptureFixture[str]) -> None:
    head, long, short, empty, summary = printed(capsys).splitlines()
    assert head.split() == ["n", "status", "claim", "paper"]
    assert long.startswith("  1  planned      untested  Long · A Very Long Title")
    assert long.endswith("Tries to Do So")
    assert short == "  2  implemented  shown     Twice · Twice: Doubling Rewards"
    assert empty == ""
    assert summary == "2 papers: 1 implemented, 1 planned. Claims: 1 shown, 1 untested."


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("width", [40, 80, 300])
def test_the_table_fits_the_terminal(
    width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    on_a_terminal(monkeypatch, width)
    rows = printed(capsys).splitlines()[1:3]
    assert [len(row) <= width for row in rows] == [True, True]
    assert rows[0].endswith("…") == (width < 300)


@given(st.text(min_size=1).filter(str.isprintable), st.integers(1, 60))
def test_cut_keeps_short_lines_and_shortens_long_ones(line: str, width: int) -> None:
    cut = index._cut(line, width)
    assert len(cut) <= width
    assert cut == line if len(line) <= width else line.startswith(cut[:-1]) and cut[-1] == "…"


def test_the_index_counts_every_paper(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys).splitlines()
    assert [int(line[:3]) for line in lines[1:-2]] == list(range(1, 325))
    for status, times in Counter(row["status"] for row in ROWS).items():
        assert f"{times} {status}" in lines[-1].split(". Claims")[0]


@pytest.mark.usefixtures("small")
def test_one_paper_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    expected = f"""\
        2  Twice: Doubling Rewards

        short   Twice
        paper   https://arxiv.org/abs/2501.00002
        kind    method, in expr
        status  implemented
        says    Twice the reward is twice as good.
        claim   shown: 0.4 -> 0.8 (3 seeds)
                pytest tests/claims/test_twice.py

        fake_recipes.twice(reward, *, factor=2.0)
            Double it.

                r = factor · reward      where reward > 0
                r = 0                    elsewhere, which is said here at such length
                    that the line leaves the terminal

            {COMMAND}

        fake_recipes.Half(n=2)
            Halve it. Source: nobody.

        fake_recipes.gone
            cannot be loaded here: module 'fake_recipes' has no attribute 'gone'

        no_such_package.x
            cannot be loaded here: No module named 'no_such_package'
        """
    assert printed(capsys, "2") == textwrap.dedent(expected)


@pytest.mark.usefixtures("small")
def test_only_commands_leave_the_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    on_a_terminal(monkeypatch, 80)
    wide = [line.strip() for line in printed(capsys, "2").splitlines() if len(line) > 80]
    assert wide == [COMMAND]


@pytest.mark.usefixtures("small")
def test_a_paper_without_number_and_code(capsys: pytest.CaptureFixture[str]) -> None:
    out = printed(capsys, "1")
    assert "paper   no arXiv number known" in out
    assert "kind    survey, in audit, learn" in out
    assert out.endswith("claim   untested\n")


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("query", ["2", " 2 ", "+2", "002", "TWICE", "rewards doubling", "2501.00002"])
def test_a_query_that_means_one_paper_shows_it(query: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, query).startswith("2  Twice: Doubling Rewards\n")


@pytest.mark.usefixtures("small")
def test_a_query_that_means_several_lists_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, "rewards").splitlines()[-1].startswith("2 papers: ")


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("query", ["0", "3", "-1"])
def test_an_unknown_number_is_refused_in_one_line(query: str, capsys: pytest.CaptureFixture[str]) -> None:
    line = f"guerdon: no paper {query}: the numbers go from 1 to 2\n"
    assert refused(capsys, query) == refused(capsys, query, as_json=True) == line


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("query", "near"), [("dubling rewrds", [2]), ("narow terminel", [1]), ("zzz", []), ("", []), ("9" * 5000, [])]
)
def test_unknown_words_name_the_nearest_titles(query: str, near: list[int], capsys: pytest.CaptureFixture[str]) -> None:
    first, *rest = refused(capsys, query).splitlines()
    assert first.startswith("guerdon: no paper has '")
    assert len(first) < 120
    assert [int(line.split()[0]) for line in rest[1:]] == near
    assert rest[:1] == (["near it:"] if near else [])


def test_the_nearest_title_comes_first(capsys: pytest.CaptureFixture[str]) -> None:
    lines = refused(capsys, "coisne lenght repitition").splitlines()
    assert lines[2].split()[0] == "218"
    assert len(lines) <= 5


def test_an_index_of_one_paper_is_still_an_index(small: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small.write_text(TOML[: TOML.rindex("[[paper]]")], encoding="utf-8")
    assert printed(capsys).endswith("1 paper: 1 planned. Claims: 1 untested.\n")
    assert isinstance(json.loads(printed(capsys, as_json=True)), list)


@pytest.mark.usefixtures("small")
def test_json_of_the_index_is_a_list_of_rows(capsys: pytest.CaptureFixture[str]) -> None:
    rows = json.loads(printed(capsys, as_json=True))
    assert [row["n"] for row in rows] == [1, 2]
    assert (rows[0]["arxiv"], rows[0]["link"], rows[0]["symbols"]) == (None, None, [])
    assert rows[1]["claim"] == tomllib.loads(TOML)["paper"][1]["claim"]
    assert rows == json.loads(printed(capsys, "rewards", as_json=True))


@pytest.mark.usefixtures("small")
def test_json_of_one_paper_is_an_object_with_its_code(capsys: pytest.CaptureFixture[str]) -> None:
    out = printed(capsys, "2", as_json=True)
    assert "r = factor · reward" in out
    row = json.loads(out)
    assert row["link"] == "https://arxiv.org/abs/2501.00002"
    code = row["code"][0]
    assert code["call"] == "fake_recipes.twice(reward, *, factor=2.0)"
    assert code["formula"].startswith("r = factor · reward      where reward > 0\nr = 0  ")
    assert code["command"] == COMMAND
    assert json.loads(printed(capsys, "1", as_json=True))["code"] == []


def test_the_packaged_index_comes_first(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packaged = small.with_name("packaged.toml")
    packaged.write_text(TOML.replace("Twice:", "Thrice:"), encoding="utf-8")
    monkeypatch.setattr(index, "_PLACES", (packaged, small))
    assert papers()[1].title == "Thrice: Doubling Rewards"
    assert papers(small)[1].title == "Twice: Doubling Rewards"


def test_a_missing_index_says_where_it_was_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(index, "_PLACES", (tmp_path / "a.toml", tmp_path / "b.toml"))
    with pytest.raises(DataError, match=r"papers\.toml is missing.*a\.toml and .*b\.toml"):
        papers()
    assert "installing guerdon again" in refused(capsys, None)


@pytest.mark.parametrize(
    "text",
    [
        "[[paper]",
        "",
        "paper = 3",
        TOML.replace("title =", "titel ="),
        TOML.replace('claim = { status = "untested" }', ""),
        TOML.replace("says =", "extra = 1\nsays ="),
    ],
)
def test_a_broken_index_is_a_data_error(text: str, tmp_path: Path) -> None:
    path = tmp_path / "broken.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=r"broken\.toml is no paper index \(.+\): expected \[\[paper\]\] tables"):
        papers(path)
    with pytest.raises(DataError, match=r"nothing\.toml is no paper index"):
        papers(tmp_path / "nothing.toml")
