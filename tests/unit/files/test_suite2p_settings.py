"""Settings that suite2p saved are read as data, and nothing in them is run."""

from __future__ import annotations

import collections
import contextlib
import datetime as dt
import fractions
import io
import os
import pathlib
import pickle
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.suite2p_output import save
from vrtracker.errors import InvalidValueError
from vrtracker.files.suite2p_settings import SavedSettings, read_rois

PLAIN = {
    "ignore_flyback": [0, np.int64(3)],
    "roidetect": np.float64(0).astype(bool),
    "run": {"do_detection": False, "do_registration": 1},
    "as_array": np.array([1, 2], np.uint8),
    "big_endian": np.array([[1], [2]], ">i4"),
    "single": np.array(0),
    "names": np.array(["a", "b"]),
    "objects": np.array([[1], "b"], object),
    "date_proc": dt.datetime(2026, 3, 1, tzinfo=dt.timezone(dt.timedelta(hours=1), "CET")),
    "data_path": [pathlib.PurePosixPath("/data"), pathlib.PureWindowsPath("D:\\data"), Path()],
    "ordered": collections.OrderedDict(a=1),
    "chosen": {1, 2},
    "nothing": None,
    "half": 0.5,
}


class Evil:
    """Runs a command when it is unpickled as usual."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def write(path: Path, pickled: bytes) -> str:
    """Write a pickle behind the header of an array of one object."""
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "|O", "fortran_order": False, "shape": ()}
        )
        file.write(pickled)
    return str(path)


def dumped(content: Any, protocol: int) -> bytes:
    array = np.empty((), object)
    array[()] = content
    return pickle.dumps(array, protocol)


def read(folder: Path, content: Any) -> SavedSettings:
    save(folder / "ops.npy", content)
    return SavedSettings.read(str(folder / "ops.npy"))


def test_what_np_save_wrote_is_read(tmp_path):
    found = read(tmp_path, PLAIN)

    assert found.values.keys() == PLAIN.keys()
    assert found.numbers("ignore_flyback") == [0, 3]
    assert not found.is_on("roidetect")
    assert not found.is_on("run", "do_detection")
    assert found.is_on("run", "do_registration")


@pytest.mark.parametrize("core", ["core", "_core"], ids=["numpy 1", "numpy 2"])
def test_both_names_of_numpys_core_are_known(tmp_path, core):
    """Protocol 3, which suite2p's own files have, names modules in lines."""
    content = dumped(PLAIN, 3).replace(b"numpy._core.", b"numpy.core.")
    path = write(tmp_path / "db.npy", content.replace(b"numpy.core.", f"numpy.{core}.".encode()))

    assert SavedSettings.read(path).numbers("as_array") == [1, 2]


@pytest.mark.parametrize("protocol", [3, 4])
def test_both_protocols_of_np_save_are_read(tmp_path, protocol):
    found = SavedSettings.read(write(tmp_path / "db.npy", dumped(PLAIN, protocol)))

    assert found.numbers("ignore_flyback") == [0, 3]


@pytest.mark.parametrize(
    ("name", "expected"),
    [("as_array", [1, 2]), ("big_endian", [1, 2]), ("chosen", [1, 2]), ("nothing", []), ("x", [])],
)
def test_lists_of_numbers_are_read(tmp_path, name, expected):
    assert read(tmp_path, PLAIN).numbers(name) == expected


@pytest.mark.parametrize("name", ["names", "objects", "single", "half", "data_path", "date_proc"])
def test_what_is_no_list_of_whole_numbers_is_refused(tmp_path, name):
    with pytest.raises(InvalidValueError, match=f"{name} in .*no list of whole numbers"):
        read(tmp_path, PLAIN).numbers(name)


def test_switches_of_which_nothing_is_said_are_on(tmp_path):
    found = read(tmp_path, PLAIN)

    assert found.is_on("spikedetect")
    assert found.is_on("io", "save_ops_orig")
    assert found.is_on("run", "do_deconvolution")


def test_switch_may_be_an_array_of_one(tmp_path):
    assert not read(tmp_path, PLAIN).is_on("single")


@pytest.mark.parametrize("names", [("names",), ("nothing",), ("data_path",), ("date_proc", "a")])
def test_what_is_no_switch_is_refused(tmp_path, names):
    with pytest.raises(InvalidValueError, match="neither on nor off"):
        read(tmp_path, PLAIN).is_on(*names)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("place", ["instead of the dict", "in a list in it"])
def test_command_in_a_pickle_is_never_run(tmp_path, protocol, place):
    ran = tmp_path / "ran"
    evil = Evil(os.system, f"touch '{ran}'")
    content = dumped(evil if place == "instead of the dict" else {"a": [evil]}, protocol)
    path = write(tmp_path / "ops.npy", content)

    with pytest.raises(InvalidValueError, match=r"which is no data.*nothing in it was run"):
        SavedSettings.read(path)

    assert not ran.exists()
    np.load(path, allow_pickle=True)  # It would have been run.
    assert ran.exists()


@pytest.mark.parametrize(
    "function", [eval, exec, __import__, getattr, np.load, np.save, pickle.loads, os.remove]
)
def test_function_that_no_data_needs_is_named_and_not_called(tmp_path, function):
    path = write(tmp_path / "ops.npy", dumped({"a": Evil(function, "x")}, 4))

    with pytest.raises(InvalidValueError, match=rf"it names '.*{function.__name__}', which is no"):
        SavedSettings.read(path)


@pytest.mark.parametrize("name", ["numpy.core.multiarray\nfromfile", "builtins\nset.__class__"])
def test_neighbours_of_what_is_known_are_not_known(tmp_path, name):
    path = write(tmp_path / "ops.npy", f"c{name}\n.".encode())

    with pytest.raises(InvalidValueError, match="which is no data"):
        SavedSettings.read(path)


def test_object_of_an_unknown_class_is_named(tmp_path):
    with pytest.raises(InvalidValueError, match=r"it names 'fractions\.Fraction'"):
        read(tmp_path, {"a": fractions.Fraction(1, 2)})


@pytest.mark.parametrize("content", [[1], np.zeros(3), np.array([{}, {}]), "text"])
def test_what_is_no_dict_is_refused(tmp_path, content):
    with pytest.raises(InvalidValueError, match="it holds"):
        read(tmp_path, content)


@pytest.mark.parametrize("content", [b"", b"\x93NUM", b"x", bytes(200), b"PK\x03\x04" * 50])
def test_what_is_no_array_is_refused(tmp_path, content):
    path = tmp_path / "ops.npy"
    path.write_bytes(content)

    with pytest.raises(InvalidValueError, match=r"ops\.npy.*is not read as settings"):
        SavedSettings.read(str(path))


def test_pickle_without_an_array_is_refused(tmp_path):
    with pytest.raises(InvalidValueError, match="is not read as settings"):
        SavedSettings.read(write(tmp_path / "ops.npy", pickle.dumps({"a": 1})))


def test_pickle_that_promises_more_than_any_memory_is_refused(tmp_path):
    huge = b"\x80\x04\x8e" + (1 << 62).to_bytes(8, "little")

    with pytest.raises(InvalidValueError, match="is not read as settings"):
        SavedSettings.read(write(tmp_path / "ops.npy", huge))


def test_truncated_file_is_refused_wherever_it_ends(tmp_path):
    path = tmp_path / "ops.npy"
    save(path, PLAIN)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(InvalidValueError, match="is not read as settings"):
            SavedSettings.read(str(path))


def test_missing_file_is_the_systems_own_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        SavedSettings.read(str(tmp_path / "ops.npy"))


@pytest.mark.parametrize(
    "greedy",
    [
        b"\x80\x02Nr" + struct.pack("<I", 1 << 24) + b".",
        b"\x80\x05\x96" + struct.pack("<Q", 1 << 28) + b".",
    ],
)
def test_a_file_takes_no_memory_that_it_does_not_fill(tmp_path, greedy):
    path = write(tmp_path / "ops.npy", greedy)
    tracemalloc.start()
    try:
        with pytest.raises(InvalidValueError):
            SavedSettings.read(path)
        assert tracemalloc.get_traced_memory()[1] < 1 << 24
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("rois", "pixels"), [(300, 40_000), (200_001, 1)])
def test_rois_that_share_an_array_are_counted_before_they_take_memory(tmp_path, rois, pixels):
    part = np.zeros(pixels, "i1")
    stat = np.full(rois, {"ypix": part, "xpix": part, "lam": part}, object)
    np.save(tmp_path / "stat.npy", stat, allow_pickle=True)
    assert (tmp_path / "stat.npy").stat().st_size < 1_000_000

    with pytest.raises(InvalidValueError, match=r"stat\.npy.*more than \d+ (ROIs|pixels)"):
        read_rois(tmp_path / "stat.npy")


DEEP = b")" + b"2\x86" * 100
"""An empty tuple, twice in a tuple, which is twice in a tuple ...: 2**100 to hash."""


@pytest.mark.parametrize(
    "hashed",
    [
        b"}" + DEEP + b"Ns",
        b"(" + DEEP + b"Nd",
        b"\x8f(" + DEEP + b"\x90",
        b"(" + DEEP + b"\x91",
        b"cbuiltins\nset\n]" + DEEP + b"a\x85R",
        b"ccollections\nOrderedDict\n]" + DEEP + b"N\x86a\x85R",
    ],
    ids=["a key", "a key of protocol 0", "in a set", "in a frozen set", "a set of", "a dict of"],
)
def test_a_few_bytes_that_take_for_ever_to_hash_are_refused(tmp_path, hashed):
    path = write(tmp_path / "ops.npy", b"\x80\x04" + hashed + b".")

    with pytest.raises(InvalidValueError, match=r"unhashable|settings of suite2p \(145\)"):
        SavedSettings.read(path)


def saved() -> bytes:
    file = io.BytesIO()
    np.save(file, PLAIN, allow_pickle=True)
    return file.getvalue()


SAVED = saved()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(at=st.integers(128, len(SAVED) - 1), byte=st.integers(0, 255))
def test_damaged_byte_gives_values_or_our_error(tmp_path, at, byte):
    path = tmp_path / "ops.npy"
    path.write_bytes(SAVED[:at] + bytes([byte]) + SAVED[at + 1 :])
    try:
        found = SavedSettings.read(str(path))
        for name in PLAIN:
            for look in (found.numbers, found.is_on):
                with contextlib.suppress(InvalidValueError):
                    look(name)
    except InvalidValueError:
        return
