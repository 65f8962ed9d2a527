"""Give a table of an Access file our columns and keys, through Jackcess.

Columns are added in place; only where a column must become of another type or spelling is the
table written anew, under its name. Forms, queries and reports stay in either case.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from alembic.migration import MigrationContext
from sqlalchemy import Connection
from sqlalchemy.schema import ForeignKeyConstraint, UniqueConstraint

from vrtracker.backends.access import jackcess_ops as ops
from vrtracker.backends.access import rebuild
from vrtracker.backends.access.conversion import new_column
from vrtracker.backends.access.inspection import (
    Column,
    Table,
    read_relationships,
    read_table,
)
from vrtracker.backends.table_conversion import TableConversion

# A Single keeps what the lab wrote to the last digit; every reader shows it as it was.
_KEPT_KINDS = {("FLOAT", "DOUBLE")}


@contextlib.contextmanager
def converting(connection: Connection, wanted: TableConversion) -> Iterator[None]:
    """Give the table our columns, types and number, and after the block our keys."""
    opened: Any = connection.connection.dbapi_connection
    opened.alter(lambda file: _loosen(connection.dialect, file, wanted))
    yield
    opened.alter(lambda file: _settle(file, wanted))
    impl = MigrationContext.configure(connection).impl
    for constraint in sorted(wanted.table.constraints, key=lambda one: str(one.name)):
        if isinstance(constraint, UniqueConstraint) or (
            isinstance(constraint, ForeignKeyConstraint) and not _is_linked(opened, constraint)
        ):
            impl.add_constraint(constraint)
    for index in sorted(wanted.table.indexes, key=lambda one: str(one.name)):
        impl.create_index(index)


def _loosen(dialect: Any, file: Any, wanted: TableConversion) -> None:
    name = wanted.table.name
    found = read_table(file.getTable(name))
    by_name = {column.name: column for column in found.columns}
    change = rebuild.Change(
        columns={
            old: definition
            for ours, old in wanted.found.items()
            if (definition := _changed(dialect, wanted, ours, by_name[old])) is not None
        },
        renamed={old: ours for ours, old in wanted.found.items() if old != ours},
        emptied=frozenset(wanted.found[ours] for ours in wanted.retyped),
        drop_indexes=frozenset(_other_primary_keys(found, wanted)),
    )
    if change != rebuild.Change():
        rebuild.rebuild(file, name, change)
    for missing in wanted.missing:
        column = new_column(dialect, wanted.table.c[missing])
        ops.add_column(file, name, ops.loosened(column))
    # Before the rows are written to: without it, each is looked for from the first row on.
    if not any(index.primary for index in read_table(file.getTable(name)).indexes):
        key = str(wanted.table.primary_key.name)
        ops.add_index(file, name, ops.NewIndex(key, (wanted.id_name,), unique=True, primary=True))


def _changed(
    dialect: Any, wanted: TableConversion, ours: str, found: Column
) -> ops.NewColumn | None:
    """Return how a column is to be defined, or None where it is right."""
    column = wanted.table.c[ours]
    is_id = ours == wanted.id_name
    definition = ops.loosened(new_column(dialect, column, autonumber=is_id))
    same_kind = found.kind == definition.kind or (found.kind, definition.kind) in _KEPT_KINDS
    same_length = definition.kind != "TEXT" or found.length == definition.length
    if same_kind and same_length and found.autonumber == is_id and not found.required:
        return None
    if same_kind and definition.kind != "TEXT":
        # Only a rule goes; the type is the lab's own.
        return ops.NewColumn(name=ours, kind=found.kind, autonumber=is_id)
    return definition


def _other_primary_keys(found: Table, wanted: TableConversion) -> Iterator[str]:
    own = wanted.found[wanted.id_name]
    return (index.name for index in found.indexes if index.primary and index.columns != (own,))


def _settle(file: Any, wanted: TableConversion) -> None:
    """Forbid NULL where we do."""
    table = file.getTable(wanted.table.name)
    for column in wanted.table.c:
        found = table.getColumn(column.name)
        is_tick_box = str(found.getType().name()) == "BOOLEAN"
        if not column.nullable and not is_tick_box and not found.isAutoNumber():
            ops.require(found)


def _is_linked(opened: Any, constraint: ForeignKeyConstraint) -> bool:
    file = opened.java.getDbIO()
    table = file.getTable(str(constraint.parent.name))
    columns = tuple(str(name) for name in constraint.column_keys)
    return any(
        link.enforced and link.child == str(table.getName()) and link.child_columns == columns
        for link in read_relationships(file, table)
    )
