"""What `--reward` may be."""

from __future__ import annotations

from pathlib import Path

import pytest

from guerdon.cli.rewards import reward_of
from guerdon.errors import DataError, ExpressionError
from guerdon.expr import col
from guerdon.expr.save import save


def test_text() -> None:
    assert reward_of("2 * col('x')") == 2 * col("x")


def test_saved_file(tmp_path: Path) -> None:
    save(2 * col("x"), tmp_path / "r.json")
    assert reward_of(str(tmp_path / "r.json")) == 2 * col("x")
    with pytest.raises(DataError, match=r"absent\.json could not be read"):
        reward_of(str(tmp_path / "absent.json"))


def test_import_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rewards_here.py").write_text(
        "from guerdon.expr import col\nreward = col('x')\nnumber = 3\ndef made():\n    return -reward\n"
    )
    assert reward_of("rewards_here:reward") == col("x")
    assert reward_of("rewards_here:made") == -col("x")
    with pytest.raises(DataError, match=r"has no 'rewerd'. Did you mean 'reward'\?"):
        reward_of("rewards_here:rewerd")
    with pytest.raises(ExpressionError, match="is a int, expected a guerdon expression"):
        reward_of("rewards_here:number")
    with pytest.raises(DataError, match="No module named 'nowhere_at_all'"):
        reward_of("nowhere_at_all:x")
