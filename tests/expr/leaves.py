"""Sources for the tests of planner and runner. They live here, apart from pytest, so that workers can import them.

Each notes what it was asked in `CALLS`, in this process.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from typing import Any, ClassVar

import numpy as np

from guerdon.batch import Batch
from guerdon.batch.levels import Array
from guerdon.errors import Unscored
from guerdon.expr import AsyncSource, Ragged, RowSource, Source

__all__ = [
    "CALLS",
    "Bare",
    "Costly",
    "Items",
    "Judge",
    "JudgeItems",
    "Length",
    "Odd",
    "Picky",
    "Relative",
    "Worker",
    "Written",
]

CALLS: dict[str, list[Any]] = defaultdict(list)


class Judge(AsyncSource):
    """The number in column `of`, from afar; notes the `id` of each row it is asked for."""

    of: str = "x"
    label: str = "judge"

    def reads(self) -> tuple[str, ...]:
        return ("id", self.of)

    async def score_row(self, *values: Any) -> float:
        CALLS[self.label].append(values[0])
        await asyncio.sleep(0)
        return float(values[1])


class Written(RowSource):
    """The number in column `of`, at once; notes the `id`."""

    of: str = "x"
    label: str = "written"

    def reads(self) -> tuple[str, ...]:
        return ("id", self.of)

    def quick(self, *values: Any) -> float | None:
        CALLS[self.label].append(values[0])
        return float(values[1])


class Costly(Source):
    """The number in column `of`, for a whole batch; notes the `id`s."""

    of: str = "x"
    label: str = "costly"
    costly: ClassVar[bool] = True

    def reads(self) -> tuple[str, ...]:
        return ("id", self.of)

    def score(self, batch: Batch) -> Array:
        CALLS[self.label].extend(batch.text("id"))
        return batch.numbers(self.of)


class Relative(Source):
    """How many rows there are: what a row gets depends on the others."""

    costly: ClassVar[bool] = True
    rowwise: ClassVar[bool] = False

    def score(self, batch: Batch) -> Array:
        return np.full(batch.size, float(batch.size))


class Length(RowSource):
    """The length of the response, at once; fails for "bad", has no opinion of "hm"."""

    scale: float = 1.0

    def quick(self, *values: Any) -> float | None:
        CALLS["length"].append(values[0])
        if values[0] == "bad":
            raise ValueError("it is bad")
        if values[0] == "hm":
            raise Unscored("nobody can tell")
        return self.scale * len(values[0])

    def why(self, *values: Any) -> str:
        return f"{values[0]!r} has {len(values[0])} characters"


class Worker(RowSource):
    """What the response says a worker should do."""

    needs: ClassVar[tuple[str, ...]] = ("response",)

    def score_row(self, *values: Any) -> Any:
        (response,) = values
        if response == "hang":
            while True:
                time.sleep(0.01)
        if response == "crash":
            raise ZeroDivisionError("by nothing")
        if response == "unscored":
            raise Unscored("cannot be read")
        return {"text": "1.0", "none": None, "list": [1.0], "nan": float("nan"), "huge": 10**400}.get(response, 2.0)


class Odd(RowSource):
    """Length of what is stored in `data`, as stored."""

    needs: ClassVar[tuple[str, ...]] = ("data",)
    raw: ClassVar[tuple[str, ...]] = ("data",)

    def quick(self, *values: Any) -> float | None:
        CALLS["odd"].append(values[0])
        return -1.0 if values[0] is None else float(len(values[0])) if hasattr(values[0], "__len__") else 0.5


class Items(RowSource):
    """One value per character of the response: opens the axis `test`."""

    axis: ClassVar[str] = "test"
    value: float = 1.0
    extra: int = 0

    def quick(self, *values: Any) -> Any:
        CALLS["items"].append(values[0])
        if values[0] == "bad":
            raise ValueError("it is bad")
        return [self.value] * (len(values[0]) + self.extra)


class JudgeItems(AsyncSource):
    """As `Items`, from afar, on the axis `step`."""

    axis: ClassVar[str] = "step"

    async def score_row(self, *values: Any) -> list[float]:
        if values[0] == "bad":
            raise Unscored("it is bad")
        return [float(i) for i in range(len(values[0]))]


class Picky(AsyncSource):
    """Does what `plan` says for each response, one entry per try; the last entry counts for all further tries."""

    label: str = "picky"
    plan: ClassVar[dict[str, list[Any]]] = {}

    async def score_row(self, *values: Any) -> float:
        (response,) = values
        tries = CALLS[self.label].count(response)
        CALLS[self.label].append(response)
        steps = Picky.plan.get(response, [1.0])
        step = steps[min(tries, len(steps) - 1)]
        if step == "hang":
            await asyncio.sleep(3600)
        if isinstance(step, BaseException):
            raise step
        return step


class Bare(Source):
    """Returns what it was told to, whatever it is."""

    gives: str = "ones"
    axis: ClassVar[str] = "sample"

    def score(self, batch: Batch) -> Any:
        return {
            "ones": lambda: np.ones(batch.size),
            "short": lambda: np.ones(batch.size + 1),
            "square": lambda: np.ones((batch.size, 2)),
            "text": lambda: ["a"] * batch.size,
            "ragged": lambda: Ragged(np.ones(batch.size), np.zeros(batch.size, np.int64)),
            "crash": lambda: 1 / 0,
        }[self.gives]()
