"""Fit values from people, files and frames to the columns they are meant for."""

from __future__ import annotations

import contextlib
import datetime as dt
import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    Double,
    Float,
    Integer,
    Numeric,
    String,
    Table,
    Text,
)
from sqlalchemy.types import TypeEngine

from vrtracker.domain.dates import parse_date, parse_datetime, plain
from vrtracker.domain.keys import parse_mouse_name, parse_number
from vrtracker.errors import InvalidValueError, UnknownNameError
from vrtracker.files.tables.columns import Kind, Target
from vrtracker.models.types import CalendarDate, LabTime

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
            column.name: _fitting(column) for column in table.c
        }
        self.defaults = {
            column.name: column.default.arg if column.default is not None else None  # type: ignore[attr-defined]
            for column in table.c
            if not column.primary_key
        }
        self._all_right = {column.name: _bulk_check(column) for column in table.c}
        self._required = tuple(
            column.name
            for column in table.c
            if not column.nullable and not column.primary_key and column.default is None
        )

    def value(self, name: str, value: Any) -> Any:
        """Return the value as the column holds it; None where it is missing.

        Raises InvalidValueError if it does not fit: type, range, length.
        """
        return self._of_column[name](value)

    def target(self, name: str) -> Target:
        """Return what a reader of files must know of a column."""
        column = self._table.c[name]
        kinds = (kind for kinds, kind in _KINDS if isinstance(column.type, kinds))
        can_be_missing = bool(column.nullable) and not column.primary_key
        return Target(name, next(kinds, Kind.OTHER), can_be_missing)

    def field(self, name: str, cell: Any) -> Any:
        """Return the value of a field of a file; blanks around it belong to a text alone."""
        is_text = isinstance(self._table.c[name].type, String)
        return self.value(name, cell.strip() if isinstance(cell, str) and not is_text else cell)

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
        columns = self.columns({name: [value] for name, value in values.items()}, 1)
        return {name: filled[0] for name, filled in columns.items()}

    def columns(self, given: Mapping[str, Sequence[Any]], count: int) -> dict[str, list[Any]]:
        """Return whole new rows, as columns; a missing value becomes the default.

        Raises UnknownNameError if a column does not exist. Raises InvalidValueError if a value does
        not fit, or a new row lacks one that it needs; `row` is its position.
        """
        require_columns(self._table, given)
        columns = {name: [default] * count for name, default in self.defaults.items()}
        for name, values in given.items():
            filled = self._column(name, values)
            missing = filled.count(None)
            if missing < count:
                default = self.defaults.get(name)
                if missing and default is not None:
                    filled = [default if value is None else value for value in filled]
                columns[name] = filled
        for name in self._required:
            if None in columns[name]:
                raise InvalidValueError(
                    f"{name} is missing; a new row needs it.",
                    column=name,
                    row=columns[name].index(None),
                )
        return columns

    def _column(self, name: str, values: Sequence[Any]) -> list[Any]:
        if self._all_right[name](values):
            return list(values)
        fit = self._of_column[name]
        fitted = []
        for row, value in enumerate(values):
            try:
                fitted.append(fit(value))
            except InvalidValueError as error:
                error.row = row
                raise
        return fitted


@lru_cache(maxsize=64)
def coercer_of(table: Table) -> Coercer:
    """Return what fits values to this table's columns."""
    return Coercer(table)


_KINDS: tuple[tuple[type[Any] | tuple[type[Any], ...], Kind], ...] = (
    (String, Kind.TEXT),
    (Boolean, Kind.FLAG),
    (Integer, Kind.INTEGER),
    ((Double, Float, Numeric), Kind.NUMBER),
    ((CalendarDate, Date), Kind.DATE),
    (LabTime, Kind.TIME),
)

_OF_NAME: dict[str, Callable[[Any], Any]] = {
    "mouseName": parse_mouse_name,
    "sessionID": parse_number,
}


def _fitting(column: Column[Any]) -> Callable[[Any], Any]:
    """Return what fits one value to a column; a value that is right already passes at once."""
    name, parse = column.name, _coercion(column)

    def fit(value: Any) -> Any:
        value = plain(value)
        if value is None or (isinstance(value, str) and not value):
            return None
        try:
            return parse(value)
        except InvalidValueError as error:
            raise InvalidValueError(f"{name}: {error}", column=name, value=value) from error

    return fit


def _bulk_check(column: Column[Any]) -> Callable[[Sequence[Any]], bool]:
    """Return what tells, at little cost, that all values of a column are right as they are.

    A shortcut for many rows: where it says no, each value is looked at.
    """
    kind, are_right = _RIGHT.get(type(column.type), (None, None))
    if kind is None or are_right is None or column.name in _OF_NAME:
        return lambda values: values.count(None) == len(values)
    harmless = {kind, type(None)}
    length = getattr(column.type, "length", None)

    def check(values: Sequence[Any]) -> bool:
        if not set(map(type, values)) <= harmless:
            return False
        present = [value for value in values if value is not None]
        return not present or are_right(present, length)

    return check


def _are_texts(values: list[str], length: int | None) -> bool:
    sizes = set(map(len, values))
    fits = length is None or max(sizes) <= length
    return fits and 0 not in sizes and all(map(_is_storable, values))


def _always(values: Any, length: Any) -> bool:
    del values, length
    return True


def _are_small(values: list[int], length: Any) -> bool:
    del length
    return min(values) >= -_INT32 and max(values) < _INT32


def _are_finite(values: list[float], length: Any) -> bool:
    del length
    minus_zero = 0.0 in values and "-0.0" in map(repr, values)
    return not minus_zero and all(map(math.isfinite, values))


def _are_lab_times(values: list[dt.datetime], length: Any) -> bool:
    del length
    return not any(value.tzinfo or value.microsecond for value in values)


_RIGHT: dict[type[Any], tuple[type[Any], Callable[[Any, Any], bool]]] = {
    Boolean: (bool, _always),
    Integer: (int, _are_small),
    Double: (float, _are_finite),
    String: (str, _are_texts),
    Text: (str, _are_texts),
    CalendarDate: (dt.date, _always),
    LabTime: (dt.datetime, _are_lab_times),
}
"""For a type of column: the Python type of its values, and whether values of that are right."""


def _coercion(column: Column[Any]) -> Callable[[Any], Any]:
    kind = column.type
    if isinstance(kind, String):
        return _limited(_OF_NAME.get(column.name, storable_text), kind.length)
    if column.name in _OF_NAME:
        return _OF_NAME[column.name]
    for kinds, coercion in _OF_TYPE:
        if isinstance(kind, kinds):
            return coercion
    return lambda value: value


def flag(value: Any) -> bool:
    """Return the truth that a value or a word shows, or raise InvalidValueError."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float) and value in {0, 1, -1}:
        return bool(value)
    folded = value.strip().casefold() if isinstance(value, str) else ""
    if folded in _TRUE or folded in _FALSE:
        return folded in _TRUE
    raise InvalidValueError(f"{value!r} is neither true nor false; write 1 or 0.")


def _integer(value: Any, *, bits: int = 32) -> int:
    number = _of_digits(value) if isinstance(value, str) else value
    if isinstance(number, float) and number.is_integer():
        number = int(number)
    if not isinstance(number, int) or isinstance(number, bool):
        raise InvalidValueError(f"{value!r} is not a whole number.")
    if not -(2 ** (bits - 1)) <= number < 2 ** (bits - 1):
        raise InvalidValueError(f"{value!r} is too large: whole numbers have {bits} bits here.")
    return number


def _of_digits(text: str) -> int | float | None:
    for read in (int, float):
        with contextlib.suppress(ValueError):
            return read(text)
    return None


def number(value: Any) -> float:
    """Return the value as a finite number, or raise InvalidValueError."""
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidValueError(f"{value!r} is not a number.") from error
    if isinstance(value, bool) or not math.isfinite(found):
        raise InvalidValueError(f"{value!r} is not a finite number.")
    # Not every database takes the two zeros for one.
    return found + 0.0


def storable_text(value: Any) -> str:
    """Return the text if every database can keep it, or raise InvalidValueError."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise InvalidValueError(f"{value!r} is not text.")
    if not _is_storable(value):
        raise InvalidValueError(
            f"{value!r} holds a NUL character or half a character, which no database keeps."
        )
    return value


def _is_storable(text: str) -> bool:
    if "\x00" in text:
        return False
    return text.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in text)


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
    (Date, parse_date),
    (Boolean, flag),
    (BigInteger, partial(_integer, bits=64)),
    (Integer, _integer),
    (Double, number),
    (Float, number),
    (Numeric, number),
)
