"""How the portable column types cross to an Access driver, and back from its catalogue."""

# The signatures and the names are the library's.
# ruff: noqa: ARG002

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator
from string import ascii_lowercase, ascii_uppercase
from typing import Any

from sqlalchemy import types as sqltypes

from vrtracker.backends.access.inspection import Column

Processor = Callable[[Any], Any]
_Type = sqltypes.TypeEngine[Any]


class _DateTime(sqltypes.DateTime):
    def literal_processor(self, dialect: Any) -> Processor:
        return lambda value: f"#{value:%Y-%m-%d %H:%M:%S}#"


class _Date(sqltypes.Date):
    """A calendar date, kept as that day's midnight."""

    def bind_processor(self, dialect: Any) -> Processor:
        def process(value: dt.date | None) -> dt.datetime | None:
            if value is None or isinstance(value, dt.datetime):
                return value
            return dt.datetime.combine(value, dt.time())

        return process

    def result_processor(self, dialect: Any, coltype: object) -> Processor:
        return lambda value: value.date() if isinstance(value, dt.datetime) else value

    def literal_processor(self, dialect: Any) -> Processor:
        return lambda value: f"#{value:%Y-%m-%d}#"


class _BigInteger(sqltypes.BigInteger):
    """A number beyond 32 bits, kept as Double (exact up to 2**53)."""

    def result_processor(self, dialect: Any, coltype: object) -> Processor:
        return lambda value: None if value is None else int(value)


class BracketedPattern(sqltypes.TypeDecorator[str]):
    """A pattern of LIKE for Microsoft's engine, where brackets do what ESCAPE does elsewhere."""

    impl = sqltypes.String
    cache_ok = True

    def __init__(self, escape: str | None) -> None:
        super().__init__()
        self.escape = escape

    def process_bind_param(self, value: str | None, dialect: Any) -> str | None:
        """Put into brackets what has a meaning there and shall stand for itself."""
        return None if value is None else "".join(self._parts(value))

    process_literal_param = process_bind_param  # type: ignore[assignment]

    def _parts(self, pattern: str) -> Iterator[str]:
        letters = iter(pattern)
        for letter in letters:
            escaped = letter == self.escape
            shown = next(letters, letter) if escaped else letter
            yield f"[{shown}]" if shown == "[" or (escaped and shown in "%_") else shown


class RegexPattern(sqltypes.TypeDecorator[str]):
    """A pattern of LIKE as a regular expression of Java, for UCanAccess.

    HSQLDB's own LIKE tries every place for every ``%``, which takes time by powers of the text's
    length. Here each part is taken where it comes first, and never tried again.
    """

    impl = sqltypes.String
    cache_ok = True

    def __init__(self, escape: str | None, fold: bool) -> None:  # noqa: FBT001 - of SQLAlchemy's key
        super().__init__()
        self.escape, self.fold = escape, fold

    def process_bind_param(self, value: str | None, dialect: Any) -> str | None:
        """Return what matches the same texts; small letters alone where case does not count."""
        if value is None:
            return None
        first, *rest = self._parts(value.translate(_SMALL) if self.fold else value)
        if not rest:
            return f"(?s){first}"
        middle = "".join(f"(?>.*?{part})" for part in rest[:-1] if part)
        return f"(?s){first}{middle}.*{rest[-1]}"

    process_literal_param = process_bind_param  # type: ignore[assignment]

    def _parts(self, pattern: str) -> list[str]:
        parts, letters = [""], iter(pattern)
        for letter in letters:
            if letter == "%":
                parts.append("")
            elif letter == self.escape:
                parts[-1] += re.escape(next(letters, letter))
            else:
                parts[-1] += "." if letter == "_" else re.escape(letter)
        return parts


_SMALL = str.maketrans(ascii_uppercase, ascii_lowercase)

COLSPECS: dict[type[_Type], type[_Type]] = {
    sqltypes.DateTime: _DateTime,
    sqltypes.Date: _Date,
    sqltypes.BigInteger: _BigInteger,
}

_REFLECTED: dict[str, Callable[[Column], _Type]] = {
    "BOOLEAN": lambda _: sqltypes.Boolean(),
    "BYTE": lambda _: sqltypes.SmallInteger(),
    "INT": lambda _: sqltypes.SmallInteger(),
    "LONG": lambda _: sqltypes.Integer(),
    "BIG_INT": lambda _: sqltypes.BigInteger(),
    "FLOAT": lambda _: sqltypes.REAL(),
    "DOUBLE": lambda _: sqltypes.Double(),
    "MONEY": lambda _: sqltypes.Numeric(19, 4),
    "NUMERIC": lambda column: sqltypes.Numeric(column.precision, column.scale),
    "SHORT_DATE_TIME": lambda _: sqltypes.DateTime(),
    "EXT_DATE_TIME": lambda _: sqltypes.DateTime(),
    "TEXT": lambda column: sqltypes.String(column.length),
    "MEMO": lambda _: sqltypes.Text(),
    "GUID": lambda _: sqltypes.String(38),
    "BINARY": lambda column: sqltypes.LargeBinary(column.length),
    "OLE": lambda _: sqltypes.LargeBinary(),
}


def reflected_type(column: Column) -> _Type:
    """Return the portable type of a column; one of its own kind (attachments) has none."""
    make = _REFLECTED.get(column.kind)
    return sqltypes.NullType() if make is None else make(column)
