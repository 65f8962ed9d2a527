"""The demo lab is a small real lab: whole, the same each time, and harmless to make again."""

from __future__ import annotations

import datetime as dt
import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest

from vrtracker.demo_lab import make_demo_lab
from vrtracker.errors import ConfigurationError, InvalidValueError
from vrtracker.files.alf import find_alf_files, load, read_npy_header
from vrtracker.files.layout import SessionFolders
from vrtracker.files.scan import scan
from vrtracker.files.suite2p_settings import SavedSettings, read_rois


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    return make_demo_lab(tmp_path_factory.mktemp("demo") / "lab")


@pytest.fixture(scope="module")
def probes(lab):
    return {session.key: session.probe for session in scan(lab.root).found}


def state(root: Path) -> dict[str, tuple[str, int]]:
    return {
        path.relative_to(root).as_posix(): (
            hashlib.sha256(path.read_bytes()).hexdigest(),
            path.stat().st_mtime_ns,
        )
        for path in root.rglob("*")
        if path.is_file()
    }


def test_scan_finds_just_the_sessions_of_the_lab(lab):
    result = scan(lab.root)

    assert tuple(session.key for session in result.found) == lab.keys
    assert result.skipped == ()
    assert len(lab.keys) == 12


def test_mice_are_those_of_the_sessions(lab):
    assert [mouse["mouseName"] for mouse in lab.mice] == sorted({key.mouse for key in lab.keys})


def test_mice_have_their_attributes(lab):
    names = ["mouseName", "sex", "dateOfBirth", "genotype", "strain", "KO", "notes"]
    for mouse in lab.mice:
        assert list(mouse) == names
        assert isinstance(mouse["dateOfBirth"], dt.date)


def test_mice_are_the_callers_own(lab, tmp_path):
    lab.mice[0]["notes"] = "edited"

    assert make_demo_lab(tmp_path).mice[0]["notes"] != "edited"


def test_every_session_has_its_recordings(probes):
    assert all(probe.timeline and probe.behaviour for probe in probes.values())
    assert sum(probe.face_camera for probe in probes.values()) == 2


def test_suite2p_is_complete_but_for_two_sessions(lab, probes):
    without = {key for key, probe in probes.items() if not probe.suite2p_complete}

    assert without == {lab.without_suite2p, lab.without_imaging}
    assert all(not probes[key].suite2p_planes for key in without)


def test_suite2p_was_run_after_the_session(lab, probes):
    modified = probes[lab.keys[0]].suite2p_modified

    assert modified.date() - lab.keys[0].date >= dt.timedelta(days=1)


def test_imaging_data_are_where_there_was_imaging(lab):
    folders = SessionFolders(lab.root)
    mpci = {
        key: any("mpci" in file.rel_path for file in find_alf_files(folders.find(key)))
        for key in lab.keys
    }

    assert [key for key, has in mpci.items() if not has] == [lab.without_imaging]


def test_exactly_one_file_of_the_broken_session_is_broken(lab):
    folders = SessionFolders(lab.root)
    broken = {}
    for key in lab.keys:
        for file in find_alf_files(folders.find(key)):
            try:
                read_npy_header(folders.find(key) / file.rel_path)
            except InvalidValueError as error:
                broken[key, file.rel_path] = str(error)

    assert list(broken) == [(lab.broken, "oneData/licks.times.npy")]
    assert "licks.times.npy is truncated" in next(iter(broken.values()))


def test_arrays_are_readable_and_nothing_in_them_is_run(lab):
    folder = SessionFolders(lab.root).find(lab.keys[0])

    for path in folder.rglob("*.npy"):
        if path.name == "stat.npy":  # Objects, as suite2p writes them; our reader runs nothing.
            rois = read_rois(path)
            assert len(rois) == len(load(path.with_name("F.npy")))
            assert all(len(each["xpix"]) == len(each["lam"]) for each in rois)
        elif path.name == "ops.npy":
            assert SavedSettings.read(str(path)).number("nplanes") == 2
        else:
            assert load(path).dtype.hasobject is False


def test_arrays_of_one_object_have_the_same_length(lab):
    folder = SessionFolders(lab.root).find(lab.keys[0])
    lengths: dict[str, set[int]] = {}
    for file in find_alf_files(folder):
        table = Path(file.rel_path).name.split(".")[0]
        if "Manual" not in file.rel_path:
            lengths.setdefault(table, set()).add(len(load(folder / file.rel_path)))

    assert all(len(found) == 1 for found in lengths.values()), lengths
    rois = sum(len(np.load(path)) for path in folder.glob("suite2p/*/F.npy"))
    assert lengths["mpciROIs"] == {rois}


def test_timeline_is_a_matlab_file(lab):
    folder = SessionFolders(lab.root).find(lab.keys[0])
    content = next(folder.glob("*_Timeline.mat")).read_bytes()

    found, at = {}, 0
    while at < len(content):
        kind, rows, columns, imaginary, length = struct.unpack_from("<5i", content, at)
        assert (kind, imaginary) == (0, 0)
        name = content[at + 20 : at + 20 + length].rstrip(b"\0").decode()
        at += 20 + length
        values = np.frombuffer(content, "<f8", rows * columns, at)
        found[name] = values.reshape((rows, columns), order="F")
        at += values.nbytes

    assert set(found) == {"rawDAQTimestamps", "rawDAQData"}
    assert (np.diff(found["rawDAQTimestamps"][0]) > 0).all()


def test_same_seed_makes_the_same_lab(lab, tmp_path):
    make_demo_lab(tmp_path / "again")

    assert state(tmp_path / "again") == state(lab.root) | _marker(tmp_path / "again")


def _marker(root: Path) -> dict[str, tuple[str, int]]:
    return {name: value for name, value in state(root).items() if name.startswith(".")}


def test_other_seed_makes_other_data(lab, tmp_path):
    make_demo_lab(tmp_path / "other", seed=8)

    here, there = state(lab.root), state(tmp_path / "other")
    assert here.keys() == there.keys()
    assert here != there


@pytest.mark.parametrize("seed", [7, 8])
def test_making_it_again_changes_nothing(tmp_path, seed):
    first = make_demo_lab(tmp_path)
    before = state(tmp_path)

    second = make_demo_lab(tmp_path, seed=seed)

    assert second == first
    assert state(tmp_path) == before


def test_making_it_again_mends_what_is_missing_and_leaves_what_was_edited(tmp_path):
    lab = make_demo_lab(tmp_path)
    before = state(tmp_path)
    folder = SessionFolders(tmp_path).find(lab.broken)
    (folder / "oneData" / "licks.times.npy").write_bytes(b"mended")
    missing = folder / "suite2p" / "plane1" / "F.npy"
    missing.unlink()

    make_demo_lab(tmp_path)

    assert (folder / "oneData" / "licks.times.npy").read_bytes() == b"mended"
    name = missing.relative_to(tmp_path).as_posix()
    assert state(tmp_path)[name] == before[name]


def test_lab_is_small(lab):
    assert sum(path.stat().st_size for path in lab.root.rglob("*") if path.is_file()) < 6e6


def test_folder_with_something_else_is_refused(tmp_path):
    (tmp_path / "thesis.docx").write_bytes(b"")

    with pytest.raises(ConfigurationError, match="something else than a demo lab"):
        make_demo_lab(tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == ["thesis.docx"]


def test_file_is_refused(tmp_path):
    (tmp_path / "lab").write_bytes(b"")

    with pytest.raises(ConfigurationError, match="something else than a demo lab"):
        make_demo_lab(tmp_path / "lab")


def test_place_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(ConfigurationError, match="cannot be written"):
        make_demo_lab(tmp_path / "file" / "lab")
