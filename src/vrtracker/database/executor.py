"""Run statements on one connection: composed ones through SQLAlchemy, fixed ones prepared.

A statement whose text never changes is compiled once for its dialect and then handed to the
driver as it is; that is what makes a look-up and a transition cost little more than the
driver's own time. Listeners of SQLAlchemy's ``before_cursor_execute`` see every statement,
however it is run.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import Boolean, Dialect, Select
from sqlalchemy.engine import CursorResult

from vrtracker.errors import BackendError

if TYPE_CHECKING:
    from sqlalchemy import Connection, Executable
    from sqlalchemy.sql.base import Executable as CompilableExecutable

    from vrtracker.database.engines import Database

__all__ = ["Executor", "Prepared"]


class Prepared:
    """A statement compiled once: its SQL, its parameters, how to read its rows."""

    def __init__(self, statement: CompilableExecutable, dialect: Dialect) -> None:
        compiled: Any = statement.compile(dialect=dialect)  # type: ignore[attr-defined]
        self.sql: str = compiled.string
        self._names: list[str] | None = compiled.positiontup
        self._escaped: Mapping[str, str] = compiled.escaped_bind_names or {}
        self._fixed = {name: value for name, value in compiled.params.items() if value is not None}
        self._to_driver = {
            name: processor
            for name, bind in compiled.binds.items()
            # A truth value is passed on as it is: every driver takes Python's own.
            if not isinstance(bind.type, Boolean)
            and (processor := bind.type.dialect_impl(dialect).bind_processor(dialect))
        }
        self._types = (
            [column.type.dialect_impl(dialect) for column in statement.selected_columns]
            if isinstance(statement, Select)
            else []
        )
        self._dialect = dialect
        self._from_driver: list[tuple[int, Any]] | None = None

    def parameters(self, values: Mapping[str, Any]) -> Any:
        """Return the parameters in the form that the driver takes."""
        merged = {**self._fixed, **values}
        for name, processor in self._to_driver.items():
            merged[name] = processor(merged[name])
        if self._names is not None:
            return [merged[name] for name in self._names]
        return {self._escaped.get(name, name): value for name, value in merged.items()}

    def parameter_rows(self, columns: Mapping[str, Iterable[Any]]) -> Iterator[Any]:
        """Yield the parameters of many runs from columns of values; a constant is repeated."""
        names = self._names or list(columns)
        converted = [
            map(self._to_driver[name], columns[name]) if name in self._to_driver else columns[name]
            for name in names
        ]
        rows = zip(*converted, strict=False)
        if self._names is not None:
            return rows
        spelled = [self._escaped.get(name, name) for name in names]
        return (dict(zip(spelled, row, strict=True)) for row in rows)

    def read(self, cursor: Any) -> list[list[Any]]:
        """Fetch all rows of a cursor that ran this statement, as Python values."""
        if self._from_driver is None:
            self._from_driver = self._processors(cursor.description)
        rows = [list(row) for row in cursor.fetchall()]
        for row in rows:
            for position, processor in self._from_driver:
                try:
                    row[position] = processor(row[position])
                except (TypeError, ValueError) as error:
                    name = cursor.description[position][0]
                    raise BackendError(
                        f"The column {name} holds {row[position]!r}, which does not fit it; "
                        "correct it in the database."
                    ) from error
        return rows

    def _processors(self, description: Any) -> list[tuple[int, Any]]:
        """Return what to do to which column, given the driver's types of the columns."""
        return [
            (position, processor)
            for position, (kind, column) in enumerate(zip(self._types, description, strict=True))
            if (processor := kind.result_processor(self._dialect, column[1]))
        ]


class Executor:
    """Runs statements inside one open connection; translates the driver's errors."""

    def __init__(self, database: Database, connection: Connection) -> None:
        self.database = database
        self.tables = database.tables
        self.connection = connection
        self._most_rows = database.backend.rows_in_transaction(database.url)
        self._rows_changed = 0

    def execute(self, statement: Executable, parameters: Any = None) -> CursorResult[Any]:
        """Run a statement that was composed for the occasion."""
        with self.database.translating():
            result = self.connection.execute(statement, parameters)
            if not result.returns_rows:
                self._count(result.rowcount)
            return result

    def rows(self, prepared: Prepared, /, **values: Any) -> list[list[Any]]:
        """Run a prepared SELECT and return its rows as Python values."""
        with self.database.translating():
            cursor = self._run(prepared, prepared.parameters(values))
            try:
                return prepared.read(cursor)
            finally:
                cursor.close()

    def change(self, prepared: Prepared, /, **values: Any) -> int:
        """Run a prepared INSERT, UPDATE or DELETE and return the number of rows it touched."""
        self._count(1)
        with self.database.translating():
            cursor = self._run(prepared, prepared.parameters(values))
            try:
                return int(cursor.rowcount)
            finally:
                cursor.close()

    def change_many(self, prepared: Prepared, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run a prepared statement once for each row of values."""
        self._count(len(rows))
        parameters = [prepared.parameters(row) for row in rows]
        with self.database.translating():
            # Drivers take a detour for many runs that is not worth it for one.
            many = len(rows) != 1
            self._run(prepared, parameters if many else parameters[0], many=many).close()

    def change_columns(self, prepared: Prepared, columns: Mapping[str, Iterable[Any]]) -> None:
        """Run a prepared statement once for each row of columns of values."""
        rows = prepared.parameter_rows(columns)
        if self._most_rows is not None:
            rows = iter(known := list(rows))
            self._count(len(known))
        with self.database.translating():
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
        cursor = self.connection.connection.cursor()
        announce(
            self.connection.engine,
            prepared.sql,
            parameters,
            connection=self.connection,
            cursor=cursor,
            many=many,
        )
        try:
            with closed_on_error(cursor):
                if many:
                    cursor.executemany(prepared.sql, parameters)
                else:
                    cursor.execute(prepared.sql, parameters)
        except Exception as error:
            driver_connection = self.connection.connection.driver_connection
            self.database.drop_if_lost(
                error, self.connection.engine, self.connection, driver_connection
            )
            raise
        return cursor


@contextlib.contextmanager
def closed_on_error(cursor: Any) -> Iterator[None]:
    """Close a cursor where its statement fails.

    The error's traceback holds it otherwise, and whichever thread drops that last has to wait for
    the connection: in SQLite as long as another thread waits there for a lock on the database.
    """
    try:
        yield
    except BaseException:
        # The connection may be lost, and the error says so.
        with contextlib.suppress(Exception):
            cursor.close()
        raise


def announce(
    engine: Any,
    sql: str,
    parameters: Any,
    *,
    connection: Any = None,
    cursor: Any = None,
    many: bool = False,
) -> None:
    """Tell SQLAlchemy's listeners of a statement that did not go through SQLAlchemy."""
    for listener in engine.dispatch.before_cursor_execute:
        listener(connection, cursor, sql, parameters, None, many)
