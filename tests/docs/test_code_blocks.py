"""Every Python block of the written pages and of the README runs, page by page, in one namespace.

A block after the comment `<!-- not run -->` is only parsed. A block with `>>>` is a doctest.
"""

from __future__ import annotations

import ast
import doctest
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^(<!-- not run -->\n+)?```python[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def blocks(page: Path) -> list[tuple[int, bool, str]]:
    """Line, whether to run it, and text of every Python block of `page`."""
    text = page.read_text(encoding="utf-8")
    return [(text.count("\n", 0, found.start(2)), found[1] is None, found[2]) for found in BLOCK.finditer(text)]


def run(text: str, page: Path, line: int, names: dict[str, Any]) -> None:
    where = f"{page.name}:{line + 1}"
    if not text.startswith(">>>"):
        # The line feeds make the line numbers of a traceback those of the page.
        exec(compile("\n" * line + text, str(page), "exec"), names)
        return
    test = doctest.DocTestParser().get_doctest(text, names, where, str(page), line)
    test.globs = names  # a doctest would work on a copy, and the next block would miss its names
    report: list[str] = []
    outcome = doctest.DocTestRunner(optionflags=FLAGS).run(test, out=report.append, clear_globs=False)
    assert not outcome.failed, f"{where}\n{''.join(report)}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_code_blocks_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    names: dict[str, Any] = {"__name__": "__main__"}
    for line, runs, text in blocks(page):
        if runs:
            run(text, page, line, names)
        else:
            ast.parse(text)


def test_blocks_are_found() -> None:
    assert sum(len(blocks(page)) for page in PAGES) > 10
