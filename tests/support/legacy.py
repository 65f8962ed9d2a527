"""A lab's own database, as the lab made it: no keys, no rules, and every kind of trouble."""

from __future__ import annotations

import csv
import datetime as dt
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from support.sample_lab import change_schema
from vrtracker.database import Database

NUMBERS = {"sessiondb": "uSessionID", "mousedb": "uMouseID"}
TIMES = ("sessionDate", "logtime", "suite2pDate", "vrRegistrationDate", "redCellQCDate")
FLAGS = (
    *("variableGain", "behavior", "imaging", "faceCamera", "vrRegistration", "suite2p"),
    *("suite2pQC", "redCellQC", "sessionQC", "vrRegistrationError", "dontTrack"),
    *("tracked", "trackerExists", "KO", "Blinded"),
)
WHOLE = (
    *("uSessionID", "sessionID", "experimentID", "vrEnvironments", "numPlanes"),
    *("vrBehaviorVersion", "uMouseID"),
)
FLOATS = ("headPlateRotation", "planeSeparation", "pockelsPercentage", "objectiveRotation")
SESSION_COLUMNS = (
    *("uSessionID", "mouseName", "sessionDate", "sessionID", "experimentType", "experimentID"),
    *("variableGain", "behavior", "imaging", "faceCamera", "vrEnvironments"),
    *("headPlateRotation", "numPlanes", "planeSeparation", "pockelsPercentage"),
    *("objectiveRotation", "vrRegistration", "suite2p", "suite2pQC", "redCellQC", "sessionQC"),
    *("scratchJustification", "logtime", "sessionNotes", "suite2pDate", "vrRegistrationDate"),
    *("vrRegistrationError", "vrRegistrationException", "redCellQCDate", "vrBehaviorVersion"),
    "dontTrack",
)
MOUSE_COLUMNS = (
    *("uMouseID", "mouseName", "tracked", "trackerExists", "KO", "Blinded"),
    *("environmentOrder", "experimentID"),
)
COLUMNS = {"sessiondb": SESSION_COLUMNS, "mousedb": MOUSE_COLUMNS}

Row = dict[str, Any]
Types = Mapping[str, Any]


def kind_of(name: str) -> Any:
    """Return the type that the lab's own Access file gives a column."""
    if name in FLAGS:
        return sa.Boolean()
    if name in WHOLE:
        return sa.Integer()
    if name in FLOATS:
        return sa.Double()
    if name in TIMES:
        return sa.DateTime()
    return sa.Text() if name in {"sessionNotes", "vrRegistrationException"} else sa.String(255)


def session(number: int, mouse: Any, date: Any, session_id: Any, **values: Any) -> Row:
    """Return a session as the lab has it."""
    flags = {name: False for name in FLAGS if name in SESSION_COLUMNS} | {"sessionQC": True}
    key = {"uSessionID": number, "mouseName": mouse, "sessionDate": date, "sessionID": session_id}
    return flags | key | values


def mouse(number: int, name: Any, **values: Any) -> Row:
    """Return a mouse as the lab has it."""
    flags = {name: False for name in FLAGS if name in MOUSE_COLUMNS}
    return flags | {"uMouseID": number, "mouseName": name} | values


def make_table(
    url: str,
    name: str,
    rows: Sequence[Row],
    *,
    types: Types | None = None,
    names: Sequence[str] | None = None,
    with_key: bool = True,
) -> None:
    """Make one of the lab's tables and fill it, past the tracker.

    Parameters
    ----------
    types
        Types of columns that differ from the lab's, and of columns of its own.
    names
        The columns, in their order and spelling; the lab's when not given.
    with_key
        Count the rows by an autonumber, the primary key; else it is a plain column.
    """
    types = types or {}

    def make(operations: Any) -> None:
        columns = [
            sa.Column(
                each,
                types.get(each, kind_of(each)),
                primary_key=with_key and each == NUMBERS[name],
                autoincrement=with_key and each == NUMBERS[name],
            )
            for each in names or (*COLUMNS[name], *(set(types) - set(COLUMNS[name])))
        ]
        operations.create_table(name, *columns)

    change_schema(url, make)
    insert_rows(url, name, rows, with_key=with_key)


def insert_rows(url: str, name: str, rows: Sequence[Row], *, with_key: bool = True) -> None:
    """Insert rows past the tracker, with their numbers."""
    database = Database(url)
    try:
        with database.write_engine.begin() as connection:
            table = sa.Table(name, sa.MetaData(), autoload_with=connection)
            if with_key:
                with database.backend.keeping_ids(connection, table):
                    for row in rows:
                        connection.execute(sa.insert(table).values(row))
            else:
                for row in rows:
                    connection.execute(sa.insert(table).values(row))
    finally:
        database.dispose()


def everything(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """Return all rows of all tables, to show that nothing was written."""
    database = Database(url, readonly=True)
    try:
        with database.connect(readonly=True) as connection:
            found = {}
            for name in sa.inspect(connection).get_table_names():
                columns = [each["name"] for each in sa.inspect(connection).get_columns(name)]
                statement = sa.select(*map(sa.column, columns)).select_from(sa.table(name))
                found[name] = sorted(map(tuple, connection.execute(statement)), key=repr)
            return found
    finally:
        database.dispose()


def csv_rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of an export of MDB Tools, all of them text."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def value_of(name: str, text: str) -> Any:
    """Return what a field of such an export stands for; what is empty is missing."""
    if not text:
        return None
    if name in FLAGS:
        return text == "1"
    if name in WHOLE:
        return int(text)
    if name in FLOATS:
        return float(text)
    if name in TIMES:
        moment = dt.datetime.fromisoformat(text)
        return moment.date() if name == "sessionDate" else moment
    return text


def differing(found: Any, rows: Sequence[Mapping[str, str]]) -> list[tuple[str, Any, Any]]:
    """Return where records differ from the rows of an export; a Single has 7 digits there."""
    records = list(found)
    assert len(records) == len(rows)
    different = []
    for record, row in zip(records, rows, strict=True):
        for name, text in row.items():
            value, wanted = getattr(record, name), value_of(name, text)
            close = (
                name in FLOATS
                and None not in (value, wanted)
                and math.isclose(value, wanted, rel_tol=1e-6)
            )
            if not close and value != wanted:
                different.append((name, value, wanted))
    return different
