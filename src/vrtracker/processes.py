"""Processes of this computer: since when one runs, whether it still does, and what it started."""

from __future__ import annotations

import datetime as dt
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil

# Systems reckon the start from the start of the computer, which moves with its clock.
_TOLERANCE = dt.timedelta(seconds=3)
_PATIENCE_S = 10
_PR_SET_CHILD_SUBREAPER = 36
_MARK = "VRTRACKER_WORKER"
"""In the environment of what a worker starts: the worker's number, and when it began."""
_lock = threading.Lock()
_marked_before: list[str | None] = []
"""What stood there before, for each `marking`: all but the first found the mark of this process."""


def signals_here(*names: str) -> list[signal.Signals]:
    """Return the signals of these names that this system has."""
    return [signal.Signals[name] for name in names if hasattr(signal, name)]


def started_at(process_id: int) -> dt.datetime | None:
    """Return when a process began, aware UTC, whole seconds; None if that is not told."""
    import psutil

    try:
        seconds = int(psutil.Process(process_id).create_time())
    except psutil.Error:
        return None
    return dt.datetime.fromtimestamp(seconds, dt.UTC)


def is_alive(process_id: int, since: dt.datetime | None) -> bool | None:
    """Return whether the process that had this number since then still runs.

    `since`: when it began, aware UTC; None if that is not known. Returns None if a process has the
    number, and nobody can tell whether it is the same.
    """
    import psutil

    try:
        if psutil.Process(process_id).status() == psutil.STATUS_ZOMBIE:
            return False
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:
        return None
    began = started_at(process_id)
    if since is None or began is None:
        return None
    return abs(began - since) <= _TOLERANCE


@contextmanager
def marking() -> Iterator[None]:
    """Have all programs that are started within know whose they are, for `end_left_by`."""
    with _lock:
        _marked_before.append(os.environ.get(_MARK))
        os.environ[_MARK] = _mark_of(os.getpid())
    try:
        yield
    finally:
        with _lock:
            before = _marked_before.pop()
            # A registrar may have cleared all of it.
            os.environ.pop(_MARK, None)
            if before is not None:
                os.environ[_MARK] = before


@cache
def _mark_of(process_id: int) -> str:
    began = started_at(process_id)
    return f"{process_id} {began.timestamp() if began else 0:.0f}"


def end_left_by(process_id: int, since: dt.datetime | None) -> list[str]:
    """Kill what a process that is gone has started while it was `marking`, and wait for the end.

    `since`: when that process began, aware UTC; where it is not known nothing is looked for.
    Returns what cannot be ended, in words; empty when nothing runs any more.
    """
    deadline = time.monotonic() + _PATIENCE_S
    while since is not None and (left := _left_by(process_id, since)):
        numbers = [process.pid for process in left]
        if os.getpid() in numbers or time.monotonic() > deadline:
            return [f"process {number}" for number in numbers]
        for number in numbers:
            end_tree(number)
        time.sleep(0.01)
    return []


def _left_by(process_id: int, since: dt.datetime) -> list[psutil.Process]:
    import psutil

    found = []
    for process in psutil.process_iter():
        # Those of other users do not show their environment.
        with suppress(psutil.Error, OSError):
            number, _, began = process.environ().get(_MARK, "").partition(" ")
            if number == str(process_id) and _runs(process):
                at = dt.datetime.fromtimestamp(float(began), dt.UTC)
                found += [process] if abs(at - since) <= _TOLERANCE else []
    return found


def having_open(path: Path) -> list[str]:
    """Return in words which other processes of this computer have a file open, as far as told."""
    import psutil

    wanted, found = str(path.resolve()), []
    for process in psutil.process_iter():
        # Those of other users do not say what they have open.
        with suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and any(
                file.path == wanted for file in process.open_files()
            ):
                found.append(f"{process.name()} (process {process.pid} of {process.username()})")
    return found


def end_tree(process_id: int) -> None:
    """Kill a process with all that it started, and wait for the end of them.

    What left the tree, because its parent ended, is found where it stayed in the group of the
    process, and where that has called `adopt_orphans`.
    """
    import psutil

    tree = _suspended(process_id)
    for process in tree[1:]:
        with suppress(psutil.Error):
            process.kill()
    if sys.platform != "win32":
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process_id, signal.SIGKILL)
    for process in tree[:1]:
        with suppress(psutil.Error):
            process.kill()
    deadline = time.monotonic() + _PATIENCE_S
    while any(map(_runs, tree[1:])) and time.monotonic() < deadline:
        time.sleep(0.01)


@contextmanager
def ending_with_us() -> Iterator[Callable[[int], None]]:
    """Have the group of a process that is told killed when this one ends, however it does.

    A shell waits for that on a pipe, and is there before the process is. Windows has none: there
    the next run ends what is left.
    """
    if sys.platform == "win32":
        yield lambda _process_id: None
        return
    words = ["/bin/sh", "-c", 'read group && { read _; kill -9 -"$group"; }']
    with subprocess.Popen(  # noqa: S603 - the words are ours
        words, stdin=subprocess.PIPE, start_new_session=True, bufsize=0
    ) as watching:
        pipe = watching.stdin
        assert pipe is not None  # noqa: S101 - it was asked for

        def told(process_id: int) -> None:
            pipe.write(f"{process_id}\n".encode())

        try:
            yield told
        finally:
            watching.kill()


def _runs(process: psutil.Process) -> bool:
    import psutil

    try:
        # Nobody may wait for it: its parent is gone too.
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _suspended(process_id: int) -> list[psutil.Process]:
    """Return a process and all that it started, each kept from starting more."""
    import psutil

    tree: list[psutil.Process] = []
    try:
        found = [psutil.Process(process_id)]
        while found:
            for process in found:
                with suppress(psutil.Error):
                    if process.pid != os.getpid():
                        process.suspend()
            tree += found
            found = [one for one in tree[0].children(recursive=True) if one not in tree]
    except psutil.Error:
        pass
    return tree


def adopt_orphans() -> None:
    """Become the parent of what this process starts, and whose own parent ends; Linux alone."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
