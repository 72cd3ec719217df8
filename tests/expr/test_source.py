"""Leaves: what a subclass becomes by itself, and what it may declare."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np
import pytest

import guerdon as gd
from guerdon.batch import Batch
from guerdon.errors import ExpressionError
from guerdon.expr import AsyncSource, Limits, Ragged, RowSource, Source, col
from tests.expr.leaves import Items, Judge, Length


class Plain(Source):
    """A source with fields of its own, with and without a default."""

    first: str
    second: tuple[str, ...] = ("a", "b")

    needs: ClassVar[tuple[str, ...]] = ("x",)

    def reads(self) -> tuple[str, ...]:
        return (self.first, *self.needs)

    def score(self, batch: Batch) -> np.ndarray:
        return batch.numbers(self.first)


def test_a_subclass_is_a_frozen_dataclass() -> None:
    made = Plain("x")
    assert dataclasses.is_dataclass(made)
    assert (made.first, made.second) == ("x", ("a", "b"))
    assert repr(made) == "Plain('x')"
    assert repr(Plain("x", ("c",))) == "Plain('x', ('c',))"
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.first = "y"  # type: ignore[misc]
    with pytest.raises(TypeError, match="first"):
        Plain()  # type: ignore[call-arg]


def test_fields_are_shown_when_they_differ_in_kind_from_the_default() -> None:
    class Weighted(Source):
        weight: float = 1.0
        flag: bool = False

    assert [repr(Weighted(*values)) for values in ((), (1.0, False), (1,), (True,), (2.0, 0), (1.0, True))] == [
        "Weighted()",
        "Weighted()",
        "Weighted(1)",
        "Weighted(True)",
        "Weighted(2.0, 0)",
        "Weighted(flag=True)",
    ]


def test_a_subclass_of_a_subclass_is_another_source() -> None:
    class More(Plain):
        third: int = 3

    assert repr(More("x", third=4)) == "More('x', third=4)"
    assert More("x") != Plain("x")


def test_what_a_source_reads_and_where_its_values_live() -> None:
    assert Plain("y").reads() == ("y", "x")
    assert Length().reads() == ("response",)
    assert (Length().level, Items().level) == ("sample", "test")
    assert gd.plan(Plain("y") + Items().named("i") * 0).columns == ("y", "x", "response")
    assert (Plain("x") + col("step.y")).level == "step"


def test_options_of_running_are_keywords_and_no_part_of_the_identity() -> None:
    for kind, option in ((RowSource, {"timeout": 3.0}), (AsyncSource, {"limits": Limits(concurrency=2)})):
        with pytest.raises(TypeError):
            kind(*option.values())  # type: ignore[arg-type]
        assert kind(**option) == kind()  # type: ignore[arg-type]
    assert repr(Length(timeout=3.0)) == "Length(timeout=3.0)"
    assert repr(Judge(limits=Limits(retries=0))).startswith("Judge(limits=Limits(")


def test_the_base_classes_score_nothing() -> None:
    batch = Batch({"response": ["a"]})
    with pytest.raises(NotImplementedError):
        Source().score(batch)
    with pytest.raises(NotImplementedError):
        RowSource().score_row("a")
    with pytest.raises(NotImplementedError):
        AsyncSource().score_row("a").send(None)
    assert RowSource().quick("a") is None
    assert RowSource().prepare() is None  # type: ignore[func-returns-value]
    assert RowSource().why("a") == ""


@pytest.mark.parametrize(
    "wrong",
    [
        {"concurrency": 0},
        {"per_second": 0.0},
        {"per_second": -1.0},
        {"retries": -1},
        {"timeout": 0.0},
        {"timeout": float("nan")},
        {"backoff": -0.1},
        {"backoff": float("nan")},
    ],
)
def test_limits_that_would_never_end_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ExpressionError, match="concurrency ≥ 1, per_second > 0 or None, retries ≥ 0"):
        Limits(**wrong)  # type: ignore[arg-type]


def test_the_smallest_limits_are_allowed() -> None:
    assert Limits(concurrency=1, per_second=0.001, retries=0, timeout=1e-9, backoff=0.0) != Limits()


def test_ragged_is_a_pair() -> None:
    values, counts = Ragged(np.ones(2), np.array([2, 0]))
    assert values.tolist() == [1, 1]
    assert counts.tolist() == [2, 0]
