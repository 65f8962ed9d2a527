"""Results of SQLite as Arrow tables.

A columnar driver brings a SQLite of its own. Two of them in one process undo each other's locks
on a file, and the second truncates what the first has in shared memory. So this process reads with
Python's own SQLite, and has a process of its own read long results through the columnar driver.
"""

from __future__ import annotations

import contextlib
import functools
import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

from vrtracker.backends.base import ArrowReader, Parts
from vrtracker.backends.columns import table_of, typed_table_of
from vrtracker.backends.sqlite_process import SQLiteProcess

FEW_ROWS = 200
"""Longer results are left to the other process when it is there,"""
FEW_STEPS = 50_000
"""and those for which SQLite has to look through or sort more than it does in a millisecond."""
START_ROWS = 5000
"""A longer result makes it worth starting; this process goes on reading meanwhile."""
WAIT_ROWS = 50_000
"""After so many rows it is waited for."""
_PART_ROWS = 2000


class SQLiteArrowReader(ArrowReader):
    """Reads through connections that `connect` opens for reading alone, of which one is kept.

    It has to be closed before the last connection that can write, which tidies up the files.

    `uri`: gives the address by which another process opens the same file, for reading alone.
    `file`: tells which file stands there; what was opened of another one is closed.
    """

    def __init__(
        self,
        connect: Callable[[], sqlite3.Connection],
        uri: Callable[[], str],
        file: Callable[[], object],
    ) -> None:
        self.errors = (sqlite3.Error,)
        self.dialect = SQLiteDialect_pysqlite(paramstyle="qmark")
        self._connect = connect
        self._kept: list[sqlite3.Connection] = []
        self._uri = uri
        self._file, self._opened = file, file()
        self._process = SQLiteProcess()

    def read(
        self,
        sql: str,
        parameters: Sequence[Any],
        types: Sequence[pa.DataType | None],
        parts: Callable[[], Parts] | None = None,
    ) -> pa.Table:
        """Run a query and put its rows into columns."""
        if (found := self._file()) != self._opened:
            self.close()
            self._opened = found
        try:
            connection = self._kept.pop()
        except IndexError:
            connection = self._connect()
        try:
            asking = (self._uri(), sql, parameters, types, parts)
            ask = functools.partial(self._process.read, *asking)
            table = self._read(connection, ask, sql, parameters, types)
        except BaseException:
            connection.close()
            raise
        self._kept.append(connection)
        while len(self._kept) > 1:
            self._kept.pop().close()
        return table

    def _read(
        self,
        connection: sqlite3.Connection,
        ask: Callable[[], pa.Table | None],
        sql: str,
        parameters: Sequence[Any],
        types: Sequence[pa.DataType | None],
    ) -> pa.Table:
        is_typed = None not in types
        asked = is_typed and self._process.is_ready()
        if asked and _is_long(connection, sql, parameters) and (table := ask()) is not None:
            return table
        with contextlib.closing(connection.execute(sql, tuple(parameters))) as cursor:
            if not is_typed:
                return table_of(_names(cursor), cursor.fetchall())
            parts, count = [], 0
            while rows := cursor.fetchmany(_PART_ROWS):
                count += len(rows)
                if not asked and self._has_come(count):
                    asked = True
                    if (table := ask()) is not None:
                        return table
                parts.append(typed_table_of(_names(cursor), rows, types))
            return pa.concat_tables(parts or [typed_table_of(_names(cursor), (), types)])

    def _has_come(self, count: int) -> bool:
        """Return whether the other process can be asked after so many rows; start it for many."""
        if count > START_ROWS:
            self._process.start()
        return self._process.is_ready(wait=count >= WAIT_ROWS)

    def let_go(self) -> None:
        """Close the connection if nobody uses it."""
        while self._kept:
            self._kept.pop().close()

    def close(self) -> None:
        """End the other process, and close the connection."""
        self._process.end()
        self.let_go()


def _names(cursor: sqlite3.Cursor) -> list[str]:
    return [name for name, *_ in cursor.description]


def _is_long(connection: sqlite3.Connection, sql: str, parameters: Sequence[Any]) -> bool:
    """Return whether a result has more than a few rows, or these are not found at once."""
    connection.set_progress_handler(lambda: 1, FEW_STEPS)
    try:
        with contextlib.closing(connection.execute(sql, tuple(parameters))) as cursor:
            return len(cursor.fetchmany(FEW_ROWS)) == FEW_ROWS
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
            raise
        return True
    finally:
        connection.set_progress_handler(None, 0)
