"""A probe tells what a session's folder holds."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path

import pytest

from vrtracker.errors import RootUnavailableError
from vrtracker.files.probe import FolderProbe, PlaneProbe, probe

REQUIRED = ("stat", "ops", "F", "Fneu", "iscell", "spks")


@pytest.fixture
def plane(tmp_path, put):
    def make(name: str = "plane0", *, without: str = "") -> Path:
        folder = tmp_path / "suite2p" / name
        folder.mkdir(parents=True)
        for file in REQUIRED:
            if file != without:
                put(folder / f"{file}.npy")
        return folder

    return make


def set_time(path: Path, *parts: int) -> None:
    seconds = dt.datetime(*parts).timestamp()
    os.utime(path, (seconds, seconds))


def test_missing_folder_does_not_exist(tmp_path):
    assert probe(tmp_path / "702") == FolderProbe(exists=False)


def test_file_is_no_session_folder(tmp_path, put):
    assert not probe(put(tmp_path / "702")).exists


def test_empty_folder_holds_nothing(tmp_path):
    assert probe(tmp_path) == FolderProbe(exists=True)


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("2023-01-20_702_ATL012_Timeline.mat", "timeline"),
        ("2023-01-20_702_ATL012_VRBehavior_trial.mat", "behaviour"),
        ("2023-01-20_702_ATL012_eye.mj2", "face_camera"),
    ],
)
def test_recordings_are_told_by_name(tmp_path, put, name, field):
    put(tmp_path / name)

    assert probe(tmp_path) == FolderProbe(exists=True, **{field: True})


@pytest.mark.parametrize("name", ["._x_Timeline.mat", "Timeline.mat", "x_Timeline.mat.part"])
def test_other_names_are_no_recordings(tmp_path, put, name):
    put(tmp_path / name)

    assert not probe(tmp_path).timeline


def test_whole_plane_is_complete(tmp_path, plane):
    plane()

    seen = probe(tmp_path)

    assert seen.suite2p_planes == (PlaneProbe("plane0", ()),)
    assert seen.suite2p_complete


@pytest.mark.parametrize("name", REQUIRED)
def test_missing_file_is_named(tmp_path, plane, name):
    plane("plane0")
    plane("plane1", without=name)

    seen = probe(tmp_path)

    assert [item.missing for item in seen.suite2p_planes] == [(), (f"{name}.npy",)]
    assert not seen.suite2p_complete


@pytest.mark.parametrize("name", ["F.npy", "redcell.npy"])
def test_empty_file_makes_a_plane_incomplete(tmp_path, plane, put, name):
    put(plane() / name, b"")

    seen = probe(tmp_path)

    assert seen.suite2p_planes[0].empty == (name,)
    assert not seen.suite2p_complete


def test_empty_label_of_tracking_does_not_matter(tmp_path, plane, put):
    put(plane() / "roicat_test_label_1.npy", b"")

    assert probe(tmp_path).suite2p_complete


def test_folder_without_planes_is_not_complete(tmp_path):
    (tmp_path / "suite2p" / "combined").mkdir(parents=True)

    assert not probe(tmp_path).suite2p_complete


def test_planes_are_ordered_by_number(tmp_path, plane, put):
    for name in ("plane10", "plane2", "plane0"):
        plane(name)
    put(tmp_path / "suite2p" / "plane3")

    assert [item.name for item in probe(tmp_path).suite2p_planes] == ["plane0", "plane2", "plane10"]


def test_modified_is_the_latest_local_time_of_suite2p_files(tmp_path, plane, put):
    for path in (*plane("plane0").iterdir(), *plane("plane1").iterdir()):
        set_time(path, 2023, 1, 21, 10)
    put(tmp_path / "suite2p" / "plane0" / "Fneu_chan2.npy")
    set_time(tmp_path / "suite2p" / "plane0" / "Fneu_chan2.npy", 2023, 7, 1, 23, 30, 15)

    assert probe(tmp_path).suite2p_modified == dt.datetime(2023, 7, 1, 23, 30, 15)


def test_labels_of_tracking_do_not_count_as_modified(tmp_path, plane, put):
    folder = plane()
    for path in folder.iterdir():
        set_time(path, 2023, 1, 21, 10)
    put(folder / "roicat_test_label_1.npy")

    assert probe(tmp_path).suite2p_modified == dt.datetime(2023, 1, 21, 10)


def test_modified_is_none_without_files(tmp_path):
    (tmp_path / "suite2p" / "plane0").mkdir(parents=True)

    seen = probe(tmp_path)

    assert seen.suite2p_modified is None
    assert len(seen.suite2p_planes[0].missing) == len(REQUIRED)


def test_one_data_is_counted_in_depth(tmp_path, put):
    put(tmp_path / "oneData" / "licks.times.npy", b"123")
    put(tmp_path / "oneData" / "#v1#" / "licks.times.npy", b"45")
    put(tmp_path / "oneData" / ".DS_Store", b"678")
    (tmp_path / "oneData" / "loop").symlink_to(tmp_path, target_is_directory=True)

    seen = probe(tmp_path)

    assert [size for size, _ in seen.output.values()] == [3, 2]


@pytest.mark.parametrize("name", ["suite2p", "oneData"])
def test_file_in_the_place_of_a_folder_is_nothing(tmp_path, put, name):
    put(tmp_path / name)

    assert probe(tmp_path) == FolderProbe(exists=True)


def test_unreadable_folder_is_not_taken_for_an_empty_one(plain_user_folder):
    (plain_user_folder / "suite2p").mkdir(mode=0)

    with pytest.raises(RootUnavailableError, match="Permission denied"):
        probe(plain_user_folder)


@pytest.mark.parametrize("place", ["suite2p", "suite2p/plane0", "oneData"])
def test_link_to_a_drive_that_is_not_mounted_is_not_taken_for_nothing(tmp_path, place):
    link = tmp_path / place
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(tmp_path / "unmounted")

    with pytest.raises(RootUnavailableError, match=link.name):
        probe(tmp_path)
