"""A worker process of a pool and the conversation with it: `Worker` at the pool's end, `main` at the other.

The conversation
    Frames, each a length (8 bytes, little-endian) and a pickle of that length, over the stdin and stdout of
    the process. `HELLO` comes first, raw, so that what the environment prints while Python starts is told
    apart from frames.

        pool → worker                               worker → pool
        ("load", digest, path, payload)             ("loaded", None), or ("broken", reason)
        ("run", digest, timeout, count, body)       ("begun", None), an answer per item in order, ("end", fit)

    `payload` is a pickle of (function, prepare), `path` the sys.path of the pool's process; a worker
    remembers the last functions by digest. `body` is a pickle of `count` tuples of arguments. An answer is
    ("value", result) or ("failed", reason). ("end", fit) without ("begun", None) says that the body could not
    be read.

Which item is running
    Every answer is written as soon as it is known, and in order, so the item in progress is the one after the
    last answer in the pipe; the pipe of a killed worker can still be read to its end. No item waits for a
    round trip: the pool only reads. "loaded" and "begun" mark the end of what is on nobody's clock; each
    answer starts the clock of the next item.

Ending early
    After an item of more than `STALL` seconds the worker ends its run and leaves the rest to the pool, which
    may have given it to somebody else by then. After a MemoryError it says that it is not fit for more
    (fragments may stay) and is replaced.

Living and dying
    The end of stdin means that the pool is gone: the worker kills its process group, itself included. Should
    the pool's process die while an item runs, faulthandler's thread, which needs no interpreter lock, ends
    the worker `GRACE` seconds after the time limit of the item.
"""

from __future__ import annotations

import faulthandler
import json
import os
import pickle
import signal
import struct
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from math import inf
from threading import Lock
from time import monotonic
from typing import IO, Any, BinaryIO, NoReturn, cast

from guerdon.errors import Unscored

__all__ = ["Died", "Message", "Worker", "describe", "main"]

HELLO = b"\0guerdon worker\0"
HEAD = struct.Struct("<Q")
KEEP = 16  # functions that a worker remembers; both ends count alike
STALL = 0.25
GRACE = 5.0
LONGEST = 1e6  # seconds that the timers of every platform can count
REASON = 500  # characters
READ = 1 << 18
BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from guerdon.expr.worker import main; main(int(sys.argv[2]))"
)
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

Message = tuple[str, Any]


class Died(Exception):
    """The process ended in the middle of the conversation."""


class Worker:
    """The pool's end. It belongs to the thread that leased it; others may only call `kill`."""

    def __init__(self, memory_mb: int) -> None:
        self.digests: set[bytes] = set()
        self.deadline = inf
        self.overdue = False  # the deadline passed and nothing was heard since
        self.killed = False  # by us, not of itself
        self._greeted = False
        self._buffer = bytearray()
        self._lock = Lock()
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-c", BOOT, json.dumps(_path()), str(memory_mb)],
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=ONE_THREAD | dict(os.environ),
            start_new_session=True,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        pipes = self.process.stdin, self.process.stdout, self.process.stderr
        self._stdin, self._stdout, self._stderr = cast(tuple[IO[bytes], IO[bytes], IO[bytes]], pipes)

    def load(self, digest: bytes, payload: bytes) -> str | None:
        """Have the function imported unless it is there; why it could not be, or None."""
        self._greet()
        if digest in self.digests:
            return None
        self.send(("load", digest, _path(), payload))
        [(kind, reason)] = self.receive()
        if kind == "broken":
            return reason
        if len(self.digests) >= KEEP:
            self.digests.clear()
        self.digests.add(digest)
        return None

    def send(self, message: tuple[Any, ...]) -> None:
        """Write one message; `Died` if nobody reads."""
        view = memoryview(_frame(message))
        try:
            while view:
                view = view[self._stdin.write(view) :]
        except OSError:
            raise Died from None

    def receive(self) -> list[Message]:
        """The messages that have come, one at least; `Died` at the end."""
        messages: list[Message] = []
        while not messages:
            self._read()
            start = 0
            while (body := start + HEAD.size) <= len(self._buffer):
                stop = body + HEAD.unpack_from(self._buffer, start)[0]
                if stop > len(self._buffer):
                    break
                messages.append(_message(self._buffer[body:stop]))
                start = stop
            del self._buffer[:start]
        return messages

    def kill(self) -> None:
        """End the process and its children, now."""
        with self._lock:
            self.killed = True
            self._kill()

    def end(self) -> tuple[int, str]:
        """Kill, wait, close the pipes; the exit code and the last line of a process that never said hello."""
        with self._lock:
            self._kill()
            code = self.process.wait()
        words = [] if self._greeted else self._stderr.read().decode(errors="replace").split("\n")
        for pipe in (self._stdin, self._stdout, self._stderr):
            pipe.close()
        return code, next((line.strip() for line in reversed(words) if line.strip()), "")

    def _kill(self) -> None:
        if self.process.returncode is not None:
            return
        with suppress(OSError):  # it has just ended
            if hasattr(os, "killpg"):
                os.killpg(self.process.pid, signal.SIGKILL)
            else:
                self.process.kill()

    def _greet(self) -> None:
        while not self._greeted:
            self._read()
            _, hello, after = self._buffer.partition(HELLO)
            if hello:
                self._buffer = after
                self._stderr.close()
                self._greeted = True

    def _read(self) -> None:
        data = self._stdout.read(READ)
        if not data:
            raise Died
        self._buffer += data


def main(memory_mb: int) -> None:
    """The other end: serve the pool at stdin and stdout until stdin ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _limit(memory_mb)
    inbox, outbox = _private_streams()
    with suppress(OSError):  # the pool is gone
        _Service(inbox, outbox, memory_mb).serve()
    _leave()


class _Service:
    def __init__(self, inbox: BinaryIO, outbox: int, memory_mb: int) -> None:
        self.inbox = inbox
        self.outbox = outbox
        self.exhausted = _frame(("failed", f"MemoryError: more than the {memory_mb} MB of a worker"))
        self.functions: dict[bytes, Callable[..., Any]] = {}

    def serve(self) -> None:
        self.write(HELLO)
        while len(head := self.inbox.read(HEAD.size)) == HEAD.size:
            kind, digest, *order = pickle.loads(self.inbox.read(*HEAD.unpack(head)))
            if kind == "load":
                self.write(_frame(self.load(digest, *order)))
            else:
                self.write(_frame(("end", self.run(self.functions[digest], *order))))

    def load(self, digest: bytes, path: list[str], payload: bytes) -> Message:
        sys.path[:] = path
        try:
            function, prepare = pickle.loads(payload)
            if prepare is not None:
                prepare()
        except BaseException as error:
            return "broken", describe(error)
        if len(self.functions) >= KEEP:
            self.functions.clear()
        self.functions[digest] = function
        return "loaded", None

    def run(self, function: Callable[..., Any], timeout: float, count: int, body: bytes) -> bool:
        """Answer `count` items, or stop early; whether this process is fit for more."""
        try:
            items = pickle.loads(body)
        except BaseException as error:
            if count == 1:
                self.write(_frame(("begun", None)) + _frame(("failed", describe(error))))
            return not isinstance(error, MemoryError)
        self.write(_frame(("begun", None)))
        fit, armed = True, -inf
        for arguments in items:
            start = monotonic()
            if start > armed + 1:
                _backstop(timeout)
                armed = start
            fit = self.answer(function, arguments)
            if not fit or monotonic() > start + STALL:
                break
        faulthandler.cancel_dump_traceback_later()
        return fit

    def answer(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> bool:
        """Answer one item, whatever it raises; whether this process is fit for more."""
        try:
            answer = _frame(("value", function(*arguments)))
        except MemoryError:
            answer = None
        except BaseException as error:
            answer = _frame(("failed", describe(error)))
        self.write(answer or self.exhausted)  # after `except`: by now the traceback holds no memory
        return answer is not None

    def write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self.outbox, view) :]


def describe(error: BaseException) -> str:
    """One line: `TypeName: message`, or the bare message of an `Unscored`."""
    try:
        message = " ".join(str(error).split())
    except Exception:
        message = ""
    if isinstance(error, Unscored) and message:
        return message[:REASON]
    return f"{type(error).__name__}: {message}"[:REASON] if message else type(error).__name__


def _frame(message: tuple[Any, ...]) -> bytes:
    body = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    return HEAD.pack(len(body)) + body


def _message(body: bytearray) -> Message:
    try:
        return pickle.loads(body)
    except Exception as error:  # the value is of a class that only the worker can import
        return "failed", describe(error)


def _path() -> list[str]:
    return [entry or os.getcwd() for entry in sys.path]


def _private_streams() -> tuple[BinaryIO, int]:
    """The two pipes, under numbers that neither `print` and `input` nor child processes know."""
    inbox, outbox = os.fdopen(os.dup(0), "rb"), os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    return inbox, outbox


def _limit(memory_mb: int) -> None:
    try:
        import resource
    except ImportError:  # Windows
        return
    for limit, size in ((resource.RLIMIT_AS, memory_mb << 20), (resource.RLIMIT_CORE, 0)):
        with suppress(ValueError, OSError):  # above the hard limit, or no limit of this system
            resource.setrlimit(limit, (size, size))


def _backstop(timeout: float) -> None:
    with suppress(RuntimeError):  # no memory for a thread
        faulthandler.dump_traceback_later(min(timeout + GRACE, LONGEST), file=2, exit=True)


def _leave() -> NoReturn:
    if hasattr(os, "killpg") and os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(0)
