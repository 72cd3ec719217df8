"""The reward of group_reward.py as plain TRL reward functions.

Each function has TRL's signature, `(prompts, completions, completion_ids, **columns) -> list[float]`, sees the whole batch,
works out for itself what it needs, and finds the groups as `SIZE` rows in a row. The results are summed with weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from _rollouts import SIZE

__all__ = ["FUNCTIONS", "total"]

ALPHA = LAM = 0.2
Rewards = list[float | None]


def correctness(completions: Sequence[str], columns: Mapping[str, Any]) -> list[float]:
    """1 where the answer is the reference; taken from the column `correct` where there is one."""
    if "correct" in columns:
        return columns["correct"]
    return [float(c == r or c.strip() == r.strip()) for c, r in zip(completions, columns["reference"], strict=True)]


def lengths(columns: Mapping[str, Any]) -> list[float]:
    return columns["length"] if "length" in columns else [len(text) for text in columns["thinking"]]


def groups(values: Sequence[float]) -> Iterator[Sequence[float]]:
    return (values[start : start + SIZE] for start in range(0, len(values), SIZE))


def moments(values: Sequence[float]) -> tuple[float, float]:
    """Mean and deviation, which is exactly 0 for equal values."""
    mean = sum(values) / len(values)
    if min(values) == max(values):
        return mean, 0.0
    return mean, math.sqrt(sum((value - mean) ** 2 for value in values) / len(values))


def accuracy_advantage(prompts: Any, completions: list[str], completion_ids: Any, **columns: Any) -> Rewards:
    """Correctness above the mean of the group."""
    rewards: Rewards = []
    for group in groups(correctness(completions, columns)):
        mean = sum(group) / len(group)
        rewards += [value - mean for value in group]
    return rewards


def relative_length(prompts: Any, completions: list[str], completion_ids: Any, **columns: Any) -> Rewards:
    """z-score of the length within the group."""
    rewards: Rewards = []
    for group in groups(lengths(columns)):
        mean, deviation = moments(group)
        rewards += [(value - mean) / deviation if deviation else 0.0 for value in group]
    return rewards


def relative_repetition(prompts: Any, completions: list[str], completion_ids: Any, **columns: Any) -> Rewards:
    """Share of repeated word trigrams, against the worst of the group."""
    shares = columns["repetition"] if "repetition" in columns else [repeated(text) for text in columns["thinking"]]
    rewards: Rewards = []
    for group in groups(shares):
        worst = max(group)
        rewards += [worst - value for value in group]
    return rewards


def repeated(text: str) -> float:
    words = text.lower().split()
    number = len(words) - 2
    return 1 - len(set(zip(words, words[1:], words[2:], strict=False))) / number if number > 1 else 0.0


def grpo_lambda(prompts: Any, completions: list[str], completion_ids: Any, **columns: Any) -> Rewards:
    """Correctness, less for long responses in the groups with the best accuracy."""
    correct, length = correctness(completions, columns), lengths(columns)
    accuracy = [sum(group) / len(group) for group in groups(correct)]
    place: dict[float, int] = {}
    for number, value in enumerate(sorted(accuracy, reverse=True), 1):
        place.setdefault(value, number)
    rewards: Rewards = []
    for right, size, share in zip(groups(correct), groups(length), accuracy, strict=True):
        if place[share] / len(accuracy) > LAM or not any(right):
            rewards += right
            continue
        mean, deviation = moments([value for value, r in zip(size, right, strict=True) if r])
        for value, r in zip(size, right, strict=True):
            z = (value - mean) / deviation if deviation else 0.0
            rewards.append(1 - ALPHA / (1 + math.exp(-z)) if r else 0.0)
    return rewards


FUNCTIONS: Mapping[Callable[..., Rewards], float] = {
    accuracy_advantage: 0.5,
    relative_length: -0.05,
    relative_repetition: 0.2,
    grpo_lambda: 1.0,
}


def total(columns: Mapping[str, Sequence[Any]]) -> np.ndarray[Any, Any]:
    """One reward per row, as the trainer forms it (it in float32): None is NaN, and NaN counts nothing in the sum."""
    size = len(columns["response"])
    given = {name: values for name, values in columns.items() if name not in ("prompt", "response")}
    fixed = {"prompts": columns["prompt"], "completions": columns["response"], "completion_ids": [[0]] * size}
    table = np.empty((size, len(FUNCTIONS)))
    for i, function in enumerate(FUNCTIONS):
        rewards = function(**fixed, **given)
        table[:, i] = [math.nan if reward is None else reward for reward in rewards]
    return np.nansum(table * np.array(list(FUNCTIONS.values())), axis=1)
