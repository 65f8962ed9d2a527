"""Who may read, write and reload the in-memory mirror of one Access file.

UCanAccess mirrors a file once per process. Three of its traits make a guard necessary:

- It looks for changes by other processes with a tolerance of two seconds, so that a change
  made soon after its own last look is never seen, and would be overwritten.
- It reloads by closing the mirror under every other connection of the process.
- At commit the file generates autonumbers anew. After a refused or rolled-back INSERT they
  differ from those that the session was given. The file keeps the session's numbers while
  explicit ones are allowed, which at any other time would stop their generation.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

from vrtracker.backends.access import jvm, undo
from vrtracker.backends.access.file_lock import FileLock, lock_of
from vrtracker.backends.access.java_errors import OperationalError
from vrtracker.backends.access.jvm import private_field
from vrtracker.backends.access.table_objects import hold_tables, release_tables

DEFAULT_TIMEOUT_S = 30.0
_MOST_NAMED = 500

Signature = tuple[int, int, int]


class Mirror:
    """The state that the connections of this process to one file share."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._changed = threading.Condition()
        self._connections: set[Any] = set()
        self._active: set[Any] = set()
        self._writer: Any = None
        self._signature: Signature | None = None
        # Goes up whenever the tables may have become others.
        self.version = 0
        self._names: dict[tuple[str, int], dict[str, str]] = {}
        # Whether this process changed tables of the file that the mirror does not know yet.
        self._is_behind = False
        # The open file behind the mirror, whose tables are held.
        self._file: Any = None
        self._lock = FileLock(lock_of(path))

    def open(self, connect: Callable[[], Any], *, timeout_s: float) -> Any:
        """Open a connection by `connect`; the first one reads the whole file."""
        with self._changed:
            if self._connections:
                connection = connect()
            else:
                connection = self._read_whole(connect, timeout_s=timeout_s)
                self._hold(connection)
                _let_readers_pass(connection)
            self._connections.add(connection)
            return connection

    def close(self, connection: Any) -> None:
        """Close a connection; after the last one the driver forgets the file."""
        try:
            with self._changed:
                self._connections.discard(connection)
                if not connection.is_broken:
                    connection.java.rollback()
                connection.java.close()
                if not self._connections:
                    release_tables(self._file)
                    self._file = None
        finally:
            self.end(connection)

    def tables_changed(self, connection: Any) -> None:
        """Take note that a statement has made, changed or dropped a table."""
        self.version += 1
        self._hold(connection)

    def column_names(self, connection: Any, table: str) -> dict[str, str]:
        """Return the names of a table's columns in the file, by those in the mirror."""
        key = table, self.version
        names = self._names.get(key)
        if names is None:
            if len(self._names) >= _MOST_NAMED:
                self._names.clear()
            names = self._names[key] = _read_names(connection, table)
        return names

    def _hold(self, connection: Any) -> None:
        release_tables(self._file)
        self._file = connection.java.getDbIO()
        hold_tables(self._file)

    def _read_whole(self, read: Callable[[], Any], *, timeout_s: float) -> Any:
        """Let `read` load the file, again if it was written to meanwhile.

        Other processes write in place: what was read half before and half after is thrown away.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            self._recover(timeout_s=max(0.0, deadline - time.monotonic()))
            before = self._on_disk()
            try:
                opened = read()
            except Exception:
                if self._is_still(before) or time.monotonic() > deadline:
                    raise
                continue
            if before is None or self._is_still(before):
                self._signature = self._on_disk()
                self._is_behind = False
                self.version += 1
                return opened
            if opened is not None:
                opened.java.close()

    def _is_still(self, signature: Signature | None) -> bool:
        return signature == self._on_disk() and not self._is_being_written()

    def _is_being_written(self) -> bool:
        return self._writer is None and undo.is_pending(self.path)

    def _recover(self, *, timeout_s: float) -> None:
        """Undo a commit that a process did not survive; wait for one that is under way."""
        # A commit that has ended well meanwhile needs nothing, whoever writes next.
        if self._is_being_written() and self._lock.acquire(
            timeout_s=timeout_s, wanted=self._is_being_written
        ):
            try:
                undo.restore(self.path)
            finally:
                self._lock.release()

    def begin_read(self, connection: Any) -> None:
        """Enter a transaction; reload first when the file has changed and nobody else reads."""
        with self._changed:
            if connection in self._active:
                return
            if not self._active and (self._is_behind or self._is_stale()):
                self.reload(connection)
            self._active.add(connection)

    @contextmanager
    def exclusive(self, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> Iterator[Callable[[], None]]:
        """Keep all transactions of this process, and all writers of others, off the file.

        The block may replace the file: whoever has it open reads it anew afterwards. Before that
        it calls what it is given, which raises OperationalError if the lock was deleted.

        Raises OperationalError if a transaction has been under way for `timeout_s`.
        """
        with self._changed:
            if not self._changed.wait_for(self._is_idle, timeout_s):
                raise OperationalError(
                    f"A transaction of this process has been using {self.path} for more than "
                    f"{timeout_s:g} s; end it first.",
                    "40001",
                )
            # Held until the end: whoever comes waits at the condition.
            self._lock.acquire(timeout_s=timeout_s)
            try:
                undo.restore(self.path)
                yield self._lock.check
            finally:
                self._lock.release()

    def _is_idle(self) -> bool:
        return self._writer is None and not self._active

    def begin_write(self, connection: Any, *, timeout_s: float, file_alone: bool = False) -> None:
        """Become the only writer of the file, in this process and among those with this guard.

        With `file_alone` the mirror may be behind what this process has changed.

        Raises OperationalError if another transaction kept writing, or reading while the file had
        changed, for `timeout_s`.
        """
        if self._writer is connection:
            return
        deadline = time.monotonic() + timeout_s
        with self._changed:
            free = self._changed.wait_for(lambda: self._writer is None, timeout_s)
            if not free:
                raise OperationalError(
                    f"Another transaction of this process has been writing to {self.path} for "
                    f"more than {timeout_s:g} s; commit or roll it back.",
                    "40001",
                )
            self._writer = connection
        try:
            self._lock.acquire(timeout_s=max(0.0, deadline - time.monotonic()))
            undo.restore(self.path)
            # The turn at the lock may have come after the deadline.
            self._freshen(connection, timeout_s, file_alone=file_alone)
        except BaseException:
            self._free_writer(connection)
            raise

    def _freshen(self, connection: Any, timeout_s: float, *, file_alone: bool) -> None:
        with self._changed:
            if self._is_stale() or (self._is_behind and not file_alone):
                alone = self._changed.wait_for(lambda: self._active <= {connection}, timeout_s)
                if not alone:
                    raise OperationalError(
                        f"Another process has changed {self.path} while a transaction of this "
                        f"one was reading it for more than {timeout_s:g} s; end that "
                        "transaction and try again.",
                        "40001",
                    )
                self.reload(connection)
            self._active.add(connection)

    def commit(self, connection: Any) -> None:
        """Write the transaction to the file, keeping the autonumbers that it was given."""
        if self._writer is not connection:
            connection.java.commit()
            self.end(connection)
            return
        share_passes(connection.java)
        file = connection.java.getDbIO()
        file.setAllowAutoNumberInsert(True)
        try:
            with self.guarded():
                connection.java.commit()
            connection.java.getDbIO().setAllowAutoNumberInsert(False)
            self._signature = self._on_disk()
            if connection.java.getDbIO() != self._file:
                # The driver opens the file anew when a row's number is taken.
                self._hold(connection)
        except BaseException:
            # The driver closes the file after an error; what it wrote has been taken back.
            self._signature = None
            for other in self._connections:
                other.is_broken = True
                # Only after the last one is closed does the driver read the file anew.
                with suppress(Exception):
                    other.java.close()
            raise
        finally:
            self.end(connection)

    def guarded(self) -> AbstractContextManager[None]:
        """Return a context in which the writer writes to the file; see `undo.guarded`.

        Raises OperationalError if its lock was deleted.
        """
        self._lock.check()
        return undo.guarded(self.path)

    def fall_behind(self) -> None:
        """Take note that the file's tables were changed; the next transaction reads it anew."""
        self._signature = self._on_disk()
        self._is_behind = True

    def end(self, connection: Any) -> None:
        """Leave the transaction."""
        with self._changed:
            self._active.discard(connection)
            self._changed.notify_all()
        self._free_writer(connection)

    def _free_writer(self, connection: Any) -> None:
        with self._changed:
            if self._writer is connection:
                self._lock.release()
                self._writer = None
            self._changed.notify_all()

    def _on_disk(self) -> Signature | None:
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _is_stale(self) -> bool:
        return self._on_disk() != self._signature

    def reload(self, connection: Any) -> None:
        """Read the file anew; no other connection may be in a transaction."""
        if not self.path.is_file():
            raise OperationalError(f"The file {self.path} is gone.", "08006")
        # A rollback makes each connection look for a new mirror before its next statement.
        for other in self._connections:
            if not other.is_broken:
                other.java.rollback()
        self._read_whole(lambda: _read_again(connection), timeout_s=connection.timeout_s)
        self._hold(connection)
        _let_readers_pass(connection)


def _read_again(connection: Any) -> None:
    reference = private_field(connection.java, "ref")
    last_seen = reference.getClass().getDeclaredField("lastModified")
    last_seen.setAccessible(True)  # a Java method
    last_seen.setLong(reference, 0)
    connection.java.createStatement().close()


def _read_names(connection: Any, table: str) -> dict[str, str]:
    statement = connection.java.getHSQLDBConnection().prepareStatement(
        "SELECT c.ESCAPED_COLUMN_NAME, c.COLUMN_NAME FROM UCA_METADATA.TABLES t INNER JOIN "
        "UCA_METADATA.COLUMNS c ON c.TABLE_ID = t.TABLE_ID WHERE t.ESCAPED_TABLE_NAME = ?"
    )
    statement.setString(1, table)
    rows, names = statement.executeQuery(), {}
    while rows.next():
        names[str(rows.getString(1))] = str(rows.getString(2))
    statement.close()
    return names


def _let_readers_pass(connection: Any) -> None:
    # By default a reader waits for a writer of its table, also for one of its own thread.
    statement = connection.java.getHSQLDBConnection().createStatement()
    statement.execute("SET DATABASE TRANSACTION CONTROL MVCC")
    statement.close()


_mirrors: dict[Path, Mirror] = {}
_mirrors_lock = threading.Lock()


def mirror_of(path: Path) -> Mirror:
    """Return the guard of a file, one per process."""
    resolved = path.resolve()
    with _mirrors_lock:
        return _mirrors.setdefault(resolved, Mirror(resolved))


def share_passes(connection: Any) -> None:
    """Let the uncommitted changes of a UCanAccess connection share passes over their tables.

    UCanAccess looks for the rows of each UPDATE and DELETE from the first row of the table on: a
    thousand statements on a thousand rows would read a million. Statements that follow each other,
    on rows in the order of the table's number, can share one pass, and nothing is written in
    another order than without it.
    """
    commands = jvm.private_field(connection, "commands")
    composite = jvm.java("net.ucanaccess.commands.CompositeCommand")
    if sum(isinstance(command, composite) for command in commands) < 2:  # noqa: PLR2004
        return
    keys = _Keys(connection.getDbIO())
    kept = jvm.java("java.util.ArrayList")()
    table, last = None, 0
    for command in commands:
        changes = command.getComposite() if isinstance(command, composite) else []
        name = str(command.getTableName()) if changes else None
        numbers = keys.numbers(name, changes) if name is not None else []
        if numbers and table == name and last < numbers[0]:
            kept.get(kept.size() - 1).getComposite().addAll(changes)
        else:
            kept.add(command)
        table, last = (name, numbers[-1]) if numbers else (None, 0)
    commands.clear()
    commands.addAll(kept)


class _Keys:
    """The column by whose numbers UCanAccess goes through each table."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._columns: dict[str, str | None] = {}

    def numbers(self, table: str, changes: Any) -> list[int]:
        """Return the number of each row that is changed, if they ascend; nothing otherwise."""
        if table not in self._columns:
            self._columns[table] = self._column(table)
        column = self._columns[table]
        if column is None:
            return []
        numbers = [int(change.getRowPattern().get(column)) for change in changes]
        ascend = all(one < other for one, other in itertools.pairwise(numbers))
        return numbers if ascend else []

    def _column(self, table: str) -> str | None:
        found = self._file.getTable(table)
        for index in [] if found is None else found.getIndexes():
            if index.isPrimaryKey():
                columns = [column.getColumn() for column in index.getColumns()]
                is_number = len(columns) == 1 and str(columns[0].getType().name()) == "LONG"
                return str(columns[0].getName()) if is_number else None
        return None
