"""The file's own list of objects, where Jackcess has no call for a change.

A row of the list that outgrows its place is moved, and after its deletion other readers can
still see the moved part (MDB Tools does). Hence rows are made with a long temporary name,
which leaves room, and are given a name of the kind that Access ignores before they go.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from vrtracker.backends.access.inspection import read_relationships
from vrtracker.backends.access.jvm import private_field, set_private_field
from vrtracker.errors import BackendError

# Values of MSysObjects.Type.
TABLE_TYPE = 1
RELATIONSHIP_TYPE = 8
# Access hides objects of this prefix, and removes them when it compacts the file.
DELETED_PREFIX = "~TMPCLP"


def temporary_name() -> str:
    """Return a name of 60 characters that no table has."""
    return f"vrt_new_{uuid.uuid4().hex}{'x' * 20}"


def forget(database: Any, name: str) -> None:
    """Take a table out of the catalogue; its pages stay until Access compacts the file."""
    table = database.getTable(name)
    for link in read_relationships(database, table):
        _act(database, link.name, RELATIONSHIP_TYPE, lambda cursor: _delete(database, cursor))
    identity = _act(database, name, TABLE_TYPE, lambda cursor: _delete(database, cursor))
    _delete_rows(database.getSystemTable("MSysACEs"), lambda row: row.get("ObjectId") == identity)
    folded = name.casefold()
    _delete_rows(
        database.getSystemTable("MSysRelationships"),
        lambda row: folded in (_text(row, "szObject"), _text(row, "szReferencedObject")),
    )
    _forget_cached(database, identity)


def set_name(database: Any, name: str, new_name: str) -> None:
    """Change the name of a table in the catalogue alone; its relationships must be gone."""
    identity = _act(database, name, TABLE_TYPE, lambda cursor: _rename(database, cursor, new_name))
    _forget_cached(database, identity)


def _rename(database: Any, cursor: Any, new_name: str) -> None:
    cursor.setCurrentRowValue(database.getSystemCatalog().getColumn("Name"), new_name)


def _delete(database: Any, cursor: Any) -> None:
    identity = int(str(cursor.getCurrentRow().get("Id"))) & 0xFFFFFFFF
    _rename(database, cursor, f"{DELETED_PREFIX}{identity:x}")
    cursor.deleteCurrentRow()


def _act(database: Any, name: str, kind: int, act: Callable[[Any], None]) -> Any:
    cursor = database.getSystemCatalog().getDefaultCursor()
    cursor.beforeFirst()
    folded = name.casefold()
    while (row := cursor.getNextRow()) is not None:
        if _text(row, "Name") == folded and int(str(row.get("Type"))) == kind:
            identity = row.get("Id")
            act(cursor)
            return identity
    raise BackendError(f"The file's catalogue has no {name}; let Access compact and repair it.")


def _delete_rows(table: Any, matches: Callable[[Any], bool]) -> None:
    cursor = table.getDefaultCursor()
    cursor.beforeFirst()
    while (row := cursor.getNextRow()) is not None:
        if matches(row):
            cursor.deleteCurrentRow()


def _text(row: Any, column: str) -> str:
    return str(row.get(column)).casefold()


def _forget_cached(database: Any, identity: Any) -> None:
    """Make an open Jackcess database forget one table, and the list of their names.

    The others stay: of a system table there must never be two objects, each with its own idea
    of which rows are deleted.
    """
    private_field(private_field(database, "mtableCache"), "_tables").remove(identity)
    private_field(database, "mtableLookup").clear()
    set_private_field(database, "mtableNames", None)
