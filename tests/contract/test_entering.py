"""Sessions are entered like earlier ones, from presets, several at once; odd words are told."""

from __future__ import annotations

import dataclasses
import datetime as dt

import pytest

from support.sample_lab import table_counts
from vrtracker.errors import (
    ConfigurationError,
    DuplicateError,
    InvalidValueError,
    NotFoundError,
    UnknownMouseError,
    UnknownNameError,
)
from vrtracker.tracker import Tracker

OLD, LAST, LATER = "ATL012.2023-01-20.702", "ATL012.2023-01-20.703", "ATL012.2023-01-21.701"
LATEST = "ATL012.2023-01-22.701"
DONE = {
    "suite2p": True,
    "vrRegistration": True,
    "sessionNotes": "ran well",
    "suite2pDate": dt.datetime(2023, 1, 21),
}


@pytest.fixture
def tracker(labs):
    made = labs.new(mice=2)
    made.sessions.add(LAST, experimentType="Blender VR", numPlanes=5, headPlateRotation=8.5, **DONE)
    made.sessions.add(OLD, experimentType="Gratings VR", imaging=True)
    return made


def with_preset(tracker, **values):
    lab = dataclasses.replace(tracker._lab, presets={"rig": values})
    return Tracker(lab)


@pytest.mark.parametrize(
    ("like", "kind", "imaging"), [("LAST", "Blender VR", False), (OLD, "Gratings VR", True)]
)
def test_description_is_taken_over_and_not_what_became_of_it(tracker, like, kind, imaging):
    tracker.enter(LATER, like=like).apply()

    new = tracker.sessions.get(LATER)
    assert (new.experimentType, new.imaging) == (kind, imaging)
    assert (new.suite2p, new.vrRegistration, new.sessionNotes, new.suite2pDate) == (
        False,
        False,
        None,
        None,
    )


def test_last_session_is_not_a_scratched_one(tracker):
    tracker.workflow.scratch(LAST, "laser off")

    assert tracker.enter(LATER, like="LAST").rows[0]["experimentType"] == "Gratings VR"


def test_last_of_a_mouse_without_sessions_is_not_found(tracker):
    with pytest.raises(NotFoundError, match="ATL013"):
        tracker.enter("ATL013.2023-01-21.701", like="LAST")


def test_explicit_values_come_before_the_preset_and_the_preset_before_the_model(tracker):
    lab = with_preset(tracker, numPlanes=3, planeSeparation=25)

    (row,) = lab.enter(LATER, {"planeSeparation": "30"}, like="LAST", preset="rig").rows

    assert (row["experimentType"], row["numPlanes"], row["planeSeparation"]) == (
        "Blender VR",
        3,
        "30",
    )


def test_several_sessions_are_entered_all_or_none(tracker):
    days = [("ATL012", f"2023-02-0{day}", 701) for day in (1, 2, 3)]

    assert len(tracker.enter(days, like="LAST").apply()) == 3
    before = table_counts(tracker.url)
    with pytest.raises(Exception, match="already"):
        tracker.enter([("ATL012", "2023-02-04", 701), *days]).apply()
    assert table_counts(tracker.url) == before


def test_plan_writes_nothing(tracker):
    before = table_counts(tracker.url)

    plan = tracker.enter(LATER, like="LAST")

    assert plan.frame()["numPlanes"].tolist() == [5]
    assert table_counts(tracker.url) == before


def test_new_word_is_told_with_the_nearest_ones(tracker):
    plan = tracker.enter(LATER, {"experimentType": "blender VR"})

    (warning,) = plan.warnings
    assert "'blender VR'" in warning
    assert "Did you mean 'Blender VR'" in warning
    plan.apply()
    assert tracker.enter(LATEST, {"experimentType": "blender VR"}).warnings == ()


def test_word_of_a_preset_is_known(tracker):
    lab = with_preset(tracker, experimentType="Treadmill")

    assert lab.enter(LATER, preset="rig").warnings == ()


def test_first_word_of_a_lab_is_not_odd(tracker):
    assert tracker.enter(LATER, {"vrEnvironments": 12}).warnings == ()


def test_future_date_is_told(tracker):
    (warning,) = tracker.enter("ATL012.2999-01-01.701").warnings

    assert "in the future" in warning


@pytest.mark.parametrize(
    ("key", "values"), [(LATER, {"experimentType": "Blendr"}), ("ATL012.2999-01-01.701", {})]
)
def test_strict_refuses_what_is_odd(tracker, key, values):
    with pytest.raises(InvalidValueError, match="Nothing was entered"):
        tracker.enter(key, values, strict=True)


def test_preset_that_is_not_used_may_be_wrong(tracker):
    lab = with_preset(tracker, experimentID="seven", behavior=1)
    tracker.sessions.update({"experimentID": 7}, OLD)

    assert "77" in lab.enter(LATER, {"experimentID": 77}).warnings[0]


def test_taken_key_and_unknown_mouse_are_told_before_anything_is_entered(tracker):
    with pytest.raises(DuplicateError, match=LAST):
        tracker.enter([LATER, LAST])
    with pytest.raises(UnknownMouseError, match="ATL099"):
        tracker.enter("ATL099.2023-01-20.701")


def test_unknown_preset_is_refused_with_the_nearest(tracker):
    with pytest.raises(UnknownNameError, match="'rig'"):
        with_preset(tracker, numPlanes=3).enter(LATER, preset="rigg")


@pytest.mark.own_rule
@pytest.mark.parametrize("column", ["nope", "sessionDate", "uSessionID"])
def test_preset_with_a_column_that_describes_nothing_is_refused(tracker, column):
    with pytest.raises(ConfigurationError, match=column):
        with_preset(tracker, **{column: 1}).enter(LATER, preset="rig")
