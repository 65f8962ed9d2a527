"""Runs of tracking are found on disk, kept, and say which ROI is which cell on which day."""

from __future__ import annotations

import datetime as dt
import json

import numpy as np
import pytest

import vrtracker
from support.roicat import tracked, write_run
from vrtracker.errors import InvalidValueError, NotFoundError

KEYS = [
    f"M1.2026-03-0{day}.{number}" for day, number in ((1, 701), (1, 1001), (2, 9), (3, 1), (4, 2))
]
NAMES = [f"M1_{day}_{number}" for _, day, number in (key.split(".") for key in KEYS)]
ORDER = [KEYS[0], KEYS[1], *KEYS[2:]]
EARLIER = dt.datetime(2026, 3, 5, 10, tzinfo=dt.UTC).timestamp()


@pytest.fixture
def run(lab):
    """The labels of a run over five sessions, whose files wait to be found; one is scratched."""
    for key in KEYS:
        lab.add(key, imaging=True)
    lab.tracker.workflow.scratch(KEYS[4], "moved")
    return write_run(lab.root / "M1" / "ROICaT2025", NAMES, at=EARLIER)


def test_run_is_found_and_its_table_is_that_of_the_labels(lab, run):
    plan = lab.tracker.reconcile()
    assert lab.tracker.tracking.runs("M1") == []
    assert "1 run of tracking" in plan.found.summary
    plan.apply()

    (found,) = lab.tracker.tracking.runs("M1")
    table = lab.tracker.tracking.table(found)
    assert [str(key) for key in found.sessions] == list(table.columns) == ORDER
    np.testing.assert_array_equal(table.to_numpy(), tracked(run))
    assert (found.plane, found.folder, found.made_by) == (None, "M1/ROICaT2025", "1.5.5")
    assert found.settings["params_used.json"]["clustering"] == {"d_conf": 0.25}
    assert {*found.files[0]} == {"labels", "sample_silhouettes", "cluster_silhouettes"}
    assert not found.is_stale
    assert table.equals(lab.tracker.tracking.table(found.run[:10]))
    assert not lab.tracker.reconcile().found.is_any


def test_planes_in_files_of_their_own_are_runs_of_their_own(lab, run):
    for plane in range(3):
        write_run(lab.root / "M1" / "ROICaT" / f"plane{plane}", NAMES, planes=1, seed=plane)

    lab.tracker.reconcile().apply()

    found = lab.tracker.tracking.runs("M1")
    assert [each.plane for each in found] == [0, 1, 2, None]
    assert len({each.run for each in found}) == 4


def test_sessions_and_mice_know_that_they_are_tracked_until_that_is_taken_back(lab, run):
    lab.add("M1.2026-03-05.1")
    before = lab.tracker.mice.get("M1")
    plan = lab.tracker.reconcile()
    plan.apply()

    sessions = lab.tracker.sessions
    assert sessions.count(tracked=True) == 4
    assert [str(each.key) for each in sessions.iter(tracked=False)] == ["M1.2026-03-05.1"]
    assert sessions.count("tracked = yes and imaging") == 4
    assert sessions.count("not tracked") == 1
    mouse = lab.tracker.mice.get("M1")
    assert (before.tracked, mouse.tracked, mouse.trackerExists) == (False, True, True)
    assert lab.tracker.history.records("M1")[-1]["changes"]

    plan.undo()
    assert (lab.tracker.tracking.runs("M1"), lab.tracker.mice.get("M1")) == ([], before)
    plan.apply()
    lab.tracker.undo(last=True).apply()
    assert (lab.tracker.tracking.runs("M1"), lab.tracker.mice.get("M1")) == ([], before)


def test_saved_plan_can_be_applied_later(lab, run, tmp_path):
    lab.tracker.reconcile().save(tmp_path / "plan.json")

    lab.tracker.load_reconciliation(tmp_path / "plan.json").apply()

    assert len(lab.tracker.tracking.runs()) == 1


def test_run_is_stale_once_suite2p_is_newer(lab, run):
    lab.tracker.reconcile().apply()
    labelled = dt.datetime(2026, 3, 5, 12)  # the lab's clock

    lab.tracker.sessions.update({"suite2pDate": labelled}, KEYS[0])
    assert not lab.tracker.tracking.runs("M1")[0].is_stale
    lab.tracker.sessions.update({"suite2pDate": labelled + dt.timedelta(seconds=1)}, KEYS[1])

    (found,) = lab.tracker.tracking.runs("M1")
    assert [str(key) for key in found.stale] == [KEYS[1]]
    assert "track again" in str(found)


def test_deleted_session_comes_back_with_its_runs_and_copies_carry_them(lab, run, tmp_path):
    lab.tracker.reconcile().apply()
    (found,) = lab.tracker.tracking.runs("M1")
    lab.tracker.sessions.delete(KEYS[0], force=True, reason="a double")
    assert len(lab.tracker.tracking.runs("M1")[0].sessions) == 4
    lab.tracker.sessions.restore(KEYS[0])

    assert lab.tracker.tracking.runs("M1") == [found]
    vrtracker.clone(lab.url, str(tmp_path / "copy.db"), sessionID=(700, ">="))
    with vrtracker.open(str(tmp_path / "copy.db"), root=lab.root) as part:
        (copied,) = part.tracking.runs("M1")
        assert (copied.run, len(copied.sessions)) == (found.run, 2)


SQLITE = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)


@SQLITE
def test_files_that_are_no_run_are_told_and_nothing_is_recorded(lab, run):
    folder = lab.root / "M1"
    write_run(folder / "A", ["M1_2026-03-01_999"])
    write_run(folder / "B", ["M2_2026-03-01_701"])
    write_run(folder / "C", NAMES[:2])
    (folder / "C" / f"{NAMES[0]}.sample_silhouettes.npy").unlink()
    write_run(folder / "D", NAMES[:1])
    (folder / "D" / "params_used.json").write_text("{")

    plan = lab.tracker.reconcile()

    assert len(plan.found.runs) == 1
    told = {note.where.rpartition("/")[2]: note.message for note in plan.found.notes}
    assert "M1.2026-03-01.999, which is not in the database" in told["A"]
    assert "of another mouse" in told["B"]
    assert "no sample_silhouettes" in told["C"]
    assert "no JSON" in told["D"]


@SQLITE
def test_labels_that_were_changed_or_are_damaged_are_refused(lab, run):
    lab.tracker.reconcile().apply()
    tracking = lab.tracker.tracking
    (old,) = tracking.runs("M1")
    path = lab.root / "M1" / "ROICaT2025" / f"{NAMES[0]}.labels.npy"

    np.save(path, np.array([0, 0, 1]))
    with pytest.raises(InvalidValueError, match="written again"):
        tracking.table(old)
    lab.tracker.reconcile().apply()
    assert len(tracking.runs("M1")) == 2
    with pytest.raises(InvalidValueError, match="cluster 0 in more than one ROI"):
        tracking.table(tracking.runs("M1")[1])
    with pytest.raises(NotFoundError):
        tracking.get("nothing")
    with pytest.raises(NotFoundError):
        tracking.runs("M9")
    for file in path.parent.iterdir():
        file.unlink()
    lab.tracker.reconcile().apply()
    assert lab.tracker.mice.get("M1").tracked
    assert not lab.tracker.mice.get("M1").trackerExists
    assert json.dumps([each.run for each in tracking.runs("M1")])
