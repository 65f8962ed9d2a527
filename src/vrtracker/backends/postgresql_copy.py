"""A backup of PostgreSQL without its programs: what COPY gives for each table, and takes again.

It holds the rows of all tables of the schema, the lab's own among them, and where the counters
stand. Of the schema it holds the names and types of the columns alone: a restore fills tables
that are there.
"""

from __future__ import annotations

import contextlib
import zipfile
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

import psycopg
from psycopg import Cursor, IsolationLevel
from psycopg.sql import SQL, Composed, Identifier

from vrtracker.backends.postgresql_archive import (
    Counter,
    Manifest,
    Table,
    read_rows,
    restorable,
    verified,
    write_manifest,
    write_rows,
)
from vrtracker.errors import BackendError, ForeignSchemaError, SchemaError

# Values read the same at both ends whatever the server's settings are, a policy that hides rows
# is an error, and nobody waits for ever where somebody else uses a table.
_SETTINGS = SQL(
    "SET LOCAL DateStyle = 'ISO, YMD'; SET LOCAL IntervalStyle = 'postgres'; "
    "SET LOCAL extra_float_digits = 3; SET LOCAL row_security = off; "
    "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '10s'"
)
# What an extension brought along is not the lab's.
_OWN = SQL(
    "class.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema()) "
    "AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass "
    "AND objid = class.oid AND deptype = 'e')"
)
# The server makes generated values itself, and takes none.
_COLUMNS = SQL(
    "SELECT relname, attname, format_type(atttypid, atttypmod) FROM pg_class AS class "
    "LEFT JOIN pg_attribute ON attrelid = class.oid AND attnum > 0 AND NOT attisdropped "
    "AND attgenerated = '' WHERE relkind = 'r' AND {own} ORDER BY relname, attnum"
).format(own=_OWN)
_COUNTERS = SQL(
    "SELECT class.relname, owner.relname, attname FROM pg_class AS class "
    "LEFT JOIN pg_depend AS link ON link.classid = 'pg_class'::regclass "
    "AND link.objid = class.oid AND link.refobjsubid > 0 AND link.deptype IN ('a', 'i') "
    "LEFT JOIN pg_class AS owner ON owner.oid = link.refobjid "
    "LEFT JOIN pg_attribute ON attrelid = link.refobjid AND attnum = link.refobjsubid "
    "WHERE class.relkind = 'S' AND {own} ORDER BY class.relname"
).format(own=_OWN)
_KEYS = SQL(
    "SELECT child.relname, class.relname, conname, condeferrable FROM pg_constraint "
    "JOIN pg_class AS child ON child.oid = conrelid "
    "JOIN pg_class AS class ON class.oid = confrelid "
    "WHERE contype = 'f' AND {own} ORDER BY conname"
).format(own=_OWN)
_TRIGGERS = SQL(
    "SELECT relname, tgname, tgenabled::text FROM pg_trigger "
    "JOIN pg_class AS class ON class.oid = tgrelid "
    "WHERE NOT tgisinternal AND tgenabled <> 'D' AND {own}"
).format(own=_OWN)
_ENABLING = {"O": SQL("ENABLE"), "A": SQL("ENABLE ALWAYS"), "R": SQL("ENABLE REPLICA")}


def write(address: str, path: Path) -> None:
    """Write an archive of one moment of the database, and read it again.

    `address`: URL as libpq reads it. Raises BackendError if the archive does not hold what the
    database holds.
    """
    with _session(address, snapshot=True) as cursor, zipfile.ZipFile(path, "w") as archive:
        manifest = _described(cursor)
        write_manifest(archive, manifest)
        for number, table in enumerate(manifest.tables):
            with cursor.copy(_copy(table, "TO STDOUT")) as rows:
                write_rows(archive, number, rows)
    if verified(path) != manifest:
        raise BackendError(f"{path} does not hold what was written; look at the disk.")


def restore(address: str, path: Path) -> None:
    """Put an archive's rows in the place of the database's, in one transaction.

    Tables that the archive does not name stay as they are.

    Raises SchemaError if the database has other tables or columns than the archive. Raises
    BackendError if the archive is damaged.
    """
    manifest, revision = restorable(path)
    with _session(address) as cursor, zipfile.ZipFile(path) as archive:
        _require_revision(cursor, revision, path)
        _require_fit(cursor, manifest, path)
        order = _parents_first(cursor, manifest)
        with _without_triggers(cursor, manifest):
            names = SQL(", ").join(Identifier(table.name) for table in manifest.tables)
            cursor.execute(SQL("TRUNCATE {}").format(names))
            for number in order:
                with cursor.copy(_copy(manifest.tables[number], "FROM STDIN")) as rows:
                    for block in read_rows(archive, number):
                        rows.write(block)
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        _put_counters(cursor, manifest)
        for table in manifest.tables:
            if _count(cursor, table.name) != table.rows:
                raise BackendError(f"{table.name} did not take all rows of {path}; look at it.")


# -- the database ------------------------------------------------------------------------------


@contextlib.contextmanager
def _session(address: str, *, snapshot: bool = False) -> Iterator[Cursor[Any]]:
    """Open a transaction; an error in the block undoes it."""
    connection = psycopg.connect(
        address, application_name="vrtracker", connect_timeout=10, client_encoding="UTF8"
    )
    if snapshot:
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        connection.read_only = True
    with connection, connection.cursor() as cursor:
        cursor.execute(_SETTINGS)
        yield cursor


def _described(cursor: Cursor[Any]) -> Manifest:
    columns = _columns(cursor)
    if columns:
        # Rows that somebody empties a table of meanwhile would be gone from this moment too.
        names = SQL(", ").join(map(Identifier, columns))
        cursor.execute(SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(names))
    tables = tuple(Table(name, columns[name], _count(cursor, name)) for name in columns)
    return Manifest(_revision(cursor, columns), tables, tuple(_counters(cursor)))


def _columns(cursor: Cursor[Any]) -> dict[str, dict[str, str]]:
    """Return the types of the columns of all tables, by table and column."""
    found: dict[str, dict[str, str]] = {}
    for table, column, kind in cursor.execute(_COLUMNS).fetchall():
        of_table = found.setdefault(table, {})
        if column is not None:
            of_table[column] = kind
    return found


def _counters(cursor: Cursor[Any]) -> Iterator[Counter]:
    for name, table, column in cursor.execute(_COUNTERS).fetchall():
        read = SQL("SELECT last_value, is_called FROM {}").format(Identifier(name))
        last, called = cursor.execute(read).fetchall()[0]
        yield Counter(name, table, column, last, called)


def _revision(cursor: Cursor[Any], columns: dict[str, dict[str, str]]) -> str | None:
    if "alembic_version" not in columns:
        return None
    found = cursor.execute("SELECT version_num FROM alembic_version").fetchone()
    return str(found[0]) if found else None


def _count(cursor: Cursor[Any], name: str) -> int:
    count = SQL("SELECT count(*) FROM {}").format(Identifier(name))
    return int(cursor.execute(count).fetchall()[0][0])


def _copy(table: Table, way: str) -> Composed:
    columns = SQL(", ").join(map(Identifier, table.columns))
    listing = SQL(" ({})").format(columns) if table.columns else SQL("")
    return SQL("COPY {}{} ").format(Identifier(table.name), listing) + SQL(way)


def _require_revision(cursor: Cursor[Any], wanted: str, path: Path) -> None:
    there = _columns(cursor)
    if "alembic_version" not in there:
        raise ForeignSchemaError(
            "The database is not a tracker's; nothing was changed. Give the right one, or an empty "
            "one: createdb NAME"
        )
    found = _revision(cursor, there)
    if found not in {None, wanted}:
        raise SchemaError(
            f"{path} is of schema revision {wanted}, the database is at {found}; nothing was "
            "changed. Restore it into an empty database (createdb NAME), or first bring this one "
            f"there: vrtracker db downgrade {wanted}"
        )


def _require_fit(cursor: Cursor[Any], manifest: Manifest, path: Path) -> None:
    """Refuse a database whose tables are not those of the archive, and say what makes them so."""
    there = _columns(cursor)
    counted = {counter.place for counter in _counters(cursor)}
    missing = [counter for counter in manifest.counters if counter.place not in counted]
    changes = [
        change
        for table in manifest.tables
        for change in _changes(table, there.get(table.name), missing)
    ]
    changes += [
        SQL("CREATE SEQUENCE {}").format(Identifier(c.name)) for c in missing if not c.table
    ]
    if changes:
        remedy = "; ".join(change.as_string(cursor) for change in changes)
        raise SchemaError(
            f"The database has not the tables and columns of {path}; nothing was changed. Make "
            f"them, with the keys that they had, and restore again: {remedy};"
        )


def _changes(
    table: Table, there: dict[str, str] | None, missing: list[Counter]
) -> Iterator[Composed]:
    """Return the statements that give a table the columns of the archive."""
    uncounted = {counter.column for counter in missing if counter.table == table.name}
    wanted = {
        column: SQL("{} {}{}").format(
            Identifier(column),
            SQL(kind),
            SQL(" GENERATED BY DEFAULT AS IDENTITY" if column in uncounted else ""),
        )
        for column, kind in table.columns.items()
    }
    name = Identifier(table.name)
    if there is None:
        yield SQL("CREATE TABLE {} ({})").format(name, SQL(", ").join(wanted.values()))
        return
    alter = SQL("ALTER TABLE {} {}")
    for column, kind in table.columns.items():
        if column not in there:
            yield alter.format(name, SQL("ADD COLUMN ") + wanted[column])
        elif there[column] != kind:
            change = SQL("ALTER COLUMN {} TYPE {}").format(Identifier(column), SQL(kind))
            yield alter.format(name, change)
        elif column in uncounted:
            identity = SQL("ALTER COLUMN {} ADD GENERATED BY DEFAULT AS IDENTITY")
            yield alter.format(name, identity.format(Identifier(column)))
    for column in there.keys() - table.columns.keys():
        yield alter.format(name, SQL("DROP COLUMN {}").format(Identifier(column)))


def _parents_first(cursor: Cursor[Any], manifest: Manifest) -> list[int]:
    """Return the positions of the tables, those that others refer to first."""
    position = {table.name: number for number, table in enumerate(manifest.tables)}
    parents: dict[int, set[int]] = {number: set() for number in position.values()}
    for child, parent, key, deferrable in cursor.execute(_KEYS).fetchall():
        if parent in position and child not in position:
            raise SchemaError(
                f"The table {child} refers to {parent} and is not in the backup; nothing was "
                "changed. Take its key away, restore, and put it back: "
                f'ALTER TABLE "{child}" DROP CONSTRAINT "{key}"'
            )
        if parent in position and child != parent and not deferrable:
            parents[position[child]].add(position[parent])
    cursor.execute("SET CONSTRAINTS ALL DEFERRED")
    try:
        return list(TopologicalSorter(parents).static_order())
    except CycleError as error:
        names = " and ".join(manifest.tables[number].name for number in set(error.args[1]))
        raise SchemaError(
            f"The tables {names} refer to each other; nothing was changed. Let one of the keys "
            "wait, and restore again: ALTER TABLE … ALTER CONSTRAINT … DEFERRABLE"
        ) from error


@contextlib.contextmanager
def _without_triggers(cursor: Cursor[Any], manifest: Manifest) -> Iterator[None]:
    """Keep the lab's own triggers from changing what comes back."""
    names = {table.name for table in manifest.tables}
    found = [row for row in cursor.execute(_TRIGGERS).fetchall() if row[0] in names]
    change = SQL("ALTER TABLE {} {} TRIGGER {}")
    for table, trigger, _ in found:
        cursor.execute(change.format(Identifier(table), SQL("DISABLE"), Identifier(trigger)))
    yield
    for table, trigger, mode in found:
        cursor.execute(change.format(Identifier(table), _ENABLING[mode], Identifier(trigger)))


def _put_counters(cursor: Cursor[Any], manifest: Manifest) -> None:
    sequences = {counter.place: counter.name for counter in _counters(cursor)}
    for counter in manifest.counters:
        name = Identifier(sequences[counter.place])
        # setval alone would outlast a rollback; what RESTART has begun anew does not.
        cursor.execute(SQL("ALTER SEQUENCE {} RESTART").format(name))
        put = "SELECT setval(%s::regclass, %s, %s)"
        cursor.execute(put, (name.as_string(cursor), counter.last, counter.called))
