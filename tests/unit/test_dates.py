from __future__ import annotations

import datetime as dt
import os
import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vrtracker.domain.dates import parse_date, parse_datetime, parse_moment, plain
from vrtracker.errors import InvalidValueError

DAY = dt.date(2023, 1, 20)
EAST = dt.timezone(dt.timedelta(hours=13))
WEST = dt.timezone(dt.timedelta(hours=-11))


@pytest.mark.parametrize("text", ["2023-02-29", "2023-23-01", "20230431"])
def test_day_that_does_not_exist_is_said_to_be_none(text: str):
    with pytest.raises(
        InvalidValueError, match=rf"^'{text}' is no day that exists; a date is year, month"
    ):
        parse_date(text)


@pytest.mark.parametrize(
    "spelling",
    [
        DAY,
        dt.datetime(2023, 1, 20),
        dt.datetime(2023, 1, 20, 23, 59, 59, 999_999),
        dt.datetime(2023, 1, 20, 0, 30, tzinfo=EAST),
        dt.datetime(2023, 1, 20, 23, 30, tzinfo=WEST),
        pd.Timestamp("2023-01-20 12:00"),
        pd.Timestamp("2023-01-20 23:30", tz="America/New_York"),
        pd.Timestamp("2023-01-20 23:59:59.999999999"),
        np.datetime64("2023-01-20"),
        np.datetime64("2023-01-20T23:59:59.999999999"),
        np.datetime64("2023-01-20", "ns"),
        "2023-01-20",
        " 2023-01-20 ",
        "2023-1-20",
        "2023/01/20",
        "2023.01.20",
        "20230120",
        "2023-01-20 14:30",
        "2023-01-20T14:30:00",
        "2023-01-20T23:30:00-11:00",
        "2023-01-20 00:00:00.000",
        np.str_("2023-01-20"),
    ],
    ids=repr,
)
def test_date_is_read_as_it_shows_itself(spelling):
    found = parse_date(spelling)

    assert found == DAY
    assert type(found) is dt.date


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Tokyo", "Pacific/Kiritimati"])
def test_zone_of_the_computer_changes_no_date(zone, monkeypatch):
    if not hasattr(time, "tzset"):
        pytest.skip("this system cannot change its zone")
    before = os.environ.get("TZ")
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        for spelling in ("2023-01-20", pd.Timestamp("2023-01-20"), dt.datetime(2023, 1, 20)):
            assert parse_date(spelling) == DAY
    finally:
        monkeypatch.setenv("TZ", before or "")
        if before is None:
            monkeypatch.delenv("TZ")
        time.tzset()


@pytest.mark.parametrize(
    "nonsense",
    [
        "",
        "yesterday",
        "20-01-2023",
        "01/20/2023",
        "2023-02-30",
        "2023-13-01",
        "2023-00-10",
        "2023-01",
        "2023-01-20x",
        "2023-01-20 25:00",
        "2023-01-20 noon",
        "20231301",
        20230120,
        1.5,
        True,
        None,
        pd.NaT,
        np.datetime64("NaT", "us"),
        pd.Timedelta("1D"),
        b"2023-01-20",
        pytest.param(object(), id="an object"),
        ["2023-01-20"],
    ],
    ids=repr,
)
def test_what_shows_no_date_is_refused(nonsense):
    with pytest.raises(InvalidValueError, match="2023-01-20"):
        parse_date(nonsense)


@pytest.mark.parametrize(
    ("spelling", "shown"),
    [
        ("2023-01-20", dt.datetime(2023, 1, 20)),
        ("2023/1/20", dt.datetime(2023, 1, 20)),
        ("20230120", dt.datetime(2023, 1, 20)),
        ("2023-01-20 14:30", dt.datetime(2023, 1, 20, 14, 30)),
        ("2023-01-20T14:30:05.999", dt.datetime(2023, 1, 20, 14, 30, 5)),
        (DAY, dt.datetime(2023, 1, 20)),
        (dt.datetime(2023, 1, 20, 14, 30, 5, 999_999), dt.datetime(2023, 1, 20, 14, 30, 5)),
        (pd.Timestamp("2023-01-20 14:30:05.5"), dt.datetime(2023, 1, 20, 14, 30, 5)),
        (np.datetime64("2023-01-20T14:30:05", "ns"), dt.datetime(2023, 1, 20, 14, 30, 5)),
        (np.datetime64("2023-01-20"), dt.datetime(2023, 1, 20)),
    ],
    ids=repr,
)
def test_time_is_read_to_the_second(spelling, shown):
    found = parse_datetime(spelling)

    assert found == shown
    assert type(found) is dt.datetime


@pytest.mark.parametrize(
    "value",
    [
        dt.datetime(2023, 1, 20, tzinfo=dt.UTC),
        pd.Timestamp("2023-01-20", tz="Europe/London"),
        "2023-01-20T14:30:00Z",
        "2023-01-20T14:30:00+01:00",
    ],
    ids=repr,
)
def test_time_with_a_zone_is_refused(value):
    with pytest.raises(InvalidValueError, match="zone"):
        parse_datetime(value)


@pytest.mark.parametrize(
    "value", ["", "soon", "2023-01-20 24:61", 5, None, pd.NaT, "14:30", dt.time(3)]
)
def test_what_shows_no_time_is_refused(value):
    with pytest.raises(InvalidValueError, match="time"):
        parse_datetime(value)


@given(st.dates())
def test_every_date_is_read_back(date):
    assert parse_date(date.isoformat()) == date
    assert parse_date(f"{date.isoformat()} 23:59:59") == date
    assert parse_datetime(date) == dt.datetime.combine(date, dt.time())


@given(st.datetimes())
def test_every_time_is_read_back_to_the_second(moment):
    assert parse_datetime(moment.isoformat()) == moment.replace(microsecond=0)
    assert parse_datetime(moment.isoformat(" ")) == moment.replace(microsecond=0)


@given(st.text(max_size=30))
def test_any_text_is_a_date_or_our_error(text):
    for parse in (parse_date, parse_datetime):
        try:
            parse(text)
        except InvalidValueError:
            continue


@pytest.mark.parametrize(
    ("value", "meaning"),
    [
        (np.int64(7), 7),
        (np.float32(0.5), 0.5),
        (np.True_, True),
        (np.str_("x"), "x"),
        (np.array(7), 7),
        (np.float64("nan"), None),
        (float("nan"), None),
        (pd.NA, None),
        (pd.NaT, None),
        (np.datetime64("NaT", "us"), None),
        (None, None),
        ("", ""),
        (0, 0),
        (pd.Timestamp("2023-01-20 01:02:03"), dt.datetime(2023, 1, 20, 1, 2, 3)),
        (np.datetime64("2023-01-20T01:02:03"), dt.datetime(2023, 1, 20, 1, 2, 3)),
    ],
    ids=repr,
)
def test_scalars_become_pythons_own(value, meaning):
    found = plain(value)

    assert found == meaning
    assert type(found) is type(meaning)


LAB = dt.timezone(dt.timedelta(hours=2))
EVENING = dt.datetime(2026, 3, 2, 21, 59, 59, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    "shown",
    [
        "2026-03-02",
        "20260302",
        dt.date(2026, 3, 2),
        "2026-03-02 23:59:59",
        dt.datetime(2026, 3, 2, 23, 59, 59),
        pd.Timestamp("2026-03-02 23:59:59.9"),
        "2026-03-02T21:59:59+00:00",
        EVENING,
        EVENING.astimezone(dt.timezone(dt.timedelta(hours=9))),
    ],
    ids=str,
)
def test_moment_without_a_zone_is_the_labs_clock_and_a_date_is_its_end(shown):
    assert parse_moment(shown, LAB) == EVENING


def test_date_stands_for_another_time_of_day_where_that_is_asked_for():
    midnight = dt.datetime(2026, 3, 2, tzinfo=LAB)

    assert parse_moment("2026-03-02", LAB, of_day=dt.time()) == midnight


@pytest.mark.parametrize("wrong", ["yesterday", "2026-02-30", None, 5])
def test_what_shows_no_moment_is_refused(wrong):
    with pytest.raises(InvalidValueError):
        parse_moment(wrong, LAB)


@pytest.mark.parametrize("zone", [LAB, None, dt.timezone(dt.timedelta(hours=3))])
def test_a_moment_beyond_what_times_hold_is_refused(zone):
    least = dt.datetime.min.replace(tzinfo=dt.timezone(dt.timedelta(hours=3)))
    for value in (least, dt.datetime.max.replace(tzinfo=dt.timezone(dt.timedelta(hours=-3)))):
        with pytest.raises(InvalidValueError, match="out of range"):
            parse_moment(value, zone)
