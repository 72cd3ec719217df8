"""Waiting for remote scorers: so many calls at once, so many a second, tried again when they fail."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from guerdon.errors import Unscored
from guerdon.expr.pool import Failed
from guerdon.expr.source import AsyncSource, Limits

__all__ = ["ask"]


async def ask(source: AsyncSource, items: Mapping[int, tuple[Any, ...]], done: Callable[[int, Any], object]) -> None:
    """Call `source.score_row` for every item under its limits; `done(number, value or Failed)` as answers come."""
    limits = source.limits
    slots = asyncio.Semaphore(limits.concurrency)
    pace = _Pace(limits.per_second)

    async def call(number: int, item: tuple[Any, ...]) -> None:
        async with slots:
            done(number, await _with_retries(partial(source.score_row, *item), limits, pace))

    waiting = iter(items.items())
    running: set[asyncio.Task[None]] = set()
    try:
        while True:
            for number, item in waiting:
                running.add(asyncio.ensure_future(call(number, item)))
                if len(running) >= 2 * limits.concurrency:
                    break
            if not running:
                return
            finished, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in finished:
                task.result()
    except (Exception, asyncio.CancelledError):
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        raise


class _Pace:
    """Starts at most `per_second` calls a second."""

    def __init__(self, per_second: float | None) -> None:
        self.gap = 0.0 if per_second is None else 1.0 / per_second
        self.next = 0.0

    async def wait(self) -> None:
        now = time.monotonic()
        self.next = max(self.next, now) + self.gap
        if self.next - self.gap > now:
            await asyncio.sleep(self.next - self.gap - now)


async def _with_retries(call: Callable[[], Awaitable[Any]], limits: Limits, pace: _Pace) -> Any:
    reason = ""
    for attempt in range(limits.retries + 1):
        if attempt:
            await asyncio.sleep(limits.backoff * 2 ** (attempt - 1))
        await pace.wait()
        clock = asyncio.timeout(limits.timeout)
        try:
            async with clock:
                return await call()
        except Unscored as error:
            return Failed(str(error) or "unscored")
        except Exception as error:
            reason = f"no answer within {limits.timeout:g} s" if clock.expired() else f"{type(error).__name__}: {error}"
    return Failed(f"{reason} ({limits.retries + 1} tries)")
