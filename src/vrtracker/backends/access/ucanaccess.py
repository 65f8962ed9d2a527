"""A driver for Access files by PEP 249, on UCanAccess in the Java machine of this process.

UCanAccess mirrors the file in memory, answers from there, and writes changes back when they
are committed. Schema statements cannot be prepared and end the transaction that is open.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Self

from vrtracker.backends.access import java_types, jvm, mirror
from vrtracker.backends.access.cursors import Cursor, Prepared
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
    translated,
)
from vrtracker.backends.access.statements import first_word

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

_GENERATED_KEYS = 1
_MOST_IDLE = 100


def connect(
    path: str | Path,
    *,
    readonly: bool = False,
    create: bool = False,
    timeout_s: float = mirror.DEFAULT_TIMEOUT_S,
    **options: str,
) -> Connection:
    """Open an Access file, .accdb or .mdb.

    `readonly`: refuse every statement but SELECT before it reaches the file. `create`: make a new
    file (Access 2010 format) when there is none. `timeout_s`: how long a write waits for another
    transaction, here or in another process, in s. `options`: further connection properties of
    UCanAccess. Raises OperationalError if the file is missing (and `create` is not set) or cannot
    be opened.
    """
    # The driver keeps one mirror for each spelling of a path.
    file = Path(path).expanduser().resolve()
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

    with translated():
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
        self._set_value = java_types.make_setter()
        # Preparing a statement takes the driver longer than running it.
        self._idle: dict[str, Prepared] = {}
        self._closed = False
        # After a refused commit, by this connection or another of the file.
        self.is_broken = False

    def cursor(self) -> Cursor:
        """Return a new cursor."""
        self.check_open()
        return Cursor(self, self._set_value)

    def check_open(self) -> None:
        """Refuse use after closing, and in a forked process."""
        if self._closed:
            raise InterfaceError("The connection is closed; open another one.")
        jvm.check_process()

    def take(self, operation: str) -> Prepared:
        """Return a prepared statement that is the caller's until it is given back."""
        prepared = self._idle.pop(operation, None)
        if prepared is None or prepared.version != self._mirror.version:
            asked = () if first_word(operation) == "SELECT" else (_GENERATED_KEYS,)
            statement = prepare(self.java, operation, *asked)
            prepared = Prepared(operation, statement, self._mirror.version)
        return prepared

    def give_back(self, prepared: Prepared) -> None:
        """Keep a prepared statement for the next time, or close it."""
        # The driver puts the value in its place when it prepares the statement.
        asks_for_identity = "@@" in prepared.operation
        if len(self._idle) >= _MOST_IDLE:
            self._idle.pop(next(iter(self._idle))).statement.close()
        if prepared.operation in self._idle or asks_for_identity:
            prepared.statement.close()
        else:
            self._idle[prepared.operation] = prepared

    def forget_prepared(self) -> None:
        """Prepare every statement anew, on all connections: the tables have changed."""
        with translated():
            self._mirror.tables_changed(self)

    def column_names(self, table: str) -> Mapping[str, str]:
        """Return the names of a table's columns, by those in the mirror."""
        return self._mirror.column_names(self, table)

    def commit(self) -> None:
        """Write the changes of this transaction to the file."""
        self.check_open()
        with translated():
            self._mirror.commit(self)

    def rollback(self) -> None:
        """Forget the changes of this transaction."""
        self.check_open()
        try:
            # A refused commit has closed the connection; the refusal itself is the news.
            if not self.is_broken:
                with translated():
                    self.java.rollback()
        finally:
            self._mirror.end(self)

    def begin(self, *, write: bool, file_alone: bool = False) -> None:
        """Enter a transaction, as the one writer of the file if `write`."""
        with translated():
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
            with translated(), self._mirror.guarded():
                file = self.java.getDbIO()
                change(file)
                file.flush()
            self._mirror.fall_behind()
        except BaseException:
            # The open file is not what stands on the disk again.
            with translated():
                self._mirror.reload(self)
            raise
        finally:
            self.rollback()

    def number_rows(self, *, on: bool) -> None:
        """Let the file number new rows, or keep the numbers that they bring.

        It goes on after the highest number. It is no part of the transaction.
        """
        self.begin(write=True)
        with translated():
            # Of the whole file: a table's own setting is gone when Java drops the table from
            # its memory, which it may do between any two statements.
            self.java.getDbIO().setAllowAutoNumberInsert(not on)

    def number_after(self, table: str, last: int) -> None:
        """Let the next new row get a number above `last`; a row that is committed saves it."""
        with translated():
            raise_last_autonumber(self.java.getDbIO(), table, last)

    def close(self) -> None:
        """Close; the last connection to a file also frees the memory that mirrors it."""
        if self._closed:
            return
        jvm.check_process()
        self._closed = True
        with translated():
            self._mirror.close(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is None:
            self.commit()
        self.close()


_MOST_KEPT = 1000

_kept: dict[tuple[str, int], Any] = {}


def prepare(connection: Any, operation: str, *options: int) -> Any:
    """Return what ``prepareStatement`` of a UCanAccess connection returns.

    `operation`: anything but a schema statement. UCanAccess turns the SQL of Access into that of
    HSQLDB by some dozens of regular expressions over the whole text: some ten times what HSQLDB
    takes to prepare the result, for each statement of each connection; here it does so once a
    process.
    """
    if "@@" in operation:
        # The driver puts the value in its place when it prepares the statement.
        return connection.prepareStatement(operation, *options)
    # As preparing does: after a transaction the driver looks whether its mirror is another one.
    connection.createStatement().close()
    converted = _converted(connection, operation)
    hidden = connection.getHSQLDBConnection().prepareStatement(converted.getSql(), *options)
    return jvm.java("net.ucanaccess.jdbc.UcanaccessPreparedStatement")(
        converted, hidden, connection
    )


def _converted(connection: Any, operation: str) -> Any:
    # The names of tables that hold blanks are quoted, as far as the driver has met them.
    key = operation, int(_names_with_blanks().size())
    if key not in _kept:
        if len(_kept) >= _MOST_KEPT:
            _kept.pop(next(iter(_kept)))
        converter = jvm.java("net.ucanaccess.converters.SQLConverter")
        _kept[key] = converter.convertSQL(operation, connection)
    return _kept[key]


@cache
def _names_with_blanks() -> Any:
    converter = jvm.java("net.ucanaccess.converters.SQLConverter")
    return jvm.private_static(converter, "WHITE_SPACED_TABLE_NAMES")
