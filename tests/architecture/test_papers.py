"""papers.toml and the `Source:` lines of the code tell the same story."""

from __future__ import annotations

import inspect
import re
import tomllib
from pkgutil import resolve_name
from typing import Any

import pytest

from tests.architecture.tree import PACKAGE, ROOT, docstring, exports, module_name, modules

CLAIMS = {"untested", "shown", "failed"}
STATUSES = {"planned", "implemented", "measured", "noted"}
ARXIV = re.compile(r"arXiv:(\d{4}\.\d{4,5})")


def papers() -> list[dict[str, Any]]:
    tables = tomllib.loads((ROOT / "papers.toml").read_text(encoding="utf-8"))
    return next((rows for rows in tables.values() if isinstance(rows, list)), [])


BUILT = [row for row in papers() if row["status"] in ("implemented", "measured")]


def proof(row: dict[str, Any]) -> bool:
    return bool(row["claim"].get("numbers") and row["claim"].get("command"))


def label(row: dict[str, Any]) -> str:
    return f"paper {row['n']}"


def test_every_paper_has_one_row() -> None:
    numbers = [row["n"] for row in papers()]
    assert numbers, "papers.toml has no rows"
    assert numbers == list(range(1, len(numbers) + 1))


def test_rows_say_where_they_stand() -> None:
    wrong = [row["n"] for row in papers() if row["status"] not in STATUSES]
    assert not wrong, f"papers {wrong}: status is one of {sorted(STATUSES)}"
    unproven = [row["n"] for row in papers() if row["claim"]["status"] not in CLAIMS]
    assert not unproven, f"papers {unproven}: the status of a claim is one of {sorted(CLAIMS)}"
    hollow = [row["n"] for row in papers() if row["claim"]["status"] != "untested" and not proof(row)]
    assert not hollow, f"papers {hollow}: a claim that was tested has its numbers and the command that gives them"
    bare = [row["n"] for row in BUILT if not row.get("symbols")]
    assert not bare, f"papers {bare} are built, but name no symbol"


@pytest.mark.parametrize("row", [row for row in papers() if row.get("symbols")], ids=label)
def test_symbols_resolve(row: dict[str, Any]) -> None:
    for symbol in row["symbols"]:
        assert resolve_name(symbol) is not None


@pytest.mark.parametrize("row", [row for row in BUILT if row.get("arxiv")], ids=label)
def test_the_code_names_the_paper(row: dict[str, Any]) -> None:
    texts = [inspect.getdoc(resolve_name(symbol)) or "" for symbol in row["symbols"]]
    assert any(row["arxiv"] in text for text in texts), (
        f"none of {row['symbols']} has a line `Source: ... arXiv:{row['arxiv']}.`"
    )


def test_the_paper_names_the_code() -> None:
    symbols = {row["arxiv"]: row.get("symbols", []) for row in papers() if row.get("arxiv")}
    missing = [
        f"{module_name(path)}.{node.name} cites arXiv:{number}, but its row of papers.toml does not list it"
        for folder in ("recipes", "credit", "sources")
        for path in modules(PACKAGE / folder)
        for node in exports(path)
        for number in cited(docstring(path, node.name))
        if number in symbols and node.name not in {symbol.split(".")[-1] for symbol in symbols[number]}
    ]
    assert not missing, "\n".join(missing)


def cited(text: str) -> list[str]:
    """The arXiv numbers of the `Source:` paragraph."""
    _, found, rest = text.partition("Source:")
    return ARXIV.findall(rest.split("\n\n")[0]) if found else []
