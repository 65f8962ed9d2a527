"""SQLite files as a whole: removed, written anew, counted."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vrtracker.backends import forks
from vrtracker.backends.care import FileCare
from vrtracker.backends.sqlite_errors import BUSY_SECONDS, explained
from vrtracker.backends.sqlite_health import is_written_to
from vrtracker.errors import BackendError
from vrtracker.processes import having_open

if TYPE_CHECKING:
    from sqlalchemy import URL


class SQLiteCare(FileCare):
    """Asks SQLite itself."""

    suffixes = (".db", ".sqlite", ".sqlite3")

    def drop(self, url: URL) -> None:
        """Remove the file, with what SQLite keeps beside it."""
        path = Path(url.database or "")
        who = having_open(path)
        if who or is_written_to(path):
            named = ", ".join(who) or "another process"
            raise BackendError(f"{path} is open in {named}; nothing was removed. Close it there.")
        remove(path)

    def vacuum(self, url: URL, tables: Sequence[str]) -> None:
        """Write the whole file anew; SQLite knows no other way."""
        del tables
        _run(url, ["VACUUM"])

    def analyze(self, url: URL, tables: Sequence[str]) -> None:
        """Count what is in the indexes."""
        _run(url, [f'ANALYZE "{name}"' for name in tables] or ["ANALYZE"])


def remove(path: Path) -> None:
    """Remove a file with what SQLite keeps beside it."""
    for suffix in ("", "-wal", "-shm", "-journal"):
        path.with_name(f"{path.name}{suffix}").unlink(missing_ok=True)


def _run(url: URL, statements: Sequence[str]) -> None:
    path = url.database or ""
    try:
        with contextlib.closing(
            forks.connect(Path(path), timeout=BUSY_SECONDS, isolation_level=None)
        ) as connection:
            for statement in statements:
                connection.execute(statement)
    except sqlite3.Error as error:
        ours = explained(getattr(error, "sqlite_errorcode", 0), path)
        raise ours or BackendError(f"{path} failed: {error}") from error
