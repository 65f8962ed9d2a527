"""Writing a table of an Access file anew, where Jackcess cannot change it in place.

The new table is made beside the old one, filled, and takes over its name; the old one leaves
the catalogue. Forms, queries and reports refer to tables by name and stay as they are.
Relationships are kept on both sides by the position of the table in the file, so all tables
that hang together by relationships are written anew together.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from vrtracker.backends.access import catalogue, jvm
from vrtracker.backends.access import jackcess_ops as ops
from vrtracker.backends.access.inspection import (
    Column,
    Index,
    Relationship,
    Table,
    read_relationships,
    read_table,
)
from vrtracker.backends.access.table_objects import hold_tables
from vrtracker.errors import BackendError

_COMPLEX = "COMPLEX_TYPE"


@dataclass(frozen=True)
class Change:
    """What becomes of one table; names not mentioned stay as they are.

    `columns` replaces definitions by (old) name, `renamed` maps old to new names. `emptied`
    columns (old names) have NULL in every row afterwards: their values do not fit the new type.
    """

    drop_columns: frozenset[str] = frozenset()
    columns: dict[str, ops.NewColumn] = field(default_factory=dict)
    renamed: dict[str, str] = field(default_factory=dict)
    emptied: frozenset[str] = frozenset()
    drop_indexes: frozenset[str] = frozenset()
    add_indexes: tuple[ops.NewIndex, ...] = ()
    drop_relationships: frozenset[str] = frozenset()


def rebuild(database: Any, table: str, change: Change) -> dict[str, int]:
    """Write a table anew, with those related to it, and return the rows copied by table.

    Raises BackendError if a table holds attachments or multi-valued columns, or a copy has another
    row count.
    """
    members = _related(database, table)
    links = _links(database, members)
    counts = {}
    for name in members:
        applied = change if name.casefold() == table.casefold() else Change()
        counts[name] = _replace(database, name, applied)
    for link in links:
        kept = _changed_link(link, table, change)
        if kept is not None:
            ops.add_relationship(database, kept)
    return counts


def drop_table(database: Any, table: str) -> None:
    """Remove a table with its relationships; those related to it are written anew."""
    members = _related(database, table)
    links = _links(database, members)
    folded = table.casefold()
    for name in members:
        if name.casefold() != folded:
            _replace(database, name, Change())
    catalogue.forget(database, table)
    for link in links:
        if folded not in (link.parent.casefold(), link.child.casefold()):
            ops.add_relationship(database, link)


def rename_table(database: Any, table: str, new_name: str) -> None:
    """Give a table another name; saved queries and forms that use the old one do not follow."""
    links = _links(database, [table])
    members = _related(database, table)
    others = [link for link in _links(database, members) if link not in links]
    for name in members:
        _replace(database, name, Change())
    catalogue.set_name(database, table, new_name)
    for link in [*links, *others]:
        ops.add_relationship(
            database,
            replace(
                link,
                parent=new_name if link.parent.casefold() == table.casefold() else link.parent,
                child=new_name if link.child.casefold() == table.casefold() else link.child,
            ),
        )


def _related(database: Any, table: str) -> list[str]:
    """Return the table and all that relationships tie to it, however far."""
    found = [str(database.getTable(table).getName())]
    links = read_relationships(database)
    for name in found:
        for link in links:
            if name in (link.parent, link.child):
                found.extend({link.parent, link.child}.difference(found))
    return found


def _links(database: Any, members: Iterable[str]) -> list[Relationship]:
    names = set(members)
    return [
        link for link in read_relationships(database) if link.parent in names or link.child in names
    ]


def _changed_link(link: Relationship, table: str, change: Change) -> Relationship | None:
    if link.name in change.drop_relationships:
        return None
    parent, child = link.parent_columns, link.child_columns
    if link.parent.casefold() == table.casefold():
        if change.drop_columns.intersection(parent):
            return None
        parent = tuple(change.renamed.get(name, name) for name in parent)
    if link.child.casefold() == table.casefold():
        if change.drop_columns.intersection(child):
            return None
        child = tuple(change.renamed.get(name, name) for name in child)
    return replace(link, parent_columns=parent, child_columns=child)


def _replace(database: Any, name: str, change: Change) -> int:
    old = database.getTable(name)
    definition = read_table(old)
    _check_copyable(definition)
    builder = jvm.java(f"{ops.PACKAGE}.TableBuilder")(catalogue.temporary_name())
    mapping = {}
    for column in definition.columns:
        if column.name in change.drop_columns:
            continue
        mapping[column.name] = change.renamed.get(column.name, column.name)
        builder.addColumn(_column_builder(old, column, change))
    for index in _indexes(definition, change):
        builder.addIndex(ops.index_builder(index))
    new = builder.toTable(database)
    kept = {source: target for source, target in mapping.items() if source not in change.emptied}
    copied = ops.copy_rows(old, new, kept)
    if copied != int(old.getRowCount()) or copied != int(new.getRowCount()):
        raise BackendError(
            f"The copy of table {name} has {new.getRowCount()} rows, the table "
            f"{old.getRowCount()}. "
            "Go back to the file from before, and let Access compact and repair it first."
        )
    properties = {column: list(old.getColumn(column).getProperties()) for column in mapping}
    own = list(old.getProperties())
    catalogue.forget(database, name)
    catalogue.set_name(database, str(new.getName()), name)
    hold_tables(database)
    _put_properties(database.getTable(name), own, properties, mapping, change)
    return copied


def _check_copyable(definition: Table) -> None:
    special = [
        column.name for column in definition.columns if column.kind == _COMPLEX or column.calculated
    ]
    if special:
        raise BackendError(
            f"Table {definition.name} has attachments, multi-valued or calculated columns "
            f"({', '.join(special)}), which cannot be written anew. Change it in Access."
        )


def _column_builder(old: Any, column: Column, change: Change) -> Any:
    if column.name in change.columns:
        return ops.column_builder(change.columns[column.name])
    name = change.renamed.get(column.name, column.name)
    # From the old one, so that what has no name here (compression, hyperlinks) comes along.
    builder = jvm.java(f"{ops.PACKAGE}.ColumnBuilder")(name)
    builder.withFromColumn(old.getColumn(column.name))
    if builder.getProperties() is not None:
        builder.getProperties().clear()
    return builder


def _indexes(definition: Table, change: Change) -> list[ops.NewIndex]:
    kept = [
        ops.NewIndex(
            name=index.name,
            columns=tuple(change.renamed.get(name, name) for name in index.columns),
            unique=index.unique,
            primary=index.primary,
        )
        for index in definition.indexes
        if _survives(index, change)
    ]
    return [*kept, *change.add_indexes]


def _survives(index: Index, change: Change) -> bool:
    # That of a relationship comes back with the relationship.
    if index.foreign or index.name in change.drop_indexes:
        return False
    return not change.drop_columns.intersection(index.columns)


def _put_properties(
    new: Any,
    own: list[Any],
    properties: dict[str, list[Any]],
    mapping: dict[str, str],
    change: Change,
) -> None:
    for entry in own:
        _put(new.getProperties(), entry)
    for source, entries in properties.items():
        target = new.getColumn(mapping[source]).getProperties()
        replaced = change.columns.get(source)
        for entry in entries:
            if replaced is None or str(entry.getName()) != "Required":
                _put(target, entry)
        if replaced is not None and replaced.required:
            ops.put_required(target)
    # One write for all, each writes the whole set.
    new.getProperties().save()


def _put(properties: Any, entry: Any) -> None:
    properties.put(entry.getName(), entry.getType(), entry.getValue(), entry.isDdl())
