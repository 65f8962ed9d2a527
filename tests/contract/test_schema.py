"""A database is opened when its schema fits, and otherwise the error says what mends it."""

from __future__ import annotations

import contextlib

import pytest
import sqlalchemy as sa
from alembic.operations import Operations

import vrtracker
from support.sample_lab import (
    ACTOR,
    KEY,
    change_schema,
    open_lab,
    raw_engine,
    run_sql,
    table_counts,
)
from vrtracker.database import Database
from vrtracker.database.migration import check, downgrade, history, upgrade
from vrtracker.database.versions import HEAD, REVISIONS, current_revision
from vrtracker.errors import (
    DatabaseUnavailableError,
    ForeignSchemaError,
    SchemaError,
    SchemaOutOfDateError,
    SchemaTooNewError,
    UnknownNameError,
    VrtrackerError,
)

OLDER = REVISIONS[-2]


def revision_of(url: str) -> str | None:
    database = Database(url, readonly=True)
    try:
        return current_revision(database)
    finally:
        database.dispose()


def at_first(url: str) -> None:
    upgrade(url, REVISIONS[0])


def at_older(url: str) -> None:
    upgrade(url, OLDER)


def make_empty(url: str) -> None:
    """Let the database exist without any table."""
    run_sql(url, "CREATE TABLE passing (number INTEGER)")
    run_sql(url, "DROP TABLE passing")


# -- what fits ---------------------------------------------------------------------------------


def test_new_database_is_made_at_the_newest_revision_and_opened(backend):
    url = backend.new_url()
    with vrtracker.init(url, actor=ACTOR) as tracker:
        assert tracker.sessions.count() == 0
        tracker.mice.add("ATL012")

    assert revision_of(url) == HEAD
    assert check(url) == []


def test_init_of_a_database_that_is_there_keeps_its_rows(labs):
    tracker = labs.new(sessions=2)
    before = table_counts(tracker.url)

    with vrtracker.init(tracker.url) as again:
        assert again.sessions.count() == 2
    assert table_counts(tracker.url) == before


def test_init_brings_an_older_database_up_to_date(backend):
    url = backend.copied_url(at_older)

    with vrtracker.init(url) as tracker:
        assert tracker.mice.count() == 0
        assert tracker.mice.add("ATL012").uMouseID == 1
    assert revision_of(url) == HEAD


def test_models_and_migrations_agree(backend):
    assert check(backend.migrated_url()) == []


def test_check_tells_of_a_missing_index(backend):
    url = backend.migrated_url()
    change_schema(
        url,
        lambda alter: alter.drop_index("ix_sessiondb_next_registration", table_name="sessiondb"),
    )

    differences = check(url)

    assert len(differences) == 1
    assert "ix_sessiondb_next_registration" in differences[0]


def test_check_tells_of_a_missing_table(backend):
    url = backend.migrated_url()
    run_sql(url, "DROP TABLE vrt_dataset")

    assert any("vrt_dataset" in difference for difference in check(url))


def test_check_tells_of_a_missing_column(backend):
    url = backend.migrated_url()
    change_schema(url, lambda alter: alter.drop_column("mousedb", "strain"))

    differences = check(url)

    assert len(differences) == 1
    assert "strain" in differences[0]


def test_check_passes_over_what_is_the_labs_own(backend):
    url = backend.migrated_url()
    run_sql(url, "CREATE TABLE weights (number INTEGER, grams INTEGER)")
    change_schema(
        url,
        lambda alter: alter.add_column("sessiondb", sa.Column("cage", sa.Integer)),
        lambda alter: alter.create_index("ix_cage", "sessiondb", ["cage"]),
    )

    assert check(url) == []


def test_tables_of_the_labs_own_do_no_harm(backend):
    url = backend.migrated_url()
    run_sql(url, "CREATE TABLE weights (number INTEGER)", "INSERT INTO weights VALUES (7)")

    with open_lab(url) as tracker:
        tracker.mice.add("ATL012")
    downgrade(url, OLDER)
    upgrade(url)

    assert run_sql(url, "SELECT number FROM weights") == [(7,)]


def test_upgrade_of_what_is_newest_already_does_nothing(backend):
    url = backend.migrated_url()

    assert upgrade(url) == HEAD
    assert check(url) == []


def test_history_lists_every_revision_and_marks_the_present_one(backend):
    url = backend.copied_url(at_older)

    revisions = history(url)

    assert [revision.revision for revision in revisions] == list(REVISIONS)
    assert [revision.revision for revision in revisions if revision.current] == [OLDER]
    assert all(revision.title for revision in revisions)


def test_downgrade_to_base_leaves_no_table_of_ours(backend):
    url = backend.migrated_url()

    assert downgrade(url, "base") == "base"
    assert set(table_counts(url)) <= {"alembic_version"}
    assert upgrade(url) == HEAD


# -- what does not fit -------------------------------------------------------------------------


def test_older_schema_is_refused_with_both_revisions_and_the_command(backend):
    url = backend.copied_url(at_older)

    for readonly in (False, True):
        with pytest.raises(SchemaOutOfDateError) as refused:
            open_lab(url, readonly=readonly)

        assert (refused.value.found, refused.value.expected) == (OLDER, HEAD)
        assert refused.value.command.startswith("vrtracker --url ")
        assert refused.value.command.endswith("db upgrade")
        for part in (OLDER, HEAD, refused.value.command):
            assert part in str(refused.value)
    assert revision_of(url) == OLDER
    with pytest.raises(SchemaOutOfDateError):
        check(url)


def test_address_in_the_command_opens_the_database(backend):
    url = backend.copied_url(at_older)
    with pytest.raises(SchemaOutOfDateError) as refused:
        open_lab(url)

    named = refused.value.command.removeprefix("vrtracker --url ").removesuffix(" db upgrade")
    upgrade(named.strip("'\""))

    open_lab(url).close()


def test_newer_schema_is_refused_with_both_revisions_and_the_command(backend):
    url = backend.migrated_url()
    run_sql(url, "UPDATE alembic_version SET version_num = '9999'")
    before = table_counts(url)

    for work in (open_lab, upgrade, check, vrtracker.init):
        with pytest.raises(SchemaTooNewError) as refused:
            work(url)
        assert (refused.value.found, refused.value.expected) == ("9999", HEAD)
        assert "pip install --upgrade vrtracker" in str(refused.value)
    with pytest.raises(SchemaTooNewError):
        downgrade(url, OLDER)

    assert revision_of(url) == "9999"
    assert table_counts(url) == before


def test_database_without_tables_is_refused_with_the_command_that_makes_them(backend):
    url = backend.new_url()
    make_empty(url)

    with pytest.raises(SchemaOutOfDateError) as refused:
        open_lab(url)

    assert refused.value.found is None
    assert refused.value.command.endswith("init")
    assert table_counts(url) == {}


def foreign(url: str) -> None:
    run_sql(url, "CREATE TABLE customers (number INTEGER)", "INSERT INTO customers VALUES (1)")


def foreign_with_alembic(url: str) -> None:
    foreign(url)
    run_sql(
        url,
        "CREATE TABLE alembic_version (version_num VARCHAR(32))",
        "INSERT INTO alembic_version VALUES ('4f2a')",
    )


def lab_alone(url: str) -> None:
    run_sql(
        url,
        "CREATE TABLE mousedb (number INTEGER)",
        "CREATE TABLE sessiondb (number INTEGER)",
        "INSERT INTO mousedb VALUES (1)",
    )


@pytest.mark.parametrize("make", [foreign, foreign_with_alembic, lab_alone])
def test_foreign_database_is_refused_and_left_alone(backend, make):
    url = backend.new_url()
    make(url)
    before = table_counts(url)

    for work in (open_lab, upgrade, check, vrtracker.init):
        with pytest.raises(ForeignSchemaError) as refused:
            work(url)

        assert "vrtracker" in str(refused.value)
        assert ("customers" in str(refused.value)) is (make is not lab_alone)
        assert table_counts(url) == before


def test_unknown_revision_is_refused_with_the_known_ones(backend):
    url = backend.migrated_url()

    for work in (upgrade, downgrade):
        with pytest.raises(UnknownNameError) as refused:
            work(url, "9999")
        assert set(REVISIONS) <= set(refused.value.known)
    assert revision_of(url) == HEAD


def test_downgrade_in_the_wrong_direction_changes_nothing(backend):
    url = backend.copied_url(at_older)

    with pytest.raises(VrtrackerError):
        downgrade(url, HEAD)
    assert revision_of(url) == OLDER


def test_upgrade_in_the_wrong_direction_changes_nothing(backend):
    url = backend.migrated_url()

    with contextlib.suppress(VrtrackerError):
        upgrade(url, OLDER)
    assert revision_of(url) == HEAD


def test_failed_upgrade_leaves_the_database_as_it_was(backend):
    url = backend.copied_url(at_first)
    run_sql(url, "ALTER TABLE mousedb ADD COLUMN strain INTEGER")

    with pytest.raises(VrtrackerError):
        upgrade(url)

    assert revision_of(url) == "0001"
    with raw_engine(url).connect() as connection:
        names = [column["name"] for column in sa.inspect(connection).get_columns("mousedb")]
    assert "sex" not in names


def test_errors_about_the_schema_are_schema_errors() -> None:
    for error in (SchemaOutOfDateError, SchemaTooNewError, ForeignSchemaError):
        assert issubclass(error, SchemaError)


def test_tracker_opened_before_an_upgrade_still_reads(labs):
    tracker = labs.new(sessions=1)
    run_sql(tracker.url, "ALTER TABLE sessiondb ADD COLUMN cage INTEGER")

    assert tracker.sessions.get(KEY).sessionID == 701
    assert len(tracker.sessions.frame()) == 1


def test_database_that_is_dropped_is_reported(labs):
    tracker = labs.new(sessions=1)
    change_schema(tracker.url, drop_all)

    with pytest.raises(VrtrackerError):
        tracker.sessions.frame()
    with pytest.raises(VrtrackerError):
        tracker.sessions.get(KEY)
    with pytest.raises((SchemaError, DatabaseUnavailableError)):
        open_lab(tracker.url)


def drop_all(alter: Operations) -> None:
    ours = [
        "mask",
        "trial",
        "message",
        "experiment",
        "tracking",
        "session_rig",
        "rig_feature",
        "rig",
        "selection",
        "one_session",
        "deleted",
        "dataset",
        "qc_decision",
        "event",
        "attempt",
        "stage_state",
    ]
    for name in [*(f"vrt_{each}" for each in ours), "sessiondb", "mousedb", "alembic_version"]:
        alter.drop_table(name)
