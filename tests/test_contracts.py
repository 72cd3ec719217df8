"""Every public source and credit function keeps its contract."""

from __future__ import annotations

import pytest

from guerdon import credit
from guerdon.batch import Axis, Batch
from guerdon.expr.source import Source
from guerdon.sources import stats, verify
from guerdon.testing import check_credit, check_source

TOKENS = Axis.from_lists(3, {"id": [[1, 2, 1, 2, 1], [5, 6], [7]]})
BATCH = Batch(
    {
        "prompt": ["1+1?", "capital?", "half?"],
        "response": ["<think>one and one</think> \\boxed{2}", "B", "The answer is 1/2"],
        "reference": ["2", "B", "0.5"],
    },
    {"token": TOKENS},
)
MADE: dict[str, Source] = {"Format": verify.Format("think")}


def sources() -> list[Source]:
    kinds = [getattr(module, name) for module in (verify, stats) for name in module.__all__]
    return [MADE[kind.__name__] if kind.__name__ in MADE else kind() for kind in kinds if issubclass(kind, Source)]


@pytest.mark.parametrize("source", sources(), ids=lambda source: type(source).__name__)
def test_source(source: Source) -> None:
    check_source(source, BATCH)


@pytest.mark.parametrize("name", credit.__all__)
def test_credit(name: str) -> None:
    check_credit(getattr(credit, name))
