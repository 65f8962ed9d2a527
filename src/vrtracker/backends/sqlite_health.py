"""What a doctor asks of a SQLite file."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import text

from vrtracker.backends.health import Health, versions_of
from vrtracker.processes import having_open

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection, Engine

__all__ = ["SQLiteHealth", "is_written_to"]


class SQLiteHealth(Health):
    """Asks SQLite itself."""

    # Its log needs memory that all who have the file open share.
    fit_for_network_drives = False

    def equipment(self, url: URL) -> str:
        """Return SQLite's version, and that of the package that reads columns."""
        del url
        packages = versions_of(["sqlalchemy"])
        return f"SQLite {sqlite3.sqlite_version}, {packages}"

    def damage(self, connection: Connection) -> list[str]:
        """Have SQLite check pages, indexes and rows."""
        found = connection.execute(text("PRAGMA integrity_check(5)")).scalars().all()
        return [line for line in found if line != "ok"]

    def holders(self, url: URL, engine: Engine) -> list[str]:
        """Try to begin a change."""
        del engine
        path = _path(url)
        if not is_written_to(path):
            return []
        return having_open(path) or ["a process that does not tell its name"]

    def log(self, url: URL) -> tuple[Path, int] | None:
        """Look at the write-ahead log."""
        path = _path(url)
        log = path.with_name(f"{path.name}-wal")
        return (log, log.stat().st_size) if log.is_file() else None

    def shorten_log(self, url: URL) -> None:
        """Make a checkpoint."""
        with contextlib.closing(sqlite3.connect(_path(url))) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def is_written_to(path: Path) -> bool:
    """Return whether somebody holds the lock of writers just now."""
    connection = sqlite3.connect(path, timeout=0, isolation_level=None)
    with contextlib.closing(connection):
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            return error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
    return False


def _path(url: URL) -> Path:
    return Path(url.database or "")
