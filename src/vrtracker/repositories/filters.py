"""Filters of listings: what the caller writes, checked against the columns, as SQL.

``imaging=True``, ``sessionID=(701, ">=")``, ``mouseName=["ATL012", "ATL015"]``,
``sessionNotes=None``, ``mouse__KO=False``.

Each comparison is made with its opposite: the opposite of ``<``, ``between`` and ``like`` matches
missing values, as ``~`` of a mask does in pandas.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from sqlalchemy import Boolean, Column, String, and_, bindparam, false, or_, true

from vrtracker.domain.dates import parse_day, plain
from vrtracker.errors import InvalidValueError, UnknownNameError
from vrtracker.models.types import CalendarDate
from vrtracker.repositories.facts import Clause, Fact
from vrtracker.repositories.values import Coercer, storable_text

_ESCAPE = "~"
_MOST = 2**31 - 1
_LONGEST_PATTERN = 1000
_INLINE_ABOVE = 500
"""Longer lists go into the SQL text: drivers limit the number of parameters."""


class Comparable(Protocol):
    """What a filter's name stands for."""

    @property
    def takes_ranges(self) -> bool:
        """Whether a pair of two numbers is a range, and not a value with its operator."""

    def fact(self, value: Any, operator: str) -> Fact:
        """Return that it compares with a value as an operator says, and the opposite."""


@dataclass(frozen=True, slots=True)
class Term:
    """A column, or a number that is worked out of several.

    `fit`: turns a value into what it is compared with, or raises InvalidValueError. `is_counted`:
    it is a whole number that may be compared with fractions.
    """

    name: str
    expression: Any
    fit: Callable[[Any], Any]
    nullable: bool = True
    takes_ranges: bool = False
    is_counted: bool = False

    @classmethod
    def of(cls, column: Column[Any], coercer: Coercer) -> Term:
        """Return the term of a column."""
        fit: Callable[[Any], Any] = partial(coercer.value, column.name)
        if isinstance(column.type, CalendarDate):
            fit = partial(_day, column.name, fit)
        return cls(column.name, column, fit, bool(column.nullable))

    @property
    def is_missing(self) -> Clause:
        """The condition that there is no value."""
        missing: Clause = self.expression.is_(None)
        return missing

    @property
    def is_present(self) -> Clause:
        """The condition that there is a value."""
        present: Clause = self.expression.is_not(None)
        return present

    def fact(self, value: Any, operator: str) -> Fact:
        """Return that it compares with a value as an operator says, and the opposite."""
        if operator == "is_null":
            absent = Fact(self.is_missing, self.is_present)
            return absent if truth(value) else Fact(*reversed(absent))
        holds = self._holds(value, operator)
        if operator in _OPPOSITES:
            return Fact(holds, self._holds(value, _OPPOSITES[operator]))
        return Fact(holds, or_(~holds, self.is_missing) if self.nullable else ~holds)

    def _holds(self, value: Any, operator: str) -> Clause:
        fit = partial(self._fitted, operator=operator)
        if operator == "between":
            first, last = several(value, operator, exactly=2)
            low, high = self._fitted(first, ">="), self._fitted(last, "<=")
            _require_order(self, low, high)
            if isinstance(self.expression.type, String):
                # PostgreSQL takes no collation within BETWEEN, which a long text may bring along.
                return and_(self.expression >= low, self.expression <= high)
            between: Clause = self.expression.between(low, high)
            return between
        if operator in _MANY_VALUES:
            return _MANY_VALUES[operator](self, [fit(part) for part in several(value, operator)])
        if _is_several(value):
            raise InvalidValueError(
                f"{operator!r} takes one value, not {value!r}; to match any of several write the "
                "list alone or (list, 'in'), to match none (list, 'not in').",
                value=value,
            )
        return _ONE_VALUE[operator](self, fit(value))

    def _fitted(self, value: Any, operator: str) -> Any:
        if operator in _OF_TEXT:
            return _text(self, value, operator)
        fitted = self.fit(value)
        return _whole(fitted, operator) if self.is_counted and fitted is not None else fitted


def _day(name: str, fit: Callable[[Any], Any], value: Any) -> Any:
    """Return a day to compare with; a time of it is refused, which a row's date may carry."""
    day = fit(value)
    try:
        return day if day is None else parse_day(value)
    except InvalidValueError as error:
        raise InvalidValueError(f"{name}: {error}", column=name, value=value) from error


def _whole(number: float, operator: str) -> int:
    """Return what a whole number is compared with instead: Access drops the fraction of a bound."""
    number = round(max(-_MOST, min(number, _MOST)), 9)
    if operator in {">", "<="}:
        return math.floor(number)
    if operator in {"<", ">="}:
        return math.ceil(number)
    return int(number) if float(number).is_integer() else -_MOST  # which no count ever is


def _equal(term: Term, value: Any) -> Clause:
    if value is None:
        return term.is_missing
    if isinstance(term.expression.type, Boolean):
        value = true() if value else false()
    equal: Clause = term.expression == value
    return equal


def _unequal(term: Term, value: Any) -> Clause:
    """Match as pandas does: a missing value is unequal to every value."""
    if value is None:
        return term.is_present
    if isinstance(term.expression.type, Boolean):
        other: Clause = term.expression == (false() if value else true())
    else:
        other = term.expression != value
    return or_(other, term.is_missing) if term.nullable else other


def _in(term: Term, values: list[Any]) -> Clause:
    present = list(dict.fromkeys(value for value in values if value is not None))
    parts: list[Clause] = []
    if len(present) < len(values) and None in values:
        parts.append(term.is_missing)
    if present:
        parts.extend(term.expression.in_(part) for part in _listed(term, present))
    return or_(*parts) if parts else false()


def _not_in(term: Term, values: list[Any]) -> Clause:
    present = list(dict.fromkeys(value for value in values if value is not None))
    if not present:
        return term.is_present if None in values else true()
    outside = and_(*(term.expression.not_in(part) for part in _listed(term, present)))
    if None in values:
        return outside & term.is_present
    return or_(outside, term.is_missing) if term.nullable else outside


def _listed(term: Term, values: list[Any]) -> list[Any]:
    """Return one or two lists as parameters, or as SQL text where they are long."""
    kind = term.expression.type
    if len(values) <= _INLINE_ABOVE:
        return [bindparam(None, values, type_=kind, expanding=True)]
    # SQLAlchemy takes %(…)s for a parameter, and escapes a backslash, inside text too.
    bound = [value for value in values if isinstance(value, str) and set(value) & {"%", "\\"}]
    rest = set(bound)
    inline = [value for value in values if value not in rest]
    return [
        bindparam(None, part, type_=kind, expanding=True, literal_execute=part is inline)
        for part in (bound, inline)
        if part
    ]


def _like(term: Term, pattern: str) -> Clause:
    # Some servers take a backslash as an escape and some do not: here it stands for itself.
    return _matches(term, pattern.replace(_ESCAPE, _ESCAPE * 2))


def _contains(term: Term, text: str) -> Clause:
    return _matches(term, f"%{re.sub(f'[{_ESCAPE}%_]', lambda wild: _ESCAPE + wild[0], text)}%")


def _matches(term: Term, pattern: str) -> Clause:
    matches: Clause = term.expression.ilike(pattern, escape=_ESCAPE)
    return matches


def _ordered(compare: Callable[[Any, Any], Any]) -> Callable[[Term, Any], Any]:
    def compared(term: Term, value: Any) -> Any:
        _require_order(term, value)
        return compare(term.expression, value)

    return compared


def _require_order(term: Term, *values: Any) -> None:
    if None in values:
        raise InvalidValueError(f"{term.name}: a missing value has no order; give one.")
    if isinstance(term.expression.type, Boolean):
        raise InvalidValueError(f"{term.name} is true or false, which have no order; use '=='.")


_ONE_VALUE: dict[str, Callable[[Term, Any], Clause]] = {
    "==": _equal,
    "!=": _unequal,
    "<": _ordered(lambda column, value: column < value),
    "<=": _ordered(lambda column, value: column <= value),
    ">": _ordered(lambda column, value: column > value),
    ">=": _ordered(lambda column, value: column >= value),
    "like": _like,
    "contains": _contains,
}
_MANY_VALUES: dict[str, Callable[[Term, list[Any]], Clause]] = {
    "in": _in,
    "not_in": _not_in,
}
_OF_TEXT = {"like": "a pattern such as 'ATL%'", "contains": "the letters it shall hold"}
_OPPOSITES = {"==": "!=", "!=": "==", "in": "not_in", "not_in": "in"}
_SPELLINGS = {"=": "==", "<>": "!=", "not in": "not_in", "is null": "is_null"}

OPERATORS = (*_ONE_VALUE, *_MANY_VALUES, "between", "is_null")
"""Every operator of a ``(value, operator)`` filter. `like` and `contains` ignore letters' case."""


def condition(column: Column[Any], coercer: Coercer, wanted: Any) -> Clause:
    """Return the SQL condition that a filter's value asks of a column.

    Raises UnknownNameError if the operator does not exist. Raises InvalidValueError if the value
    does not fit the column or the operator.
    """
    return Term.of(column, coercer).fact(*split(wanted)).holds


def split(wanted: Any, *, takes_ranges: bool = False) -> tuple[Any, str]:
    """Tell a plain value, a list and a range from a ``(value, operator)`` pair.

    Raises UnknownNameError if there is no such operator. Raises InvalidValueError if it is none of
    them.
    """
    if not isinstance(wanted, tuple):
        return wanted, "in" if _is_several(wanted) else "=="
    if len(wanted) == 2 and takes_ranges and not isinstance(wanted[1], str):  # noqa: PLR2004
        return _range(*wanted)
    if len(wanted) != 2 or not isinstance(wanted[1], str):  # noqa: PLR2004
        raise InvalidValueError(
            f"{wanted!r} is neither a value nor (value, operator); write a list to match any of "
            "several values.",
            value=wanted,
        )
    operator = _SPELLINGS.get(wanted[1].strip().lower(), wanted[1].strip().lower())
    if operator not in OPERATORS:
        raise UnknownNameError("operator", wanted[1], OPERATORS)
    return wanted[0], operator


def _range(low: Any, high: Any) -> tuple[Any, str]:
    low, high = plain(low), plain(high)
    if low is None and high is None:
        raise InvalidValueError("A range takes one end at least: (8, 12), (8, None) or (None, 12).")
    if low is None or high is None:
        return (high, "<=") if low is None else (low, ">=")
    return (low, high), "between"


def _is_several(value: Any) -> bool:
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        return False
    return getattr(value, "ndim", 1) != 0


def several(value: Any, operator: str, *, exactly: int | None = None) -> list[Any]:
    """Return the values that an operator takes as a list, or raise InvalidValueError."""
    if isinstance(value, tuple) or _is_several(value):
        parts = list(value)
        if exactly is None or len(parts) == exactly:
            return parts
    wanted = f"{exactly} values" if exactly else "a list of values"
    raise InvalidValueError(f"{operator!r} takes {wanted}, not {value!r}.", value=value)


def _text(term: Term, value: Any, operator: str) -> str:
    if not isinstance(term.expression.type, String):
        raise InvalidValueError(f"{term.name} is not text; {operator!r} does not apply to it.")
    text = plain(value)
    if not isinstance(text, str):
        raise InvalidValueError(f"{term.name}: {operator!r} takes {_OF_TEXT[operator]}.")
    return pattern_of(text)


def pattern_of(text: str) -> str:
    """Return a text to look for, or raise InvalidValueError if a database cannot."""
    if len(text) > _LONGEST_PATTERN:
        raise InvalidValueError(f"What is looked for has {_LONGEST_PATTERN} letters at most.")
    return storable_text(text)


def truth(value: Any) -> bool:
    """Return what 'is_null' is asked, or raise InvalidValueError."""
    if isinstance(plain(value), bool):
        return bool(value)
    raise InvalidValueError(f"'is_null' takes True or False, not {value!r}.", value=value)
