"""Values are fitted to their columns, one by one and many at once, with the same result."""

from __future__ import annotations

import datetime as dt
import decimal
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from vrtracker.errors import InvalidValueError, UnknownNameError
from vrtracker.models import Base
from vrtracker.repositories.values import Coercer, storable_text

COERCER = Coercer(Base.metadata.tables["sessiondb"])
MICE = Coercer(Base.metadata.tables["mousedb"])
KEY = {"mouseName": "ATL012", "sessionDate": "2023-01-20", "sessionID": 701}


@pytest.mark.parametrize(
    ("column", "given_value", "fitted"),
    [
        ("imaging", True, True),
        ("imaging", 1, True),
        ("imaging", -1, True),
        ("imaging", 0.0, False),
        ("imaging", "TRUE", True),
        ("imaging", " no ", False),
        ("imaging", "-1", True),
        ("imaging", np.False_, False),
        ("imaging", np.int64(1), True),
        ("numPlanes", 5, 5),
        ("numPlanes", 5.0, 5),
        ("numPlanes", "5", 5),
        ("numPlanes", "5.0", 5),
        ("numPlanes", " 5 ", 5),
        ("numPlanes", np.float64(5), 5),
        ("numPlanes", -(2**31), -(2**31)),
        ("numPlanes", 2**31 - 1, 2**31 - 1),
        ("headPlateRotation", 5, 5.0),
        ("headPlateRotation", "-8.5e1", -85.0),
        ("headPlateRotation", np.float32(0.5), 0.5),
        ("headPlateRotation", decimal.Decimal("0.25"), 0.25),
        ("experimentType", "Blender VR", "Blender VR"),
        ("experimentType", " both ends ", " both ends "),
        ("experimentType", 7, "7"),
        ("experimentType", "x" * 255, "x" * 255),
        ("sessionNotes", "x" * 100_000, "x" * 100_000),
        ("sessionNotes", "小鼠 😀", "小鼠 😀"),
        ("sessionDate", "20230120", dt.date(2023, 1, 20)),
        ("sessionDate", pd.Timestamp("2023-01-20 09:00"), dt.date(2023, 1, 20)),
        ("suite2pDate", "2023-01-20", dt.datetime(2023, 1, 20)),
        ("suite2pDate", dt.date(2023, 1, 20), dt.datetime(2023, 1, 20)),
        ("mouseName", " ATL012 ", "ATL012"),
        ("sessionID", "007", 7),
    ],
    ids=repr,
)
def test_value_is_fitted(column, given_value, fitted):
    found = COERCER.value(column, given_value)

    assert found == fitted
    assert type(found) is type(fitted)


@pytest.mark.parametrize("column", Base.metadata.tables["sessiondb"].c.keys())
@pytest.mark.parametrize(
    "missing", [None, "", float("nan"), pd.NA, pd.NaT, np.datetime64("NaT", "us")], ids=repr
)
def test_missing_value_is_missing_in_every_column(column, missing):
    assert COERCER.value(column, missing) is None


@pytest.mark.parametrize(
    ("column", "bad"),
    [
        ("imaging", "maybe"),
        ("imaging", 2),
        ("imaging", 0.5),
        ("imaging", dt.date(2023, 1, 1)),
        ("imaging", [True]),
        ("numPlanes", "five"),
        ("numPlanes", "5 planes"),
        ("numPlanes", 1.5),
        ("numPlanes", True),
        ("numPlanes", 2**31),
        ("numPlanes", -(2**31) - 1),
        ("numPlanes", float("inf")),
        ("numPlanes", "inf"),
        ("numPlanes", "9" * 400),
        ("numPlanes", np.array([1, 2])),
        ("numPlanes", pd.Series([1, 2])),
        ("numPlanes", dt.datetime(2023, 1, 1)),
        ("headPlateRotation", "steep"),
        ("headPlateRotation", "nan"),
        ("headPlateRotation", "inf"),
        ("headPlateRotation", True),
        ("headPlateRotation", 10**400),
        ("headPlateRotation", [1.0]),
        ("headPlateRotation", np.array([1.0, 2.0])),
        ("experimentType", "x" * 256),
        ("experimentType", "a\x00b"),
        ("experimentType", "\ud800"),
        ("experimentType", b"bytes"),
        ("experimentType", True),
        ("experimentType", ["a"]),
        ("experimentType", {"a": 1}),
        ("sessionNotes", "a\x00b"),
        ("sessionNotes", dt.date(2023, 1, 1)),
        ("sessionDate", "soon"),
        ("sessionDate", 20230120),
        ("suite2pDate", "2023-01-20T00:00:00Z"),
        ("mouseName", "a b"),
        ("sessionID", -1),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_value_that_does_not_fit_names_its_column(column, bad):
    with pytest.raises(InvalidValueError, match=f"^{column}: ") as refused:
        COERCER.value(column, bad)

    assert refused.value.column == column


@pytest.mark.parametrize("column", ["imaging", "numPlanes", "headPlateRotation", "sessionNotes"])
@given(
    value=st.one_of(st.text(), st.integers(), st.floats(), st.booleans(), st.binary(), st.dates())
)
def test_any_value_fits_or_is_our_error(column, value):
    try:
        fitted = COERCER.value(column, value)
    except InvalidValueError:
        return
    assert COERCER.value(column, fitted) == fitted


# -- whole rows --------------------------------------------------------------------------------


def test_row_gets_its_defaults():
    row = COERCER.row(KEY)

    assert row["sessionQC"] is True
    assert row["imaging"] is False
    assert row["numPlanes"] is None
    assert "uSessionID" not in row
    assert set(row) == set(Base.metadata.tables["sessiondb"].c.keys()) - {"uSessionID"}


def test_missing_value_of_a_new_row_becomes_the_default():
    row = COERCER.row({**KEY, "sessionQC": None, "imaging": float("nan"), "uSessionID": None})

    assert (row["sessionQC"], row["imaging"]) == (True, False)
    assert "uSessionID" not in row


@pytest.mark.parametrize("name", ["mouseName", "sessionDate", "sessionID"])
def test_new_row_needs_its_key(name):
    for empty in (None, ""):
        with pytest.raises(InvalidValueError, match=name) as refused:
            COERCER.row({**KEY, name: empty})
        assert refused.value.column == name
    with pytest.raises(InvalidValueError, match=name):
        COERCER.row({key: value for key, value in KEY.items() if key != name})


def test_unknown_column_names_the_nearest():
    with pytest.raises(UnknownNameError) as refused:
        COERCER.row({**KEY, "imagin": True})
    assert refused.value.nearest[0] == "imaging"
    with pytest.raises(UnknownNameError):
        COERCER.changes({"Imaging": True})


def test_column_that_needs_a_value_cannot_be_emptied():
    for name in ("imaging", "sessionDate", "sessionQC"):
        with pytest.raises(InvalidValueError, match=name):
            COERCER.changes({name: None})
    assert COERCER.changes({"numPlanes": "", "sessionNotes": None}) == {
        "numPlanes": None,
        "sessionNotes": None,
    }


VALUES: dict[str, Any] = {
    "imaging": st.one_of(st.booleans(), st.sampled_from([0, 1, "yes", "no", None, "perhaps", 3])),
    "numPlanes": st.one_of(
        st.integers(-(2**33), 2**33), st.none(), st.sampled_from(["5", 5.0, "x", True, 1.5])
    ),
    "headPlateRotation": st.one_of(st.floats(), st.none(), st.integers(), st.just("8.5")),
    "experimentType": st.one_of(
        st.text(), st.none(), st.just("x" * 256), st.just("a\x00"), st.just("\ud800")
    ),
    "suite2pDate": st.one_of(
        st.datetimes(), st.none(), st.dates(), st.datetimes(timezones=st.just(dt.UTC)), st.just("x")
    ),
    "sessionDate": st.one_of(st.dates(), st.datetimes(), st.just("2023-01-20"), st.just("x")),
    "mouseName": st.sampled_from(["A", " A ", "a b", "b" * 256, "ü"]),
    "sessionID": st.one_of(st.integers(-2, 2**32), st.sampled_from(["001", 5.0, None])),
}


def outcome(fit: Any) -> Any:
    """Return the values with their types, or which column does not fit."""
    try:
        return [(type(value), value) for value in fit()]
    except InvalidValueError as error:
        return error.column


@given(data=st.data(), count=st.integers(1, 6), name=st.sampled_from(list(VALUES)))
def test_many_values_are_fitted_as_each_one_is(data, count, name):
    values = data.draw(st.lists(VALUES[name], min_size=count, max_size=count))
    given_columns: dict[str, list[Any]] = {key: [value] * count for key, value in KEY.items()}
    given_columns[name] = values
    rows = [{key: column[n] for key, column in given_columns.items()} for n in range(count)]

    def singly() -> list[Any]:
        return [COERCER.row(row)[name] for row in rows]

    def together() -> list[Any]:
        return COERCER.columns(given_columns, count)[name]

    assert outcome(together) == outcome(singly)


def test_row_that_is_wrong_is_counted_from_zero():
    columns = {name: [value] * 3 for name, value in KEY.items()} | {"numPlanes": [1, 2, "x"]}

    with pytest.raises(InvalidValueError) as refused:
        COERCER.columns(columns, 3)

    assert refused.value.row == 2


# -- columns of the lab's own ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "value", "fitted"),
    [
        (sa.BigInteger(), 2**62, 2**62),
        (sa.BigInteger(), "9007199254740993", 9007199254740993),
        (sa.SmallInteger(), "7", 7),
        (sa.Float(), "0.5", 0.5),
        (sa.Numeric(10, 2), "12.25", 12.25),
        (sa.Date(), "2023/1/20", dt.date(2023, 1, 20)),
        (sa.Boolean(), "yes", True),
        (sa.LargeBinary(), b"\x00", b"\x00"),
        (sa.JSON(), {"a": 1}, {"a": 1}),
        (sa.types.NullType(), "anything", "anything"),
    ],
    ids=repr,
)
def test_column_of_any_type_is_fitted(kind, value, fitted):
    table = sa.Table("odd", sa.MetaData(), sa.Column("odd", kind))

    assert Coercer(table).value("odd", value) == fitted


# -- texts -------------------------------------------------------------------------------------


@given(st.text())
def test_storable_text_is_what_utf_8_can_write_without_nul(text):
    try:
        text.encode()
        good = "\x00" not in text
    except UnicodeEncodeError:
        good = False
    if good:
        assert storable_text(text) == text
    else:
        with pytest.raises(InvalidValueError):
            storable_text(text)


def test_field_of_a_file_keeps_blanks_of_texts_alone():
    assert COERCER.field("sessionNotes", " a ") == " a "
    assert COERCER.field("numPlanes", " 5 ") == 5
    assert COERCER.field("numPlanes", "  ") is None
    assert COERCER.field("sessionDate", " 2023-01-20 ") == dt.date(2023, 1, 20)
    assert math.isclose(COERCER.field("headPlateRotation", " 8.5"), 8.5)
    assert MICE.field("mouseName", " ATL012 ") == "ATL012"
