"""Mice: the same verbs as sessions, on their own table."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pandas as pd
import pytest

from support.sample_lab import KEY, SAMPLE_MICE, session_rows, table_counts
from vrtracker.errors import (
    DependentRowsError,
    DuplicateError,
    InvalidValueError,
    NotFoundError,
    UnknownNameError,
)

FULL_ROW: dict[str, Any] = {
    "tracked": True,
    "trackerExists": True,
    "KO": True,
    "Blinded": True,
    "environmentOrder": "1.3.4",
    "experimentID": 3,
    "sex": "F",
    "dateOfBirth": dt.date(2022, 5, 1),
    "genotype": "Emx1-Cre",
    "strain": "C57BL/6J",
    "notes": "n" * 3_000,
}


def test_every_column_of_an_added_mouse_comes_back(tracker):
    added = tracker.mice.add("ATL044", **FULL_ROW)

    for name, value in FULL_ROW.items():
        assert getattr(added, name) == value, name
        assert type(getattr(added, name)) is type(value), name
    assert added.mouseName == "ATL044"
    assert added.uMouseID > tracker.mice.get("ATL012").uMouseID


def test_mice_come_in_the_order_of_their_entry(sample):
    names = [mouse["mouseName"] for mouse in SAMPLE_MICE]

    assert list(sample.mice.frame()["mouseName"]) == names
    assert [mouse.mouseName for mouse in sample.mice.iter()] == names
    assert sample.mice.count() == len(names)


def test_mice_are_ordered_and_limited(sample):
    names = sorted(mouse["mouseName"] for mouse in SAMPLE_MICE)

    assert list(sample.mice.frame(order_by="-mouseName", limit=2)["mouseName"]) == names[:1:-1]
    assert list(sample.mice.frame(order_by="sex")["sex"].isna()) == [False, False, True, True]


def test_mouse_is_looked_up_by_name_or_record(small):
    found = small.mice.get("ATL012")

    assert small.mice.get(found) == found
    assert small.mice.find("ATL012") == found


def test_missing_mouse_is_not_found_and_the_nearest_is_named(small):
    with pytest.raises(NotFoundError) as missing:
        small.mice.get("ATL021")

    assert missing.value.nearest == ("ATL012",)
    assert small.mice.find("ATL021") is None


@pytest.mark.own_rule
@pytest.mark.parametrize("nonsense", ["", "ATL 012", "a/b", "..", None, 12, "' OR 1=1 --"])
def test_nonsense_is_no_mouse(small, nonsense):
    with pytest.raises(InvalidValueError):
        small.mice.get(nonsense)


@pytest.mark.own_rule
@pytest.mark.parametrize("form", [list, iter, pd.DataFrame])
def test_many_are_added_from_any_container(tracker, form):
    rows = [{"mouseName": "B1", "KO": True}, {"mouseName": "B2", "KO": False}]

    assert tracker.mice.add_many(form(rows)) == ["B1", "B2"]
    assert list(tracker.mice.frame()["mouseName"]) == ["ATL012", "B1", "B2"]


def test_given_autonumbers_are_kept_and_the_next_is_higher(tracker):
    tracker.mice.add_many([{"uMouseID": 30, "mouseName": "B1"}])

    assert tracker.mice.add("B2").uMouseID == 31


@pytest.mark.own_rule
@pytest.mark.parametrize(
    ("bad", "error"),
    [
        ({"mouseName": "ATL 7"}, InvalidValueError),
        ({"mouseName": ""}, InvalidValueError),
        ({"mouseName": "a" * 256}, InvalidValueError),
        ({"sex": "X"}, InvalidValueError),
        ({"sex": "female"}, InvalidValueError),
        ({"dateOfBirth": "spring"}, InvalidValueError),
        ({"experimentID": 2**31}, InvalidValueError),
        ({"genotype": "x" * 256}, InvalidValueError),
        ({"notes": "nul\x00"}, InvalidValueError),
        ({"geno": "x"}, UnknownNameError),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_bad_row_is_refused_and_none_of_the_rows_is_written(small, bad, error):
    before = table_counts(small.url)

    with pytest.raises(error):
        small.mice.add_many([{"mouseName": "B1"}, {"mouseName": "B2", **bad}])

    assert table_counts(small.url) == before


def test_duplicate_mouse_is_refused(small):
    before = table_counts(small.url)

    with pytest.raises(DuplicateError) as refused:
        small.mice.add("ATL012")
    with pytest.raises(DuplicateError, match="twice"):
        small.mice.add_many([{"mouseName": "B1"}, {"mouseName": "B1"}])

    assert refused.value.key == "ATL012"
    assert table_counts(small.url) == before


def test_autonumber_that_is_taken_is_refused(small):
    taken = small.mice.get("ATL012").uMouseID

    with pytest.raises(DuplicateError, match=str(taken)):
        small.mice.add("B1", uMouseID=taken)


def test_update_reports_rows_and_writes_events(labs):
    tracker = labs.new(mice=3)

    done = tracker.mice.update({"KO": True}, mouseName=["ATL012", "ATL014"], reason="genotyped")

    assert (done.matched, done.rows) == (2, 2)
    history = tracker.history("ATL014")
    assert list(history["verb"]) == ["added", "edited"]
    assert history["changes"][1] == {"KO": [False, True]}
    assert list(tracker.history("ATL013")["verb"]) == ["added"]
    assert tracker.mice.update({"KO": True}, "ATL012").rows == 0


def test_dry_run_writes_nothing(labs):
    tracker = labs.new(mice=2)
    before = table_counts(tracker.url)

    assert tracker.mice.update({"KO": True}, all_rows=True, dry_run=True).rows == 2
    assert table_counts(tracker.url) == before
    assert tracker.mice.count(KO=True) == 0


def test_update_without_a_filter_is_refused(small):
    with pytest.raises(InvalidValueError, match="all_rows"):
        small.mice.update({"KO": True})


def test_mouse_without_sessions_can_be_renamed(tracker):
    tracker.mice.update({"mouseName": "ATL099"}, "ATL012")

    assert tracker.mice.get("ATL099").mouseName == "ATL099"
    assert tracker.mice.find("ATL012") is None


def test_mouse_with_sessions_cannot_be_renamed(labs):
    tracker = labs.new(sessions=1)

    with pytest.raises(InvalidValueError, match="sessions"):
        tracker.mice.update({"mouseName": "ATL099"}, "ATL012")

    assert tracker.mice.get("ATL012").mouseName == "ATL012"


def test_name_that_is_taken_is_refused(labs):
    tracker = labs.new(mice=2)

    with pytest.raises(DuplicateError) as refused:
        tracker.mice.update({"mouseName": "ATL013"}, "ATL012")

    assert refused.value.key == "ATL013"


def test_update_of_sex_to_nonsense_is_refused(small):
    with pytest.raises(InvalidValueError, match="sex"):
        small.mice.update({"sex": "X"}, "ATL012")


def test_mouse_without_sessions_is_deleted_and_its_event_keeps_the_values(tracker):
    tracker.mice.add("ATL044", **FULL_ROW)

    tracker.mice.delete("ATL044", reason="never existed")

    assert tracker.mice.find("ATL044") is None
    event = tracker.events(1).iloc[0]
    assert (event["verb"], event["subject_key"]) == ("deleted", "ATL044")
    old = {name: change[0] for name, change in event["changes"].items()}
    assert old["genotype"] == "Emx1-Cre"
    assert old["dateOfBirth"] == "2022-05-01"


def test_mouse_with_sessions_is_kept_unless_forced(labs):
    tracker = labs.new()
    tracker.sessions.add_many(
        session_rows(2, sessionQC=False, scratchJustification="no laser", sessionNotes="note")
    )
    before = table_counts(tracker.url)

    with pytest.raises(DependentRowsError) as refused:
        tracker.mice.delete("ATL012")
    with pytest.raises(InvalidValueError, match="reason"):
        tracker.mice.delete("ATL012", force=True)

    assert refused.value.dependents == {"sessions": 2}
    assert table_counts(tracker.url) == before


def test_forced_deletion_takes_the_sessions_along_and_events_keep_them(labs):
    tracker = labs.new()
    tracker.sessions.add_many(session_rows(2, imaging=True, suite2p=True, sessionNotes="note"))
    tracker.workflow.set_qc(KEY, "suite2p_qc", "PASS", reason="fine")

    tracker.mice.delete("ATL012", force=True, reason="wrong colony")

    assert tracker.mice.count() == 0
    assert tracker.sessions.count(include_scratched=True) == 0
    last = tracker.history(KEY).iloc[-1]
    assert last["verb"] == "deleted"
    assert "wrong colony" in last["reason"]
    assert last["changes"]["sessionNotes"] == ["note", None]


def test_missing_mouse_cannot_be_deleted(small):
    with pytest.raises(NotFoundError):
        small.mice.delete("ATL999")
