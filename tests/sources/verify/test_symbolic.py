"""math-verify behind the fast path."""

from __future__ import annotations

import logging
import threading

import pytest

from guerdon.sources.verify.symbolic import same

CASES = [
    ("1+x", "x+1", True),
    ("2\\sqrt{2}", "\\sqrt{8}", True),
    ("x+2", "x+1", False),
    ("(1,2)", "(2,1)", False),
    ("\\{1,2\\}", "\\{2,1\\}", True),
    ("x", "\\frac{", False),
    ("", "", False),
]


@pytest.mark.parametrize(("given", "wanted", "verdict"), CASES)
def test_verdicts(given: str, wanted: str, verdict: bool) -> None:
    assert same(given, wanted) is verdict


def test_it_says_nothing(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("parser", "grader"):  # they warn once in a process that their time limits are off
        monkeypatch.setattr(f"math_verify.{module}.TIMEOUT_WARNING_SHOWN", False)
    with caplog.at_level(logging.DEBUG):
        same("\\frac{", "}{")
        same("x", "y")
    assert not caplog.records
    assert capfd.readouterr() == ("", "")


def test_it_works_outside_the_main_thread() -> None:
    verdicts: list[bool] = []
    thread = threading.Thread(target=lambda: verdicts.append(same("\\frac{2}{4}+x", "x+\\frac12")))
    thread.start()
    thread.join()
    assert verdicts == [True]
