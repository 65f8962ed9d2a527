"""Changes to the schema of an Access file, by Jackcess.

Every function takes an open Jackcess database: that of `opened` on a closed file, or the one
that `ucanaccess.Connection.alter` hands over. Jackcess adds tables, columns, indexes and
relationships, but removes none: for that, `rebuild` writes the table anew (see `rebuild.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vrtracker.backends.access import catalogue, jvm
from vrtracker.backends.access.inspection import (
    Relationship,
    Table,
    own_tables,
    read_relationships,
    read_table,
)
from vrtracker.backends.access.java_errors import from_java
from vrtracker.backends.access.table_objects import hold_tables, release_tables
from vrtracker.errors import BackendError, DatabaseUnavailableError

PACKAGE = "io.github.spannm.jackcess"
COPY_BATCH = 1000


@dataclass(frozen=True)
class NewColumn:
    """A column to make; `kind` is Jackcess's name of the type, `length` in characters."""

    name: str
    kind: str
    length: int = 0
    precision: int = 0
    scale: int = 0
    autonumber: bool = False
    required: bool = False


@dataclass(frozen=True)
class NewIndex:
    """An index to make."""

    name: str
    columns: tuple[str, ...]
    unique: bool = False
    primary: bool = False


@contextmanager
def opened(path: Path, *, readonly: bool = False) -> Iterator[Any]:
    """Open a file that no connection of this process has open, and close it afterwards.

    Raises DatabaseUnavailableError if there is no such file. Raises BackendError if Jackcess
    refused; the cause says why.
    """
    if not path.is_file():
        raise DatabaseUnavailableError(f"There is no file {path}.")
    with _translated(path, readonly=readonly):
        builder = jvm.java(f"{PACKAGE}.DatabaseBuilder")(jvm.java("java.io.File")(str(path)))
        database = builder.withReadOnly(readonly).withAutoSync(False).open()  # noqa: FBT003
        try:
            prepare(database)
            if not readonly:
                hold_tables(database)
            yield database
        finally:
            release_tables(database)
            database.close()


def prepare(database: Any) -> None:
    """Let dates pass as wall-clock times, and let rows be written in any order of tables."""
    database.setDateTimeType(jvm.java(f"{PACKAGE}.DateTimeType").LOCAL_DATE_TIME)
    database.setEnforceForeignKeys(False)  # a Java method


@contextmanager
def _translated(path: Path, *, readonly: bool) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if not hasattr(error, "getMessage"):
            raise
        remedy = (
            "Nothing was changed; let Access compact and repair it, then try again."
            if readonly
            else "The file was left as far as it had got; go back to the copy from before."
        )
        raise BackendError(f"{path}: {from_java(error)}. {remedy}") from error


def list_tables(database: Any) -> tuple[Table, ...]:
    """Return the definitions of all tables but Access's own and links to other files."""
    return tuple(read_table(database.getTable(name)) for name in own_tables(database))


def relationships(database: Any) -> tuple[Relationship, ...]:
    """Return all relationships."""
    return read_relationships(database)


def create_table(
    database: Any, name: str, columns: Sequence[NewColumn], indexes: Iterable[NewIndex] = ()
) -> Any:
    """Make a table and return it."""
    temporary = catalogue.temporary_name()
    builder = jvm.java(f"{PACKAGE}.TableBuilder")(temporary)
    for column in columns:
        builder.addColumn(column_builder(column))
    for index in indexes:
        builder.addIndex(index_builder(index))
    builder.toTable(database)
    catalogue.set_name(database, temporary, name)
    table = database.getTable(name)
    required = [column.name for column in columns if column.required and not column.autonumber]
    for column_name in required:
        put_required(table.getColumn(column_name).getProperties())
    if required:
        table.getProperties().save()
    hold_tables(database)
    return table


def loosened(column: NewColumn) -> NewColumn:
    """Return the definition of a column that lets NULL pass."""
    return replace(column, required=False)


def column_builder(column: NewColumn) -> Any:
    """Return Jackcess's builder of a column."""
    kind = getattr(jvm.java(f"{PACKAGE}.DataType"), column.kind)
    builder = jvm.java(f"{PACKAGE}.ColumnBuilder")(column.name, kind)
    if column.autonumber:
        builder.withAutoNumber(True)  # noqa: FBT003  # a Java method
    if column.length:
        builder.withLengthInUnits(column.length)
    if column.kind == "NUMERIC":
        builder.withPrecision(column.precision).withScale(column.scale)
    return builder


def index_builder(index: NewIndex) -> Any:
    """Return Jackcess's builder of an index."""
    builder = jvm.java(f"{PACKAGE}.IndexBuilder")(index.name)
    builder.withColumns(*index.columns)
    if index.primary:
        builder.withPrimaryKey()
    elif index.unique:
        builder.withUnique()
    return builder


def require(column: Any) -> None:
    """Forbid NULL in a column that has none."""
    properties = column.getProperties()
    put_required(properties)
    properties.save()


def put_required(properties: Any) -> None:
    """Note in the properties of a column that it forbids NULL, without writing them yet."""
    yes = jvm.java("java.lang.Boolean").TRUE
    properties.put("Required", jvm.java(f"{PACKAGE}.DataType").BOOLEAN, yes)


def add_column(database: Any, table: str, column: NewColumn) -> None:
    """Add a column at the end; existing rows have NULL in it (False in a Yes/No column)."""
    added = column_builder(column).addToTable(database.getTable(table))
    if column.required:
        require(added)


def add_index(database: Any, table: str, index: NewIndex) -> None:
    """Add an index, which the rows must satisfy."""
    index_builder(index).addToTable(database.getTable(table))


def add_relationship(database: Any, relationship: Relationship) -> None:
    """Add a relationship; an enforced one needs a unique index on the parent's columns."""
    builder = jvm.java(f"{PACKAGE}.RelationshipBuilder")(
        database.getTable(relationship.parent), database.getTable(relationship.child)
    )
    pairs = zip(relationship.parent_columns, relationship.child_columns, strict=True)
    for parent_column, child_column in pairs:
        builder.addColumns(parent_column, child_column)
    if relationship.enforced:
        builder.withReferentialIntegrity()
    if relationship.cascade_updates:
        builder.withCascadeUpdates()
    if relationship.cascade_deletes:
        builder.withCascadeDeletes()
    if relationship.name:
        builder.withName(relationship.name)
    builder.toRelationship(database)


def copy_rows(source: Any, destination: Any, columns: Mapping[str, str] | None = None) -> int:
    """Copy all rows between two open tables, autonumbers as they are; return how many.

    `columns`: name in the destination by name in the source; default: the names that both have.
    """
    mapping = columns or _shared_columns(source, destination)
    destination.setAllowAutoNumberInsert(True)  # a Java method
    new_row = jvm.java("java.util.LinkedHashMap")
    batch = jvm.java("java.util.ArrayList")()
    count = 0
    for row in source:
        values = new_row()
        for old, new in mapping.items():
            values.put(new, row.get(old))
        batch.add(values)
        count += 1
        if count % COPY_BATCH == 0:
            destination.addRowsFromMaps(batch)
            batch.clear()
    destination.addRowsFromMaps(batch)
    destination.setAllowAutoNumberInsert(None)
    return count


def _shared_columns(source: Any, destination: Any) -> dict[str, str]:
    there = {str(column.getName()).casefold(): column for column in destination.getColumns()}
    shared = {}
    for column in source.getColumns():
        name = str(column.getName())
        match = there.get(name.casefold())
        if match is not None and not match.isCalculated():
            shared[name] = str(match.getName())
    return shared


def next_autonumber(database: Any, table: str) -> int | None:
    """Return the number that the next new row gets, or None without an autonumber."""
    for column in database.getTable(table).getColumns():
        if column.isAutoNumber() and str(column.getType().name()) == "LONG":
            return int(str(column.getAutoNumberGenerator().getLast())) + 1
    return None


def raise_last_autonumber(database: Any, table: str, last: int) -> None:
    """Let the next new row get a number above `last`; a row that is written saves it."""
    opened = database.getTable(table)
    field = opened.getClass().getDeclaredField("_lastLongAutoNumber")
    field.setAccessible(True)  # a Java method
    field.setInt(opened, max(last, int(field.getInt(opened))))
