from __future__ import annotations

import csv

import pyarrow as pa

from vrtracker.backends.access import ucanaccess
from vrtracker.backends.access.arrow import fetch_arrow


def test_table_holds_what_the_cells_hold(legacy_file):
    sql = "SELECT * FROM [sessiondb] ORDER BY [uSessionID]"
    with ucanaccess.connect(legacy_file) as connection:
        table = fetch_arrow(connection, sql)
        cursor = connection.cursor().execute(sql)
        cells = cursor.fetchall()
        names = [column[0] for column in cursor.description]
    assert table.column_names == names
    assert [tuple(row.values()) for row in table.to_pylist()] == cells


def test_empty_result_keeps_its_types(legacy_file):
    with ucanaccess.connect(legacy_file) as connection:
        sql = "SELECT [uSessionID],[mouseName],[sessionDate],[imaging],[headPlateRotation] FROM "
        empty = fetch_arrow(connection, sql + "[sessiondb] WHERE [uSessionID]=?", (-1,))
    assert empty.num_rows == 0
    assert empty.schema.types == [
        pa.int32(),
        pa.string(),
        pa.timestamp("ms"),
        pa.bool_(),
        pa.float64(),
    ]


def test_lab_file_reads_as_the_independent_export(legacy_file, legacy_csv):
    with ucanaccess.connect(legacy_file) as connection:
        table = fetch_arrow(connection, "SELECT * FROM [sessiondb] ORDER BY [uSessionID]")
    with (legacy_csv / "sessiondb.csv").open(newline="", encoding="utf-8") as stream:
        expected = list(csv.DictReader(stream))
    rows = table.to_pylist()
    assert len(rows) == len(expected) == 244
    assert [_as_csv(row) for row in rows] == [_canonical(row) for row in expected]


def _as_csv(row):
    return {name: _text(value) for name, value in row.items()}


def _text(value):
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, (int, float)):
        return f"{value:g}" if isinstance(value, float) else str(value)
    return str(value)


def _canonical(row):
    return {
        name: f"{float(value):g}" if name in FLOATS and value else value
        for name, value in row.items()
    }


FLOATS = {"headPlateRotation", "planeSeparation", "pockelsPercentage", "objectiveRotation"}
