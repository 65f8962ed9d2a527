"""A lab's own database is taken into the tracker: all of it or nothing, and nothing is lost."""

from __future__ import annotations

import datetime as dt

import pytest
import sqlalchemy as sa

from support.legacy import (
    COLUMNS,
    FLAGS,
    TIMES,
    csv_rows,
    differing,
    everything,
    make_table,
    mouse,
    session,
    value_of,
)
from support.sample_lab import change_schema, open_lab, run_sql
from vrtracker.database import Database
from vrtracker.database.migration import check, upgrade
from vrtracker.database.versions import HEAD
from vrtracker.domain.adoption import Kind
from vrtracker.errors import ForeignSchemaError, SchemaError, VrtrackerError
from vrtracker.services.administration.adoption import adopt, inspect

DAY = dt.datetime(2023, 1, 20)
ODD_TYPES = {
    "experimentType": sa.Text(),
    "faceCamera": sa.Integer(),
    "numPlanes": sa.Double(),
    "suite2pDate": sa.String(50),
    "vrBehaviorVersion": sa.String(50),
    "sessionQC": sa.Integer(),
    "rig temperature": sa.Double(),
    "select": sa.String(50),
    "VRRegistrationDATE": sa.DateTime(),
}
ODD_NAMES = [
    *("select", *COLUMNS["sessiondb"][:-1], "rig temperature"),
]
ODD_NAMES[ODD_NAMES.index("vrRegistrationDate")] = "VRRegistrationDATE"
MICE = [
    mouse(2, "ATL012", environmentOrder="1.3.4"),
    mouse(5, "atl-ü.3 ", environmentOrder=""),
    mouse(9, "CR_6"),
]


def odd(number, name, date, session_id, **values):
    row = session(number, name, date, session_id, **values)
    del row["dontTrack"]
    return row | {"faceCamera": values.get("faceCamera", 0), "sessionQC": values.get("qc", 1)}


def without(row, *names):
    return {name: value for name, value in row.items() if name not in names}


SESSIONS = [
    odd(3, "ATL012", DAY, 701, experimentType="", sessionNotes="", numPlanes=5.0),
    odd(4, "atl012", DAY, 702, suite2pDate="2023-01-25 14:30:00", vrBehaviorVersion="2"),
    odd(7, "ATL012", DAY, 701, qc=0, scratchJustification="Laser off", sessionNotes="100% it's"),
    odd(8, "NEW1", DAY, 701, suite2pDate="", **{"rig temperature": 21.5}),
    odd(11, "new1", DAY, 702, faceCamera=None, select="kept"),
    odd(12, "CR_6", DAY.replace(hour=14, minute=5), 701, qc=None),
    odd(13, "CR_6", DAY, 702, qc=None, scratchJustification="Just a test"),
    odd(20, "CR_6", DAY, 703, qc=0, VRRegistrationDATE=dt.datetime(2023, 2, 1, 8)),
    odd(21, " atl-ü.3", DAY, 5),
]
SESSIONS = [without(row, "qc") for row in SESSIONS]

EXPECTED = {
    (Kind.TABLE_UNKNOWN, "lab_notes", None): 0,
    (Kind.EMPTY_TEXT, "mousedb", "environmentOrder"): 1,
    (Kind.MOUSE_SPELLING, "mousedb", "mouseName"): 1,
    (Kind.COLUMN_MISSING, "sessiondb", "dontTrack"): 0,
    (Kind.COLUMN_UNKNOWN, "sessiondb", "rig temperature"): 0,
    (Kind.COLUMN_UNKNOWN, "sessiondb", "select"): 0,
    (Kind.COLUMN_SPELLING, "sessiondb", "VRRegistrationDATE"): 0,
    (Kind.COLUMN_TYPE, "sessiondb", "faceCamera"): 9,
    (Kind.COLUMN_TYPE, "sessiondb", "numPlanes"): 9,
    (Kind.COLUMN_TYPE, "sessiondb", "suite2pDate"): 9,
    (Kind.COLUMN_TYPE, "sessiondb", "vrBehaviorVersion"): 9,
    (Kind.COLUMN_TYPE, "sessiondb", "sessionQC"): 9,
    (Kind.EMPTY_TEXT, "sessiondb", "experimentType"): 1,
    (Kind.EMPTY_TEXT, "sessiondb", "sessionNotes"): 1,
    (Kind.EMPTY_TEXT, "sessiondb", "suite2pDate"): 1,
    (Kind.FLAG_MISSING, "sessiondb", "faceCamera"): 1,
    (Kind.FLAG_MISSING, "sessiondb", "sessionQC"): 2,
    (Kind.TIME_OF_DAY, "sessiondb", "sessionDate"): 1,
    (Kind.MOUSE_SPELLING, "sessiondb", "mouseName"): 3,
    (Kind.MOUSE_MISSING, "sessiondb", "mouseName"): 2,
    (Kind.DUPLICATE_SCRATCHED, "sessiondb", None): 1,
    (Kind.SCRATCH_RULE, "sessiondb", "scratchJustification"): 1,
} | {
    (Kind.COLUMN_MISSING, "mousedb", name): 0
    for name in ("sex", "dateOfBirth", "genotype", "strain", "notes")
}


@pytest.fixture
def troubled(backend):
    """A lab's database with every trouble that can be repaired."""
    url = backend.new_url()
    make_table(url, "mousedb", MICE)
    make_table(url, "sessiondb", SESSIONS, types=ODD_TYPES, names=ODD_NAMES)
    change_schema(url, lambda op: op.create_table("lab_notes", sa.Column("note", sa.String(50))))
    run_sql(url, 'INSERT INTO "lab_notes" ("note") VALUES (\'kept\')')
    return url


def plain(backend, sessions, mice=MICE[:1]):
    url = backend.new_url()
    make_table(url, "mousedb", mice)
    make_table(url, "sessiondb", sessions)
    return url


def test_inspection_reports_every_trouble_and_writes_nothing(troubled):
    before = everything(troubled)

    report = inspect(troubled)

    found = {(one.kind, one.table, one.column): one.count for one in report.findings}
    assert found == EXPECTED
    assert not report.blocking
    assert report.revision is None
    assert report.rows == {"sessiondb": 9, "mousedb": 3}
    assert everything(troubled) == before


def test_adoption_makes_the_planned_repairs(troubled):
    report = adopt(troubled, actor="ada")

    assert (report.applied, report.revision) == (True, HEAD)
    assert check(troubled) == []
    with open_lab(troubled) as tracker:
        by_number = {one.uSessionID: one for one in tracker.sessions.iter(include_scratched=True)}
        mice = {one.uMouseID: one.mouseName for one in tracker.mice.iter()}
    keys = {number: str(one.key) for number, one in by_number.items()}
    assert keys == {
        3: "ATL012.2023-01-20.701",
        4: "ATL012.2023-01-20.702",
        7: "ATL012.2023-01-20.10701",
        8: "NEW1.2023-01-20.701",
        11: "NEW1.2023-01-20.702",
        12: "CR_6.2023-01-20.701",
        13: "CR_6.2023-01-20.702",
        20: "CR_6.2023-01-20.703",
        21: "atl-ü.3.2023-01-20.5",
    }
    assert mice == {2: "ATL012", 5: "atl-ü.3", 9: "CR_6", 10: "NEW1"}
    assert by_number[3].experimentType is by_number[3].sessionNotes is None
    assert by_number[3].numPlanes == 5
    assert by_number[4].suite2pDate == dt.datetime(2023, 1, 25, 14, 30)
    assert by_number[4].vrBehaviorVersion == 2
    assert by_number[7].sessionNotes.startswith("100% it's\n[Scratched duplicate of ATL012.")
    assert by_number[8].suite2pDate is None
    assert by_number[8].extra == {"rig temperature": 21.5, "select": None}
    assert by_number[11].extra == {"rig temperature": None, "select": "kept"}
    assert by_number[11].faceCamera is False
    assert (by_number[12].sessionQC, by_number[13].sessionQC) == (True, False)
    assert by_number[20].vrRegistrationDate == dt.datetime(2023, 2, 1, 8)
    assert run_sql(troubled, 'SELECT "note" FROM "lab_notes"') == [("kept",)]


def test_every_repaired_row_has_an_event_with_what_was_there(troubled):
    adopt(troubled, actor="ada")

    with open_lab(troubled) as tracker:
        events = tracker.events(100)
    assert set(events["actor"]) == {"ada"}
    assert set(events["reason"]) == {"adopted by vrtracker"}
    changes = dict(zip(events["subject_key"], events["changes"], strict=True))
    assert changes["ATL012.2023-01-20.701"] == {
        "experimentType": ["", None],
        "sessionNotes": ["", None],
    }
    assert changes["ATL012.2023-01-20.702"] == {"mouseName": ["atl012", "ATL012"]}
    assert changes["ATL012.2023-01-20.10701"]["sessionID"] == [701, 10701]
    [moment, day] = changes["CR_6.2023-01-20.701"]["sessionDate"]
    assert (moment[:19], day) == ("2023-01-20 14:05:00", "2023-01-20")
    assert changes["CR_6.2023-01-20.702"] == {"sessionQC": [None, False]}
    assert changes["atl-ü.3"] == {
        "mouseName": ["atl-ü.3 ", "atl-ü.3"],
        "environmentOrder": ["", None],
    }
    assert changes["NEW1"] == {"mouseName": [None, "NEW1"]}
    assert len(events) == 10


def shape_of(url):
    """Return keys, indexes and nullability of the lab's tables, without the lab's columns."""
    database = Database(url, readonly=True)
    try:
        with database.connect(readonly=True) as connection:
            inspector = sa.inspect(connection)
            return {
                name: (
                    inspector.get_pk_constraint(name)["constrained_columns"],
                    {one["name"] for one in inspector.get_unique_constraints(name)},
                    {
                        (one["name"], one["referred_table"])
                        for one in inspector.get_foreign_keys(name)
                    },
                    {
                        (one["name"], tuple(one["column_names"]))
                        for one in inspector.get_indexes(name)
                    },
                    {
                        one["name"]: one["nullable"]
                        for one in inspector.get_columns(name)
                        if one["name"] not in ("select", "rig temperature")
                    },
                )
                for name in inspector.get_table_names()
                if name != "lab_notes"
            }
    finally:
        database.dispose()


def test_adopted_schema_is_that_of_a_new_database(troubled, backend):
    adopt(troubled)

    assert shape_of(troubled) == shape_of(backend.migrated_url())


def test_adopted_database_is_worked_with(troubled):
    adopt(troubled)

    with open_lab(troubled) as tracker:
        added = tracker.sessions.add(("NEW1", DAY.date(), 703), imaging=True)
        tracker.sessions.update({"sessionNotes": "ran"}, added.key)
        tracker.workflow.scratch(added.key, "laser")
        bred = tracker.mice.add("ATL099")
        history = tracker.history(added.key)
        frame = tracker.sessions.frame(include_scratched=True)

    assert (added.uSessionID, bred.uMouseID) == (22, 11)
    assert list(history["verb"]) == ["added", "edited", "scratched"]
    assert {"rig temperature", "select"} <= set(frame.columns)


def test_adopting_again_changes_nothing(troubled):
    adopt(troubled)
    before = everything(troubled)

    report = adopt(troubled)

    assert (report.revision, report.applied, report.findings) == (HEAD, False, ())
    assert inspect(troubled).revision == HEAD
    assert everything(troubled) == before


IN_THE_WAY = {
    "two live sessions": (
        [session(1, "ATL012", DAY, 701), session(2, "ATL012", DAY, 701)],
        (Kind.DUPLICATE_SESSION, None, 2),
    ),
    "two live sessions, once the time of day goes": (
        [session(1, "ATL012", DAY, 701), session(2, "ATL012", DAY.replace(hour=9), 701)],
        (Kind.DUPLICATE_SESSION, None, 2),
    ),
    "two live sessions, once the mouse is spelled alike": (
        [session(1, "ATL012", DAY, 701), session(2, "atl012", DAY, 701)],
        (Kind.DUPLICATE_SESSION, None, 2),
    ),
    "no mouse": ([session(1, None, DAY, 701)], (Kind.KEY_MISSING, "mouseName", 1)),
    "empty mouse": ([session(1, "", DAY, 701)], (Kind.KEY_MISSING, "mouseName", 1)),
    "no date": ([session(1, "ATL012", None, 701)], (Kind.KEY_MISSING, "sessionDate", 1)),
    "no number": ([session(1, "ATL012", DAY, None)], (Kind.KEY_MISSING, "sessionID", 1)),
    "date too early": (
        [session(1, "ATL012", dt.datetime(1899, 12, 30), 701)],
        (Kind.IMPOSSIBLE_DATE, "sessionDate", 1),
    ),
    "date to come": (
        [session(1, "ATL012", dt.datetime(2203, 1, 20), 701)],
        (Kind.IMPOSSIBLE_DATE, "sessionDate", 1),
    ),
    "name with a slash": (
        [session(1, "ATL/012", DAY, 701)],
        (Kind.VALUE, "mouseName", 1),
    ),
    "negative number": ([session(1, "ATL012", DAY, -1)], (Kind.VALUE, "sessionID", 1)),
}


@pytest.mark.own_rule
@pytest.mark.parametrize(("rows", "expected"), IN_THE_WAY.values(), ids=IN_THE_WAY)
def test_what_a_person_must_decide_stands_in_the_way(backend, rows, expected):
    url = plain(backend, rows)
    before = everything(url)

    report = inspect(url)
    with pytest.raises(SchemaError, match="in the way"):
        adopt(url)

    kind, column, count = expected
    assert (kind, column, count) in [(one.kind, one.column, one.count) for one in report.blocking]
    assert everything(url) == before


@pytest.mark.parametrize("names", [("ATL012", "ATL012"), ("ATL012", "atl012")])
def test_two_mice_of_one_name_stand_in_the_way(backend, names):
    url = plain(backend, [], [mouse(1, names[0]), mouse(2, names[1])])

    [finding] = inspect(url).blocking

    assert (finding.kind, finding.count) == (Kind.DUPLICATE_MOUSE, 2)


def test_scratched_duplicates_of_each_other_all_stay(backend):
    scratched = {"sessionQC": False, "scratchJustification": "laser"}
    taken = session(4, "ATL012", DAY, 10701)
    twins = [session(number, "ATL012", DAY, 701, **scratched) for number in (1, 2, 3)]
    url = plain(backend, [*twins, taken])

    adopt(url)

    with open_lab(url) as tracker:
        rows = tracker.sessions.iter(include_scratched=True)
        assert {one.uSessionID: one.sessionID for one in rows} == {
            1: 701,
            2: 20701,
            3: 30701,
            4: 10701,
        }


@pytest.mark.parametrize("missing", ["mousedb", "sessiondb"])
def test_missing_table_is_made(backend, missing):
    url = backend.new_url()
    if missing == "sessiondb":
        make_table(url, "mousedb", MICE[:1])
    else:
        make_table(url, "sessiondb", [session(3, "ATL012", DAY, 701)])

    adopt(url)

    with open_lab(url) as tracker:
        assert tracker.mice.get("ATL012").mouseName == "ATL012"
        assert tracker.sessions.count() == (missing == "mousedb")
        tracker.sessions.add(("ATL012", DAY.date(), 702))
    assert check(url) == []


def test_database_without_the_lab_tables_is_refused(backend):
    url = backend.new_url()
    change_schema(url, lambda op: op.create_table("music", sa.Column("song", sa.String(50))))

    with pytest.raises(ForeignSchemaError, match="neither sessiondb nor mousedb, but music"):
        inspect(url)
    with pytest.raises(ForeignSchemaError):
        adopt(url)


def test_table_in_the_place_of_one_of_ours_stands_in_the_way(backend):
    url = plain(backend, [])
    change_schema(url, lambda op: op.create_table("vrt_event", sa.Column("x", sa.Integer())))

    [finding] = inspect(url).blocking

    assert (finding.kind, finding.table) == (Kind.TABLE_TAKEN, "vrt_event")


@pytest.mark.parametrize("with_mice", [True, False], ids=["beside mousedb", "alone"])
def test_table_in_another_case_of_letters_has_to_be_renamed_first(backend, with_mice):
    url = backend.new_url()
    if with_mice:
        make_table(url, "mousedb", MICE[:1])
    change_schema(url, lambda op: op.create_table("SessionDB", sa.Column("x", sa.Integer())))
    before = everything(url)

    found = inspect(url)
    with pytest.raises(SchemaError, match="stands in the way"):
        adopt(url)
    with pytest.raises(ForeignSchemaError, match="vrtracker db adopt"):
        open_lab(url)

    [finding] = found.blocking
    assert (finding.kind, finding.table) == (Kind.TABLE_SPELLING, "SessionDB")
    assert "rename it to sessiondb" in finding.remedy
    assert everything(url) == before


def test_upgrade_and_open_name_the_remedy(backend):
    url = plain(backend, [])

    with pytest.raises(ForeignSchemaError, match="vrtracker db adopt"):
        upgrade(url)
    with pytest.raises(ForeignSchemaError, match="vrtracker db adopt"):
        open_lab(url)


@pytest.mark.parametrize("backend", ["sqlite", "postgresql16"], indirect=True)
def test_rows_without_numbers_of_their_own_stand_in_the_way(backend):
    url = backend.new_url()
    rows = [session(1, "ATL012", DAY, 701), session(1, "ATL012", DAY, 702)]
    rows.append(session(None, "ATL012", DAY, 703))
    make_table(url, "sessiondb", rows, with_key=False)

    [finding] = inspect(url).blocking

    assert (finding.kind, finding.count) == (Kind.ROW_NUMBER, 2)


@pytest.mark.parametrize("backend", ["sqlite", "postgresql16"], indirect=True)
def test_what_the_lab_built_around_its_tables_stays(backend):
    url = plain(backend, [session(3, "ATL012", DAY, 701)])
    run_sql(
        url,
        'CREATE TABLE "lab_video" ("uSessionID" INTEGER REFERENCES "sessiondb" ("uSessionID"))',
        'INSERT INTO "lab_video" VALUES (3)',
        'CREATE INDEX "lab_index" ON "sessiondb" ("numPlanes")',
        'CREATE VIEW "lab_view" AS SELECT "uSessionID", "numPlanes" FROM "sessiondb"',
    )

    adopt(url)

    assert run_sql(url, 'SELECT "uSessionID" FROM "lab_view"') == [(3,)]
    assert ("lab_index", ("numPlanes",)) in shape_of(url)["sessiondb"][3]
    with open_lab(url) as tracker, pytest.raises(VrtrackerError, match=r"lab_video|FOREIGN KEY"):
        tracker.sessions.delete(("ATL012", DAY.date(), 701))


FRAME_TYPES = {
    **dict.fromkeys(FLAGS, sa.BigInteger()),
    **dict.fromkeys(TIMES, sa.Text()),
    **dict.fromkeys(("experimentID", "vrEnvironments", "numPlanes"), sa.Double()),
    "vrBehaviorVersion": sa.Double(),
    "experimentType": sa.Text(),
    "scratchJustification": sa.Text(),
}


def as_frame(name, text):
    """Return a field as a frame that was read from CSV writes it: dates are text, flags numbers."""
    if name in TIMES:
        return text or None
    value = value_of(name, text)
    return int(value) if isinstance(value, bool) else value


@pytest.mark.parametrize("style", ["of the lab", "of a frame"])
def test_copy_of_the_lab_tables_is_adopted_with_every_value(backend, shared_file, style):
    url = backend.new_url()
    wanted = {}
    for name in COLUMNS:
        wanted[name] = csv_rows(shared_file(f"legacy/{name}.csv"))
        if style == "of a frame":
            rows = [{key: as_frame(key, text) for key, text in row.items()} for row in wanted[name]]
            types = {key: kind for key, kind in FRAME_TYPES.items() if key in COLUMNS[name]}
            make_table(url, name, rows, types=types, with_key=False)
        else:
            rows = [{key: value_of(key, text) for key, text in row.items()} for row in wanted[name]]
            make_table(url, name, rows)

    adopt(url)

    assert check(url) == []
    last = max(int(row["uSessionID"]) for row in wanted["sessiondb"])
    with open_lab(url) as tracker:
        found = tracker.sessions.iter(include_scratched=True)
        assert differing(found, wanted["sessiondb"]) == []
        assert differing(tracker.mice.iter(), wanted["mousedb"]) == []
        mouse_name = wanted["mousedb"][0]["mouseName"]
        assert tracker.sessions.add((mouse_name, "2024-01-01", 701)).uSessionID == last + 1


def test_adoption_takes_as_many_statements_for_few_rows_as_for_many(backend, statement_counter):
    def statements(count):
        rows = [
            session(number, f"new{number} ", DAY.replace(hour=9), 701, experimentType="")
            for number in range(1, count + 1)
        ]
        url = plain(backend, rows)
        with statement_counter() as seen:
            adopt(url)
        with open_lab(url) as tracker:
            assert tracker.mice.count() == count + 1
            assert tracker.sessions.count(experimentType=None) == count
        return seen.count

    assert statements(3) == statements(60)
