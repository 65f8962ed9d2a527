"""Sessions that are parts of one recording are linked; nothing of theirs is overwritten."""

from __future__ import annotations

import pytest

from support.sample_lab import DAY, session_rows, table_counts
from vrtracker.errors import DuplicateError, InvalidValueError, NotFoundError

ONE, TWO, THREE, FOUR = (f"ATL012.2023-01-20.{number}" for number in (701, 702, 703, 704))
LINE = f"One recording: {ONE}, {TWO}."


@pytest.fixture
def tracker(labs):
    made = labs.new(mice=2)
    made.sessions.add_many(session_rows(4, sessionNotes="ran well", numPlanes=5, suite2p=True))
    made.sessions.add(("ATL012", "2023-01-21", 701))
    made.sessions.add(("ATL013", DAY, 701))
    return made


def parts(tracker, key: str) -> list[str]:
    return [str(part) for part in tracker.recordings.parts(key)]


def test_session_is_its_own_recording(tracker):
    assert parts(tracker, ONE) == [ONE]
    with pytest.raises(NotFoundError):
        tracker.recordings.parts("ATL012.2023-01-20.799")


def test_merged_sessions_are_linked_and_keep_what_they_hold(tracker):
    before = tracker.sessions.frame()

    merged = tracker.recordings.merge(ONE, TWO, reason="crashed")

    assert [str(key) for key in merged] == parts(tracker, ONE) == parts(tracker, TWO) == [ONE, TWO]
    after = tracker.sessions.frame()
    assert after.drop(columns="sessionNotes").equals(before.drop(columns="sessionNotes"))
    assert list(after["sessionNotes"])[:3] == [f"ran well\n{LINE}"] * 2 + ["ran well"]
    for key in (ONE, TWO):
        last = tracker.history(key).iloc[-1]
        assert (last["verb"], last["reason"]) == ("linked", "crashed")


def test_recording_grows_from_any_part(tracker):
    tracker.recordings.merge(ONE, TWO)

    tracker.recordings.merge(TWO, THREE)

    assert parts(tracker, ONE) == [ONE, TWO, THREE]
    assert tracker.sessions.get(ONE).sessionNotes.count("One recording") == 1


def test_link_survives_a_new_key_and_a_deleted_part(tracker):
    tracker.recordings.merge(ONE, TWO, THREE)
    tracker.sessions.update({"sessionID": 711}, TWO)
    assert parts(tracker, ONE) == [ONE, "ATL012.2023-01-20.711", THREE]

    tracker.sessions.delete(THREE)
    assert parts(tracker, ONE) == [ONE, "ATL012.2023-01-20.711"]


def test_split_adds_a_session_described_like_the_first(tracker):
    tracker.sessions.update({"sessionNotes": None}, ONE)

    tracker.recordings.split(ONE, 705)

    new = tracker.sessions.get("ATL012.2023-01-20.705")
    assert (new.numPlanes, new.suite2p) == (5, False)
    assert parts(tracker, "ATL012.2023-01-20.705") == [ONE, "ATL012.2023-01-20.705"]


def test_separated_part_is_as_it_was(tracker):
    before = tracker.sessions.frame()
    tracker.recordings.merge(ONE, TWO, THREE)

    assert [str(key) for key in tracker.recordings.separate(TWO)] == [ONE, THREE]
    assert parts(tracker, TWO) == [TWO]
    assert parts(tracker, THREE) == [ONE, THREE]

    tracker.recordings.separate(THREE)
    assert tracker.sessions.frame().equals(before)
    assert parts(tracker, ONE) == [ONE]


@pytest.mark.own_rule
@pytest.mark.parametrize(
    ("others", "message"),
    [
        ([], "Name the parts"),
        ([ONE], "already"),
        ([TWO, TWO], "already"),
        (["ATL012.2023-01-21.701"], "one mouse and day"),
        (["ATL013.2023-01-20.701"], "one mouse and day"),
        ([FOUR], "another recording"),
    ],
)
def test_what_is_no_recording_is_refused(tracker, others, message):
    tracker.recordings.merge(THREE, FOUR)
    before = table_counts(tracker.url)

    with pytest.raises(InvalidValueError, match=message):
        tracker.recordings.merge(ONE, *others)

    assert table_counts(tracker.url) == before
    assert parts(tracker, ONE) == [ONE]


def test_unknown_part_and_taken_number_are_refused(tracker):
    before = table_counts(tracker.url)

    with pytest.raises(NotFoundError):
        tracker.recordings.merge(ONE, "ATL012.2023-01-20.799")
    with pytest.raises(DuplicateError):
        tracker.recordings.split(ONE, 705, 702)
    with pytest.raises(InvalidValueError, match="no part"):
        tracker.recordings.separate(ONE)

    assert table_counts(tracker.url) == before


def notes(tracker) -> dict[str, str | None]:
    return {str(one.key): one.sessionNotes for one in tracker.sessions.iter(mouseName="ATL012")}


def test_notes_name_the_parts_that_are_left_after_one_was_deleted(tracker):
    tracker.recordings.merge(ONE, TWO, THREE)

    tracker.sessions.delete(TWO)

    after = notes(tracker)
    assert after[ONE] == after[THREE] == f"ran well\nOne recording: {ONE}, {THREE}."
    last = tracker.history(ONE).iloc[-1]
    assert (last["verb"], list(last["changes"])) == ("edited", ["sessionNotes"])


def test_notes_of_the_last_part_name_none(tracker):
    tracker.recordings.merge(ONE, TWO)

    tracker.sessions.delete(TWO, force=True, reason="empty")

    assert notes(tracker)[ONE] == "ran well"


def test_notes_name_a_part_by_its_new_number(tracker):
    tracker.recordings.merge(ONE, TWO)

    tracker.sessions.update({"sessionID": 711, "sessionNotes": "new"}, TWO)

    after, new = notes(tracker), "ATL012.2023-01-20.711"
    assert after[ONE] == f"ran well\nOne recording: {ONE}, {new}."
    assert after[new] == f"new\nOne recording: {ONE}, {new}."


def test_separated_parts_keep_no_line_after_others_were_renumbered_and_deleted(tracker):
    before = notes(tracker)
    tracker.recordings.merge(ONE, TWO, THREE)
    tracker.sessions.delete(THREE)
    tracker.sessions.update({"sessionID": 711}, TWO)

    tracker.recordings.separate("ATL012.2023-01-20.711")

    after = notes(tracker)
    assert after[ONE] == before[ONE]
    assert after["ATL012.2023-01-20.711"] == before[TWO]


def test_line_of_numbers_that_are_no_longer_in_use_goes_with_the_link(tracker):
    stale = f"One recording: {ONE}, {TWO}, ATL012.2023-01-20.799."
    tracker.recordings.merge(ONE, TWO)
    tracker.sessions.update({"sessionNotes": f"ran well\n{stale}\nOne recording: see page 3."}, ONE)

    tracker.recordings.separate(TWO)

    assert notes(tracker)[ONE] == "ran well\nOne recording: see page 3."


@pytest.mark.parametrize("moved", [{"sessionDate": "2023-01-25"}, {"mouseName": "ATL013"}])
@pytest.mark.parametrize("dry_run", [False, True])
def test_part_of_a_recording_keeps_its_mouse_and_day(tracker, moved, dry_run):
    tracker.recordings.merge(TWO, THREE)
    before = table_counts(tracker.url)

    with pytest.raises(InvalidValueError, match=f"merge --undo {THREE}"):
        tracker.sessions.update(moved, THREE, dry_run=dry_run)

    assert table_counts(tracker.url) == before
    assert parts(tracker, TWO) == [TWO, THREE]
    tracker.recordings.separate(THREE)
    assert tracker.sessions.update(moved, THREE, dry_run=dry_run).rows == 1
