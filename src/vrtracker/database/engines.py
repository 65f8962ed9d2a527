"""One database: its engines, made on demand, its tables, its errors."""

from __future__ import annotations

import contextlib
import datetime as dt
import threading
from collections.abc import Callable, Collection, Hashable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy import URL, Connection, Engine, Select, inspect
from sqlalchemy.exc import DBAPIError, NoSuchTableError

from vrtracker.backends import Backend, backend_for, parse_url, without_password
from vrtracker.backends.base import ArrowReader, ViolationError
from vrtracker.database import handles
from vrtracker.database.at_hand import AtHand
from vrtracker.database.prepared import Prepared, announce, compiled, expanded, in_parts, run
from vrtracker.database.tables import LAB_TABLES, TRACKED, Tables
from vrtracker.database.translation import Translation
from vrtracker.domain.roles import Role, Standing
from vrtracker.errors import BackendError, ReadOnlyError, VrtrackerError

if TYPE_CHECKING:
    import pyarrow as pa
    from sqlalchemy.sql.base import Executable as CompilableExecutable


class Database:
    """A database by its address. Nothing is opened before it is needed.

    `target`: path or URL. `readonly`, `refusal`: refuse to write, and what to say then in place of
    how it was opened. `create`: make a missing file on the first write (for migrations alone).
    `timeout`: how long a server may work on one statement, seconds.
    """

    def __init__(
        self,
        target: Any,
        *,
        readonly: bool = False,
        create: bool = False,
        refusal: str | None = None,
        timeout: float | None = None,
    ) -> None:
        self.url: URL = parse_url(target)
        self.backend: Backend = backend_for(self.url)
        self.backend.statement_timeout = timeout
        self.readonly = readonly
        self._create = create
        self._refusal = refusal
        self._translation = Translation(self.translated)
        self._lock = threading.RLock()
        self._forget()
        handles.add(self)

    def _forget(self) -> None:
        self._read_engine: Engine | None = None
        self._write_engine: Engine | None = None
        self._tables: Tables | None = None
        self._reader: ArrowReader | None = None
        self._reader_known = False
        self._prepared: dict[Hashable, Prepared] = {}
        self._at_hand = AtHand()
        self._standing: Standing | None = None

    def __repr__(self) -> str:
        return f"Database({str(self)!r})"

    def __str__(self) -> str:
        return self.backend.describe(without_password(self.url))

    def __getstate__(self) -> dict[str, Any]:
        # A password stays in the process: the other side finds its own (PGPASSWORD, ~/.pgpass).
        url = without_password(self.url)
        how = {"refusal": self._refusal, "timeout": self.backend.statement_timeout}
        return {"url": url, "readonly": self.readonly, **how}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state.pop("url"), **state)  # type: ignore[misc]

    # -- engines ---------------------------------------------------------------------------

    @property
    def read_engine(self) -> Engine:
        """The engine that can only read."""
        with self._lock:
            if self._read_engine is None:
                self.backend.check_target(self.url)
                self._read_engine = self.backend.create_engine(self.url, readonly=True)
            return self._read_engine

    @property
    def write_engine(self) -> Engine:
        """The engine that can write.

        Raises ReadOnlyError if the database was opened read-only.
        """
        self.require_writable()
        with self._lock:
            if self._write_engine is None:
                self.backend.check_target(self.url, create=self._create)
                self._write_engine = self.backend.create_engine(
                    self.url, readonly=False, create=self._create
                )
            return self._write_engine

    def require_writable(self) -> None:
        """Raise ReadOnlyError if it was opened to be read alone."""
        if self.readonly:
            usual = f"{self} was opened read-only; open it without readonly=True."
            raise ReadOnlyError(self._refusal or usual)

    def let_go(self) -> None:
        """Give up the connections that nobody uses; those that can write last, they tidy up."""
        if self._reader is not None:
            self._reader.let_go()
        self._at_hand.close(self._read_engine, self._write_engine)

    def leave_to_parent(self) -> None:
        """Drop what was inherited through a fork: a connection serves one process only."""
        handles.keep_for_ever(self._read_engine, self._write_engine, self._reader, self._at_hand)
        self._lock = threading.RLock()
        self._forget()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.dispose()

    def dispose(self) -> None:
        """Close every connection, as the end of a `with` does; the next use opens new ones."""
        self.let_go()
        if self._reader is not None:
            self._reader.close()
        for engine in (self._read_engine, self._write_engine):
            if engine is not None:
                engine.dispose()
        self._forget()

    def time(self) -> dt.datetime | None:
        """Return what time it is where the database is; see `Backend.time`."""
        with self.translating():
            return self.backend.time(self.url, self.read_engine, readonly=self.readonly)

    # -- statements ------------------------------------------------------------------------

    def begin(
        self, *, readonly: bool, of_one_moment: bool = False, hasty: bool = False
    ) -> Connection:
        """Open a connection and begin a transaction on it; closing it rolls back.

        With `of_one_moment`, all its reads are of the moment of the first one; with `hasty`, its
        commit does not wait for the disk where the backend can do without.
        """
        engine = self.read_engine if readonly else self.write_engine
        with self.translating():
            connection = self._taken(engine)
            try:
                if of_one_moment:
                    self.backend.hold_snapshot(connection)
                if not readonly:
                    self.backend.set_haste(connection, hasty=hasty)
                connection.begin()
            except BaseException:
                connection.close()
                raise
        return connection

    def _taken(self, engine: Engine) -> Connection:
        """Return a connection to what is there now, also where another file took its place."""
        connection = self._at_hand.take(engine)
        if self.backend.is_current(connection):
            return connection
        self._at_hand.drop(engine, connection, None)
        connection.close()
        return engine.connect()

    def end(self, connection: Connection, *, is_sound: bool) -> None:
        """Roll back what was begun and not committed, and let go of a connection.

        `is_sound`: it is as `begin` gave it, and nothing has failed: it may stay at hand.
        """
        with self.translating():
            if connection.invalidated:
                self._at_hand.invalidate(None)
            elif is_sound:
                connection.rollback()
                self._keep(connection)
                return
            connection.close()

    def _keep(self, connection: Connection) -> None:
        """Keep a connection at hand, unless it belongs to what was disposed of meanwhile."""
        engine = connection.engine
        is_ours = engine is self._read_engine or engine is self._write_engine
        if is_ours and self.backend.keeps_connections:
            self._at_hand.keep(connection)
        else:
            connection.close()

    @contextlib.contextmanager
    def connect(self, *, readonly: bool) -> Iterator[Connection]:
        """Open a connection for a block, in a transaction that is rolled back at its end."""
        with self.translating():
            connection, is_sound = self.begin(readonly=readonly), False
            try:
                yield connection
                is_sound = True
            finally:
                self.end(connection, is_sound=is_sound)

    def prepare(self, name: Hashable, build: Callable[[], Any]) -> Prepared:
        """Return the statement of that name, compiled on first use."""
        prepared = self._prepared.get(name)
        if prepared is None:
            prepared = self._prepared[name] = self.compiled(build())
        return prepared

    def compiled(self, statement: CompilableExecutable) -> Prepared:
        """Return a statement, compiled, for whoever keeps it."""
        return Prepared(statement, self.read_engine.dialect)

    def look_up(self, prepared: Prepared, /, **values: Any) -> list[list[Any]]:
        """Run one prepared SELECT on a read-only connection, outside any transaction."""
        with self.translating():
            rows = self._look_up(prepared, values, retried=False)
            # A server that was restarted has ended our connection; it is safe to read again.
            return self._look_up(prepared, values, retried=True) or [] if rows is None else rows

    def _look_up(
        self, prepared: Prepared, values: dict[str, Any], *, retried: bool
    ) -> list[list[Any]] | None:
        """Return the rows, or None if the connection was lost and it can be tried again."""
        engine = self.read_engine
        connection = self._taken(engine)
        held = connection.connection
        try:
            cursor = held.cursor()
            parameters = prepared.parameters(values)
            run(engine, cursor, prepared.sql, parameters)
            try:
                rows = prepared.read(cursor)
            finally:
                cursor.close()
        except BaseException as error:
            lost = self.drop_if_lost(error, engine, connection, held.driver_connection)
            connection.close()
            if lost and not retried:
                return None
            raise
        self._keep(connection)
        return rows

    def drop_if_lost(
        self, error: BaseException, engine: Engine, connection: Any, driver_connection: Any
    ) -> bool:
        """Drop a connection that the server has ended, and the others of its age in the pool."""
        lost = isinstance(error, engine.dialect.loaded_dbapi.Error) and (
            engine.dialect.is_disconnect(error, driver_connection, None)
        )
        if lost:
            self._at_hand.drop(engine, connection, error)
        return bool(lost)

    def read_arrow(
        self, statement: Select[Any], types: Sequence[pa.DataType | None]
    ) -> pa.Table | None:
        """Run a SELECT of columns of these types (the driver may give others), or return None.

        Its execution option ``number`` is a table's column of numbers, if its rows are in that
        order and each has one.
        """
        reader = self._arrow_reader()
        if reader is None:
            return None
        dialect = reader.dialect
        sql, parameters = expanded(compiled(statement, dialect), dialect)
        announce(self.read_engine, sql, parameters)
        with self.translating():
            try:
                number = statement.get_execution_options().get("number")
                parts = None if number is None else partial(in_parts, statement, number, dialect)
                return reader.read(sql, parameters, types, parts)
            except reader.errors as error:
                explained = self.backend.explain(error, self.url)
                raise explained or BackendError(f"{self} could not be read: {error}") from error

    def _arrow_reader(self) -> ArrowReader | None:
        with self._lock:
            if not self._reader_known:
                self.backend.check_target(self.url)
                self._reader = self.backend.arrow_reader(self.url)
                self._reader_known = True
            return self._reader

    # -- schema ----------------------------------------------------------------------------

    @contextlib.contextmanager
    def changing_schema(self, *, rewritten: Collection[str] = ()) -> Iterator[Connection]:
        """Open a connection that alone changes the schema; an error in the block undoes it all.

        Connections that were open before are closed first.

        `rewritten`: tables whose values the block changes on purpose, and answers for.
        """
        self.require_writable()
        self.dispose()
        self.backend.load_operations()
        changing = self.backend.changing_schema(self.url, rewritten=rewritten)
        with (
            self.translating(),
            changing as url,
            Database(url, create=self._create) as work,
            work.altering() as connection,
        ):
            yield connection

    @contextlib.contextmanager
    def building(self) -> Iterator[Database]:
        """Give the database to write all of this one in; it is in place when the block ends well.

        It is this one itself, or a new file. Connections that were open before are closed first.
        """
        self.dispose()
        self.backend.load_operations()
        building = self.backend.building(self.url)
        with self.translating(), building as url, Database(url, create=True) as work:
            yield work

    @contextlib.contextmanager
    def altering(self) -> Iterator[Connection]:
        """Open a connection to change schema and rows in place, in one transaction if it can."""
        with self.translating(), self.write_engine.begin() as connection:
            self.backend.lock_schema(connection)
            yield connection

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """Open a connection whose reads in the block are all of one moment."""
        with self.translating(), self.read_engine.connect() as connection:
            self.backend.hold_snapshot(connection)
            connection.begin()
            yield connection

    @property
    def tables(self) -> Tables:
        """The tables, with the columns that the lab has added, as found on first use."""
        if self._tables is None:
            with self._lock, self.translating():
                self._tables = self._find_tables()
        return self._tables

    def _find_tables(self) -> Tables:
        found: dict[str, Any] = {}
        with self.connect(readonly=True) as connection:
            inspector = inspect(connection)
            for name in LAB_TABLES:
                with contextlib.suppress(NoSuchTableError):
                    found[name] = inspector.get_columns(name)
        return Tables.of(found)

    # -- roles -----------------------------------------------------------------------------

    def standing(self, enough: Role | None = None) -> Standing | None:
        """Return who one is to the database, and the role there; None where it keeps no roles.

        `enough`: a role that need not be asked for again once the database has said that one has
        it.
        """
        known = self._standing
        if self.backend.roles is None or (known and enough and known.allows(enough)):
            return known
        with self.connect(readonly=True) as connection:
            self._standing = self.backend.roles.of_user(connection, TRACKED)
        return self._standing

    # -- errors ----------------------------------------------------------------------------

    def translating(self) -> Translation:
        """Return a context that turns the driver's errors into ours; all others pass."""
        return self._translation

    def translated(self, error: BaseException) -> VrtrackerError | None:
        """Return our error for one of the driver's, None for any other."""
        if isinstance(error, DBAPIError):
            return self._translated(error.orig or error)
        engine = self._read_engine or self._write_engine
        if engine is not None and isinstance(error, engine.dialect.loaded_dbapi.Error):
            return self._translated(error)
        return None

    def _translated(self, error: BaseException) -> VrtrackerError:
        violation = self.backend.violation(error)
        if violation is not None:
            return ViolationError(violation, f"{self} refused it: {error}")
        explained = self.backend.explain(error, self.url)
        return explained or BackendError(f"{self} failed: {error}")
