"""A lock between processes, held on a small file beside the database."""

from __future__ import annotations

import contextlib
import importlib
import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vrtracker.backends.access.java_errors import OperationalError

POLL_S = 0.01
_TEXT_AT = 1
"""Where in the file it says who holds it: Windows lets nobody read the byte that is locked."""
_MOST_TEXT = 200


def lock_of(path: Path) -> Path:
    """Return the file on which the writers of a database hold their lock."""
    return path.with_name(f"{path.name}.vrtracker-lock")


class FileLock:
    """An exclusive lock of the operating system, which ends with the process that holds it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def acquire(self, *, timeout_s: float, wanted: Callable[[], bool] = lambda: True) -> bool:
        """Take the lock, waiting for as long as it goes from hand to hand.

        `timeout_s`: how long one and the same transaction of another process may hold it. `wanted`:
        whether it is needed still; asked while others hold it. Returns whether it is held; if not,
        it was not needed any more. Raises OperationalError if another process holds it for longer,
        or the folder cannot be written.
        """
        descriptor = self._open()
        holder, deadline = None, time.monotonic() + timeout_s
        while not _try_lock(descriptor):
            if not wanted():
                os.close(descriptor)
                return False
            if (now_held_by := _read(descriptor)) != holder:
                holder, deadline = now_held_by, time.monotonic() + timeout_s
            if time.monotonic() >= deadline:
                os.close(descriptor)
                raise OperationalError(
                    f"Another process is writing to the database: {_who(holder or '')} has held "
                    f"{self.path} for more than {timeout_s:g} s. Try again when it has finished; "
                    "one that is suspended has to go on, or be ended.",
                    "40001",
                )
            time.sleep(POLL_S)
        self._descriptor = descriptor
        if not self._is_at_its_path():
            # Somebody deleted it meanwhile: others hold the lock on the one that is there now.
            self.release()
            return self.acquire(timeout_s=timeout_s, wanted=wanted)
        # Who it is helps others on, and a full disk does not matter here.
        with contextlib.suppress(OSError):
            _write(descriptor, f"process {os.getpid()} on {platform.node()}, {time.time():.6f}")
        return True

    def check(self) -> None:
        """Refuse to write where the file on which the lock is held is not that at its path.

        Raises OperationalError if somebody deleted it: another process may write by now.
        """
        if not self._is_at_its_path():
            raise OperationalError(
                f"Somebody deleted {self.path}, on which this process held its lock; nothing was "
                "written. Never delete it; try again.",
                "40001",
            )

    def _open(self) -> int:
        try:
            return os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise OperationalError(
                f"Cannot make the lock file {self.path} ({error.strerror}). Writing needs write "
                "access to the folder of the database.",
                "25006",
            ) from error

    def _is_at_its_path(self) -> bool:
        if self._descriptor is None:
            return False
        try:
            return os.path.samestat(os.fstat(self._descriptor), self.path.stat())
        except OSError:
            return False

    def release(self) -> None:
        """Give the lock back; without effect when it is not held."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            _unlock(descriptor)
            os.close(descriptor)


def _who(holder: str) -> str:
    """Return the process without the time, which tells its turns apart."""
    return holder.rpartition(",")[0] or "somebody"


def _read(descriptor: int) -> str:
    """Return who holds the lock, as the holder wrote it."""
    os.lseek(descriptor, _TEXT_AT, os.SEEK_SET)
    told = os.read(descriptor, _MOST_TEXT).decode(errors="replace").strip()
    os.lseek(descriptor, 0, os.SEEK_SET)
    return told


def _write(descriptor: int, holder: str) -> None:
    os.lseek(descriptor, _TEXT_AT, os.SEEK_SET)
    os.write(descriptor, holder.encode()[:_MOST_TEXT].ljust(_MOST_TEXT))
    os.lseek(descriptor, 0, os.SEEK_SET)


def _try_lock(descriptor: int) -> bool:
    try:
        if sys.platform == "win32":
            windows: Any = importlib.import_module("msvcrt")
            windows.locking(descriptor, windows.LK_NBLCK, 1)
        else:
            posix: Any = importlib.import_module("fcntl")
            posix.lockf(descriptor, posix.LOCK_EX | posix.LOCK_NB)
    except OSError:
        return False
    return True


def _unlock(descriptor: int) -> None:
    if sys.platform == "win32":
        windows: Any = importlib.import_module("msvcrt")
        windows.locking(descriptor, windows.LK_UNLCK, 1)
    else:
        posix: Any = importlib.import_module("fcntl")
        posix.lockf(descriptor, posix.LOCK_UN)
