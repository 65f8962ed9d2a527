"""ALF files are recognised, found, hashed, checked and read."""

from __future__ import annotations

import io
import os
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vrtracker.errors import InvalidValueError, NotFoundError
from vrtracker.files import alf
from vrtracker.files.alf import (
    AlfFile,
    AlfName,
    find_alf_files,
    hash_file,
    is_curated,
    load,
    parse_alf_name,
    read_npy_header,
)

WORDS = st.from_regex(r"[a-zA-Z][a-zA-Z0-9]{0,6}", fullmatch=True)


def npy(array: np.ndarray, **options) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("trials.startTimes.npy", (None, "trials", "startTimes", None, None, "npy")),
        ("mpciROIs.redCellIdx.npy", (None, "mpciROIs", "redCellIdx", None, None, "npy")),
        ("_ibl_trials.choice.npy", ("ibl", "trials", "choice", None, None, "npy")),
        (
            "parametersRedS2P.minMaxCutoff.npy",
            (None, "parametersRedS2P", "minMaxCutoff", None, None, "npy"),
        ),
        (
            "_ibl_spikes.times_ephysClock.raw.npy",
            ("ibl", "spikes", "times", "ephysClock", "raw", "npy"),
        ),
        ("trials.intervals_nidaq.npy", (None, "trials", "intervals", "nidaq", None, "npy")),
        ("trials.stimOn_times.npy", (None, "trials", "stimOn_times", None, None, "npy")),
        ("trials.stimOn_times_bpod.csv", (None, "trials", "stimOn_times", "bpod", None, "csv")),
        (
            "wheel.timestamps_bpod.v12.x-1.npy",
            (None, "wheel", "timestamps", "bpod", "v12.x-1", "npy"),
        ),
        ("spike_clusters.times.tsv", (None, "spike_clusters", "times", None, None, "tsv")),
        ("channels._phy_ids.csv", (None, "channels", "_phy_ids", None, None, "csv")),
        (
            "_ns_obj.attr1.2622b17c-9408-4910-99cb-abf16d9225b9.metadata.json",
            ("ns", "obj", "attr1", None, "2622b17c-9408-4910-99cb-abf16d9225b9.metadata", "json"),
        ),
    ],
)
def test_name_is_split_into_its_parts(name, parts):
    assert parse_alf_name(name) == AlfName(*parts)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "trials.npy",
        "vrExperimentOptions.json",
        "2023-01-20_702_ATL012_Timeline.mat",
        "spike_train.npy",
        "trials..npy",
        "trials.startTimes.",
        ".trials.startTimes.npy",
        "._trials.startTimes.npy",
        "trials.startTimes.npy~",
        "tri als.startTimes.npy",
        "folder/trials.startTimes.npy",
        "trials.startTimes.npy\n",
    ],
)
def test_other_names_are_no_alf_names(name):
    assert parse_alf_name(name) is None


@given(
    namespace=st.none() | WORDS,
    object_=WORDS,
    attribute=WORDS,
    timescale=st.none() | WORDS.filter(lambda word: word not in {"times", "intervals"}),
    extra=st.none() | st.lists(WORDS, min_size=1, max_size=3).map(".".join),
    extension=WORDS,
)
def test_any_name_built_by_the_rules_is_read_back(
    *, namespace, object_, attribute, timescale, extra, extension
):
    prefix = f"_{namespace}_" if namespace else ""
    clock = f"_{timescale}" if timescale else ""
    more = f".{extra}" if extra else ""
    name = f"{prefix}{object_}.{attribute}{clock}{more}.{extension}"

    parts = AlfName(namespace, object_, attribute, timescale, extra, extension)

    assert parse_alf_name(name) == parts


def test_find_lists_alf_files_of_every_collection(tmp_path, put):
    paths = [
        "trials.choice.npy",
        "alf/probe00/spikes.times.npy",
        "oneData/licks.times.npy",
        "oneData/mpci.times.npy",
    ]
    for path in reversed(paths):
        put(tmp_path / path)

    assert [file.rel_path for file in find_alf_files(tmp_path)] == sorted(paths)


def test_find_reports_size_and_time(tmp_path, put):
    path = put(tmp_path / "oneData" / "licks.times.npy", b"12345")
    os.utime(path, (1000.5, 1000.5))

    assert find_alf_files(tmp_path) == [AlfFile("oneData/licks.times.npy", 5, 1000.5, None)]


@pytest.mark.parametrize(
    ("path", "revision"),
    [
        ("oneData/#2024-02-01#/licks.times.npy", "2024-02-01"),
        ("#v1.0#/licks.times.npy", "v1.0"),
        ("oneData/#half/licks.times.npy", None),
    ],
)
def test_find_reads_the_revision(tmp_path, put, path, revision):
    put(tmp_path / path)

    assert [file.revision for file in find_alf_files(tmp_path)] == [revision]


@pytest.mark.parametrize(
    "path",
    [
        "suite2p/plane0/F.raw.npy",
        "roicat/labels.raw.npy",
        "oneData/suite2p/F.raw.npy",
        ".vrtracker-staging-1/licks.times.npy",
        ".vrtracker-old-1/licks.times.npy",
        "oneData/.cache/licks.times.npy",
        "curated/20230120T101500/mpciROIs.redCellIdx.npy",
        "oneData/notes.txt",
    ],
)
def test_find_leaves_other_files_out(tmp_path, put, path):
    put(tmp_path / path)

    assert find_alf_files(tmp_path) == []


def test_find_is_not_caught_in_a_loop_of_links(tmp_path, put):
    put(tmp_path / "oneData" / "licks.times.npy")
    (tmp_path / "oneData" / "loop").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "oneData" / "loop.times.npy").symlink_to(tmp_path, target_is_directory=True)

    assert [file.rel_path for file in find_alf_files(tmp_path)] == ["oneData/licks.times.npy"]


def test_find_takes_a_linked_file_for_what_it_is(tmp_path, put):
    target = put(tmp_path / "elsewhere" / "data", b"1234")
    (tmp_path / "session").mkdir()
    (tmp_path / "session" / "licks.times.npy").symlink_to(target)

    assert find_alf_files(tmp_path / "session")[0].size_bytes == 4


@pytest.mark.skipif(os.name == "nt", reason="there are no such files on Windows")
def test_find_leaves_pipes_and_devices_out(tmp_path):
    os.mkfifo(tmp_path / "licks.times.npy")
    (tmp_path / "trials.choice.npy").symlink_to(os.devnull)

    assert find_alf_files(tmp_path, within=tmp_path, known=["licks.times.npy"]) == []


def test_find_refuses_a_link_to_nothing(tmp_path):
    (tmp_path / "licks.times.npy").symlink_to(tmp_path / "gone")

    with pytest.raises(InvalidValueError, match=r"licks\.times\.npy.*cannot be read"):
        find_alf_files(tmp_path)


def test_find_refuses_an_unreadable_folder(plain_user_folder):
    (plain_user_folder / "oneData").mkdir(mode=0)

    with pytest.raises(InvalidValueError, match=r"oneData.*Permission denied"):
        find_alf_files(plain_user_folder)


def test_find_refuses_a_missing_session(tmp_path):
    with pytest.raises(NotFoundError, match="session folder"):
        find_alf_files(tmp_path / "702")


@pytest.mark.parametrize("block", [1, 3, 1024 * 1024])
def test_hash_is_the_md5_that_one_keeps(tmp_path, put, block, monkeypatch):
    path = put(tmp_path / "licks.times.npy", b"The quick brown fox jumps over the lazy dog")

    monkeypatch.setattr(alf, "_BLOCK", block)

    assert hash_file(path) == "9e107d9d372bb6826bd81d3542a419d6"


def test_hash_of_a_missing_file_is_refused(tmp_path):
    with pytest.raises(NotFoundError, match="file"):
        hash_file(tmp_path / "licks.times.npy")


def test_hash_of_a_folder_is_refused(tmp_path):
    with pytest.raises(InvalidValueError, match="cannot be read"):
        hash_file(tmp_path)


@pytest.mark.parametrize(
    "path",
    [
        "mpciROIs.redCellIdx.npy",
        "oneData/mpciROIs.redCellManualAssignments.npy",
        "parametersRedS2P.minMaxCutoff.npy",
        "a/b/parametersRedDotProduct.minMaxCutoff.npy",
    ],
)
def test_choices_of_people_are_curated(path):
    assert is_curated(path)


@pytest.mark.parametrize(
    "path",
    [
        "mpciROIs.redCellIdxCoherent.npy",
        "mpciROIs.redS2P.npy",
        "parametersRedS2P.keyValuePairs.npy",
        "parametersRedS2P.minMaxCutoff.npy/licks.times.npy",
        "my.mpciROIs.redCellIdx.npy",
    ],
)
def test_computed_files_are_not_curated(path):
    assert not is_curated(path)


def test_load_reads_an_array(tmp_path, put):
    path = put(tmp_path / "a.npy", npy(np.arange(6).reshape(2, 3)))

    np.testing.assert_array_equal(load(path), [[0, 1, 2], [3, 4, 5]])


def test_load_reads_an_archive_by_name(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.arange(2), y=np.ones(1))

    loaded = load(tmp_path / "a.npz")

    assert {name: array.tolist() for name, array in loaded.items()} == {"x": [0, 1], "y": [1.0]}


def test_load_never_unpickles(tmp_path, put):
    path = put(tmp_path / "a.npy", npy(np.array({"recipe": 1}, dtype=object), allow_pickle=True))

    with pytest.raises(InvalidValueError, match=r"a\.npy.*cannot be read as arrays"):
        load(path)


@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
@pytest.mark.parametrize("content", [b"", b"nonsense", npy(np.arange(9))[:-1]])
def test_load_refuses_damaged_files(tmp_path, put, name, content):
    with pytest.raises(InvalidValueError, match="cannot be read as arrays"):
        load(put(tmp_path / name, content))


def test_load_refuses_other_kinds(tmp_path, put):
    with pytest.raises(InvalidValueError, match=r"not a \.npy or \.npz file"):
        load(put(tmp_path / "a.pickle"))


@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
def test_load_of_a_missing_file_is_refused(tmp_path, name):
    with pytest.raises(NotFoundError):
        load(tmp_path / name)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((3, 4)),
        np.zeros((0, 5), dtype="f4"),
        np.array(1.5),
        np.asfortranarray(np.ones((2, 3), dtype=">i2")),
        np.array(["a", "bc"]),
        np.zeros(4, dtype=[("npix", "i4"), ("med", "f4", 2)]),
        np.zeros(2, dtype=[("μm", "i4")]),
        np.array(["2023-01-20"], dtype="datetime64[D]"),
    ],
    ids=lambda array: str(array.dtype),
)
def test_header_tells_shape_and_dtype(tmp_path, array):
    with warnings.catch_warnings():
        # NumPy warns that it takes format version 3 for a name that is not Latin.
        warnings.simplefilter("ignore")
        np.save(tmp_path / "a.npy", array)

    assert read_npy_header(tmp_path / "a.npy") == (array.shape, array.dtype)


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_header_of_each_format_version_is_read(tmp_path, version):
    with (tmp_path / "a.npy").open("wb") as file:
        np.lib.format.write_array(file, np.arange(3), version=version)

    assert read_npy_header(tmp_path / "a.npy") == ((3,), np.dtype(int))


WHOLE = npy(np.arange(5))


@pytest.mark.parametrize("length", range(1, len(WHOLE)))
def test_file_cut_anywhere_is_truncated(tmp_path, put, length):
    path = put(tmp_path / "a.npy", WHOLE[:length])

    with pytest.raises(InvalidValueError, match=r"^a\.npy is truncated"):
        read_npy_header(path)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", r"empty \(0 bytes\)"),
        (b"PK\x03\x04 something", r"not a \.npy file"),
        (WHOLE + b"0", "damaged: it has 41 of 40 bytes"),
        (WHOLE[:6] + b"\x09" + WHOLE[7:], "format version 9"),
        (b"\x93NUMPY\x02\x00\xff\xff\xff\xff", "claims to be 4294967295 bytes"),
        (WHOLE.replace(b"(5,)", b"(-5,"), "cannot be understood"),
        (WHOLE.replace(b"(5,), ", b"(-5,),"), "says shape"),
        (WHOLE.replace(b"(5,)", b"'5' "), "says shape"),
        (WHOLE.replace(b"<i8", b"<q9"), "cannot be understood"),
        (WHOLE.replace(b"'descr'", b"'other'"), "cannot be understood"),
    ],
)
def test_damaged_file_is_refused_with_its_problem(tmp_path, put, content, problem):
    path = put(tmp_path / "a.npy", content)

    with pytest.raises(InvalidValueError, match=problem):
        read_npy_header(path)


@given(content=st.binary(max_size=200), keep=st.integers(0, len(WHOLE)))
def test_no_bytes_at_all_crash_the_header_check(tmp_path_factory, content, keep):
    path = tmp_path_factory.getbasetemp() / "fuzzed.npy"
    path.write_bytes(WHOLE[:keep] + content)

    try:
        shape, dtype = read_npy_header(path)
    except InvalidValueError:
        return
    assert path.stat().st_size >= np.prod(shape) * dtype.itemsize


def test_pickled_objects_pass_by_their_header(tmp_path, put):
    recipe = npy(np.array({"recipe": 1}, dtype=object), allow_pickle=True)

    assert read_npy_header(put(tmp_path / "a.npy", recipe)) == ((), np.dtype(object))


def test_pickled_objects_without_data_are_truncated(tmp_path, put):
    recipe = npy(np.array({"recipe": 1}, dtype=object), allow_pickle=True)

    with pytest.raises(InvalidValueError, match="nothing follows its header"):
        read_npy_header(put(tmp_path / "a.npy", recipe[:128]))


def test_header_of_a_missing_file_is_refused(tmp_path):
    with pytest.raises(NotFoundError):
        read_npy_header(Path(tmp_path / "a.npy"))


def test_header_of_a_folder_is_refused(tmp_path):
    with pytest.raises(InvalidValueError, match="cannot be read"):
        read_npy_header(tmp_path)
