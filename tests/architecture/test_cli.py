"""The options of the command line are frozen: scripts depend on them.

After a change on purpose:  python -m tests.architecture.test_cli
"""

from __future__ import annotations

import json
from difflib import unified_diff
from pathlib import Path
from typing import Any

SNAPSHOT = Path(__file__).with_name("cli_options.json")
HINT = "the options of the command line changed; if that is meant: python -m tests.architecture.test_cli"


def options(command: Any, name: str = "guerdon") -> dict[str, list[str]]:
    """`{"guerdon score": ["--column", "-o", "FILE", ...]}` for the command and all below it."""
    found: dict[str, list[str]] = {name: sorted(spell(param) for param in command.params)}
    for sub, child in sorted(getattr(command, "commands", {}).items()):
        found |= options(child, f"{name} {sub}")
    return found


def spell(param: Any) -> str:
    if param.param_type_name == "argument":
        return param.name.upper()
    return " ".join(sorted([*param.opts, *param.secondary_opts]))


def current() -> str:
    import typer.main

    from guerdon import cli

    return json.dumps(options(typer.main.get_command(cli.app)), indent=2) + "\n"


def test_options_are_frozen() -> None:
    frozen, now = SNAPSHOT.read_text(encoding="utf-8"), current()
    diff = unified_diff(frozen.splitlines(), now.splitlines(), "frozen", "now", lineterm="")
    assert frozen == now, "\n".join([HINT, *diff])


if __name__ == "__main__":
    SNAPSHOT.write_text(current(), encoding="utf-8")
