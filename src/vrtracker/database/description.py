"""The tables of a database in words, as data or as a page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Table

from vrtracker.database.engines import Database
from vrtracker.database.structure import portable
from vrtracker.database.versions import HEAD
from vrtracker.models import Base


@dataclass(frozen=True, slots=True)
class ColumnFacts:
    """A column."""

    name: str
    type: str
    """In words that hold for every database: text of 255 letters, date, tick box."""
    optional: bool
    """Whether a value may be missing."""
    key: bool
    """Whether it is, or is part of, the primary key."""
    refers_to: str | None
    """``table.column`` of what it names."""
    comment: str | None
    """What it holds, with its unit; None for a column of the lab's own."""


@dataclass(frozen=True, slots=True)
class TableFacts:
    """A table, parents before children."""

    name: str
    comment: str
    columns: tuple[ColumnFacts, ...]


_WORDS = {
    "BOOLEAN": "tick box",
    "INTEGER": "number",
    "BIGINT": "number",
    "SMALLINT": "number",
    "DOUBLE": "floating-point number",
    "DATETIME": "time",
    "DATE": "date",
    "TIME": "time of day",
    "TEXT": "long text",
    "BLOB": "bytes",
}
_OURS = {"UTCTime": "time, UTC", "LabTime": "time, the lab's clock", "CalendarDate": "date"}
_OURS |= {"JSONText": "JSON, in a long text"}


def schema_description(database: Database | None = None) -> list[TableFacts]:
    """Return what the tracker's tables hold: columns, types, units, what refers to what.

    `database`: its columns that the lab has added are told too.
    """
    tables = Base.metadata if database is None else database.tables.sessions.metadata
    classes = [mapper.class_ for mapper in Base.registry.mappers]
    comments = {each.__tablename__: str(each.__doc__).partition("\n")[0] for each in classes}
    return [
        TableFacts(table.name, comments[table.name], tuple(map(_facts, table.c)))
        for table in tables.sorted_tables
    ]


def _facts(column: Column[Any]) -> ColumnFacts:
    refers = next((f"{_table(key)}.{key.column.name}" for key in column.foreign_keys), None)
    return ColumnFacts(
        name=column.name,
        type=_type(column),
        optional=bool(column.nullable),
        key=column.primary_key,
        refers_to=refers,
        comment=column.doc,
    )


def _table(key: Any) -> str:
    table: Table = key.column.table
    return str(table.name)


def _type(column: Column[Any]) -> str:
    ours = _OURS.get(type(column.type).__name__)
    if ours is not None:
        return ours
    kind: Any = portable(column.type) or column.type
    name = str(getattr(kind, "__visit_name__", kind)).upper()
    length = getattr(kind, "length", None)
    if name in {"STRING", "VARCHAR"} and length:
        return f"text of {length} letters"
    return _WORDS.get(name, name.lower().replace("_", " "))


def as_markdown(tables: list[TableFacts]) -> str:
    """Return a page in Markdown: a diagram of what refers to what (Mermaid), then each table."""
    lines = [f"# Tables of vrtracker, revision {HEAD}", "", "```mermaid", "erDiagram"]
    for table in tables:
        for column in table.columns:
            if column.refers_to is not None:
                parent = column.refers_to.partition(".")[0]
                lines.append(f'    {parent} ||--o{{ {table.name} : "{column.name}"')
    lines.append("```")
    for table in tables:
        lines += ["", f"## {table.name}", "", table.comment, ""]
        lines += ["| column | type | may be missing | holds |", "|---|---|---|---|"]
        for column in table.columns:
            told = [column.comment or "a column of the lab's own"]
            told += ["the table's key"] if column.key else []
            told += [f"names {column.refers_to}"] if column.refers_to else []
            missing = "yes" if column.optional else ""
            said = "; ".join(told).replace("|", "\\|")
            lines.append(f"| {column.name} | {column.type} | {missing} | {said} |")
    return "\n".join([*lines, ""])
