"""Give a table of a PostgreSQL database our columns and keys, in place."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Column, Connection, inspect, text
from sqlalchemy.schema import AddConstraint, CreateIndex, ForeignKeyConstraint, UniqueConstraint

from vrtracker.backends.table_conversion import TableConversion


def hold_tables(connection: Connection, names: list[str]) -> None:
    """Keep everybody off the tables until the end of the transaction."""
    quote = connection.dialect.identifier_preparer.quote_identifier
    listing = ", ".join(map(quote, names))
    connection.execute(text(f"LOCK TABLE {listing} IN ACCESS EXCLUSIVE MODE"))


@contextlib.contextmanager
def converting(connection: Connection, wanted: TableConversion) -> Iterator[None]:
    """Give the table our columns and types, and after the block our keys."""
    quote = connection.dialect.identifier_preparer.quote_identifier
    table = quote(wanted.table.name)
    for ours, name in wanted.found.items():
        if ours != name:
            _run(connection, f"ALTER TABLE {table} RENAME COLUMN {quote(name)} TO {quote(ours)}")
    changes = [
        change
        for column in wanted.table.c
        for change in _changes(connection, wanted, column, quote(column.name))
    ]
    if changes:
        _run(connection, f"ALTER TABLE {table} {', '.join(changes)}")
    yield
    required = [quote(column.name) for column in wanted.table.c if not column.nullable]
    forbidding = ", ".join(f"ALTER COLUMN {name} SET NOT NULL" for name in required)
    _run(connection, f"ALTER TABLE {table} {forbidding}")
    _put_keys(connection, wanted)
    _put_numbering(connection, wanted)


def _run(connection: Connection, statement: str) -> None:
    # The driver's own placeholder; names may hold it.
    connection.exec_driver_sql(statement.replace("%", "%%"))


def _changes(
    connection: Connection, wanted: TableConversion, column: Column[Any], name: str
) -> Iterator[str]:
    process = connection.dialect.type_compiler_instance.process
    kind = process(column.type)
    if column.name in wanted.missing:
        yield f"ADD COLUMN {name} {kind}"
        return
    if not column.primary_key:
        yield f"ALTER COLUMN {name} DROP NOT NULL"
    if column.name in wanted.retyped:
        yield f"ALTER COLUMN {name} DROP DEFAULT"
        yield f"ALTER COLUMN {name} TYPE {kind} USING NULL"
    elif process(wanted.types[column.name]) != kind:
        yield f"ALTER COLUMN {name} TYPE {kind}"


def _put_keys(connection: Connection, wanted: TableConversion) -> None:
    table = wanted.table
    inspector = inspect(connection)
    primary = inspector.get_pk_constraint(table.name)
    if primary["constrained_columns"] != [wanted.id_name]:
        if primary["name"]:
            quote = connection.dialect.identifier_preparer.quote_identifier
            drop = f"DROP CONSTRAINT {quote(primary['name'])}"
            _run(connection, f"ALTER TABLE {quote(table.name)} {drop}")
        connection.execute(AddConstraint(table.primary_key))
    linked = [key["constrained_columns"] for key in inspector.get_foreign_keys(table.name)]
    for constraint in sorted(table.constraints, key=lambda one: str(one.name)):
        is_new_link = (
            isinstance(constraint, ForeignKeyConstraint)
            and list(constraint.column_keys) not in linked
        )
        if is_new_link or isinstance(constraint, UniqueConstraint):
            connection.execute(AddConstraint(constraint))
    for index in sorted(table.indexes, key=lambda one: str(one.name)):
        connection.execute(CreateIndex(index))


def _put_numbering(connection: Connection, wanted: TableConversion) -> None:
    """Let the server count on after the highest number."""
    quote = connection.dialect.identifier_preparer.quote_identifier
    table, column = quote(wanted.table.name), quote(wanted.id_name)
    names = {"table": table, "column": wanted.id_name}
    found = text("SELECT pg_get_serial_sequence(:table, :column)")
    if connection.scalar(found, names) is None:
        sequence = quote(f"{wanted.table.name}_{wanted.id_name}_seq")
        _run(connection, f"CREATE SEQUENCE {sequence} AS integer OWNED BY {table}.{column}")
        default = f"nextval('{sequence}')"
        _run(connection, f"ALTER TABLE {table} ALTER COLUMN {column} SET DEFAULT {default}")
    connection.execute(
        text(
            f"SELECT setval(pg_get_serial_sequence(:table, :column), max({column})) FROM {table}"  # noqa: S608
        ),
        names,
    )
