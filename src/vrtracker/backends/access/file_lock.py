"""A lock between processes, held on a small file beside the database."""

from __future__ import annotations

import importlib
import os
import sys
import time
from pathlib import Path
from typing import Any

from vrtracker.backends.access.java_errors import OperationalError

__all__ = ["FileLock", "lock_of"]

POLL_S = 0.02


def lock_of(path: Path) -> Path:
    """Return the file on which the writers of a database hold their lock."""
    return path.with_name(f"{path.name}.vrtracker-lock")


class FileLock:
    """An exclusive lock of the operating system, which ends with the process that holds it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def acquire(self, *, timeout_s: float) -> None:
        """Take the lock, waiting for up to `timeout_s`.

        Raises
        ------
        OperationalError
            Another process holds it, or the folder cannot be written.
        """
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise OperationalError(
                f"Cannot make the lock file {self.path} ({error.strerror}). Writing needs write "
                "access to the folder of the database.",
                "25006",
            ) from error
        deadline = time.monotonic() + timeout_s
        while not _try_lock(descriptor):
            if time.monotonic() >= deadline:
                os.close(descriptor)
                raise OperationalError(
                    f"Another process is writing to the database (it holds {self.path}); try "
                    "again when it has finished.",
                    "40001",
                )
            time.sleep(POLL_S)
        self._descriptor = descriptor

    def release(self) -> None:
        """Give the lock back; without effect when it is not held."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            _unlock(descriptor)
            os.close(descriptor)


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
