"""A session with all that NWB can hold of it."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np

from support.rigs import a_rig
from support.roicat import write_run
from vrtracker.interop.antelop import mask_function

KEY = "M1.2026-03-02.701"
FRAMES = 250


def fill(lab: Any) -> Path:
    """Add a session with rig, arrays of all kinds and two planes of suite2p; return its folder."""
    draw = np.random.default_rng(5)
    tracker = lab.tracker
    values = {"sex": "F", "dateOfBirth": "2025-12-01", "genotype": "WT ✓", "notes": "naïve"}
    tracker.mice.update(values, mouseName="M1")
    lab.add(
        KEY, imaging=True, numPlanes=2, sessionNotes="two\nlines", suite2pDate="2026-03-04 10:00"
    )
    tracker.rigs.add(a_rig())
    tracker.rigs.set(KEY, "b2")
    folder = lab.folder(KEY)
    one = folder / "oneData"
    one.mkdir()
    irregular = np.sort(draw.random(40)) * 100
    arrays = {
        "mpci.times": np.arange(FRAMES) / 10,
        "mpci.roiActivityF": draw.random((FRAMES, 7)).astype(np.float32),
        "mpci.bad": draw.random(FRAMES) < 0.1,
        "wheel.times": irregular,
        "wheel.position": draw.random(40),
        "wheel.turns": draw.integers(0, 9, 40).astype(np.int16),
        "licks.times": irregular[:9],
        "mpciROIs.stackPosition": draw.random((7, 3)),
        "mpciROIs.label": np.array(["a", "naïve", "c", "", "e", "f", "g"]),
        "mpciROIs.summary": np.arange(4, dtype=np.uint8),
        "trials.intervals": np.array([[0.5, 2.0], [2.5, 4.25], [5.0, 9.0]]),
        "trials.choice": np.array([1, -1, 1], dtype=np.int8),
        "trials.rewarded": np.array([True, False, True]),
        "empty.values": np.zeros(0),
        "names.name": np.array([["a", "b"], ["é", ""]]),
    }
    for name, data in arrays.items():
        np.save(one / f"{name}.npy", data)
    (folder / "alf" / "probe00").mkdir(parents=True)
    np.save(folder / "alf" / "probe00" / "wheel.position.npy", draw.random(5))
    (one / "licks.notes.csv").write_text("a,b\n")
    for number in range(2):
        write_plane(folder / "suite2p" / f"plane{number}", 4 + number, draw)
    tracker.datasets.scan(KEY)
    return folder


@mask_function
def licking(session: Any, *, gap: float = 0.5) -> Any:
    """A mask of as many trials as there are licks."""
    times = session.load("licks.times")
    return np.tile([1, -1], len(times)), np.repeat(times, 2) + np.tile([0, gap], len(times))


def fill_beside(lab: Any) -> None:
    """Give the session experiments of its own, a mask, and a run that tracks its cells."""
    tracker = lab.tracker
    values = {"x": 0.5, "side": "left", "id": "007", "n": 3, "laser": True, "none": None}
    trials = [
        {
            "parameters": [*values.items(), ("x", n), *([("late", 1e16)] if n else [])],
            "outcomes": {"hit": n % 2, "rt": 0.25 * n, "kind": "naïve" if n else 3},
            "ended": dt.datetime(2026, 3, 2, 12, 0, n, 123456),
            "extra": {"lick": [n, None]},
            "model_data": n > 0,
        }
        for n in range(3)
    ]
    setup = {"type": "setup", "message": {"config_str": "[common]\n"}}
    tracker.experiments.setup("detection", "✓", session=KEY, experiment="a/1", message=setup)
    tracker.experiments.record("a/1", trials, log=False)
    tracker.experiments.record_strategy("a/1", b"\x80\x04weights")
    tracker.experiments.setup(session=KEY, experiment="b", more={"rig": "B2"})
    tracker.experiments.record("b", trials[:1], log=False)
    tracker.experiments.setup(session=KEY, experiment="c")
    tracker.masks.make(KEY, "licking", licking, gap=0.25)
    write_run(lab.root / "M1" / "ROICaT", [KEY.replace(".", "_")])
    tracker.reconcile().apply()


def write_plane(plane: Path, rois: int, draw: Any) -> None:
    """Write what suite2p leaves of a plane: ROIs as objects, traces, and its settings."""
    plane.mkdir(parents=True)
    stat = np.empty(rois, dtype=object)
    for roi in range(rois):
        count = 5 + roi
        stat[roi] = {
            "ypix": draw.integers(0, 64, count),
            "xpix": draw.integers(0, 64, count),
            "lam": draw.random(count).astype(np.float32),
            "med": [3, 4],
            "radius": np.float64(2.5),
            "overlap": np.zeros(count, dtype=bool),
        }
    np.save(plane / "stat.npy", stat, allow_pickle=True)
    np.save(plane / "ops.npy", {"fs": 10.0, "nplanes": 2}, allow_pickle=True)  # type: ignore[arg-type]
    for name in ("F", "Fneu", "spks"):
        np.save(plane / f"{name}.npy", draw.random((rois, FRAMES)).astype(np.float32))
    np.save(plane / "iscell.npy", np.stack([np.ones(rois), draw.random(rois)], axis=1))
