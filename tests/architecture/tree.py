"""The source tree as the architecture tests see it: files, module names, parsed text."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

__all__ = ["PACKAGE", "ROOT", "docstring", "exports", "module_name", "modules", "names_in_all", "parse"]

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "guerdon"


def modules(under: Path = PACKAGE) -> list[Path]:
    return sorted(under.rglob("*.py"))


def module_name(path: Path) -> str:
    """The dotted name under which `path` is imported: `guerdon.batch` for `batch/__init__.py`."""
    parts = path.relative_to(ROOT / "src").with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def names_in_all(path: Path) -> list[str] | None:
    """The strings of `__all__` where the file writes it as a list or tuple of literals, else None."""
    for node in parse(path).body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        if any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
            try:
                return list(ast.literal_eval(node.value))  # type: ignore[attr-defined]
            except ValueError:
                return None
    return None


def exports(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    """The public functions and classes that `path` defines itself."""
    named = names_in_all(path) or []
    for node in parse(path).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and node.name in named:
            yield node


def docstring(path: Path, name: str) -> str:
    """The docstring that the source text gives `name`, not one that a decorator or a base class supplies."""
    return next((ast.get_docstring(node) or "" for node in exports(path) if node.name == name), "")
