"""suite2p's output as its two lines write it: which files, and what their dicts say.

Read off from runs of suite2p 0.14.6 and 1.1.0 on a movie of three planes, 250 frames each, as
they are and with `ignore_flyback`, without detection, deconvolution and, in 1.x, `save_ops_orig`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

DETECTED = ("stat", "F", "Fneu", "iscell", "spks")


def save(path: Path, content: Any) -> None:
    """Save an object as suite2p does: a pickle in an array without dimensions."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, content, allow_pickle=True)


def write_suite2p_0(
    session: Path, *, planes: int = 3, ignored: Any = (), told: Mapping[str, Any] | None = None
) -> None:
    """Write what 0.14.6 leaves; without detection, that is `ops.npy` and the binary.

    Parameters
    ----------
    ignored
        Its `ignore_flyback`.
    told
        Other keys of its dict, such as ``roidetect``.
    """
    ops = {
        "nplanes": planes,
        "nchannels": 1,
        "fs": 10.0,
        "suite2p_version": "0.14.6",
        "roidetect": True,
        "spikedetect": True,
        "ignore_flyback": ignored,
        "combined": True,
        "meanImg": np.zeros((8, 8), np.float32),
        "frames_per_file": np.array([750]),
        **(told or {}),
    }
    for number in range(planes):
        plane = session / "suite2p" / f"plane{number}"
        if number in list(ignored):
            save(plane / "ops.npy", ops)
            continue
        save(plane / "ops.npy", {**ops, "date_proc": _date(), "timing": {"detection": 0.5}})
        _write_arrays(plane, DETECTED if ops["roidetect"] else ())


def write_suite2p_1(
    session: Path,
    *,
    planes: int = 3,
    ignored: Any = None,
    run: Mapping[str, Any] | None = None,
    io: Mapping[str, Any] | None = None,
) -> None:
    """Write what 1.1.0 leaves.

    Parameters
    ----------
    ignored
        Its `ignore_flyback`.
    run, io
        Switches of these sections of its settings.
    """
    settings = {
        "torch_device": "cpu",
        "tau": 1.0,
        "diameter": [6.0, 6.0],
        "version": "1.1.0",
        "run": {
            "do_registration": 1,
            "do_detection": True,
            "do_deconvolution": True,
            **(run or {}),
        },
        "io": {"combined": True, "save_mat": False, "save_ops_orig": True, **(io or {})},
        "classification": {"classifier_path": None},
    }
    db = {
        "nplanes": planes,
        "nchannels": 1,
        "ignore_flyback": ignored,
        "lines": None,
        "save_folder": "suite2p",
        "first_files": np.array([True]),
    }
    output = session / "suite2p"
    save(output / "db.npy", db)
    save(output / "settings.npy", settings)
    for number in range(planes):
        plane = output / f"plane{number}"
        of_plane = {**db, "iplane": np.int64(number), "meanImg": np.zeros((8, 8))}
        save(plane / "db.npy", of_plane)
        save(plane / "settings.npy", settings)
        if ignored is not None and number in list(ignored):
            continue
        _write_arrays(plane, ["reg_outputs"])
        if settings["run"]["do_detection"]:
            _write_arrays(plane, [*DETECTED, "detect_outputs", "zcorr"])
        if settings["io"]["save_ops_orig"]:
            save(plane / "ops.npy", {**of_plane, **settings, "date_proc": _date()})


def _write_arrays(plane: Path, names: Iterable[str]) -> None:
    plane.mkdir(parents=True, exist_ok=True)
    (plane / "data.bin").write_bytes(bytes(64))
    for name in names:
        np.save(plane / f"{name}.npy", np.zeros((2, 3), np.float32))


def _date() -> dt.datetime:
    return dt.datetime(2026, 3, 1, 12, 30, tzinfo=dt.timezone(dt.timedelta(hours=1), "CET"))
