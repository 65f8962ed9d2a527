"""Every change leaves an event, in the transaction that makes it."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pandas as pd
import pytest

from support.sample_lab import ACTOR, DAY, KEY, session_rows, table_counts
from vrtracker import clock
from vrtracker.errors import NotFoundError
from vrtracker.repositories.events import EventRepository

COLUMNS = ["occurred_at", "actor", "host_name", "subject_key", "verb", "stage", "from_state"]
COLUMNS += ["to_state", "changes", "reason", "attempt_id", "operation_id"]


def counted(tracker: Any) -> int:
    return table_counts(tracker.url)["vrt_event"]


@pytest.fixture
def broken_events(monkeypatch) -> None:
    """Let the writing of events fail, as on a full disk, after the rows were written."""

    def fail(*_given: Any, **_named: Any) -> None:
        raise OSError("the disk is full")

    for name in ("append", "append_each", "append_like", "_append"):
        if hasattr(EventRepository, name):
            monkeypatch.setattr(EventRepository, name, fail)


WRITES = {
    "add": lambda tracker: tracker.sessions.add(("ATL012", DAY, 900)),
    "add_many": lambda tracker: tracker.sessions.add_many(session_rows(3, start=900)),
    "update": lambda tracker: tracker.sessions.update({"imaging": True}, all_rows=True),
    "rekey": lambda tracker: tracker.sessions.update({"sessionID": 900}, KEY),
    "delete": lambda tracker: tracker.sessions.delete(KEY),
    "add mouse": lambda tracker: tracker.mice.add("B1"),
    "update mouse": lambda tracker: tracker.mice.update({"KO": True}, "ATL012"),
    "delete mouse": lambda tracker: tracker.mice.delete("ATL012", force=True, reason="why not"),
}


@pytest.mark.parametrize("name", WRITES)
def test_change_whose_event_cannot_be_written_does_not_happen(small, broken_events, name):
    before = table_counts(small.url), small.sessions.frame(), small.mice.frame()

    with pytest.raises(OSError, match="the disk is full"):
        WRITES[name](small)

    assert table_counts(small.url) == before[0]
    pd.testing.assert_frame_equal(small.sessions.frame(), before[1])
    pd.testing.assert_frame_equal(small.mice.frame(), before[2])


@pytest.mark.parametrize(
    ("name", "events"),
    [
        ("add", 1),
        ("add_many", 3),
        ("update", 3),
        ("rekey", 2),
        ("delete", 1),
        ("add mouse", 1),
        ("update mouse", 1),
        ("delete mouse", 4),
    ],
)
def test_change_writes_an_event_for_each_row(labs, name, events):
    tracker = labs.new(sessions=3)
    before = counted(tracker)

    WRITES[name](tracker)

    assert counted(tracker) == before + events


def test_event_says_who_when_where_what_and_why(labs):
    tracker = labs.new(sessions=1)
    started = clock.now()

    tracker.sessions.update({"numPlanes": 5, "imaging": True}, KEY, reason="counted again")

    event = tracker.history(KEY).iloc[-1]
    assert list(tracker.history(KEY).columns) == COLUMNS
    assert event["actor"] == ACTOR
    assert event["host_name"]
    assert started <= event["occurred_at"] <= clock.now()
    assert (event["subject_key"], event["verb"]) == (KEY, "edited")
    assert event["changes"] == {"numPlanes": [None, 5], "imaging": [False, True]}
    assert event["reason"] == "counted again"
    assert event[["stage", "from_state", "to_state", "attempt_id"]].isna().all()


def test_changes_keep_old_and_new_values_of_every_type(labs):
    tracker = labs.new()
    tracker.sessions.add(KEY, sessionNotes='naïve "小鼠" \\ %', headPlateRotation=12.5)
    tracker.sessions.update(
        {
            "sessionNotes": None,
            "headPlateRotation": -0.25,
            "suite2pDate": dt.datetime(2023, 1, 22, 3, 4, 5),
            "sessionDate": "2023-01-21",
        },
        KEY,
    )

    changes = tracker.history("ATL012.2023-01-21.701")["changes"]
    assert changes[0]["sessionNotes"] == [None, 'naïve "小鼠" \\ %']
    assert changes[1] == {
        "sessionNotes": ['naïve "小鼠" \\ %', None],
        "headPlateRotation": [12.5, -0.25],
        "suite2pDate": [None, "2023-01-22 03:04:05"],
        "sessionDate": ["2023-01-20", "2023-01-21"],
    }


def test_events_of_many_rows_name_their_own_values(tracker):
    rows = session_rows(4)
    rows[1] |= {"numPlanes": 5, "sessionNotes": "second"}
    rows[2] |= {"headPlateRotation": 0.0, "suite2pDate": "2023-01-22"}
    rows[3] |= {"imaging": True, "sessionNotes": 'quoted "text" \\'}

    tracker.sessions.add_many(rows)

    changes = {
        row["sessionID"]: tracker.history(("ATL012", DAY, row["sessionID"]))["changes"][0]
        for row in rows
    }
    assert changes[702]["sessionNotes"] == [None, "second"]
    assert changes[702]["numPlanes"] == [None, 5]
    assert changes[703]["headPlateRotation"] == [None, 0.0]
    assert changes[703]["suite2pDate"] == [None, "2023-01-22 00:00:00"]
    assert "sessionNotes" not in changes[703]
    assert changes[704]["sessionNotes"] == [None, 'quoted "text" \\']
    assert changes[704]["imaging"] == [None, True]
    for number, change in changes.items():
        assert change["sessionID"] == [None, number]
        assert change["mouseName"] == [None, "ATL012"]
        assert change["sessionDate"] == [None, "2023-01-20"]


def test_added_event_of_one_row_is_that_of_many(labs):
    values = {"numPlanes": 5, "imaging": True, "suite2pDate": "2023-01-22", "sessionNotes": "x"}
    one, many = labs.new(), labs.new()

    one.sessions.add(KEY, **values)
    many.sessions.add_many(session_rows(1, **values))

    assert one.history(KEY)["changes"][0] == many.history(KEY)["changes"][0]


def test_history_is_in_the_order_of_writing(labs):
    tracker = labs.new(sessions=1)
    for number in range(5):
        tracker.sessions.update({"numPlanes": number}, KEY)

    planes = [changes["numPlanes"][1] for changes in tracker.history(KEY)["changes"][1:]]
    assert planes == [0, 1, 2, 3, 4]
    newest = tracker.events(3)["changes"]
    assert [changes["numPlanes"][1] for changes in newest] == [4, 3, 2]


def test_history_of_a_session_holds_no_event_of_another(labs):
    tracker = labs.new(mice=2, sessions=2)
    tracker.sessions.update({"imaging": True}, ("ATL012", DAY, 702))

    assert list(tracker.history(KEY)["subject_key"]) == [KEY]
    assert list(tracker.history("ATL012")["verb"]) == ["added"]


def test_history_follows_a_session_through_all_its_keys(labs):
    tracker = labs.new(mice=2, sessions=1)
    tracker.sessions.update({"sessionID": 801}, KEY)
    tracker.sessions.update({"sessionDate": "2023-02-01"}, ("ATL012", DAY, 801))
    tracker.sessions.update({"mouseName": "ATL013"}, ("ATL012", "2023-02-01", 801))

    history = tracker.history("ATL013.2023-02-01.801")

    assert list(history["verb"]) == ["added"] + ["edited", "rekeyed"] * 3


def test_history_finds_a_session_under_each_of_its_keys(labs):
    tracker = labs.new(mice=2, sessions=1)
    tracker.sessions.update({"sessionID": 801}, KEY)
    tracker.sessions.update({"mouseName": "ATL013"}, ("ATL012", DAY, 801))

    whole = tracker.history(f"ATL013.{DAY}.801")

    assert list(whole["verb"]) == ["added"] + ["edited", "rekeyed"] * 2
    for former in (KEY, f"ATL012.{DAY}.801"):
        assert tracker.history(former).equals(whole)


def test_history_of_a_renamed_mouse_is_found_under_all_its_names(labs):
    tracker = labs.new()
    tracker.mice.add("B1")
    for old, new in (("B1", "B2"), ("B2", "b2"), ("b2", "B3")):
        tracker.mice.update({"mouseName": new}, old)
    tracker.mice.update({"KO": True}, "B3")

    whole = tracker.history("B3")

    assert list(whole["verb"]) == ["added"] + ["edited", "rekeyed"] * 3 + ["edited"]
    assert whole["changes"].iloc[-1] == {"KO": [False, True]}
    for former in ("B1", "B2", "b2"):
        assert tracker.history(former).equals(whole)


def test_history_of_a_mouse_that_was_renamed_and_back_is_whole(labs):
    tracker = labs.new()
    tracker.mice.add("B1")
    for old, new in (("B1", "B2"), ("B2", "B1")):
        tracker.mice.update({"mouseName": new}, old)

    assert list(tracker.history("B1")["verb"]) == ["added"] + ["edited", "rekeyed"] * 2
    assert tracker.history("B2").equals(tracker.history("B1"))


def test_name_that_another_mouse_got_later_mixes_no_stories(labs):
    tracker = labs.new()
    tracker.mice.add("B1", notes="first")
    tracker.mice.update({"mouseName": "B2"}, "B1")
    tracker.mice.add("B1", notes="second")
    tracker.mice.update({"mouseName": "B3"}, "B1")
    tracker.mice.add("C1", notes="third")
    tracker.mice.update({"mouseName": "B1"}, "C1")

    stories = {name: tracker.history(name) for name in ("B1", "B2", "B3", "C1")}

    notes = {name: story["changes"].iloc[0]["notes"][1] for name, story in stories.items()}
    assert notes == {"B1": "third", "B2": "first", "B3": "second", "C1": "third"}
    for story in stories.values():
        assert list(story["verb"]) == ["added", "edited", "rekeyed"]


def test_history_outlives_a_renamed_mouse(labs):
    tracker = labs.new()
    tracker.mice.add("B1")
    tracker.mice.update({"mouseName": "B2"}, "B1")
    tracker.mice.delete("B2")

    whole = tracker.history("B2")

    assert list(whole["verb"]) == ["added", "edited", "rekeyed", "deleted"]
    assert tracker.history("B1").equals(whole)


def test_history_of_a_name_in_another_case_is_not_found(labs):
    with pytest.raises(NotFoundError, match="Did you mean 'ATL012'"):
        labs.new().history("atl012")


def test_history_of_an_unknown_mouse_is_not_found(small):
    with pytest.raises(NotFoundError):
        small.history("ATL999")


def test_history_of_an_unknown_session_is_empty(small):
    assert len(small.history("ATL012.2023-01-20.999")) == 0


def test_refused_change_leaves_no_event(small):
    before = counted(small)

    for work in (
        lambda: small.sessions.add(KEY),
        lambda: small.sessions.update({"mouseName": "ATL999"}, KEY),
        lambda: small.sessions.update({"sessionID": 702}, KEY),
        lambda: small.mice.delete("ATL012"),
    ):
        with pytest.raises(Exception, match="ATL"):
            work()

    assert counted(small) == before
