"""Hold the file of a database, as another program that writes to it does."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from pathlib import Path


def hold(path: str, ready: str, seconds: float) -> None:
    """Keep all others from writing for some time; make the file `ready` when that begins."""
    if path.endswith(".accdb"):
        from vrtracker.backends.access.file_lock import FileLock, lock_of

        lock = FileLock(lock_of(Path(path)))
        lock.acquire(timeout_s=30)
        Path(ready).touch()
        time.sleep(seconds)
        lock.release()
        return
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        Path(ready).touch()
        time.sleep(seconds)
        connection.execute("ROLLBACK")
