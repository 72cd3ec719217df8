"""The contract checks catch what they promise to catch, and every public source and credit function passes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pytest

from guerdon import credit as credits
from guerdon.batch import Axis, Batch
from guerdon.credit import leave_one_out
from guerdon.expr.source import Ragged, RowSource, Source
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


class InfiniteOnce(Source):
    def score(self, batch: Batch) -> Any:
        return np.array([np.nan if t is None else np.inf if t == "ccc" else 1.0 for t in batch.text("response")])


class InfiniteOnOddText(RowSource):
    def quick(self, *values: Any) -> float:
        return np.inf if len(values[0]) > 1_000_000 else 1.0


class NoneForEmpty(Source):
    def score(self, batch: Batch) -> Any:
        return np.ones(batch.size) / np.ones(batch.size)[0]


class OneTooMany(Source):
    def score(self, batch: Batch) -> Any:
        return np.ones(batch.size + 1)


class OneForAll(Source):
    axis: ClassVar[str] = "batch"

    def score(self, batch: Batch) -> Any:
        return np.ones(batch.size)


class NotPlain(Source):
    options: Any = ()

    def score(self, batch: Batch) -> Any:
        return np.ones(batch.size)


class Coin(RowSource):
    tosses: ClassVar[list[int]] = []

    def quick(self, *values: Any) -> float:
        self.tosses.append(1)
        return float(len(self.tosses))


class ChangesOnTheWay(RowSource):
    times: int = 0

    def quick(self, *values: Any) -> float:
        return 1.0

    def __reduce__(self) -> Any:
        return ChangesOnTheWay, (self.times + 1,)


class Growing(Source):
    size: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", self.size + 1)

    def score(self, batch: Batch) -> Any:
        return np.ones(batch.size)


class AgainstTheSum(Source):
    rowwise: ClassVar[bool] = False

    def score(self, batch: Batch) -> Any:
        lengths = np.array([np.nan if text is None else len(text) for text in batch.text("response")])
        return lengths - np.nansum(lengths)


class ItemsForMissing(Source):
    axis: ClassVar[str] = "word"

    def score(self, batch: Batch) -> Any:
        counts = np.array([len((text or "none").split()) for text in batch.text("response")], dtype=np.int64)
        return Ragged(np.ones(int(counts.sum())), counts)


class Words(RowSource):
    axis: ClassVar[str] = "word"

    def quick(self, *values: Any) -> Any:
        return [float(len(word)) for word in values[0].split()]


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
    check_source(Words(), Batch({"response": ["one two", "", "three"]}))
    check_source(AgainstTheSum(), BATCH)


def test_a_source_of_ours_must_read_back_from_its_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("guerdon.testing.parse", lambda text: verify.Choice())
    with pytest.raises(AssertionError, match=r"printed as verify\.Exact\(\), which reads back as something else"):
        check_source(verify.Exact(), SAMPLES)


def test_one_row_is_too_few_to_tell() -> None:
    with pytest.raises(AssertionError, match="needs two rows"):
        check_source(Good(), BATCH.select([0]))


@pytest.mark.parametrize(
    ("source", "told"),
    [
        (ZeroForMissing(), "missing: unscored must be NaN"),
        (CountsCalls(), "a second run gave other scores"),
        (OrderOfRows(), "depends on the order of the rows"),
        (OtherRows(), "depends on other rows"),
        (Infinite(), "gave an infinite score to the batch"),
        (InfiniteOnce(), "gave an infinite score to the batch"),
        (InfiniteOnOddText(), "gave an infinite score to odd text in response"),
        (NoneForEmpty(), "raised IndexError on an empty batch"),
        (OneTooMany(), r"raised DataError on the batch: .*expected \[3\]"),
        (OneForAll(), "has values per batch: a source scores samples, or the items of an axis"),
        (NotPlain({1: 2}), "cannot be saved: NotPlain holds a dict"),
        (NotPlain([1]), "cannot be saved: NotPlain holds a list"),
        (Coin(), "a second run gave other scores"),
        (ChangesOnTheWay(), "changes when it is sent to a worker process"),
        (Growing(), "comes back from JSON as something else"),
        (ItemsForMissing(), "to a row whose response is missing: unscored must be NaN"),
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

    with pytest.raises(AssertionError, match=r"Local cannot be saved: .*define it in a module"):
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


def ranked(rewards: Any, group: Any) -> Any:
    out = leave_one_out(rewards, group)
    for label in np.unique(group):
        rows = np.flatnonzero((group == label) & ~np.isnan(rewards))
        out[rows] = np.argsort(np.argsort(rewards[rows])) - (len(rows) - 1) / 2
    return out


def endless(rewards: Any, group: Any) -> Any:
    out = leave_one_out(rewards, group)
    return np.where(out > 0, np.inf, out)


def in_place(rewards: Any, group: Any) -> Any:
    out = leave_one_out(rewards, group)
    rewards[:] = 0
    return out


def nan_for_unscored_groups(rewards: Any, group: Any) -> Any:
    unscored = np.array([np.isnan(rewards[group == g]).all() for g in group], dtype=bool)
    return np.where(unscored & (len(rewards) > 5), np.nan, leave_one_out(rewards, group))


def one_too_few(rewards: Any, group: Any) -> Any:
    return leave_one_out(rewards, group)[1:]


def numbers_only(rewards: Any, group: Any) -> Any:
    return leave_one_out(rewards, group) * (group.dtype.kind == "i" if len(group) else 1)


def keeps_the_level(rewards: Any, group: Any) -> Any:
    return leave_one_out(rewards, group) * (1 + 1e-3 * (np.nanmean(rewards) if len(rewards) else 0))


def makes_one(rewards: Any, group: Any) -> Any:
    return leave_one_out(rewards, group) if len(rewards) else np.zeros(1)


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
        (ranked, "to a group of equal rewards"),
        (endless, "gave advantages that are not finite"),
        (in_place, "changes the arrays that it is given"),
        (nan_for_unscored_groups, "to a group without a scored sample"),
        (one_too_few, r"gave shape \(9,\) for 10 rewards"),
        (numbers_only, "wants numbers as group labels"),
        (keeps_the_level, "changes when a group is shifted"),
        (makes_one, "made advantages for no rewards"),
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
