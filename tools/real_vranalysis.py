"""Register raw sessions with the real vrAnalysis, through the tracker and without it; compare.

Usage: ``python tools/real_vranalysis.py FOLDER`` where vrAnalysis can be imported. In FOLDER, which
must not be there yet, it writes the same raw recordings twice. One set is registered by
``register_sessions()`` of `vrtracker.interop.vranalysis`, the other by B2Registration alone; then
every file and what B2Session reads of it is compared. Exit code 1 if anything differs.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from raw_session import Recording

MOUSE, DATE = "ATL012", "2023-01-20"
WHOLE, AGAIN, NO_IMAGING, BROKEN = 701, 702, 703, 704
PARAMS = {"spks_type": "oasis", "exclude_redundant_rois": False}
CURATED = "mpciROIs.redCellIdx.npy"
PACKAGES = ("vrAnalysis", "vrtracker", "sqlalchemy", "pandas", "numpy", "scipy", "oasis-deconv")

Check = tuple[str, bool]


def main() -> int:
    """Run everything and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    folder = parser.parse_args().folder.resolve()
    folder.mkdir(parents=True)
    ours, alone = folder / "tracker", folder / "alone"
    for root in (ours, alone):
        _write_lab(root)
    with _root_of_vranalysis(alone):
        _register_alone()
        expected = _read_alone()
    with _root_of_vranalysis(ours):
        checks = [*_register_by_tracker(folder, ours), *_compare_reading(ours, expected)]
    for number in (WHOLE, AGAIN, NO_IMAGING):
        checks += _compare_files(ours / MOUSE / DATE / str(number), alone)
    for name in PACKAGES:
        print(f"{name:14}{_version(name)}")
    for what, is_so in checks:
        print(f"{'same' if is_so else 'DIFFERS':9}{what}")
    wrong = sum(not is_so for _, is_so in checks)
    print(f"{len(checks) - wrong} of {len(checks)} as without the tracker")
    return int(wrong > 0)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


# -- the two labs ---------------------------------------------------------------------------------


def _write_lab(root: Path) -> None:
    """Write the recordings; each folder gets its files in the same order in every lab.

    vrAnalysis takes the planes in the order in which the folder lists them, so a copy of a
    session may well be registered with its planes the other way round.
    """
    import joblib

    for number in (WHOLE, AGAIN, NO_IMAGING, BROKEN):
        session = root / MOUSE / DATE / str(number)
        Recording(seed=number).write(session, imaging=number != NO_IMAGING)
    from scipy import io

    broken = root / MOUSE / DATE / str(BROKEN)
    io.savemat(next(broken.glob("*_Timeline.mat")), {"hollow": 1})
    (broken / "oneData").mkdir()
    np.save(broken / "oneData" / "trials.startTimes.npy", np.arange(3.0))
    classifier = root / "analysis" / "roicat_classification" / "train_classifier.joblib"
    classifier.parent.mkdir(parents=True)
    joblib.dump({"label_to_id": {label: n for n, label in enumerate("abcd")}}, classifier)


@contextmanager
def _root_of_vranalysis(root: Path) -> Iterator[None]:
    """Turn vrAnalysis to a folder of ours, whatever its paths.toml says: no data of a lab."""
    paths: dict[str, str] = importlib.import_module("vrAnalysis.files")._paths  # noqa: SLF001
    before = paths["storage"]
    paths["storage"] = str(root)
    try:
        yield
    finally:
        paths["storage"] = before


def _vranalysis(module: str, name: str) -> Any:
    return getattr(importlib.import_module(f"vrAnalysis.{module}"), name)


# -- without the tracker --------------------------------------------------------------------------


def _register_alone() -> None:
    registration = _vranalysis("registration", "B2Registration")
    for number in (WHOLE, AGAIN, AGAIN, NO_IMAGING):
        options = {"imaging": number != NO_IMAGING}
        registration(MOUSE, DATE, str(number), options).register()


def _read_alone() -> dict[int, dict[str, Any]]:
    create = _vranalysis("sessions", "B2Session").create
    return {
        number: _read(create(MOUSE, DATE, str(number), params=dict(PARAMS)))
        for number in (WHOLE, AGAIN, NO_IMAGING)
    }


def _read(session: Any) -> dict[str, Any]:
    """Return what a notebook reads of a session."""
    arrays = {name: session.loadone(name) for name in sorted(session.print_saved_one())}
    read = {**arrays, "environments": session.environments, "num_trials": session.num_trials}
    if "mpci.roiActivityDeconvolvedOasis" in arrays:
        read |= {"spks": session.spks, "idx_rois": session.idx_rois}
    return read


# -- through the tracker --------------------------------------------------------------------------


def _register_by_tracker(folder: Path, root: Path) -> Iterator[Check]:
    import vrtracker
    from vrtracker.interop.vranalysis import get_database

    os.environ["VRTRACKER_URL"] = str(folder / "lab.db")
    os.environ["VRTRACKER_ROOT"] = str(root)
    settings = folder / "config.toml"  # No profile of a lab takes part.
    settings.touch()
    os.environ["VRTRACKER_CONFIG"] = str(settings)
    vrtracker.init(str(folder / "lab.db"))
    db = get_database("vrSessions")
    db.tracker.mice.add(mouseName=MOUSE)
    for number in (WHOLE, AGAIN, NO_IMAGING, BROKEN):
        imaged = number != NO_IMAGING
        db.tracker.sessions.add(
            (MOUSE, DATE, number), imaging=True, suite2p=imaged, vrBehaviorVersion=1
        )

    yield "opens as B2Session", type(db.backend).__name__ == "VrAnalysisBackend"
    report = db.register_sessions(sessionID=[WHOLE, AGAIN, BROKEN])
    yield "register_sessions: 2 succeeded, 1 failed", (report.succeeded, report.failed) == (2, 1)
    broken = db.get_record(MOUSE, DATE, BROKEN)
    yield "KeyError: 'Timeline' is on record", "Timeline" in broken["vrRegistrationException"]
    kept = np.load(root / MOUSE / DATE / str(BROKEN) / "oneData" / "trials.startTimes.npy")
    yield "the failure left earlier output alone", np.array_equal(kept, np.arange(3.0))
    yield from _register_again(db, root)
    yield from _register_without_imaging(db)


def _register_again(db: Any, root: Path) -> Iterator[Check]:
    """Register a session that is done and curated; what a person chose must stay."""
    curated = root / MOUSE / DATE / str(AGAIN) / "oneData" / CURATED
    fresh = np.load(curated)
    np.save(curated, ~fresh)
    db.set_red_cell_qc(MOUSE, DATE, AGAIN)
    yield "registered again", db.register_single_session(MOUSE, DATE, AGAIN) is True
    yield "curated red cells are kept", np.array_equal(np.load(curated), ~fresh)
    state = db.tracker.workflow.states((MOUSE, DATE, AGAIN))["red_cell_qc"]
    yield "red-cell QC is stale", state == "stale"
    np.save(curated, fresh)


def _register_without_imaging(db: Any) -> Iterator[Check]:
    report = db.register_sessions(imaging=False, sessionID=NO_IMAGING)
    yield "registered without imaging", report.succeeded == 1
    kept = json.loads(db.tracker.workflow.attempts((MOUSE, DATE, NO_IMAGING)).iloc[-1]["options"])
    yield "its attempt says so", kept == {"imaging": False}
    yield "nothing waits for suite2p", db.needs_s2p().empty


# -- comparing ------------------------------------------------------------------------------------


def _compare_reading(root: Path, expected: dict[int, dict[str, Any]]) -> Iterator[Check]:
    from vrtracker.interop.vranalysis import get_database

    db = get_database("vrSessions")
    create = _vranalysis("sessions", "B2Session").create
    theirs = [create(MOUSE, DATE, str(number)) for number in expected]
    for session in db.iter_sessions(PARAMS, vrRegistration=True):
        number = int(session.session_id)
        is_equal = [session == other for other in theirs]
        yield f"{number} is equal to one B2Session", session in theirs and sum(is_equal) == 1
        is_b2 = type(session.opened).__name__ == "B2Session"
        yield f"{number} is a B2Session in {root.name}", is_b2 and root in session.data_path.parents
        read, wanted = _read(session), expected[number]
        yield f"{number}: names of what is read", list(read) == list(wanted)
        for name in wanted:
            yield f"{number}: {name} as read", _equal(read[name], wanted[name])


def _equal(one: Any, other: Any) -> bool:
    one, other = np.asarray(one), np.asarray(other)
    return bool(one.dtype == other.dtype and np.array_equal(one, other))


def _compare_files(session: Path, alone: Path) -> Iterator[Check]:
    other = alone / MOUSE / DATE / session.name
    names = _files(session)
    yield f"{session.name}: names of {len(names)} files", names == _files(other)
    for name in names:
        shown = _content(session / name) == _content(other / name)
        yield f"{session.name}: {name}", shown


def _files(folder: Path) -> list[str]:
    found = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return sorted(found)


def _content(path: Path) -> Any:
    """Return what two files are compared by: their bytes, or the values of JSON.

    vrAnalysis writes the names of suite2p's arrays in the order of a set, which is no order; and
    MATLAB's files begin with the time at which they were written.
    """
    how: dict[str, Callable[[bytes], Any]] = {".json": _plain, ".mat": lambda data: data[128:]}
    return how.get(path.suffix, lambda data: hashlib.sha256(data).hexdigest())(path.read_bytes())


def _plain(data: bytes) -> Any:
    values = json.loads(data)
    if isinstance(values, dict) and "available" in values:
        values["available"] = sorted(values["available"])
    return values


if __name__ == "__main__":
    sys.exit(main())
