"""Roles on PostgreSQL: privileges on the tables; admins are the members of the role that owns them.

Statements are put together by psycopg, which quotes the names.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, text

from vrtracker.backends.roles import Roles
from vrtracker.domain.roles import Role, Standing
from vrtracker.errors import RoleError, UnknownUserError
from vrtracker.spelling import nearest

VERSION_TABLE = "alembic_version"
_SET_SINCE = (16,)

_ROLES = """
WITH ours AS (
    SELECT oid, relname, relowner FROM pg_class
    WHERE relkind IN ('r', 'p') AND relname = ANY(:tables)
    AND relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())
)
SELECT rolname, rolsuper,
    coalesce(
        (SELECT bool_and(pg_has_role(pg_roles.oid, relowner, 'USAGE')) FROM ours),
        has_schema_privilege(pg_roles.oid, current_schema(), 'CREATE')
    ) AS administers,
    (SELECT bool_and(
        has_table_privilege(pg_roles.oid, ours.oid, 'SELECT')
        AND has_table_privilege(pg_roles.oid, ours.oid, 'INSERT')
        AND has_table_privilege(pg_roles.oid, ours.oid, 'UPDATE')
        AND has_table_privilege(pg_roles.oid, ours.oid, 'DELETE')
    ) FROM ours WHERE relname <> :version_table) AS edits,
    (SELECT bool_and(has_table_privilege(pg_roles.oid, ours.oid, 'SELECT')) FROM ours) AS reads
FROM pg_roles
"""
_OF_USER = text(f"{_ROLES} WHERE rolname = current_user")
_LISTED = text(f"{_ROLES} WHERE rolcanlogin ORDER BY rolname")
_PLACE = text("""
SELECT current_schema() AS schema, rolname AS owner, rolcanlogin OR rolsuper AS is_somebody,
    (SELECT oid FROM pg_database WHERE datname = current_database()) AS database
FROM pg_class JOIN pg_roles ON pg_roles.oid = relowner
WHERE relname = :version_table
AND relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())
""")
_OWNED = text("""
SELECT relname, relkind FROM pg_class JOIN pg_roles ON pg_roles.oid = relowner
WHERE rolname = :owner AND relkind IN ('r', 'p', 'v', 'm', 'S')
AND relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = :schema)
ORDER BY relname
""")
_MEMBERSHIPS = text("""
SELECT grantors.rolname FROM pg_auth_members
JOIN pg_roles AS groups ON groups.oid = roleid
JOIN pg_roles AS members ON members.oid = member
JOIN pg_roles AS grantors ON grantors.oid = grantor
WHERE groups.rolname = :owner AND members.rolname = :name
""")

_DEFAULTS = "ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA {schema} "
_REVOKE = (
    "REVOKE ALL ON {tables} FROM {name}",
    "REVOKE ALL ON SEQUENCE {sequences} FROM {name}",
    "REVOKE ALL ON SCHEMA {schema} FROM {name}",
    f"{_DEFAULTS} REVOKE ALL ON TABLES FROM {{name}}",
    f"{_DEFAULTS} REVOKE ALL ON SEQUENCES FROM {{name}}",
)
_READ = (
    "GRANT USAGE ON SCHEMA {schema} TO {name}",
    "GRANT SELECT ON {tables} TO {name}",
    "GRANT SELECT ON SEQUENCE {sequences} TO {name}",
    f"{_DEFAULTS} GRANT SELECT ON TABLES TO {{name}}",
    f"{_DEFAULTS} GRANT SELECT ON SEQUENCES TO {{name}}",
)
_EDIT = (
    *_READ,
    "GRANT INSERT, UPDATE, DELETE ON {ours} TO {name}",
    "GRANT USAGE, UPDATE ON SEQUENCE {sequences} TO {name}",
    f"{_DEFAULTS} GRANT INSERT, UPDATE, DELETE ON TABLES TO {{name}}",
    f"{_DEFAULTS} GRANT USAGE, UPDATE ON SEQUENCES TO {{name}}",
)
_GIVE = {
    None: (),
    Role.READER: _READ,
    Role.EDITOR: _EDIT,
    Role.ADMIN: ("GRANT {owner} TO {name} WITH ADMIN OPTION",),
}


def act_as_owner(connection: Connection) -> None:
    """Let what the transaction makes belong to the role that owns the tables for its members."""
    place = _place(connection)
    if place is None or place.is_somebody:
        return
    kind = "SET" if (connection.dialect.server_version_info or ()) >= _SET_SINCE else "MEMBER"
    may = text("SELECT pg_has_role(:owner, :kind)")
    if connection.scalar(may, {"owner": place.owner, "kind": kind}):
        _run(connection, ["SET LOCAL ROLE {owner}"], owner=place.owner)


class PostgreSQLRoles(Roles):
    """Roles by the server's own privileges, which bind whatever program connects."""

    def of_user(self, connection: Connection, tables: Collection[str]) -> Standing:
        """Ask for one's own privileges."""
        row = connection.execute(_OF_USER, _named(tables)).one()
        return Standing(row.rolname, _role(row))

    def listed(self, connection: Connection, tables: Collection[str]) -> dict[str, Role]:
        """Ask for the privileges of all who may log in."""
        rows = connection.execute(_LISTED, _named(tables)).all()
        return {row.rolname: role for row in rows if (role := _role(row)) is not None}

    def give(
        self, connection: Connection, tables: Collection[str], name: str, role: Role | None
    ) -> None:
        """Grant and revoke, within a transaction that the caller commits."""
        # Members of the owner may grant, but only the user itself may give membership on.
        _run(connection, ["RESET ROLE"])
        users = connection.execute(_LISTED, _named(tables)).all()
        if name not in (names := [user.rolname for user in users]):
            raise UnknownUserError(name, nearest(name, names))
        others = {
            user.rolname: had
            for user in users
            if (had := _role(user)) and user.rolname != name and not user.rolsuper
        }
        giving = _Giving(connection, tables)
        if role is Role.ADMIN:
            giving.hand_over(others)
        giving.give(name, role)
        found = self.listed(connection, tables)
        for other, had in others.items():
            if found.get(other) != had:
                # It hung on the owner that was, or on a membership that was taken away.
                giving.give(other, had)
        self._check(connection, tables, name, role)

    def _check(
        self, connection: Connection, tables: Collection[str], name: str, role: Role | None
    ) -> None:
        found = self.listed(connection, tables).get(name)
        if found is not role:
            raise RoleError(
                f"{name!r} would have {f'the role {found}' if found else 'no role'} all the same: "
                "as a superuser, as owner of the tables, as member of a role that may more, or as "
                "one that inherits nothing. Nothing was changed; mend that first, with SQL.",
                who=name,
                role=found,
                needed=role,
            )


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the tables are, and whose."""

    schema: str
    owner: str
    is_somebody: bool
    database: int


class _Giving:
    """Runs the statements of one transaction."""

    def __init__(self, connection: Connection, tables: Collection[str]) -> None:
        self._connection = connection
        self._tables = tables
        self._look()

    def _look(self) -> None:
        place = _place(self._connection)
        if place is None:
            raise AssertionError
        self._place = place
        owned = self._connection.execute(_OWNED, {"owner": place.owner, "schema": place.schema})
        rows = owned.all()
        self._readable = [row.relname for row in rows if row.relkind != "S"]
        self._sequences = [row.relname for row in rows if row.relkind == "S"]

    def give(self, name: str, role: Role | None) -> None:
        if role is not Role.ADMIN:
            self._leave(name)
        names = {
            "tables": self._readable,
            "ours": [table for table in self._readable if table in set(self._tables)],
            "sequences": self._sequences,
        }
        run = [*_REVOKE, *([] if role is Role.ADMIN and self._is_in(name) else _GIVE[role])]
        if not self._sequences:
            run = [statement for statement in run if "{sequences}" not in statement]
        place = self._place
        _run(self._connection, run, names, name=name, owner=place.owner, schema=place.schema)

    def _is_in(self, name: str) -> bool:
        """Return whether somebody is a member of the owner already, by whomever it was given."""
        member = text("SELECT pg_has_role(:name, :owner, 'MEMBER')")
        names = {"name": name, "owner": self._place.owner}
        return bool(self._connection.scalar(member, names))

    def _leave(self, name: str) -> None:
        """Take membership in the owner away, by whomever it was given."""
        owner = self._place.owner
        rows = self._connection.execute(_MEMBERSHIPS, {"owner": owner, "name": name})
        for (grantor,) in rows.all():
            revoke = "REVOKE {owner} FROM {name} GRANTED BY {grantor} CASCADE"
            _run(self._connection, [revoke], owner=owner, name=name, grantor=grantor)

    def hand_over(self, holders: Iterable[str]) -> None:
        """Give the tables to a role that nobody logs in as: its members are the admins.

        Whoever has a role by the owner that was loses it, and is to be given it again.
        """
        if not self._place.is_somebody:
            return
        place, group = self._place, f"vrtracker_admins_{self._place.database}"
        for holder in holders:
            if holder != place.owner:
                self.give(holder, None)
        there = text("SELECT 1 FROM pg_roles WHERE rolname = :name")
        run = [] if self._connection.scalar(there, {"name": group}) else ["CREATE ROLE {group}"]
        run += ["GRANT USAGE, CREATE ON SCHEMA {schema} TO {group}"]
        me = self._connection.execute(
            text("SELECT rolname, rolsuper FROM pg_roles WHERE rolname = current_user")
        ).one()
        if not me.rolsuper:
            # Only a member may hand its tables to a role.
            run += ["GRANT {group} TO {name}"]
        _run(self._connection, run, group=group, schema=place.schema, name=me.rolname)
        for table in self._readable:
            change = ["ALTER TABLE {table} OWNER TO {group}"]
            _run(self._connection, change, table=table, group=group)
        self._look()


def _named(tables: Collection[str]) -> dict[str, Any]:
    return {"tables": [*tables, VERSION_TABLE], "version_table": VERSION_TABLE}


def _role(row: Row[Any]) -> Role | None:
    if row.administers:
        return Role.ADMIN
    if row.edits:
        return Role.EDITOR
    return Role.READER if row.reads else None


def _place(connection: Connection) -> _Place | None:
    row = connection.execute(_PLACE, {"version_table": VERSION_TABLE}).one_or_none()
    return None if row is None else _Place(**row._mapping)  # noqa: SLF001 - SQLAlchemy's own name


def _run(
    connection: Connection,
    statements: Iterable[str],
    lists: dict[str, list[str]] | None = None,
    **names: str,
) -> None:
    """Run statements with names put in, quoted."""
    from psycopg import sql

    put_in: dict[str, sql.Composable] = {key: sql.Identifier(name) for key, name in names.items()}
    for key, listed in (lists or {}).items():
        put_in[key] = sql.SQL(", ").join(map(sql.Identifier, listed))
    with contextlib.closing(connection.connection.cursor()) as cursor:
        for statement in statements:
            cursor.execute(sql.SQL(statement).format(**put_in))
