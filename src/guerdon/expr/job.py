"""What one call of `Pool.map` has to do: which items wait, which are under way, and who gets what next.

Nothing here touches a process. Every index is in exactly one place at any time: waiting, ahead in
a `Run`, or known; so each is answered once, whoever dies.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from queue import SimpleQueue
from threading import Condition
from time import monotonic
from typing import Any

from guerdon.expr.worker import Message, Worker

__all__ = ["Failed", "Job", "Run"]

RUN_SECONDS = 0.05  # what a run should take: long against a round trip, short against a time limit
RUN_BYTES = 4 << 20
SILENCE = 1.0  # well above worker.STALL, after which a worker leaves the rest of its run alone

Item = tuple[Any, ...]


@dataclass(frozen=True)
class Failed:
    """What `Pool.map` yields for an item without a value; `reason` is one line."""

    reason: str


@dataclass(eq=False)
class Run:
    """Items `start` to `stop`, under way in one worker."""

    start: int
    stop: int
    begun: bool = False
    answered: int = 0
    heard: float = field(default_factory=monotonic)


class Job:
    """The items of one call, shared by the threads that drive its workers."""

    def __init__(self, items: Sequence[Item], payload: bytes, timeout: float, workers: int) -> None:
        self.items = items
        self.payload = payload
        self.digest = blake2b(payload, digest_size=16).digest()
        self.timeout = timeout
        self.drivers = min(workers, len(items))
        self.known: SimpleQueue[list[tuple[int, Any]] | BaseException] = SimpleQueue()
        self.workers: set[Worker] = set()  # in use; under the lock of the pool
        self.over = False
        self._changed = Condition()
        self._pending: deque[tuple[int, int]] = deque()
        self._waiting = 0
        self._runs: set[Run] = set()
        self._tried: set[int] = set()
        self._size = 1
        self._put(0, len(items))

    def abandon(self) -> None:
        """Nobody wants the rest."""
        with self._changed:
            self.over = True
            self._changed.notify_all()

    def wait(self) -> bool:
        """Wait until there may be something to take; False when there never will be."""
        with self._changed:
            while not self.over and not self._pending and self._runs:
                if not self._relieve():
                    self._changed.wait(SILENCE / 4)
            return bool(self._pending) and not self.over

    def take(self) -> Run | None:
        """A run of about `RUN_SECONDS` that leaves enough for others; None if somebody was faster."""
        with self._changed:
            if self.over or not self._pending:
                return None
            size = min(self._size, max(1, self._waiting // (2 * self.drivers)))
            start, stop = self._pending.popleft()
            self._waiting -= stop - start
            cut, weight = start + 1, _weight(self.items[start])
            while cut < min(stop, start + size) and weight < RUN_BYTES:
                weight += _weight(self.items[cut])
                cut += 1
            self._put(cut, stop)
            run = Run(start, cut)
            self._runs.add(run)
            return run

    def record(self, run: Run, messages: Sequence[Message]) -> None:
        """Make known what a worker has answered, except for what was taken from it."""
        with self._changed:
            run.heard = monotonic()
            run.begun = run.begun or messages[0][0] == "begun"
            answers = [message for message in messages if message[0] in ("value", "failed")]
            first = run.start + run.answered
            run.answered += len(answers)
            known = [
                (index, value if kind == "value" else Failed(value))
                for index, (kind, value) in enumerate(answers, first)
                if index < run.stop
            ]
            if known:
                self.known.put(known)

    def pace(self, run: Run, seconds: float) -> None:
        """Size the next runs by how long this one took."""
        if run.answered:
            self._size = max(1, int(min(2 * self._size, RUN_SECONDS * run.answered / seconds)))

    def settle(self, run: Run, reason: str | None) -> None:
        """End a run. With a `reason` the item in progress has failed; what was not reached waits again."""
        with self._changed:
            self._runs.discard(run)
            if run.begun:
                here = run.start + run.answered
                if reason is not None and here < run.stop:
                    self.known.put([(here, Failed(reason))])
                    here += 1
                self._put(here, run.stop)
            else:
                self._try_again(run, reason)
            self._changed.notify_all()

    def _try_again(self, run: Run, reason: str | None) -> None:
        """Nobody knows which item kept the run from beginning: try each alone, and twice."""
        if run.stop - run.start == 1:
            if reason is not None and run.start in self._tried:
                self.known.put([(run.start, Failed(reason))])
                return
            self._tried.add(run.start)
        for index in reversed(range(run.start, run.stop)):
            self._put(index, index + 1)

    def _relieve(self) -> bool:
        """Take from silent workers what they have not reached; whether there was anything."""
        now = monotonic()
        for run in self._runs:
            reached = run.start + run.answered + 1
            if run.begun and run.stop > reached and now - run.heard > SILENCE:
                self._put(reached, run.stop)
                run.stop = reached
        return bool(self._pending)

    def _put(self, start: int, stop: int) -> None:
        if start < stop:
            self._pending.appendleft((start, stop))
            self._waiting += stop - start


def _weight(item: Item) -> int:
    return sum(len(value) for value in item if isinstance(value, str | bytes))
