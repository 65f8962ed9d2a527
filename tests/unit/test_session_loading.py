"""Datasets of a session loaded by name: revisions, collections, kinds of files."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.io import savemat

from vrtracker.errors import InvalidValueError, UnknownNameError
from vrtracker.services.entries.session_files import OpenSession

TIMES = np.array([0.5, 1.5, 4.0])


def save(file: Path, values: object) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    np.save(file, values)


@pytest.fixture
def session(tmp_path) -> OpenSession:
    """A session with an object in revisions, one in two collections, and tables."""
    save(tmp_path / "alf" / "trials.choice.npy", 0)
    save(tmp_path / "alf" / "#2024-01-01#" / "trials.choice.npy", 1)
    save(tmp_path / "alf" / "#2025-02-02#" / "trials.choice.npy", 2)
    save(tmp_path / "alf" / "_ibl_trials.startTimes.npy", TIMES)
    save(tmp_path / "alf" / "probe00" / "spikes.times.npy", TIMES)
    save(tmp_path / "alf" / "probe01" / "spikes.times.npy", TIMES + 1)
    return OpenSession(tmp_path)


@pytest.mark.parametrize(
    ("name", "revision", "value"),
    [
        ("trials.choice", None, 2),
        ("trials.choice.npy", None, 2),
        ("alf/trials.choice", None, 2),
        ("alf/trials.choice.npy", None, 0),
        ("alf/trials.choice.npy", "2024-12-31", 1),
        ("Trials.Choice", None, 2),
        ("alf/#2024-01-01#/trials.choice.npy", None, 1),
        ("trials.choice", "2024-12-31", 1),
        ("trials.choice", "2025-02-02", 2),
        ("trials.choice", "2023-01-01", 0),
    ],
)
def test_last_revision_until_the_one_asked_for_is_loaded(session, name, revision, value):
    assert session.load(name, revision=revision) == value
    if revision is None:
        assert session[name] == value


def test_dataset_is_loaded_by_object_and_attribute_whatever_stands_around(session):
    np.testing.assert_array_equal(session.load("trials.startTimes"), TIMES)
    mapped = session.load("trials.startTimes", mmap=True)
    assert isinstance(mapped, np.memmap)
    np.testing.assert_array_equal(mapped, TIMES)


def test_object_is_loaded_by_attribute(session):
    trials = session.load_object("trials")
    assert list(trials) == ["choice", "startTimes"]
    assert trials["choice"] == 2
    assert session.load_object("trials", revision="2024-06-01")["choice"] == 1
    np.testing.assert_array_equal(session.load_object("alf/probe01/spikes")["times"], TIMES + 1)


# ONE-api still renames columns in place.
@pytest.mark.filterwarnings("ignore:The inplace keyword")
def test_object_has_the_keys_that_one_gives_it(tmp_path):
    one = pytest.importorskip("one.alf.io")
    folder = tmp_path / "alf"
    for name in ("times", "times_ephysClock", "times.probe00", "times_ephysClock.probe00"):
        save(folder / f"spikes.{name}.npy", TIMES)
    table = pd.DataFrame({"choice": [1, 2], "side": ["l", "r"], "at_0": [0.0, 1], "at_1": [1.0, 2]})
    table.to_parquet(folder / "_ibl_trials.table.pqt")
    table.to_parquet(folder / "clocked.table_bpod.raw.pqt")
    for name in ("rewarded", "at", "side"):
        save(folder / f"_ibl_trials.{name}.npy", np.array([True, False]))
    halved = table.rename(columns={"at_0": "to_1"}).drop(columns="at_1")
    halved.to_parquet(folder / "halves.table_bpod.pqt")
    table.to_parquet(folder / "halves.table_clock.pqt")
    table[["side"]].to_csv(folder / "texts.side.csv", index=False)
    table[["choice"]].to_csv(folder / "texts.choice.tsv", index=False, sep="\t")

    for name in ("texts", "halves", "spikes", "trials", "clocked"):
        ours, theirs = OpenSession(tmp_path).load_object(name), one.load_object(folder, name)
        assert set(ours) == set(theirs)
        for key, value in ours.items():
            assert np.shape(value) == np.shape(theirs[key])
            np.testing.assert_array_equal(value, theirs[key])
    assert ours["choice_bpod.raw"].dtype == np.int64
    # What the table has instead is not read.
    (folder / "_ibl_trials.side.npy").write_bytes(b"no array")
    assert OpenSession(tmp_path).load_object("trials")["side"].tolist() == ["l", "r"]


def test_name_that_means_several_or_none_is_refused(session):
    with pytest.raises(InvalidValueError, match=r"probe00.*probe01"):
        session.load("spikes.times")
    with pytest.raises(InvalidValueError, match=r"probe00.*probe01"):
        session["spikes.times"]
    with pytest.raises(InvalidValueError, match="Name the collection"):
        session.load_object("spikes")
    save(session.path / "oneData" / "trials.rewarded.npy", TIMES)
    with pytest.raises(InvalidValueError, match=r"oneData/trials.*Name the collection"):
        session.load_object("trials")
    assert list(session.load_object("alf/trials")) == ["choice", "startTimes"]
    with pytest.raises(UnknownNameError) as raised:
        session.load("trials.choise")
    assert any("trials.choice.npy" in near for near in raised.value.nearest)
    with pytest.raises(UnknownNameError, match="object"):
        session.load_object("licks")


def test_session_is_gone_through_by_the_paths_of_its_datasets(session):
    paths = list(session)
    assert paths == [file.rel_path for file in session.files()]
    assert [float(np.sum(session[path])) for path in paths[:3]] == [1, 2, 6]
    assert "trials.choice" in session
    assert "licks.times" not in session


@pytest.mark.parametrize("name", [5, None, b"trials.choice"])
def test_name_that_is_no_text_is_refused(session, name):
    for load in (session.load, session.load_object, session.__getitem__):
        with pytest.raises(InvalidValueError, match="named by a text"):
            load(name)


def test_revision_before_all_names_those_that_are_there(session):
    for revision in ("2024-01-01", "2025-02-02"):
        save(session.path / "alf" / f"#{revision}#" / "licks.times.npy", TIMES)
    with pytest.raises(UnknownNameError, match=r"no revision of 'licks\.times' until '2020-06-01'"):
        session.load("licks.times", revision="2020-06-01")
    with pytest.raises(UnknownNameError, match="2024-01-01"):
        session.load("licks.times", revision="2023")


@pytest.mark.parametrize("mmap", [False, True])
@pytest.mark.parametrize("length", [10**14, 10**20])
def test_header_that_claims_more_than_there_is_tells_a_truncated_file(tmp_path, length, mmap):
    header = {"descr": "<f8", "fortran_order": False, "shape": (length,)}
    with (tmp_path / "licks.a.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        file.write(bytes(80))

    with pytest.raises(InvalidValueError, match=r"licks\.a\.npy is truncated"):
        OpenSession(tmp_path).load("licks.a", mmap=mmap)


def test_each_kind_is_read_by_its_library(tmp_path):
    frame = pd.DataFrame({"time": TIMES, "side": ["l", "r", "l"]})
    frame.to_csv(tmp_path / "licks.a.csv", index=False)
    frame.to_csv(tmp_path / "licks.b.tsv", index=False, sep="\t")
    frame.to_parquet(tmp_path / "licks.c.pqt")
    (tmp_path / "licks.d.json").write_text(json.dumps({"rate": 30}))
    savemat(tmp_path / "licks.e.mat", {"times": TIMES})

    loaded = OpenSession(tmp_path).load_object("licks")

    for attribute in "abc":
        assert loaded[attribute].to_dict() == frame.to_dict()
    assert loaded["d"] == {"rate": 30}
    np.testing.assert_array_equal(loaded["e"]["times"], TIMES)


@pytest.mark.parametrize("kind", ["npy", "csv", "pqt", "json", "mat", "bin"])
def test_damaged_and_unknown_files_are_one_error(tmp_path, kind):
    (tmp_path / f"licks.a.{kind}").write_bytes(b"\x00\xff" * 40)

    with pytest.raises(InvalidValueError, match=r"licks\.a"):
        OpenSession(tmp_path).load("licks.a")


def test_contents_that_fool_the_libraries_are_one_error(tmp_path):
    (tmp_path / "licks.a.json").write_text("[" * 100_000)
    table = pa.table({"a": [1]}).replace_schema_metadata(
        {"pandas": json.dumps({"index_columns": ["nope"], "columns": [], "column_indexes": []})}
    )
    pq.write_table(table, tmp_path / "licks.b.pqt")
    save(tmp_path / "licks.c.npy", TIMES)
    file = tmp_path / "licks.c.npy"
    file.write_bytes(file.read_bytes().replace(b"(3,), }   ", b"(True,), }"))
    for name in ("licks.a", "licks.b", "licks.c"):
        for mmap in (False, True):
            with pytest.raises(InvalidValueError, match="damaged"):
                OpenSession(tmp_path).load(name, mmap=mmap)


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege on Windows")
def test_link_that_leads_astray_is_refused_and_the_others_load(tmp_path):
    root, outside = tmp_path / "root", tmp_path / "secret.npy"
    save(root / "licks.a.npy", TIMES)
    save(outside, TIMES)
    for name, target in {"b": outside, "#2024-01-01#/licks.c": root / "gone"}.items():
        link = root / f"{name if '/' in name else f'licks.{name}'}.npy"
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(target)
    save(root / "licks.c.npy", TIMES)
    session = OpenSession(root, root=root)

    np.testing.assert_array_equal(session.load("licks.a"), TIMES)
    assert list(session) == ["licks.a.npy", "licks.c.npy"]
    for name in ("licks.b", "licks.c"):
        with pytest.raises(InvalidValueError, match=r"leads out|cannot be read"):
            session.load(name)
    np.testing.assert_array_equal(session.load("licks.c", revision="2023-01-01"), TIMES)
    with pytest.raises(InvalidValueError, match=r"leads out|cannot be read"):
        session.load_object("licks")


@pytest.mark.parametrize("content", [b"PK", b"PK\x03\x04", b"\x93NUMPY"])
def test_damaged_archive_is_not_taken_for_a_pickle(tmp_path, content):
    (tmp_path / "licks.a.npz").write_bytes(content)

    with pytest.raises(InvalidValueError, match="damaged") as raised:
        OpenSession(tmp_path).load("licks.a")
    assert "pickle" not in str(raised.value)


@pytest.mark.parametrize("content", [b"", b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM\x0f"])
def test_empty_and_cut_mat_files_are_named(tmp_path, content):
    (tmp_path / "licks.a.mat").write_bytes(content)

    with pytest.raises(InvalidValueError, match=r"licks\.a\.mat"):
        OpenSession(tmp_path).load("licks.a")


def test_revision_that_is_no_text_is_refused(session):
    with pytest.raises(InvalidValueError, match="revision"):
        session.load("trials.choice", revision=5)
    with pytest.raises(InvalidValueError, match="revision"):
        session.load_object("trials", revision=5)


@pytest.mark.parametrize("mmap", [False, True])
def test_arrays_of_objects_are_never_unpickled(tmp_path, mmap):
    np.save(tmp_path / "licks.a.npy", np.array([{"x": 1}], dtype=object), allow_pickle=True)

    with pytest.raises(InvalidValueError):
        OpenSession(tmp_path).load("licks.a", mmap=mmap)
