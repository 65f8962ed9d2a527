"""What is opened for reading cannot write: the database itself sees to it."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from support.sample_lab import DAY, KEY, numbers, open_lab, session_rows, table_counts
from vrtracker.database import Database
from vrtracker.errors import InvalidValueError, ReadOnlyError, VrtrackerError
from vrtracker.services.context import LabContext

WRITES = [
    "INSERT INTO vrt_stage_state SELECT * FROM vrt_stage_state",
    "UPDATE sessiondb SET \"sessionNotes\" = 'changed'",
    "DELETE FROM vrt_event",
    "CREATE TABLE made (number INTEGER)",
    "ALTER TABLE sessiondb ADD COLUMN made INTEGER",
    "DROP TABLE vrt_event",
]


@pytest.fixture
def reader(small, labs) -> Any:
    return labs.open(small.url, readonly=True)


@pytest.mark.parametrize("statement", WRITES)
@pytest.mark.parametrize("readonly", [False, True])
def test_database_refuses_to_write_through_the_engine_for_reading(small, statement, readonly):
    database = Database(small.url, readonly=readonly)
    before = table_counts(small.url)
    try:
        with (
            pytest.raises(sa.exc.DBAPIError),
            database.read_engine.connect() as connection,
            connection.begin(),
        ):
            connection.execute(sa.text(statement))
    finally:
        database.dispose()

    assert table_counts(small.url) == before
    assert small.sessions.get(KEY).sessionNotes is None


@pytest.mark.parametrize("statement", WRITES)
def test_refusal_of_the_database_becomes_our_error(small, statement):
    database = Database(small.url)
    try:
        connection = database.begin(readonly=True)
        with connection, pytest.raises(ReadOnlyError), database.translating():
            connection.execute(sa.text(statement))
    finally:
        database.dispose()


def test_unit_of_work_for_reading_cannot_write(small):
    lab: LabContext = small._lab
    before = table_counts(small.url)

    with lab.unit(readonly=True) as unit, pytest.raises(VrtrackerError):
        unit.deletions.take("session", [small.sessions.get(KEY).uSessionID])

    assert table_counts(small.url) == before


WORK = {
    "add": lambda tracker: tracker.sessions.add(("ATL012", DAY, 900)),
    "add_many": lambda tracker: tracker.sessions.add_many(session_rows(2, start=900)),
    "update": lambda tracker: tracker.sessions.update({"imaging": True}, KEY),
    "delete": lambda tracker: tracker.sessions.delete(KEY),
    "add mouse": lambda tracker: tracker.mice.add("B1"),
    "update mouse": lambda tracker: tracker.mice.update({"KO": True}, "ATL012"),
    "delete mouse": lambda tracker: tracker.mice.delete("ATL012", force=True, reason="why not"),
    "scratch": lambda tracker: tracker.workflow.scratch(KEY, "no laser"),
    "complete": lambda tracker: tracker.workflow.complete(KEY, "suite2p"),
}


@pytest.mark.parametrize("name", WORK)
def test_read_only_tracker_refuses_every_write_and_names_the_remedy(small, reader, name):
    before = table_counts(small.url)

    with pytest.raises(ReadOnlyError, match="readonly=True"):
        WORK[name](reader)

    assert table_counts(small.url) == before


def test_read_only_tracker_reads_everything(small, reader):
    assert numbers(reader.sessions.frame()) == numbers(small.sessions.frame())
    assert reader.sessions.get(KEY).sessionID == 701
    assert reader.sessions.count() == 3
    assert reader.mice.get("ATL012").mouseName == "ATL012"
    assert len(reader.history(KEY)) == 1
    assert "readonly" in repr(reader)


def test_read_only_tracker_tries_an_update_without_doing_it(reader):
    tried = reader.sessions.update({"imaging": True}, KEY, dry_run=True)

    assert tried.rows == 1


def test_bad_input_is_told_before_that_it_could_not_be_written(reader):
    with pytest.raises(InvalidValueError):
        reader.sessions.add(("ATL012", DAY, 900), numPlanes="five")


def test_reader_sees_what_a_writer_has_committed(labs):
    writer = labs.new(sessions=1)
    reader = labs.open(writer.url, readonly=True)
    assert numbers(reader.sessions.frame()) == [701]

    writer.sessions.add(("ATL012", DAY, 702))

    assert numbers(reader.sessions.frame()) == [701, 702]
    assert reader.sessions.get(("ATL012", DAY, 702)).sessionID == 702


def test_opening_for_reading_writes_nothing(labs):
    tracker = labs.new(sessions=1)
    before = table_counts(tracker.url)

    with open_lab(tracker.url, readonly=True) as reader:
        reader.sessions.frame()

    assert table_counts(tracker.url) == before
