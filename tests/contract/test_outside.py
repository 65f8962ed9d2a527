"""Edits past the tracker are noticed, and entered in the history as made outside."""

from __future__ import annotations

import datetime as dt
import json

import pytest

from support.registrars import bad, good
from support.workflow_lab import WorkflowLab
from vrtracker.repositories.events import EventRepository
from vrtracker.services.history.outside import FEW, Difference

ONE, TWO, THREE = (f"M1.2023-01-20.{number}" for number in (1, 2, 3))


@pytest.fixture
def lab(backend, tmp_path):
    with WorkflowLab.on(backend, tmp_path / "root") as made:
        yield made


def outside(tracker, key) -> list[tuple]:
    history = tracker.history(key)
    theirs = history[history["actor"] == "outside"]
    return list(zip(theirs["verb"], theirs["changes"], strict=True))


def drop(lab, key) -> None:
    sessions = lab.tracker._lab.database.tables.sessions
    number = lab.number(key)
    with lab.tracker._lab.database.write_engine.begin() as connection:
        connection.execute(sessions.delete().where(sessions.c.uSessionID == number))


def by_hand(**columns) -> dict:
    day = {"mouseName": "M1", "sessionDate": dt.date(2023, 1, 20)}
    flags = ("variableGain", "behavior", "imaging", "faceCamera", "vrRegistration", "suite2p")
    flags += ("suite2pQC", "redCellQC", "vrRegistrationError", "dontTrack")
    return day | dict.fromkeys(flags, False) | {"sessionQC": True} | columns


def test_history_and_rows_agree_after_everything_that_the_tracker_does(lab):
    tracker, workflow = lab.tracker, lab.tracker.workflow
    lab.add(ONE, imaging=True, headPlateRotation=12.5, suite2pDate="2023-01-22 03:04:05")
    lab.add(TWO, sessionNotes='naïve "小鼠" \\ %')
    tracker.sessions.update({"sessionID": 3}, TWO)
    tracker.mice.update({"mouseName": "M3", "sex": "F"}, "M2")
    tracker.sessions.update({"numPlanes": 5, "planeSeparation": 20.0}, all_rows=True)
    workflow.complete(ONE, "suite2p")
    workflow.set_qc(ONE, "suite2p", "PASS")
    workflow.run(registrar=bad)
    workflow.run(registrar=good)
    workflow.scratch(ONE, "light leak")
    tracker.recordings.split(THREE, 4)
    tracker.sessions.delete(THREE, force=True, reason="a test")

    found = tracker.verify()

    assert found.differences == ()
    assert (found.events, found.rows) == (len(tracker.events(1000)), 4)
    assert tracker.absorb().differences == ()
    assert set(tracker.events(1000)["actor"]) == {"ann"}


def test_edits_by_hand_are_named_and_then_entered(lab):
    tracker = lab.tracker
    for key in (ONE, TWO, THREE):
        lab.add(key, numPlanes=3)
    lab.edit(
        ONE, numPlanes=5, sessionNotes="by hand", suite2pDate=dt.datetime(2023, 1, 22, 3, 4, 5)
    )
    drop(lab, TWO)
    lab.insert("sessions", [by_hand(sessionID=4, imaging=True, sessionNotes="entered")])

    found = tracker.verify()

    assert set(found.differences) == {
        Difference(ONE, "numPlanes", 3, 5),
        Difference(ONE, "sessionNotes", None, "by hand"),
        Difference(ONE, "suite2pDate", None, "2023-01-22 03:04:05"),
        Difference(TWO, None, "there", None),
        Difference("M1.2023-01-20.4", None, None, "there"),
    }
    assert found.rows == 5
    assert tracker.absorb().differences == found.differences
    assert outside(tracker, ONE) == [
        (
            "edited",
            {
                "numPlanes": [3, 5],
                "sessionNotes": [None, "by hand"],
                "suite2pDate": [None, "2023-01-22 03:04:05"],
            },
        )
    ]
    ((verb, changes),) = outside(tracker, TWO)
    assert (verb, changes["numPlanes"]) == ("deleted", [3, None])
    ((verb, changes),) = outside(tracker, "M1.2023-01-20.4")
    assert verb == "found"
    assert changes == {
        "mouseName": [None, "M1"],
        "sessionDate": [None, "2023-01-20"],
        "sessionID": [None, 4],
        "imaging": [False, True],
        "sessionNotes": [None, "entered"],
    }
    assert tracker.verify().differences == ()
    assert tracker.absorb().differences == ()


def test_verification_as_a_document_names_key_column_and_both_values(lab):
    lab.add(ONE, numPlanes=3)
    lab.edit(ONE, numPlanes=5)

    document = json.loads(json.dumps(lab.tracker.verify().document()))

    assert document == {
        "events": 3,
        "rows": 3,
        "differences": [{"key": ONE, "column": "numPlanes", "history": 3, "row": 5}],
    }


def from_file(lab) -> None:
    path = lab.root / "rows.csv"
    path.write_text(
        "mouseName,sessionDate,sessionID,numPlanes\nM1,2023-01-20,1,90\nM1,2023-01-20,2,90\n"
    )
    lab.tracker.edit_csv(path).apply()


WRITES = {
    "update": lambda lab: lab.tracker.sessions.update({"imaging": True}, ONE),
    "update of several": lambda lab: lab.tracker.sessions.update(
        {"behavior": True}, mouseName="M1"
    ),
    "edits of a file": from_file,
    "complete": lambda lab: lab.tracker.workflow.complete(ONE, "suite2p"),
    "decision": lambda lab: lab.tracker.workflow.set_qc(ONE, "suite2p", "PASS"),
    "run": lambda lab: lab.tracker.workflow.run("registration", ONE, registrar=good),
    "exclude": lambda lab: lab.tracker.workflow.exclude(ONE, "red_cell_qc"),
    "scratch": lambda lab: lab.tracker.workflow.scratch(ONE, "light leak"),
    "undo": lambda lab: lab.tracker.undo(last=True).apply(),
    "merge": lambda lab: lab.tracker.recordings.merge(ONE, TWO),
    "delete": lambda lab: lab.tracker.sessions.delete(ONE),
}


def test_edit_by_hand_is_entered_before_the_tracker_writes_the_row(lab):
    lab.add(ONE)
    lab.add(TWO)
    for number, (name, write) in enumerate(WRITES.items(), start=1):
        lab.edit(ONE, vrEnvironments=number)

        write(lab)

        history = lab.tracker.history(ONE)
        place = history.index[history["actor"] == "outside"][-1]
        assert history["changes"][place] == {"vrEnvironments": [number - 1 or None, number]}, name
        assert place < len(history) - 1, name
        # It is no part of what the tracker did: undoing that leaves it.
        ids = list(history["operation_id"])
        assert ids.count(ids[place]) == 1, name
        assert lab.tracker.verify().differences == (), name


def test_what_was_done_by_hand_can_be_undone(lab):
    lab.add(ONE, numPlanes=3)
    lab.add(TWO, numPlanes=4, sessionNotes="two")
    before = told(lab)
    lab.clock.advance(minutes=1)
    lab.edit(ONE, numPlanes=5)
    drop(lab, TWO)
    lab.insert("sessions", [by_hand(sessionID=4, sessionNotes="entered")])
    after = told(lab)
    lab.tracker.absorb()

    lab.tracker.undo(actor="outside", since=lab.clock()).apply()
    assert told(lab) == before
    assert lab.tracker.verify().differences == ()

    operation = lab.tracker.events(1)["operation_id"][0]
    lab.tracker.undo(operation).apply()
    assert told(lab) == after


@pytest.mark.own_rule
def test_key_that_was_changed_by_hand_is_not_undone_below_work_and_says_what_to_do(lab):
    lab.add(ONE, imaging=True)
    lab.tracker.workflow.complete(ONE, "suite2p")
    lab.tracker.workflow.run("registration", ONE, registrar=good)
    lab.clock.advance(minutes=1)
    lab.edit(ONE, sessionID=9)
    lab.tracker.absorb()

    (problem,) = lab.tracker.undo(actor="outside", since=lab.clock()).problems

    assert "vrt_" not in problem
    assert ".9: file oneData/trials.startTimes.npy hangs on it" in problem
    assert "vrtracker sessions edit M1.2023-01-20.9 --set sessionID=" in problem


@pytest.mark.own_rule
def test_edit_of_many_rows_is_undone_although_they_were_found_after_it(lab):
    lab.insert("sessions", [by_hand(sessionID=number) for number in range(FEW + 1)])
    before = told(lab)
    lab.tracker.sessions.update({"numPlanes": 3}, all_rows=True)
    assert "found" not in set(lab.tracker.events(1000)["verb"])
    lab.tracker.absorb()
    assert lab.tracker.verify().differences == ()

    lab.tracker.undo(last=True).apply()

    assert told(lab) == before


def told(lab) -> list[dict]:
    """Return the sessions without their numbers: that of a row which is gone is not known."""
    rows = [dict(row) for row in lab.dump()["sessions"]]
    for row in rows:
        del row["uSessionID"]
    return sorted(rows, key=str)


def test_edit_of_a_row_whose_key_changed_back_and_forth_is_entered_once(lab):
    lab.add(ONE)
    for old, new in ((ONE, 2), (TWO, 1), (ONE, 2)):
        lab.tracker.sessions.update({"sessionID": new}, old)
    lab.add(ONE, folder=False, numPlanes=7)
    lab.edit(TWO, numPlanes=5)

    lab.tracker.sessions.update({"imaging": True}, TWO)
    lab.tracker.sessions.update({"imaging": True}, ONE)

    assert outside(lab.tracker, TWO) == [("edited", {"numPlanes": [None, 5]})]
    assert outside(lab.tracker, ONE) == []


def test_mouse_that_was_edited_by_hand_has_an_event_of_it(lab):
    mice = lab.tracker._lab.database.tables.mice
    with lab.tracker._lab.database.write_engine.begin() as connection:
        connection.execute(mice.update().where(mice.c.mouseName == "M2").values(sex="F"))

    lab.tracker.mice.update({"notes": "seen"}, "M2")

    assert outside(lab.tracker, "M2") == [("edited", {"sex": [None, "F"]})]


def test_history_of_a_row_is_read_again_only_after_an_edit_by_hand(lab, monkeypatch):
    lab.add(ONE, imaging=True)
    replayed = []
    told_of = EventRepository.told_of
    monkeypatch.setattr(
        EventRepository, "told_of", lambda *a, **k: replayed.append(a) or told_of(*a, **k)
    )
    lab.tracker.workflow.scratch(ONE, "light leak")
    assert len(replayed) == 1
    lab.tracker.workflow.unscratch(ONE)
    lab.tracker.workflow.run(registrar=good)
    lab.tracker.workflow.complete(ONE, "suite2p", date="2023-01-22 03:04:05.678")
    lab.tracker.workflow.reset(ONE, "suite2p")
    after_transitions = len(replayed)

    lab.edit(ONE, numPlanes=5)
    lab.tracker.workflow.scratch(ONE, "laser off")

    assert after_transitions == 1
    assert len(replayed) == 2
    assert lab.tracker.verify().differences == ()
