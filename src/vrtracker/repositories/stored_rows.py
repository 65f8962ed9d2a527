"""Rows of any table as they are stored, as plain values that JSON keeps and gives back."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from decimal import Decimal
from functools import partial
from typing import Any

from sqlalchemy import (
    Column,
    Date,
    DateTime,
    Interval,
    LargeBinary,
    Numeric,
    Table,
    Time,
    Uuid,
    bindparam,
    delete,
    insert,
    select,
    type_coerce,
    update,
)
from sqlalchemy.types import TypeEngine

from vrtracker.database.structure import portable
from vrtracker.errors import BackendError
from vrtracker.models.types import (
    CalendarDate,
    ExactNumber,
    JSONText,
    LabTime,
    LongText,
    Moment,
    UTCTime,
)
from vrtracker.repositories.repository import Repository

Row = dict[str, Any]
"""A row by column, in values that JSON knows."""


class StoredRows(Repository):
    """Reads, inserts and deletes whole rows; what is read and inserted again is the same."""

    def read(self, table: Table, column: str, values: Sequence[Any]) -> list[Row]:
        """Return the rows that hold one of these values, in order of the primary key."""
        rows: list[Row] = []
        chosen = [type_coerce(each, _stored(each)).label(each.name) for each in table.c]
        for part in self._x.parts(values):
            statement = (
                select(*chosen)
                .where(table.c[column].in_(part))
                .order_by(*table.primary_key.columns)
            )
            rows += [
                {name: _plain(value) for name, value in row.items()}
                for row in self._x.execute(statement).mappings()
            ]
        return rows

    def delete(self, table: Table, column: str, values: Sequence[Any], **more: Any) -> None:
        """Delete the rows that hold one of these values, and those of `more`."""
        for part in self._x.parts(values):
            self._x.execute(delete(table).where(table.c[column].in_(part)).filter_by(**more))

    def update(self, table: Table, numbers: Sequence[int], values: Mapping[str, Any]) -> None:
        """Set columns of the rows with these autonumbers, to values as events keep them too."""
        number = next(iter(table.primary_key.columns))
        typed = {
            name: bindparam(None, _typed(table.c[name], value), type_=_stored(table.c[name]))
            for name, value in values.items()
        }
        for part in self._x.parts(numbers):
            self._x.execute(update(table).where(number.in_(part)).values(typed))

    def insert(
        self, table: Table, rows: Sequence[Mapping[str, Any]], *, renumbered: bool = False
    ) -> None:
        """Insert rows as `read` returned them, with their autonumbers.

        `renumbered`: give them other numbers if one of theirs is taken. Raises BackendError if the
        table has no such column any more.
        """
        if renumbered:
            rows = self._with_free_numbers(table, rows)
        for names, alike in _by_columns(table, rows).items():
            columns = [table.c[name] for name in names]
            values = {each.name: bindparam(each.name, type_=_stored(each)) for each in columns}
            prepared = self._x.database.prepare(
                f"stored.insert:{table.name}:{','.join(names)}",
                partial(insert(table).values, values),
            )
            keeping: AbstractContextManager[None] = nullcontext()
            numbered = table.autoincrement_column
            if numbered is not None and numbered.name in names:
                backend, connection = self._x.database.backend, self._x.connection
                # Else numbers of rows that are deleted now would be given to new ones.
                after = backend.last_number(connection, table)
                keeping = backend.keeping_ids(connection, table, after=after)
            with keeping:
                self._x.change_many(
                    prepared,
                    [
                        {each.name: _typed(each, row[each.name]) for each in columns}
                        for row in alike
                    ],
                )

    def _with_free_numbers(
        self, table: Table, rows: Sequence[Mapping[str, Any]]
    ) -> Sequence[Mapping[str, Any]]:
        name = next(iter(table.primary_key.columns)).name
        if not self.read(table, name, [row[name] for row in rows]):
            return rows
        return [{key: value for key, value in row.items() if key != name} for row in rows]


def _by_columns(
    table: Table, rows: Sequence[Mapping[str, Any]]
) -> dict[tuple[str, ...], list[Mapping[str, Any]]]:
    """Return rows by the columns that they have; one that was dropped since may be empty."""
    found: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for row in rows:
        lost = [name for name in row if name not in table.c and row[name] is not None]
        if lost:
            raise BackendError(
                f"{table.name} has no column {lost[0]!r} any more, and a row to put back holds "
                f"{row[lost[0]]!r} there. Add the column again first; nothing was written."
            )
        found.setdefault(tuple(sorted(name for name in row if name in table.c)), []).append(row)
    return found


def _stored(column: Column[Any]) -> TypeEngine[Any]:
    """Return the type that reads and writes a column's values as they are."""
    if isinstance(column.type, CalendarDate | LabTime | UTCTime):
        return Moment()
    if isinstance(column.type, JSONText):
        return LongText
    return portable(column.type) or column.type


def _plain(value: Any) -> Any:
    for kind, plain in _PLAIN:
        if isinstance(value, kind):
            return plain(value)
    return str(value) if _is_exact(value) else value


def _is_exact(value: Any) -> bool:
    return value is not None and not isinstance(value, bool | int | float | str | list | dict)


_PLAIN: tuple[tuple[type[Any], Callable[[Any], Any]], ...] = (
    (bytes, bytes.hex),
    (memoryview, lambda value: bytes(value).hex()),
    (dt.timedelta, dt.timedelta.total_seconds),
)
"""Values whose text would not give them back."""


def _typed(column: Column[Any], value: Any) -> Any:
    """Return the value of a column that `_plain` made plain."""
    if value is None:
        return None
    kind = _stored(column)
    return next((make(value) for known, make in _TYPED if isinstance(kind, known)), value)


_TYPED: tuple[tuple[Any, Callable[[Any], Any]], ...] = (
    ((Moment, DateTime), dt.datetime.fromisoformat),
    (Date, dt.date.fromisoformat),
    (Time, dt.time.fromisoformat),
    (LargeBinary, bytes.fromhex),
    (Interval, lambda value: dt.timedelta(seconds=value)),
    (Uuid, uuid.UUID),
    ((ExactNumber, Numeric), lambda value: Decimal(value) if isinstance(value, str) else value),
)
