"""What the tracker writes to an Access file, as an independent program reads it."""

from __future__ import annotations

import csv
import datetime as dt
import io
import math

import pandas as pd
import pytest

from support.sample_lab import open_lab

TIMES = [
    None,
    dt.datetime(2023, 1, 20, 13, 5, 59),
    dt.datetime(1999, 12, 31, 23, 59, 59),
    dt.datetime(2024, 2, 29),
]
TEXTS = [None, "Blender VR", 'said "stop"; it\'s 100 %, a\\b', "Ünïcødé ✓ 小鼠", "x" * 255]
NOTES = [None, "two\nlines", "Ω" * 4000, "a,b;c\td", "n" * 70_000]
NUMBERS = [None, 0.0, -12.5, 12.800000190734863, 1e-300, -1.7e300, 1 / 3]


def sessions() -> list[dict]:
    rows = []
    for number in range(42):
        flags = {name: bool(number & 1) for name in ("behavior", "imaging", "faceCamera")}
        rows.append(
            {
                "uSessionID": 3 * number + 5,
                "mouseName": ("ATL012", "ATL-ü")[number % 2],
                "sessionDate": dt.date(2023, 1, 1) + dt.timedelta(days=number),
                "sessionID": number,
                "experimentType": TEXTS[number % 5],
                "sessionNotes": NOTES[number % 5],
                "headPlateRotation": NUMBERS[number % 7],
                "vrEnvironments": (None, 0, -1, 2**31 - 1, -(2**31))[number % 5],
                "suite2pDate": TIMES[number % 4],
                **flags,
            }
        )
    return rows


@pytest.fixture
def file(tmp_path, put_migrated):
    path = put_migrated(tmp_path / "lab.accdb")
    with open_lab(str(path)) as tracker:
        tracker.mice.add_many([{"mouseName": "ATL012", "sex": "F"}, {"mouseName": "ATL-ü"}])
        tracker.sessions.add_many(sessions())
    return path


def read_back(text: str, kinds: pd.Series) -> list[dict]:
    return [
        {name: of_text(value, str(kinds[name])) for name, value in row.items()}
        for row in csv.DictReader(io.StringIO(text))
    ]


def of_text(value: str, kind: str):
    if kind in ("bool", "boolean"):
        return value == "1"
    if value == "":
        return None
    if kind.startswith("datetime"):
        return dt.datetime.fromisoformat(value)
    if kind.casefold().startswith("int"):
        return int(value)
    return float(value) if kind.casefold().startswith("float") else value


def plain(value):
    if value is pd.NaT or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, pd.Timestamp):
        return value.to_pydatetime()
    return value.item() if hasattr(value, "item") else value


def same(read, mine) -> bool:
    """Compare; MDB Tools writes a number with 15 to 16 digits."""
    if isinstance(mine, float) and isinstance(read, float):
        return math.isclose(read, mine, rel_tol=1e-15, abs_tol=0.0)
    return read == mine


def test_every_cell_is_read_back_equal_by_an_independent_program(file, mdb_export):
    with open_lab(str(file), readonly=True) as tracker:
        frames = {"sessiondb": tracker.sessions.frame(), "mousedb": tracker.mice.frame()}

    for table, frame in frames.items():
        assert_read_back(frame, mdb_export(file, table))


def assert_read_back(frame: pd.DataFrame, exported: str) -> None:
    ours = [{name: plain(value) for name, value in row.items()} for row in frame.to_dict("records")]

    theirs = read_back(exported, frame.dtypes)

    assert list(theirs[0]) == list(ours[0])
    differences = [
        (name, read, mine[name])
        for mine, row in zip(ours, theirs, strict=True)
        for name, read in row.items()
        if not same(read, mine[name])
    ]
    assert differences == []
