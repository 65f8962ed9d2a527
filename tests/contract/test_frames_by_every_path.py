"""Frames and Arrow tables of any rows, by every path, hold what is stored, value by value."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from support.examples import examples
from support.sample_lab import DAY
from vrtracker.backends import sqlite_arrow
from vrtracker.errors import InvalidValueError
from vrtracker.frames import read_frame, read_table

TEXTS = st.text(
    # No surrogates, and nothing that a file of Access or a server refuses as text.
    st.characters(codec="utf-8", exclude_characters="\x00"),
    min_size=1,
    max_size=40,
)
NUMBERS = st.integers(-(2**31), 2**31 - 1) | st.sampled_from([-(2**31), 0, 2**31 - 1])
REALS = st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=False) | st.sampled_from(
    [0.1, -1e300, 5e-300, 2.0**53 + 2]
)
TIMES = st.datetimes(dt.datetime(1600, 1, 1), dt.datetime(9999, 12, 31)).map(
    lambda time: time.replace(microsecond=0)
)
VALUES = {
    "imaging": st.booleans(),
    "numPlanes": st.none() | NUMBERS,
    "headPlateRotation": st.none() | REALS,
    "experimentType": st.none() | TEXTS,
    "sessionNotes": st.none() | TEXTS.map(lambda text: text * 20),
    "suite2pDate": st.none() | TIMES,
}
EMPTY = st.sets(st.sampled_from([name for name in VALUES if name != "imaging"]))
"""Columns that hold no value at all."""
ROWS = st.builds(
    lambda rows, empty: [{**row, **dict.fromkeys(empty)} for row in rows],
    st.lists(st.fixed_dictionaries(VALUES), max_size=12),
    EMPTY,
)
ARROW = {
    "int64": pa.int64(),
    "Int64": pa.int64(),
    "bool": pa.bool_(),
    "float64": pa.float64(),
    "datetime64[us]": pa.timestamp("us"),
    "str": pa.large_string(),
}


def store(tracker: Any, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Replace all sessions, past the services, and return what frames are to hold of them."""
    sessions = tracker.database.tables.sessions
    keyed = [
        {"mouseName": "ATL012", "sessionDate": DAY, "sessionID": 701 + number, **row}
        for number, row in enumerate(rows)
    ]
    flags = {column.name: False for column in sessions.c if isinstance(column.type, sa.Boolean)}
    full = [{**flags, "sessionQC": True, **row} for row in keyed]
    with tracker.database.connect(readonly=False) as connection:
        connection.execute(sa.delete(sessions))
        if full:
            connection.execute(sa.insert(sessions), full)
        connection.commit()
    midnight = dt.datetime.combine(DAY, dt.time())
    missing = {column.name: None for column in sessions.c if column.name != "uSessionID"}
    return [{**missing, **row, "sessionDate": midnight} for row in full]


def plain(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a frame, missing values as None, without their numbers."""
    columns = {
        name: [None if pd.isna(value) else value for value in frame[name].tolist()]
        for name in frame.columns
        if name != "uSessionID"
    }
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def statement_of(tracker: Any) -> sa.Select[Any]:
    sessions = tracker.database.tables.sessions
    return sa.select(*sessions.c).order_by(sessions.c.uSessionID)


@pytest.fixture
def paths(labs) -> dict[str, Any]:
    """Trackers on one database that read it in different ways."""
    tracker = labs.new()
    found = {
        "as columns": tracker,
        "row by row": labs.open(tracker.url),
        "by another process": labs.open(tracker.url),
    }
    database = found["row by row"].database.handle
    database._reader, database._reader_known = None, True
    return found


def test_any_rows_are_the_same_by_every_path(paths, backend, monkeypatch):
    @settings(max_examples=examples(20, backend.marker))
    @given(rows=ROWS)
    def agree(rows):
        wanted = store(paths["as columns"], rows)
        for path, tracker in paths.items():
            few = 1 if path == "by another process" else 200
            monkeypatch.setattr(sqlite_arrow, "FEW_ROWS", few)
            frame = tracker.sessions.frame(include_scratched=True)
            assert plain(frame) == wanted, path
            table = read_table(tracker.database.handle, statement_of(tracker))
            dtypes = {name: str(dtype) for name, dtype in frame.dtypes.items()}
            assert dict(zip(table.column_names, table.schema.types, strict=True)) == {
                name: ARROW[dtype] for name, dtype in dtypes.items()
            }
            assert table.drop_columns("uSessionID").to_pylist() == wanted, path
            query = tracker.query(include_scratched=True)
            assert query.arrow().equals(table), path
            assert query.polars().drop("uSessionID").to_dicts() == wanted, path
        for options in ({"dtype_backend": "pyarrow"}, {"categories": True}):
            frame = paths["as columns"].sessions.frame(include_scratched=True, **options)
            assert plain(frame) == wanted, options

    monkeypatch.setattr(sqlite_arrow, "START_ROWS", 0)
    monkeypatch.setattr(sqlite_arrow, "WAIT_ROWS", 1)
    agree()
    if backend.marker == "sqlite":
        assert paths["by another process"].database.handle._arrow_reader()._process.is_ready()


# -- other dtypes on request -------------------------------------------------------------------


def test_arrow_dtypes_are_those_of_the_table_with_rows_and_without(sample):
    table = read_table(sample.database.handle, statement_of(sample))
    for filters in ({}, {"sessionID": 0}):
        frame = sample.sessions.frame(filters, dtype_backend="pyarrow")

        assert list(frame.dtypes) == [pd.ArrowDtype(kind) for kind in table.schema.types]


def test_categories_are_the_words_that_occur(sample):
    frame = sample.sessions.frame(categories=True, include_scratched=True)
    usual = sample.sessions.frame(include_scratched=True)

    words = sorted(usual["experimentType"].dropna().unique(), key=str.encode)
    assert list(frame["experimentType"].cat.categories) == words
    assert [name for name in frame if isinstance(frame[name].dtype, pd.CategoricalDtype)] == [
        "mouseName",
        "experimentType",
    ]
    pd.testing.assert_series_equal(frame["sessionNotes"], usual["sessionNotes"])
    assert sample.sessions.frame(sessionID=0, categories=True)["mouseName"].dtype == "category"


def test_secret_genotypes_are_hidden_in_every_kind_of_frame(labs):
    tracker = labs.new()
    tracker.mice.add("B1", KO=True, Blinded=True, genotype="ko/ko")

    for options in ({"dtype_backend": "pyarrow"}, {"categories": True}):
        frame = tracker.mice.frame(**options)
        assert frame[["KO", "genotype"]].isna().all(axis=1).tolist() == [False, True]


def test_unknown_backend_of_dtypes_is_refused(small):
    with pytest.raises(InvalidValueError, match="pyarrow"):
        small.sessions.frame(dtype_backend="polars")


def test_values_of_a_frame_can_be_changed(sample):
    frame = sample.sessions.frame()

    for name, value in (("imaging", True), ("sessionID", 1), ("headPlateRotation", 0.5)):
        frame.loc[:, name] = value
        assert (frame[name] == value).all()


def test_rows_of_further_statements_follow(sample):
    statement = statement_of(sample)
    once = read_frame(sample.database.handle, statement)

    twice = read_frame(sample.database.handle, statement, statement)

    pd.testing.assert_frame_equal(twice, pd.concat([once, once], ignore_index=True))
