"""Real processes: nothing outlives its call, its pool or its program; and what cannot work at all says why.

Functions are defined inside tests: they travel by value, and the workers need not import pytest.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Event
from types import ModuleType

import pytest

from guerdon.errors import GuerdonError
from guerdon.expr.pool import Pool, shared_pool
from tests.expr.pools import PATIENCE, eventually, gone, lines, once, ones, reaped

pytestmark = pytest.mark.skipif(not hasattr(os, "killpg"), reason="these accidents are POSIX ones")


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    with Pool(workers=2) as pool:
        yield pool


# ── stopping ──


def test_a_caller_that_stops_leaves_no_busy_process(pool: Pool, tmp_path: Path) -> None:
    note = tmp_path / "pids"

    def work(n: int) -> int:
        if n:
            with open(note, "a") as file:
                file.write(f"{os.getpid()}\n")
            while True:
                pass
        return n

    with closing(pool.map(work, ones(range(50)), timeout=PATIENCE)) as results:
        assert next(results) == (0, 0)
        assert eventually(lambda: len(set(lines(note))) == 2)
    assert all(reaped(int(pid)) for pid in lines(note))
    assert once(pool.map(abs, ones([-1]), timeout=PATIENCE), 1) == [1]


def test_close_ends_workers_and_calls(tmp_path: Path) -> None:
    note = tmp_path / "pids"

    def work(n: int) -> int:
        with open(note, "a") as file:
            file.write(f"{os.getpid()}\n")
        time.sleep(1000 * n)
        return os.getpid()

    threads = threading.active_count()
    pool = Pool(workers=2)
    idle = once(pool.map(work, ones([0]), timeout=PATIENCE), 1)
    results = pool.map(work, ones([0, 1]), timeout=PATIENCE)
    next(results)
    assert eventually(lambda: len(lines(note)) == 3)
    pool.close()
    pool.close()
    with pytest.raises(GuerdonError, match="the pool is closed"):
        next(results)
    assert threading.active_count() == threads
    assert all(reaped(int(pid)) for pid in {*idle, *lines(note)})
    with pytest.raises(GuerdonError, match="the pool is closed"):
        pool.map(abs, [(1,)], timeout=1)


def program(text: str, *arguments: object) -> subprocess.Popen[str]:
    """A program that uses a pool; what it prints first are the numbers of its workers."""
    command = [sys.executable, "-c", HEAD + text, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


HEAD = """
import os, signal, sys, time
from guerdon.expr import worker
from guerdon.expr.pool import Pool, shared_pool

def hurry():
    worker.GRACE = 0.1

def work(note=None):
    if note:
        with open(note, "w") as file:
            file.write(str(os.getpid()))
        return 9**9**9**9
    return os.getpid()

def hang(timeout):
    for _ in shared_pool(1).map(work, [(), (sys.argv[1],)], timeout=timeout, prepare=hurry):
        pass

"""


def test_a_program_that_forgets_to_close_leaves_nothing() -> None:
    process = program("print(next(shared_pool(1).map(work, [(), ()], timeout=60))[1])")
    out, err = process.communicate()
    assert (process.returncode, err) == (0, "")
    assert gone(int(out))


def test_a_program_that_ends_in_the_middle_leaves_nothing(tmp_path: Path) -> None:
    text = """
import threading
threading.Thread(target=hang, args=(1000,), daemon=True).start()
while not os.path.exists(sys.argv[1]):
    time.sleep(0.02)
"""
    process = program(text, tmp_path / "pid")
    process.communicate()
    assert process.returncode == 0
    assert eventually(gone, int(lines(tmp_path / "pid")[0]))


def test_ctrl_c_ends_the_worker_and_the_program(tmp_path: Path) -> None:
    process = program("hang(timeout=1000)", tmp_path / "pid")
    assert eventually(lambda: lines(tmp_path / "pid"))
    process.send_signal(signal.SIGINT)
    assert "KeyboardInterrupt" in process.communicate()[1]
    assert gone(int(lines(tmp_path / "pid")[0]))


def test_a_killed_program_takes_its_workers_along(tmp_path: Path) -> None:
    idle = program("print(next(shared_pool(1).map(work, [()], timeout=60))[1], flush=True); time.sleep(1000)")
    busy = program("hang(timeout=1)", tmp_path / "pid")  # holds the interpreter lock, reads nothing
    assert idle.stdout is not None
    pids = [int(idle.stdout.readline())]
    assert eventually(lambda: lines(tmp_path / "pid"))
    pids += [int(lines(tmp_path / "pid")[0])]
    for process in (idle, busy):
        process.kill()
        process.communicate()
    assert all(eventually(gone, pid) for pid in pids)


FORK = """
from guerdon.errors import GuerdonError
pool = shared_pool(1)
[(_, pid)] = pool.map(work, [()], timeout=60)
child = os.fork()
if not child:
    try:
        pool.map(work, [()], timeout=60)
    except GuerdonError as error:
        assert "forked" in str(error)
        pool.close()
        [(_, other)] = shared_pool(1).map(work, [()], timeout=60)
        assert other != pid
        sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
assert list(pool.map(work, [()], timeout=60)) == [(0, pid)]
"""


def test_a_forked_process_makes_its_own_pool() -> None:
    process = program(FORK)
    assert process.communicate() == ("", "")
    assert process.returncode == 0


def test_workers_that_died_idle_are_replaced(tmp_path: Path) -> None:
    note = str(tmp_path / "pids")

    def who(together: int) -> int:
        with open(note, "a") as file:
            file.write(f"{os.getpid()}\n")
        while len(set(Path(note).read_text().split())) < together:
            time.sleep(0.02)
        return os.getpid()

    with Pool(workers=2) as pool:
        pids = once(pool.map(who, ones([2, 2]), timeout=PATIENCE), 2)
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            assert eventually(gone, pid)
        [fresh] = once(pool.map(who, ones([0]), timeout=PATIENCE), 1)
    assert isinstance(fresh, int)
    assert len({fresh, *pids}) == 3


# ── what cannot work at all ──


def test_a_function_that_cannot_be_sent(pool: Pool) -> None:
    lock = threading.Lock()
    with pytest.raises(GuerdonError, match=r"cannot be sent to a worker process: .*lock.* plain values"):
        pool.map(lambda: lock, [()], timeout=1)


def test_a_function_that_cannot_be_imported(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("only_here")
    exec("def work(): pass", module.__dict__)
    monkeypatch.setitem(sys.modules, "only_here", module)
    with pytest.raises(GuerdonError, match=r"cannot be imported .*: ModuleNotFoundError: .*only_here"):
        list(pool.map(module.work, [()], timeout=1))
    assert once(pool.map(abs, ones([-1]), timeout=PATIENCE), 1) == [1]


def test_preparation_that_fails_or_kills(pool: Pool) -> None:
    def refuse() -> None:
        raise ImportError("no such library")

    with pytest.raises(GuerdonError, match=r"cannot be imported .*: ImportError: no such library"):
        list(pool.map(abs, ones([1]), timeout=1, prepare=refuse))
    with pytest.raises(GuerdonError, match="die before they are ready: exit 5"):
        list(pool.map(abs, ones([1]), timeout=1, prepare=lambda: os._exit(5)))
    assert once(pool.map(abs, ones([-1]), timeout=PATIENCE), 1) == [1]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (
            "#!/bin/sh\necho >&2; echo 'no module named os' >&2; echo >&2; exit 1",
            "not ready.*|ready: no module named os",
        ),
        ("#!/no/such/interpreter", "no worker process could be started with .*: .*No such file"),
    ],
)
def test_a_broken_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, complaint: str) -> None:
    python = tmp_path / "python"
    python.write_text(text)
    python.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(python))
    with Pool(workers=2) as pool, pytest.raises(GuerdonError, match=complaint):
        list(pool.map(abs, ones([1, 2]), timeout=1))


def test_an_environment_that_prints_at_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sitecustomize.py").write_text("import os; os.write(1, bytes(range(256)) * 3)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with Pool(workers=1) as pool:
        assert once(pool.map(abs, ones([-1]), timeout=PATIENCE), 1) == [1]


@pytest.mark.parametrize("arguments", [{"workers": 0}, {"workers": -1}, {"memory_mb": 0}])
def test_sizes_are_positive(arguments: dict[str, int]) -> None:
    with pytest.raises(GuerdonError, match="give positive numbers"):
        Pool(**arguments)


@pytest.mark.parametrize("timeout", [0, -1, float("nan")])
def test_time_limits_are_positive(pool: Pool, timeout: float) -> None:
    with pytest.raises(GuerdonError, match="give a positive number of seconds"):
        pool.map(abs, [(1,)], timeout=timeout)


def test_no_limit(pool: Pool) -> None:
    assert once(pool.map(abs, ones([-1]), timeout=float("inf")), 1) == [1]


def test_another_thread_can_stop_a_call(pool: Pool) -> None:
    stop = Event()
    results = pool.map(lambda n: time.sleep(n), ones([0, 1000]), timeout=2000, stop=stop)
    assert next(results) == (0, None)
    stop.set()
    assert list(results) == []
    assert once(pool.map(abs, ones([-1]), timeout=PATIENCE), 1) == [1]


def test_the_shared_pool_is_one_per_size_until_closed() -> None:
    pool = shared_pool(1)
    assert pool is shared_pool(1)
    assert pool is not shared_pool(3)
    assert shared_pool().workers == Pool().workers >= 1
    pool.close()
    other = shared_pool(1)
    assert other is not pool
    assert not other.closed
