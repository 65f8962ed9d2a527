"""Run statements on one connection: composed ones through SQLAlchemy, fixed ones prepared."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Select, Table, bindparam, insert

from vrtracker.database.engines import Database
from vrtracker.database.prepared import Prepared, run
from vrtracker.errors import BackendError

_NONE: Mapping[str, Any] = {}


class Executor:
    """Runs statements inside one open connection; translates the driver's errors."""

    def __init__(self, database: Database, connection: Connection) -> None:
        self.database = database
        self.tables = database.tables
        self.connection = connection
        self._most_rows = database.backend.rows_in_transaction(database.url)
        self._rows_changed = 0
        self._translating = database.translating()

    def execute(self, statement: Any, parameters: Mapping[str, Any] = _NONE) -> Any:
        """Run a statement that was composed for the occasion; its rows are read at once.

        Raises BackendError if a value does not fit its column; it names column and row.
        """
        with self._translating:
            result = self.connection.execute(statement, parameters or None)
            if not result.returns_rows:
                self._count(result.rowcount)
                return result
            try:
                return result.freeze()()
            except (TypeError, ValueError):
                # What was read by itself tells which value it is.
                self.rows(self.database.compiled(statement), **parameters)
                raise

    def rows(self, prepared: Prepared, /, **values: Any) -> list[list[Any]]:
        """Run a prepared SELECT and return its rows as Python values."""
        with self._translating:
            cursor = self._run(prepared, prepared.parameters(values))
            try:
                return prepared.read(cursor)
            finally:
                cursor.close()

    def columns(self, statement: Select[Any]) -> list[list[Any]]:
        """Run a SELECT of many rows and return its columns as Python values."""
        prepared = self.database.compiled(statement)
        with (
            self._translating,
            contextlib.closing(self._run(prepared, prepared.parameters({}))) as cursor,
        ):
            return prepared.read_columns(cursor)

    def plan(self, statement: Select[Any]) -> list[str]:
        """Return the database's own plan for a SELECT, line by line; the SELECT is not run.

        Raises BackendError if this kind of database tells none.
        """
        explain = self.database.backend.explain_sql
        if explain is None:
            raise BackendError(
                f"{self.database} tells no plan: this kind of database has no such statement. "
                "sql() shows the statement; a clone in SQLite or PostgreSQL can explain it."
            )
        prepared = self.database.compiled(statement)
        prepared.sql = f"{explain} {prepared.sql}"
        with (
            self._translating,
            contextlib.closing(self._run(prepared, prepared.parameters({}))) as cursor,
        ):
            return [str(row[-1]) for row in cursor.fetchall()]

    def change(self, prepared: Prepared, /, **values: Any) -> int:
        """Run a prepared INSERT, UPDATE or DELETE and return the number of rows it touched."""
        self._count(1)
        with self._translating:
            cursor = self._run(prepared, prepared.parameters(values))
            try:
                return int(cursor.rowcount)
            finally:
                cursor.close()

    def parts(self, values: Sequence[Any]) -> list[list[Any]]:
        """Return values in parts that an IN list may hold."""
        size = self.database.backend.max_in_list
        return [list(values[start : start + size]) for start in range(0, len(values), size)]

    def inserting(self, table: Table, names: Iterable[str]) -> Prepared:
        """Return the INSERT of these columns."""
        names = tuple(names)
        return self.database.prepare(
            ("insert", table.name, names),
            lambda: insert(table).values({name: bindparam(name) for name in names}),
        )

    def insert(self, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows that have the columns of the first one; one statement."""
        if rows:
            self.change_many(self.inserting(table, rows[0]), rows)

    def change_many(self, prepared: Prepared, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run a prepared statement once for each row of values."""
        self._count(len(rows))
        # Drivers take a detour for many runs that is not worth it for one.
        many = len(rows) != 1
        of_each = prepared.parameters
        parameters = [of_each(row) for row in rows] if many else of_each(rows[0])
        with self._translating:
            self._run(prepared, parameters, many=many).close()

    def change_columns(
        self,
        prepared: Prepared,
        columns: Mapping[str, Iterable[Any]],
        shared: Mapping[str, Any] = _NONE,
    ) -> None:
        """Run a prepared statement once for each row of columns of values.

        `shared`: values that are the same in all rows.
        """
        rows = prepared.parameter_rows(columns, shared)
        if self._most_rows is not None:
            rows = iter(known := list(rows))
            self._count(len(known))
        with self._translating:
            self._run(prepared, rows, many=True).close()

    def _count(self, rows: int) -> None:
        """Refuse what the database could not undo as a whole."""
        self._rows_changed += rows
        if self._most_rows is not None and self._rows_changed > self._most_rows:
            raise BackendError(
                f"{self.database} can undo at most {self._most_rows} changed rows at once, and "
                "this changes more (each change has an event of its own). Nothing was written; "
                "do it in smaller parts."
            )

    def _run(self, prepared: Prepared, parameters: Any, *, many: bool = False) -> Any:
        connection = self.connection
        engine, held = connection.engine, connection.connection
        cursor = held.cursor()
        try:
            run(engine, cursor, prepared.sql, parameters, connection=connection, many=many)
        except Exception as error:
            self.database.drop_if_lost(error, engine, connection, held.driver_connection)
            raise
        return cursor
