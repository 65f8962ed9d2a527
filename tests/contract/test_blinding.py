"""Mice beside their sessions; the genotype of blinded mice is seen on request alone."""

from __future__ import annotations

import pandas as pd
import pytest

from support.sample_lab import DAY
from vrtracker.errors import InvalidValueError

MICE = [
    {"mouseName": "ATL012", "KO": True, "genotype": "fl/fl", "strain": "B6", "sex": "F"},
    {"mouseName": "ATL013", "KO": True, "genotype": "fl/+", "strain": "B6", "Blinded": True},
    {"mouseName": "ATL014", "environmentOrder": "1.3.4"},
]
GENOTYPE = ["KO", "genotype", "strain"]


@pytest.fixture
def tracker(labs):
    made = labs.new(mice=0)
    made.mice.add_many(MICE)
    made.sessions.add_many(
        {"mouseName": name, "sessionDate": DAY, "sessionID": number}
        for name, number in (("ATL012", 1), ("ATL013", 1), ("ATL013", 2), ("ATL014", 1))
    )
    return made


def test_listing_of_mice_hides_the_genotype_of_blinded_ones(tracker):
    frame = tracker.mice.frame()

    assert all(frame[name].notna().tolist() == [True, False, name == "KO"] for name in GENOTYPE)
    assert frame["KO"].tolist()[::2] == [True, False]
    assert frame["Blinded"].tolist() == [False, True, False]


def test_genotype_is_shown_on_request(tracker):
    frame = tracker.mice.frame(show_blinded=True)

    assert frame["KO"].tolist() == [True, True, False]
    assert str(frame["KO"].dtype) == "bool"
    assert frame["genotype"].tolist()[:2] == ["fl/fl", "fl/+"]


def test_frame_without_blinded_mice_is_as_ever(tracker):
    frame = tracker.mice.frame(Blinded=False)

    pd.testing.assert_frame_equal(frame, tracker.mice.frame(Blinded=False, show_blinded=True))


def test_joined_columns_hide_it_too_and_no_column_is_added(tracker):
    frame = tracker.sessions.frame(columns=["sessionID", "mouse__KO"])

    assert list(frame) == ["sessionID", "mouse__KO"]
    assert frame["mouse__KO"].isna().tolist() == [False, True, True, False]
    shown = tracker.sessions.frame(columns=["mouse__KO"], show_blinded=True)
    assert shown["mouse__KO"].tolist() == [True, True, True, False]


def test_filters_go_by_the_true_values(tracker):
    assert tracker.sessions.count(mouse__KO=True) == 3


def test_mouse_that_is_asked_for_by_name_is_whole(tracker):
    assert tracker.mice.get("ATL013").KO is True


def test_mouse_at_a_prompt_does_not_show_it(tracker):
    blinded, other = tracker.mice.get("ATL013"), tracker.mice.get("ATL012")

    assert "mouseName='ATL013'" in repr([blinded])
    assert not any(f"{name}=" in repr([blinded]) for name in GENOTYPE)
    assert all(f"{name}=" in repr(other) for name in GENOTYPE)


def test_sessions_come_with_all_columns_of_their_mouse(tracker):
    frame = tracker.sessions.frame(with_mouse=True, sessionID=1)

    mouse = [f"mouse__{name}" for name in tracker.mice.columns]
    assert list(frame) == [*tracker.sessions.columns, *mouse]
    assert frame["mouse__sex"].tolist()[0] == "F"
    assert frame["mouse__mouseName"].tolist() == frame["mouseName"].tolist()
    assert frame["mouse__genotype"].isna().tolist() == [False, True, True]


def test_order_of_environments_is_parsed_on_request(tracker):
    mice = tracker.mice.frame(parse_environments=True)
    joined = tracker.sessions.frame(columns=["mouse__environmentOrder"], parse_environments=True)

    assert mice["environmentOrder"].tolist() == [None, None, (1, 3, 4)]
    assert joined["mouse__environmentOrder"].tolist() == [None, None, None, (1, 3, 4)]
    assert tracker.mice.frame()["environmentOrder"].tolist()[2] == "1.3.4"


def test_order_that_is_none_is_refused(tracker):
    tracker.mice.update({"environmentOrder": "1,3"}, "ATL012")

    with pytest.raises(InvalidValueError, match=r"'1,3'.*1\.3\.4"):
        tracker.mice.frame(parse_environments=True)


def test_mouse_table_holds_the_mice_of_the_sessions(tracker):
    table = tracker.sessions.mouse_table(sessionID=(1, ">="), mouseName=["ATL012", "ATL013"])

    assert list(table) == [*tracker.mice.columns, "sessions"]
    assert table["mouseName"].tolist() == ["ATL012", "ATL013"]
    assert table["sessions"].tolist() == [1, 2]
    assert table["KO"].isna().tolist() == [False, True]
    assert len(tracker.sessions.mouse_table(sessionID=99)) == 0
