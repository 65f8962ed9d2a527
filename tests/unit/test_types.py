"""Column types take and give the same on every dialect."""

from __future__ import annotations

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

from vrtracker.models import Base
from vrtracker.models.types import CalendarDate, JSONText, LabTime, LongText, UTCTime, text

DIALECTS = [SQLiteDialect_pysqlite(), PGDialect_psycopg()]
TOKYO = dt.timezone(dt.timedelta(hours=9))
MOMENT = dt.datetime(2023, 1, 20, 14, 30, 5)


def to_driver(kind: Any, value: Any, dialect: Any) -> Any:
    processor = kind.dialect_impl(dialect).bind_processor(dialect)
    return processor(value) if processor else value


def from_driver(kind: Any, value: Any, dialect: Any) -> Any:
    processor = kind.dialect_impl(dialect).result_processor(dialect, None)
    return processor(value) if processor else value


@pytest.fixture(params=DIALECTS, ids=lambda dialect: dialect.name)
def dialect(request) -> Any:
    return request.param


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (LabTime(), MOMENT),
        (LabTime(), dt.datetime(1, 1, 1)),
        (LabTime(), dt.datetime(9999, 12, 31, 23, 59, 59)),
        (UTCTime(), MOMENT.replace(tzinfo=dt.UTC)),
        (CalendarDate(), dt.date(2023, 1, 20)),
        (CalendarDate(), dt.date(1, 1, 1)),
        (JSONText(), {"b": [None, 1.5, "ü"], "a": {}}),
        (JSONText(), []),
        (LabTime(), None),
        (UTCTime(), None),
        (CalendarDate(), None),
        (JSONText(), None),
    ],
    ids=repr,
)
def test_value_comes_back_as_it_went_in(dialect, kind, value):
    found = from_driver(kind, to_driver(kind, value, dialect), dialect)

    assert found == value
    assert type(found) is type(value)


def test_time_of_the_lab_refuses_a_zone(dialect):
    with pytest.raises(ValueError, match="zone"):
        to_driver(LabTime(), MOMENT.replace(tzinfo=dt.UTC), dialect)


def test_instant_refuses_a_naive_time(dialect):
    with pytest.raises(ValueError, match="clock"):
        to_driver(UTCTime(), MOMENT, dialect)


def test_instant_is_stored_as_utc_whatever_its_zone(dialect):
    given = MOMENT.replace(tzinfo=TOKYO)
    stored = to_driver(UTCTime(), given, dialect)

    assert str(stored) == "2023-01-20 05:30:05"
    assert from_driver(UTCTime(), stored, dialect) == given


def test_instants_of_an_hour_that_comes_twice_stay_two(dialect):
    first = dt.datetime(2023, 10, 29, 1, 30, tzinfo=ZoneInfo("Europe/London"))
    convert = UTCTime().dialect_impl(dialect).bind_processor(dialect)

    assert first == first.replace(fold=1)
    assert str(convert(first)) == "2023-10-29 00:30:00"
    assert str(convert(first.replace(fold=1))) == "2023-10-29 01:30:00"


def test_fractions_of_a_second_are_dropped(dialect):
    value = MOMENT.replace(microsecond=999_999)

    assert str(to_driver(LabTime(), value, dialect)) == "2023-01-20 14:30:05"
    assert str(to_driver(UTCTime(), value.replace(tzinfo=dt.UTC), dialect)) == "2023-01-20 14:30:05"


def test_fractions_that_others_wrote_are_dropped_on_reading():
    sqlite, postgresql = DIALECTS
    written = MOMENT.replace(microsecond=123_456)

    assert from_driver(LabTime(), written.isoformat(" "), sqlite) == MOMENT
    assert from_driver(LabTime(), written, postgresql) == MOMENT


def test_calendar_date_is_stored_at_midnight(dialect):
    assert str(to_driver(CalendarDate(), dt.date(2023, 1, 20), dialect)) == "2023-01-20 00:00:00"
    assert str(to_driver(CalendarDate(), MOMENT, dialect)) == "2023-01-20 00:00:00"


def test_document_is_compact_readable_and_keeps_its_order(dialect):
    document = {"b": 1, "a": dt.date(2023, 1, 20), "ü": dt.datetime(2023, 1, 20, 1)}

    written = to_driver(JSONText(), document, dialect)

    assert written == '{"b":1,"a":"2023-01-20","ü":"2023-01-20 01:00:00"}'


def test_text_compares_by_code_point_on_servers():
    _, postgresql = DIALECTS

    assert 'COLLATE "C"' in text(20).dialect_impl(postgresql).compile(postgresql)
    assert 'COLLATE "C"' in LongText.dialect_impl(postgresql).compile(postgresql)


def test_no_column_needs_what_access_lacks():
    for table in Base.metadata.tables.values():
        for column in table.columns:
            assert column.server_default is None
            if column.type.__class__.__name__ == "Boolean":
                assert not column.nullable, column
            length = getattr(column.type, "length", None)
            assert length is None or length <= 255


def test_every_column_says_what_it_holds():
    for table in Base.metadata.tables.values():
        for column in table.columns:
            assert column.doc, column
