"""SQLite: one file, the default."""

from __future__ import annotations

import contextlib
import glob
import secrets
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from sqlalchemy import (
    JSON,
    URL,
    Boolean,
    ColumnElement,
    Connection,
    Engine,
    Table,
    bindparam,
    create_engine,
    event,
    func,
    text,
)
from sqlalchemy.pool import NullPool

from vrtracker.backends import forks
from vrtracker.backends.base import ArrowReader, Backend, Violation
from vrtracker.backends.disk import (
    copy_whole,
    file_identity,
    flush_folder,
    is_file_there,
    may_write,
    which_file,
)
from vrtracker.backends.sqlite_care import SQLiteCare, remove
from vrtracker.backends.sqlite_errors import BUSY_SECONDS, explained, not_a_database
from vrtracker.backends.sqlite_health import SQLiteHealth, StrictBoolean, is_written_to
from vrtracker.errors import BackendError, DatabaseUnavailableError, VrtrackerError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from vrtracker.backends.table_conversion import TableConversion

_BUSY_PAUSE, _TURN_PAUSE = 0.02, 0.002
_FILE = "the file that was opened"
_HASTY = "commits without waiting for the disk"
_VIOLATIONS = {
    sqlite3.SQLITE_CONSTRAINT_UNIQUE: Violation.UNIQUE,
    sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY: Violation.UNIQUE,
    sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY: Violation.FOREIGN_KEY,
    sqlite3.SQLITE_CONSTRAINT_NOTNULL: Violation.NOT_NULL,
}
_WORK = ".vrtracker-new-"
_NEW_COUNTER = """
INSERT INTO sqlite_sequence SELECT name, :after FROM sqlite_master
WHERE type = 'table' AND name = :name AND sql LIKE '%AUTOINCREMENT%'
"""
_UNIQUE_KEYS = """
SELECT keys.name, columns.name
FROM pragma_index_list(:table) AS keys, pragma_index_info(keys.name) AS columns
WHERE keys.origin = 'u' ORDER BY keys.seq, columns.seqno
"""
# Of a page, and so of a database; SQLite takes a shorter file for an empty one.
_SMALLEST_BYTES = 512


class SQLiteBackend(Backend):
    """SQLite through Python's own driver; many rows through ADBC in a process of its own."""

    name = "sqlite"
    supports_savepoints = True
    finds_and_reads_at_once = True
    explain_sql = "EXPLAIN QUERY PLAN"
    health = SQLiteHealth()
    care = SQLiteCare()

    def check_target(self, url: URL, *, create: bool = False) -> None:
        """Look at the file without opening it as a database."""
        path = _path(url)
        if not is_file_there(path, create=create):
            return
        # It is not read here: closing a file gives up all locks that this process has on it,
        # those of SQLite's open connections too.
        if 0 < path.stat().st_size < _SMALLEST_BYTES:
            raise not_a_database(path)

    def create_engine(self, url: URL, *, readonly: bool, create: bool = False) -> Engine:
        """Open the file with foreign keys, WAL and a busy timeout; never create it unasked."""
        path = _path(url)

        def connect() -> sqlite3.Connection:
            self.check_target(url, create=create)
            return _connected(path, readonly=readonly, create=create)

        engine = create_engine(
            URL.create("sqlite", database=str(path)),
            creator=connect,
            # What is idle stays at hand, and nowhere else: a fork has to find and close it.
            poolclass=NullPool,
            pool_reset_on_return=None if readonly else "rollback",
        )
        dialect: Any = engine.dialect
        dialect.colspecs = {**dialect.colspecs, Boolean: StrictBoolean}
        dialect.do_begin = _begin if readonly else _begin_immediate
        event.listen(
            engine, "connect", lambda _, record: record.info.update({_FILE: which_file(path)})
        )
        return engine

    def violation(self, error: BaseException) -> Violation | None:
        """Read the extended result code."""
        return _VIOLATIONS.get(getattr(error, "sqlite_errorcode", 0))

    def explain(self, error: BaseException, url: URL) -> VrtrackerError | None:
        """Explain the result codes that a user can do something about."""
        return explained(getattr(error, "sqlite_errorcode", 0), self.describe(url))

    def lock_schema(self, connection: Connection) -> None:
        """Nothing to do: a write transaction excludes all other writers from its start."""

    @contextlib.contextmanager
    def building(self, url: URL) -> Iterator[URL]:
        """Give a file that gets the name at the end; one that is there already undoes by itself."""
        path = _path(url).resolve()
        if self.exists(url):
            yield url
            return
        _check_no_remains(path)
        for left in path.parent.glob(f"{glob.escape(path.name)}{_WORK}????????"):
            # A killed process has left it; a living one holds the write lock.
            if not is_written_to(left):
                remove(left)
        # A name of its own: nobody can take it for, or from, another process's.
        work = path.with_name(f"{path.name}{_WORK}{secrets.token_hex(4)}")
        try:
            yield url.set(database=str(work))
            if self.exists(url):
                raise BackendError(
                    f"Meanwhile somebody has made {path}; it was left alone. Give another file."
                )
            work.replace(path)
            flush_folder(path.parent)
        finally:
            remove(work)

    @contextlib.contextmanager
    def keeping_ids(
        self, connection: Connection, table: Table, *, after: int = 0
    ) -> Iterator[None]:
        """Raise the table's counter to `after`; it follows the highest id by itself."""
        yield
        if after:
            values = {"name": table.name, "after": after}
            raised = connection.execute(
                text("UPDATE sqlite_sequence SET seq = max(seq, :after) WHERE name = :name"), values
            )
            if not raised.rowcount:
                connection.execute(text(_NEW_COUNTER), values)

    def listed(self, name: str) -> ColumnElement[int]:
        """Write the list as JSON, which SQLite takes apart."""
        return func.json_each(bindparam(name, type_=JSON())).table_valued("value").c.value

    def last_number(self, connection: Connection, table: Table) -> int:
        """Read the counter of a table that has one (AUTOINCREMENT)."""
        known = text("SELECT count(*) FROM sqlite_master WHERE name = 'sqlite_sequence'")
        if not connection.scalar(known):
            return 0
        counter = text("SELECT seq FROM sqlite_sequence WHERE name = :name")
        return int(connection.scalar(counter, {"name": table.name}) or 0)

    def is_current(self, connection: Connection) -> bool:
        """Look whether the file was removed, or another one was put in its place."""
        return bool(connection.info.get(_FILE) == which_file(connection.engine.url.database))

    def set_haste(self, connection: Connection, *, hasty: bool) -> None:
        """Let the next commit sync its log, or leave that to the next one that does."""
        if connection.info.get(_HASTY, False) is not hasty:
            connection.info[_HASTY] = hasty
            held: Any = connection.connection.dbapi_connection
            held.execute(f"PRAGMA synchronous = {'NORMAL' if hasty else 'FULL'}")

    def unique_keys(self, connection: Connection, table: str) -> list[tuple[str, ...]]:
        """Ask SQLite; SQLAlchemy misses a UNIQUE after a type with a length."""
        found: dict[str, list[str]] = {}
        for key, column in connection.execute(text(_UNIQUE_KEYS), {"table": table}):
            found.setdefault(key, []).append(column)
        return [tuple(columns) for columns in found.values()]

    def identity(self, url: URL, connection: Connection) -> object:
        """Return where the file is on the disk."""
        del connection
        return file_identity(_path(url))

    def hold_tables(self, connection: Connection, names: list[str]) -> None:
        """Suspend foreign keys; other writers are kept off already."""
        from vrtracker.backends.sqlite_table_conversion import hold_tables

        del names
        hold_tables(connection)

    def converting(
        self, connection: Connection, wanted: TableConversion
    ) -> AbstractContextManager[None]:
        """Write the table anew."""
        from vrtracker.backends.sqlite_table_conversion import converting

        return converting(connection, wanted)

    def exists(self, url: URL) -> bool:
        """Return whether the file is there and not empty."""
        path = _path(url)
        return path.is_file() and path.stat().st_size > 0

    def describe(self, url: URL) -> str:
        """Return the path."""
        return str(_path(url))

    def file(self, url: URL) -> Path:
        """Return the path."""
        return _path(url)

    def driver_connection(self, engine: Engine) -> Any:
        """Return a connection that begins a transaction with its first change, as PEP 249 asks."""
        connection = super().driver_connection(engine)
        connection.dbapi_connection.isolation_level = "IMMEDIATE"
        return connection

    def back_up(self, url: URL, folder: Path, name: str) -> Path:
        """Copy page by page while others go on writing; SQLite itself then checks the copy."""
        target = folder / f"{name}.db"
        partial = target.with_name(f"{target.name}.part")
        try:
            with (
                contextlib.closing(
                    forks.connect(_path(url), _uri(_path(url), readonly=True))
                ) as source,
                contextlib.closing(sqlite3.connect(partial)) as copy,
            ):
                # One transaction: what is counted is what is copied.
                source.execute("BEGIN")
                expected = _row_counts(source)
                source.backup(copy)
                # A copy is one file: without this it would need its log beside it.
                copy.execute("PRAGMA journal_mode = DELETE")
                problem = copy.execute("PRAGMA integrity_check").fetchone()[0]
                if problem != "ok" or _row_counts(copy) != expected:
                    raise BackendError(
                        f"The copy of {_path(url)} is not whole ({problem}); look at the disks."
                    )
            partial.rename(target)
        except (sqlite3.Error, OSError) as error:
            raise BackendError(f"No backup of {_path(url)} could be made: {error}.") from error
        finally:
            partial.unlink(missing_ok=True)
        return target

    def restore(self, url: URL, backup: Path) -> None:
        """Write the backup's pages in one transaction; a missing file is made."""
        path = _path(url)
        try:
            with contextlib.closing(
                sqlite3.connect(_uri(backup, readonly=True), uri=True)
            ) as source:
                problem = source.execute("PRAGMA integrity_check").fetchone()[0]
                if problem != "ok":
                    raise BackendError(f"{backup} is damaged ({problem}); take another backup.")
                if not path.exists():
                    copy_whole(backup, path)
                    return
                with contextlib.closing(forks.connect(path, timeout=BUSY_SECONDS)) as target:
                    source.backup(target)
        except (sqlite3.Error, OSError) as error:
            raise BackendError(
                f"{backup} could not be put in the place of {path}: {error}. If the file there is "
                "damaged, move it away, with its -wal and -shm, and restore again."
            ) from error

    def arrow_reader(self, url: URL) -> ArrowReader | None:
        """Return a reader through Python's own SQLite, and through ADBC in another process."""
        from vrtracker.backends.sqlite_arrow import SQLiteArrowReader

        path = _path(url)
        return SQLiteArrowReader(
            lambda: _connected(path, readonly=True),
            lambda: _uri(path, readonly=True),
            lambda: which_file(path),
        )


def _row_counts(connection: sqlite3.Connection) -> dict[str, int]:
    names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    count = 'SELECT count(*) FROM "{}"'
    return {name: connection.execute(count.format(name)).fetchone()[0] for (name,) in names}


def _path(url: URL) -> Path:
    return Path(url.database or "")


def _connected(path: Path, *, readonly: bool, create: bool = False) -> sqlite3.Connection:
    connection = forks.connect(
        path,
        _uri(path, readonly=readonly, create=create),
        timeout=BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        _set_up(connection, readonly=readonly)
    except BaseException:
        connection.close()
        raise
    return connection


def _uri(path: Path, *, readonly: bool, create: bool = False) -> str:
    mode = "ro" if readonly else ("rwc" if create else "rw")
    return f"file:{quote(str(path))}?mode={mode}{'&immutable=1' if _frozen(path) else ''}"


def _check_no_remains(path: Path) -> None:
    """Refuse a place where SQLite would take an old log for the new file's."""
    for suffix in ("-wal", "-journal"):
        log = path.with_name(f"{path.name}{suffix}")
        if log.exists():
            raise DatabaseUnavailableError(
                f"{log} belongs to a database that is gone, and would damage a new one; move it "
                "away, or give another name."
            )


def _frozen(path: Path) -> bool:
    """Return whether SQLite could not even make its shared-memory file beside the database."""
    return not may_write(path.parent) and not path.with_name(f"{path.name}-wal").exists()


def _set_up(connection: sqlite3.Connection, *, readonly: bool) -> None:
    connection.execute("PRAGMA foreign_keys = ON")
    if readonly:
        connection.execute("PRAGMA query_only = ON")
        return
    # While one process switches a new file to WAL, SQLite fails in another one without waiting.
    _again_while_busy(connection.execute, "PRAGMA journal_mode = WAL", _BUSY_PAUSE)
    # Many new rows touch the same pages of indexes again and again; with SQLite's usual 2 MB each
    # page goes to the log several times (measured: 528 MB for 100,000 sessions, with this 225).
    connection.execute("PRAGMA cache_size = -8000")
    # A committed transition must outlive a power cut; WAL's default would not sync.
    connection.execute("PRAGMA synchronous = FULL")


def _again_while_busy(execute: Any, sql: str, pause: float) -> None:
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            execute(sql)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(pause)
        else:
            return


def _begin(held: Any) -> None:
    held.dbapi_connection.execute("BEGIN")


def _begin_immediate(held: Any) -> None:
    """Wait for the other writers in short steps; SQLite's own grow to 0.1 s, with the lock free."""
    execute = held.dbapi_connection.execute
    execute("PRAGMA busy_timeout = 0")
    try:
        _again_while_busy(execute, "BEGIN IMMEDIATE", _TURN_PAUSE)
    finally:
        execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")
