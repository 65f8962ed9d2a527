"""What is going on, in a few statements: stages by mouse, claims, pace, time left, errors."""

from __future__ import annotations

import pytest

from support.registrars import good
from vrtracker.services.workflow.activity import ERRORS

KEYS = [f"M1.2023-01-20.{number}" for number in range(1, 6)]


@pytest.fixture
def busy(lab):
    """Three of five sessions took ten minutes each; the third one failed."""

    def take_ten_minutes(job):
        lab.clock.advance(minutes=10)
        if job.key.number == 3:
            raise ValueError("no flips")
        good(job)

    for key in KEYS:
        lab.add(key)
    lab.add("M2.2023-01-21.1", folder=False)
    lab.tracker.workflow.run("registration", registrar=take_ten_minutes, max_sessions=3)
    return lab


def of(frame, stage: str) -> dict:
    return frame.set_index("stage").loc[stage].to_dict()


def test_activity_says_what_is_done_how_fast_and_until_when(busy):
    activity = busy.tracker.workflow.activity()

    stage = of(activity.stages, "registration")
    assert (stage["done"], stage["failed"], stage["ready"], stage["running"]) == (2, 1, 3, 0)
    assert (stage["succeeded_lately"], stage["failed_lately"], stage["an_hour"]) == (2, 1, 6)
    assert stage["left_s"] == 30 * 60
    written = sum(len(key) for key in KEYS[:2])
    assert (stage["bytes_an_hour"], stage["bytes_left"]) == (2 * written, written / 2 * 3)
    assert of(activity.stages, "suite2p")["an_hour"] != of(activity.stages, "suite2p")["an_hour"]
    mice = activity.mice[activity.mice["stage"] == "registration"].set_index("mouseName")
    assert mice["ready"].to_dict() == {"M1": 2, "M2": 1}
    assert activity.errors["key"].tolist() == [KEYS[2]]
    assert activity.errors["error_message"].tolist() == ["no flips"]
    assert activity.claims.empty
    assert "2" in str(activity)


def test_running_claims_have_their_age_and_filters_count_less(busy):
    seen = []

    def look(job):
        busy.clock.advance(seconds=90)
        seen.append(busy.another().workflow.activity(mouseName="M2"))

    busy.tracker.workflow.run("registration", KEYS[3], registrar=look)

    (activity,) = seen
    assert activity.claims[["key", "age_s"]].to_numpy().tolist() == [[KEYS[3], 90.0]]
    stage = of(activity.stages, "registration")
    assert (stage["ready"], stage["running"], stage["succeeded_lately"]) == (1, 0, 0)
    assert activity.errors.empty
    assert (
        activity.claims.dtypes.to_dict() == busy.tracker.workflow.activity().claims.dtypes.to_dict()
    )


def test_what_ended_long_ago_counts_for_nothing(busy):
    busy.clock.advance(hours=2)

    stage = of(busy.tracker.workflow.activity().stages, "registration")

    assert (stage["done"], stage["succeeded_lately"]) == (2, 0)
    assert stage["left_s"] != stage["left_s"]


def test_looking_takes_as_many_statements_for_many_mice(busy, statement_counter):
    def look() -> int:
        with statement_counter() as seen:
            activity = busy.tracker.workflow.activity()
        assert len(activity.errors) <= ERRORS
        return seen.count

    look()
    few = look()
    for number in range(20):
        busy.tracker.mice.add(f"N{number}")
        busy.tracker.sessions.add(f"N{number}.2023-01-20.1")
    busy.tracker.workflow.run("registration", registrar=good)

    assert look() == few <= 4
