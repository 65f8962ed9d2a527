"""The database as a whole: made, dropped, reset, listed, tidied; each process has its engines."""

from __future__ import annotations

import os
import pickle
import uuid
from typing import Any

import pytest
import sqlalchemy as sa

import vrtracker
from support.clones import add_own
from support.sample_lab import KEY, open_lab, table_counts
from vrtracker.database.migration import check
from vrtracker.database.versions import REVISIONS
from vrtracker.errors import (
    BackendError,
    InvalidValueError,
    NotEmptyError,
    ReadOnlyError,
    RoleError,
    UnknownNameError,
)


def beside(url: sa.URL, name: str) -> str:
    """Return the URL of another database in the same folder or on the same server."""
    found = url
    folder, _, file = (found.database or "").rpartition("/")
    there = f"{folder}/{name}.{file.rpartition('.')[2]}" if folder else name
    return found.set(database=there).render_as_string(hide_password=False)


def test_database_is_made_found_listed_and_dropped(labs):
    url = beside(labs.new().database.url, f"vrt_{uuid.uuid4().hex[:8]}")
    database = vrtracker.database_of(url)
    assert not database.exists()

    database.create()

    assert database.exists()
    assert database.name in database.list_databases()
    assert check(url) == []
    with pytest.raises(NotEmptyError):
        database.create()
    with pytest.raises(InvalidValueError, match="called"):
        database.drop("another")
    assert database.exists()
    database.drop(database.name)
    assert not database.exists()


def test_database_is_reset_whole_for_who_knows_its_name(labs):
    tracker = labs.new(sessions=2)
    add_own(tracker.url)
    database = tracker.database
    with pytest.raises(InvalidValueError):
        database.reset("")
    assert tracker.sessions.count() == 2

    database.reset(database.name)

    assert check(tracker.url) == []
    assert "litters" not in database.table_names()
    with open_lab(tracker.url) as again:
        assert again.mice.add("first").uMouseID == 1


def test_tables_are_listed_dropped_and_made_again(labs):
    tracker = labs.new(sessions=1)
    database = tracker.database
    ordered = [table.name for table in database.metadata_tables()]
    assert set(ordered) == set(database.orm_tables()) < set(database.table_names())
    assert ordered.index("mousedb") < ordered.index("sessiondb") < ordered.index("vrt_dataset")
    assert [table.name for table in database.schema_description()] == ordered
    with pytest.raises(InvalidValueError, match="vrt_stage_state"):
        database.drop_tables(["sessiondb"], name=database.name)
    with pytest.raises(UnknownNameError):
        database.drop_tables(["vrt_datasets"], name=database.name)

    assert database.drop_tables(["vrt_dataset"], name=database.name) == ["vrt_dataset"]
    assert "vrt_dataset" not in database.table_names()
    assert database.create_tables(["vrt_dataset"]) == ["vrt_dataset"]

    assert database.create_tables() == []
    assert check(tracker.url) == []
    assert tracker.sessions.count() == 1


def test_database_is_tidied_and_keeps_its_rows(labs, backend):
    tracker = labs.new(sessions=3)
    before = table_counts(tracker.url)

    tracker.database.analyze(["sessiondb"])
    if backend.marker == "access":
        with pytest.raises(BackendError, match="Compact and Repair"):
            tracker.database.vacuum()
    else:
        tracker.database.vacuum()
    with pytest.raises(UnknownNameError):
        tracker.database.analyze(["sessions"])

    assert table_counts(tracker.url) == before
    assert tracker.database.readers()[0]["role"] == "admin"


def test_reader_of_the_profile_drops_nothing(labs, backend, tmp_path, monkeypatch):
    if backend.marker == "postgresql":
        pytest.skip("the server says who is an admin: test_roles")
    url = labs.new(sessions=1).url
    config = tmp_path / "config.toml"
    config.write_text(f"[profiles.rig]\nurl = '{url}'\ndefault_role = 'reader'\n")
    monkeypatch.setenv("VRTRACKER_CONFIG", str(config))
    database = vrtracker.database_of("rig")

    for call in (database.drop, database.reset):
        with pytest.raises(RoleError):
            call(database.name)

    assert table_counts(url)["sessiondb"] == 1


def test_handle_for_reading_is_refused_by_the_database_with_our_error(labs):
    tracker = labs.new(sessions=1)
    change = sa.text("DELETE FROM vrt_event")

    with pytest.raises(ReadOnlyError), tracker.database.connect() as connection:
        connection.execute(change)
    reader = labs.open(tracker.url, readonly=True).database
    for call in (reader.reset, reader.drop):
        with pytest.raises(ReadOnlyError):
            call(reader.name)
    with pytest.raises(ReadOnlyError):
        _ = reader.write_engine

    assert tracker.sessions.get(KEY).sessionID == 701


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_forked_child_has_engines_of_its_own(labs, backend):
    if not backend.survives_fork:
        pytest.skip("a fork is refused here: test_forked_child_is_told_to_be_spawned")
    database = labs.new(sessions=1).database
    ours = database.read_engine
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        own = database.read_engine is not ours
        with database.connect() as connection:
            counted = connection.scalar(sa.text("SELECT count(*) FROM sessiondb"))
        os.write(writing, repr((own, counted)).encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writing)

    assert os.read(reading, 100) == b"(True, 1)"
    os.close(reading)
    assert database.read_engine is ours
    vrtracker.dispose_all()
    assert database.read_engine is not ours


def test_handle_travels_by_every_pickle(labs):
    cloudpickle = pytest.importorskip("cloudpickle")
    dask = pytest.importorskip("distributed.protocol")
    tracker = labs.new(sessions=1)

    def count(found: Any) -> int:
        try:
            return int(found.sessions.count())
        finally:
            found.close()

    assert count(pickle.loads(pickle.dumps(tracker))) == 1
    assert count(cloudpickle.loads(cloudpickle.dumps(tracker))) == 1
    assert count(dask.deserialize(*dask.serialize(tracker))) == 1


def test_workers_of_loky_read_through_the_handle(labs):
    joblib = pytest.importorskip("joblib")
    tracker = labs.new(sessions=2)

    found = joblib.Parallel(n_jobs=2, backend="loky")(
        joblib.delayed(type(tracker.sessions).count)(tracker.sessions) for _ in range(2)
    )

    assert found == [2, 2]


def test_older_schema_is_told_shown_as_sql_updated_and_taken_back(labs, backend):
    url = labs.new().url
    database = vrtracker.database_of(url)
    assert not database.is_update_required()
    database.downgrade(REVISIONS[-2], backup=False)

    assert database.is_update_required()
    statements = database.perform_updates(sql=True)
    assert database.is_update_required()
    kept = database.perform_updates()

    assert not database.is_update_required()
    assert check(url) == []
    if backend.marker != "access":
        assert any(each.startswith("CREATE TABLE vrt_") for each in statements)
    assert len(kept) == (backend.marker != "postgresql")
    assert database.perform_updates() == []
    database.dispose()
