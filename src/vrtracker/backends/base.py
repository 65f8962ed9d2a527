"""What every backend must answer. The rest of the package asks here, never for a name."""

from __future__ import annotations

import abc
import contextlib
import datetime as dt
import enum
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, ColumnElement, Connection, Dialect, Engine, Table, insert, inspect

from vrtracker.backends.care import Care
from vrtracker.backends.disk import time_of_drive
from vrtracker.backends.health import Health
from vrtracker.errors import BackendError, VrtrackerError

if TYPE_CHECKING:
    import pyarrow as pa

    from vrtracker.backends.roles import Roles
    from vrtracker.backends.table_conversion import TableConversion


class Violation(enum.Enum):
    """Which promise of the schema a statement would have broken."""

    UNIQUE = "unique"
    FOREIGN_KEY = "foreign key"
    NOT_NULL = "not null"


class ViolationError(BackendError):
    """The database kept a promise of the schema; repositories say in their words what it was."""

    def __init__(self, violation: Violation, message: str) -> None:
        super().__init__(message)
        self.violation = violation


class Backend(abc.ABC):
    """One kind of database."""

    name: str
    supports_for_update: bool = False
    """Whether SELECT … FOR UPDATE locks rows (else a write transaction excludes other writers)."""
    supports_savepoints: bool = False
    """Whether a part of a transaction can be taken back by itself."""
    supports_lateral: bool = False
    """Whether a join can look rows up for each row of what stands before it (LATERAL)."""
    finds_and_reads_at_once: bool = False
    """Whether the SELECT that finds a session to claim reads it too as fast as one by its key."""
    max_in_list: int = 5000
    """How many values one IN list may hold."""
    keeps_empty_flags: bool = True
    """Whether a tick box can also be neither true nor false."""
    keys_tell_case: bool = True
    """Whether values of a key may differ by the case of letters alone."""
    takes_parameters_in_case: bool = True
    """Whether a result of CASE can be a parameter of the statement."""
    keeps_connections: bool = True
    """Whether a connection can be used again without going back to the pool between."""
    explain_sql: str | None = None
    """What before a SELECT makes the database tell its plan; None where it tells none."""
    roles: Roles | None = None
    """The roles that the database keeps by its own users; None where it keeps none."""
    waking: str | None = None
    """What tells those who `listen` that there may be work, once the transaction is committed."""
    health: Health
    """How a doctor looks at it."""
    care: Care
    """How it is made, removed and kept in order as a whole."""
    statement_timeout: float | None = None
    """How long a server may work on one statement, seconds; None for as long as it takes."""
    driver_versions: tuple[str, ...] = ()
    """Distributions whose versions belong into the record of an attempt."""

    @staticmethod  # noqa: B027 - most need nothing
    def register() -> None:
        """Make the dialect known to SQLAlchemy, where SQLAlchemy does not bring it."""

    @abc.abstractmethod
    def check_target(self, url: URL, *, create: bool = False) -> None:
        """Raise DatabaseUnavailableError if the database cannot be there; create nothing.

        With `create`, a missing file is allowed where its folder exists.
        """

    @abc.abstractmethod
    def create_engine(self, url: URL, *, readonly: bool, create: bool = False) -> Engine:
        """Make an engine; a read-only one is held to it by the database itself."""

    @abc.abstractmethod
    def violation(self, error: BaseException) -> Violation | None:
        """Return which promise a driver's error is about, by its code, or None."""

    @abc.abstractmethod
    def explain(self, error: BaseException, url: URL) -> VrtrackerError | None:
        """Return our error for a driver's error that a user can mend, or None."""

    @abc.abstractmethod
    def lock_schema(self, connection: Connection) -> None:
        """Wait for, and hold until commit, the right to change the schema."""

    def load_operations(self) -> None:  # noqa: B027 - most need nothing
        """Teach Alembic how this database changes its schema, where it does not know."""

    @contextlib.contextmanager
    def changing_schema(self, url: URL, *, rewritten: Collection[str] = ()) -> Iterator[URL]:
        """Give the database to change the schema of: this one, or a copy that then replaces it.

        An error in the block leaves the database as it was.

        `rewritten`: tables whose values the block changes on purpose, and answers for.
        """
        del rewritten
        yield url

    def check_adoptable(self, url: URL) -> None:  # noqa: B027 - most can
        """Raise BackendError, with the remedy, if the driver cannot adopt a lab's own tables."""

    @abc.abstractmethod
    def hold_tables(self, connection: Connection, names: list[str]) -> None:
        """Keep others off tables that are to be converted; the first step of a transaction."""

    @abc.abstractmethod
    def converting(
        self, connection: Connection, wanted: TableConversion
    ) -> AbstractContextManager[None]:
        """Make a table that is there one of ours; its other columns and its rows stay.

        In the block it has our columns, every one of which takes NULL; those that were of
        another family of types hold NULL. After the block it has our keys and indexes too.
        """

    @contextlib.contextmanager
    def building(self, url: URL) -> Iterator[URL]:
        """Give the database to build from nothing: this one, or a file that takes its place.

        An error in the block, or the end of the process, leaves the database as it was, where
        the schema and all rows are written in one transaction.
        """
        yield url

    @contextlib.contextmanager
    def keeping_ids(
        self, connection: Connection, table: Table, *, after: int = 0
    ) -> Iterator[None]:
        """Keep the autonumbers of the rows that the block inserts; later ones are higher.

        Where the database can be told so, they are higher than `after` too.
        """
        del connection, table, after
        yield

    def loading(
        self, connection: Connection, table: Table, *, many: bool = False
    ) -> AbstractContextManager[Callable[[Sequence[Sequence[Any]]], None]]:
        """Give what inserts rows, of values in the order of the columns, as they are.

        With `many` the table is empty, and will not be small.
        """
        del many
        names, statement = table.c.keys(), insert(table).inline()

        def load(rows: Sequence[Sequence[Any]]) -> None:
            values = [dict(zip(names, row, strict=True)) for row in rows]
            connection.execute(statement, values)

        return contextlib.nullcontext(load)

    def listed(self, name: str) -> ColumnElement[int] | None:
        """Return whole numbers as a column to select, given in a list as one parameter.

        None where each number has to be a parameter, `max_in_list` of them at most.
        """
        del name
        return None

    def rows_in_transaction(self, url: URL) -> int | None:
        """Return how many rows one transaction may change, or None for no limit."""
        del url
        return None

    def last_number(self, connection: Connection, table: Table) -> int:
        """Return the highest autonumber that a table has ever given, 0 where nobody knows."""
        del connection, table
        return 0

    def linked_tables(self, connection: Connection) -> Mapping[str, str]:
        """Return where the tables are that are only linked to, by name in small letters."""
        del connection
        return {}

    def unique_keys(self, connection: Connection, table: str) -> list[tuple[str, ...]]:
        """Return the columns of each UNIQUE of a table's definition."""
        found = inspect(connection).get_unique_constraints(table)
        return [tuple(each["column_names"]) for each in found]

    def hold_snapshot(self, connection: Connection) -> None:
        """Let all that the connection's next transaction reads be of one moment."""
        del connection

    def is_current(self, connection: Connection) -> bool:
        """Tell whether a connection still leads to what is there under the database's name."""
        del connection
        return True

    def set_haste(self, connection: Connection, *, hasty: bool) -> None:
        """Say, before a transaction begins, whether its commit need not wait for the disk.

        Where the computer loses its power, the last such commits may be missing, and nothing else.
        """
        del connection, hasty

    def time(self, url: URL, engine: Engine, *, readonly: bool) -> dt.datetime | None:
        """Return what time it is where the database is, aware UTC, or None if nobody tells.

        Of a file it is the clock of its drive, which dates a new file beside it; with `readonly`
        none is made. Those who watch statements see nothing of it.
        """
        del engine
        file = None if readonly else self.file(url)
        return None if file is None else time_of_drive(file.parent)

    @abc.abstractmethod
    def identity(self, url: URL, connection: Connection) -> object:
        """Return what is equal for two connections exactly if they lead to one database."""

    @abc.abstractmethod
    def exists(self, url: URL) -> bool:
        """Return whether the database is there already."""

    @abc.abstractmethod
    def describe(self, url: URL) -> str:
        """Return the database's address as one types it; the URL holds no password."""

    def file(self, url: URL) -> Path | None:
        """Return the file that the database is, or None for one on a server."""
        del url
        return None

    def place(self, url: URL) -> str:
        """Return where the database is as this computer sees it, whoever asks for it."""
        file = self.file(url)
        return self.describe(url) if file is None else str(file.resolve())

    def driver_connection(self, engine: Engine) -> Any:
        """Return a connection by PEP 249 that belongs to the caller, who closes it."""
        connection = engine.raw_connection()
        connection.detach()
        return connection

    @abc.abstractmethod
    def back_up(self, url: URL, folder: Path, name: str) -> Path:
        """Write a whole, verified copy into a folder under a new name; return its path.

        Raises BackendError if it cannot be written or does not hold what the database holds; there
        is no copy then.
        """

    def revision_needed(self, backup: Path) -> str | None:
        """Return the revision whose tables a backup is put back into; None if it makes them.

        Raises BackendError if the backup is not whole.
        """
        del backup
        return None

    @abc.abstractmethod
    def restore(self, url: URL, backup: Path) -> None:
        """Put what `back_up` wrote in the database's place, whole or not at all.

        Raises BackendError if the backup is not whole, or the database is in use; it is as it was
        then.
        """

    def arrow_reader(self, url: URL) -> ArrowReader | None:
        """Return a columnar reader, or None where the driver for it is not installed."""
        del url
        return None

    def listen(self, url: URL) -> Listener | None:
        """Return what hears of changes that others commit, or None where nobody can tell."""
        del url
        return None


class Listener(abc.ABC):
    """Hears of changes that others commit, through a connection of its own."""

    @abc.abstractmethod
    def wait(self, seconds: float) -> bool:
        """Wait so long at most; return whether there may be something new."""

    @abc.abstractmethod
    def close(self) -> None:
        """Close the connection."""


Parts = tuple[tuple[str, str], str]
"""A table and its number, and SQL whose last two values are the ends of a part by it."""


class ArrowReader(abc.ABC):
    """Reads the result of a query as columns, through a connection of its own, read-only."""

    dialect: Dialect
    """Dialect whose SQL and parameter style the reader understands."""
    errors: tuple[type[Exception], ...]
    """What its driver raises."""

    @abc.abstractmethod
    def read(
        self,
        sql: str,
        parameters: Sequence[Any],
        types: Sequence[pa.DataType | None],
        parts: Callable[[], Parts] | None = None,
    ) -> pa.Table:
        """Run a query and return its columns.

        `types`: the declared types of the columns, None for one that has the type of its values.
        Those that come may still be the driver's, and so may the columns' names. `parts`: if the
        rows are in the order of a table's number and each has one, how to read them in parts by it.
        """

    def let_go(self) -> None:  # noqa: B027 - most need nothing
        """Close the connection if nobody uses it, where a fork must not copy it."""

    @abc.abstractmethod
    def close(self) -> None:
        """Close the connection; the next read opens another."""
