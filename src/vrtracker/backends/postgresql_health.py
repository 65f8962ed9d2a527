"""What a doctor asks of a PostgreSQL server."""

from __future__ import annotations

from sqlalchemy import URL, Engine, text

from vrtracker.backends.health import Health, versions_of

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
