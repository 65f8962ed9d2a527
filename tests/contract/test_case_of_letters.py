"""Names of mice that differ in the case of letters alone are one name, on every backend."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

import vrtracker
from support.backends import SOURCES, marker
from support.sample_lab import KEY, change_schema, open_lab, run_sql, table_counts
from vrtracker.database.migration import check
from vrtracker.errors import DuplicateError, ImportFileError, InvalidValueError, NotFoundError

OTHER_CASE = "atl012.2023-01-20.701"
DIFFERS = "case of letters alone"
TOLD_APART = [name for name in SOURCES if marker(name) != "access"]
"""The databases that have an index of their own for it."""


@pytest.fixture
def tracker(labs):
    return labs.new(mice=2, sessions=1)


# -- what is refused ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("there", "second"), [("ATL012", "atl012"), ("B-ü", "b-Ü"), ("B-straße", "B-STRASSE")]
)
def test_add_refuses_the_name_of_a_mouse_in_another_case(tracker, there, second):
    if there != "ATL012":
        tracker.mice.add(there)
    before = table_counts(tracker.url)

    with pytest.raises(DuplicateError, match=DIFFERS) as refused:
        tracker.mice.add(second)

    assert refused.value.key == there
    assert repr(second) in str(refused.value)
    assert table_counts(tracker.url) == before


@pytest.mark.parametrize("rows", [["B1", "atl012"], ["C1", "B1", "b1"]])
def test_add_many_refuses_all_when_two_names_differ_in_case_alone(tracker, rows):
    before = table_counts(tracker.url)

    with pytest.raises(DuplicateError, match=DIFFERS) as refused:
        tracker.mice.add_many([{"mouseName": name} for name in rows])

    assert refused.value.key in {"ATL012", "B1"}
    assert table_counts(tracker.url) == before


@pytest.mark.parametrize("dry_run", [True, False])
def test_rename_refuses_the_name_of_another_mouse_in_another_case(tracker, dry_run):
    before = tracker.mice.frame()

    with pytest.raises(DuplicateError, match=DIFFERS) as refused:
        tracker.mice.update({"mouseName": "atl012"}, "ATL013", dry_run=dry_run)

    assert refused.value.key == "ATL012"
    assert tracker.mice.frame().equals(before)


def test_mouse_without_sessions_may_change_the_case_of_its_own_name(tracker):
    number = tracker.mice.get("ATL013").uMouseID

    assert tracker.mice.update({"mouseName": "atl013"}, "ATL013").rows == 1

    assert tracker.mice.get("atl013").uMouseID == number
    assert tracker.mice.find("ATL013") is None
    with pytest.raises(DuplicateError):
        tracker.mice.add("ATL013")


def test_mouse_with_sessions_keeps_the_case_of_its_name(tracker):
    with pytest.raises(InvalidValueError, match="has sessions"):
        tracker.mice.update({"mouseName": "atl012"}, "ATL012")

    assert tracker.sessions.get(KEY).mouseName == tracker.mice.get("ATL012").mouseName


def test_name_is_free_in_every_case_once_its_mouse_is_deleted(tracker):
    tracker.mice.delete("ATL013")

    assert tracker.mice.add("atl013").mouseName == "atl013"


def test_import_reports_every_line_whose_name_differs_in_case_alone(tracker, tmp_path):
    file = tmp_path / "mice.csv"
    file.write_text("mouseName\natl012\nB1\nb1\nC1\n", "utf-8")

    plan = tracker.import_csv("mice", file)

    assert [problem.line for problem in plan.problems] == [2, 4]
    for problem, there in zip(plan.problems, ["ATL012", "B1"], strict=True):
        assert DIFFERS in str(problem)
        assert repr(there) in str(problem)
    # Those that could be added.
    assert [row["mouseName"] for row in plan.rows] == ["B1", "C1"]
    with pytest.raises(ImportFileError):
        plan.apply()
    assert tracker.mice.count() == 2


def test_session_names_its_mouse_as_the_mouse_is_spelled(tracker):
    with pytest.raises(NotFoundError, match="Write it as 'ATL012'") as refused:
        tracker.sessions.add("atl012.2023-01-20.900")

    assert refused.value.nearest[0] == "ATL012"
    assert "Add it first" not in str(refused.value)
    with pytest.raises(NotFoundError):
        tracker.sessions.update({"mouseName": "atl013"}, KEY)
    assert tracker.sessions.get(KEY).mouseName == "ATL012"


# -- the database itself -----------------------------------------------------------------------


ADD_MOUSE = (
    'INSERT INTO mousedb ("mouseName", "tracked", "trackerExists", "KO", "Blinded") '
    "VALUES (:name, False, False, False, False)"
)


def refuses(url: str) -> bool:
    """Tell whether the database itself keeps ATL012 from being there twice."""
    before = table_counts(url)
    try:
        run_sql(url, ADD_MOUSE, name="atl012")
    except sa.exc.IntegrityError:
        assert table_counts(url) == before
        return True
    return False


def test_database_refuses_what_went_past_the_tracker(tracker):
    assert refuses(tracker.url)
    run_sql(tracker.url, ADD_MOUSE, name="B1")
    assert tracker.mice.get("B1").mouseName == "B1"


@pytest.mark.parametrize("backend", TOLD_APART, indirect=True)
def test_check_tells_of_a_missing_rule(tracker):
    index = "uq_mousedb_mouseName_caseless"
    change_schema(tracker.url, lambda alter: alter.drop_index(index, table_name="mousedb"))

    (difference,) = check(tracker.url)

    assert index in difference


def test_two_that_add_a_name_at_once_get_one_mouse(tracker):
    with ThreadPoolExecutor(2) as pool, open_lab(tracker.url) as other:
        for number in range(8):
            start = threading.Barrier(2)

            def add(lab, name, start=start):
                start.wait(30)
                try:
                    return lab.mice.add(name).mouseName
                except DuplicateError as error:
                    return error

            names = (f"B{number}", f"b{number}")
            done = list(pool.map(add, (tracker, other), names))

            (there,) = (one for one in done if isinstance(one, str))
            (refused,) = (one for one in done if isinstance(one, DuplicateError))
            assert refused.key == there
            assert DIFFERS in str(refused)
    assert tracker.mice.count() == 2 + 8


def test_clone_carries_the_rule(tracker, backend):
    copy = backend.new_url()

    vrtracker.clone(tracker.url, copy)

    assert check(copy) == []
    assert refuses(copy)


def test_restored_backup_carries_the_rule(tracker, backend, tmp_path):
    backup = tracker.back_up(tmp_path / "kept").path
    copy = backend.new_url()

    vrtracker.restore(copy, backup)

    assert check(copy) == []
    assert refuses(copy)


@pytest.mark.parametrize("backend", [name for name in SOURCES if "postgres" in name], indirect=True)
def test_restored_archive_of_rows_carries_the_rule(tracker, backend, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    backup = tracker.back_up(tmp_path / "kept").path
    copy = backend.new_url()

    vrtracker.restore(copy, backup)

    assert backup.suffix == ".zip"
    assert check(copy) == []
    assert refuses(copy)


# -- what is found -----------------------------------------------------------------------------


def test_keys_are_looked_up_in_the_case_in_which_they_are_stored(tracker):
    with pytest.raises(NotFoundError, match=r"Did you mean 'ATL012\.2023-01-20\.701'") as missing:
        tracker.sessions.get(OTHER_CASE)
    with pytest.raises(NotFoundError, match="Did you mean 'ATL012'"):
        tracker.mice.get("atl012")

    assert missing.value.nearest == (KEY,)
    assert tracker.sessions.find(OTHER_CASE) is None
    assert tracker.mice.find("atl012") is None
    assert tracker.sessions.count(mouseName="atl012") == 0
    assert tracker.sessions.count(mouseName=["atl012"]) == 0


def test_nothing_is_changed_under_a_name_in_another_case(tracker):
    before = table_counts(tracker.url)

    assert tracker.sessions.update({"imaging": True}, OTHER_CASE).matched == 0
    assert tracker.mice.update({"KO": True}, "atl012").matched == 0
    for delete, key in ((tracker.sessions.delete, OTHER_CASE), (tracker.mice.delete, "atl012")):
        with pytest.raises(NotFoundError):
            delete(key, force=True, reason="mistaken")
    with pytest.raises(NotFoundError):
        tracker.workflow.scratch(OTHER_CASE, "light leak")

    assert table_counts(tracker.url) == before


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_look_ups_tell_case_where_the_engine_does_not(tracker):
    """As Microsoft's engine compares; here by columns that somebody declared so."""
    run_sql(
        tracker.url,
        "PRAGMA writable_schema = ON",
        "UPDATE sqlite_master SET sql = replace(sql, '\"mouseName\" VARCHAR(255) NOT NULL', "
        "'\"mouseName\" VARCHAR(255) COLLATE NOCASE NOT NULL')",
        "PRAGMA writable_schema = RESET",
        "REINDEX",
    )
    assert run_sql(tracker.url, "SELECT count(*) FROM sessiondb WHERE mouseName = 'atl012'") == [
        (1,)
    ]

    with open_lab(tracker.url) as lab:
        assert lab.mice.find("atl012") is None
        with pytest.raises(NotFoundError, match="Did you mean"):
            lab.sessions.get(OTHER_CASE)
        for refused in (lab.workflow.states, lab.sessions.delete):
            with pytest.raises(NotFoundError):
                refused(OTHER_CASE)
        assert lab.sessions.get(KEY).mouseName == "ATL012"
        assert lab.workflow.states(KEY)
