"""Sessions go out as NWB and come back; of a wrong file all problems are listed."""

from __future__ import annotations

import json
import sqlite3
import warnings
from pathlib import Path

import numpy as np
import pytest

from support.nwb import FRAMES, KEY, fill, fill_beside, write_plane
from support.rigs import a_rig
from support.workflow_lab import WorkflowLab
from vrtracker.errors import ConcurrentUpdateError, ImportFileError, InvalidValueError

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    h5py = pytest.importorskip("h5py")
    pynwb = pytest.importorskip("pynwb")
from vrtracker.interop.nwb import export_many, export_nwb, import_nwb


@pytest.fixture
def lab(backend, tmp_path):
    with WorkflowLab.on(backend, tmp_path / "root") as made:
        yield made


@pytest.fixture
def written(lab, tmp_path):
    """A session written as NWB: its folder and the file."""
    folder = fill(lab)
    made = export_nwb(lab.tracker, KEY, tmp_path / "out.nwb")
    assert (made.series, made.tables, made.trials, made.planes) == (4, 5, 3, 2)
    assert [path for path, _ in made.left_out] == [
        "oneData/empty.values.npy",
        "oneData/licks.notes.csv",
    ]
    return folder, made.path


@pytest.fixture
def other(backend, tmp_path):
    """A lab without a mouse."""
    with WorkflowLab(backend.migrated_url(), tmp_path / "other", has_mice=True) as made:
        yield made


def test_file_is_valid_and_holds_what_is_known(written):
    folder, path = written

    assert pynwb.validate(path=str(path)) == []
    assert [p.name for p in path.parent.iterdir() if ".part" in p.name] == []
    with pynwb.NWBHDF5IO(str(path), "r") as io:
        file = io.read()
        assert file.session_id == "M1_2026-03-02_701"
        assert (file.subject.subject_id, file.subject.sex) == ("M1", "F")
        assert file.subject.date_of_birth.date().isoformat() == "2025-12-01"
        assert "licks" in file.devices["b2"].description
        series = file.acquisition["mpci.roiActivityF"]
        assert (series.rate, series.starting_time, series.timestamps) == (10.0, 0.0, None)
        wheel = file.acquisition["wheel.position"]
        np.testing.assert_array_equal(
            wheel.timestamps[:], np.load(folder / "oneData" / "wheel.times.npy")
        )
        assert list(file.trials["choice"][:]) == [1, -1, 1]
        ophys = file.processing["ophys"]
        for number in range(2):
            plane = folder / "suite2p" / f"plane{number}"
            for kind, name in (
                ("Fluorescence", "F"),
                ("Neuropil", "Fneu"),
                ("Deconvolved", "spks"),
            ):
                traces = ophys[kind][f"plane{number}"]
                np.testing.assert_array_equal(traces.data[:].T, np.load(plane / f"{name}.npy"))
                assert (traces.rate, len(traces.data)) == (10.0, FRAMES)
            stat = np.load(plane / "stat.npy", allow_pickle=True)
            masks = ophys["ImageSegmentation"][f"plane{number}"]
            for roi, mask in zip(stat, masks["pixel_mask"][:], strict=True):
                assert [m[0] for m in mask] == list(roi["xpix"])
                assert [m[1] for m in mask] == list(roi["ypix"])
                np.testing.assert_array_equal(
                    np.array([m[2] for m in mask], dtype=np.float32), roi["lam"]
                )


def test_inspector_finds_nothing_critical(lab, written):
    inspector = pytest.importorskip("nwbinspector")
    fill_beside(lab)
    export_nwb(lab.tracker, KEY, written[1], overwrite=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = list(inspector.inspect_nwbfile(nwbfile_path=str(written[1])))

    names = {each.importance.name: each.message for each in found}
    assert {"CRITICAL", "ERROR", "PYNWB_VALIDATION"} & names.keys() == set(), names


def test_session_comes_back_in_another_database(lab, other, written):
    folder, path = written
    fill_beside(lab)
    made = export_nwb(lab.tracker, KEY, path, overwrite=True)
    assert (made.trials, made.experiments, pynwb.validate(path=str(path))) == (3, 3, [])
    plan = import_nwb(other.tracker, path, KEY)
    assert (plan.problems, plan.mouse, plan.session, plan.rig) == ((), True, True, True)
    assert plan.beside == {"experiments": 3, "masks": 1, "tracking": 1}
    assert not other.folder(KEY).exists()
    plan.apply()

    def rows(of):
        session = {
            name: getattr(of.row(KEY), name)
            for name in of.row(KEY).__slots__
            if name != "uSessionID"
        }
        mouse = of.tracker.mice.get("M1")
        files = [
            (each.path, each.size, each.sha256)
            for each in of.tracker.datasets.list(KEY)
            if each.path.endswith(".npy") and "empty" not in each.path
        ]
        values = {
            name: getattr(mouse, name) for name in ("sex", "dateOfBirth", "genotype", "notes")
        }
        beside = of.tracker.experiments.whole(), of.tracker.experiments.frame.records()
        stored = of.dump(KEY)
        for name, number in (("masks", "mask_id"), ("tracking", "tracking_id")):
            beside += ([row | {"uSessionID": 0, number: 0} for row in stored[name]],)
        (run,) = of.tracker.tracking.runs("M1")
        beside += (run.run, run.sessions, run.stale)
        return session, values, files, of.tracker.rigs.of(KEY).content, beside

    assert rows(other) == rows(lab)
    assert other.tracker.masks.get(KEY, "licking")[1].tolist()[1] > 0
    events = other.tracker.events(20)
    assert events["operation_id"].nunique() == 1
    for name in plan.new:
        assert (other.folder(KEY) / name).read_bytes() == (folder / name).read_bytes()
    again = import_nwb(other.tracker, path, KEY)
    assert (again.new, len(again.same), again.session) == ((), len(plan.new), False)


def test_trials_of_experiments_are_tables_that_other_tools_read(lab, written, tmp_path):
    """The first experiment is the file's trials, where no array says them."""
    fill_beside(lab)
    for file in (written[0] / "oneData").glob("trials.*"):
        file.unlink()

    made = export_nwb(lab.tracker, KEY, tmp_path / "experiments.nwb")

    assert (made.trials, made.experiments) == (3, 3)
    with pynwb.NWBHDF5IO(str(made.path), "r") as io:
        file = io.read()
        trials = file.trials.to_dataframe()
        second = file.intervals["experiment_2"]
        assert list(second["stop_time"][:]) == [12 * 3600 + 0.123456]
    noon = 12 * 3600
    assert trials["stop_time"].tolist() == [noon + n + 0.123456 for n in range(3)]
    assert trials["start_time"].tolist()[1:] == trials["stop_time"].tolist()[:-1]
    assert trials["side"].tolist() == ["left"] * 3
    assert trials["id_"].tolist() == ["007"] * 3
    assert trials["hit"].tolist() == [0, 1, 0]
    assert np.isnan(trials["late"][0])
    assert trials["kind"].tolist() == ["3", "naïve", "naïve"]
    assert trials["laser"].tolist() == [True] * 3


SQLITE = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)


@SQLITE
def test_genotype_of_blinded_mice_is_not_written_unless_asked_for(lab, tmp_path):
    lab.add(KEY)
    lab.tracker.mice.update({"Blinded": True, "genotype": "Secret"}, mouseName="M1")

    export_nwb(lab.tracker, KEY, tmp_path / "blind.nwb")
    export_nwb(lab.tracker, KEY, tmp_path / "seen.nwb", show_blinded=True)

    assert b"Secret" not in (tmp_path / "blind.nwb").read_bytes()
    assert b"Secret" in (tmp_path / "seen.nwb").read_bytes()


class Trap:
    """A pickle of it makes a file."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return Path.touch, (Path(self.path),)


@SQLITE
def test_rois_that_would_run_code_are_left_out(lab, tmp_path):
    lab.add(KEY)
    plane = lab.folder(KEY) / "suite2p" / "plane0"
    write_plane(plane, 3, np.random.default_rng(1))
    np.save(plane / "stat.npy", np.array([Trap(tmp_path / "ran")], dtype=object), allow_pickle=True)

    made = export_nwb(lab.tracker, KEY, tmp_path / "out.nwb")

    assert (made.planes, made.left_out[0][0]) == (0, "suite2p/plane0")
    assert "nothing in it was run" in made.left_out[0][1]
    assert not (tmp_path / "ran").exists()


@SQLITE
def test_batch_passes_over_what_is_there_and_goes_on_after_a_failure(lab, tmp_path):
    keys = [f"M1.2026-03-02.{number}" for number in (701, 702, 703)]
    for key in keys:
        lab.add(key)
    seen = []
    first, _, _ = export_many(lab.tracker, tmp_path / "out", sessionID=701)
    (tmp_path / "out" / "M1" / "M1_2026-03-02_702.nwb").mkdir()

    written, passed, failed = export_many(
        lab.tracker, tmp_path / "out", overwrite=False, progress=lambda *each: seen.append(each[:2])
    )

    assert [each.path.name for each in (*first, *written)] == [
        "M1_2026-03-02_701.nwb",
        "M1_2026-03-02_703.nwb",
    ]
    assert (len(passed), failed, seen) == (2, [], [(1, 3), (2, 3), (3, 3)])
    with pytest.raises(InvalidValueError, match="there already"):
        export_nwb(lab.tracker, KEY, first[0].path)


@SQLITE
def test_whatever_nwb_refuses_is_one_error_of_ours_and_the_others_are_written(lab, tmp_path):
    from support.command_line import run

    for number in (701, 702):
        lab.add(f"M1.2026-03-02.{number}")
    lab.tracker.rigs.set(KEY, lab.tracker.rigs.add(a_rig(), name=".").name)  # HDF5's own group

    with pytest.raises(InvalidValueError, match=f"{KEY} cannot be written as NWB"):
        export_nwb(lab.tracker, KEY, tmp_path / "out.nwb")
    result = run("--url", lab.url, "--root", lab.root, "export", "nwb-all", tmp_path, "--json")

    told = json.loads(result.stdout)
    assert (result.exit_code, len(told["written"])) == (3, 1)
    assert [each["key"] for each in told["failed"]] == [KEY]
    with pytest.raises(InvalidValueError, match=r"end in \.nwb"):
        export_nwb(lab.tracker, KEY, tmp_path / "x.txt")


@SQLITE
def test_texts_that_hdf5_does_not_keep_are_escaped_and_come_back(lab, other, tmp_path):
    """Old rows may hold them; so may the name of a rig what NWB refuses in names."""
    from contextlib import closing

    np.save(fill(lab) / "oneData" / "names.note.npy", np.array(["a\0b", "c"]))
    lab.tracker.experiments.setup(session=KEY, experiment="a")
    trial = {"parameters": {"p": "x"}, "outcomes": {"o": "y"}}
    lab.tracker.experiments.record("a", [trial], log=False)
    lab.tracker.rigs.set(KEY, lab.tracker.rigs.add(a_rig(version="9"), name="b:2/a").name)
    with closing(sqlite3.connect(lab.tracker.database.url.database)) as old:
        old.execute("update sessiondb set sessionNotes = 'a' || char(0) || 'b'")
        texts = [json.dumps([["p\0", "x\0z"]]), json.dumps([["o", "\ud800"]])]
        old.execute("update vrt_trial set parameters = ?, outcomes = ?", texts)
        old.commit()

    made = export_nwb(lab.tracker, KEY, tmp_path / "out.nwb")

    assert any("names.note" in path and "NUL" in why for path, why in made.left_out)
    assert pynwb.validate(path=str(made.path)) == []
    with pynwb.NWBHDF5IO(str(made.path), "r") as io:
        file = io.read()
        assert (file.notes, "b_2_a" in file.devices) == ("a\\x00b", True)
        trials = file.intervals["experiment_1"]
        assert (trials["p\\x00"][0], trials["o"][0]) == ("x\\x00z", "\\ud800")
    plan = import_nwb(other.tracker, made.path, KEY)
    (back,) = plan._content.beside.experiments
    assert back.trials[0].parameters == (("p\0", "x\0z"),)


@SQLITE
def test_import_tells_a_rig_that_has_another_version_here(lab, other, written, tmp_path):
    from support.command_line import good

    lab.tracker.rigs.set(KEY, lab.tracker.rigs.add(a_rig(version="9")).name)
    export_nwb(lab.tracker, KEY, tmp_path / "second.nwb")

    plan = import_nwb(other.tracker, tmp_path / "second.nwb", KEY)
    assert plan.notes == ("The rig b2@2 there is b2@1 here.",)
    assert plan.notes[0] in str(plan)
    options = ("--url", other.url, "--root", other.root, "import", "nwb", plan.path)
    assert plan.notes[0] in good(*options, "--session", KEY, "--dry-run")
    plan.apply()
    assert other.tracker.rigs.of(KEY).name == "b2@1"


def spoil_group(file, _):
    del file["acquisition"]
    del file["session_start_time"]
    return ["/acquisition is missing", "/session_start_time is missing"]


def spoil_external(file, outside):
    with h5py.File(outside, "w") as secret:
        secret["data"] = np.arange(3)
    file["acquisition/out"] = h5py.ExternalLink(str(outside), "/data")
    file["acquisition/via"] = h5py.SoftLink("/acquisition/out")
    outside.unlink()
    outside.mkdir()
    return ["/acquisition/out leads out of the file", "/acquisition/via leads out of the file"]


def spoil_storage(file, outside):
    Path(outside).write_bytes(b"\0" * 64)
    file["acquisition"].create_dataset(
        "raw", shape=(8,), dtype="f8", external=[(str(outside), 0, 64)]
    )
    return ["The data of /acquisition/raw are outside of the file"]


def spoil_size(file, _):
    file["acquisition"].create_dataset("huge", shape=(10**12,), dtype="f8", chunks=(1000,))
    return ["/acquisition/huge promises 8000000000000 bytes"]


def spoil_references(file, _):
    ref = file["acquisition/wheel.position"].ref
    file["scratch/dangling"] = np.array([ref, h5py.Reference()], dtype=h5py.ref_dtype)
    file["acquisition/wheel.turns"].attrs["points"] = h5py.Reference()
    file["acquisition/nowhere"] = h5py.SoftLink("/gone")
    return [
        "/scratch/dangling refers to an object that is not there",
        "points of /acquisition/wheel.turns refers to an object",
        "/acquisition/nowhere is a link to /gone",
    ]


def spoil_message(beside):
    beside["experiments"][0]["messages"][0]["body"] = "{}"


def spoil_trial(beside):
    beside["experiments"][0]["trials"][0]["parameters"] = [["x", [1]]]


def spoil_mask(beside):
    beside["masks"][0]["content"] = "no JSON"


def spoil_folder(beside):
    beside["tracking"][0]["folder"] = "../../etc"


def spoil_column(beside):
    del beside["masks"][0]["mask_name"]


@SQLITE
@pytest.mark.parametrize(
    "spoil",
    [spoil_message, spoil_trial, spoil_mask, spoil_folder, spoil_column],
    ids=lambda f: f.__name__,
)
def test_rows_that_were_tampered_with_are_one_problem(lab, other, written, spoil):
    fill_beside(lab)
    export_nwb(lab.tracker, KEY, written[1], overwrite=True)
    with h5py.File(written[1], "a") as file:
        told = json.loads(file["scratch/vrtracker"][()])
        spoil(told["beside"])
        file["scratch/vrtracker"][()] = json.dumps(told)

    plan = import_nwb(other.tracker, written[1], KEY)

    assert len(plan.problems) == 1
    assert "/scratch is damaged" in plan.problems[0]


@SQLITE
def test_an_import_that_the_database_refuses_leaves_nothing(lab, other, written):
    """Another experiment of that id came to be since the file was looked at."""
    fill_beside(lab)
    export_nwb(lab.tracker, KEY, written[1], overwrite=True)
    plan = import_nwb(other.tracker, written[1], KEY)
    other.tracker.experiments.setup("another", experiment="b")
    before = other.dump()

    with pytest.raises(ConcurrentUpdateError):
        plan.apply()

    assert other.dump() == before
    assert not other.folder(KEY).exists()
    assert "'another' here" in import_nwb(other.tracker, written[1], KEY).problems[0]


@SQLITE
def test_an_import_says_how_it_is_taken_back(other, written):
    import_nwb(other.tracker, written[1], KEY).apply()

    problems = other.tracker.undo(last=True).problems
    assert any(f"vrtracker sessions delete {KEY}" in each for each in problems)


@SQLITE
@pytest.mark.parametrize(
    "spoil",
    [spoil_group, spoil_external, spoil_storage, spoil_size, spoil_references],
    ids=lambda f: f.__name__,
)
def test_every_problem_of_a_file_is_listed_and_nothing_is_written(other, written, tmp_path, spoil):
    with h5py.File(written[1], "a") as file:
        expected = spoil(file, tmp_path / "outside")
    before = other.dump()

    plan = import_nwb(other.tracker, written[1], KEY)

    for problem in expected:
        assert any(problem in each for each in plan.problems), plan.problems
    assert len(plan.problems) == len(expected)
    with pytest.raises(ImportFileError):
        plan.apply()
    assert other.dump() == before
    assert not other.folder(KEY).exists()


@SQLITE
def test_what_is_no_nwb_is_one_problem(other, written, tmp_path):
    whole = written[1].read_bytes()
    cases = {"cut.nwb": whole[: len(whole) // 2], "text.nwb": b"no HDF5", "empty.nwb": b""}
    for name, content in cases.items():
        (tmp_path / name).write_bytes(content)

    for name in (*cases, "none.nwb"):
        (problem,) = import_nwb(other.tracker, tmp_path / name, KEY).problems
        assert problem.startswith(str(tmp_path / name))
        assert "unable" not in problem.lower()


@SQLITE
def test_a_file_that_cannot_be_written_is_one_error_of_ours(lab, written, tmp_path):
    for place in (tmp_path / "no" / "folder.nwb", Path("/dev/full") / "x.nwb"):
        with pytest.raises(InvalidValueError) as refused:
            export_nwb(lab.tracker, KEY, place)
        assert f"{place} cannot be written" in str(refused.value)
        assert "nable to" not in str(refused.value)


@SQLITE
def test_file_of_another_mouse_or_other_content_is_refused(lab, other, written):
    assert "It is of M1" in import_nwb(other.tracker, written[1], "M2.2026-03-02.701").problems[0]
    np.save(written[0] / "oneData" / "wheel.position.npy", np.zeros(40))
    assert import_nwb(lab.tracker, written[1], KEY).problems == (
        "oneData/wheel.position.npy is there already, and holds something else.",
    )


@SQLITE
def test_foreign_file_becomes_alf_files(other, tmp_path):
    import datetime as dt

    from pynwb.behavior import Position, SpatialSeries

    start = dt.datetime(2026, 3, 2, tzinfo=dt.UTC)
    file = pynwb.NWBFile(
        session_description="from elsewhere", identifier="id", session_start_time=start
    )
    file.add_acquisition(
        pynwb.TimeSeries(
            name="lick port", data=np.arange(4.0), unit="V", rate=2.0, starting_time=1.0
        )
    )
    file.add_trial(start_time=0.0, stop_time=1.0)
    place = SpatialSeries(
        name="head", data=np.ones((3, 2)), timestamps=[0.0, 0.5, 1.5], reference_frame="cage"
    )
    file.create_processing_module(name="behavior", description="b").add(
        Position(spatial_series=place)
    )
    with pynwb.NWBHDF5IO(str(tmp_path / "foreign.nwb"), "w") as io:
        io.write(file)

    import_nwb(other.tracker, tmp_path / "foreign.nwb", KEY).apply()

    one = other.folder(KEY) / "oneData"
    assert {path.name: np.load(path).tolist() for path in one.iterdir()} == {
        "lickPort.values.npy": [0.0, 1.0, 2.0, 3.0],
        "lickPort.times.npy": [1.0, 1.5, 2.0, 2.5],
        "trials.intervals.npy": [[0.0, 1.0]],
        "head.values.npy": [[1.0, 1.0]] * 3,
        "head.times.npy": [0.0, 0.5, 1.5],
    }
    assert other.row(KEY).sessionNotes == "from elsewhere"
    assert len(other.tracker.datasets.list(KEY)) == 5


@SQLITE
def test_shell_writes_and_reads(lab, other, written, tmp_path):
    from support.command_line import good, refused, run, told

    out = tmp_path / "shell.nwb"
    lab_options, other_options = (("--url", each.url, "--root", each.root) for each in (lab, other))
    assert told(*lab_options, "export", "nwb", KEY, out)["series"] == 4
    refused(*lab_options, "export", "nwb", KEY, out, code=2)
    batch = told(*lab_options, "export", "nwb-all", tmp_path / "all")
    assert (len(batch["written"]), batch["failed"]) == (1, [])
    assert "1 there already" in good(*lab_options, "export", "nwb-all", tmp_path / "all")

    importing = (*other_options, "import", "nwb", out, "--session", KEY)
    assert told(*importing, "--dry-run")["applied"] is False
    assert told(*importing, "--yes")["applied"] is True
    assert json.loads(run(*importing, "--json").stdout)["new"] == []
    out.write_bytes(b"nothing")
    refused(*importing, code=2)
