"""Read a lab's own tables as they are, and write what adoption changes in them."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, MetaData, Table, bindparam, insert, inspect, select, update
from sqlalchemy import column as any_column
from sqlalchemy import table as any_table
from sqlalchemy.exc import SAWarning
from sqlalchemy.types import TypeEngine

from vrtracker import operations
from vrtracker.backends.table_conversion import TableConversion
from vrtracker.database.tables import LAB_TABLES
from vrtracker.models import Base
from vrtracker.repositories.events import NewEvent

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class FoundTable:
    """One of the lab's two tables.

    `conversion`: our table, and which of its columns were found, spelled how. `unknown`: columns
    that are the lab's alone. `rows`: the rows, values as the driver gives them, columns of ours by
    our names.
    """

    conversion: TableConversion
    unknown: tuple[str, ...]
    rows: list[Row] = field(repr=False)

    @property
    def table(self) -> Table:
        """Our table."""
        return self.conversion.table


@dataclass(frozen=True, slots=True)
class Holding:
    """What a database holds.

    `tables`: the lab's two tables by name, without those that are missing.
    `wanted`: our definitions of both.
    `unknown`: tables that are the lab's alone.
    `taken`: tables that have the name of one of the tracker's own, in whatever case of letters.
    `linked`: of the tables with names of ours, those that are in another file, and where that is.
    `respelled`: those of the lab's two tables that are there in another case of letters: spelled
        how.
    """

    tables: Mapping[str, FoundTable]
    wanted: Mapping[str, Table]
    unknown: tuple[str, ...]
    taken: tuple[str, ...]
    linked: Mapping[str, str]
    respelled: Mapping[str, str]


def read_holding(connection: Connection, linked: Mapping[str, str]) -> Holding:
    """Read the definitions and all rows of the lab's two tables, but for linked ones."""
    names = inspect(connection).get_table_names()
    metadata = MetaData(naming_convention=Base.metadata.naming_convention)
    wanted = {name: Base.metadata.tables[name].to_metadata(metadata) for name in LAB_TABLES}
    tables = {name: _read(connection, wanted[name]) for name in LAB_TABLES if name in names}
    others = sorted(set(names) - set(LAB_TABLES) - {"alembic_version"})
    respelled = {
        name: spelled
        for spelled in others
        for name in LAB_TABLES
        if name == spelled.casefold() and name not in tables
    }
    ours = set(Base.metadata.tables)
    taken = [name for name in others if name.casefold() in ours - set(LAB_TABLES)]
    return Holding(
        tables=tables,
        wanted=wanted,
        unknown=tuple(name for name in others if name not in {*taken, *respelled.values()}),
        taken=tuple(taken),
        linked={name: linked[name] for name in sorted(ours & linked.keys())},
        respelled=respelled,
    )


def _read(connection: Connection, wanted: Table) -> FoundTable:
    with warnings.catch_warnings():
        # A type that SQLAlchemy does not know is the lab's business; the column stays.
        warnings.simplefilter("ignore", SAWarning)
        columns = inspect(connection).get_columns(wanted.name)
    there = {column["name"]: column["type"] for column in columns}
    found = _matched(wanted, there)
    types: dict[str, TypeEngine[Any]] = {ours: there[name] for ours, name in found.items()}
    unknown = tuple(name for name in there if name not in found.values())
    conversion = TableConversion(wanted, found, types)
    return FoundTable(conversion, unknown, _rows(connection, conversion, unknown))


def _matched(wanted: Table, there: Iterable[str]) -> dict[str, str]:
    """Return, for each of our columns that is there, how it is spelled."""
    by_fold = {name.casefold(): name for name in there}
    return {
        name: name if name in there else by_fold[name.casefold()]
        for name in wanted.c.keys()  # noqa: SIM118
        if name.casefold() in by_fold
    }


def _rows(connection: Connection, wanted: TableConversion, unknown: Sequence[str]) -> list[Row]:
    """Read without types: a column may hold what its type does not promise."""
    names = [*wanted.found, *unknown]
    spelled = [*wanted.found.values(), *unknown]
    statement: Any = select(*map(any_column, spelled)).select_from(any_table(wanted.table.name))
    if wanted.id_name in wanted.found:
        statement = statement.order_by(any_column(wanted.found[wanted.id_name]))
    return [dict(zip(names, row, strict=True)) for row in connection.execute(statement).all()]


def typed_rows(connection: Connection, table: Table, unknown: Sequence[str] = ()) -> dict[int, Row]:
    """Read the rows of an adopted table by number, as the tracker does."""
    names = [*table.c.keys(), *unknown]
    number = next(iter(table.primary_key.columns))
    statement = select(*table.c, *map(any_column, unknown)).select_from(table).order_by(number)
    rows = (dict(zip(names, row, strict=True)) for row in connection.execute(statement).all())
    return {row[number.name]: row for row in rows}


def stored(connection: Connection, table: Table) -> dict[str, Any]:
    """Return, for each column, what turns a value into what its driver is given."""
    return {
        column.name: column.type.dialect_impl(connection.dialect).bind_processor(connection.dialect)
        or (lambda value: value)
        for column in table.c
    }


def write(
    connection: Connection, table: Table, changes: Mapping[int, Row], new: Sequence[Row]
) -> None:
    """Set columns of rows by their number, and add rows."""
    number = next(iter(table.primary_key.columns))

    def columns_of(item: tuple[int, Row]) -> list[str]:
        return sorted(item[1])

    for names, group in itertools.groupby(sorted(changes.items(), key=columns_of), columns_of):
        if names:
            targets = {name: bindparam(f"new_{name}", type_=table.c[name].type) for name in names}
            statement = update(table).where(number == bindparam("row_number")).values(targets)
            connection.execute(
                statement,
                [
                    {"row_number": row, **{f"new_{name}": values[name] for name in names}}
                    for row, values in group
                ],
            )
    if new:
        connection.execute(insert(table), new)


def append_events(connection: Connection, events: Sequence[NewEvent]) -> None:
    """Append events to the history of a database that was made just now."""
    if events:
        shared = {"operation_id": operations.current() or operations.new_id()}
        rows = [event._asdict() | shared for event in events]
        connection.execute(insert(Base.metadata.tables["vrt_event"]), rows)
