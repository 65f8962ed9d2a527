"""Every revision goes up, down and up again, on every backend, and rows come through unchanged."""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
from typing import Any

import pytest
import sqlalchemy as sa

from support.backends import SOURCES, marker
from support.processes import KILLS, at_once, spawned_in_step
from support.sample_lab import open_lab, raw_engine, run_sql
from vrtracker.database import Database
from vrtracker.database.migration import check, downgrade, upgrade
from vrtracker.database.versions import HEAD, REVISIONS, current_revision
from vrtracker.errors import SchemaError

Rows = dict[str, list[dict[str, Any]]]
NOW = dt.datetime(2026, 3, 2, 12)
FLAGS = dict.fromkeys(("tracked", "trackerExists", "KO", "Blinded"), False)
ADD_MOUSE = (
    'INSERT INTO mousedb ("mouseName", "tracked", "trackerExists", "KO", "Blinded") '
    "VALUES (:name, False, False, False, False)"
)
SESSION_FLAGS = ("variableGain", "behavior", "imaging", "faceCamera", "vrRegistration", "suite2p")
SESSION_FLAGS += ("suite2pQC", "redCellQC", "sessionQC", "vrRegistrationError", "dontTrack")
CAGE = 12
ADDED_VALUES: dict[str, dict[str, Any]] = {
    "mousedb": {"sex": "F", "notes": "n" * 400, "dateOfBirth": NOW},
    "vrt_event": {"operation_id": "abc"},
    "vrt_stage_state": {"failures": 2, "set_aside": "died twice"},
    "vrt_dataset": {"sha256": "a" * 64, "modified": 1.5e9 + 0.25, "missing_since": NOW},
}
FILLERS: dict[type, Any] = {bool: False, int: 0, float: 0.0, str: "x", dt.datetime: NOW}
ROWS: Rows = {
    "mousedb": [
        {"uMouseID": 3, "mouseName": "ATL012", **FLAGS, "KO": True, "environmentOrder": "1.3.4"},
        {"uMouseID": 9, "mouseName": "atl-ü", **FLAGS},
    ],
    "sessiondb": [
        {
            "uSessionID": number,
            "mouseName": "ATL012",
            "sessionDate": dt.datetime(2023, 1, 20),
            "sessionID": 700 + number,
            **dict.fromkeys(SESSION_FLAGS, number % 2 == 0),
            "sessionNotes": "it's 100% ✓\n" * number,
            "headPlateRotation": 12.800000190734863,
            "suite2pDate": NOW if number % 3 else None,
        }
        for number in (1, 2, 5, 40)
    ],
    "vrt_stage_state": [
        {"uSessionID": 5, "stage": "registration", "mark": "stale", "changed_at": NOW}
    ],
    "vrt_attempt": [
        {
            "attempt_id": "a" * 32,
            "uSessionID": 5,
            "stage": "registration",
            "outcome": "failed",
            **dict.fromkeys(("started_at", "heartbeat_at", "lease_until"), NOW),
            **dict.fromkeys(("actor", "host_name", "registrar"), "x"),
            "process_id": 7,
            "options": "{}",
            "versions": "{}",
            "error_traceback": "Traceback …",
        }
    ],
    "vrt_event": [
        {
            "event_id": 6,
            "occurred_at": NOW,
            **dict.fromkeys(("actor", "host_name"), "x"),
            "subject_kind": "session",
            "subject_key": "ATL012.2023-01-20.705",
            "verb": "added",
            "changes": '{"imaging":[null,true]}',
        }
    ],
    "vrt_qc_decision": [
        {
            "decision_id": 4,
            "uSessionID": 5,
            "check_name": "session",
            "qc_level": 10,
            "decided_at": NOW,
            "actor": "x",
        }
    ],
    "vrt_dataset": [
        {
            "dataset_id": 8,
            "uSessionID": 5,
            "rel_path": "oneData/a.npy",
            "stage": "registration",
            "size_bytes": 3e9,
            "qc_level": 0,
            "written": True,
            "recorded_at": NOW,
        }
    ],
}


def at_first(url: str) -> None:
    """Make a database at the first revision, with rows and a column of the lab's own."""
    upgrade(url, REVISIONS[0])
    fill(url)
    with raw_engine(url).begin() as connection:
        for table in ("mousedb", "sessiondb"):
            connection.execute(sa.text(f"ALTER TABLE {table} ADD COLUMN cage INTEGER"))
            connection.execute(sa.text(f"UPDATE {table} SET cage = {CAGE}"))


def at_second(url: str) -> None:
    at_first(url)
    upgrade(url, REVISIONS[1])


def fill(url: str) -> None:
    engine = raw_engine(url)
    metadata = sa.MetaData()
    metadata.reflect(engine)
    with engine.begin() as connection:
        for name, rows in ROWS.items():
            table = metadata.tables[name]
            others = {
                column.name: FILLERS[column.type.python_type]
                for column in table.columns
                if not column.nullable and not column.primary_key
            }
            with numbering_off(url, connection, table):
                for row in rows:
                    connection.execute(table.insert(), {**others, **row})


def numbering_off(
    url: str, connection: sa.Connection, table: sa.Table
) -> contextlib.AbstractContextManager[None]:
    if table.autoincrement_column is None:
        return contextlib.nullcontext()
    return Database(url).backend.keeping_ids(connection, table)


def dump(url: str) -> Rows:
    """Return every row of every table but Alembic's, as the driver gives it."""
    found = {}
    with raw_engine(url).connect() as connection:
        for name in set(sa.inspect(connection).get_table_names()) - {"alembic_version"}:
            statement = sa.select(sa.text("*")).select_from(sa.table(name))
            rows = map(dict, connection.execute(statement).mappings())
            # Every table begins with the columns of its key.
            found[name] = sorted(rows, key=lambda row: [*map(str, row.values())])
    return found


ADDED_TABLES = {"vrt_deleted", "vrt_one_session", "vrt_selection"}
ADDED_TABLES |= {"vrt_experiment", "vrt_message", "vrt_trial", "vrt_mask"}
ADDED_TABLES |= {"vrt_rig", "vrt_rig_feature", "vrt_session_rig", "vrt_tracking"}


OWNERS = {"uSessionID": 5, "uMouseID": 3, "experiment_id": 7, "rig_id": 7}


def fill_added(url: str, state: Rows) -> Rows:
    """Give each table that is new since a state one row; return the state that it is now."""
    engine = raw_engine(url)
    new = ADDED_TABLES.intersection(sa.inspect(engine).get_table_names()) - state.keys()
    metadata = sa.MetaData()
    if new:
        metadata.reflect(engine, only=sorted(new))
    with engine.begin() as connection:
        for table in metadata.sorted_tables:
            if table.name not in new:
                continue
            row = {
                column.name: OWNERS.get(column.name, 7)
                if column.primary_key or column.name in OWNERS
                else "[]"
                if column.type.python_type is str
                else FILLERS[column.type.python_type]
                for column in table.columns
            }
            with numbering_off(url, connection, table):
                connection.execute(table.insert(), [row])
    return dump(url)


def enter(url: str, values: dict[str, dict[str, Any]]) -> None:
    """Put values into every row of some tables, past the tracker."""
    with raw_engine(url).begin() as connection:
        for name, row in values.items():
            table = sa.Table(name, sa.MetaData(), autoload_with=connection)
            connection.execute(table.update().values(row))


def as_far_as(state: Rows, newer: Rows) -> Rows:
    """Return of a newer state what the tables and columns of an older one hold."""
    return {
        name: [
            {column: other[column] for column in row}
            for row, other in zip(rows, newer[name], strict=True)
        ]
        for name, rows in state.items()
    }


def agree(one: Rows, other: Rows) -> None:
    """Hold two states of a database to the tables and columns that both have."""
    assert set(one) ^ set(other) <= ADDED_TABLES
    for name in set(one) & set(other):
        rows = one[name]
        assert len(rows) == len(other[name])
        for row, another in zip(rows, other[name], strict=True):
            shared = row.keys() & another.keys()
            assert shared
            assert {key: row[key] for key in shared} == {key: another[key] for key in shared}


def revision_of(url: str) -> str | None:
    database = Database(url, readonly=True)
    try:
        return current_revision(database)
    finally:
        database.dispose()


def test_every_revision_goes_up_down_and_up_again(backend):
    """The rows and the lab's column come through; what a downgrade loses is what came later."""
    url = backend.copied_url(at_first)
    states = [dump(url)]

    for revision in REVISIONS[1:]:
        assert upgrade(url, revision) == revision
        states.append(fill_added(url, states[-1]))
        agree(states[-2], states[-1])
    assert all(len(states[-1][name]) == 1 for name in ADDED_TABLES)
    assert check(url) == []
    with open_lab(url) as tracker:
        sessions = tracker.sessions.frame(include_scratched=True)
    assert sessions["cage"].tolist() == [CAGE] * len(ROWS["sessiondb"])

    enter(url, ADDED_VALUES)
    newest = dump(url)
    for revision, state in zip(REVISIONS[-2::-1], states[-2::-1], strict=True):
        assert downgrade(url, revision) == revision
        assert dump(url) == as_far_as(state, newest)
    assert as_far_as(states[0], newest) == states[0]

    assert upgrade(url) == HEAD
    assert dump(url) == states[-1] | {name: [] for name in ADDED_TABLES}
    assert check(url) == []
    with open_lab(url) as tracker:
        assert tracker.mice.add("B10").uMouseID == 10
        assert tracker.sessions.add("B10.2023-01-20.1").uSessionID == 41


TOLD_APART = [name for name in SOURCES if marker(name) != "access"]
"""Access refuses such a pair by itself."""


@pytest.mark.parametrize("backend", TOLD_APART, indirect=True)
@pytest.mark.parametrize("second", ["atl012", "ATL-Ü"])
def test_mice_that_differ_in_case_alone_are_named_and_nothing_is_upgraded(backend, second):
    url = backend.copied_url(at_first)
    run_sql(url, ADD_MOUSE, name=second)
    before = dump(url)

    with pytest.raises(SchemaError) as refused:
        upgrade(url)

    there, count = ("ATL012", 4) if second == "atl012" else ("atl-ü", 0)
    assert f"{there} ({count} sessions) and {second} (0 sessions)" in str(refused.value)
    assert (revision_of(url), dump(url)) == ("0001", before)


@pytest.mark.parametrize("backend", TOLD_APART, indirect=True)
@pytest.mark.parametrize("names", [("ATL012", "atl012"), ("ATL012", "Atl012", "atl012")])
def test_statements_of_the_refusal_make_one_mouse_of_two(backend, names):
    url = backend.copied_url(at_second)
    for name in names[1:]:
        run_sql(url, ADD_MOUSE, name=name)
    run_sql(url, 'UPDATE sessiondb SET "mouseName" = \'atl012\' WHERE "sessionID" = 702')

    for _ in names[1:]:
        with pytest.raises(SchemaError) as refused:
            upgrade(url)
        remedy = str(refused.value).partition("by SQL: ")[2].partition(" Then upgrade")[0]
        run_sql(url, *remedy.rstrip(";").split("; "))

    assert upgrade(url) == HEAD
    assert {row["mouseName"] for row in dump(url)["mousedb"]} == {"ATL012", "atl-ü"}
    assert {row["mouseName"] for row in dump(url)["sessiondb"]} == {"ATL012"}


@pytest.mark.parametrize("backend", TOLD_APART, indirect=True)
def test_downgrade_takes_the_rule_of_names_back(backend):
    url = backend.migrated_url()
    run_sql(url, ADD_MOUSE, name="ATL012")
    with pytest.raises(sa.exc.DBAPIError):
        run_sql(url, ADD_MOUSE, name="atl012")

    downgrade(url, "0002")

    run_sql(url, ADD_MOUSE, name="atl012")
    with pytest.raises(SchemaError):
        upgrade(url)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_processes_that_upgrade_at_once_both_end_at_the_newest(backend):
    # A process that starts Java first takes ten times as long.
    for _ in range(4 if backend.survives_fork else max(1, KILLS // 10)):
        new, old = backend.new_url(), backend.copied_url(at_first)
        course = [functools.partial(upgrade, url) for url in (new, old)]

        if backend.survives_fork:
            codes = [code for work in course for code in at_once(work, work)]
        else:
            codes = spawned_in_step(course, course)

        assert set(codes) == {0}
        for url in (new, old):
            assert revision_of(url) == HEAD
            assert check(url) == []
        assert [row["mouseName"] for row in dump(old)["mousedb"]] == ["ATL012", "atl-ü"]
