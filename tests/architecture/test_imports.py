"""A package imports only from packages to its left, and `import guerdon` costs next to nothing."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.tree import PACKAGE, module_name, modules, parse

ORDER = [
    *("errors", "protocols", "batch", "expr", "sources", "recipes", "credit", "search", "label", "learn"),
    *("agents", "audit", "serve", "testbed", "guerdon", "testing", "cli", "__main__"),
]
HEAVY = {"asyncio", "numpy", "pandas", "pyarrow", "rich", "sympy", "torch", "transformers", "typer"}


def room(module: str) -> str:
    """`batch` for `guerdon.batch.files`; `guerdon` for the package itself."""
    return module.split(".")[1] if "." in module else module


def absolute(path: Path, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    inside = [*path.relative_to(PACKAGE.parent).parts[:-1]]
    base = inside[: len(inside) - node.level + 1]
    return ".".join([*base, *([node.module] if node.module else [])])


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """Line and dotted name of every guerdon module that `path` imports, at its top or inside a function."""
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            source = absolute(path, node)
            top = source == "guerdon"
            found = [f"guerdon.{a.name}" if top and is_module(a.name) else source for a in node.names]
        else:
            continue
        yield from ((node.lineno, name) for name in found if name.split(".")[0] == "guerdon")


def is_module(name: str) -> bool:
    return (PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").is_file()


@pytest.mark.parametrize("path", modules(), ids=module_name)
def test_imports_point_left(path: Path) -> None:
    here = room(module_name(path))
    assert here in ORDER, f"{path} belongs to no room: put it into one, or give {here!r} a place in ORDER"
    if here == "guerdon":
        return  # the lazy table of names imports nothing when it runs; see test_importing_is_light
    wrong = [
        f"{path.relative_to(PACKAGE)}:{line} imports {name}, but {here} stands to the left of {room(name)}"
        for line, name in imported(path)
        if ORDER.index(room(name)) > ORDER.index(here)
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("path", modules(), ids=module_name)
def test_no_wildcard_from_elsewhere(path: Path) -> None:
    stars = [
        node.lineno
        for node in ast.walk(parse(path))
        if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names)
        if absolute(path, node).split(".")[0] != "guerdon"
    ]
    assert not stars, f"{path.relative_to(PACKAGE)} takes every name of another project in lines {stars}"


@pytest.mark.parametrize("path", modules(), ids=module_name)
def test_no_module_is_named_like_the_standard_library(path: Path) -> None:
    assert path.stem.startswith("__") or path.stem not in sys.stdlib_module_names


def loaded_by(statement: str) -> set[str]:
    """The top-level modules in memory after `statement` in a fresh interpreter."""
    code = f"{statement}; import sys; print(*{{m.split('.')[0] for m in sys.modules}})"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert out.returncode == 0, out.stderr
    return set(out.stdout.split())


def test_importing_is_light() -> None:
    assert not loaded_by("import guerdon") & HEAVY


def test_the_algebra_needs_no_numpy() -> None:
    assert not loaded_by("import guerdon.expr.core") & HEAVY
