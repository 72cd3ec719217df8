"""Files stay short, and the tests mirror the package file by file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.architecture.tree import PACKAGE, ROOT, modules

LIMIT = 400
CODE = [path for folder in ("src", "tests", "examples", "benchmarks") for path in modules(ROOT / folder)]
APART = ("architecture", "claims", "docs", "golden")  # test folders about the whole, not about one file
ELSEWHERE = {"benchmarks": ROOT / "benchmarks", "examples": ROOT / "examples"}
TESTS = [
    path
    for path in modules(ROOT / "tests")
    if path.name.startswith("test_") and path.relative_to(ROOT / "tests").parts[0] not in APART
]


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", CODE, ids=relative)
def test_files_are_short(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= LIMIT, f"{relative(path)} has {lines} lines: split it by theme ({LIMIT} at most)"


def mirrored(test: Path) -> list[Path]:
    """The source files that `test` can be about: `x.py` for `test_x.py` and for `test_x_theme.py`."""
    folders = test.relative_to(ROOT / "tests").parts[:-1]
    home = ELSEWHERE.get(folders[0]) if folders else None
    home = home or PACKAGE.joinpath(*folders)
    about = test.stem.removeprefix("test_")
    around = home.rglob("*") if folders else home.glob("*")
    named = [path for path in around if path.suffix == ".py" or (path / "__init__.py").is_file()]
    return [path for path in named if f"{about}_".startswith(f"{path.stem.strip('_')}_")]


@pytest.mark.parametrize("path", TESTS, ids=relative)
def test_tests_mirror_the_package(path: Path) -> None:
    assert mirrored(path), f"{relative(path)} mirrors no file of src/guerdon: name it after the one it tests"
