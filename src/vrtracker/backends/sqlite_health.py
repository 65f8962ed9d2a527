"""What a doctor asks of a SQLite file."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import (
    URL,
    BigInteger,
    Boolean,
    Column,
    Connection,
    Date,
    DateTime,
    Dialect,
    Engine,
    Float,
    Integer,
    LargeBinary,
    Numeric,
    String,
    Table,
    TypeDecorator,
    text,
)

from vrtracker.backends import forks
from vrtracker.backends.health import Health, Misfit, versions_of
from vrtracker.processes import having_open

_SHOWN = 20


class _Flags(dict[Any, Any]):
    def __missing__(self, value: Any) -> bool:
        raise ValueError(value)


# -1 is what Access has for a tick, and what its copies may hold; the doctor tells of it.
_flag = _Flags({0: False, 1: True, -1: True, None: None}).__getitem__


class StrictBoolean(Boolean):
    """A tick box as SQLite keeps it; any text in one, which SQLite lets be, is no true."""

    cache_ok = True

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:
        """Read 0, 1 and -1 alone; a dict's own look-up is as fast as what SQLAlchemy has."""
        del dialect, coltype
        return _flag


class SQLiteHealth(Health):
    """Asks SQLite itself."""

    # Its log needs memory that all who have the file open share.
    fit_for_network_drives = False

    def equipment(self, url: URL) -> str:
        """Return SQLite's version, and that of the package that reads columns."""
        del url
        packages = versions_of(["sqlalchemy"])
        return f"SQLite {sqlite3.sqlite_version}, {packages}"

    def damage(self, connection: Connection, *, quick: bool = False) -> list[str]:
        """Have SQLite check pages and rows, and indexes unless it is to be quick."""
        check = "quick_check" if quick else "integrity_check"
        found = connection.execute(text(f"PRAGMA {check}(5)")).scalars().all()
        return [line for line in found if line != "ok"]

    def misfits(self, connection: Connection, table: Table) -> list[Misfit]:
        """Look at what is stored, which SQLite lets be anything."""
        found = {column.name: _unfit(column) for column in table.c}
        unfit = {name: f"({condition})" for name, condition in found.items() if condition}
        if not unfit:
            return []
        key = next(iter(table.primary_key.columns), table.c[0]).name
        cells = ", ".join([*map(_quoted, (key, *unfit)), *unfit.values()])
        where = " OR ".join(unfit.values())
        # Past SQLAlchemy: its types would fail on such cells, or take them for something else.
        rows = connection.exec_driver_sql(
            f"SELECT {cells} FROM {_quoted(table.name)} WHERE {where} LIMIT {_SHOWN}"  # noqa: S608
        ).all()
        return [
            Misfit(table.name, name, row[at], (key, row[0]))
            for row in rows
            for at, name in enumerate(unfit, 1)
            if row[len(unfit) + at]
        ]

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
        with contextlib.closing(forks.connect(_path(url))) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


_UNFIT: tuple[tuple[type[Any], str], ...] = (
    (Boolean, "{0} NOT IN (0, 1)"),
    (BigInteger, "typeof({0}) NOT IN ('null', 'integer')"),
    (
        Integer,
        f"typeof({{0}}) NOT IN ('null', 'integer') OR {{0}} NOT BETWEEN {-(2**31)} AND {2**31 - 1}",
    ),
    (Numeric, "typeof({0}) NOT IN ('null', 'integer', 'real')"),
    (Float, "typeof({0}) NOT IN ('null', 'integer', 'real')"),
    (DateTime, "typeof({0}) NOT IN ('null', 'text') OR datetime({0}) IS NULL"),
    (Date, "typeof({0}) NOT IN ('null', 'text') OR datetime({0}) IS NULL"),
    (LargeBinary, "typeof({0}) NOT IN ('null', 'blob')"),
    (String, "typeof({0}) NOT IN ('null', 'text') OR length({0}) > {1}"),
)
"""Which cells a column of a type does not take, in SQL: of its name, and its length."""


_BYTES = f"typeof({{0}}) = 'real' AND (abs({{0}}) >= {2**63} OR {{0}} <> CAST({{0}} AS INTEGER))"
"""Which number is none of bytes: one with a fraction, or beyond 64 bits."""


def _unfit(column: Column[Any]) -> str:
    kind: Any = column.type
    kind = kind.impl if isinstance(kind, TypeDecorator) else kind
    found = next((condition for known, condition in _UNFIT if isinstance(kind, known)), "")
    if found and column.name.endswith("_bytes"):
        found = f"{found} OR {_BYTES}"
    name, length = _quoted(column.name), getattr(kind, "length", None) or 2**31
    return f"{name} IS NOT NULL AND ({found.format(name, length)})" if found else ""


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def is_written_to(path: Path) -> bool:
    """Return whether somebody holds the lock of writers just now."""
    connection = forks.connect(path, timeout=0, isolation_level=None)
    with contextlib.closing(connection):
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            return error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
    return False


def _path(url: URL) -> Path:
    return Path(url.database or "")
