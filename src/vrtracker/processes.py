"""Processes of this computer: since when one runs, and whether it still does."""

from __future__ import annotations

import datetime as dt
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil

__all__ = ["adopt_orphans", "end_tree", "having_open", "is_alive", "signals_here", "started_at"]

# Systems reckon the start from the start of the computer, which moves with its clock.
_TOLERANCE = dt.timedelta(seconds=3)
_PATIENCE_S = 10
_PR_SET_CHILD_SUBREAPER = 36


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

    Parameters
    ----------
    since
        When it began, aware UTC; None if that is not known.

    Returns
    -------
    bool or None
        None if a process has the number, and nobody can tell whether it is the same.
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
