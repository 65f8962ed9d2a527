"""Sessions: listed in a stable order, looked up, added, edited, deleted."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest

from support.sample_lab import DAY, KEY, SAMPLE_SESSIONS, numbers, session_rows, table_counts
from vrtracker.domain.keys import SessionKey
from vrtracker.errors import (
    DuplicateError,
    EditConflictError,
    InvalidKeyError,
    InvalidValueError,
    NotFoundError,
    UnknownMouseError,
    UnknownNameError,
    VrtrackerError,
)

NEW_KEY = "ATL012.2023-01-20.901"
FULL_ROW: dict[str, Any] = {
    "experimentType": "Blender VR",
    "experimentID": 2,
    "variableGain": True,
    "behavior": True,
    "imaging": True,
    "faceCamera": True,
    "vrEnvironments": 23,
    "headPlateRotation": 12.800000190734863,
    "numPlanes": 5,
    "planeSeparation": 25.0,
    "pockelsPercentage": 4.5,
    "objectiveRotation": -5.8000002,
    "vrRegistration": True,
    "suite2p": True,
    "suite2pQC": True,
    "redCellQC": True,
    "sessionQC": False,
    "scratchJustification": "Laser wasn't lasing",
    "logtime": dt.datetime(2023, 1, 20, 18, 0, 1),
    "sessionNotes": "n" * 5_000,
    "suite2pDate": dt.datetime(2023, 1, 22, 3, 4, 5),
    "vrRegistrationDate": dt.datetime(2023, 1, 23),
    "vrRegistrationError": True,
    "vrRegistrationException": "it's [Errno 13]",
    "redCellQCDate": dt.datetime(2023, 3, 26, 1, 30),
    "vrBehaviorVersion": 1,
    "dontTrack": True,
}


def events_of(tracker: Any, key: Any = KEY) -> list[str]:
    return list(tracker.history(key)["verb"])


# -- order and limits --------------------------------------------------------------------------


def test_rows_come_in_the_order_of_their_entry(sample):
    everything = sample.sessions.frame(include_scratched=True)

    assert numbers(everything) == [row["sessionID"] for row in SAMPLE_SESSIONS]
    assert list(everything["uSessionID"]) == sorted(everything["uSessionID"])
    assert list(everything.index) == list(range(len(everything)))


def test_order_stays_when_rows_are_edited(labs):
    tracker = labs.new(sessions=6)

    tracker.sessions.update({"sessionNotes": "looked at"}, sessionID=[703, 701])

    assert numbers(tracker.sessions.frame()) == [701, 702, 703, 704, 705, 706]


@pytest.mark.parametrize("column", ["numPlanes", "experimentType", "suite2pDate", "sessionID"])
@pytest.mark.parametrize("descending", [False, True])
def test_order_by_puts_missing_values_last_and_agrees_with_python(sample, column, descending):
    present = [row for row in SAMPLE_SESSIONS if row[column] is not None]
    missing = [row for row in SAMPLE_SESSIONS if row[column] is None]
    ordered = sorted(present, key=lambda row: row[column], reverse=descending)

    frame = sample.sessions.frame(
        order_by=f"-{column}" if descending else column, include_scratched=True
    )

    assert numbers(frame) == [row["sessionID"] for row in [*ordered, *missing]]


def test_order_by_several_columns(sample):
    ordered = sorted(SAMPLE_SESSIONS, key=lambda row: row["sessionID"], reverse=True)
    ordered.sort(key=lambda row: (row["mouseName"], not row["imaging"]))

    frame = sample.sessions.frame(
        order_by=["mouseName", "-imaging", "-sessionID"], include_scratched=True
    )

    assert numbers(frame) == [row["sessionID"] for row in ordered]


def test_order_by_a_column_of_the_mouse(sample):
    frame = sample.sessions.frame(order_by="-mouse__mouseName", include_scratched=True)

    names = sorted((row["mouseName"] for row in SAMPLE_SESSIONS), reverse=True)
    assert list(frame["mouseName"]) == names


def test_limit_takes_the_first_rows(sample):
    first = [row["sessionID"] for row in SAMPLE_SESSIONS[:5]]

    assert numbers(sample.sessions.frame(limit=5, include_scratched=True)) == first
    assert numbers(sample.sessions.frame(limit=np.int64(5), include_scratched=True)) == first
    found = sample.sessions.iter(limit=5, include_scratched=True)
    assert [session.sessionID for session in found] == first


def test_limit_above_the_number_of_rows_gives_them_all(sample):
    assert len(sample.sessions.frame(limit=10_000, include_scratched=True)) == len(SAMPLE_SESSIONS)


# -- look-ups ----------------------------------------------------------------------------------


@pytest.mark.own_rule
@pytest.mark.parametrize(
    "spelling",
    [
        KEY,
        "ATL012/2023-01-20/701",
        "/data/Subjects/ATL012/2023-01-20/701/",
        "2023-01-20_701_ATL012",
        ("ATL012", "2023-01-20", "701"),
        ("ATL012", DAY, 701),
        ["ATL012", dt.datetime(2023, 1, 20, 15), np.int64(701)],
        ("ATL012", pd.Timestamp("2023-01-20"), 701.0),
        SessionKey("ATL012", DAY, 701),
        {"mouseName": "ATL012", "sessionDate": DAY, "sessionID": 701},
    ],
    ids=repr,
)
def test_session_is_looked_up_in_every_spelling(small, spelling):
    assert small.sessions.get(spelling).sessionID == 701
    assert small.sessions.find(spelling).sessionID == 701


def test_session_is_looked_up_by_the_row_of_a_frame(small):
    row = small.sessions.frame().iloc[1]

    assert small.sessions.get(row).sessionID == 702
    assert small.sessions.get(small.sessions.get(row)).sessionID == 702


def test_missing_session_is_not_found_and_the_nearest_is_named(small):
    with pytest.raises(NotFoundError) as missing:
        small.sessions.get("ATL012.2023-01-20.704")

    assert "ATL012.2023-01-20.703" in missing.value.nearest
    assert missing.value.key == SessionKey("ATL012", DAY, 704)
    assert small.sessions.find("ATL012.2023-01-20.704") is None


def test_missing_session_of_a_mistyped_mouse_names_the_nearest(small):
    with pytest.raises(NotFoundError) as missing:
        small.sessions.get("ATL0012.2023-01-20.701")

    assert missing.value.nearest[0] == KEY


@pytest.mark.own_rule
@pytest.mark.parametrize(
    "nonsense",
    [
        "ATL012",
        "ATL012.2023-01-20",
        "ATL012.2023-13-20.701",
        "ATL012.2023-01-20.seven",
        "' OR 1=1 --",
        "",
        701,
        None,
        ("ATL012", "2023-01-20"),
        ("ATL012", "2023-01-20", -1),
        ("ATL012", "2023-01-20", 2**31),
        ("ATL012", "2023-01-20", 1.5),
        ("ATL 012", "2023-01-20", 701),
        ("../..", "2023-01-20", 701),
        ("ATL012", None, 701),
        {"mouseName": "ATL012"},
    ],
    ids=repr,
)
def test_nonsense_is_no_key(small, nonsense):
    with pytest.raises(InvalidKeyError):
        small.sessions.get(nonsense)
    with pytest.raises(InvalidKeyError):
        small.sessions.find(nonsense)


def test_scratched_session_is_found_by_its_key(tracker):
    tracker.sessions.add(KEY, sessionQC=False, scratchJustification="Laser wasn't lasing")

    assert tracker.sessions.get(KEY).scratchJustification == "Laser wasn't lasing"
    assert tracker.sessions.count() == 0


def test_scratched_session_named_by_its_key_is_in_the_listing(tracker):
    tracker.sessions.add(KEY, sessionQC=False, scratchJustification="Laser wasn't lasing")

    assert len(tracker.sessions.frame(KEY)) == tracker.sessions.count(KEY) == 1
    assert [session.key for session in tracker.sessions.iter(KEY)] == [SessionKey.parse(KEY)]


# -- adding ------------------------------------------------------------------------------------


def test_every_column_of_an_added_session_comes_back(tracker):
    added = tracker.sessions.add(KEY, **FULL_ROW)

    for name, value in FULL_ROW.items():
        assert getattr(added, name) == value, name
        assert type(getattr(added, name)) is type(value), name
    assert (added.mouseName, added.sessionDate, added.sessionID) == ("ATL012", DAY, 701)
    assert type(added.sessionDate) is dt.date


def test_columns_not_given_get_their_defaults(tracker):
    added = tracker.sessions.add(mouseName="ATL012", sessionDate="2023-01-20", sessionID=701)

    assert added.sessionQC is True
    assert added.imaging is False
    assert added.vrRegistration is False
    assert added.numPlanes is None
    assert added.sessionNotes is None
    assert added.key == SessionKey("ATL012", DAY, 701)


def test_added_session_is_written_with_its_event(tracker):
    tracker.sessions.add(KEY, imaging=True, numPlanes=5)

    history = tracker.history(KEY)
    assert list(history["verb"]) == ["added"]
    assert history["changes"][0]["imaging"] == [None, True]
    assert history["changes"][0]["numPlanes"] == [None, 5]
    assert history["actor"][0] == "tester"


def test_scratched_session_needs_a_reason_and_only_it_has_one(small):
    with pytest.raises(InvalidValueError, match="scratchJustification"):
        small.sessions.add(NEW_KEY, sessionQC=False)
    with pytest.raises(InvalidValueError, match="sessionQC"):
        small.sessions.add(NEW_KEY, scratchJustification="no laser")

    assert small.sessions.find(NEW_KEY) is None


def as_frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows)
    frame["sessionDate"] = pd.to_datetime(frame["sessionDate"])
    return frame


@pytest.mark.own_rule
@pytest.mark.parametrize("form", [list, tuple, iter, as_frame, lambda rows: (r for r in rows)])
def test_many_are_added_from_any_container(tracker, form):
    rows = session_rows(3, numPlanes=5)
    rows[1]["numPlanes"] = None

    keys = tracker.sessions.add_many(form(rows))

    assert keys == [SessionKey("ATL012", DAY, number) for number in (701, 702, 703)]
    frame = tracker.sessions.frame()
    assert numbers(frame) == [701, 702, 703]
    assert frame["numPlanes"].isna().tolist() == [False, True, False]
    assert list(tracker.events()["verb"]).count("added") == 4


def test_rows_that_name_different_columns_are_added_together(tracker):
    rows = session_rows(2)
    rows[0]["imaging"] = True
    rows[1]["sessionNotes"] = "second"

    tracker.sessions.add_many(rows)

    assert tracker.sessions.frame()["imaging"].tolist() == [True, False]
    assert tracker.sessions.get(("ATL012", DAY, 702)).sessionNotes == "second"


@pytest.mark.own_rule
@pytest.mark.parametrize("nothing", [[], iter([]), pd.DataFrame(), pd.DataFrame({"imaging": []})])
def test_no_rows_are_added_from_an_empty_container(small, nothing):
    before = table_counts(small.url)

    assert small.sessions.add_many(nothing) == []
    assert table_counts(small.url) == before


def test_frame_of_sessions_can_be_added_to_another_database(labs):
    source, target = labs.new(sessions=3), labs.new()
    source.sessions.update(FULL_ROW, KEY)
    copied = source.sessions.frame(include_scratched=True)

    target.sessions.add_many(copied)

    pd.testing.assert_frame_equal(target.sessions.frame(include_scratched=True), copied)


def test_given_autonumbers_are_kept_and_the_next_is_higher(tracker):
    rows = session_rows(3)
    for row, number in zip(rows, (7, 3, 40), strict=True):
        row["uSessionID"] = number
    tracker.sessions.add_many(rows)

    added = tracker.sessions.add(("ATL012", DAY, 800))

    assert list(tracker.sessions.frame()["uSessionID"]) == [3, 7, 40, 41]
    assert added.uSessionID == 41


class Failing(list[Mapping[str, Any]]):
    def __iter__(self) -> Any:
        yield from session_rows(2, start=901)
        raise RuntimeError("the rig is gone")


def test_rows_that_end_in_an_error_of_the_caller_add_nothing(small):
    before = table_counts(small.url)

    with pytest.raises(RuntimeError, match="the rig is gone"):
        small.sessions.add_many(Failing())

    assert table_counts(small.url) == before


UNFIT_ROWS: list[tuple[dict[str, Any], type[VrtrackerError], str]] = [
    ({"mouseName": "ATL999"}, UnknownMouseError, "ATL999"),
    ({"uSessionID": 2**31}, InvalidValueError, "uSessionID"),
    ({"experimentType": "x" * 256}, InvalidValueError, "experimentType"),
    ({"sessionNotes": "nul\x00"}, InvalidValueError, "sessionNotes"),
    ({"sessionNotes": "half \udfff"}, InvalidValueError, "sessionNotes"),
    ({"headPlateRotation": 10**400}, InvalidValueError, "headPlateRotation"),
]
"""What each database would refuse, or take, in its own way."""
BAD_ROWS: list[tuple[dict[str, Any], type[VrtrackerError], str]] = [
    ({"imagin": True}, UnknownNameError, "imaging"),
    ({"mouse__KO": True}, UnknownNameError, "mouse__KO"),
    ({"mouseName": None}, InvalidValueError, "mouseName"),
    ({"mouseName": "../etc"}, InvalidValueError, "mouseName"),
    ({"mouseName": "a" * 256}, InvalidValueError, "mouseName"),
    ({"sessionDate": None}, InvalidValueError, "sessionDate"),
    ({"sessionDate": "31/01/2023"}, InvalidValueError, "sessionDate"),
    ({"sessionID": None}, InvalidValueError, "sessionID"),
    ({"sessionID": -1}, InvalidValueError, "sessionID"),
    ({"sessionID": 2**31}, InvalidValueError, "sessionID"),
    ({"sessionID": "70x"}, InvalidValueError, "sessionID"),
    ({"uSessionID": "x"}, InvalidValueError, "uSessionID"),
    ({"experimentType": "nul\x00"}, InvalidValueError, "experimentType"),
    ({"sessionNotes": ["a"]}, InvalidValueError, "sessionNotes"),
    ({"sessionNotes": np.array(["a", "b"])}, InvalidValueError, "sessionNotes"),
    ({"sessionNotes": True}, InvalidValueError, "sessionNotes"),
    ({"numPlanes": 2**31}, InvalidValueError, "numPlanes"),
    ({"numPlanes": -(2**31) - 1}, InvalidValueError, "numPlanes"),
    ({"numPlanes": 1.5}, InvalidValueError, "numPlanes"),
    ({"numPlanes": True}, InvalidValueError, "numPlanes"),
    ({"headPlateRotation": "steep"}, InvalidValueError, "headPlateRotation"),
    ({"headPlateRotation": float("-inf")}, InvalidValueError, "headPlateRotation"),
    ({"imaging": "perhaps"}, InvalidValueError, "imaging"),
    ({"imaging": 7}, InvalidValueError, "imaging"),
    ({"suite2pDate": "2023-01-20 25:00"}, InvalidValueError, "suite2pDate"),
    ({"suite2pDate": dt.datetime(2023, 1, 1, tzinfo=dt.UTC)}, InvalidValueError, "suite2pDate"),
]


@pytest.mark.own_rule
@pytest.mark.parametrize(("bad", "error", "said"), BAD_ROWS, ids=lambda value: repr(value)[:40])
def test_bad_row_is_refused_and_none_of_the_rows_is_written(small, bad, error, said):
    refuses_all_of(small, bad, error, said)


@pytest.mark.parametrize(("bad", "error", "said"), UNFIT_ROWS, ids=lambda value: repr(value)[:40])
def test_row_that_a_database_would_not_hold_is_refused_before_it_is_asked(small, bad, error, said):
    refuses_all_of(small, bad, error, said)


def refuses_all_of(small, bad, error, said) -> None:
    before = table_counts(small.url)
    rows = session_rows(3, start=901)
    rows[2] |= bad

    with pytest.raises(error, match=said):
        small.sessions.add_many(rows)
    with pytest.raises(error, match=said):
        small.sessions.add(**rows[2])

    assert table_counts(small.url) == before


def test_message_names_the_row_that_is_wrong(small):
    rows = session_rows(3, start=901)
    rows[1]["numPlanes"] = "five"

    with pytest.raises(InvalidValueError, match="Row 2") as refused:
        small.sessions.add_many(rows)

    assert refused.value.column == "numPlanes"


@pytest.mark.own_rule
@pytest.mark.parametrize("rows", [[("ATL012", DAY, 701)], ["ATL012"], {"mouseName": "ATL012"}, [7]])
def test_rows_that_are_no_mappings_are_refused(small, rows):
    before = table_counts(small.url)

    with pytest.raises(InvalidValueError):
        small.sessions.add_many(rows)

    assert table_counts(small.url) == before


def test_autonumbers_are_given_for_all_rows_or_none(small):
    before = table_counts(small.url)
    rows = session_rows(2, start=901)
    rows[0]["uSessionID"] = 99

    with pytest.raises(InvalidValueError, match="uSessionID"):
        small.sessions.add_many(rows)

    assert table_counts(small.url) == before


def test_unknown_mouse_names_the_nearest_and_the_command(small):
    with pytest.raises(UnknownMouseError, match="vrtracker mice add ATL021") as refused:
        small.sessions.add("ATL021.2023-01-20.701")

    assert refused.value.nearest == ("ATL012",)


def test_duplicate_session_is_refused(small):
    before = table_counts(small.url)

    with pytest.raises(DuplicateError) as refused:
        small.sessions.add(KEY)

    assert refused.value.key == SessionKey.parse(KEY)
    assert table_counts(small.url) == before


def test_duplicate_of_a_scratched_session_is_refused_and_said_to_be_scratched(tracker):
    tracker.sessions.add(KEY, sessionQC=False, scratchJustification="no laser")

    with pytest.raises(DuplicateError, match="no laser") as refused:
        tracker.sessions.add(KEY)

    assert "scratched" in refused.value.note
    assert tracker.sessions.count(include_scratched=True) == 1


def test_session_given_twice_is_refused(small):
    before = table_counts(small.url)
    rows = session_rows(3, start=901)

    with pytest.raises(DuplicateError, match="twice") as refused:
        small.sessions.add_many([*rows, rows[1]])

    assert refused.value.key == SessionKey("ATL012", DAY, 902)
    assert table_counts(small.url) == before


def test_autonumber_that_is_taken_is_refused(small):
    before = table_counts(small.url)
    taken = small.sessions.get(KEY).uSessionID

    with pytest.raises(DuplicateError, match=str(taken)):
        small.sessions.add(NEW_KEY, uSessionID=taken)

    assert table_counts(small.url) == before


# -- editing -----------------------------------------------------------------------------------


def test_update_reports_rows_and_writes_an_event_for_each(labs):
    tracker = labs.new(sessions=4)

    done = tracker.sessions.update(
        {"imaging": True, "numPlanes": 5}, sessionID=(702, ">="), reason="checked the log book"
    )

    assert (done.matched, done.rows, done.dry_run) == (3, 3, False)
    assert done.changes["ATL012.2023-01-20.702"] == {
        "imaging": [False, True],
        "numPlanes": [None, 5],
    }
    assert tracker.sessions.frame(imaging=True, numPlanes=5)["sessionID"].tolist() == [
        702,
        703,
        704,
    ]
    assert events_of(tracker) == ["added"]
    history = tracker.history("ATL012.2023-01-20.703")
    assert list(history["verb"]) == ["added", "edited"]
    assert history["changes"][1] == {"imaging": [False, True], "numPlanes": [None, 5]}
    assert history["reason"][1] == "checked the log book"


def test_row_that_holds_the_values_already_is_left_alone(labs):
    tracker = labs.new(sessions=3)
    tracker.sessions.update({"numPlanes": 5}, sessionID=702)

    done = tracker.sessions.update({"numPlanes": 5}, all_rows=True)

    assert (done.matched, done.rows) == (3, 2)
    assert events_of(tracker, "ATL012.2023-01-20.702") == ["added", "edited"]
    again = tracker.sessions.update({"numPlanes": 5}, all_rows=True)
    assert (again.matched, again.rows, dict(again.changes)) == (3, 0, {})


def test_dry_run_reports_the_same_and_writes_nothing(labs):
    tracker = labs.new(sessions=4)
    before = table_counts(tracker.url), tracker.sessions.frame()

    tried = tracker.sessions.update({"imaging": True}, sessionID=[701, 703], dry_run=True)

    assert (tried.matched, tried.rows, tried.dry_run) == (2, 2, True)
    assert table_counts(tracker.url) == before[0]
    pd.testing.assert_frame_equal(tracker.sessions.frame(), before[1])
    done = tracker.sessions.update({"imaging": True}, sessionID=[701, 703])
    assert dict(done.changes) == dict(tried.changes)


def test_update_of_what_somebody_else_edited_meanwhile_shows_both_versions(labs):
    tracker = labs.new(sessions=2)
    tracker.sessions.update({"numPlanes": 5}, all_rows=True)
    wanted = {"numPlanes": 6, "sessionNotes": "mine"}
    seen = tracker.sessions.update(wanted, KEY, dry_run=True)
    labs.open(tracker.url, actor="bob").sessions.update({"numPlanes": 4}, KEY)
    before = table_counts(tracker.url)

    with pytest.raises(EditConflictError, match="was 5, is 4 now, was to be 6") as caught:
        tracker.sessions.update(wanted, KEY, seen=seen)

    assert caught.value.conflicts == {KEY: {"numPlanes": (5, 4, 6)}}
    assert table_counts(tracker.url) == before
    again = tracker.sessions.update(wanted, KEY, dry_run=True)
    assert tracker.sessions.update(wanted, KEY, seen=again).rows == 1


def test_update_of_what_somebody_else_deleted_meanwhile_is_a_conflict(labs):
    tracker = labs.new(sessions=2)
    seen = tracker.sessions.update({"numPlanes": 6}, all_rows=True, dry_run=True)
    tracker.sessions.delete(KEY)

    with pytest.raises(EditConflictError) as caught:
        tracker.sessions.update({"numPlanes": 6}, all_rows=True, seen=seen)

    assert caught.value.conflicts == {KEY: {"numPlanes": (None, None, 6)}}
    assert tracker.sessions.get("ATL012.2023-01-20.702").numPlanes is None


def test_edit_of_another_column_meanwhile_is_no_conflict(labs):
    tracker = labs.new(sessions=1)
    seen = tracker.sessions.update({"numPlanes": 6}, KEY, dry_run=True)
    tracker.sessions.update({"sessionNotes": "seen"}, KEY)

    tracker.sessions.update({"numPlanes": 6}, KEY, seen=seen)

    row = tracker.sessions.get(KEY)
    assert (row.numPlanes, row.sessionNotes) == (6, "seen")


def test_update_reaches_scratched_sessions(tracker):
    tracker.sessions.add(KEY, sessionQC=False, scratchJustification="no laser")

    done = tracker.sessions.update({"sessionNotes": "really none"}, mouseName="ATL012")

    assert done.rows == 1
    assert tracker.sessions.get(KEY).sessionNotes == "really none"


def test_scratched_session_can_be_brought_back(tracker):
    tracker.sessions.add(KEY, sessionQC=False, scratchJustification="no laser")

    tracker.sessions.update({"sessionQC": True, "scratchJustification": None}, KEY)

    assert tracker.sessions.count() == 1


def test_update_empties_a_column(labs):
    tracker = labs.new(sessions=1)
    tracker.sessions.update({"numPlanes": 5, "sessionNotes": "x", "suite2pDate": "2023-01-20"}, KEY)

    tracker.sessions.update({"numPlanes": None, "sessionNotes": "", "suite2pDate": pd.NaT}, KEY)

    found = tracker.sessions.get(KEY)
    assert (found.numPlanes, found.sessionNotes, found.suite2pDate) == (None, None, None)


def test_update_by_a_column_of_the_mouse(labs):
    tracker = labs.new(mice=2, sessions=2)
    tracker.sessions.add("ATL013.2023-01-20.1")
    tracker.mice.update({"KO": True}, "ATL013")

    done = tracker.sessions.update({"dontTrack": True}, mouse__KO=True)

    assert done.rows == 1
    assert tracker.sessions.get("ATL013.2023-01-20.1").dontTrack is True


def test_key_can_be_changed_and_the_history_follows(labs):
    tracker = labs.new(mice=2, sessions=1)

    tracker.sessions.update({"mouseName": "ATL013", "sessionDate": "2023-01-21"}, KEY)

    assert tracker.sessions.find(KEY) is None
    assert tracker.sessions.get("ATL013.2023-01-21.701").mouseName == "ATL013"
    assert events_of(tracker, "ATL013.2023-01-21.701") == ["added", "edited", "rekeyed"]


@pytest.mark.parametrize(
    "values",
    [
        {"sessionID": 702},
        {"sessionID": 702, "mouseName": "ATL012"},
        {"sessionID": 702, "mouseName": "ATL012", "sessionDate": DAY},
        {"sessionID": 702, "imaging": True},
    ],
    ids=repr,
)
def test_key_that_is_taken_is_refused(small, values):
    before = table_counts(small.url)

    with pytest.raises(DuplicateError) as refused:
        small.sessions.update(values, KEY)

    assert refused.value.key == SessionKey("ATL012", DAY, 702)
    assert table_counts(small.url) == before
    assert small.sessions.get(KEY).imaging is False


def test_update_to_an_unknown_mouse_is_refused(small):
    with pytest.raises(UnknownMouseError) as refused:
        small.sessions.update({"mouseName": "ATL013"}, KEY)

    assert refused.value.nearest == ("ATL012",)
    assert events_of(small) == ["added"]


def test_key_is_changed_for_one_session_at_a_time(small):
    with pytest.raises(InvalidValueError, match="key"):
        small.sessions.update({"sessionDate": "2023-01-21"}, mouseName="ATL012")


@pytest.mark.own_rule
@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"imagin": True}, UnknownNameError),
        ({"mouse__KO": True}, UnknownNameError),
        ({"numPlanes": "five"}, InvalidValueError),
        ({"experimentType": "x" * 256}, InvalidValueError),
        ({"imaging": None}, InvalidValueError),
        ({"sessionDate": None}, InvalidValueError),
        ({"uSessionID": 7}, InvalidValueError),
        ({"sessionQC": False}, InvalidValueError),
        ({"scratchJustification": "no laser"}, InvalidValueError),
        ({"sessionQC": True, "scratchJustification": "no laser"}, InvalidValueError),
        ({"sessionQC": False, "scratchJustification": None}, InvalidValueError),
    ],
    ids=repr,
)
def test_bad_value_is_refused_and_nothing_is_written(small, values, error):
    before = table_counts(small.url), small.sessions.frame()

    with pytest.raises(error):
        small.sessions.update({"sessionNotes": "good", **values}, KEY)

    assert table_counts(small.url) == before[0]
    pd.testing.assert_frame_equal(small.sessions.frame(), before[1])


def test_reason_that_no_database_keeps_is_refused(small):
    before = table_counts(small.url)

    for reason in ("nul\x00", "half \ud800"):
        with pytest.raises(InvalidValueError):
            small.sessions.update({"imaging": True}, KEY, reason=reason)
        with pytest.raises(InvalidValueError):
            small.sessions.delete(KEY, reason=reason)

    assert table_counts(small.url) == before


def test_update_without_a_filter_is_refused_unless_meant(labs):
    tracker = labs.new(sessions=2)

    with pytest.raises(InvalidValueError, match="all_rows"):
        tracker.sessions.update({"imaging": True})

    assert tracker.sessions.count(imaging=True) == 0
    assert tracker.sessions.update({"imaging": True}, all_rows=True).rows == 2


def test_update_that_matches_nothing_says_so(small):
    done = small.sessions.update({"imaging": True}, sessionID=999)

    assert (done.matched, done.rows) == (0, 0)
    assert "0 of 0" in str(done)


# -- deleting ----------------------------------------------------------------------------------


def test_deleted_session_is_gone_and_its_event_keeps_the_values(tracker):
    tracker.sessions.add(KEY, **FULL_ROW)

    tracker.sessions.delete(KEY, reason="entered by mistake")

    assert tracker.sessions.find(KEY) is None
    history = tracker.history(KEY)
    assert list(history["verb"]) == ["added", "deleted"]
    assert history["reason"][1] == "entered by mistake"
    old = {name: change[0] for name, change in history["changes"][1].items()}
    for name, value in FULL_ROW.items():
        assert old[name] == (str(value) if isinstance(value, dt.date) else value), name


def test_missing_session_cannot_be_deleted(small):
    with pytest.raises(NotFoundError):
        small.sessions.delete("ATL012.2023-01-20.999")


def test_forced_deletion_needs_a_reason_and_takes_the_history_along(labs):
    tracker = labs.new(sessions=1)
    tracker.sessions.update({"imaging": True, "suite2p": True}, KEY)
    tracker.workflow.set_qc(KEY, "suite2p_qc", "PASS", reason="fine")
    for reason in (None, "", "  "):
        with pytest.raises(InvalidValueError, match="reason"):
            tracker.sessions.delete(KEY, force=True, reason=reason)
    assert tracker.sessions.count() == 1

    tracker.sessions.delete(KEY, force=True, reason="wrong animal")

    assert tracker.sessions.count(include_scratched=True) == 0
    assert table_counts(tracker.url)["vrt_qc_decision"] == 0
    assert tracker.history(KEY).iloc[-1]["reason"] == "wrong animal"


def test_key_of_a_deleted_session_can_be_used_again(labs):
    tracker = labs.new(sessions=1)
    tracker.sessions.delete(KEY)

    tracker.sessions.add(KEY, imaging=True)

    assert tracker.sessions.get(KEY).imaging is True
    assert events_of(tracker) == ["added", "deleted", "added"]
