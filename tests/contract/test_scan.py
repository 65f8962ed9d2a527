"""Sessions found on disk: what a plan lists, what applying it adds, what it leaves alone."""

from __future__ import annotations

import datetime as dt
import os

import pytest

from support.permissions import unreadable
from support.registrars import good
from support.suite2p_output import write_suite2p_1
from vrtracker.demo_lab import make_demo_lab
from vrtracker.errors import DuplicateError, RootUnavailableError

PLANE = ("stat", "ops", "F", "Fneu", "iscell", "spks")


@pytest.fixture
def put(lab):
    """Write a file below the root."""

    def put_file(path: str, content: bytes = b"x"):
        file = lab.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)

    return put_file


def keys(rows) -> list[str]:
    return [f"{row['mouseName']}.{row['sessionDate']}.{row['sessionID']}" for row in rows]


def test_a_plan_writes_nothing(lab, put):
    put("M1/2023-01-20/701/2023-01-20_701_M1_VRBehavior_trial.mat")
    before = lab.dump()
    plan = lab.tracker.scan()
    assert keys(plan.new) == ["M1.2023-01-20.701"]
    assert list(plan.frame()["mouseName"]) == ["M1"]
    assert lab.dump() == before


def test_applying_a_plan_adds_what_it_lists(lab, put):
    put("M1/2023-01-20/701/2023-01-20_701_M1_VRBehavior_trial.mat")
    put("M1/2023-01-20/701/M1_eye.mj2")
    put("M2/2023-01-21/702/oneData/mpci.times.npy")
    added = lab.tracker.scan().apply()
    assert [str(key) for key in added] == ["M1.2023-01-20.701", "M2.2023-01-21.702"]
    frame = lab.tracker.sessions.frame()
    flags = frame[["sessionID", "behavior", "faceCamera", "imaging", "suite2p", "sessionQC"]]
    assert flags.to_numpy().tolist() == [
        [701, True, True, False, False, True],
        [702, False, False, True, False, True],
    ]
    assert list(lab.tracker.history(added[0])["verb"]) == ["added"]


def test_a_session_with_a_link_to_nothing_is_skipped_and_the_rest_is_found(lab, put):
    put("M1/2023-01-20/701/oneData/a.b.npy")
    put("M1/2023-01-20/702/oneData/a.b.npy")
    link = lab.root / "M1/2023-01-20/701/oneData/c.d.npy"
    link.symlink_to(lab.root / "unmounted")
    plan = lab.tracker.scan()
    assert keys(plan.new) == ["M1.2023-01-20.702"]
    (skip,) = plan.skipped
    assert skip.path == lab.root / "M1/2023-01-20/701"
    assert str(link) in skip.reason


@pytest.mark.skipif(os.name == "nt", reason="permissions of Windows are not those of chmod")
@pytest.mark.own_rule
@pytest.mark.parametrize("folder", ["oneData/more", "alf"])
def test_a_session_with_an_unreadable_folder_is_skipped_and_the_rest_is_found(lab, put, folder):
    put(f"M1/2023-01-20/701/{folder}/a.b.npy")
    put("M1/2023-01-20/702/oneData/a.b.npy")
    closed = lab.root / "M1/2023-01-20/701" / folder
    with unreadable(closed):
        plan = lab.tracker.scan()
    assert keys(plan.new) == ["M1.2023-01-20.702"]
    assert [skip.path for skip in plan.skipped] == [lab.root / "M1/2023-01-20/701"]


def test_scanning_twice_is_harmless(lab, put):
    put("M1/2023-01-20/701/a.b.npy")
    lab.tracker.scan().apply()
    before = lab.dump()
    plan = lab.tracker.scan()
    assert (plan.new, plan.known) == ((), 1)
    assert plan.apply() == []
    assert lab.dump() == before


def test_a_plan_that_was_applied_is_refused(lab, put):
    put("M1/2023-01-20/701/a.b.npy")
    put("M3/2023-01-20/701/a.b.npy")
    plan = lab.tracker.scan(add_mice=True)
    plan.apply()
    before = lab.dump()
    with pytest.raises(DuplicateError):
        plan.apply()
    assert lab.dump() == before


def test_a_scratched_session_is_known(lab, put):
    put("M1/2023-01-20/701/a.b.npy")
    (key,) = lab.tracker.scan().apply()
    lab.tracker.workflow.scratch(key, "light leak")
    plan = lab.tracker.scan()
    assert (plan.new, plan.known) == ((), 1)


def test_sessions_of_unknown_mice_are_held_back(lab, put):
    put("M1/2023-01-20/701/a.b.npy")
    put("M3/2023-01-20/701/a.b.npy")
    plan = lab.tracker.scan()
    assert keys(plan.new) == ["M1.2023-01-20.701"]
    assert [str(key) for key in plan.held_back] == ["M3.2023-01-20.701"]
    assert plan.new_mice == ("M3",)
    plan.apply()
    assert lab.tracker.mice.find("M3") is None


def test_unknown_mice_are_added_on_request(lab, put):
    put("M1/2023-01-20/701/a.b.npy")
    put("M3/2023-01-20/701/a.b.npy")
    plan = lab.tracker.scan(add_mice=True)
    assert (plan.held_back, plan.new_mice) == ((), ("M3",))
    assert len(plan.apply()) == 2
    assert lab.tracker.mice.get("M3").mouseName == "M3"


@pytest.mark.own_rule
@pytest.mark.parametrize("add_mice", [False, True])
def test_folder_in_another_case_than_its_mouse_is_to_be_renamed(lab, put, add_mice):
    put("m1/2023-01-20/701/a.b.npy")
    put("M2/2023-01-20/701/a.b.npy")

    plan = lab.tracker.scan(add_mice=add_mice)

    assert keys(plan.new) == ["M2.2023-01-20.701"]
    assert (plan.held_back, plan.new_mice) == ((), ())
    (skip,) = plan.skipped
    assert skip.path == lab.root / "m1"
    assert "Name it M1" in skip.reason


def test_mouse_that_was_added_in_another_case_after_the_plan_is_refused(lab, put):
    put("m3/2023-01-20/701/a.b.npy")
    plan = lab.tracker.scan(add_mice=True)
    lab.tracker.mice.add("M3")
    before = lab.dump()

    with pytest.raises(DuplicateError, match="case of letters alone") as refused:
        plan.apply()

    assert refused.value.key == "M3"
    assert lab.dump() == before


def test_only_the_mice_that_are_asked_for_are_looked_at(lab, put):
    put("M1/2023-01-20/701/a.b.npy")
    put("M2/2023-01-20/701/a.b.npy")
    assert keys(lab.tracker.scan(mice=["M2"]).new) == ["M2.2023-01-20.701"]


def test_padded_numbers_are_the_same_session(lab, put):
    put("M1/2023-01-20/001/a.b.npy")
    (key,) = lab.tracker.scan().apply()
    assert str(key) == "M1.2023-01-20.1"
    assert lab.tracker.sessions.get(key).path == lab.root / "M1/2023-01-20/001"
    assert lab.tracker.scan().known == 1


def test_both_spellings_of_a_number_are_one_session(lab, put):
    put("M1/2023-01-20/001/a.b.npy")
    put("M1/2023-01-20/1/a.b.npy")
    plan = lab.tracker.scan()
    assert keys(plan.new) == ["M1.2023-01-20.1"]
    assert [skip.path.name for skip in plan.skipped] == ["001"]
    assert len(plan.apply()) == 1


def test_the_layout_of_labs_is_known_too(lab, put):
    put("cortexlab/Subjects/M1/2023-01-20/001/a.b.npy")
    (key,) = lab.tracker.scan().apply()
    folder = lab.root / "cortexlab/Subjects/M1/2023-01-20/001"
    assert lab.tracker.sessions.get(key).path == folder
    assert lab.tracker.workflow.run(registrar=good).succeeded == 1
    assert (folder / "oneData").is_dir()


def test_complete_suite2p_counts_as_done_with_its_date(lab, put):
    for plane in (0, 1):
        for name in PLANE:
            put(f"M1/2023-01-20/701/suite2p/plane{plane}/{name}.npy")
    (key,) = lab.tracker.scan().apply()
    row = lab.row(key)
    assert (row.imaging, row.suite2p, row.numPlanes) == (True, True, 2)
    assert isinstance(row.suite2pDate, dt.datetime)
    assert lab.state(key, "suite2p") == "done"


def test_planes_that_suite2p_ignored_are_not_counted(lab):
    write_suite2p_1(lab.root / "M1/2023-01-20/701", ignored=[0])
    plan = lab.tracker.scan()
    assert plan.warnings == ()
    (key,) = plan.apply()
    row = lab.row(key)
    assert (row.imaging, row.suite2p, row.numPlanes) == (True, True, 2)


@pytest.mark.own_rule
@pytest.mark.parametrize("flaw", ["missing", "empty"])
def test_incomplete_suite2p_does_not_count(lab, put, flaw):
    for name in PLANE[1:]:
        put(f"M1/2023-01-20/701/suite2p/plane0/{name}.npy")
    if flaw == "empty":
        put("M1/2023-01-20/701/suite2p/plane0/stat.npy", b"")
    plan = lab.tracker.scan()
    assert len(plan.warnings) == 1
    assert "stat" in plan.warnings[0]
    (key,) = plan.apply()
    row = lab.row(key)
    assert (row.imaging, row.suite2p, row.suite2pDate) == (True, False, None)
    assert lab.state(key, "registration") == "blocked"


def test_sessions_of_different_kinds_are_added_together(lab, put):
    """With and without planes: rows that name different columns."""
    for name in PLANE:
        put(f"M1/2023-01-20/701/suite2p/plane0/{name}.npy")
    put("M1/2023-01-20/702/a.b.npy")
    assert len(lab.tracker.scan().apply()) == 2
    frame = lab.tracker.sessions.frame()
    assert frame["numPlanes"].isna().tolist() == [False, True]


def test_what_looks_like_a_session_and_is_none_is_reported(lab, put):
    put("M1/2023-13-45/701/a.b.npy")
    put("M1/2023-01-20/0701/a.b.npy")
    plan = lab.tracker.scan()
    assert plan.new == ()
    assert sorted(skip.path.name for skip in plan.skipped) == ["0701", "2023-13-45"]


def test_progress_is_told_after_each_session(lab, put):
    for number in (1, 2, 3):
        put(f"M1/2023-01-20/{number}/a.b.npy")
    seen = []
    lab.tracker.scan(progress=seen.append)
    assert seen == [1, 2, 3]


@pytest.mark.own_rule
@pytest.mark.parametrize("root", ["missing", "empty", None])
def test_a_root_that_is_not_there_plans_nothing(lab, tmp_path, root):
    path = None if root is None else tmp_path / root
    if root == "empty":
        path.mkdir()
    with pytest.raises(RootUnavailableError):
        lab.another(root=path).scan()


def test_the_demo_lab_goes_all_the_way(lab, tmp_path):
    demo = make_demo_lab(tmp_path / "demo")
    tracker = lab.another(root=demo.root)
    tracker.mice.add_many(demo.mice)
    assert tuple(tracker.scan().apply()) == demo.keys

    report = tracker.workflow.run()

    assert [result.key for result in report.results if result.outcome == "failed"] == [demo.broken]
    assert report.succeeded == 10
    assert tracker.workflow.states(demo.without_suite2p)["registration"].value == "blocked"
    assert tracker.workflow.states(demo.without_imaging)["registration"].value == "done"
    assert list(tracker.workflow.errors()["mouseName"]) == [demo.broken.mouse]
    assert (tracker.datasets(demo.keys[0])["md5"].str.len() == 32).all()


def test_sessions_of_one_day_are_proposed_like_the_last_one(lab, put):
    today = lab.clock().date().isoformat()
    old = lab.add("M1.2023-01-20.701", imaging=True, numPlanes=5, experimentType="Blender VR")
    put(f"M1/{today}/701/{today}_701_M1_VRBehavior_trial.mat")
    put(f"M2/{today}/701/a.b.npy")
    put("M1/2023-01-21/701/a.b.npy")

    plan = lab.tracker.scan(date="today", like="LAST")

    assert keys(plan.new) == [f"M1.{today}.701", f"M2.{today}.701"]
    first, second = plan.new
    assert (first["imaging"], first["behavior"], first["numPlanes"]) == (True, True, 5)
    assert "numPlanes" not in second
    plan.apply()
    assert lab.tracker.sessions.get(keys(plan.new)[0]).experimentType == "Blender VR"
    assert lab.tracker.scan(date=old.date).new == ()
