"""Read and write whole tables, whatever is in them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator, Sequence
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
    bindparam,
    delete,
    func,
    select,
    update,
)
from sqlalchemy.exc import DBAPIError, StatementError

from vrtracker.database import Database, Executor
from vrtracker.errors import BackendError

_CHUNK = 1000


class TableRepository:
    """One table, on one open connection.

    `table`: the table in portable types, which may be those of another database.
    """

    def __init__(self, database: Database, connection: Connection, table: Table) -> None:
        self._database = database
        self._connection = connection
        self.table = table
        self.name: str = table.name
        names = table.c.keys()
        self._key_at = [names.index(column.name) for column in table.primary_key.columns]
        self._load: Callable[[Sequence[Sequence[Any]]], None]

    def count(self) -> int:
        """Return the number of rows."""
        with self._database.translating():
            statement = select(func.count()).select_from(self.table)
            return int(self._connection.scalar(statement) or 0)

    def go_on(self, connection: Connection) -> None:
        """Work on another connection from now on: a transaction after the last one."""
        self._connection = connection

    def key_of(self, row: Sequence[Any]) -> tuple[Any, ...]:
        """Return the primary key of a row."""
        return tuple(row[at] for at in self._key_at)

    def chunks(self) -> Generator[Sequence[Sequence[Any]]]:
        """Yield all rows, some at a time, in the order of the primary key where there is one."""
        statement = select(self.table).order_by(*self.table.primary_key.columns)
        with self._reading(statement):
            options = {"yield_per": _CHUNK}
            with self._connection.execute(statement, execution_options=options) as result:
                yield from result.partitions()

    @contextlib.contextmanager
    def filling(self, *, after: int, many: bool = False) -> Iterator[None]:
        """Let rows be inserted in the block, `many` of them into an empty table.

        They keep their autonumbers, and the next one is also higher than `after`.
        """
        backend = self._database.backend
        keeping = backend.keeping_ids(self._connection, self.table, after=after)
        is_numbered = self.table.autoincrement_column is not None
        with (
            self._database.translating(),
            keeping if is_numbered else contextlib.nullcontext(),
            backend.loading(self._connection, self.table, many=many) as self._load,
        ):
            yield

    def insert(self, rows: Sequence[Sequence[Any]]) -> None:
        """Insert rows as they are, in a block of `filling`."""
        try:
            with self._database.translating():
                self._load(rows)
        except DBAPIError:
            raise
        except StatementError as error:
            raise self._misfit(rows, error) from error

    def between(self, column: str, low: int | None, high: int | None) -> Sequence[Row[Any]]:
        """Return the rows whose number is above `low` and at most `high`, where those are given."""
        number = self.table.c[column]
        within = [number > low] if low is not None else []
        within += [number <= high] if high is not None else []
        return list(self._rows(select(self.table).where(*within)))

    def update(self, rows: Sequence[Sequence[Any]]) -> None:
        """Write rows over those of the same primary key."""
        values: dict[str, Any] = {
            each.name: bindparam(f"new_{each.name}")
            for each in self.table.c
            if not each.primary_key
        }
        self._run(update(self.table).where(*self._is_key()).values(values), rows)

    def delete(self, rows: Sequence[Sequence[Any]] | None = None) -> None:
        """Delete the rows of the same primary key as these; all if not given."""
        if rows is None:
            with self._database.translating():
                self._connection.execute(delete(self.table))
            return
        self._run(delete(self.table).where(*self._is_key()), rows)

    def _is_key(self) -> list[Any]:
        return [column == bindparam(f"new_{column.name}") for column in self.table.primary_key]

    def _run(self, statement: Any, rows: Sequence[Sequence[Any]]) -> None:
        names = [f"new_{column.name}" for column in self.table.c]
        for start in range(0, len(rows), _CHUNK):
            some = rows[start : start + _CHUNK]
            with self._database.translating():
                self._connection.execute(statement, [dict(zip(names, row)) for row in some])  # noqa: B905

    def _misfit(self, rows: Sequence[Sequence[Any]], error: StatementError) -> BackendError:
        """Return the error that names the first value that its column does not take."""
        dialect = self._connection.dialect
        names = self.table.c.keys()
        key = next(iter(self.table.primary_key.columns.keys()), names[0])
        for column in self.table.c:
            process = column.type.dialect_impl(dialect).bind_processor(dialect)
            if process is None:
                continue
            for row in (dict(zip(names, each, strict=True)) for each in rows):
                try:
                    process(row[column.name])
                except (TypeError, ValueError):
                    return BackendError(
                        f"{self.name}: The column {column.name} holds {row[column.name]!r} "
                        f"where {key} is {row[key]!r}, which does not fit it; correct it in the "
                        "database (vrtracker doctor tells how)."
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
