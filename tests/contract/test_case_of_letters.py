"""Names of mice that differ in the case of letters alone are one name, on every backend."""

from __future__ import annotations

import pytest

from support.sample_lab import KEY, table_counts
from vrtracker.errors import DuplicateError, ImportFileError, InvalidValueError, NotFoundError

OTHER_CASE = "atl012.2023-01-20.701"
DIFFERS = "case of letters alone"


@pytest.fixture
def tracker(labs):
    return labs.new(mice=2, sessions=1)


# -- what is refused ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("there", "second"), [("ATL012", "atl012"), ("B-ü", "b-Ü"), ("B-straße", "B-STRASSE")]
)
def test_add_refuses_the_name_of_a_mouse_in_another_case(tracker, there, second):
    if there != "ATL012":
        tracker.mice.add(there)
    before = table_counts(tracker.url)

    with pytest.raises(DuplicateError, match=DIFFERS) as refused:
        tracker.mice.add(second)

    assert refused.value.key == there
    assert repr(second) in str(refused.value)
    assert table_counts(tracker.url) == before


@pytest.mark.parametrize("rows", [["B1", "atl012"], ["C1", "B1", "b1"]])
def test_add_many_refuses_all_when_two_names_differ_in_case_alone(tracker, rows):
    before = table_counts(tracker.url)

    with pytest.raises(DuplicateError, match=DIFFERS) as refused:
        tracker.mice.add_many([{"mouseName": name} for name in rows])

    assert refused.value.key in {"ATL012", "B1"}
    assert table_counts(tracker.url) == before


@pytest.mark.parametrize("dry_run", [True, False])
def test_rename_refuses_the_name_of_another_mouse_in_another_case(tracker, dry_run):
    before = tracker.mice.frame()

    with pytest.raises(DuplicateError, match=DIFFERS) as refused:
        tracker.mice.update({"mouseName": "atl012"}, "ATL013", dry_run=dry_run)

    assert refused.value.key == "ATL012"
    assert tracker.mice.frame().equals(before)


def test_mouse_without_sessions_may_change_the_case_of_its_own_name(tracker):
    number = tracker.mice.get("ATL013").uMouseID

    assert tracker.mice.update({"mouseName": "atl013"}, "ATL013").rows == 1

    assert tracker.mice.get("atl013").uMouseID == number
    assert tracker.mice.find("ATL013") is None
    with pytest.raises(DuplicateError):
        tracker.mice.add("ATL013")


def test_mouse_with_sessions_keeps_the_case_of_its_name(tracker):
    with pytest.raises(InvalidValueError, match="has sessions"):
        tracker.mice.update({"mouseName": "atl012"}, "ATL012")

    assert tracker.sessions.get(KEY).mouseName == tracker.mice.get("ATL012").mouseName


def test_name_is_free_in_every_case_once_its_mouse_is_deleted(tracker):
    tracker.mice.delete("ATL013")

    assert tracker.mice.add("atl013").mouseName == "atl013"


def test_import_reports_every_line_whose_name_differs_in_case_alone(tracker, tmp_path):
    file = tmp_path / "mice.csv"
    file.write_text("mouseName\natl012\nB1\nb1\nC1\n", "utf-8")

    plan = tracker.import_csv("mice", file)

    assert [problem.line for problem in plan.problems] == [2, 4]
    for problem, there in zip(plan.problems, ["ATL012", "B1"], strict=True):
        assert DIFFERS in str(problem)
        assert repr(there) in str(problem)
    with pytest.raises(ImportFileError):
        plan.apply()
    assert tracker.mice.count() == 2


def test_session_names_its_mouse_as_the_mouse_is_spelled(tracker):
    with pytest.raises(NotFoundError, match="ATL012") as refused:
        tracker.sessions.add("atl012.2023-01-20.900")

    assert refused.value.nearest[0] == "ATL012"
    with pytest.raises(NotFoundError):
        tracker.sessions.update({"mouseName": "atl013"}, KEY)
    assert tracker.sessions.get(KEY).mouseName == "ATL012"


# -- what is found -----------------------------------------------------------------------------


def test_keys_are_looked_up_in_the_case_in_which_they_are_stored(tracker):
    with pytest.raises(NotFoundError, match=r"Did you mean 'ATL012\.2023-01-20\.701'") as missing:
        tracker.sessions.get(OTHER_CASE)
    with pytest.raises(NotFoundError, match="Did you mean 'ATL012'"):
        tracker.mice.get("atl012")

    assert missing.value.nearest == (KEY,)
    assert tracker.sessions.find(OTHER_CASE) is None
    assert tracker.mice.find("atl012") is None
    assert tracker.sessions.count(mouseName="atl012") == 0
    assert tracker.sessions.count(mouseName=["atl012"]) == 0


def test_nothing_is_changed_under_a_name_in_another_case(tracker):
    before = table_counts(tracker.url)

    assert tracker.sessions.update({"imaging": True}, OTHER_CASE).matched == 0
    assert tracker.mice.update({"KO": True}, "atl012").matched == 0
    for delete, key in ((tracker.sessions.delete, OTHER_CASE), (tracker.mice.delete, "atl012")):
        with pytest.raises(NotFoundError):
            delete(key, force=True, reason="mistaken")
    with pytest.raises(NotFoundError):
        tracker.workflow.scratch(OTHER_CASE, "light leak")

    assert table_counts(tracker.url) == before
