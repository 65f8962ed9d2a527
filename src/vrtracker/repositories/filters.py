"""Filters of listings: what the caller writes, checked against the columns, as SQL.

``imaging=True``, ``sessionID=(701, ">=")``, ``mouseName=["ATL012", "ATL015"]``,
``sessionNotes=None``, ``mouse__KO=False``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from sqlalchemy import Boolean, Column, ColumnElement, String, and_, bindparam, false, or_, true

from vrtracker.domain.dates import plain
from vrtracker.errors import InvalidValueError, UnknownNameError
from vrtracker.repositories.values import Coercer, storable_text

__all__ = ["OPERATORS", "condition"]

_ESCAPE = "~"
_INLINE_ABOVE = 500
"""Longer lists go into the SQL text: drivers limit the number of parameters."""


def _equal(column: Column[Any], value: Any) -> ColumnElement[bool]:
    if value is None:
        return column.is_(None)
    if isinstance(column.type, Boolean):
        return column == (true() if value else false())
    equal: ColumnElement[bool] = column == value
    return equal


def _unequal(column: Column[Any], value: Any) -> ColumnElement[bool]:
    """Match as pandas does: a missing value is unequal to every value."""
    if value is None:
        return column.is_not(None)
    if isinstance(column.type, Boolean):
        return column == (false() if value else true())
    return or_(column != value, column.is_(None)) if column.nullable else column != value


def _in(column: Column[Any], values: list[Any]) -> ColumnElement[bool]:
    present = list(dict.fromkeys(value for value in values if value is not None))
    parts: list[ColumnElement[bool]] = []
    if len(present) < len(values) and None in values:
        parts.append(column.is_(None))
    if present:
        parts.extend(column.in_(part) for part in _listed(column, present))
    return or_(*parts) if parts else false()


def _not_in(column: Column[Any], values: list[Any]) -> ColumnElement[bool]:
    present = list(dict.fromkeys(value for value in values if value is not None))
    if not present:
        return column.is_not(None) if None in values else true()
    outside = and_(*(column.not_in(part) for part in _listed(column, present)))
    if None in values:
        return outside & column.is_not(None)
    return or_(outside, column.is_(None)) if column.nullable else outside


def _listed(column: Column[Any], values: list[Any]) -> list[Any]:
    """Return one or two lists as parameters, or as SQL text where they are long."""
    if len(values) <= _INLINE_ABOVE:
        return [bindparam(None, values, type_=column.type, expanding=True)]
    # SQLAlchemy takes %(…)s for a parameter, and escapes a backslash, inside text too.
    bound = [value for value in values if isinstance(value, str) and set(value) & {"%", "\\"}]
    rest = set(bound)
    inline = [value for value in values if value not in rest]
    return [
        bindparam(None, part, type_=column.type, expanding=True, literal_execute=part is inline)
        for part in (bound, inline)
        if part
    ]


def _like(column: Column[Any], value: Any) -> ColumnElement[bool]:
    if not isinstance(column.type, String):
        raise InvalidValueError(f"{column.name} is not text; 'like' does not apply to it.")
    # Some servers take a backslash as an escape and some do not: here it stands for itself.
    return column.ilike(value.replace(_ESCAPE, _ESCAPE * 2), escape=_ESCAPE)


def _ordered(compare: Callable[[Any, Any], Any]) -> Callable[[Column[Any], Any], Any]:
    def compared(column: Column[Any], value: Any) -> Any:
        _require_order(column, value)
        return compare(column, value)

    return compared


def _require_order(column: Column[Any], *values: Any) -> None:
    if None in values:
        raise InvalidValueError(f"{column.name}: a missing value has no order; give one.")
    if isinstance(column.type, Boolean):
        raise InvalidValueError(f"{column.name} is true or false, which have no order; use '=='.")


_ONE_VALUE: dict[str, Callable[[Column[Any], Any], ColumnElement[bool]]] = {
    "==": _equal,
    "!=": _unequal,
    "<": _ordered(lambda column, value: column < value),
    "<=": _ordered(lambda column, value: column <= value),
    ">": _ordered(lambda column, value: column > value),
    ">=": _ordered(lambda column, value: column >= value),
    "like": _like,
}
_MANY_VALUES: dict[str, Callable[[Column[Any], list[Any]], ColumnElement[bool]]] = {
    "in": _in,
    "not_in": _not_in,
}
_SPELLINGS = {"=": "==", "<>": "!=", "not in": "not_in", "is null": "is_null"}

OPERATORS = (*_ONE_VALUE, *_MANY_VALUES, "between", "is_null")
"""Every operator of a ``(value, operator)`` filter. `like` ignores the case of letters."""


def condition(column: Column[Any], coercer: Coercer, wanted: Any) -> ColumnElement[bool]:
    """Return the SQL condition that a filter's value asks of a column.

    Raises
    ------
    UnknownNameError
        If the operator does not exist.
    InvalidValueError
        If the value does not fit the column or the operator.
    """
    value, operator = _split(wanted)
    fit = _fitting(column, coercer, operator)
    if operator == "between":
        low, high = (fit(part) for part in _several(value, operator, exactly=2))
        _require_order(column, low, high)
        return column.between(low, high)
    if operator == "is_null":
        return column.is_(None) if _truth(value) else column.is_not(None)
    if operator in _MANY_VALUES:
        return _MANY_VALUES[operator](column, [fit(part) for part in _several(value, operator)])
    if _is_several(value):
        raise InvalidValueError(
            f"{operator!r} takes one value, not {value!r}; to match any of several write the list "
            "alone or (list, 'in'), to match none (list, 'not in').",
            value=value,
        )
    return _ONE_VALUE[operator](column, fit(value))


def _split(wanted: Any) -> tuple[Any, str]:
    """Tell a plain value and a list from a ``(value, operator)`` pair."""
    if not isinstance(wanted, tuple):
        return wanted, "in" if _is_several(wanted) else "=="
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


def _is_several(value: Any) -> bool:
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        return False
    return getattr(value, "ndim", 1) != 0


def _several(value: Any, operator: str, *, exactly: int | None = None) -> list[Any]:
    if isinstance(value, tuple) or _is_several(value):
        parts = list(value)
        if exactly is None or len(parts) == exactly:
            return parts
    wanted = f"{exactly} values" if exactly else "a list of values"
    raise InvalidValueError(f"{operator!r} takes {wanted}, not {value!r}.", value=value)


def _fitting(column: Column[Any], coercer: Coercer, operator: str) -> Callable[[Any], Any]:
    if operator == "like":
        return lambda value: _pattern(column, value)
    return lambda value: coercer.value(column.name, value)


def _pattern(column: Column[Any], value: Any) -> str:
    text = plain(value)
    if not isinstance(text, str):
        raise InvalidValueError(f"{column.name}: 'like' takes a pattern such as 'ATL%'.")
    return storable_text(text)


def _truth(value: Any) -> bool:
    if isinstance(plain(value), bool):
        return bool(value)
    raise InvalidValueError(f"'is_null' takes True or False, not {value!r}.", value=value)
