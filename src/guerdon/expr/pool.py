"""Worker processes with a hard time limit per item: what runs too long is killed, whatever it is doing.

A signal reaches only the main thread, and no thread can stop C code that holds the interpreter lock
(`9**9**9**9`): only a process can be ended by force. So items are computed in processes that stay alive
between calls. They are started as programs, not by `multiprocessing`: nothing is forked, no `__main__` runs
again, and any thread may call.

A call of `map` is a `Job` (`job.py`). One thread drives each worker in use (`Pool._drive`), one more kills
what is overdue (`Pool._watch`). When a worker has been silent for a second, the items behind the one it is on
go to a driver that has nothing to do, so that none waits for a hanging one. What the two sides say to one
another, and how the pool knows which item is in progress, is written down in `worker.py`.
"""

from __future__ import annotations

import atexit
import os
import sys
from collections import deque
from collections.abc import Callable, Generator, Sequence
from math import inf
from queue import Empty
from threading import Condition, Event, RLock, Thread, current_thread
from time import monotonic
from typing import Any, Self, cast

from guerdon.errors import GuerdonError
from guerdon.expr.job import Failed, Job, Run
from guerdon.expr.worker import Died, Worker, describe

__all__ = ["Failed", "Pool", "shared_pool"]

START_SECONDS = 180.0  # for Python to start and import the function, and again to receive a run
TRIES = 3  # workers in a row that may die before they are ready
LEAVE_SECONDS = 10.0
LISTEN = 0.1


class Pool:
    """Up to `workers` processes, started when first needed and kept until `close`.

    Any number of threads may use a pool at once. What workers print is discarded. Numerical libraries use one
    thread per worker, unless OMP_NUM_THREADS and the like say otherwise. Workers import with the `sys.path`
    of the caller and import nothing twice: after editing a module, close the pool and make another.

    Args:
        workers: processes at once; None for one per processor that this process may use.
        memory_mb: address space of a worker in MiB (POSIX); an item that needs more fails. CUDA reserves far
            more than it uses, so models belong in the caller's process.

    Raises:
        GuerdonError: a number is not positive.
    """

    def __init__(self, workers: int | None = None, memory_mb: int = 4096) -> None:
        self.workers = _processors() if workers is None else workers
        self.memory_mb = memory_mb
        if self.workers < 1 or memory_mb < 1:
            raise GuerdonError(f"Pool(workers={workers}, memory_mb={memory_mb}): give positive numbers")
        self._process = os.getpid()
        self._lock = RLock()
        self._alarm = Condition(self._lock)  # a deadline came before `_wakes`, or the pool closed
        self._empty = Condition(self._lock)  # a worker is gone
        self._queue: deque[Condition] = deque()  # drivers that wait for a worker, first come first served
        self._alive: set[Worker] = set()
        self._idle: list[Worker] = []
        self._watcher: Thread | None = None
        self._wakes = inf
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether the pool can no longer be used."""
        return self._closed

    def map(
        self,
        fn: Callable[..., Any],
        items: Sequence[tuple[Any, ...]],
        *,
        timeout: float,
        prepare: Callable[[], object] | None = None,
        stop: Event | None = None,
    ) -> Generator[tuple[int, Any]]:
        """`fn(*item)` for every item: pairs (index, value) as they become known, each index once.

        An item without a value yields (index, `Failed(reason)`): `fn` raised, ran for more than `timeout`, or
        took its process down; the other items are not affected. Work starts with the first `next`; a caller
        that stops early ends what is running.

        Args:
            fn: a function or callable object made of plain values; it may be a closure or come from
                `__main__`.
            items: the arguments of each call.
            timeout: seconds of wall time that one call may take.
            prepare: called once per worker before its first item, outside any time limit: the place for slow
                imports.
            stop: once set, by any thread, the call ends within `LISTEN` seconds; what runs for it is killed.

        Raises:
            GuerdonError: `fn` cannot be sent to a process or imported there, processes cannot be started, the
                pool is closed or belongs to the process that forked this one, or `timeout` is not positive.

        >>> with Pool(workers=1) as pool:
        ...     sorted(pool.map(divmod, [(7, 2), (7, 0)], timeout=10))
        [(0, (3, 1)), (1, Failed(reason='ZeroDivisionError: integer division or modulo by zero'))]
        """
        if not timeout > 0:
            raise GuerdonError(f"timeout={timeout}: give a positive number of seconds")
        self._check()
        return self._results(Job(items, _payload(fn, prepare), timeout, self.workers), stop)

    def close(self) -> None:
        """End all workers; a `map` that is under way raises `GuerdonError`. May be called twice."""
        if self._process != os.getpid():
            return
        with self._lock:
            self._closed = True
            for worker in self._alive:
                worker.kill()
            idle, self._idle = self._idle, []
            self._wake_drivers()
            self._alarm.notify()
        for worker in idle:
            self._discard(worker)
        with self._lock:
            self._empty.wait_for(lambda: not self._alive, LEAVE_SECONDS)
        if self._watcher is not None:
            self._watcher.join(LEAVE_SECONDS)
        atexit.unregister(self.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _check(self) -> None:
        if self._process != os.getpid():
            raise GuerdonError(
                "the pool belongs to the process that forked this one: make another or use shared_pool()"
            )
        if self._closed:
            raise GuerdonError("the pool is closed: make another")

    def _results(self, job: Job, stop: Event | None) -> Generator[tuple[int, Any]]:
        drivers = [Thread(target=self._drive, args=(job,), daemon=True) for _ in range(job.drivers)]
        left = len(job.items)
        try:
            for driver in drivers:
                driver.start()
            while left:
                try:
                    known = job.known.get(timeout=None if stop is None else LISTEN)
                except Empty:
                    if stop is not None and stop.is_set():
                        return
                    continue
                if isinstance(known, BaseException):
                    raise known
                left -= len(known)
                yield from known
        finally:
            self._finish(job, drivers, abandoned=left > 0)

    def _finish(self, job: Job, drivers: list[Thread], abandoned: bool) -> None:
        if abandoned:
            job.abandon()
            with self._lock:
                for worker in job.workers:
                    worker.kill()
                self._wake_drivers()
        for driver in drivers:
            if driver.ident is not None and driver is not current_thread():
                driver.join(LEAVE_SECONDS)
        if not any(driver.is_alive() for driver in drivers):
            for worker in tuple(job.workers):  # of a driver that failed
                self._discard(worker, job)

    def _drive(self, job: Job) -> None:
        try:
            while job.wait():
                worker = self._ready_worker(job)
                if worker is not None:
                    self._serve(job, worker)
        except BaseException as error:
            job.known.put(error)

    def _ready_worker(self, job: Job) -> Worker | None:
        """A worker that has imported the function; None when the job is over."""
        reason = ""
        for _ in range(TRIES):
            worker = self._acquire(job)
            if worker is None:
                return None
            try:
                self._allow(worker, START_SECONDS)
                broken = worker.load(job.digest, job.payload)
            except Died:
                code, words = self._discard(worker, job)
                reason = words or f"exit {code}"
            else:
                if broken is None:
                    return worker
                raise GuerdonError(f"the function cannot be imported in a worker process: {broken}")
        if job.over:
            return None
        self._check()
        raise GuerdonError(
            f"worker processes die before they are ready: {reason}. Start one by hand to see more: "
            f'{sys.executable} -c "import guerdon.expr.worker", then import what your function needs'
        )

    def _acquire(self, job: Job) -> Worker | None:
        """A worker for one run, started if need be; None when the job is over."""
        with self._lock:
            ticket = Condition(self._lock)
            self._queue.append(ticket)
            try:
                while not job.over:
                    self._check()
                    if self._queue[0] is ticket and (self._idle or len(self._alive) < self.workers):
                        worker = self._idle_worker(job) or self._start()
                        job.workers.add(worker)
                        return worker
                    ticket.wait()
                return None
            finally:
                self._queue.remove(ticket)
                self._wake_next()

    def _idle_worker(self, job: Job) -> Worker | None:
        while self._idle:
            knows = (n for n, worker in enumerate(self._idle) if job.digest in worker.digests)
            worker = self._idle.pop(next(knows, -1))
            if worker.process.poll() is None:
                return worker
            self._discard(worker)
        return None

    def _start(self) -> Worker:
        if self._watcher is None:
            atexit.register(self.close)
            self._watcher = Thread(target=self._watch, daemon=True)
            self._watcher.start()
        try:
            worker = Worker(self.memory_mb)
        except OSError as error:
            raise GuerdonError(f"no worker process could be started with {sys.executable}: {error}") from error
        self._alive.add(worker)
        return worker

    def _serve(self, job: Job, worker: Worker) -> None:
        """Let `worker` compute one run, then give it back."""
        run = job.take()
        if run is None:
            self._release(worker, job)
            return
        try:
            body = _dumps([job.items[index] for index in range(run.start, run.stop)])
        except Exception as error:
            self._release(worker, job)
            job.settle(run, describe(error))
            return
        try:
            fit = self._follow(job, run, worker, body)
        except Died:
            code, _ = self._discard(worker, job)
            if self._closed:
                self._check()
            job.settle(run, _blame(worker, job, code))
        else:
            if fit:
                self._release(worker, job)
            else:
                self._discard(worker, job)
            job.settle(run, None)

    def _follow(self, job: Job, run: Run, worker: Worker, body: bytes) -> bool:
        """Pass answers on until the run ends; whether the worker is fit for another."""
        begun = monotonic()
        self._allow(worker, START_SECONDS)
        worker.send(("run", job.digest, job.timeout, run.stop - run.start, body))
        while True:
            messages = worker.receive()
            self._allow(worker, job.timeout)
            job.record(run, messages)
            last, fit = messages[-1]
            if last == "end":
                job.pace(run, monotonic() - begun)
                return fit

    def _release(self, worker: Worker, job: Job) -> None:
        with self._lock:
            job.workers.discard(worker)
            worker.deadline = inf
            if not self._closed and not worker.killed:
                self._idle.append(worker)
                self._wake_next()
                return
        self._discard(worker)

    def _discard(self, worker: Worker, job: Job | None = None) -> tuple[int, str]:
        ending = worker.end()
        with self._lock:
            if job is not None:
                job.workers.discard(worker)
            self._alive.discard(worker)
            self._empty.notify_all()
            self._wake_next()
        return ending

    def _wake_next(self) -> None:
        if self._queue:
            self._queue[0].notify()

    def _wake_drivers(self) -> None:
        for ticket in self._queue:
            ticket.notify()

    def _allow(self, worker: Worker, seconds: float) -> None:
        with self._lock:
            worker.overdue = False
            worker.deadline = monotonic() + seconds
            if worker.deadline < self._wakes:
                self._alarm.notify()

    def _watch(self) -> None:
        with self._lock:
            while not self._closed:
                now = monotonic()
                for worker in self._alive:
                    if worker.deadline <= now:
                        worker.overdue = True
                        worker.deadline = inf
                        worker.kill()
                self._wakes = min((worker.deadline for worker in self._alive), default=inf)
                self._alarm.wait(min(self._wakes - now, 3600.0))


def shared_pool(workers: int | None = None) -> Pool:
    """The pool of this process with that many workers, made when first asked for; None for one per processor.

    >>> shared_pool(2) is shared_pool(2)
    True
    """
    name = os.getpid(), _processors() if workers is None else workers
    pool = _SHARED.setdefault(name, Pool(name[1]))
    if pool.closed:
        pool = _SHARED[name] = Pool(name[1])
    return pool


_SHARED: dict[tuple[int, int], Pool] = {}


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _dumps(value: object) -> bytes:
    import cloudpickle

    return cast(Any, cloudpickle).dumps(value)


def _payload(fn: Callable[..., Any], prepare: Callable[[], object] | None) -> bytes:
    try:
        return _dumps((fn, prepare))
    except Exception as error:
        raise GuerdonError(
            f"{fn!r} cannot be sent to a worker process: {describe(error)}. "
            "Give a function, or an object made of plain values: no open files, locks or connections"
        ) from error


def _blame(worker: Worker, job: Job, code: int) -> str | None:
    if worker.overdue:
        return f"took longer than {job.timeout:g} s: killed"
    if worker.killed:  # it answered in the last moment, and the next item had hardly begun
        return None
    return f"worker died (exit {code})"
