"""What is exported is complete, sorted, resolves and is documented."""

from __future__ import annotations

import ast
import importlib
import inspect
from pathlib import Path
from types import FunctionType

import pytest

from tests.architecture.tree import PACKAGE, docstring, exports, module_name, modules, parse

METHODS = (FunctionType, classmethod, property, staticmethod)


def room(path: Path) -> str:
    """`recipes` for every file under `recipes/`."""
    return path.relative_to(PACKAGE).parts[0]


LISTED = [path for path in modules() if path.name != "__main__.py"]
PUBLIC = [(path, node.name) for path in LISTED for node in exports(path)]
ATTRIBUTED = [(path, name) for path, name in PUBLIC if path.relative_to(PACKAGE).parts[0] in ("recipes", "credit")]
GATHERED = ("recipes", "credit", "sources")  # packages that offer whatever their files define


def order(name: str) -> tuple[int, str]:
    """Constants, then classes, then functions, as ruff sorts `__all__`."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2, name)


def label(value: object) -> str:
    return module_name(value) if isinstance(value, Path) else str(value)


@pytest.mark.parametrize("path", LISTED, ids=label)
def test_all_is_written_sorted_and_resolves(path: Path) -> None:
    module = importlib.import_module(module_name(path))
    listed = getattr(module, "__all__", None)
    assert listed is not None, f"{label(path)} has no __all__"
    assert list(listed) == sorted(set(listed), key=order)
    missing = [name for name in listed if not hasattr(module, name)]
    assert not missing, f"{label(path)}.__all__ names {missing}, which it does not have"


def is_command(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> bool:
    """Whether it is registered on the command line, which is how it is reached."""
    return any(ast.unparse(decorator).startswith("app.command") for decorator in node.decorator_list)


@pytest.mark.parametrize("path", LISTED, ids=label)
def test_all_is_complete(path: Path) -> None:
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    defined = [node for node in parse(path).body if isinstance(node, kinds) and not is_command(node)]
    public = {node.name for node in defined if node.name[0] != "_"}
    forgotten = public - set(importlib.import_module(module_name(path)).__all__)
    assert not forgotten, f"{label(path)}: export {sorted(forgotten)}, or start the names with an underscore"


def gatherers() -> list[tuple[Path, Path]]:
    """Every file of a gathering package beside the `__init__` that has to offer its names."""
    return [(path.parent / "__init__.py", path) for path in LISTED if room(path) in GATHERED and path.name[0] != "_"]


def is_a(thing: object, base: type) -> bool:
    return inspect.isclass(thing) and issubclass(thing, base)


@pytest.mark.parametrize(("package", "path"), gatherers(), ids=label)
def test_packages_offer_what_their_files_define(package: Path, path: Path) -> None:
    from guerdon.expr import Source

    offered = set(importlib.import_module(module_name(package)).__all__)
    module = importlib.import_module(module_name(path))
    own = {node.name for node in exports(path)}
    if "sources" in path.parts:
        own = {name for name in own if inspect.isclass(it := getattr(module, name)) and issubclass(it, Source)}
    assert not own - offered, f"{label(package)}.__all__ lacks {sorted(own - offered)} of {label(path)}"


def test_the_top_level_resolves_lazily() -> None:
    import guerdon

    assert set(guerdon.__all__) <= set(dir(guerdon))
    unresolved = [name for name in guerdon.__all__ if getattr(guerdon, name, None) is None]
    assert not unresolved
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = guerdon.no_such_name


@pytest.mark.parametrize("path", LISTED, ids=label)
def test_modules_are_documented(path: Path) -> None:
    assert ast.get_docstring(parse(path)), f"{label(path)} does not say what it is for"


@pytest.mark.parametrize(("path", "name"), PUBLIC, ids=label)
def test_public_names_are_documented(path: Path, name: str) -> None:
    assert docstring(path, name), f"{label(path)}.{name} has no docstring"
    thing = getattr(importlib.import_module(module_name(path)), name)
    members = vars(thing) if inspect.isclass(thing) else {}
    methods = [key for key, member in members.items() if key[0] != "_" and isinstance(member, METHODS)]
    bare = [key for key in methods if not inspect.getdoc(getattr(thing, key))]
    assert not bare, f"{label(path)}.{name}: methods without a docstring: {bare}"


@pytest.mark.parametrize(("path", "name"), ATTRIBUTED, ids=label)
def test_recipes_and_credit_name_their_source_and_show_an_example(path: Path, name: str) -> None:
    text = docstring(path, name)
    assert "Source:" in text, f"{label(path)}.{name} does not say where it comes from (a line `Source: ...`)"
    assert ">>> " in text, f"{label(path)}.{name} shows no example (lines that start with `>>>`)"
