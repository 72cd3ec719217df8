"""The contract checks catch what they promise to catch, and every public source and credit function passes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pytest

from guerdon import credit as credits
from guerdon.batch import Axis, Batch
from guerdon.credit import leave_one_out
from guerdon.expr.source import RowSource, Source
from guerdon.sources import stats, verify
from guerdon.testing import check_credit, check_source

BATCH = Batch({"response": ["a", "bb", "ccc"]})


class Good(RowSource):
    def quick(self, response: str) -> float:
        return float(len(response))


class ZeroForMissing(Source):
    def score(self, batch: Batch) -> Any:
        return np.array([float(len(text or "")) for text in batch.text("response")])


class CountsCalls(Source):
    calls: ClassVar[list[int]] = []

    def score(self, batch: Batch) -> Any:
        self.calls.append(1)
        return np.full(batch.size, float(len(self.calls)))


class OrderOfRows(Source):
    def score(self, batch: Batch) -> Any:
        return np.arange(float(batch.size))


class OtherRows(Source):
    def score(self, batch: Batch) -> Any:
        return np.full(batch.size, float(batch.size))


class Infinite(Source):
    def score(self, batch: Batch) -> Any:
        return np.full(batch.size, np.inf)


class Fragile(Source):
    def score(self, batch: Batch) -> Any:
        return np.array([np.nan if t is None else float(t.encode("utf-8")[:1] != b"") for t in batch.text("response")])


class Silent(Source):
    def score(self, batch: Batch) -> Any:
        return np.full(batch.size, np.nan)


class NeedsMore(Source):
    needs: ClassVar[tuple[str, ...]] = ("response", "rubric")


def test_a_good_source_passes() -> None:
    check_source(Good(), BATCH)


@pytest.mark.parametrize(
    ("source", "told"),
    [
        (ZeroForMissing(), "missing: unscored must be NaN"),
        (CountsCalls(), "a second run gave other scores"),
        (OrderOfRows(), "depends on the order of the rows"),
        (OtherRows(), "depends on other rows"),
        (Infinite(), "scored none|infinite"),
        (Fragile(), "raised UnicodeEncodeError on odd text"),
        (Silent(), "scored none of the rows"),
        (NeedsMore(), "reads \\['rubric'\\]"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Source) else "",
)
def test_a_broken_source_is_found(source: Source, told: str) -> None:
    with pytest.raises(AssertionError, match=told):
        check_source(source, BATCH)


def test_a_source_that_cannot_be_saved_is_found() -> None:
    class Local(Source):
        pass

    with pytest.raises(Exception, match="define it in a module"):
        check_source(Local(), BATCH)


def mean_of_all(rewards: Any, group: Any) -> Any:
    return np.nan_to_num(rewards - np.nanmean(rewards)) if len(rewards) else rewards


def raw_when_alone(rewards: Any, group: Any) -> Any:
    alone = np.array([(group == g).sum() == 1 for g in group], dtype=bool)
    return np.where(alone, rewards, leave_one_out(rewards, group))


def keeps_nan(rewards: Any, group: Any) -> Any:
    return np.where(np.isnan(rewards), np.nan, leave_one_out(rewards, group))


def zero_for_unscored(rewards: Any, group: Any) -> Any:
    return np.where(np.isnan(rewards), 0.0, leave_one_out(np.nan_to_num(rewards), group))


def not_centred(rewards: Any, group: Any) -> Any:
    return np.abs(leave_one_out(rewards, group))


def first_row_only(rewards: Any, group: Any) -> Any:
    out = leave_one_out(rewards, group)
    return np.r_[2 * out[:1], out[1:]]


@pytest.mark.parametrize(
    ("credit", "told"),
    [
        (mean_of_all, "alone in its group|equal rewards"),
        (raw_when_alone, "alone in its group"),
        (keeps_nan, "unscored sample"),
        (zero_for_unscored, "lets an unscored sample count"),
        (not_centred, "sum to"),
        (first_row_only, "order of rows"),
    ],
)
def test_a_broken_credit_function_is_found(credit: Callable[..., Any], told: str) -> None:
    with pytest.raises(AssertionError, match=told):
        check_credit(credit)


def test_the_sum_is_only_checked_where_promised() -> None:
    check_credit(lambda rewards, group: np.abs(leave_one_out(rewards, group)), sums_to_zero=False)


TOKENS = Axis.from_lists(3, {"id": [[1, 2, 1, 2, 1], [5, 6], [7]]})
SAMPLES = Batch(
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
    check_source(source, SAMPLES)


@pytest.mark.parametrize("name", credits.__all__)
def test_credit(name: str) -> None:
    check_credit(getattr(credits, name))
