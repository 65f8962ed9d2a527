"""Tables made and dropped as a whole, through Alembic's operations, which every database knows."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.operations.ops import CreateIndexOp, CreateTableOp
from sqlalchemy import Connection, inspect

from vrtracker.database.engines import Database
from vrtracker.database.migration import migrate
from vrtracker.database.structure import Structure, read_structure
from vrtracker.database.versions import require_current
from vrtracker.errors import InvalidValueError, UnknownNameError
from vrtracker.models import Base


def create_tables(database: Database, names: Collection[str] | None = None) -> list[str]:
    """Make those of the tracker's tables that are missing; return their names, parents first.

    `names`: which; all when not given. Raises UnknownNameError if one is no table of the tracker's.
    Raises SchemaError if the database is not at the newest revision.
    """
    known = Base.metadata.tables
    for name in names or ():
        if name not in known:
            raise UnknownNameError("table", name, known)
    require_current(database)
    there = set(_structure(database).names)
    wanted = known.keys() if names is None else set(names)
    missing = [t for t in Base.metadata.sorted_tables if t.name in wanted and t.name not in there]
    if not missing:
        return []
    with database.changing_schema() as connection:
        operations = _operations(connection)
        for table in missing:
            operations.invoke(CreateTableOp.from_table(table))
            made = {index["name"] for index in inspect(connection).get_indexes(table.name)}
            for index in table.indexes:
                if index.name not in made:
                    operations.invoke(CreateIndexOp.from_index(index))
    return [table.name for table in missing]


def drop_tables(database: Database, names: Sequence[str]) -> list[str]:
    """Drop tables with all their rows, the lab's own too; return their names, children first.

    Raises UnknownNameError if there is no such table. Raises InvalidValueError if a table that
    stays refers to one of them.
    """
    found = _structure(database)
    for name in names:
        if name not in found.names:
            raise UnknownNameError("table", name, found.names)
    staying = [
        f"the table {table.name}, which refers to {key.column.table.name}"
        for table in found.tables
        for key in table.foreign_keys
        if table.name not in names and key.column.table.name in names
    ]
    if staying:
        raise InvalidValueError(f"{', '.join(staying)} would stay; drop it too, or neither.")
    ordered = [name for name in reversed(found.names) if name in names]
    with database.changing_schema(rewritten=names) as connection:
        for name in ordered:
            _operations(connection).drop_table(name)
    return ordered


def remake(database: Database) -> None:
    """Drop all tables, the lab's own too, and make the tracker's anew, in one step."""
    found = _structure(database)
    if found.problems:
        raise InvalidValueError(
            f"{database} holds what stands in the way: {'; '.join(found.problems)}. Drop it first."
        )
    with database.changing_schema(rewritten=found.names) as connection:
        operations = _operations(connection)
        for name in [*reversed(found.names), "alembic_version"]:
            if inspect(connection).has_table(name):
                operations.drop_table(name)
        migrate(connection)


def _structure(database: Database) -> Structure:
    with database.connect(readonly=True) as connection:
        return read_structure(connection, database.backend, same_kind=True)


def _operations(connection: Connection) -> Operations:
    return Operations(MigrationContext.configure(connection))
