"""PostgreSQL: a server for many people and many workers."""

from __future__ import annotations

import contextlib
import datetime as dt
import getpass
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    ARRAY,
    URL,
    ColumnElement,
    Connection,
    Engine,
    Integer,
    Table,
    bindparam,
    create_engine,
    func,
    text,
)

from vrtracker.backends.base import ArrowReader, Backend, Listener, Violation
from vrtracker.backends.postgresql_care import (
    PostgreSQLCare,
    PostgreSQLHealth,
    application,
    for_libpq,
)
from vrtracker.backends.postgresql_roles import PostgreSQLRoles, act_as_owner
from vrtracker.backends.roles import ask_to_grant
from vrtracker.backends.secrets import with_password
from vrtracker.errors import (
    BackendError,
    DatabaseAwayError,
    DatabaseUnavailableError,
    MissingDependencyError,
    ReadOnlyError,
    RoleError,
    VrtrackerError,
)

if TYPE_CHECKING:
    from vrtracker.backends.table_conversion import TableConversion

_VIOLATIONS = {
    "23505": Violation.UNIQUE,
    "23503": Violation.FOREIGN_KEY,
    "23502": Violation.NOT_NULL,
}
_READ_ONLY = "-c default_transaction_read_only=on"
_SCHEMA_LOCK = 0x76727472  # "vrtr", the advisory lock under which the schema changes


class PostgreSQLBackend(Backend):
    """PostgreSQL through psycopg 3, columns through ADBC."""

    name = "postgresql"
    health = PostgreSQLHealth()
    care = PostgreSQLCare()
    supports_for_update = True
    supports_lateral = True
    supports_savepoints = True
    explain_sql = "EXPLAIN"
    roles = PostgreSQLRoles()
    waking = "NOTIFY vrtracker"
    driver_versions = ("psycopg",)

    def check_target(self, url: URL, *, create: bool = False) -> None:
        """Nothing to look at before connecting, but the driver must be installed."""
        del url, create
        try:
            import psycopg  # noqa: F401
        except ImportError as error:
            raise MissingDependencyError("PostgreSQL", "postgresql") from error

    def create_engine(self, url: URL, *, readonly: bool, create: bool = False) -> Engine:
        """Connect; a read-only engine tells the server so, and the server enforces it."""
        self.check_target(url, create=create)
        arguments = {"connect_timeout": 10, "options": self._options(url, readonly=readonly)}
        return create_engine(
            application(url),
            connect_args=arguments,
            pool_reset_on_return=None if readonly else "rollback",
            **({"isolation_level": "AUTOCOMMIT"} if readonly else {}),
        )

    def _options(self, url: URL, *, readonly: bool) -> str:
        """Return what the server is told for each connection, after what the URL says itself."""
        told = [url.query.get("options", ""), _READ_ONLY if readonly else ""]
        if self.statement_timeout is not None:
            told.append(f"-c statement_timeout={max(1, round(self.statement_timeout * 1000))}")
        return " ".join(filter(None, map(str, told)))

    def violation(self, error: BaseException) -> Violation | None:
        """Read the SQLSTATE."""
        return _VIOLATIONS.get(getattr(error, "sqlstate", None) or "")

    def explain(self, error: BaseException, url: URL) -> VrtrackerError | None:
        """Explain the SQLSTATEs, and failures to connect, that a user can do something about."""
        import psycopg

        where = self.describe(url._replace(password=None).difference_update_query(["password"]))
        state = getattr(error, "sqlstate", None) or ""
        if state == "25006":
            return ReadOnlyError(f"{where} was opened read-only; open it for writing.")
        if state == "42501":
            return _not_permitted(error, url, where)
        if state == "57014":
            return DatabaseAwayError(
                f"{where} ended a statement that took too long, or that an admin cancelled. Ask "
                "for less at a time, or raise statement_timeout_seconds in the profile."
            )
        if state in {"55P03", "40P01"}:
            return DatabaseAwayError(f"{where} is busy with other writers; try again.")
        if isinstance(error, psycopg.OperationalError):
            return _unreachable(error, url, where)
        return None

    def lock_schema(self, connection: Connection) -> None:
        """Take the advisory lock; it falls with the transaction."""
        connection.execute(text("SELECT pg_advisory_xact_lock(:id)"), {"id": _SCHEMA_LOCK})
        act_as_owner(connection)

    @contextlib.contextmanager
    def keeping_ids(
        self, connection: Connection, table: Table, *, after: int = 0
    ) -> Iterator[None]:
        """Move the column's sequence behind the highest id afterwards."""
        yield
        column = next(iter(table.primary_key.columns)).name
        connection.execute(
            text(
                "SELECT setval(pg_get_serial_sequence(:name, :column), "  # noqa: S608
                f'nullif(greatest(max("{column}"), :after), 0)) FROM "{table.name}"'
            ),
            {"name": f'"{table.name}"', "column": column, "after": after},
        )

    def loading(
        self, connection: Connection, table: Table, *, many: bool = False
    ) -> AbstractContextManager[Any]:
        """Load rows by COPY, which the server takes in while more are read."""
        from vrtracker.backends.postgresql_loading import loading

        return loading(connection, table, many=many)

    def listed(self, name: str) -> ColumnElement[int]:
        """Take the list as an array."""
        return func.unnest(bindparam(name, type_=ARRAY(Integer))).column_valued()

    def last_number(self, connection: Connection, table: Table) -> int:
        """Ask the column's sequence, where the role may look at it."""
        column = next(iter(table.primary_key.columns)).name
        found = connection.scalar(
            text(
                "SELECT CASE WHEN has_sequence_privilege(sequence, 'SELECT') "
                "THEN pg_sequence_last_value(sequence::regclass) END "
                "FROM (SELECT pg_get_serial_sequence(:name, :column) AS sequence) AS found"
            ),
            {"name": f'"{table.name}"', "column": column},
        )
        return int(found or 0)

    def hold_snapshot(self, connection: Connection) -> None:
        """Choose the isolation level that is a snapshot."""
        connection.execution_options(isolation_level="REPEATABLE READ")

    def time(self, url: URL, engine: Engine, *, readonly: bool) -> dt.datetime | None:
        """Ask the server."""
        del url, readonly
        with contextlib.closing(engine.raw_connection()) as connection:
            try:
                cursor = connection.cursor()
                cursor.execute("SELECT clock_timestamp()")
                [[found]] = cursor.fetchall()
                return found.astimezone(dt.UTC)  # type: ignore[no-any-return]
            except Exception as error:
                # A server that was restarted has ended it; the next try gets another one.
                connection.invalidate(error)
                raise

    def identity(self, url: URL, connection: Connection) -> object:
        """Return the server, by the microsecond of its start, and the database in it."""
        del url
        return connection.execute(
            text(
                "SELECT pg_postmaster_start_time(), oid "
                "FROM pg_database WHERE datname = current_database()"
            )
        ).one()

    def hold_tables(self, connection: Connection, names: list[str]) -> None:
        """Lock the tables."""
        from vrtracker.backends.postgresql_table_conversion import hold_tables

        hold_tables(connection, names)

    def converting(
        self, connection: Connection, wanted: TableConversion
    ) -> AbstractContextManager[None]:
        """Alter the table."""
        from vrtracker.backends.postgresql_table_conversion import converting

        return converting(connection, wanted)

    def exists(self, url: URL) -> bool:
        """Return True: a PostgreSQL database is made by the server's administrator."""
        del url
        return True

    def describe(self, url: URL) -> str:
        """Return the URL without its driver."""
        return url.set(drivername="postgresql").render_as_string(hide_password=True)

    def place(self, url: URL) -> str:
        """Return server, port and database; what the URL leaves open libpq takes as here."""
        from psycopg.conninfo import conninfo_to_dict

        given = conninfo_to_dict(for_libpq(url))
        host = given.get("host") or os.environ.get("PGHOST", "")
        port = given.get("port") or os.environ.get("PGPORT", "5432")
        return f"{host}:{port}/{given.get('dbname') or given.get('service')}"

    def back_up(self, url: URL, folder: Path, name: str) -> Path:
        """Run pg_dump; where there is none that the server lets in, copy the tables ourselves."""
        try:
            return self._written(folder / f"{name}.dump", url, self._dump)
        except _NoProgramError:
            from vrtracker.backends.postgresql_archive import SUFFIX

            return self._written(folder / f"{name}{SUFFIX}", url, self._copy)

    def _written(self, target: Path, url: URL, write: Callable[[URL, Path], None]) -> Path:
        partial = target.with_name(f"{target.name}.part")
        try:
            write(url, partial)
            partial.rename(target)
        except OSError as error:
            raise BackendError(
                f"No backup of {self.describe(url)} could be made: {error}."
            ) from error
        finally:
            partial.unlink(missing_ok=True)
        return target

    def _dump(self, url: URL, path: Path) -> None:
        """Run pg_dump, which sees one moment of the database, and have pg_restore read the file."""
        arguments = ["--format=custom", "--no-password", f"--file={path}"]
        address = for_libpq(url._replace(password=None))
        _run("pg_dump", *arguments, address, password=with_password(url).password)
        _run("pg_restore", "--list", str(path))

    def _copy(self, url: URL, path: Path) -> None:
        from vrtracker.backends import postgresql_copy

        with self._explaining(url):
            postgresql_copy.write(for_libpq(application(url)), path)

    def revision_needed(self, backup: Path) -> str | None:
        """Return the revision of an archive of COPY, which brings rows alone."""
        from vrtracker.backends.postgresql_archive import restorable

        return restorable(backup)[1] if backup.suffix == ".zip" else None

    def restore(self, url: URL, backup: Path) -> None:
        """Put the backup back in one transaction; tables that it does not name stay."""
        if backup.suffix == ".zip":
            from vrtracker.backends import postgresql_copy

            with self._explaining(url):
                postgresql_copy.restore(for_libpq(application(url)), backup)
            return
        options = ["--clean", "--if-exists", "--single-transaction", "--no-owner"]
        options += ["--no-privileges", "--no-password"]
        address = for_libpq(url._replace(password=None))
        _run(
            "pg_restore",
            *options,
            f"--dbname={address}",
            str(backup),
            password=with_password(url).password,
        )

    @contextlib.contextmanager
    def _explaining(self, url: URL) -> Iterator[None]:
        import psycopg

        try:
            yield
        except psycopg.Error as error:
            said = f"{self.describe(url)} failed, nothing was changed: {error}"
            raise self.explain(error, url) or BackendError(said) from error

    def arrow_reader(self, url: URL) -> ArrowReader | None:
        """Return a reader through ADBC."""
        try:
            import adbc_driver_postgresql.dbapi as adbc
        except ImportError:
            return None
        from vrtracker.backends.postgresql_arrow import PostgreSQLArrowReader

        options = {"options": self._options(url, readonly=True)}
        return PostgreSQLArrowReader(
            application(url).update_query_dict(options), (adbc.Error, OSError)
        )

    def listen(self, url: URL) -> Listener | None:
        """Listen on the channel that `waking` names."""
        from vrtracker.backends.postgresql_listener import PostgreSQLListener

        return PostgreSQLListener(for_libpq(application(url)))


class _NoProgramError(BackendError):
    """A program of PostgreSQL's is missing, or too old for the server."""


def _run(program: str, *arguments: str, password: str | None = None) -> None:
    """Run one of PostgreSQL's programs; a password travels in the environment, never in `ps`."""
    path = shutil.which(program)
    if path is None:
        raise _NoProgramError(
            f"This backup of PostgreSQL needs its program {program}, which is not on the PATH; "
            "install the client programs of the server's version."
        )
    # What the program says is looked at, so it says it in English.
    environment = os.environ | {"LC_ALL": "C"} | ({"PGPASSWORD": password} if password else {})
    done = subprocess.run(  # noqa: S603 - a program of PostgreSQL, found by its own name
        [path, *arguments], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        kind = _NoProgramError if "server version mismatch" in done.stderr else BackendError
        said = (done.stderr.strip().splitlines() or ["no reason given"])[0]
        raise kind(f"{program} failed, nothing was changed: {said}")


def _not_permitted(error: BaseException, url: URL, where: str) -> RoleError:
    who = url.username or os.environ.get("PGUSER") or getpass.getuser()
    said = str(error).strip().splitlines()[0]
    return RoleError(
        f"{where} refused this to the user {who!r}: {said}. Nothing was written. "
        f"{ask_to_grant(where, who, 'ROLE')}",
        who=who,
    )


def _unreachable(error: BaseException, url: URL, where: str) -> DatabaseUnavailableError:
    """Phrase a failure to connect. The server sends no SQLSTATE then, only text."""
    text_of_server = str(error).strip().splitlines()[0] if str(error).strip() else "no answer"
    if "password" in text_of_server or "authentication" in text_of_server:
        return DatabaseUnavailableError(
            f"{where} refused the user {url.username!r}: wrong or missing password. "
            "Set it in the URL, PGPASSWORD or ~/.pgpass."
        )
    if "does not exist" in text_of_server:
        return DatabaseUnavailableError(
            f"{where} does not exist on its server; have it created: createdb {url.database}"
        )
    return DatabaseAwayError(
        f"{where} cannot be reached ({text_of_server}); check host, port and that it runs."
    )
