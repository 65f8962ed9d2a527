"""A driver for Access files by PEP 249, on UCanAccess in the Java machine of this process.

UCanAccess mirrors the file in memory, answers from there, and writes changes back when they
are committed. Schema statements cannot be prepared and end the transaction that is open.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from vrtracker.backends.access import java_types, jvm, mirror, undo
from vrtracker.backends.access.jackcess_ops import raise_last_autonumber
from vrtracker.backends.access.java_errors import (
    DatabaseError,
    DataError,
    Error,
    IntegrityError,
    InterfaceError,
    InternalError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    ReadOnlyConnectionError,
    Warning,  # noqa: A004  # the name is prescribed by PEP 249
    from_java,
)
from vrtracker.backends.access.statements import first_word, is_pure_select

__all__ = [
    "Connection",
    "Cursor",
    "DataError",
    "DatabaseError",
    "Error",
    "IntegrityError",
    "InterfaceError",
    "InternalError",
    "NotSupportedError",
    "OperationalError",
    "ProgrammingError",
    "ReadOnlyConnectionError",
    "Warning",
    "apilevel",
    "connect",
    "paramstyle",
    "threadsafety",
]

apilevel = "2.0"
# Threads may share the module, not a connection.
threadsafety = 1
paramstyle = "qmark"

Date, Timestamp, Binary = dt.date, dt.datetime, bytes
STRING, BINARY, NUMBER, DATETIME, ROWID = "STRING", "BINARY", "NUMBER", "DATETIME", "ROWID"

_SCHEMA_WORDS = frozenset({"CREATE", "ALTER", "DROP", "ENABLE", "DISABLE"})
_GENERATED_KEYS = 1
_MOST_DESCRIPTIONS = 500


@contextmanager
def _translated() -> Iterator[None]:
    """Raise what Java raises as an exception of PEP 249."""
    try:
        yield
    except Error:
        raise
    except Exception as error:
        if not hasattr(error, "getMessage"):
            raise
        raise from_java(error) from error


def connect(
    path: str | Path,
    *,
    readonly: bool = False,
    create: bool = False,
    timeout_s: float = mirror.DEFAULT_TIMEOUT_S,
    **options: str,
) -> Connection:
    """Open an Access file, .accdb or .mdb.

    Parameters
    ----------
    readonly
        Refuse every statement but SELECT before it reaches the file.
    create
        Make a new file (Access 2010 format) when there is none.
    timeout_s
        How long a write waits for another transaction, here or in another process, in s.
    options
        Further connection properties of UCanAccess.

    Raises
    ------
    OperationalError
        The file is missing (and `create` is not set) or cannot be opened.
    """
    file = Path(path).expanduser().absolute()
    if not file.is_file() and (readonly or not create):
        raise OperationalError(f"There is no file {file}.", "08001")
    properties = jvm.java("java.util.Properties")()
    settings = {
        # Closing the last connection frees the file, so that it can be copied or replaced.
        "immediatelyReleaseResources": "true",
        # Text is compared and sorted by code point, as on the other backends.
        "ignoreCase": "false",
        **({} if file.is_file() else {"newDatabaseVersion": "V2010"}),
        **options,
    }
    for name, value in settings.items():
        properties.setProperty(name, value)
    if ";" in str(file):
        raise OperationalError(f"UCanAccess cannot open a path with ';': {file}. Rename it.")

    def connection() -> Connection:
        driver = jvm.java("net.ucanaccess.jdbc.UcanaccessDriver")()
        opened = driver.connect(f"jdbc:ucanaccess://{file.as_posix()};", properties)
        opened.setAutoCommit(False)
        return Connection(opened, file, readonly=readonly, timeout_s=timeout_s)

    with _translated():
        opened: Connection = mirror.mirror_of(file).open(connection, timeout_s=timeout_s)
    return opened


class Connection:
    """One connection; transactions begin by themselves, nothing is committed on closing."""

    def __init__(self, opened: Any, path: Path, *, readonly: bool, timeout_s: float) -> None:
        self.java = opened
        self.path = path
        self.readonly = readonly
        self.timeout_s = timeout_s
        self._mirror = mirror.mirror_of(path)
        self.descriptions = self._mirror.descriptions
        self._set_value = java_types.make_setter()
        self._closed = False
        # After a refused commit, by this connection or another of the file.
        self.is_broken = False
        # Tables that Java must not drop from its memory before the commit.
        self._held: list[Any] = []

    def cursor(self) -> Cursor:
        """Return a new cursor."""
        self.check_open()
        return Cursor(self, self._set_value)

    def check_open(self) -> None:
        """Refuse use after closing, and in a forked process."""
        if self._closed:
            raise InterfaceError("The connection is closed; open another one.")
        jvm.check_process()

    def commit(self) -> None:
        """Write the changes of this transaction to the file."""
        self.check_open()
        with _translated():
            self._mirror.commit(self)
        self._held.clear()

    def rollback(self) -> None:
        """Forget the changes of this transaction."""
        self.check_open()
        try:
            with _translated():
                self.java.rollback()
        finally:
            self._mirror.end(self)

    def begin(self, *, write: bool, file_alone: bool = False) -> None:
        """Enter a transaction, as the one writer of the file if `write`."""
        with _translated():
            if write:
                self._mirror.begin_write(self, timeout_s=self.timeout_s, file_alone=file_alone)
            else:
                self._mirror.begin_read(self)

    def alter(self, change: Callable[[Any], None]) -> None:
        """Let `change` work on the open Jackcess database; the next statement knows of it.

        What is uncommitted is committed first. `change` runs as the only writer.
        """
        self.commit()
        self.begin(write=True, file_alone=True)
        try:
            with _translated(), undo.guarded(self.path):
                file = self.java.getDbIO()
                change(file)
                file.flush()
            self._mirror.fall_behind()
        except BaseException:
            # The open file is not what stands on the disk again.
            with _translated():
                self._mirror.reload(self)
            raise
        finally:
            self.rollback()

    def number_rows(self, *, on: bool) -> None:
        """Let the file number new rows, or keep the numbers that they bring.

        It goes on after the highest number. It is no part of the transaction.
        """
        self.begin(write=True)
        with _translated():
            # Of the whole file: a table's own setting is gone when Java drops the table from
            # its memory, which it may do between any two statements.
            self.java.getDbIO().setAllowAutoNumberInsert(not on)

    def number_after(self, table: str, last: int) -> None:
        """Let the next new row get a number above `last`; a row that is committed saves it."""
        with _translated():
            self._held.append(raise_last_autonumber(self.java.getDbIO(), table, last))

    def close(self) -> None:
        """Close; the last connection to a file also frees the memory that mirrors it."""
        if self._closed:
            return
        jvm.check_process()
        self._closed = True
        with _translated():
            self._mirror.close(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is None:
            self.commit()
        self.close()


class Cursor:
    """Runs statements and reads their results."""

    def __init__(self, connection: Connection, set_value: java_types.Setter) -> None:
        self.connection = connection
        self.arraysize = 1
        self.rowcount = -1
        self.description: tuple[java_types.Description, ...] | None = None
        self._set_value = set_value
        self._statement: Any = None
        # The java.sql.ResultSet of the last SELECT.
        self.rows: Any = None
        self._readers: tuple[java_types.Reader, ...] = ()
        self._closed = False

    @property
    def lastrowid(self) -> int | None:
        """The autonumber that the last INSERT of this cursor received, if it received one."""
        if self._statement is None or self.rows is not None:
            return None
        with _translated():
            keys = self._statement.getGeneratedKeys()
            if keys is None or not keys.next():
                return None
            value = keys.getObject(1)
        return None if value is None else int(str(value))

    def execute(self, operation: str, parameters: Sequence[Any] = ()) -> Cursor:
        """Run one statement."""
        word = self._begin(operation)
        with _translated():
            if word in _SCHEMA_WORDS:
                self._run_schema(operation)
            elif word == "SELECT":
                self._run_query(operation, parameters)
            else:
                statement = self._prepare(operation)
                self._bind(statement, parameters)
                self.rowcount = int(statement.executeUpdate())
        return self

    def executemany(self, operation: str, seq_of_parameters: Sequence[Sequence[Any]]) -> Cursor:
        """Run one statement for each set of parameters, as one batch."""
        word = self._begin(operation)
        if word in _SCHEMA_WORDS or word == "SELECT":
            raise ProgrammingError("executemany takes INSERT, UPDATE or DELETE.")
        with _translated():
            statement = self._prepare(operation)
            total = 0
            for parameters in seq_of_parameters:
                self._bind(statement, parameters)
                total += int(statement.executeUpdate())
            self.rowcount = total
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
            connection.descriptions.clear()
        finally:
            statement.close()

    def _run_query(self, operation: str, parameters: Sequence[Any]) -> None:
        self._statement = self.connection.java.prepareStatement(operation)
        self._bind(self._statement, parameters)
        self.rows = self._statement.executeQuery()
        known = self.connection.descriptions
        if operation not in known:
            if len(known) >= _MOST_DESCRIPTIONS:
                known.clear()
            known[operation] = java_types.described(self.rows.getMetaData())
        self.description, self._readers = known[operation]

    def _prepare(self, operation: str) -> Any:
        self._statement = self.connection.java.prepareStatement(operation, _GENERATED_KEYS)
        return self._statement

    def _bind(self, statement: Any, parameters: Sequence[Any]) -> None:
        for position, value in enumerate(parameters, start=1):
            self._set_value(statement, position, value)

    def fetchone(self) -> tuple[Any, ...] | None:
        """Return the next row, or None after the last."""
        rows = self._result()
        with _translated():
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
        with _translated():
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
        statement, self._statement, self.rows = self._statement, None, None
        self.description = None
        if statement is not None:
            with _translated():
                statement.close()

    def close(self) -> None:
        """Free the result and the statement."""
        if not self._closed:
            self._release()
            self._closed = True

    def setinputsizes(self, *_: Any) -> None:
        """Do nothing; PEP 249 asks for the method."""

    setoutputsize = setinputsizes
