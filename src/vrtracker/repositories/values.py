"""Fit values from people, files and frames to the columns they are meant for."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Boolean, Column, Double, Integer, String, Table
from sqlalchemy.types import TypeEngine

from vrtracker.domain.dates import parse_date, parse_datetime, plain
from vrtracker.domain.keys import parse_mouse_name, parse_number
from vrtracker.errors import InvalidValueError, UnknownNameError
from vrtracker.models.types import CalendarDate, LabTime

__all__ = ["Coercer", "require_columns"]

_TRUE = {"true", "yes", "1", "-1", "t", "y"}
_FALSE = {"false", "no", "0", "f", "n"}
_INT32 = 2**31


def require_columns(table: Table, names: Any) -> None:
    """Raise UnknownNameError for the first name that is no column of the table."""
    for name in names:
        if name not in table.c:
            raise UnknownNameError("column", name, table.c.keys())


class Coercer:
    """Turns values into what a table's columns hold, or says which does not fit and why."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._of_column: dict[str, Callable[[Any], Any]] = {
            column.name: _coercion(column) for column in table.c
        }
        self._defaults = {
            column.name: column.default.arg if column.default is not None else None  # type: ignore[attr-defined]
            for column in table.c
            if not column.primary_key
        }
        self._required = tuple(
            column.name
            for column in table.c
            if not column.nullable and not column.primary_key and column.default is None
        )

    def value(self, name: str, value: Any) -> Any:
        """Return the value as the column holds it; None where it is missing.

        Raises
        ------
        InvalidValueError
            If it does not fit: type, range, length.
        """
        value = plain(value)
        if value is None or value == "":
            return None
        try:
            return self._of_column[name](value)
        except InvalidValueError as error:
            raise InvalidValueError(f"{name}: {error}", column=name, value=value) from error

    def changes(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values for an update; a column that must have one may not be emptied."""
        require_columns(self._table, values)
        fitted = {name: self.value(name, value) for name, value in values.items()}
        for name, value in fitted.items():
            if value is None and not self._table.c[name].nullable:
                raise InvalidValueError(f"{name} cannot be empty.", column=name)
        return fitted

    def row(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return a whole new row: the values given, and the defaults of the rest."""
        row = dict(self._defaults)
        for name, given in values.items():
            if name not in self._of_column:
                raise UnknownNameError("column", name, self._table.c.keys())
            value = self.value(name, given)
            if value is not None:
                row[name] = value
        for name in self._required:
            if row[name] is None:
                raise InvalidValueError(f"{name} is missing; a new row needs it.", column=name)
        return row


_OF_NAME: dict[str, Callable[[Any], Any]] = {
    "mouseName": parse_mouse_name,
    "sessionID": parse_number,
}


def _coercion(column: Column[Any]) -> Callable[[Any], Any]:
    kind = column.type
    if isinstance(kind, String):
        return _limited(_OF_NAME.get(column.name, _text), kind.length)
    if column.name in _OF_NAME:
        return _OF_NAME[column.name]
    for kinds, coercion in _OF_TYPE:
        if isinstance(kind, kinds):
            return coercion
    return lambda value: value


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float) and value in {0, 1, -1}:
        return bool(value)
    folded = value.strip().casefold() if isinstance(value, str) else ""
    if folded in _TRUE or folded in _FALSE:
        return folded in _TRUE
    raise InvalidValueError(f"{value!r} is neither true nor false; write 1 or 0.")


def _integer(value: Any) -> int:
    number = value
    if isinstance(value, str):
        try:
            number = float(value)
        except ValueError:
            number = None
    if isinstance(number, float) and number.is_integer():
        number = int(number)
    if not isinstance(number, int) or isinstance(number, bool):
        raise InvalidValueError(f"{value!r} is not a whole number.")
    if not -_INT32 <= number < _INT32:
        raise InvalidValueError(f"{value!r} is too large: whole numbers have 32 bits.")
    return number


def _number(value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise InvalidValueError(f"{value!r} is not a number.") from error
    if isinstance(value, bool) or not math.isfinite(number):
        raise InvalidValueError(f"{value!r} is not a finite number.")
    return number


def _text(value: Any) -> str:
    if isinstance(value, str):
        if "\x00" in value:
            raise InvalidValueError("the text holds a NUL character, which no database keeps.")
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    raise InvalidValueError(f"{value!r} is not text.")


def _limited(parse: Callable[[Any], str], length: int | None) -> Callable[[Any], str]:
    def limited(value: Any) -> str:
        text = parse(value)
        if length is not None and len(text) > length:
            raise InvalidValueError(
                f"the text has {len(text)} characters, the column takes {length}; shorten it."
            )
        return text

    return limited


_OF_TYPE: tuple[tuple[type[TypeEngine[Any]], Callable[[Any], Any]], ...] = (
    (CalendarDate, parse_date),
    (LabTime, parse_datetime),
    (Boolean, _flag),
    (Integer, _integer),
    (Double, _number),
)
