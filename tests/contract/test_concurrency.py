"""Several at once: one wins, the others are told, nothing is lost."""

from __future__ import annotations

import functools
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from support.processes import at_once, spawned_at_once
from support.sample_lab import DAY, KEY, add_sessions, numbers, session_rows, table_counts
from vrtracker.errors import DuplicateError, NotFoundError, UnknownMouseError, VrtrackerError

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


def together(*works: Callable[[], Any]) -> list[Any]:
    """Do works at the same moment in threads; return what each returned or raised."""
    start = threading.Barrier(len(works))

    def run(work: Callable[[], Any]) -> Any:
        start.wait()
        try:
            return work()
        except VrtrackerError as error:
            return error

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(run, works))


def test_one_of_many_adds_a_key_and_the_others_are_told(tracker):
    for number in range(701, 706):
        outcomes = together(*[lambda: tracker.sessions.add(("ATL012", DAY, number))] * 4)  # noqa: B023

        won = [outcome for outcome in outcomes if not isinstance(outcome, Exception)]
        lost = [outcome for outcome in outcomes if isinstance(outcome, DuplicateError)]
        assert (len(won), len(lost)) == (1, 3), outcomes
        assert lost[0].key == won[0].key

    assert tracker.sessions.count() == 5
    assert table_counts(tracker.url)["vrt_event"] == 6


def test_one_of_two_trackers_adds_a_mouse(labs):
    first = labs.new()
    second = labs.open(first.url)

    outcomes = together(lambda: first.mice.add("B1"), lambda: second.mice.add("B1"))

    assert sorted(isinstance(outcome, DuplicateError) for outcome in outcomes) == [False, True]
    assert first.mice.count() == 2


def test_bulk_additions_that_overlap_are_added_whole_or_not_at_all(tracker):
    outcomes = together(
        lambda: tracker.sessions.add_many(session_rows(60)),
        lambda: tracker.sessions.add_many(session_rows(60, start=731)),
    )

    assert sorted(isinstance(outcome, DuplicateError) for outcome in outcomes) == [False, True]
    assert tracker.sessions.count() == 60
    assert table_counts(tracker.url)["vrt_event"] == 61


def test_additions_of_different_sessions_all_succeed(tracker):
    works = [
        lambda number=number: tracker.sessions.add(("ATL012", DAY, number))
        for number in range(701, 725)
    ]

    outcomes = together(*works)

    assert not [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    frame = tracker.sessions.frame()
    assert sorted(numbers(frame)) == list(range(701, 725))
    assert frame["uSessionID"].is_unique


def test_updates_of_one_session_follow_each_other_and_none_is_lost(labs):
    tracker = labs.new(sessions=1)
    tracker.sessions.update({"numPlanes": 0}, KEY)
    works = [
        lambda number=number: tracker.sessions.update({"numPlanes": number}, KEY)
        for number in range(1, 13)
    ]

    outcomes = together(*works)

    assert [outcome.rows for outcome in outcomes] == [1] * 12
    steps = [changes["numPlanes"] for changes in tracker.history(KEY)["changes"][1:]]
    # Each edit starts from what the one before it wrote: the history is one unbroken chain.
    assert [new for _, new in steps[:-1]] == [old for old, _ in steps[1:]]
    assert tracker.sessions.get(KEY).numPlanes == steps[-1][1]


def test_updates_of_different_columns_both_last(labs):
    tracker = labs.new(sessions=20)

    together(
        lambda: tracker.sessions.update({"imaging": True}, all_rows=True),
        lambda: tracker.sessions.update({"sessionNotes": "seen"}, all_rows=True),
    )

    assert tracker.sessions.count(imaging=True, sessionNotes="seen") == 20
    assert table_counts(tracker.url)["vrt_event"] == 1 + 20 + 40


def test_update_of_a_session_that_is_deleted_meanwhile_leaves_no_trace_or_comes_first(labs):
    tracker = labs.new(sessions=5)

    for number in range(701, 706):
        key = ("ATL012", DAY, number)
        together(
            lambda: tracker.sessions.update({"imaging": True}, key),  # noqa: B023
            lambda: tracker.sessions.delete(key),  # noqa: B023
        )
        verbs = list(tracker.history(key)["verb"])
        assert verbs in (["added", "edited", "deleted"], ["added", "deleted"]), verbs
        assert tracker.sessions.find(key) is None


def test_session_and_the_deletion_of_its_mouse_exclude_each_other(tracker):
    for number in range(6):
        name = f"B{number}"
        tracker.mice.add(name)
        added, deleted = together(
            lambda: tracker.sessions.add((name, DAY, 1)),  # noqa: B023
            lambda: tracker.mice.delete(name),  # noqa: B023
        )
        if tracker.mice.find(name) is None:
            assert isinstance(added, UnknownMouseError)
            assert tracker.sessions.find((name, DAY, 1)) is None
        else:
            assert isinstance(deleted, VrtrackerError)
            assert tracker.sessions.get((name, DAY, 1)).mouseName == name


def test_deletion_by_two_succeeds_once(labs):
    tracker = labs.new(sessions=5)

    for number in range(701, 706):
        key = ("ATL012", DAY, number)
        outcomes = together(*[lambda: tracker.sessions.delete(key)] * 2)  # noqa: B023
        assert Counter(type(outcome) for outcome in outcomes) == {type(None): 1, NotFoundError: 1}
        assert list(tracker.history(key)["verb"]) == ["added", "deleted"]


def test_readers_see_all_rows_of_an_addition_or_none(labs):
    writer = labs.new()
    reader = labs.open(writer.url, readonly=True)
    seen: list[int] = []
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            seen.append(len(reader.sessions.frame()))

    watcher = threading.Thread(target=watch)
    watcher.start()
    for start in range(0, 300, 100):
        writer.sessions.add_many(session_rows(100, start=1_000 + start))
    done.set()
    watcher.join()

    assert set(seen) <= {0, 100, 200, 300}
    assert seen == sorted(seen)


def test_processes_add_to_one_database_at_once(labs, backend):
    tracker = labs.new()
    tracker.close()
    start = at_once if backend.survives_fork else spawned_at_once
    works = [
        functools.partial(add_sessions, tracker.url, list(range(first, first + 8)))
        for first in (100, 200, 300)
    ]

    assert start(*works) == [0, 0, 0]
    assert tracker.sessions.count() == 24
    assert table_counts(tracker.url)["vrt_event"] == 25
