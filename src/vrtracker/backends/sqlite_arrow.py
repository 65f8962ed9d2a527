"""Results of SQLite as Arrow tables, through ADBC."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

from vrtracker.backends.base import ArrowReader

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

__all__ = ["SQLiteArrowReader"]

_BATCH_ROWS = 65_536


class SQLiteArrowReader(ArrowReader):
    """Reads through ADBC; `uri` names the file, to be opened for reading alone."""

    def __init__(self, uri: str, errors: tuple[type[Exception], ...]) -> None:
        self.errors = errors
        self.dialect = SQLiteDialect_pysqlite(paramstyle="qmark")
        self._uri = uri
        self._connection: Any = None
        self._lock = threading.Lock()

    def read(self, sql: str, parameters: Sequence[Any]) -> pa.Table:
        """Run a query, again in one batch when the first rows misled about a type."""
        with self._lock:
            if self._connection is None:
                self._connection = self._connect()
            try:
                return self._read(sql, parameters, _BATCH_ROWS)
            except self.errors:
                # ADBC takes a column's type from its first batch of rows and fails on a later
                # value that does not fit, such as text after NULLs: make one batch of all rows.
                # It reserves the memory for a whole batch at once, so that must not be the rule.
                counted = self._read(f"SELECT count(*) FROM ({sql})", parameters, 1)  # noqa: S608
                rows = counted.column(0)[0].as_py()
                if rows <= _BATCH_ROWS:
                    raise
                return self._read(sql, parameters, rows + _BATCH_ROWS)

    def _read(self, sql: str, parameters: Sequence[Any], batch_rows: int) -> pa.Table:
        cursor = self._connection.cursor()
        try:
            cursor.adbc_statement.set_options(**{"adbc.sqlite.query.batch_rows": str(batch_rows)})
            cursor.execute(sql, tuple(parameters) or None)
            return cursor.fetch_arrow_table()
        finally:
            cursor.close()

    def _connect(self) -> Any:
        import adbc_driver_sqlite.dbapi as adbc

        return adbc.connect(self._uri, autocommit=True)

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None
