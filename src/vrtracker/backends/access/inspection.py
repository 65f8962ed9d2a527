"""What an Access file holds, as Jackcess reads it from the file's own catalogue."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Column:
    """One column; `kind` is Jackcess's name of the type, `length` in characters or bytes."""

    name: str
    kind: str
    length: int
    precision: int
    scale: int
    autonumber: bool
    required: bool
    calculated: bool


@dataclass(frozen=True)
class Index:
    """One index; that of a foreign key has the name of its relationship."""

    name: str
    columns: tuple[str, ...]
    unique: bool
    primary: bool
    foreign: bool
    ignore_nulls: bool
    required: bool


@dataclass(frozen=True)
class Relationship:
    """One relationship, from the parent (referred to) to the child."""

    name: str
    parent: str
    parent_columns: tuple[str, ...]
    child: str
    child_columns: tuple[str, ...]
    enforced: bool
    cascade_updates: bool
    cascade_deletes: bool


@dataclass(frozen=True)
class Table:
    """One table; `rows` is the count that the file's header states."""

    name: str
    columns: tuple[Column, ...]
    indexes: tuple[Index, ...]
    rows: int


def own_tables(database: Any) -> list[str]:
    """Return the names of an open Jackcess database's tables, but Access's own and links."""
    return [name for name, metadata in _tables(database) if not metadata.isLinked()]


def linked_tables(database: Any) -> dict[str, str]:
    """Return where the tables are that the file only has links to, by name in small letters."""
    return {
        name.casefold(): str(metadata.getLinkedDbName() or "another database")
        for name, metadata in _tables(database)
        if metadata.isLinked()
    }


def _tables(database: Any) -> Iterator[tuple[str, Any]]:
    # A link cannot be opened where its file is missing; its entry in the catalogue can be read.
    for name in database.getTableNames():
        yield str(name), database.getTableMetaData(name)


def read_table(table: Any) -> Table:
    """Read the definition of an open Jackcess table."""
    return Table(
        name=str(table.getName()),
        columns=tuple(_read_column(column) for column in table.getColumns()),
        indexes=tuple(_read_index(index) for index in table.getIndexes()),
        rows=int(table.getRowCount()),
    )


def _read_column(column: Any) -> Column:
    return Column(
        name=str(column.getName()),
        kind=str(column.getType().name()),
        length=int(column.getLengthInUnits()),
        precision=int(column.getPrecision()),
        scale=int(column.getScale()),
        autonumber=bool(column.isAutoNumber()),
        required=_is_set(column.getProperties().getValue("Required")),
        calculated=bool(column.isCalculated()),
    )


def _is_set(flag: Any) -> bool:
    return flag is not None and bool(flag.booleanValue())


def _read_index(index: Any) -> Index:
    return Index(
        name=str(index.getName()),
        columns=tuple(str(column.getName()) for column in index.getColumns()),
        unique=bool(index.isUnique()),
        primary=bool(index.isPrimaryKey()),
        foreign=bool(index.isForeignKey()),
        ignore_nulls=bool(index.shouldIgnoreNulls()),
        required=bool(index.isRequired()),
    )


def read_relationships(database: Any, table: Any = None) -> tuple[Relationship, ...]:
    """Read the relationships of an open Jackcess database, or those of one of its tables."""
    found = database.getRelationships() if table is None else database.getRelationships(table)
    return tuple(_read_relationship(relationship) for relationship in found)


def _read_relationship(found: Any) -> Relationship:
    return Relationship(
        name=str(found.getName()),
        parent=str(found.getFromTable().getName()),
        parent_columns=tuple(str(column.getName()) for column in found.getFromColumns()),
        child=str(found.getToTable().getName()),
        child_columns=tuple(str(column.getName()) for column in found.getToColumns()),
        enforced=bool(found.hasReferentialIntegrity()),
        cascade_updates=bool(found.cascadeUpdates()),
        cascade_deletes=bool(found.cascadeDeletes()),
    )
