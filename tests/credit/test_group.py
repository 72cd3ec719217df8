"""Group-relative advantages against the formulas written out sample by sample, and their laws."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guerdon import credit
from guerdon.batch.levels import Array
from guerdon.credit import dr_grpo, grpo, leave_one_out
from guerdon.errors import DataError
from tests.strategies import NAN, assert_same, numbers

Rows = list[tuple[Any, float]]
rows_of = st.sampled_from([[7, 8, 9], ["a", "b", None]]).flatmap(
    lambda names: st.lists(st.tuples(st.sampled_from(names), numbers), max_size=10)
)
ALL: dict[str, Callable[..., Array]] = {
    "grpo": grpo,
    "grpo of TRL": lambda r, g: grpo(r, g, ddof=1, eps=1e-4),
    "grpo, n in the denominator": lambda r, g: grpo(r, g, ddof=0, eps=0),
    "dr_grpo": dr_grpo,
    "leave_one_out": leave_one_out,
}


def split(rows: Rows) -> tuple[Array, np.ndarray[Any, Any]]:
    group = np.empty(len(rows), object)
    group[:] = [label for label, _ in rows]
    return np.array([reward for _, reward in rows], np.float64), group


def by_definition(rows: Rows, advantage: Callable[[float, list[float], list[float]], float]) -> list[float]:
    """`advantage(own, everyone's, the others')` over the scored samples of the group; 0 where unscored or alone."""
    out: list[float] = []
    for i, (label, reward) in enumerate(rows):
        scored = [(j, r) for j, (other, r) in enumerate(rows) if other == label and not math.isnan(r)]
        others = [r for j, r in scored if j != i]
        silent = math.isnan(reward) or not others or len({r for _, r in scored}) == 1
        out.append(0.0 if silent else advantage(reward, [r for _, r in scored], others))
    return out


def average(values: list[float]) -> float:
    return math.fsum(values) / len(values)


def deviation(values: list[float], ddof: int) -> float:
    return math.sqrt(math.fsum((v - average(values)) ** 2 for v in values) / (len(values) - ddof))


@given(rows_of)
def test_dr_grpo_is_its_definition(rows: Rows) -> None:
    assert_same(dr_grpo(*split(rows)), by_definition(rows, lambda r, group, others: r - average(group)))


@given(rows_of)
def test_leave_one_out_is_its_definition(rows: Rows) -> None:
    assert_same(leave_one_out(*split(rows)), by_definition(rows, lambda r, group, others: r - average(others)))


@given(rows_of, st.sampled_from([0, 1, 2]), st.sampled_from([0.0, 1e-9, 1e-6, 1e-4, 0.5]))
def test_grpo_is_its_definition(rows: Rows, ddof: int, eps: float) -> None:
    def standardised(r: float, group: list[float], others: list[float]) -> float:
        return 0.0 if len(group) <= ddof else (r - average(group)) / (deviation(group, ddof) + eps)

    assert_same(grpo(*split(rows), ddof=ddof, eps=eps), by_definition(rows, standardised))


def test_the_published_variants_by_hand() -> None:
    """(r − mean) / (std + eps) with the deviation of torch.std (n − 1): TRL adds 1e-4, verl 1e-6."""
    rewards, group = [1.0, 0.0, 0.0, 1.0, 0.5, 0.2], [0, 0, 0, 0, 1, 1]
    root = math.sqrt(1 / 3)
    apart = 0.3 / math.sqrt(2)
    trl = [0.5 / (root + 1e-4) * sign for sign in (1, -1, -1, 1)] + [0.15 / (apart + 1e-4) * s for s in (1, -1)]
    verl = [0.5 / (root + 1e-6) * sign for sign in (1, -1, -1, 1)] + [0.15 / (apart + 1e-6) * s for s in (1, -1)]
    assert_same(grpo(rewards, group, ddof=1, eps=1e-4), trl, 1e-12)
    assert_same(grpo(rewards, group), verl, 1e-12)
    assert_same(leave_one_out([1, 0, 0, 1], [0] * 4), [2 / 3, -2 / 3, -2 / 3, 2 / 3], 1e-12)


@given(rows_of)
def test_they_sum_to_zero_over_every_group(rows: Rows) -> None:
    rewards, group = split(rows)
    for name, advantages in ALL.items():
        out = advantages(rewards, group)
        for label in {row[0] for row in rows}:
            mine = [float(a) for a, (own, _) in zip(out, rows, strict=True) if own == label]
            assert abs(math.fsum(mine)) < 1e-9, name


@given(rows_of, st.integers(-100, 100))
def test_a_constant_added_to_a_group_changes_nothing(rows: Rows, shift: int) -> None:
    rewards, group = split(rows)
    moved = rewards + np.array([shift if label == rows[0][0] else 0 for label, _ in rows], np.float64)
    for name, advantages in ALL.items():
        assert_same(advantages(moved, group), advantages(rewards, group), 1e-7, note=name)


@given(rows_of, st.randoms())
def test_permuting_samples_permutes_advantages(rows: Rows, random: Any) -> None:
    rewards, group = split(rows)
    order = list(range(len(rows)))
    random.shuffle(order)
    for name, advantages in ALL.items():
        assert_same(advantages(rewards[order], group[order]), advantages(rewards, group)[order], 1e-12, note=name)


@given(rows_of)
def test_splitting_between_groups_changes_no_bit(rows: Rows) -> None:
    rewards, group = split(rows)
    for name, advantages in ALL.items():
        whole = advantages(rewards, group)
        for label in {row[0] for row in rows}:
            mine = [i for i, (own, _) in enumerate(rows) if own == label]
            np.testing.assert_array_equal(advantages(rewards[mine], group[mine]), whole[mine], err_msg=name)


@pytest.mark.parametrize("name", sorted(ALL))
@pytest.mark.parametrize("rewards", [[0.1] * 3, [0.1, NAN, 0.1, 0.1], [0.7], [NAN, NAN], [NAN, 0.3], [1 / 3] * 7, []])
def test_no_signal_is_exactly_zero(name: str, rewards: list[float]) -> None:
    """Equal rewards, a sample alone, nothing scored: 0, not rounding noise, which a division would blow up to ±1."""
    out = ALL[name](rewards, [0] * len(rewards))
    assert out.tolist() == [0.0] * len(rewards)
    assert not np.signbit(out).any()


def test_rewards_too_close_for_a_deviation_give_no_signal() -> None:
    """(1e-200)² is 0: dividing by that deviation would make the advantages infinite."""
    assert grpo([0.0, 1e-200], [0, 0], eps=0).tolist() == [0, 0]


@pytest.mark.parametrize("name", sorted(ALL))
def test_an_unscored_sample_counts_in_no_mean(name: str) -> None:
    """Infinite counts as unscored: it would leave the others with nothing."""
    wanted = ALL[name]([1.0, 0.0, 0.5], [0, 0, 0])
    for hole in (NAN, math.inf, -math.inf):
        out = ALL[name]([1.0, hole, 0.0, 0.5], [0] * 4)
        assert out[1] == 0
        assert_same(out[[0, 2, 3]], wanted, 1e-12)


@pytest.mark.parametrize("name", sorted(ALL))
def test_shapes_are_checked(name: str) -> None:
    with pytest.raises(DataError, match=r"rewards \[2\], group \[3\]"):
        ALL[name]([1.0, 2.0], [0, 0, 0])
    with pytest.raises(DataError, match=r"one shape \[N\]"):
        ALL[name]([[1.0, 2.0]], [[0, 0]])


def test_inputs_are_left_alone_and_lists_are_as_good_as_arrays() -> None:
    rewards, group = np.array([1, 0, NAN, 4.0]), np.array([0, 0, 0, 0])
    for advantages in ALL.values():
        assert_same(advantages(rewards.tolist(), group.tolist()), advantages(rewards, group), 1e-15)
    np.testing.assert_array_equal(rewards, [1, 0, NAN, 4])
    assert_same(grpo([True, False], ["x", "x"], eps=0), [math.sqrt(0.5), -math.sqrt(0.5)], 1e-15)


def test_ten_thousand_groups_of_one() -> None:
    size = 10_000
    for advantages in ALL.values():
        assert not advantages(np.arange(size, dtype=np.float64), np.arange(size)).any()


def test_everything_here_is_tried() -> None:
    assert {*credit.__all__} == {"grpo", "dr_grpo", "leave_one_out"}
