"""Access files as programs of their own use them, and as an independent program reads them."""

from __future__ import annotations

import csv
import io
import os
import shutil
import subprocess
from pathlib import Path

from support.missing import give_up, required_backends
from vrtracker.database.migration import upgrade
from vrtracker.services.administration.adoption import adopt


def upgrade_when_told(path: str, ready: str) -> None:
    """Start Java, say so by making the file `ready`, and upgrade; this is what gets killed."""
    from vrtracker.backends.access import jvm

    jvm.start()
    Path(ready).touch()
    upgrade(path)


def add_mice_when_told(path: str, ready: str, prefix: str) -> None:
    """Add mice to a database until it is killed.

    What has been committed is noted in the file `ready`, a line each; the first one makes it.
    """
    from vrtracker.opening import open_tracker

    with open_tracker(path, actor="ann") as tracker:
        for number in range(100_000):
            tracker.mice.add(f"{prefix}-{number}")
            with Path(ready).open("a") as told:
                told.write(f"{prefix}-{number}\n")


def raise_number(path: str, times: int) -> None:
    """Raise the number of a file's people by one, in as many transactions."""
    from vrtracker.backends.access import ucanaccess

    with ucanaccess.connect(path) as connection:
        for _ in range(times):
            connection.cursor().execute("UPDATE [people] SET [n]=[n]+1")
            connection.commit()


def take_lock(path: str) -> None:
    """Take the lock of the writers of a file without waiting; a process of its own does."""
    from vrtracker.backends.access.file_lock import FileLock, lock_of

    FileLock(lock_of(Path(path))).acquire(timeout_s=0)


def adopt_when_told(path: str, ready: str) -> None:
    """Start Java, say so by making the file `ready`, and adopt; this is what gets killed."""
    from vrtracker.backends.access import jvm

    jvm.start()
    Path(ready).touch()
    adopt(path)


def mdb_rows(path: Path, table: str) -> list[dict[str, str]]:
    """Return the rows of a table as MDB Tools, an independent program, reads them."""
    return list(csv.DictReader(io.StringIO(mdb_export(path, table))))


def mdb_export(path: Path, table: str, *options: str) -> str:
    """Return a table as CSV by MDB Tools; without them skip the test, or fail it in CI."""
    if shutil.which("mdb-export") is None:
        required = "CI" in os.environ and "access" in required_backends()
        give_up("mdb-export", "MDB Tools (mdbtools) are not installed", required=required)
    command = ["mdb-export", *options, str(path), table]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
