"""Column types that mean the same on every backend.

Times have whole seconds everywhere, the finest that all backends keep, so that equality and
compare-and-set agree. Text compares by code point, not by the server's locale.
"""

from __future__ import annotations

import datetime as dt
import functools
import json
from decimal import Decimal
from typing import Any

from sqlalchemy import Boolean, DateTime, Dialect, Double, Numeric, String, Text, TypeDecorator
from sqlalchemy.dialects import sqlite
from sqlalchemy.types import TypeEngine


class _SQLiteSeconds(sqlite.DATETIME):
    """SQLite keeps times as ISO text; read and write it with the C parser, to the second."""

    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Any:
        del dialect
        return lambda value: None if value is None else value.isoformat(" ", "seconds")

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:
        del dialect, coltype
        return lambda value: None if value is None else dt.datetime.fromisoformat(value)

    def literal_processor(self, dialect: Dialect) -> Any:
        del dialect
        return lambda value: f"'{value.isoformat(' ', 'seconds')}'"


_SECONDS = DateTime().with_variant(_SQLiteSeconds(), "sqlite")  # type: ignore[no-untyped-call]

Flag = Boolean
"""A tick box: true or false, never NULL (Access has no third value)."""

Number = Double
"""A floating-point number, double precision on every backend."""


def text(length: int) -> TypeEngine[str]:
    """Return the type of a text of at most `length` characters (Access allows 255)."""
    return String(length).with_variant(String(length, collation="C"), "postgresql")


def _long_text() -> TypeEngine[str]:
    return Text().with_variant(Text(collation="C"), "postgresql")


LongText = _long_text()
"""Text of any length (Access: Long Text)."""


class LabTime(TypeDecorator[dt.datetime]):
    """The lab's local clock, as the lab wrote it: naive, whole seconds."""

    impl = _SECONDS
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: Dialect) -> Any:
        """Refuse a time with a zone; drop fractions of a second."""
        del dialect
        if value is None:
            return None
        if value.tzinfo is not None:
            raise ValueError(f"{value!r} carries a zone; this column keeps the lab's local time.")
        return value.replace(microsecond=0)

    def process_result_value(self, value: Any, dialect: Dialect) -> dt.datetime | None:
        """Return the naive local time."""
        del dialect
        if value is None or not value.microsecond:
            # To replace it takes longer than to read the time.
            return value  # type: ignore[no-any-return]
        return value.replace(microsecond=0)  # type: ignore[no-any-return]


class _SQLiteMoment(_SQLiteSeconds):
    """ISO text like the tracker's own times, with a fraction only where there is one."""

    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Any:
        del dialect
        return lambda value: None if value is None else value.isoformat(" ")


class Moment(TypeDecorator[dt.datetime]):
    """A naive time of a column that is not the tracker's, exactly as it is stored."""

    impl = DateTime().with_variant(_SQLiteMoment(), "sqlite")  # type: ignore[no-untyped-call]
    cache_ok = True


class ExactNumber(TypeDecorator[Decimal]):
    """A decimal number; a Decimal in Python also where the database keeps floats.

    `precision, scale`: digits in all, and behind the point.
    """

    impl = Numeric
    cache_ok = True

    def __init__(self, precision: int | None = None, scale: int | None = None) -> None:
        super().__init__(precision, scale)
        self.precision = precision
        self.scale = scale

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Take floats from a driver that has no decimals."""
        if dialect.supports_native_decimal:
            return Numeric(self.precision, self.scale)
        return Numeric(self.precision, self.scale, asdecimal=False)

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        """Return the shortest decimal that is the float; SQLite keeps whole ones as integers."""
        del dialect
        return Decimal(repr(value)) if isinstance(value, float | int) else value


class UTCTime(TypeDecorator[dt.datetime]):
    """An instant: aware in Python, stored as naive UTC, whole seconds."""

    impl = _SECONDS
    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Any:
        """Convert an instant once for all that hold it: a claim binds ten, most of them equal."""
        convert: Any = super().bind_processor(dialect)
        known = functools.lru_cache(maxsize=16)(convert)
        # In other zones the two times of an hour that comes twice are equal, but no one instant.
        return lambda value: (known if value and value.tzinfo is dt.UTC else convert)(value)

    def process_bind_param(self, value: dt.datetime | None, dialect: Dialect) -> Any:
        """Refuse a time without a zone; store UTC."""
        del dialect
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no zone; take vrtracker.clock.now().")
        if value.tzinfo is not dt.UTC:
            value = value.astimezone(dt.UTC)
        return value.replace(tzinfo=None, microsecond=0)

    def process_result_value(self, value: Any, dialect: Dialect) -> dt.datetime | None:
        """Return the aware instant."""
        del dialect
        return None if value is None else value.replace(microsecond=0, tzinfo=dt.UTC)


class CalendarDate(TypeDecorator[dt.date]):
    """A calendar date, stored as a date-time at midnight, as Access does."""

    impl = _SECONDS
    cache_ok = True

    def process_bind_param(self, value: dt.date | None, dialect: Dialect) -> Any:
        """Store midnight of the day."""
        del dialect
        return None if value is None else dt.datetime(value.year, value.month, value.day)  # noqa: DTZ001

    def process_result_value(self, value: Any, dialect: Dialect) -> dt.date | None:
        """Return the day."""
        del dialect
        return None if value is None else value.date()


class JSONDocument(str):
    """A JSON document that is written already."""

    __slots__ = ()


to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=str).encode


class JSONText(TypeDecorator[Any]):
    """A JSON document kept as long text, keys in order, since Access has no JSON."""

    impl = LongText
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        """Write the document; dates become ISO text."""
        del dialect
        if value is None or isinstance(value, JSONDocument):
            return value
        return to_json(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        """Read the document."""
        del dialect
        return None if value is None else json.loads(value)
