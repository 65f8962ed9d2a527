"""Results of SQLite as Arrow tables.

A columnar driver brings a SQLite of its own. Two of them in one process undo each other's locks
on a file, and the second truncates what the first has in shared memory. So this process reads with
Python's own SQLite, and has a process of its own read long results through the columnar driver.
"""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

from vrtracker.backends.base import ArrowReader
from vrtracker.backends.columns import table_of, typed_table_of
from vrtracker.backends.sqlite_process import SQLiteProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["SQLiteArrowReader"]

FEW_ROWS = 200
"""Longer results are left to the other process when it is there."""
MORE_ROWS = 2000
"""Rows that are taken at a time after those."""
START_ROWS = 5000
"""A longer result makes it worth starting; this process goes on reading meanwhile."""
WAIT_ROWS = 50_000
"""After so many rows it is waited for."""


class SQLiteArrowReader(ArrowReader):
    """Reads through a connection for each query, which `connect` opens for reading alone.

    None stays open: the last one to close a database, which tidies up its files, has to be one
    that can write.

    Parameters
    ----------
    uri
        Gives the address by which another process opens the same file, for reading alone.
    """

    def __init__(self, connect: Callable[[], sqlite3.Connection], uri: Callable[[], str]) -> None:
        self.errors = (sqlite3.Error,)
        self.dialect = SQLiteDialect_pysqlite(paramstyle="qmark")
        self._connect = connect
        self._uri = uri
        self._process = SQLiteProcess()

    def read(
        self, sql: str, parameters: Sequence[Any], types: Sequence[pa.DataType | None]
    ) -> pa.Table:
        """Run a query and put its rows into columns."""
        with contextlib.closing(self._connect()) as connection:
            cursor = connection.execute(sql, tuple(parameters))
            names = [name for name, *_ in cursor.description]
            known = [kind for kind in types if kind is not None]
            if len(known) < len(names):
                return table_of(names, cursor.fetchall())
            parts: list[pa.Table] = []
            count, may_pass_on = 0, True
            while rows := cursor.fetchmany(MORE_ROWS if count else FEW_ROWS):
                count += len(rows)
                if may_pass_on and self._is_there(count):
                    table = self._process.read(self._uri(), sql, parameters, names, known)
                    if table is not None:
                        return table
                    may_pass_on = False
                parts.append(typed_table_of(names, rows, known))
            return pa.concat_tables(parts or [typed_table_of(names, (), known)])

    def _is_there(self, count: int) -> bool:
        """Return whether the other process can go on after so many rows; start it for many."""
        if count < FEW_ROWS:
            return False
        if count > START_ROWS:
            self._process.start()
        return self._process.is_ready(wait=count >= WAIT_ROWS)

    def close(self) -> None:
        """End the other process; no connection is open."""
        self._process.end()
