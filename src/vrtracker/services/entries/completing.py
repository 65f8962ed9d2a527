"""What can come next in a condition that is being written: names, operators, values."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Boolean, Column, DateTime, String, Text

from vrtracker.domain.conditions import ending_of
from vrtracker.domain.mice import tells_genotype
from vrtracker.errors import InvalidValueError, UnknownNameError
from vrtracker.repositories.comparables import Choice, Place
from vrtracker.repositories.conditions import Conditions
from vrtracker.repositories.filters import Term
from vrtracker.repositories.selecting import Selection, Setting
from vrtracker.services.entries.reading import RowReading

_MOST, _MOST_READ = 20, 500
_VALUES, _NAMES = {"VALUE", "QUOTED"}, {"WORD", "QUOTED_NAME"}
_OPERATORS = {
    "_AND": "and",
    "_OR": "or",
    "EQUAL": "=",
    "UNEQUAL": "!=",
    "ORDER": "< <= > >=",
    "_LIKE": "like",
    "_CONTAINS": "contains",
    "_IN": "in",
    "_IS": "is",
    "_NOT": "not",
    "_BETWEEN": "between",
    "_MISSING": "missing",
    "LPAR": "(",
    "RPAR": ")",
    "COMMA": ",",
    "SIGN": "- +",
    "UNIT": "days weeks",
}
_PLAIN = re.compile(r"(?!(?:and|or|not|today|yesterday)$)[\w.-]+", re.IGNORECASE)
_BOTH = ("true", "false")
_DAYS = ("today", "yesterday", "today - 7 days")


def names_of(rows: RowReading[Any, Any]) -> list[str]:
    """Return every name that a condition on the rows of a table can compare."""
    return _conditions(rows).names()


def next_words(rows: RowReading[Any, Any], text: str) -> tuple[int, list[str]]:
    """Return what can come next in a condition on the rows of a table.

    `text`: what is written so far. Returns where in the text the word begins that each of them
    would stand in place of; the likeliest first. None where what is written cannot be read.
    """
    ending = ending_of(text)
    if ending is None:
        return len(text), []
    words: list[str] = []
    if ending.takes & _VALUES:
        words += map(_written, _values(rows, ending.name, ending.begun.strip("\"'`")))
    if ending.takes & _NAMES:
        words += map(_named, names_of(rows))
    begun = ending.begun.strip("\"'`").lower()
    places = {word: word.strip("'`").lower().find(begun) for word in words}
    operators = (
        word for kind in _OPERATORS if kind in ending.takes for word in _OPERATORS[kind].split()
    )
    found = sorted((w for w, place in places.items() if place >= 0), key=lambda w: places[w] > 0)
    found += (word for word in operators if word.startswith(begun))
    return ending.at, [word for word in found[:_MOST] if word != ending.begun]


def _conditions(rows: RowReading[Any, Any]) -> Conditions:
    lab, table = rows.rules.lab, rows.rules.look_ups.table
    selection = Selection(setting=Setting(lab.stages, lab.now(), lab.zone))
    return Conditions(lab.database.tables, table, selection)


def _values(rows: RowReading[Any, Any], name: str, begun: str) -> Iterable[str]:
    """Return the values that a name is compared with, where they are few or are kept."""
    try:
        asked = _conditions(rows).comparable(name)
        if isinstance(asked, Choice):
            return [_spoken(value) for value in asked.values if value is not None]
        if isinstance(asked, Place):
            return map(str, asked.ends)
        return _kept(rows, asked.expression, begun) if isinstance(asked, Term) else ()
    except (UnknownNameError, InvalidValueError):
        return ()


def _kept(rows: RowReading[Any, Any], column: Any, begun: str) -> Iterable[str]:
    if isinstance(column.type, Boolean):
        return _BOTH
    if isinstance(getattr(column.type, "impl", column.type), DateTime):
        return _DAYS
    is_short = isinstance(column.type, String) and not isinstance(column.type, Text)
    if not isinstance(column, Column) or not is_short or tells_genotype(column.name):
        return ()
    with rows.rules.lab.unit(readonly=True) as unit:
        of_mice = column.name == "mouseName" or column.table.name == unit.mice.table.name
        repository: Any = unit.mice if of_mice else unit.sessions
        found = repository.holding(column.name, begun.replace("''", "'"), _MOST_READ)
        return sorted(found, key=str.lower)


def _spoken(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return value.name if isinstance(value, enum.IntEnum) else str(value)


def _written(value: str) -> str:
    """Return a value as it stands in a condition: in quotes where it has to."""
    if _PLAIN.fullmatch(value) or value in _DAYS:
        return value
    return "'" + value.replace("'", "''") + "'"


def _named(name: str) -> str:
    return name if re.fullmatch(r"[\w.]+", name) else f"`{name}`"
