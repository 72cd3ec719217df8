"""What `--reward` means: a saved file, an import path, or expression text."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from guerdon.errors import DataError, ExpressionError, suggest
from guerdon.expr import Expr
from guerdon.expr.save import load
from guerdon.expr.text import parse

__all__ = ["reward_of"]

IMPORT_PATH = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


def reward_of(text: str) -> Expr:
    """The reward that `text` names.

    Args:
        text: `path.json` (saved with `guerdon.save`), `package.module:name` (an expression, or a function that returns one;
            the current folder is searched too), or expression text.

    Raises:
        ExpressionError, DataError: it names nothing usable.

    >>> reward_of("1 - col('x')")
    1 - col('x')
    """
    if text.strip().endswith(".json"):
        return load(text.strip(), trust=False)
    if IMPORT_PATH.fullmatch(text.strip()):
        return _imported(text.strip())
    return parse(text)


def _imported(path: str) -> Expr:
    module_name, _, name = path.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise DataError(
            f"--reward {path}: {error}. The name before the colon is a module that Python can import"
        ) from None
    if not hasattr(module, name):
        raise DataError(f"--reward {path}: {module_name} has no {name!r}.{suggest(name, vars(module))}")
    value: Any = getattr(module, name)
    if callable(value) and not isinstance(value, Expr):
        value = cast("Callable[[], Any]", value)()
    if not isinstance(value, Expr):
        raise ExpressionError(
            f"--reward {path} is a {type(value).__name__}, expected a guerdon expression or a function without arguments "
            "that returns one"
        )
    return value
