"""Give a table of a SQLite file our columns and keys: SQLite can only write it anew."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy import Column, Connection, MetaData, Table, text
from sqlalchemy.schema import CreateIndex, CreateTable
from sqlalchemy.types import UserDefinedType

from vrtracker.backends.table_conversion import TableConversion
from vrtracker.errors import BackendError

_ASIDE = "vrt_set_aside"

Quote = Callable[[str], str]


class _Declared(UserDefinedType[Any]):
    """A type by the words with which somebody declared it."""

    cache_ok = True

    def __init__(self, words: str) -> None:
        self.words = words

    def get_col_spec(self, **kw: Any) -> str:
        """Return the words."""
        del kw
        return self.words


def hold_tables(connection: Connection) -> None:
    """Begin anew without foreign keys: they cannot be suspended inside a transaction."""
    raw: Any = connection.connection.driver_connection
    for statement in (
        "ROLLBACK",
        "PRAGMA foreign_keys = OFF",
        # Other tables, views and triggers refer to a table by its name, also while it is away.
        "PRAGMA legacy_alter_table = ON",
        "BEGIN IMMEDIATE",
    ):
        raw.execute(statement)


@contextlib.contextmanager
def converting(connection: Connection, wanted: TableConversion) -> Iterator[None]:
    """Hold the rows without any type or rule for the block, then put our table under them."""
    run, name = connection.exec_driver_sql, wanted.table.name
    quote: Quote = connection.dialect.identifier_preparer.quote_identifier
    own = _indexes_and_triggers(connection, name)
    table = _with_unknown(wanted, run(f"PRAGMA table_info({quote(name)})").fetchall())
    _move_aside(connection, name, quote)
    # An expression has no affinity: values stay what they are until they reach our columns.
    without_values = wanted.retyped.union(wanted.missing)
    columns = ", ".join(
        f"NULL AS {quote(column)}"
        if column in without_values
        else f"+{quote(wanted.found.get(column, column))} AS {quote(column)}"
        for column in table.c.keys()  # noqa: SIM118
    )
    run(f"CREATE TABLE {quote(name)} AS SELECT {columns} FROM {_ASIDE}")  # noqa: S608
    run(f"DROP TABLE {_ASIDE}")
    by_number = quote(f"vrt_by_{wanted.id_name}")
    run(f"CREATE INDEX {by_number} ON {quote(name)} ({quote(wanted.id_name)})")
    yield
    run(f"DROP INDEX {by_number}")
    _move_aside(connection, name, quote)
    connection.execute(CreateTable(table))
    names = ", ".join(map(quote, table.c.keys()))
    run(f"INSERT INTO {quote(name)} ({names}) SELECT {names} FROM {_ASIDE}")  # noqa: S608
    run(f"DROP TABLE {_ASIDE}")
    for index in sorted(table.indexes, key=lambda one: str(one.name)):
        connection.execute(CreateIndex(index))
    for statement in own:
        run(statement)
    if run(f"PRAGMA foreign_key_check({quote(name)})").first() is not None:
        raise BackendError(f"{name} would refer to rows that are not there; nothing was changed.")


def _move_aside(connection: Connection, name: str, quote: Quote) -> None:
    connection.exec_driver_sql(f"ALTER TABLE {quote(name)} RENAME TO {_ASIDE}")


def _indexes_and_triggers(connection: Connection, name: str) -> list[str]:
    rows = connection.exec_driver_sql(
        "SELECT sql FROM sqlite_master WHERE lower(tbl_name) = lower(?) "
        "AND type IN ('index', 'trigger') AND sql IS NOT NULL",
        (name,),
    )
    return [row[0] for row in rows]


def _with_unknown(wanted: TableConversion, declared: Any) -> Table:
    """Return our table with the columns that are the lab's alone, as the lab declared them."""
    # With its neighbours: a foreign key has to find what it refers to.
    metadata = MetaData(naming_convention=wanted.table.metadata.naming_convention)
    for each in wanted.table.metadata.tables.values():
        each.to_metadata(metadata)
    table = metadata.tables[wanted.table.name]
    known = set(wanted.found.values())
    for _, name, words, required, default, _ in declared:
        if name not in known:
            column: Column[Any] = Column(
                name,
                _Declared(words),
                nullable=not required,
                server_default=None if default is None else text(f"({default})"),
            )
            table.append_column(column)
    return table
