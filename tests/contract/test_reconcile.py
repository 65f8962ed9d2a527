"""The database against the disk: what a plan finds, what applying it writes, and back again."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import shutil

import pytest

from support.permissions import unreadable
from support.registrars import good
from support.suite2p_output import save, write_suite2p_0, write_suite2p_1
from support.workflow_lab import WorkflowLab
from vrtracker.domain.disk_rules import DiskRules
from vrtracker.domain.registrars import DatasetFile, RegistrarResult
from vrtracker.errors import (
    ConcurrentUpdateError,
    InvalidValueError,
    NotFoundError,
    RootUnavailableError,
    UnknownNameError,
)

FILES = ("stat", "ops", "F", "Fneu", "iscell", "spks")
ZONE = dt.timezone(dt.timedelta(hours=2))
MADE = dt.datetime(2023, 1, 21, 9, 30, tzinfo=ZONE)
LATER = dt.datetime(2023, 1, 22, 10, 0, tzinfo=ZONE)
ONE, TWO, THREE = "M1.2023-01-20.1", "M1.2023-01-20.2", "M1.2023-01-20.3"
DONE = {"imaging": True, "suite2p": True, "suite2pDate": MADE.replace(tzinfo=None)}


class DiskLab(WorkflowLab):
    """A lab whose sessions get files on disk."""

    def put(self, key, path: str, *, at: dt.datetime = MADE, content: bytes = b"x") -> None:
        file = self.folder(key) / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        os.utime(file, (at.timestamp(), at.timestamp()))

    def suite2p(self, key, *, planes: int = 2, at: dt.datetime = MADE) -> None:
        for plane in range(planes):
            for name in FILES:
                self.put(key, f"suite2p/plane{plane}/{name}.npy", at=at)

    def written_suite2p(self, write, key, **options) -> None:
        write(self.folder(key), **options)
        for file in (self.folder(key) / "suite2p").rglob("*.npy"):
            os.utime(file, (MADE.timestamp(), MADE.timestamp()))

    def plane(self, key, number: int):
        return self.folder(key) / "suite2p" / f"plane{number}"

    def states(self, key) -> dict[str, str]:
        return {name: state.value for name, state in self.tracker.workflow.states(key).items()}


@pytest.fixture
def lab(backend, tmp_path):
    with DiskLab(backend.migrated_url(), tmp_path / "root") as made:
        yield made


@pytest.fixture
def kept(lab):
    """Two sessions with suite2p that is there, so that losing a third one is believed."""
    for key in (ONE, TWO):
        lab.add(key, **DONE)
        lab.suite2p(key)
    return lab


def columns(plan) -> dict[str, dict]:
    return {str(change.key): dict(change.columns) for change in plan.found.changes}


def notes(plan) -> list[tuple[str, str]]:
    return [(note.kind, note.where) for note in plan.found.notes]


def naive(time: dt.datetime) -> dt.datetime:
    return time.replace(tzinfo=None)


# -- suite2p ----------------------------------------------------------------------------------


def test_a_plan_writes_nothing(kept):
    kept.add(THREE, imaging=True)
    kept.suite2p(THREE)
    before = kept.dump()
    plan = kept.tracker.reconcile()
    assert columns(plan) == {THREE: {"suite2p": (False, True), "suite2pDate": (None, naive(MADE))}}
    assert kept.dump() == before


def test_what_agrees_is_not_changed(kept):
    plan = kept.tracker.reconcile()
    assert (plan.found.changes, plan.found.notes, plan.found.doubts) == ((), (), ())
    assert (plan.found.looked_at, plan.found.with_folder) == (2, 2)
    assert plan.apply() == []


def test_suite2p_found_on_disk_is_done_with_its_files_date(kept):
    key = kept.add(THREE, imaging=True)
    kept.suite2p(THREE)
    assert kept.tracker.reconcile().apply() == [key]
    assert kept.states(THREE)["suite2p"] == "done"
    assert kept.row(THREE).suite2pDate == naive(MADE)
    event = kept.tracker.history(THREE).iloc[-1]
    assert (event["verb"], event["actor"]) == ("reconciled", "ann")
    assert event["changes"]["suite2p"] == [False, True]
    assert len(kept.tracker.history(THREE)) == 2


def test_suite2p_that_vanished_makes_what_rests_on_it_stale(kept):
    kept.add(THREE, **DONE, suite2pQC=True, vrRegistration=True, redCellQC=True)
    kept.put(THREE, "oneData/a.b.npy")
    kept.tracker.reconcile().apply()
    row = kept.row(THREE)
    assert (row.suite2p, row.suite2pDate, row.vrRegistration) == (False, None, True)
    assert kept.states(THREE) == {
        "suite2p": "ready",
        "suite2p_qc": "stale",
        "registration": "stale",
        "red_cell_qc": "stale",
    }
    assert kept.events(THREE)[-1][0] == "reconciled"


def test_a_plane_without_a_file_is_incomplete_and_named(kept):
    kept.add(THREE, **DONE)
    kept.suite2p(THREE)
    (kept.plane(THREE, 1) / "stat.npy").unlink()
    (change,) = kept.tracker.reconcile().found.changes
    assert change.columns["suite2p"] == (True, False)
    assert "plane1 lacks stat.npy" in change.reasons[0]


@pytest.mark.own_rule
@pytest.mark.parametrize("write", [write_suite2p_0, write_suite2p_1])
@pytest.mark.parametrize("planes", [None, 2, 3])
def test_a_plane_that_suite2p_ignored_keeps_nobody_waiting(kept, write, planes):
    kept.add(THREE, imaging=True, numPlanes=planes)
    kept.written_suite2p(write, THREE, ignored=[0])
    plan = kept.tracker.reconcile()
    (change,) = plan.found.changes
    assert change.columns == {"suite2p": (False, True), "suite2pDate": (None, naive(MADE))}
    assert change.reasons == ("suite2p is complete: 2 planes; plane0 was to be ignored",)
    assert notes(plan) == []


def test_what_suite2p_was_told_not_to_make_is_said(kept):
    kept.add(THREE, imaging=True)
    kept.written_suite2p(write_suite2p_1, THREE, planes=1, io={"save_ops_orig": False})
    (change,) = kept.tracker.reconcile().found.changes
    assert change.reasons == ("suite2p is complete: 1 planes; plane0 was to have no ops.npy",)


def test_more_planes_than_were_imaged_are_counted_without_ignored_ones(kept):
    kept.add(THREE, imaging=True, numPlanes=1)
    kept.written_suite2p(write_suite2p_1, THREE, ignored=[0])
    plan = kept.tracker.reconcile()
    assert notes(plan) == [("unexpected", THREE)]
    assert "suite2p has 2 planes; numPlanes says 1" in plan.found.notes[0].message


def test_output_of_which_suite2p_ignored_every_plane_is_incomplete(kept):
    kept.add(THREE, **DONE)
    kept.written_suite2p(write_suite2p_1, THREE, ignored=[0, 1, 2])
    (change,) = kept.tracker.reconcile().found.changes
    assert change.columns["suite2p"] == (True, False)
    assert "ignore every plane" in change.reasons[0]


@pytest.mark.own_rule
@pytest.mark.parametrize("content", [{"a": 1j}, {"a": print}, None], ids=["number", "call", "cut"])
def test_settings_that_are_not_plain_are_noted_and_excuse_nothing(kept, content):
    kept.add(THREE, imaging=True)
    kept.written_suite2p(write_suite2p_1, THREE, io={"save_ops_orig": False})
    path = kept.plane(THREE, 1) / "settings.npy"
    if content is None:
        path.write_bytes(path.read_bytes()[:-1])
    else:
        save(path, content)
    plan = kept.tracker.reconcile()
    assert plan.found.changes == ()
    assert notes(plan) == [("unreadable", THREE), ("incomplete", THREE)]
    doubt, incomplete = (note.message for note in plan.found.notes)
    assert str(path) in doubt
    assert incomplete == "suite2p is incomplete: plane1 lacks ops.npy."


def test_an_empty_file_is_incomplete_and_named(kept):
    kept.add(THREE, imaging=True)
    kept.suite2p(THREE)
    (kept.plane(THREE, 0) / "F.npy").write_bytes(b"")
    plan = kept.tracker.reconcile()
    assert plan.found.changes == ()
    assert notes(plan) == [("incomplete", THREE)]
    assert "F.npy of plane0 is empty" in plan.found.notes[0].message


def test_fewer_planes_than_were_imaged_are_incomplete(kept):
    kept.add(THREE, **DONE, numPlanes=5)
    kept.suite2p(THREE, planes=3)
    (change,) = kept.tracker.reconcile().found.changes
    assert "3 of 5 planes" in change.reasons[0]


def test_required_files_are_the_labs_choice(kept):
    kept.add(THREE, imaging=True)
    kept.suite2p(THREE)
    for plane in (0, 1):
        (kept.plane(THREE, plane) / "spks.npy").unlink()
    rules = DiskRules(suite2p_files=("stat", "ops", "F", "Fneu", "iscell"))
    assert columns(kept.another(disk=rules).reconcile())[THREE]["suite2p"] == (False, True)
    assert columns(kept.tracker.reconcile()) == {}


def test_labels_of_tracking_are_not_output_of_suite2p(kept):
    kept.put(ONE, "suite2p/plane0/roicat_test_label_0.npy", at=LATER)
    kept.add(THREE, imaging=True)
    kept.put(THREE, "suite2p/plane0/roicat_test_label_0.npy", at=LATER)
    plan = kept.tracker.reconcile()
    assert plan.found.changes == ()
    assert notes(plan) == [("incomplete", THREE)]


def test_a_later_file_moves_the_date_and_makes_registration_stale(kept):
    kept.add(THREE, **DONE, vrRegistration=True, vrRegistrationDate=naive(MADE))
    kept.suite2p(THREE, at=LATER)
    kept.put(THREE, "oneData/a.b.npy")
    kept.tracker.reconcile().apply()
    assert kept.row(THREE).suite2pDate == naive(LATER)
    assert kept.states(THREE)["registration"] == "stale"


def test_a_later_stamp_is_kept(kept):
    kept.add(THREE, imaging=True, suite2p=True, suite2pDate=naive(LATER))
    kept.suite2p(THREE, at=MADE)
    assert kept.tracker.reconcile().found.changes == ()


def test_a_file_of_the_future_gives_no_date(kept):
    kept.add(THREE, imaging=True)
    kept.suite2p(THREE, at=dt.datetime(2031, 5, 1, tzinfo=ZONE))
    plan = kept.tracker.reconcile()
    assert columns(plan) == {THREE: {"suite2p": (False, True)}}
    assert notes(plan) == [("future", THREE)]


def test_output_of_a_session_without_imaging_is_only_told(kept):
    kept.add(THREE)
    kept.suite2p(THREE)
    plan = kept.tracker.reconcile()
    assert plan.found.changes == ()
    assert notes(plan) == [("unexpected", THREE)]


# -- registration and red cells -----------------------------------------------------------------


def test_registration_without_output_is_not_done(kept):
    for key in (ONE, TWO):
        kept.edit(key, vrRegistration=True)
        kept.put(key, "oneData/a.b.npy")
    kept.add(THREE, vrRegistration=True, vrRegistrationDate=naive(MADE))
    kept.tracker.reconcile().apply()
    row = kept.row(THREE)
    assert (row.vrRegistration, row.vrRegistrationDate) == (False, None)
    assert kept.states(THREE)["registration"] == "ready"


def test_output_alone_does_not_register_a_session(kept):
    kept.add(THREE)
    kept.put(THREE, "oneData/a.b.npy")
    plan = kept.tracker.reconcile()
    assert plan.found.changes == ()
    assert notes(plan) == [("unexpected", THREE)]


def test_required_output_registers_a_session(kept):
    kept.add(THREE)
    kept.put(THREE, "oneData/trials.startTimes.npy")
    kept.put(THREE, "oneData/licks.times.npy", at=LATER)
    rules = DiskRules(registration_files=("trials.startTimes.npy",))
    kept.another(disk=rules).reconcile(THREE).apply()
    row = kept.row(THREE)
    assert (row.vrRegistration, row.vrRegistrationDate) == (True, naive(MADE))


def registered(lab, key, **more) -> None:
    dates = {"vrRegistrationDate": naive(MADE)}
    lab.add(key, **DONE, vrRegistration=True, redCellQC=True, **dates, **more)
    lab.suite2p(key)
    lab.put(key, "oneData/mpciROIs.redDotProduct.npy")


def test_red_cells_are_dated_by_what_a_person_saved(kept):
    registered(kept, THREE)
    kept.put(THREE, "oneData/mpciROIs.redCellManualAssignments.npy", at=LATER)
    kept.put(THREE, "oneData/parametersRedS2P.keyValuePairs.npy", at=LATER + dt.timedelta(days=9))
    assert columns(kept.tracker.reconcile()) == {THREE: {"redCellQCDate": (None, naive(LATER))}}


def test_what_registration_made_does_not_date_red_cells(kept):
    registered(kept, THREE)
    kept.put(THREE, "oneData/mpciROIs.redCellManualAssignments.npy", at=MADE)
    assert kept.tracker.reconcile().found.changes == ()


def test_red_cell_qc_whose_files_are_gone_is_stale(kept):
    for key in (ONE, TWO):
        kept.edit(key, vrRegistration=True, redCellQC=True, redCellQCDate=naive(LATER))
        kept.put(key, "oneData/parametersRedS2P.minMaxCutoff.npy")
    registered(kept, THREE)
    kept.tracker.reconcile().apply()
    assert kept.row(THREE).redCellQC
    assert kept.states(THREE)["red_cell_qc"] == "stale"


# -- datasets -----------------------------------------------------------------------------------


@pytest.fixture
def made(kept):
    """Add a session that was registered, with three recorded files."""
    key = kept.add(THREE, **DONE)
    kept.suite2p(THREE)
    names = [f"oneData/a.{name}.npy" for name in ("one", "two", "three")]
    md5 = hashlib.md5(b"x", usedforsecurity=False).hexdigest()
    for name in names:
        kept.put(THREE, name)
    result = RegistrarResult([DatasetFile(name, 1, md5) for name in names])
    kept.tracker.workflow.run("registration", key, registrar=lambda _: result)
    return kept


def paths(lab) -> list[str]:
    return list(lab.tracker.datasets(THREE)["rel_path"])


def test_files_missing_new_and_changed_are_recorded(made):
    folder = made.folder(THREE) / "oneData"
    (folder / "a.one.npy").unlink()
    (folder / "a.two.npy").write_bytes(b"longer")
    made.put(THREE, "oneData/a.new.npy")
    made.put(THREE, "oneData/notes.txt.bak~")
    plan = made.tracker.reconcile(THREE)
    (change,) = plan.found.changes
    kinds = {each.rel_path: each.kind for each in change.datasets}
    assert kinds == {
        "oneData/a.one.npy": "missing",
        "oneData/a.two.npy": "changed",
        "oneData/a.new.npy": "new",
    }
    assert ("unexpected", THREE) in notes(plan)
    plan.apply()
    frame = made.tracker.datasets(THREE).set_index("rel_path")
    assert sorted(frame.index) == [f"oneData/a.{name}.npy" for name in ("new", "three", "two")]
    assert frame.loc["oneData/a.two.npy", "size_bytes"] == 6
    assert made.tracker.reconcile(THREE).found.changes == ()


@pytest.mark.own_rule
@pytest.mark.parametrize(("content", "changed"), [(b"x", False), (b"y", True)])
def test_a_file_written_later_is_told_and_hashed_on_request(made, content, changed):
    after = made.clock() + dt.timedelta(hours=1)
    made.put(THREE, "oneData/a.one.npy", content=content, at=after)
    plan = made.tracker.reconcile(THREE)
    assert (plan.found.changes, notes(plan)) == ((), [("touched", THREE)])
    hashed = made.tracker.reconcile(THREE, by_hash=True)
    assert bool(hashed.found.changes) is changed


def test_undo_brings_the_recorded_files_back(made):
    made.tracker.datasets.scan(THREE)
    before = made.tracker.datasets(THREE).drop(columns="dataset_id")
    (made.folder(THREE) / "oneData" / "a.one.npy").unlink()
    plan = made.tracker.reconcile(THREE)
    plan.apply()
    assert len(paths(made)) == 2
    plan.undo()
    after = made.tracker.datasets(THREE).drop(columns="dataset_id")
    assert after.equals(before)


# -- a disk that is not to be believed ----------------------------------------------------------


@pytest.mark.own_rule
@pytest.mark.parametrize("loss", ["missing", "empty"])
def test_a_drive_that_is_not_mounted_changes_nothing(kept, loss):
    shutil.rmtree(kept.root)
    if loss == "empty":
        kept.root.mkdir()
    before = kept.dump()
    with pytest.raises(RootUnavailableError, match="mount"):
        kept.tracker.reconcile()
    assert kept.dump() == before


def test_a_root_without_most_of_what_is_done_changes_nothing_unless_forced(kept):
    kept.add(THREE, **DONE)
    shutil.rmtree(kept.folder(ONE) / "suite2p")
    plan = kept.tracker.reconcile()
    assert plan.found.doubts == ("2 of 3 sessions with suite2p would be lost",)
    before = kept.dump()
    with pytest.raises(RootUnavailableError, match="2 of 3 sessions with suite2p"):
        plan.apply()
    assert kept.dump() == before
    plan.apply(force=True)
    assert not kept.row(THREE).suite2p


def test_the_limit_of_losses_is_the_labs_choice(kept):
    kept.add(THREE, **DONE)
    plan = kept.another(disk=DiskRules(loss_limit=0.2)).reconcile()
    assert plan.found.doubts == ("1 of 3 sessions with suite2p would be lost",)


def test_the_only_session_with_output_may_lose_it(lab):
    lab.add(ONE, **DONE)
    lab.folder(ONE).mkdir(parents=True, exist_ok=True)
    plan = lab.tracker.reconcile()
    assert plan.found.doubts == ()
    plan.apply()
    assert not lab.row(ONE).suite2p


def test_the_only_session_with_recorded_files_may_lose_them(made):
    shutil.rmtree(made.folder(THREE) / "oneData")
    plan = made.tracker.reconcile()
    assert plan.found.doubts == ()
    plan.apply()
    assert paths(made) == []


def test_most_sessions_with_recorded_files_may_not_lose_them(made):
    for key in (ONE, TWO):
        made.tracker.workflow.run("registration", key, registrar=good)
        shutil.rmtree(made.folder(key) / "oneData")
    plan = made.tracker.reconcile()
    assert "2 of 3 sessions with recorded files would be lost" in plan.found.doubts
    with pytest.raises(RootUnavailableError, match="recorded files"):
        plan.apply()


def test_sessions_without_a_folder_are_left_alone_on_request(kept):
    kept.add(THREE, **DONE)
    shutil.rmtree(kept.folder(THREE), ignore_errors=True)
    shutil.rmtree(kept.folder(ONE) / "suite2p")
    plan = kept.tracker.reconcile(only_present=True)
    assert (set(columns(plan)), plan.found.looked_at) == ({ONE}, 2)
    assert set(columns(kept.tracker.reconcile())) == {ONE, THREE}


def test_part_of_a_plan_is_applied_alone(kept):
    for number in (3, 4):
        key = f"M1.2023-01-20.{number}"
        kept.add(key, imaging=True)
        kept.suite2p(key)
    plan = kept.tracker.reconcile().only(lambda change: str(change.key) == THREE)
    assert [str(key) for key in plan.apply()] == [THREE]
    assert not kept.row("M1.2023-01-20.4").suite2p


@pytest.mark.skipif(os.name == "nt", reason="permissions of Windows are not those of chmod")
@pytest.mark.own_rule
@pytest.mark.parametrize("level", ["session", "date", "plane"])
def test_an_unreadable_folder_is_told_and_the_rest_goes_on(kept, level):
    kept.add("M2.2023-01-20.1", **DONE)
    kept.suite2p("M2.2023-01-20.1")
    kept.add(THREE, imaging=True)
    kept.suite2p(THREE)
    session = kept.folder("M2.2023-01-20.1")
    closed = {"session": session, "date": session.parent, "plane": session / "suite2p/plane0"}[
        level
    ]
    with unreadable(closed):
        plan = kept.tracker.reconcile()
    assert list(columns(plan)) == [THREE]
    assert ("unreadable", "M2.2023-01-20.1") in notes(plan)


@pytest.mark.parametrize("filters", [{}, {"mouseName": "M2"}])
def test_a_folder_in_another_case_than_its_mouse_loses_nothing(kept, filters):
    kept.add("M2.2023-01-20.1", **DONE)
    kept.suite2p("M2.2023-01-20.1")
    (kept.root / "M2").rename(kept.root / "aside")
    (kept.root / "aside").rename(kept.root / "m2")

    plan = kept.tracker.reconcile(**filters)

    assert plan.found.changes == ()
    assert notes(plan) == [("unreadable", str(kept.root / "m2")), ("unreadable", "M2.2023-01-20.1")]
    assert all("Name it M2" in note.message for note in plan.found.notes)


@pytest.fixture
def labs(lab):
    """Add sessions with suite2p: M1's and M3's in two labs' folders, M2's in its own."""
    lab.tracker.mice.add("M3")
    for key, folder in ((ONE, "labA"), ("M2.2023-01-20.1", ""), ("M3.2023-01-20.1", "labB")):
        lab.add(key, **DONE)
        lab.suite2p(key)
        if folder:
            subjects = lab.root / folder / "Subjects"
            subjects.mkdir(parents=True)
            mouse = key.partition(".")[0]
            (lab.root / mouse).rename(subjects / mouse)
    return lab


def test_labs_folders_agree_with_the_database(labs):
    plan = labs.tracker.reconcile()
    assert (plan.found.changes, plan.found.notes, plan.found.with_folder) == ((), (), 3)


@pytest.mark.skipif(os.name == "nt", reason="permissions of Windows are not those of chmod")
@pytest.mark.own_rule
@pytest.mark.parametrize("filters", [{}, {"mouseName": "M1"}])
@pytest.mark.parametrize("closed", ["labA", "labA/Subjects"])
def test_a_lab_that_cannot_be_read_loses_nothing(labs, closed, filters):
    with unreadable(labs.root / closed):
        plan = labs.tracker.reconcile(**filters)
    assert plan.found.changes == ()
    assert ("unreadable", ONE) in notes(plan)
    assert ("unreadable", str(labs.root / "labA" / "Subjects")) in notes(plan)


def test_a_link_to_a_lab_that_is_not_mounted_loses_nothing(labs):
    shutil.rmtree(labs.root / "labA")
    (labs.root / "labA").symlink_to(labs.root / "unmounted")
    plan = labs.tracker.reconcile()
    assert plan.found.changes == ()
    assert notes(plan) == [("unreadable", str(labs.root / "labA")), ("unreadable", ONE)]


def test_a_link_to_nothing_does_not_hide_mice_that_are_elsewhere(kept):
    kept.add(THREE, **DONE)
    (kept.root / "latest").symlink_to(kept.root / "gone")
    plan = kept.tracker.reconcile()
    assert list(columns(plan)) == [THREE]
    assert notes(plan) == [("unreadable", str(kept.root / "latest"))]


def test_only_present_does_not_tell_of_every_absent_session(kept):
    kept.add("M2.2023-01-20.1", **DONE)
    (kept.root / "latest").symlink_to(kept.root / "gone")
    plan = kept.tracker.reconcile(only_present=True)
    assert notes(plan) == [("unreadable", str(kept.root / "latest"))]


@pytest.mark.own_rule
@pytest.mark.parametrize("target", ["nothing", "itself"])
@pytest.mark.parametrize("place", ["", "2023-01-20", "2023-01-20/1", "2023-01-20/1/suite2p"])
def test_a_link_that_cannot_be_followed_loses_nothing(kept, place, target):
    kept.add("M2.2023-01-20.1", **DONE)
    link = kept.root / "M2" / place
    if link.exists():
        shutil.rmtree(link)
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(link if target == "itself" else kept.root.parent / "unmounted")
    plan = kept.tracker.reconcile()
    assert plan.found.changes == ()
    assert ("unreadable", "M2.2023-01-20.1") in notes(plan)


@pytest.mark.own_rule
@pytest.mark.parametrize("place", ["oneData", "oneData/a.one.npy", "suite2p/plane0/F.npy"])
def test_a_link_to_output_on_a_drive_that_is_not_mounted_loses_nothing(made, place):
    link = made.folder(THREE) / place
    link.rename(made.root.parent / "elsewhere")
    link.symlink_to(made.root / "unmounted")
    plan = made.tracker.reconcile(THREE)
    assert plan.found.changes == ()
    assert ("unreadable", THREE) in notes(plan)


@pytest.mark.skipif(os.name == "nt", reason="permissions of Windows are not those of chmod")
def test_a_link_into_an_unreadable_place_loses_nothing(kept):
    kept.add("M2.2023-01-20.1", **DONE)
    kept.suite2p("M2.2023-01-20.1")
    closed = kept.root.parent / "closed"
    closed.mkdir()
    (kept.root / "M2").rename(closed / "M2")
    (kept.root / "M2").symlink_to(closed / "M2")
    with unreadable(closed):
        plan = kept.tracker.reconcile()
    assert plan.found.changes == ()
    assert ("unreadable", "M2.2023-01-20.1") in notes(plan)


@pytest.mark.own_rule
@pytest.mark.parametrize("place", ["suite2p", "suite2p/plane0"])
def test_a_loop_of_links_is_told_and_the_rest_goes_on(kept, place):
    kept.add("M2.2023-01-20.1", imaging=True)
    loop = kept.folder("M2.2023-01-20.1") / place
    loop.parent.mkdir(parents=True, exist_ok=True)
    loop.symlink_to(loop)
    kept.add(THREE, imaging=True)
    kept.suite2p(THREE)
    plan = kept.tracker.reconcile()
    assert list(columns(plan)) == [THREE]
    assert ("unreadable", "M2.2023-01-20.1") in notes(plan)


def test_a_link_back_to_the_session_is_not_followed(kept):
    (kept.folder(ONE) / "oneData").mkdir()
    (kept.folder(ONE) / "oneData" / "back").symlink_to(kept.folder(ONE))
    plan = kept.tracker.reconcile()
    assert (plan.found.changes, plan.found.looked_at) == ((), 2)


@pytest.mark.own_rule
@pytest.mark.parametrize("name", ["M 3", "M3(old)", "Mäuse"])
def test_a_name_that_no_mouse_has_is_told_and_the_rest_goes_on(kept, name):
    (kept.root / name / "2023-01-20" / "1").mkdir(parents=True)
    plan = kept.tracker.reconcile()
    assert plan.found.changes == ()
    assert all(kind == "unreadable" for kind, _ in notes(plan))
    assert plan.found.looked_at == 2


def test_a_running_session_is_left_alone(kept):
    kept.add(THREE, **DONE)
    token = "t" * 32
    kept.insert("attempts", [kept.attempt_row(kept.number(THREE), "registration", token)])
    kept.mark(THREE, "registration", None, token)
    plan = kept.tracker.reconcile()
    assert (plan.found.changes, notes(plan)) == ((), [("running", THREE)])


def test_a_scratched_session_is_left_alone(kept):
    kept.add(THREE, **DONE)
    kept.tracker.workflow.scratch(THREE, "laser off")
    assert kept.tracker.reconcile().found.changes == ()
    assert kept.tracker.reconcile(THREE).found.changes == ()


def test_folders_that_the_database_does_not_know_are_counted(kept):
    (kept.root / "M1" / "2023-01-20" / "77").mkdir()
    assert kept.tracker.reconcile().found.unknown == 1


# -- choosing ------------------------------------------------------------------------------------


def test_filters_and_stages_choose_what_is_compared(kept):
    kept.add(THREE, imaging=True, vrRegistration=True)
    kept.suite2p(THREE)
    plan = kept.tracker.reconcile(stages=["suite2p"], sessionID=(2, ">="))
    assert plan.found.looked_at == 2
    (change,) = plan.found.changes
    assert set(change.columns) == {"suite2p", "suite2pDate"}


def test_an_unknown_stage_is_named_with_the_nearest(kept):
    with pytest.raises(UnknownNameError) as caught:
        kept.tracker.reconcile(stages=["suite2"])
    assert caught.value.nearest == ("suite2p",)


# -- plans as files, conflicts, undo ---------------------------------------------------------------


@pytest.fixture
def lost(kept):
    """Add a session whose suite2p is gone."""
    kept.add(THREE, **DONE, vrRegistration=True)
    kept.put(THREE, "oneData/a.b.npy")
    return kept


def test_a_saved_plan_does_the_same(lost, tmp_path):
    plan = lost.tracker.reconcile()
    plan.save(tmp_path / "plan.json")
    loaded = lost.tracker.load_reconciliation(tmp_path / "plan.json")
    assert loaded.found == plan.found
    loaded.apply()
    assert not lost.row(THREE).suite2p


def test_undo_brings_everything_back(lost):
    before = lost.dump()
    plan = lost.tracker.reconcile()
    plan.apply()
    assert lost.states(THREE)["registration"] == "stale"
    plan.undo()
    after = lost.dump()
    assert after["sessions"] == before["sessions"]
    assert lost.states(THREE)["registration"] == "done"
    assert lost.tracker.history(THREE)["reason"].iloc[-1].startswith("undone: ")


def test_a_plan_is_refused_where_somebody_edited_the_row_and_shows_both(lost):
    plan = lost.tracker.reconcile()
    lost.edit(THREE, suite2pDate=naive(LATER))
    before = lost.dump()
    with pytest.raises(ConcurrentUpdateError) as caught:
        plan.apply()
    assert "2023-01-21 09:30:00" in str(caught.value)
    assert "2023-01-22 10:00:00" in str(caught.value)
    assert lost.dump() == before


def test_one_conflict_stops_the_whole_plan(lost):
    lost.edit(ONE, suite2pDate=None)
    plan = lost.tracker.reconcile()
    assert len(plan.found.changes) == 2
    lost.edit(THREE, suite2p=False)
    before = lost.dump()
    with pytest.raises(ConcurrentUpdateError):
        plan.apply()
    assert lost.dump() == before


def test_undo_is_refused_where_somebody_changed_the_row_since(lost):
    plan = lost.tracker.reconcile()
    plan.apply()
    lost.tracker.workflow.complete(THREE, "suite2p")
    before = lost.dump()
    with pytest.raises(ConcurrentUpdateError):
        plan.undo()
    assert lost.dump() == before


def test_a_plan_is_applied_once(lost):
    plan = lost.tracker.reconcile()
    plan.apply()
    with pytest.raises(ConcurrentUpdateError):
        plan.apply()


@pytest.mark.parametrize("meanwhile", ["scratched", "claimed"])
def test_a_plan_is_refused_for_a_session_that_is_taken_meanwhile(lost, meanwhile):
    plan = lost.tracker.reconcile()
    if meanwhile == "scratched":
        lost.tracker.workflow.scratch(THREE, "laser off")
    else:
        token = "t" * 32
        lost.insert("attempts", [lost.attempt_row(lost.number(THREE), "suite2p", token)])
        lost.mark(THREE, "suite2p", None, token)
    with pytest.raises(ConcurrentUpdateError, match=meanwhile):
        plan.apply()


def test_a_plan_for_a_deleted_session_is_refused(lost):
    plan = lost.tracker.reconcile()
    lost.tracker.sessions.delete(THREE)
    with pytest.raises(NotFoundError):
        plan.apply()


def broken_plans(document):
    other = json.loads(json.dumps(document))
    other["changes"][0]["columns"]["mouseName"] = ["M1", "M2"]
    mark = json.loads(json.dumps(document))
    mark["changes"][0]["marks"]["registration"] = [None, "great"]
    return {
        "no json": "{",
        "a list": "[]",
        "another version": json.dumps({**document, "vrtracker_reconcile": 99}),
        "no changes": json.dumps({**document, "changes": None}),
        "a foreign column": json.dumps(other),
        "a foreign mark": json.dumps(mark),
    }


@pytest.mark.own_rule
@pytest.mark.parametrize(
    "case",
    ["no json", "a list", "another version", "no changes", "a foreign column", "a foreign mark"],
)
def test_a_damaged_plan_is_refused(lost, tmp_path, case):
    plan = lost.tracker.reconcile()
    (tmp_path / "plan.json").write_text(broken_plans(plan.found.to_json())[case])
    before = lost.dump()
    with pytest.raises(InvalidValueError):
        lost.tracker.load_reconciliation(tmp_path / "plan.json").apply()
    assert lost.dump() == before


def test_a_flag_that_was_edited_by_hand_is_stored_as_the_column_holds_it(lost, tmp_path):
    document = lost.tracker.reconcile().found.to_json()
    assert document["changes"][0]["columns"]["suite2p"] == [True, False]
    document["changes"][0]["columns"]["suite2p"] = [True, "no"]
    (tmp_path / "plan.json").write_text(json.dumps(document))
    plan = lost.tracker.load_reconciliation(tmp_path / "plan.json")
    plan.apply()
    assert lost.row(THREE).suite2p is False
    plan.undo()
    assert lost.row(THREE).suite2p is True


def test_registering_after_a_plan_was_applied_ends_the_staleness(lost):
    lost.tracker.reconcile().apply()
    lost.suite2p(THREE)
    lost.tracker.reconcile().apply()
    lost.tracker.workflow.run("registration", THREE, registrar=good)
    assert lost.states(THREE)["registration"] == "done"
