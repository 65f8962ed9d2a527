"""The lab's own Access file is adopted in place: its tables, its numbers, its other content."""

from __future__ import annotations

import functools
import random
import shutil
from pathlib import Path

import numpy as np
import pytest

import vrtracker
from support.access_files import adopt_when_told, mdb_rows
from support.legacy import COLUMNS, FLOATS, csv_rows, differing
from support.processes import KILLS_OF_A_SHARE, each_share, killed_when_ready
from support.registrars import good
from support.sample_lab import open_lab
from vrtracker.backends.access import jackcess_ops as ops
from vrtracker.backends.access.inspection import Relationship
from vrtracker.database.migration import check
from vrtracker.database.versions import HEAD
from vrtracker.errors import BackendError
from vrtracker.services.administration.adoption import adopt, inspect

RULES = (
    "ix_sessiondb_next_registration",
    "ix_sessiondb_next_suite2p",
    "ix_sessiondb_red_cell",
)


@pytest.fixture
def wanted(legacy_csv):
    """The rows of both tables as MDB Tools read them in the lab's file."""
    return {name: csv_rows(legacy_csv / f"{name}.csv") for name in COLUMNS}


def exported(path: Path, mdb_export) -> dict[str, list[dict[str, str]]]:
    """Return the lab's columns of both tables, as MDB Tools read them now."""
    found = {}
    for name, columns in COLUMNS.items():
        file = path.with_suffix(f".{name}.csv")
        file.write_text(mdb_export(path, name), encoding="utf-8")
        found[name] = [{key: row[key] for key in columns} for row in csv_rows(file)]
        file.unlink()
    return found


def in_single_precision(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """Return rows with the lab's Singles spelt alike: a clone keeps them as Doubles.

    MDB Tools print the Single 5.8 with 8 digits, 5.8000002, and the Double 5.8 as it is.
    """
    return [
        row | {name: str(np.float32(row[name])) for name in FLOATS if row.get(name)} for row in rows
    ]


def test_inspection_leaves_the_file_and_its_folder_as_they_were(legacy_file):
    before, names = legacy_file.read_bytes(), sorted(legacy_file.parent.iterdir())

    report = inspect(legacy_file)

    assert report.rows == {"sessiondb": 244, "mousedb": 14}
    assert not report.blocking
    assert legacy_file.read_bytes() == before
    assert sorted(legacy_file.parent.iterdir()) == names


def test_every_value_is_that_of_the_lab(legacy_file, wanted, mdb_export):
    before = legacy_file.read_bytes()

    report = adopt(legacy_file)

    assert report.revision == HEAD
    assert check(legacy_file) == []
    assert exported(legacy_file, mdb_export) == wanted
    with open_lab(str(legacy_file)) as tracker:
        sessions = tracker.sessions.iter(include_scratched=True)
        assert differing(sessions, wanted["sessiondb"]) == []
        assert differing(tracker.mice.iter(), wanted["mousedb"]) == []
    [kept] = legacy_file.parent.glob("lab.before-*.accdb")
    assert kept.read_bytes() == before


def test_tables_stay_in_place_with_the_rules_of_the_tracker(legacy_file):
    adopt(legacy_file)

    with ops.opened(legacy_file, readonly=True) as file:
        tables = {table.name: table for table in ops.list_tables(file)}
        links = {link.name: link for link in ops.relationships(file)}
        numbers = {name: ops.next_autonumber(file, name) for name in COLUMNS}
    sessions = {index.name: index for index in tables["sessiondb"].indexes}
    assert [column.name for column in tables["sessiondb"].columns] == list(COLUMNS["sessiondb"])
    assert sessions["uq_sessiondb_key"].unique
    assert set(RULES) <= set(sessions)
    assert sessions["PrimaryKey"].primary
    assert links["fk_sessiondb_mouseName"].enforced
    assert {"fk_vrt_event_uSessionID"}.isdisjoint(links)
    assert {"fk_vrt_attempt_uSessionID", "fk_vrt_dataset_uSessionID"} <= set(links)
    assert numbers["mousedb"] > 14


def test_adopted_file_is_worked_with(legacy_file, wanted, mdb_export, tmp_path):
    adopt(legacy_file)
    rows = wanted["sessiondb"]
    last = max(int(row["uSessionID"]) for row in rows)
    mouse = wanted["mousedb"][0]["mouseName"]
    (tmp_path / "root" / mouse / "2024-01-01" / "701").mkdir(parents=True)

    def original() -> list[dict[str, str]]:
        return [
            row
            for row in exported(legacy_file, mdb_export)["sessiondb"]
            if int(row["uSessionID"]) <= last
        ]

    with open_lab(str(legacy_file), root=tmp_path / "root") as tracker:
        added = tracker.sessions.add((mouse, "2024-01-01", 701), imaging=True, suite2p=True)
        assert added.uSessionID == last + 1
        assert original() == rows
        tracker.sessions.update({"sessionNotes": "ran well"}, added.key)
        assert original() == rows
        tracker.workflow.set_qc(added.key, "suite2p", "PASS", reason="clear")
        assert original() == rows
        report = tracker.workflow.run("registration", added.key, registrar=good)
        assert [result.outcome for result in report.results] == ["succeeded"]
        assert original() == rows
        tracker.workflow.scratch(added.key, "laser off")
        assert original() == rows
    # A row that has moved twice is shown by MDB Tools at the place that it has left, too.
    new = mdb_rows(legacy_file, "sessiondb")[-1]
    assert new["uSessionID"] == str(last + 1)
    assert (new["sessionNotes"], new["vrRegistration"], new["sessionQC"]) == ("ran well", "1", "0")
    assert new["scratchJustification"] == "laser off"


@pytest.mark.parametrize("backend", ["sqlite", "postgresql16", "postgresql18"], indirect=True)
def test_adopted_file_goes_to_another_database_and_back(
    legacy_file, backend, wanted, mdb_export, tmp_path
):
    adopt(legacy_file)
    between, back = backend.new_url(), tmp_path / "back.accdb"

    vrtracker.clone(legacy_file, between)
    vrtracker.clone(between, back)

    for url in (between, str(back)):
        with open_lab(url) as tracker:
            sessions = tracker.sessions.iter(include_scratched=True)
            assert differing(sessions, wanted["sessiondb"]) == []
            assert differing(tracker.mice.iter(), wanted["mousedb"]) == []
    found = exported(back, mdb_export)
    assert found["mousedb"] == wanted["mousedb"]
    assert in_single_precision(found["sessiondb"]) == in_single_precision(wanted["sessiondb"])
    last = max(int(row["uSessionID"]) for row in wanted["sessiondb"])
    for url in (between, str(back)):
        with open_lab(url) as tracker:
            mouse = wanted["mousedb"][0]["mouseName"]
            assert tracker.sessions.add((mouse, "2024-01-01", 701)).uSessionID == last + 1
    rows = exported(back, mdb_export)["sessiondb"][:-1]
    assert in_single_precision(rows) == in_single_precision(wanted["sessiondb"])


def test_what_is_the_labs_alone_stays(legacy_file):
    with ops.opened(legacy_file) as file:
        ops.add_column(file, "sessiondb", ops.NewColumn("rig", "TEXT", length=20))
        ops.add_column(file, "mousedb", ops.NewColumn("Weight g", "MONEY"))
        ops.create_table(file, "cages", [ops.NewColumn("mouseName", "TEXT", length=255)])
        # A line between tables, as Access draws it for its queries.
        line = Relationship(
            name="line",
            parent="mousedb",
            parent_columns=("mouseName",),
            child="cages",
            child_columns=("mouseName",),
            enforced=False,
            cascade_updates=False,
            cascade_deletes=False,
        )
        ops.add_relationship(file, line)

    adopt(legacy_file)

    with ops.opened(legacy_file, readonly=True) as file:
        columns = {
            (table.name, column.name) for table in ops.list_tables(file) for column in table.columns
        }
        assert line in ops.relationships(file)
    assert {("sessiondb", "rig"), ("mousedb", "Weight g"), ("cages", "mouseName")} <= columns


def test_file_that_access_has_open_is_not_adopted(legacy_file):
    before = legacy_file.read_bytes()
    legacy_file.with_suffix(".laccdb").write_bytes(b"RIG-3".ljust(32, b"\0") + b"Ann".ljust(32))

    with pytest.raises(BackendError, match=r"Ann.*RIG-3"):
        adopt(legacy_file)

    assert legacy_file.read_bytes() == before


@pytest.mark.slow
@pytest.mark.kills
@each_share
def test_killed_adoption_leaves_the_labs_file_or_the_adopted_one(legacy_file, tmp_path, share):
    draw = random.Random(7 + share)
    before = legacy_file.read_bytes()
    duration, outcomes = 0.0, []
    for number in range(KILLS_OF_A_SHARE + 1):
        folder = tmp_path / str(number)
        folder.mkdir()
        path, ready = folder / "lab.accdb", folder / "ready"
        shutil.copy(legacy_file, path)
        work = functools.partial(adopt_when_told, str(path), str(ready))
        if number == 0:
            # The first one is let through, to learn how long it takes.
            assert killed_when_ready(ready, 120.0, work)
            duration = path.stat().st_mtime - ready.stat().st_mtime
            continue
        killed_when_ready(ready, draw.uniform(0.2, 1.0) * duration, work)

        is_old = path.read_bytes() == before
        assert is_old or (check(path) == [] and len(mdb_rows(path, "sessiondb")) == 244)
        outcomes.append(is_old)
        assert adopt(path).revision == HEAD
        assert not list(folder.glob("*vrtracker-new*"))
    assert True in outcomes
