"""Fill a database with many sessions, fast, for measuring."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

MICE = 200
PER_MOUSE_AND_DAY = 3
_EPOCH = np.datetime64("2015-01-01", "s")


def fill(database: Any, rows: int) -> None:
    """Add mice and `rows` sessions to an empty database through its columnar driver."""
    sqlite = "sqlite" in database.url.drivername
    mice = pa.table(
        {
            "mouseName": [f"ATL{number:03d}" for number in range(MICE)],
            **{name: _flags(np.zeros(MICE, bool), sqlite=sqlite) for name in _MOUSE_FLAGS},
        }
    )
    _ingest(database, "mousedb", mice)
    _ingest(database, "sessiondb", sessions(rows, sqlite=sqlite))


_MOUSE_FLAGS = ("tracked", "trackerExists", "KO", "Blinded")


def sessions(rows: int, *, sqlite: bool) -> pa.Table:
    """Return sessions like the lab's: the same share of missing values, flags and long notes."""
    random = np.random.default_rng(7)
    number = np.arange(rows)

    def share(part: float) -> Any:
        return random.random(rows) < part

    imaging = share(0.85)
    suite2p = imaging & share(0.8)
    registered = (suite2p | ~imaging) & share(0.75)
    failed = ~registered & share(0.3)
    scratched = share(0.09)
    day = number // (MICE * PER_MOUSE_AND_DAY)
    date = _EPOCH + day.astype("timedelta64[D]")
    later = date + random.integers(0, 10**6, rows).astype("timedelta64[s]")
    red = registered & imaging & share(0.5)
    notes = np.where(share(0.1), "Objective re-aligned at 20 min. " * 10, "Mouse ran well.")

    def flags(values: Any) -> pa.Array:
        return _flags(values, sqlite=sqlite)

    def times(values: Any, where: Any) -> pa.Array:
        return _times(values, where, sqlite=sqlite)

    def some(values: Any, where: Any) -> pa.Array:
        return pa.array(values, mask=~where)

    never = np.zeros(rows, bool)
    integers = {
        name: pa.array(values.astype(np.int32), mask=None if where is None else ~where)
        for name, values, where in (
            ("sessionID", 701 + number % PER_MOUSE_AND_DAY, None),
            ("experimentID", random.integers(1, 4, rows), None),
            ("vrEnvironments", random.integers(1, 124, rows), None),
            ("numPlanes", np.full(rows, 5), imaging),
            ("vrBehaviorVersion", random.integers(1, 3, rows), None),
        )
    }
    mouse = (number // PER_MOUSE_AND_DAY) % MICE
    columns: dict[str, Any] = {
        "mouseName": pa.array([f"ATL{index:03d}" for index in range(MICE)]).take(pa.array(mouse)),
        "sessionDate": times(date, ~never),
        "sessionID": integers["sessionID"],
        "experimentType": pa.array(["Blender VR", "Gratings VR"]).take(pa.array(number % 2)),
        "experimentID": integers["experimentID"],
        "variableGain": flags(never),
        "behavior": flags(~never),
        "imaging": flags(imaging),
        "faceCamera": flags(share(0.4)),
        "vrEnvironments": integers["vrEnvironments"],
        "headPlateRotation": pa.array(random.choice([328.0, 331.0, 8.5, 3.5], rows)),
        "numPlanes": integers["numPlanes"],
        "planeSeparation": some(np.full(rows, 25.0), imaging),
        "pockelsPercentage": some(random.choice([4.0, 12.8, 38.0], rows), imaging),
        "objectiveRotation": some(random.choice([5.8, 12.8, 14.0], rows), imaging),
        "vrRegistration": flags(registered),
        "suite2p": flags(suite2p),
        "suite2pQC": flags(suite2p & (number % 2 == 0)),
        "redCellQC": flags(red),
        "sessionQC": flags(~scratched),
        "scratchJustification": some(np.full(rows, "Laser wasn't lasing"), scratched),
        "sessionNotes": some(notes, share(0.6)),
        "suite2pDate": times(later, suite2p),
        "vrRegistrationDate": times(later, registered),
        "vrRegistrationError": flags(failed),
        "vrRegistrationException": some(np.full(rows, "[Errno 13] Permission denied"), failed),
        "redCellQCDate": times(later, red),
        "vrBehaviorVersion": integers["vrBehaviorVersion"],
        "dontTrack": flags(never),
    }
    return pa.table(columns)


def _flags(values: Any, *, sqlite: bool) -> pa.Array:
    return pa.array(values.astype(np.int64) if sqlite else values)


def _times(values: Any, where: Any, *, sqlite: bool) -> pa.Array:
    if sqlite:
        text = np.char.replace(np.datetime_as_string(values.astype("datetime64[s]")), "T", " ")
        return pa.array(text, mask=~where)
    return pa.array(values.astype("datetime64[us]"), mask=~where)


def _ingest(database: Any, table: str, rows: pa.Table) -> None:
    with connect(database) as connection, connection.cursor() as cursor:
        cursor.adbc_ingest(table, rows, mode="append")
        connection.commit()
        cursor.execute("ANALYZE")
        connection.commit()


def connect(database: Any) -> Any:
    """Open the columnar driver on a database, for writing."""
    if "sqlite" in database.url.drivername:
        import adbc_driver_sqlite.dbapi as adbc

        return adbc.connect(database.url.database)
    import adbc_driver_postgresql.dbapi as adbc

    return adbc.connect(
        database.url.set(drivername="postgresql").render_as_string(hide_password=False)
    )
