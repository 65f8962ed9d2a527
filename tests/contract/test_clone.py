"""A database is copied whole into one of any kind, or not at all."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa

import vrtracker
from support.access_files import mdb_rows
from support.backends import SOURCES, Backend, marker
from support.clones import LAST_MOUSE, LITTERS, LONG_NOTE, contents, fill
from support.lab import change_schema, new_lab, open_lab, run_sql, table_counts
from vrtracker.database.migration import check, downgrade
from vrtracker.database.versions import HEAD, REVISIONS
from vrtracker.errors import (
    BackendError,
    DatabaseUnavailableError,
    ForeignSchemaError,
    InvalidValueError,
    NotEmptyError,
    SchemaOutOfDateError,
)

# One of each kind; which version of a server it is makes no difference here.
KINDS = list({marker(name): name for name in reversed(SOURCES)}.values())
OTHERS = [pytest.param(name, marks=getattr(pytest.mark, marker(name))) for name in KINDS]
NEW_LITTER = "INSERT INTO litters (litter, mother, weaned) VALUES (:litter, :mother, :yes)"
each_kind = pytest.mark.parametrize("backend", KINDS, indirect=True)


@pytest.fixture(params=OTHERS)
def other(request, tmp_path, database_sources) -> Iterator[Backend]:
    folder = tmp_path / "other"
    folder.mkdir()
    made = Backend(request.param, database_sources.get(request.param), folder)
    yield made
    made.close()


@pytest.fixture
def full(backend, shared_labs, tmp_path_factory) -> str:
    """The URL of a lab with all that a lab has; for reading alone."""

    def build(keeper: Backend) -> Any:
        url = keeper.migrated_url()
        fill(url, tmp_path_factory.mktemp("root"))
        return open_lab(url, readonly=True)

    return shared_labs.get(backend, "full", build).url


@pytest.fixture
def small_lab(backend) -> str:
    """The URL of a lab with a mouse and three sessions."""
    with new_lab(backend, sessions=3) as tracker:
        return tracker.url


def path_of(url: Any) -> Path | None:
    """Return the file of a database, None on a server."""
    made = sa.make_url(url)
    return None if made.get_backend_name() == "postgresql" else Path(made.database or "")


def is_untouched(url: str) -> bool:
    """Tell whether there is no table, and nothing beside where it would be."""
    path = path_of(url)
    if path is None:
        return table_counts(url) == {}
    names = {one.name for one in path.parent.iterdir()}
    return names <= {f"{path.name}.vrtracker-lock"}


# -- what comes along ----------------------------------------------------------------------


@each_kind
def test_every_cell_is_equal(full, other):
    url = other.new_url()

    vrtracker.clone(full, url)

    assert contents(url) == contents(full)
    with open_lab(full, readonly=True) as old, open_lab(url) as new:
        for name in ("sessions", "mice"):
            options = {"include_scratched": True} if name == "sessions" else {}
            pd.testing.assert_frame_equal(
                getattr(new, name).frame(**options), getattr(old, name).frame(**options)
            )
        pd.testing.assert_frame_equal(new.events(), old.events())
        assert next(new.sessions.iter(arena="naïve ✓")).sessionNotes == LONG_NOTE
    assert check(url) == []


@each_kind
def test_the_next_numbers_are_those_of_the_source(full, other):
    url = other.new_url()
    highest = max(row[0] for row in contents(full)["sessiondb"])

    vrtracker.clone(full, url)

    with open_lab(url) as tracker:
        assert tracker.mice.add("next").uMouseID == LAST_MOUSE + 1
        assert tracker.sessions.add("next.2023-01-20.701").uSessionID == highest + 1


@each_kind
def test_report_and_progress_tell_of_every_table(full, other):
    told: dict[str, tuple[int, int]] = {}

    made = vrtracker.clone(
        full, other.new_url(), progress=lambda table, *rows: told.update({table: rows})
    )

    counts = {name: len(rows) for name, rows in contents(full).items()}
    assert {table.name: table.rows for table in made.tables} == counts
    assert told == {name: (rows, rows) for name, rows in counts.items()}
    assert made.revision == HEAD
    assert len({table.hash for table in made.tables if table.rows}) == 8


@each_kind
def test_the_labs_own_table_keeps_its_promises(full, other):
    url = other.new_url()

    vrtracker.clone(full, url)

    with pytest.raises(sa.exc.IntegrityError):
        run_sql(url, NEW_LITTER, litter=11, mother="nobody", yes=True)
    with pytest.raises(sa.exc.IntegrityError):
        run_sql(url, NEW_LITTER, litter=LITTERS[0]["litter"], mother="ATL012", yes=True)
    assert len(contents(url)["litters"]) == len(LITTERS)


@each_kind
def test_clone_of_a_clone_has_the_same_hashes(full, backend, other):
    between = other.new_url()

    first = vrtracker.clone(full, between)
    second = vrtracker.clone(between, backend.new_url())

    assert second.tables == first.tables


@each_kind
def test_what_is_written_meanwhile_stays_out(small_lab, other):
    url = other.new_url()
    before = contents(small_lab)

    def write(table: str, done: int, total: int) -> None:
        if (table, done) == ("mousedb", 0):
            with open_lab(small_lab) as tracker:
                tracker.mice.add("late")
                tracker.sessions.add("late.2023-01-20.701")

    vrtracker.clone(small_lab, url, progress=write)

    assert contents(url) == before


@pytest.mark.skipif(shutil.which("mdb-export") is None, reason="MDB Tools are not installed")
@pytest.mark.parametrize("other", [OTHERS[KINDS.index("access")]], indirect=True)
@each_kind
def test_independent_reader_reads_the_access_file(full, other):
    url = other.new_url()

    vrtracker.clone(full, url)

    path, expected = path_of(url), contents(full)
    for table, rows in expected.items():
        assert len(mdb_rows(path, table)) == len(rows)
    sessions = mdb_rows(path, "sessiondb")
    assert sorted(int(row["uSessionID"]) for row in sessions) == [
        row[0] for row in expected["sessiondb"]
    ]
    assert LONG_NOTE in {row["sessionNotes"] for row in sessions}
    assert [row["note"] for row in mdb_rows(path, "litters")] == ["", "小鼠"]


@each_kind
def test_the_labs_rows_come_along(legacy, other):
    url, source = other.new_url(), legacy.url

    vrtracker.clone(source, url)

    found = contents(url)
    assert found == contents(source)
    assert (len(found["sessiondb"]), len(found["mousedb"])) == (244, 14)
