"""Which schema this vrtracker works with, and whether a database has it.

The revisions are listed here so that opening a database need not load Alembic; a test holds
the list to the migration scripts.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version

from sqlalchemy import Connection, column, inspect, table
from sqlalchemy.sql import Select, Update

from vrtracker.database.engines import Database
from vrtracker.database.tables import LAB_TABLES
from vrtracker.errors import (
    ForeignSchemaError,
    SchemaError,
    SchemaOutOfDateError,
    SchemaTooNewError,
)

REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008", "0009")
"""Every revision, oldest first."""
HEAD = REVISIONS[-1]
UNFINISHED = "copying"
"""What a copy that is being made in place says in place of its revision."""

_VERSION_TABLE = table("alembic_version", column("version_num"))


def current_revision(database: Database) -> str | None:
    """Return the revision that the database says it is at, None if it says nothing."""
    if "alembic_version" not in _table_names(database):
        return None
    with database.connect(readonly=True) as connection:
        return connection.scalar(Select(_VERSION_TABLE.c.version_num))


def set_revision(connection: Connection, revision: str) -> None:
    """Write which revision a database is at, when it has its tables."""
    connection.execute(Update(_VERSION_TABLE).values(version_num=revision))


def is_empty(database: Database) -> bool:
    """Return whether the database holds no tables at all, and no links to any."""
    return not _table_names(database) and not _linked(database)


def require_current(database: Database) -> None:
    """Raise the SchemaError that says what to do, unless the schema is this version's."""
    if current_revision(database) == HEAD:
        return
    tables = _table_names(database)
    # Asked behind the tables, which another process may be making right now, all at once.
    found = current_revision(database)
    if found == HEAD:
        return
    if found == UNFINISHED:
        raise SchemaError(
            f"{database} is a copy that is not whole yet. Go on with it: "
            f"vrtracker clone SRC {database} --resume"
        )
    if found in REVISIONS:
        raise SchemaOutOfDateError(found, HEAD, _command(database, "db upgrade"))
    linked = _linked(database)
    for name in LAB_TABLES:
        if name in linked:
            raise ForeignSchemaError(
                f"In {database}, {name} is linked to {linked[name]}; give that file."
            )
    names = (tables | linked.keys()) - {"alembic_version"}
    if found is not None and set(LAB_TABLES) <= names:
        raise SchemaTooNewError(found, HEAD, version("vrtracker"))
    if not names:
        raise SchemaOutOfDateError(None, HEAD, _command(database, "init"))
    listing = ", ".join(sorted(names)[:5])
    if not {name.casefold() for name in names}.isdisjoint(LAB_TABLES):
        raise ForeignSchemaError(
            f"{database} holds the lab's tables ({listing}), but not the tracker's. Take it into "
            f"the tracker: vrtracker db adopt {database}"
        )
    raise ForeignSchemaError(
        f"{database} is not a tracker's database: it holds {listing}. Give the right one, or make "
        "a new one at another path: vrtracker --url NEW.db init"
    )


def _table_names(database: Database) -> set[str]:
    with database.connect(readonly=True) as connection:
        return set(inspect(connection).get_table_names())


def _linked(database: Database) -> Mapping[str, str]:
    with database.connect(readonly=True) as connection:
        return database.backend.linked_tables(connection)


def _command(database: Database, verb: str) -> str:
    return f"vrtracker --url {database} {verb}"
