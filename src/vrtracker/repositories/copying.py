"""Read and write whole tables, whatever is in them."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    Boolean,
    Connection,
    PrimaryKeyConstraint,
    Row,
    Select,
    String,
    Table,
    UniqueConstraint,
    func,
    insert,
    select,
)
from sqlalchemy.exc import DBAPIError, StatementError

from vrtracker.database import Database, Executor
from vrtracker.errors import BackendError

__all__ = ["TableRepository"]

_CHUNK = 1000


class TableRepository:
    """One table, on one open connection.

    Parameters
    ----------
    table
        The table in portable types, which may be those of another database.
    """

    def __init__(self, database: Database, connection: Connection, table: Table) -> None:
        self._database = database
        self._connection = connection
        self.table = table
        self.name: str = table.name

    def count(self) -> int:
        """Return the number of rows."""
        with self._database.translating():
            statement = select(func.count()).select_from(self.table)
            return int(self._connection.scalar(statement) or 0)

    def chunks(self) -> Generator[Sequence[Sequence[Any]]]:
        """Yield all rows, some at a time, in the order of the primary key where there is one."""
        statement = select(self.table).order_by(*self.table.primary_key.columns)
        with self._reading(statement):
            options = {"yield_per": _CHUNK}
            with self._connection.execute(statement, execution_options=options) as result:
                yield from result.partitions()

    @contextlib.contextmanager
    def keeping_ids(self, *, after: int) -> Iterator[None]:
        """Let inserted rows keep their autonumbers; the next one is also higher than `after`."""
        if self.table.autoincrement_column is None:
            yield
            return
        backend = self._database.backend
        with (
            self._database.translating(),
            backend.keeping_ids(self._connection, self.table, after=after),
        ):
            yield

    def insert(self, rows: Sequence[Sequence[Any]]) -> None:
        """Insert rows as they are, autonumbers too within `keeping_ids`."""
        names = self.table.c.keys()
        values = [dict(zip(names, row, strict=True)) for row in rows]
        try:
            with self._database.translating():
                self._connection.execute(insert(self.table).inline(), values)
        except DBAPIError:
            raise
        except StatementError as error:
            raise self._misfit(values, error) from error

    def _misfit(self, rows: Sequence[Mapping[str, Any]], error: StatementError) -> BackendError:
        """Return the error that names the first value that its column does not take."""
        dialect = self._connection.dialect
        key = next(iter(self.table.primary_key.columns.keys()), self.table.c.keys()[0])
        for column in self.table.c:
            process = column.type.dialect_impl(dialect).bind_processor(dialect)
            if process is None:
                continue
            for row in rows:
                try:
                    process(row[column.name])
                except (TypeError, ValueError):
                    return BackendError(
                        f"{self.name}: The column {column.name} holds {row[column.name]!r} "
                        f"where {key} is {row[key]!r}, which does not fit it; correct it in the "
                        "database."
                    )
        return BackendError(f"{self.name}: A value does not fit its column ({error.orig}).")

    def empty_flags(self) -> list[str]:
        """Return the columns of tick boxes that are neither true nor false in some row."""
        columns = [
            column
            for column in self.table.c
            if isinstance(column.type, Boolean) and column.nullable
        ]
        with self._database.translating():
            return [
                column.name
                for column in columns
                if self._connection.scalar(
                    select(func.count()).select_from(self.table).where(column.is_(None))
                )
            ]

    def keys_that_differ_by_case(self) -> list[str]:
        """Return the values of keys that would be taken for others, in words."""
        found = []
        for key in self.table.constraints:
            if not isinstance(key, PrimaryKeyConstraint | UniqueConstraint):
                continue
            columns = list(key.columns)
            if any(isinstance(column.type, String) for column in columns):
                seen = set()
                # A key that is not whole is unlike every other one.
                for row in self._rows(select(*columns).where(*(c.is_not(None) for c in columns))):
                    folded = tuple(str(value).casefold() for value in row)
                    if folded in seen:
                        found.append(" ".join(map(str, row)))
                    seen.add(folded)
        return found

    def _rows(self, statement: Select[Any]) -> Iterator[Row[Any]]:
        with self._reading(statement):
            yield from self._connection.execute(statement)

    @contextlib.contextmanager
    def _reading(self, statement: Select[Any]) -> Iterator[None]:
        """Turn errors of reading into ours, also those of a value that does not fit its column."""
        try:
            with self._database.translating():
                yield
        except (TypeError, ValueError):
            # What was read by itself tells which value it is.
            x = Executor(self._database, self._connection)
            try:
                x.rows(self._database.compiled(statement))
            except BackendError as error:
                raise BackendError(f"{self.name}: {error}") from error
            raise

    def last_number(self) -> int:
        """Return the highest autonumber that was ever given, 0 where nobody knows."""
        if self.table.autoincrement_column is None:
            return 0
        with self._database.translating():
            return self._database.backend.last_number(self._connection, self.table)
