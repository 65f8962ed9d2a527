"""Rows as plain Python values, by the same declared types as frames, without pandas.

| dtype in a frame        | value              | missing |
|-------------------------|--------------------|---------|
| ``int64``, ``Int64``    | ``int``            | None    |
| ``bool``, ``boolean``   | ``bool``           | None    |
| ``float64``             | ``float``          | None    |
| ``datetime64[us]``      | ``datetime``, naive; ``date`` for a calendar date | None |
| ``datetime64[us, UTC]`` | ``datetime``, UTC  | None    |
| ``str``                 | ``str``, JSON documents too | None |
"""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    Boolean,
    Date,
    DateTime,
    Double,
    Float,
    Integer,
    Numeric,
    Select,
    String,
    type_coerce,
)
from sqlalchemy.types import NullType, TypeEngine

from vrtracker.database import Database, Executor
from vrtracker.errors import BackendError
from vrtracker.models.types import CalendarDate, JSONText, LabTime, UTCTime

TIME = "datetime64[us]"
INSTANT = "datetime64[us, UTC]"

_KINDS: tuple[tuple[tuple[type[TypeEngine[Any]], ...], str, str], ...] = (
    ((UTCTime,), INSTANT, INSTANT),
    ((CalendarDate, LabTime, DateTime, Date), TIME, TIME),
    ((Boolean,), "bool", "boolean"),
    ((Integer,), "int64", "Int64"),
    ((Double, Float, Numeric), "float64", "float64"),
    ((String, JSONText), "str", "str"),
)
"""Column types, with the dtype where a value is always there, and where it may be missing."""


@functools.lru_cache(maxsize=8)
def dtypes(statement: Select[Any]) -> Mapping[str, str]:
    """Return the dtype of each column that a SELECT gives, by name, in order.

    Those of the last few SELECTs are kept, as their compiled forms are.
    """
    return {column.name: _dtype(column) for column in statement.selected_columns}


def _dtype(column: Any) -> str:
    optional = getattr(getattr(column, "element", column), "nullable", True)
    for kinds, always, sometimes in _KINDS:
        if isinstance(column.type, kinds):
            return sometimes if optional else always
    return "object"


def read_records(
    database: Database, statement: Select[Any], *more: Select[Any]
) -> list[dict[str, Any]]:
    """Run a SELECT and return its rows, each by the names of its columns, in its order.

    `more`: further SELECTs of the same columns, whose rows follow. Raises BackendError if a value
    in the database does not fit its column, such as text in a date.
    """
    names = list(dtypes(statement))
    rows = [row for one in (statement, *more) for row in raw_rows(database, one)]
    values = zip(*rows, strict=True) if rows else ([] for _ in names)
    columns = [
        _fitted(column, list(held))
        for column, held in zip(statement.selected_columns, values, strict=True)
    ]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def raw_rows(database: Database, statement: Select[Any]) -> Sequence[Sequence[Any]]:
    """Run a SELECT and return its rows as the driver gives them, whatever their types are."""
    columns = (
        type_coerce(column, NullType()).label(name)
        for name, column in zip(dtypes(statement), statement.selected_columns, strict=True)
    )
    with database.connect(readonly=True) as connection:
        executor = Executor(database, connection)
        rows: Sequence[Any] = executor.execute(statement.with_only_columns(*columns)).fetchall()
    return rows


def _fitted(column: Any, values: list[Any]) -> list[Any]:
    """Return the values of a column as the Python values of its dtype."""
    dtype = _dtype(column)
    if dtype == "object":
        return values
    is_day = isinstance(column.type, CalendarDate | Date)
    convert, plain = _CONVERSIONS["date" if is_day else dtype]
    # A tick box is never missing.
    missing = False if dtype == "bool" else None
    if {type(value) for value in values} <= plain:
        return values
    fitted = []
    for value in values:
        try:
            fitted.append(missing if value is None else convert(value))
        except (TypeError, ValueError) as error:
            raise BackendError(
                f"The column {column.name} holds {value!r}, which does not fit it; "
                "correct it in the database (vrtracker doctor tells how)."
            ) from error
    return fitted


def _whole(value: Any) -> int:
    number = int(value)
    if number != value:
        raise ValueError(value)
    return number


def _number(value: Any) -> float | None:
    number = float(value)
    return None if number != number else number  # noqa: PLR0124


def _flag(value: Any) -> bool:
    if isinstance(value, str):
        raise TypeError(value)
    return bool(value)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _time(value: Any) -> dt.datetime:
    if isinstance(value, str):
        value = dt.datetime.fromisoformat(value)
    if not isinstance(value, dt.datetime):
        return dt.datetime(value.year, value.month, value.day)  # noqa: DTZ001
    return value if value.tzinfo is None else value.astimezone(dt.UTC).replace(tzinfo=None)


def _instant(value: Any) -> dt.datetime:
    return _time(value).replace(tzinfo=dt.UTC)


def _date(value: Any) -> dt.date:
    return _time(value).date()


_NONE = type(None)
_CONVERSIONS: dict[str, tuple[Callable[[Any], Any], set[type]]] = {
    "int64": (_whole, {int, _NONE}),
    "Int64": (_whole, {int, _NONE}),
    "bool": (_flag, {bool}),
    "boolean": (_flag, {bool, _NONE}),
    "float64": (_number, set()),
    TIME: (_time, set()),
    INSTANT: (_instant, set()),
    "date": (_date, set()),
    "str": (_text, {str, _NONE}),
}
"""By dtype: what makes a value of what a driver gave, and which types need nothing."""
