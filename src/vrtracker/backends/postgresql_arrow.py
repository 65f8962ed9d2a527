"""Columns of PostgreSQL, through ADBC."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL
from sqlalchemy.dialects.postgresql.base import PGDialect

from vrtracker.backends.base import ArrowReader, Parts
from vrtracker.backends.postgresql_care import for_libpq

if TYPE_CHECKING:
    import pyarrow as pa


class PostgreSQLArrowReader(ArrowReader):
    """Reads through a connection that it opens anew when it was lost."""

    def __init__(self, url: URL, errors: tuple[type[Exception], ...]) -> None:
        self.errors = errors
        self.dialect = PGDialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]
        self._url = url
        self._connection: Any = None
        self._lock = threading.Lock()

    def read(
        self,
        sql: str,
        parameters: Sequence[Any],
        types: Sequence[pa.DataType | None],
        parts: Callable[[], Parts] | None = None,
    ) -> pa.Table:
        """Run the query; types are the server's."""
        del types, parts
        with self._lock:
            if self._connection is not None:
                try:
                    return self._read(sql, parameters)
                except self.errors:
                    # The connection may be gone (server restarted): a new one has to decide.
                    self._connection.close()
                    self._connection = None
            self._connection = self._connect()
            return self._read(sql, parameters)

    def _read(self, sql: str, parameters: Sequence[Any]) -> pa.Table:
        with self._connection.cursor() as cursor:
            cursor.execute(sql, tuple(parameters) or None)
            return cursor.fetch_arrow_table()

    def _connect(self) -> Any:
        import adbc_driver_postgresql.dbapi as adbc

        return adbc.connect(for_libpq(self._url), autocommit=True)

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None
