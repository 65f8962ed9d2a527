"""Work in other processes, forked so that they start at once; spawned where a fork is refused.

What is spawned has to be importable: a function of `support`, or a `functools.partial` of one.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

Work = Callable[[], object]

KILLS = int(os.environ.get("VRTRACKER_TEST_KILLS", "3"))
"""How often a test of faults kills each kind of work; .ci/run asks for 50."""

OFTEN = 50
# Many kills are shared out among the workers that run the tests.
SHARES = 4 if KILLS >= OFTEN else 1
KILLS_OF_A_SHARE = -(-KILLS // SHARES)
each_share = pytest.mark.parametrize("share", range(SHARES))


def fork(work: Work) -> int:
    """Start work in a child and return its process id."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        work()
        code = 0
    except BaseException:  # noqa: BLE001 - the child ends here, whatever it was
        traceback.print_exc()
    finally:
        os._exit(code)


def wait(child: int) -> int:
    """Return the exit code of a child: 0 when nothing was raised, negative when it was killed."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def in_child(work: Work) -> int:
    """Do work in a child and return its exit code."""
    return wait(fork(work))


def at_once(*works: Work) -> list[int]:
    """Do several works at the same moment, each in a child; return the exit codes."""
    moment = time.monotonic() + 0.05

    def together(work: Work) -> Work:
        def start() -> object:
            while time.monotonic() < moment:
                pass
            return work()

        return start

    children = [fork(together(work)) for work in works]
    return [wait(child) for child in children]


def spawned_at_once(*works: Work) -> list[int]:
    """Do several works at the same moment, each in a new process; return the exit codes."""
    return spawned_in_step(*([work] for work in works))


def spawned_in_step(*courses: Sequence[Work]) -> list[int]:
    """Do several courses of works, each in a new process, and each step at the same moment."""
    context = quick_processes()
    gate = context.Barrier(len(courses))
    children = [context.Process(target=_pass_gates, args=(gate, works)) for works in courses]
    for child in children:
        child.start()
    for child in children:
        child.join()
    return [int(child.exitcode) for child in children]  # type: ignore[arg-type]


def _pass_gates(gate: Any, works: Sequence[Work]) -> None:
    try:
        for work in works:
            gate.wait()
            work()
    except BaseException:
        # Nobody is to wait for this process any more.
        gate.abort()
        raise


def quick_processes() -> Any:
    """Return a context for new processes that have imported already, but started no Java."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["vrtracker.tracker", "jpype", "support.access_files"])
    return context


def killed_when_ready(ready: Path, seconds: float, work: Work) -> bool:
    """Kill work some time after it has made the file `ready`; return whether it had ended."""
    child = quick_processes().Process(target=work)
    child.start()
    while not ready.exists():
        if not child.is_alive():
            message = f"the work ended before it was ready (exit code {child.exitcode})"
            raise AssertionError(message)
        time.sleep(0.002)
    child.join(seconds)
    ended = not child.is_alive()
    child.kill()
    child.join()
    return ended


def killed_after(seconds: float, work: Work) -> int:
    """Kill work without warning after a time and return the exit code: 0 if it was faster."""
    child = fork(work)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    return wait(child)
