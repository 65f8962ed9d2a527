"""Results of SQLite as Arrow tables, through Python's own SQLite.

A columnar driver brings a SQLite of its own. Two of them in one process undo each other's locks
on a file, and the second truncates what the first has in shared memory.
"""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING

from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

from vrtracker.backends.base import ArrowReader
from vrtracker.backends.columns import table_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pyarrow as pa

__all__ = ["SQLiteArrowReader"]


class SQLiteArrowReader(ArrowReader):
    """Reads through a connection for each query, which `connect` opens for reading alone.

    None stays open: the last one to close a database, which tidies up its files, has to be one
    that can write.
    """

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        self.errors = (sqlite3.Error,)
        self.dialect = SQLiteDialect_pysqlite(paramstyle="qmark")
        self._connect = connect

    def read(self, sql: str, parameters: Sequence[object]) -> pa.Table:
        """Run a query and put its rows into columns."""
        with contextlib.closing(self._connect()) as connection:
            cursor = connection.execute(sql, tuple(parameters))
            return table_of([name for name, *_ in cursor.description], cursor.fetchall())

    def close(self) -> None:
        """Do nothing: no connection is open."""
