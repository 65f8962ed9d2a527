"""Databases of a PostgreSQL server as a whole: made, removed, cleaned up, and asked by a doctor."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, Engine, text

from vrtracker.backends.care import Care
from vrtracker.backends.health import Health, versions_of
from vrtracker.backends.secrets import with_password
from vrtracker.errors import BackendError

if TYPE_CHECKING:
    import psycopg
    from sqlalchemy import URL

_MAINTENANCE = ("postgres", "template1")
_LISTED = "SELECT datname FROM pg_database WHERE NOT datistemplate ORDER BY datname"


class PostgreSQLCare(Care):
    """Asks the server, in the database that it keeps for that."""

    def databases(self, url: URL) -> list[str]:
        """Ask the server."""
        with _maintaining(url) as server:
            return [name for (name,) in server.execute(_LISTED)]

    def name(self, url: URL) -> str:
        """Return the name that libpq takes where the URL leaves it open too."""
        return url.database or os.environ.get("PGDATABASE") or url.username or ""

    def create(self, url: URL) -> None:
        """Have the server make it, for UTF-8 and the server's own locale."""
        self._change(url, "CREATE DATABASE {} ENCODING 'UTF8' TEMPLATE template0")

    def drop(self, url: URL) -> None:
        """Have the server remove it, which it does not while somebody is connected."""
        self._change(url, "DROP DATABASE {}")

    def _change(self, url: URL, statement: str) -> None:
        import psycopg
        from psycopg.sql import SQL, Identifier

        with _maintaining(url) as server:
            try:
                # The statements are those above.
                server.execute(SQL(statement).format(Identifier(self.name(url))))
            except psycopg.Error as error:
                said = str(error).strip().replace("\n", "; ")
                raise BackendError(
                    f"The server refused it: {said}. Nothing was changed. It takes a role with "
                    "CREATEDB, and nobody connected to the database."
                ) from error

    def vacuum(self, url: URL, tables: Sequence[str]) -> None:
        """Vacuum and analyze."""
        self._tidy(url, "VACUUM (ANALYZE)", tables)

    def analyze(self, url: URL, tables: Sequence[str]) -> None:
        """Analyze."""
        self._tidy(url, "ANALYZE", tables)

    def _tidy(self, url: URL, verb: str, tables: Sequence[str]) -> None:
        from psycopg.sql import SQL, Identifier

        with _connected(for_libpq(application(url))) as connection:
            for name in tables:
                connection.execute(SQL(verb + " {}").format(Identifier(name)))
            if not tables:
                connection.execute(verb)


def application(url: URL) -> URL:
    """Return the URL as we connect by it: with a password that is in the keyring, and our name.

    A name that the URL or libpq's environment has is kept.
    """
    url = with_password(url)
    named = "application_name" in url.query or os.environ.get("PGAPPNAME")
    return url if named else url.update_query_dict({"application_name": "vrtracker"})


def for_libpq(url: URL) -> str:
    """Return a URL as libpq reads it: a space is %20, never a blank or a plus sign."""
    plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
    address, mark, query = plain.partition("?")
    return f"{address.replace(' ', '%20')}{mark}{query.replace('+', '%20')}"


@contextlib.contextmanager
def _maintaining(url: URL) -> Iterator[psycopg.Connection[Any]]:
    """Connect to a database that every server has, other than this one."""
    other = next(name for name in _MAINTENANCE if name != url.database)
    with _connected(for_libpq(application(url.set(database=other)))) as server:
        yield server


@contextlib.contextmanager
def _connected(address: str) -> Iterator[psycopg.Connection[Any]]:
    import psycopg

    with contextlib.closing(
        psycopg.connect(address, autocommit=True, connect_timeout=10)
    ) as connection:
        yield connection


# Who waits for a lock names who holds it; who has left a transaction open may hold one.
_HOLDERS = """
SELECT usename, coalesce(nullif(application_name, ''), 'a program') || coalesce(
       ' on ' || host(client_addr), ''), coalesce(state, 'of which you may see no more'),
       coalesce(extract(epoch FROM clock_timestamp() - state_change)::bigint, 0)
FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND (
    pid IN (SELECT unnest(pg_blocking_pids(pid)) FROM pg_stat_activity
            WHERE wait_event_type = 'Lock')
    OR (state LIKE 'idle in transaction%' AND clock_timestamp() - state_change > '1 minute'))
ORDER BY pid
"""


class PostgreSQLHealth(Health):
    """Asks the server."""

    def equipment(self, url: URL) -> str:
        """Return the versions of psycopg, of libpq, and of what reads columns."""
        del url
        import psycopg

        packages = versions_of(["psycopg", "adbc-driver-postgresql", "sqlalchemy"])
        return f"{packages}, libpq {psycopg.pq.version() // 10000}"

    def holders(self, url: URL, engine: Engine) -> list[str]:
        """Ask who blocks others, and who left a transaction open."""
        del url
        with engine.connect() as connection:
            rows = connection.execute(text(_HOLDERS)).all()
        return [
            f"{user} with {what} ({state} for {seconds} s)" for user, what, state, seconds in rows
        ]
