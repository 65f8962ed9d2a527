"""Sessions that are parts of one recording are linked; nothing of theirs is overwritten."""

from __future__ import annotations

import pytest

from support.lab import DAY, session_rows, table_counts
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
