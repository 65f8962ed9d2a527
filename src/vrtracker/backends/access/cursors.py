"""Cursors by PEP 249 on a UCanAccess connection, and the statements that they share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from vrtracker.backends.access import java_types
from vrtracker.backends.access.java_errors import (
    InterfaceError,
    ProgrammingError,
    ReadOnlyConnectionError,
    translated,
)
from vrtracker.backends.access.statements import first_word, is_pure_select

_SCHEMA_WORDS = frozenset({"CREATE", "ALTER", "DROP", "ENABLE", "DISABLE"})


@dataclass
class Prepared:
    """A prepared statement: of which version of the mirror, and what a SELECT returns."""

    operation: str
    statement: Any
    version: int
    columns: tuple[tuple[java_types.Description, ...], tuple[java_types.Reader, ...]] | None = None


class CursorConnection(Protocol):
    """What a cursor asks of its connection; see `vrtracker.backends.access.ucanaccess`."""

    java: Any
    readonly: bool

    def cursor(self) -> Cursor:
        """Return another cursor."""

    def check_open(self) -> None:
        """Refuse use after closing."""

    def begin(self, *, write: bool) -> None:
        """Enter a transaction."""

    def commit(self) -> None:
        """End it with its changes."""

    def rollback(self) -> None:
        """End it without them."""

    def take(self, operation: str) -> Prepared:
        """Return a prepared statement."""

    def give_back(self, prepared: Prepared) -> None:
        """Take it back."""

    def forget_prepared(self) -> None:
        """Prepare every statement anew."""

    def column_names(self, table: str) -> Mapping[str, str]:
        """Return the names of a table's columns, by those in the mirror."""


class Cursor:
    """Runs statements and reads their results."""

    def __init__(self, connection: CursorConnection, set_value: java_types.Setter) -> None:
        self.connection = connection
        self.arraysize = 1
        self.rowcount = -1
        self.description: tuple[java_types.Description, ...] | None = None
        self._set_value = set_value
        self._statement: Any = None
        # The java.sql.ResultSet of the last SELECT.
        self.rows: Any = None
        self._readers: tuple[java_types.Reader, ...] = ()
        self._prepared: Prepared | None = None
        # A statement that was refused is not used again.
        self._has_run = False
        self._closed = False

    @property
    def lastrowid(self) -> int | None:
        """The autonumber that the last INSERT of this cursor received, if it received one."""
        if self._statement is None or self.rows is not None:
            return None
        with translated():
            keys = self._statement.getGeneratedKeys()
            if keys is None or not keys.next():
                return None
            value = keys.getObject(1)
        return None if value is None else int(str(value))

    def execute(self, operation: str, parameters: Sequence[Any] = ()) -> Cursor:
        """Run one statement."""
        word = self._begin(operation)
        with translated():
            if word in _SCHEMA_WORDS:
                self._run_schema(operation)
            elif word == "SELECT":
                self._run_query(operation, parameters)
            else:
                self._prepare(operation)
                self._bind(self._statement, parameters)
                self.rowcount = int(self._statement.executeUpdate())
            self._has_run = True
        return self

    def executemany(self, operation: str, seq_of_parameters: Sequence[Sequence[Any]]) -> Cursor:
        """Run one statement for each set of parameters, as one batch."""
        word = self._begin(operation)
        if word in _SCHEMA_WORDS or word == "SELECT":
            raise ProgrammingError("executemany takes INSERT, UPDATE or DELETE.")
        with translated():
            self._prepare(operation)
            total = 0
            for parameters in seq_of_parameters:
                self._bind(self._statement, parameters)
                total += int(self._statement.executeUpdate())
            self.rowcount = total
            self._has_run = True
        return self

    def _begin(self, operation: str) -> str:
        if self._closed:
            raise InterfaceError("The cursor is closed; open another one.")
        self.connection.check_open()
        self._release()
        self.rowcount = -1
        word = first_word(operation)
        if self.connection.readonly and not is_pure_select(operation):
            raise ReadOnlyConnectionError(
                f"The database was opened read-only; refused: {word or operation!r}."
            )
        self.connection.begin(write=word != "SELECT")
        return word

    def _run_schema(self, operation: str) -> None:
        # The driver commits before and half-way after; doing it here makes it whole.
        connection = self.connection
        connection.commit()
        connection.begin(write=True)
        statement = connection.java.createStatement()
        try:
            statement.execute(operation)
        except BaseException:
            connection.rollback()
            raise
        else:
            connection.commit()
            self.connection.forget_prepared()
        finally:
            statement.close()

    def _run_query(self, operation: str, parameters: Sequence[Any]) -> None:
        prepared = self._prepare(operation)
        self._bind(self._statement, parameters)
        self.rows = self._statement.executeQuery()
        if prepared.columns is None:
            names_of = self.connection.column_names
            prepared.columns = java_types.described(self.rows.getMetaData(), names_of)
        self.description, self._readers = prepared.columns

    def _prepare(self, operation: str) -> Prepared:
        self._prepared = self.connection.take(operation)
        self._statement = self._prepared.statement
        return self._prepared

    def _bind(self, statement: Any, parameters: Sequence[Any]) -> None:
        for position, value in enumerate(parameters, start=1):
            self._set_value(statement, position, value)

    def fetchone(self) -> tuple[Any, ...] | None:
        """Return the next row, or None after the last."""
        rows = self._result()
        with translated():
            if not rows.next():
                return None
            return tuple([read(rows, at) for at, read in enumerate(self._readers, start=1)])

    def fetchmany(self, size: int | None = None) -> list[tuple[Any, ...]]:
        """Return up to `size` further rows (default: `arraysize`)."""
        wanted = self.arraysize if size is None else size
        found: list[tuple[Any, ...]] = []
        while len(found) < wanted and (row := self.fetchone()) is not None:
            found.append(row)
        return found

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Return all further rows."""
        rows, found = self._result(), []
        readers = tuple(enumerate(self._readers, start=1))
        with translated():
            while rows.next():
                found.append(tuple([read(rows, at) for at, read in readers]))
        return found

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        while (row := self.fetchone()) is not None:
            yield row

    def _result(self) -> Any:
        if self._closed or self.rows is None:
            raise InterfaceError("There is no result to read; run a SELECT first.")
        self.connection.check_open()
        return self.rows

    def _release(self) -> None:
        prepared, self._prepared = self._prepared, None
        rows, self.rows = self.rows, None
        has_run, self._has_run = self._has_run, False
        self._statement = self.description = None
        with translated():
            if rows is not None:
                rows.close()
            if prepared is not None and has_run:
                self.connection.give_back(prepared)
            elif prepared is not None:
                prepared.statement.close()

    def close(self) -> None:
        """Free the result and the statement."""
        if not self._closed:
            self._release()
            self._closed = True

    def setinputsizes(self, *_: Any) -> None:
        """Do nothing; PEP 249 asks for the method."""

    setoutputsize = setinputsizes
