"""Every listing goes into a file as --json has it."""

from __future__ import annotations

import csv
import json

import pyarrow.parquet as pq
import pytest
from pyarrow import feather

from support.command_line import refused
from support.rigs import a_rig
from vrtracker.cli.exits import Exit

KEY = "DEMO001.2023-01-18.701"
LISTINGS = [
    ["sessions", "list", "--columns", "key,imaging"],
    ["sessions", "deleted"],
    ["mice", "list"],
    ["mice", "deleted"],
    ["needs", "registration"],
    ["datasets", "list", KEY],
    ["qc", "list"],
    ["qc", "show", KEY],
    ["attempts", KEY],
    ["errors"],
    ["errors", "--held-back"],
    ["history", KEY],
    ["history"],
    ["claims"],
    ["selections"],
    ["rig", "list"],
    ["db", "history"],
    ["db", "readers"],
    ["admin", "roles"],
]


@pytest.mark.parametrize("words", LISTINGS, ids=" ".join)
def test_rows_of_a_listing_are_those_of_json_in_every_kind_of_file(sample, words, tmp_path):
    rows = sample.told(*words)
    flat = [
        {name: json.dumps(v) if isinstance(v, list | dict) else v for name, v in row.items()}
        for row in rows
    ]
    for name in ("rows.csv", "rows.parquet", "rows.arrow"):
        done = sample.told(*words, "--to", tmp_path / name)
        assert done == {"rows": len(rows), "file": str(tmp_path / name)}

    assert pq.read_table(tmp_path / "rows.parquet").to_pylist() == flat
    assert feather.read_table(tmp_path / "rows.arrow").to_pylist() == flat
    with (tmp_path / "rows.csv").open(newline="") as file:
        assert [row.keys() for row in csv.DictReader(file)] == [row.keys() for row in flat]


def test_file_without_rows_has_the_columns_of_one_with_rows(demo, tmp_path):
    file = tmp_path / "rows.csv"

    def header(*words):
        demo.told(*words, "--to", file)
        return file.read_text().splitlines()[0].split(",")

    none = ["--where", "mouseName=nobody"]
    columns = ["--columns", "key,datasets.bytes"]
    for words in (["sessions", "list"], ["sessions", "list", *columns], ["mice", "list"]):
        assert header(*words, *none) == header(*words)
    assert header("qc", "list", *none) == header("qc", "list")
    assert {"key", "stage", "alive"} < set(header("claims"))
    empty = [header("selections"), header("rig", "list")]
    demo.good("freeze", "fig3", "--imaging")
    (tmp_path / "b2.json").write_text(json.dumps(a_rig()))
    demo.good("rig", "add", tmp_path / "b2.json")
    assert empty == [header("selections"), header("rig", "list")]
    demo.told("sessions", "list", *columns, *none, "--to", tmp_path / "rows.parquet")
    assert len(pq.read_schema(tmp_path / "rows.parquet").names) == 2


def test_file_of_another_ending_is_refused(sample, tmp_path):
    said = refused(*sample.options, "claims", "--to", tmp_path / "a.doc", code=Exit.BAD_INPUT)
    assert ".feather" in said
    assert not (tmp_path / "a.doc").exists()
