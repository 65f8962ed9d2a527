"""A frozen selection keeps which sessions it was, and tells what became of them."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal

import pytest

import vrtracker
from support.sample_lab import DAY, numbers, open_lab, run_sql, session_rows
from support.workflow_lab import wait_for
from vrtracker.domain.frozen import canonical, digest_of, hash_of
from vrtracker.errors import (
    DuplicateError,
    ImportFileError,
    InvalidValueError,
    NotFoundError,
    NotUndoableError,
    ReadOnlyError,
    UnknownNameError,
)
from vrtracker.repositories.selecting import Selection
from vrtracker.services.selections.reading import rows_by_selection

SQLITE = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)

COLUMNS = ["imaging", "sessionNotes", "headPlateRotation", "suite2pDate", "mouse__KO"]


def key(number: int) -> str:
    return f"ATL012.{DAY}.{number}"


@pytest.fixture
def frozen(labs):
    """Return a tracker whose sessions 701 to 704 with imaging are frozen as fig3."""
    tracker = labs.new()
    tracker.sessions.add_many(session_rows(4, imaging=True, sessionNotes="so far"))
    tracker.sessions.add_many(session_rows(1, start=720))
    tracker.freeze("fig3", imaging=True, note="figure 3")
    return tracker


def test_selection_is_the_same_until_something_changes(frozen):
    found = frozen.selection("fig3")
    checked = found.verify()

    assert found.keys == tuple(map(key, (701, 702, 703, 704)))
    assert numbers(found.frame()) == [701, 702, 703, 704]
    assert checked.is_same
    assert checked.hash == checked.frozen_hash == found.hash
    assert (checked.changed, checked.added, checked.removed) == ((), (), ())
    assert "uSessionID" not in found.columns
    assert found.frozen.note == "figure 3"


def test_changed_cells_and_rows_that_came_and_went_are_told(frozen):
    frozen.sessions.update({"sessionNotes": "since"}, key(701))
    frozen.sessions.update({"imaging": False}, key(702))
    frozen.sessions.delete(key(703), reason="a double")
    frozen.sessions.add_many(session_rows(1, start=730, imaging=True))
    run_sql(frozen.url, """UPDATE sessiondb SET "numPlanes" = 5 WHERE "sessionID" = 704""")

    checked = frozen.selection("fig3").verify()

    assert not checked.is_same
    assert [(c.key, c.column, c.old, c.new) for c in checked.changed] == [
        (key(701), "sessionNotes", "so far", "since"),
        (key(702), "imaging", True, False),
        # Nobody told the history.
        (key(704), None, None, None),
    ]
    assert checked.added == (key(730),)
    assert checked.removed == (key(702), key(703))
    assert set(checked.document()) == {
        *("name", "hash", "frozen_hash", "changed", "added", "removed")
    }


@SQLITE
def test_cell_that_was_changed_and_set_back_is_the_same(frozen):
    frozen.sessions.update({"sessionNotes": "since"}, key(701))
    frozen.sessions.update({"sessionNotes": "so far"}, key(701))

    assert frozen.selection("fig3").verify().is_same


SAMPLE_HASH = "8b74792491aedaff46af768f8173e1f3d264dc10866fab0ed5ac86a929fd77c1"
LEGACY_HASH = "7a052bd2bdcd92f821a51bae7b92a5651111178f571f57648eb2eaeb749d786d"


def test_hash_is_the_same_string_on_every_database(sample):
    assert hash_of_all(sample, [*COLUMNS, "pockelsPercentage", "mouse__dateOfBirth"]) == SAMPLE_HASH


def test_hash_of_the_labs_own_rows_is_the_same_string_on_every_database(legacy):
    table = legacy.database.tables.sessions

    found = hash_of_all(legacy, [each.name for each in table.c if not each.primary_key])

    assert found == LEGACY_HASH


def hash_of_all(tracker, columns: list[str]) -> str:
    """Return the hash that a selection of all sessions would have; nothing is written."""
    with tracker._lab.unit(readonly=True) as unit:
        rows = rows_by_selection(unit, Selection(), columns, include_scratched=True)
    return hash_of(columns, {key: digest_of(key, cells) for key, cells in rows.items()})


def test_exported_selection_is_read_by_another_database_of_the_same_rows(frozen, tmp_path, backend):
    path = frozen.selection("fig3").export(tmp_path / "fig3.json")
    copy = str(tmp_path / "copy.db")
    vrtracker.clone(frozen.url, copy)

    with open_lab(copy) as other:
        assert other.selection("fig3").verify().is_same
        with pytest.raises(DuplicateError):
            other.import_selection(path)
        again = other.import_selection(path, name="fig3 of the paper")
        assert again.hash == frozen.selection("fig3").hash
        other.sessions.update({"sessionNotes": "since"}, key(701))
        assert [c.column for c in again.verify().changed] == ["sessionNotes"]


@SQLITE
def test_query_is_asked_again_as_it_was(tracker):
    tracker.sessions.add_many(session_rows(4, numPlanes=5))
    late = {"sessionID": (703, ">="), "sessionDate": ([DAY, DAY], "between"), "numPlanes": [4, 5]}

    tracker.freeze("late", late, columns=["numPlanes"])

    assert tracker.selection("late").verify().is_same
    assert tracker.selection("late").keys == (key(703), key(704))


@SQLITE
def test_condition_in_words_is_kept_and_one_that_speaks_of_today_keeps_its_day(lab):
    for day in (1, 27):
        lab.add(f"M1.2026-02-{day:02d}.1", folder=False, imaging=True)
    lab.tracker.freeze("late", "imaging and sessionDate >= today - 7 days", sessionID=1)
    lab.clock.advance(days=300)

    found = lab.tracker.selection("late")

    assert found.keys == ("M1.2026-02-27.1",)
    assert found.verify().is_same
    table = lab.tracker.database.tables.sessions
    with pytest.raises(InvalidValueError, match="as a text"):
        lab.tracker.freeze("sql", table.c.imaging.is_(True))


@SQLITE
def test_session_under_another_key_has_gone_and_come(frozen):
    frozen.sessions.update({"sessionID": 799}, key(701))

    checked = frozen.selection("fig3").verify()

    assert (checked.added, checked.removed) == ((key(799),), (key(701),))


@SQLITE
def test_genotype_is_told_as_changed_and_not_shown(tracker):
    tracker.sessions.add_many(session_rows(1))
    tracker.freeze("blind", columns=["mouse__KO"])
    tracker.mice.update({"KO": True}, "ATL012")

    [change] = tracker.selection("blind").verify().changed

    assert (change.column, change.old, change.new) == ("mouse__KO", None, None)


@SQLITE
def test_wrong_names_columns_and_nothing_at_all_are_refused(frozen):
    with pytest.raises(DuplicateError, match="fig3"):
        frozen.freeze("FIG3")
    with pytest.raises(InvalidValueError, match="No session"):
        frozen.freeze("none", imaging=True, sessionID=1)
    with pytest.raises(InvalidValueError, match="1 to 255"):
        frozen.freeze(" ")
    with pytest.raises(UnknownNameError, match="imaging"):
        frozen.freeze("typo", columns=["imagin"])
    with pytest.raises(NotFoundError, match="fig3"):
        frozen.selection("fig33")
    with open_lab(frozen.url, readonly=True) as reader, pytest.raises(ReadOnlyError):
        reader.freeze("fig4")
    assert [each.name for each in frozen.selections()] == ["fig3"]


@SQLITE
def test_file_that_was_changed_or_is_another_is_refused(frozen, tmp_path):
    path = frozen.selection("fig3").export(tmp_path / "fig3.json")
    document = json.loads(path.read_text(encoding="utf-8"))
    document["rows"][key(701)] = "0" * 32
    path.write_text(json.dumps(document), encoding="utf-8")

    with pytest.raises(ImportFileError, match="was changed"):
        frozen.import_selection(path, name="other")
    path.write_text("{}", encoding="utf-8")
    with pytest.raises(ImportFileError, match="no selection"):
        frozen.import_selection(path)
    with pytest.raises(ImportFileError, match="cannot be read"):
        frozen.import_selection(tmp_path / "nowhere.json")


@SQLITE
@pytest.mark.parametrize("query", [{}, {"mapping": {"parts": [1]}}, {"mapping": {}}])
def test_file_with_another_query_is_refused(frozen, tmp_path, query):
    path = frozen.selection("fig3").export(tmp_path / "fig3.json")
    document = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(document | {"query": query}), encoding="utf-8")
    with pytest.raises(ImportFileError, match="not a whole selection"):
        frozen.import_selection(path, name="other")

    document["query"]["mapping"]["include_scratched"] = True
    path.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(ImportFileError, match="was changed"):
        frozen.import_selection(path, name="other")


@SQLITE
@pytest.mark.parametrize("content", ["{}", "gibberish"])
def test_damaged_selection_is_named_and_the_others_are_listed(frozen, caplog, content):
    frozen.freeze("fig4")
    run_sql(
        frozen.url, f"UPDATE vrt_selection SET content = '{content}' WHERE selection_name = 'fig3'"
    )

    assert [each.name for each in frozen.selections()] == ["fig4"]
    assert "fig3 is damaged" in caplog.text


@SQLITE
def test_rows_of_then_are_found_in_the_past(frozen):
    then = frozen.selection("fig3").frozen.frozen_at
    frozen.sessions.update({"sessionNotes": "since"}, key(701), reason="later")
    wait_for(lambda: frozen._lab.now() > then)
    frozen.sessions.update({"sessionNotes": "later"}, key(702), reason="later")

    with frozen.as_of(then) as past:
        assert "later" not in set(past.selection("fig3").frame()["sessionNotes"])


@pytest.mark.parametrize(
    "alike",
    [
        (5, 5.0, Decimal("5.00")),
        (12.8, Decimal("12.8")),
        (0, -0.0),
        (1e22, 10**22),
        (dt.date(2023, 1, 20), dt.datetime(2023, 1, 20)),
        (
            dt.datetime(2023, 1, 20, 12, tzinfo=dt.UTC),
            dt.datetime(2023, 1, 20, 14, tzinfo=dt.timezone(dt.timedelta(hours=2))),
        ),
        (b"\0a", memoryview(b"\0a")),
    ],
)
def test_values_that_databases_type_in_their_own_ways_are_one(alike):
    assert len({canonical(value) for value in alike}) == 1


def test_values_of_different_meaning_are_never_one():
    values = [None, True, 1, "1", "#1", "", "True", dt.date(2023, 1, 20), "2023-01-20", b"1"]

    assert len({canonical(value) for value in values}) == len(values)


def test_selection_is_renamed_and_deleted_and_the_history_keeps_its_hash(frozen):
    was = frozen.selection("fig3").hash
    frozen.freeze("fig5")
    with pytest.raises(DuplicateError):
        frozen.rename_selection("fig3", "FIG5")

    renamed = frozen.rename_selection("fig3", "Fig3")

    assert (renamed.name, renamed.hash, renamed.verify().is_same) == ("Fig3", was, True)
    assert [each.name for each in frozen.selections()] == ["Fig3", "fig5"]
    run_sql(
        frozen.url, """UPDATE vrt_selection SET "content" = '{}' WHERE "selection_name" = 'fig5'"""
    )
    for name in ("Fig3", "fig5"):
        frozen.delete_selection(name, reason="another figure")
    assert frozen.selections() == []
    with pytest.raises(NotFoundError):
        frozen.delete_selection("fig5")
    events = [each for each in frozen.events.records(9) if each["verb"].startswith("selection")]
    assert sorted((each["subject_key"], each["verb"]) for each in events) == [
        ("Fig3", "selection_deleted"),
        ("fig3", "selection_frozen"),
        ("fig3", "selection_renamed"),
        ("fig5", "selection_deleted"),
        ("fig5", "selection_frozen"),
    ]
    assert any(was in str(each["changes"]) for each in events)
    with pytest.raises(NotUndoableError, match="freeze it again"):
        frozen.undo(last=True).apply()
    frozen.freeze("fig6")
    with pytest.raises(NotUndoableError, match=r"tracker.delete_selection\('fig6'\)"):
        frozen.undo(last=True).apply()
    assert frozen.verify().differences == ()
