"""suite2p's own settings say which of its files are due.

The folders are those that `support.suite2p_output` describes, read off from 0.14.6 and 1.1.0.
"""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path

import numpy as np
import pytest

from support.suite2p_output import save, write_suite2p_0, write_suite2p_1
from vrtracker.errors import RootUnavailableError
from vrtracker.files.probe import FolderProbe, PlaneProbe, probe

DETECTED = ("stat.npy", "F.npy", "Fneu.npy", "iscell.npy", "spks.npy")
WRITERS = [pytest.param(write_suite2p_0, id="0.x"), pytest.param(write_suite2p_1, id="1.x")]
WITHOUT_DETECTION = [
    pytest.param(write_suite2p_0, {"told": {"roidetect": False}}, id="0.x"),
    pytest.param(write_suite2p_1, {"run": {"do_detection": False}}, id="1.x"),
]
WITHOUT_DECONVOLUTION = [
    pytest.param(write_suite2p_0, {"told": {"spikedetect": False}}, id="0.x"),
    pytest.param(write_suite2p_1, {"run": {"do_deconvolution": False}}, id="1.x"),
]


def remove(session: Path, name: str) -> None:
    """Remove a file of every plane."""
    for path in (session / "suite2p").glob(f"plane*/{name}"):
        path.unlink()


def lacking(seen: FolderProbe) -> dict[str, tuple[str, ...]]:
    return {plane.name: plane.missing for plane in seen.suite2p_planes if plane.missing}


def ignored(seen: FolderProbe) -> list[str]:
    return [plane.name for plane in seen.suite2p_planes if plane.ignored]


def set_day(path: Path, day: int) -> None:
    seconds = dt.datetime(2026, 3, day, 12).timestamp()
    os.utime(path, (seconds, seconds))


@pytest.mark.parametrize("write", WRITERS)
def test_output_with_the_default_settings_is_complete(tmp_path, write):
    write(tmp_path)

    seen = probe(tmp_path)

    assert seen.suite2p_planes == tuple(PlaneProbe(f"plane{number}", ()) for number in range(3))
    assert seen.suite2p_complete
    assert not seen.suite2p_doubts


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("number", [0, 2])
def test_plane_that_suite2p_ignored_lacks_nothing(tmp_path, write, number):
    write(tmp_path, ignored=[number])

    seen = probe(tmp_path)

    assert seen.suite2p_complete
    assert ignored(seen) == [f"plane{number}"]
    assert seen.suite2p_worked_on == 2


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize(
    "numbers",
    [np.array([0, 1]), np.array([0, 1], ">i2"), (0, 1), {0, 1}, [np.int64(0), np.uint8(1)]],
)
def test_ignored_planes_may_be_any_list_of_numbers(tmp_path, write, numbers):
    write(tmp_path, ignored=numbers)

    assert ignored(probe(tmp_path)) == ["plane0", "plane1"]


def test_ignored_planes_are_counted_in_natural_order(tmp_path):
    write_suite2p_1(tmp_path, planes=11, ignored=[10])

    seen = probe(tmp_path)

    assert ignored(seen) == ["plane10"]
    assert seen.suite2p_complete


def test_ignored_plane_that_people_removed_makes_no_other_one_ignored(tmp_path):
    write_suite2p_1(tmp_path, ignored=[0])
    for path in (tmp_path / "suite2p" / "plane0").iterdir():
        path.unlink()
    (tmp_path / "suite2p" / "plane0").rmdir()
    (tmp_path / "suite2p" / "plane1" / "F.npy").unlink()

    assert lacking(probe(tmp_path)) == {"plane1": ("F.npy",)}


@pytest.mark.parametrize("write", WRITERS)
def test_ignored_plane_excuses_no_other_one(tmp_path, write):
    write(tmp_path, ignored=[0])
    (tmp_path / "suite2p" / "plane2" / "Fneu.npy").unlink()

    seen = probe(tmp_path)

    assert lacking(seen) == {"plane2": ("Fneu.npy",)}
    assert not seen.suite2p_complete


@pytest.mark.parametrize("write", WRITERS)
def test_output_of_which_every_plane_is_ignored_is_not_complete(tmp_path, write):
    write(tmp_path, ignored=[0, 1, 2])

    seen = probe(tmp_path)

    assert seen.suite2p_worked_on == 0
    assert not seen.suite2p_complete


def test_last_run_of_0_says_which_planes_are_ignored(tmp_path):
    """A run again, now of all planes, that was stopped before it came to the last one."""
    write_suite2p_0(tmp_path, ignored=[2])
    for number in range(3):
        set_day(tmp_path / "suite2p" / f"plane{number}" / "ops.npy", 1)
    again = tmp_path / "suite2p" / "plane1" / "ops.npy"
    save(again, {"ignore_flyback": [], "roidetect": True})
    set_day(again, 2)

    assert lacking(probe(tmp_path)) == {"plane2": DETECTED}


@pytest.mark.parametrize("save_ops_orig", [True, False])
def test_planes_of_1_copied_without_the_folders_own_files_know_who_is_ignored(
    tmp_path, save_ops_orig
):
    write_suite2p_1(tmp_path, ignored=[0], io={"save_ops_orig": save_ops_orig})
    for name in ("db.npy", "settings.npy"):
        (tmp_path / "suite2p" / name).unlink()

    assert ignored(probe(tmp_path)) == ["plane0"]


def test_planes_of_1_need_no_ops_where_it_was_switched_off(tmp_path):
    write_suite2p_1(tmp_path, io={"save_ops_orig": False})

    seen = probe(tmp_path)

    assert seen.suite2p_complete
    assert [plane.spared for plane in seen.suite2p_planes] == [("ops.npy",)] * 3


def test_planes_of_1_that_lack_the_ops_that_they_should_have_are_incomplete(tmp_path):
    write_suite2p_1(tmp_path)
    (tmp_path / "suite2p" / "plane1" / "ops.npy").unlink()

    assert lacking(probe(tmp_path)) == {"plane1": ("ops.npy",)}


def test_planes_of_0_always_have_ops(tmp_path):
    write_suite2p_0(tmp_path)
    remove(tmp_path, "ops.npy")

    assert lacking(probe(tmp_path)) == {f"plane{number}": ("ops.npy",) for number in range(3)}


def test_1_that_was_stopped_before_its_first_plane_lacks_everything(tmp_path):
    write_suite2p_1(tmp_path, ignored=None)
    for name in (*DETECTED, "ops.npy", "reg_outputs.npy", "detect_outputs.npy", "zcorr.npy"):
        remove(tmp_path, name)

    assert set(lacking(probe(tmp_path))) == {"plane0", "plane1", "plane2"}


@pytest.mark.parametrize(("write", "options"), WITHOUT_DETECTION)
def test_output_without_detection_is_complete_where_that_was_switched_off(tmp_path, write, options):
    write(tmp_path, **options)

    seen = probe(tmp_path)

    assert seen.suite2p_complete
    assert set(seen.suite2p_planes[0].spared) == set(DETECTED)
    assert seen.suite2p_modified is not None


@pytest.mark.parametrize("write", WRITERS)
def test_output_without_detection_is_incomplete_where_that_was_on(tmp_path, write):
    write(tmp_path)
    for name in DETECTED:
        remove(tmp_path, name)

    assert set(lacking(probe(tmp_path))) == {"plane0", "plane1", "plane2"}


def test_plane_of_0_without_detection_that_was_not_registered_yet_is_incomplete(tmp_path):
    write_suite2p_0(tmp_path, told={"roidetect": False})
    save(tmp_path / "suite2p" / "plane1" / "ops.npy", {"roidetect": False, "ignore_flyback": []})

    assert set(lacking(probe(tmp_path))) == {"plane1"}


def test_plane_of_1_without_detection_that_was_not_registered_yet_is_incomplete(tmp_path):
    write_suite2p_1(tmp_path, run={"do_detection": False}, io={"save_ops_orig": False})
    (tmp_path / "suite2p" / "plane1" / "reg_outputs.npy").unlink()

    assert set(lacking(probe(tmp_path))) == {"plane1"}


@pytest.mark.parametrize("write", WRITERS)
def test_missing_spikes_are_incomplete_where_deconvolution_was_on(tmp_path, write):
    write(tmp_path)
    remove(tmp_path, "spks.npy")

    assert lacking(probe(tmp_path)) == {f"plane{number}": ("spks.npy",) for number in range(3)}


@pytest.mark.parametrize(("write", "options"), WITHOUT_DECONVOLUTION)
def test_missing_spikes_are_no_loss_where_deconvolution_was_off(tmp_path, write, options):
    """suite2p then writes zeros, which people may remove."""
    write(tmp_path, **options)
    assert probe(tmp_path).suite2p_planes[0] == PlaneProbe("plane0", ())
    remove(tmp_path, "spks.npy")

    seen = probe(tmp_path)

    assert seen.suite2p_complete
    assert seen.suite2p_planes[0].spared == ("spks.npy",)


@pytest.mark.parametrize(("write", "options"), WITHOUT_DECONVOLUTION)
def test_missing_traces_are_incomplete_where_deconvolution_was_off(tmp_path, write, options):
    write(tmp_path, **options)
    remove(tmp_path, "F.npy")

    assert lacking(probe(tmp_path))["plane0"] == ("F.npy",)


def test_empty_settings_make_a_plane_incomplete(tmp_path):
    write_suite2p_1(tmp_path, io={"save_ops_orig": False})
    (tmp_path / "suite2p" / "plane1" / "settings.npy").write_bytes(b"")

    plane = probe(tmp_path).suite2p_planes[1]

    assert (plane.missing, plane.empty) == (("ops.npy",), ("settings.npy",))


@pytest.mark.parametrize("write", WRITERS)
def test_settings_that_cannot_be_understood_are_a_doubt_and_excuse_nothing(tmp_path, write):
    write(tmp_path, ignored=[0])
    for path in (tmp_path / "suite2p").rglob("*.npy"):
        if path.name in {"ops.npy", "db.npy", "settings.npy"}:
            path.write_bytes(path.read_bytes()[:-9])

    seen = probe(tmp_path)

    assert set(lacking(seen)) == {"plane0"}
    assert seen.suite2p_doubts
    assert all("nothing in it was run" in doubt for doubt in seen.suite2p_doubts)
    assert len(set(seen.suite2p_doubts)) == len(seen.suite2p_doubts)


@pytest.mark.parametrize(
    ("write", "options", "named"),
    [
        pytest.param(write_suite2p_0, {"told": {"roidetect": "no"}}, "roidetect", id="0.x"),
        pytest.param(
            write_suite2p_1, {"run": {"do_detection": "no"}}, "run.do_detection", id="1.x"
        ),
    ],
)
def test_switch_that_is_none_is_a_doubt(tmp_path, write, options, named):
    write(tmp_path, **options)
    remove(tmp_path, "stat.npy")

    seen = probe(tmp_path)

    assert lacking(seen)["plane0"] == ("stat.npy",)
    assert f"{named} in " in seen.suite2p_doubts[0]


@pytest.mark.parametrize("numbers", [["0"], [0.5], np.array(["0"]), np.array([0.0])])
def test_ignored_planes_that_are_no_numbers_are_a_doubt(tmp_path, numbers):
    write_suite2p_1(tmp_path)
    save(tmp_path / "suite2p" / "db.npy", {"ignore_flyback": numbers})
    remove(tmp_path, "stat.npy")

    seen = probe(tmp_path)

    assert set(lacking(seen)) == {"plane0", "plane1", "plane2"}
    assert "ignore_flyback in " in seen.suite2p_doubts[0]


@pytest.mark.parametrize("write", WRITERS)
def test_settings_are_not_opened_where_nothing_is_missing(tmp_path, write):
    write(tmp_path)
    for path in (tmp_path / "suite2p").rglob("*.npy"):
        path.write_bytes(b"no such format")

    seen = probe(tmp_path)

    assert seen.suite2p_complete
    assert not seen.suite2p_doubts


def test_ignored_planes_are_not_asked_for_where_other_settings_explain_all(tmp_path):
    write_suite2p_1(tmp_path, io={"save_ops_orig": False})
    for path in (tmp_path / "suite2p").rglob("db.npy"):
        path.write_bytes(b"no such format")

    seen = probe(tmp_path)

    assert seen.suite2p_complete
    assert not seen.suite2p_doubts


def test_settings_that_may_not_be_read_are_not_taken_for_none(plain_user_folder):
    write_suite2p_1(plain_user_folder, io={"save_ops_orig": False})
    (plain_user_folder / "suite2p" / "plane1" / "settings.npy").chmod(0)

    with pytest.raises(RootUnavailableError, match=r"settings\.npy.*Permission denied"):
        probe(plain_user_folder)


def test_combined_view_and_files_of_other_systems_are_no_planes(tmp_path):
    write_suite2p_1(tmp_path)
    (tmp_path / "suite2p" / "combined").mkdir()
    for name in (".DS_Store", "plane0/.DS_Store", "plane0/._F.npy", "ops1.npy"):
        (tmp_path / "suite2p" / name).write_bytes(b"")

    seen = probe(tmp_path)

    assert len(seen.suite2p_planes) == 3
    assert seen.suite2p_complete


def test_settings_count_as_files_of_suite2p(tmp_path):
    write_suite2p_1(tmp_path, run={"do_detection": False}, io={"save_ops_orig": False})
    for path in (tmp_path / "suite2p").rglob("*.npy"):
        set_day(path, 1)
    set_day(tmp_path / "suite2p" / "plane2" / "reg_outputs.npy", 3)

    assert probe(tmp_path).suite2p_modified == dt.datetime(2026, 3, 3, 12)
