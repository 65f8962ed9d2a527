"""What a session's folder holds, told from names, sizes and times alone."""

from __future__ import annotations

import datetime as dt
import os
import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from vrtracker.errors import RootUnavailableError
from vrtracker.files.layout import ONE_DATA, SUITE2P
from vrtracker.files.trees import is_hidden, reason_of, walk

__all__ = ["FolderProbe", "PlaneProbe", "probe", "red_cells_modified"]

_TIMELINE = "*_Timeline.mat"
_BEHAVIOUR = "*_VRBehavior_trial.mat"
_FACE_CAMERA = "*eye.mj2"
_PLANE = re.compile(r"plane(\d+)")
_REQUIRED = ("stat", "ops", "F", "Fneu", "iscell", "spks")
_OPTIONAL = ("redcell", "F_chan2", "Fneu_chan2")
# Cutoffs are written by curation alone; parametersRed*.keyValuePairs by registration.
_CURATED = re.compile(
    r"mpciROIs\.(redCellIdx|redCellManualAssignments)\.npy|parametersRed\w+\.minMaxCutoff\.npy"
)
_STANDARD = frozenset(f"{name}.npy" for name in (*_REQUIRED, *_OPTIONAL))


@dataclass(frozen=True, slots=True)
class PlaneProbe:
    """One imaging plane of suite2p's output.

    Attributes
    ----------
    name : str
        Name of its folder, such as ``plane0``.
    missing : tuple of str
        Required files that are not there.
    empty : tuple of str
        Files of suite2p that have 0 bytes, as an interrupted run or copy leaves them.
    """

    name: str
    missing: tuple[str, ...]
    empty: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FolderProbe:
    """What there is of a session on disk.

    Attributes
    ----------
    exists : bool
        The session folder is there; if not, all else is empty.
    timeline, behaviour, face_camera : bool
        The recordings of Timeline and vrControl, and a video of the eye.
    suite2p_planes : tuple of PlaneProbe
        In the order of their numbers.
    suite2p_modified : datetime or None
        When suite2p's own files were last changed, local time, naive, whole seconds; labels
        that tracking puts beside them do not count. None when there is no such file.
    one_data_files : int
        Number of files below ``oneData``.
    one_data_bytes : int
        Their size together.
    """

    exists: bool
    timeline: bool = False
    behaviour: bool = False
    face_camera: bool = False
    suite2p_planes: tuple[PlaneProbe, ...] = ()
    suite2p_modified: dt.datetime | None = None
    one_data_files: int = 0
    one_data_bytes: int = 0

    @property
    def suite2p_complete(self) -> bool:
        """There is a plane, and no plane lacks a required file or has an empty one."""
        return bool(self.suite2p_planes) and not any(
            plane.missing or plane.empty for plane in self.suite2p_planes
        )


def probe(folder: Path) -> FolderProbe:
    """Look into a session's folder; opens no file.

    Raises
    ------
    RootUnavailableError
        If the folder is there but cannot be read: that says nothing about what it holds.

    Notes
    -----
    The names are those of Rigbox (Timeline), vrControl and suite2p as the lab uses them.
    """
    try:
        return _probe(folder)
    except OSError as error:
        raise RootUnavailableError(_unreadable(folder, error)) from error


def red_cells_modified(folder: Path) -> dt.datetime | None:
    """Return when the curated files on red cells were last changed, local time; None without any.

    Raises
    ------
    RootUnavailableError
        If the session's folder is there but cannot be read.
    """
    try:
        if not (folder / ONE_DATA).is_dir():
            return None
        with os.scandir(folder / ONE_DATA) as entries:
            times = [e.stat().st_mtime for e in entries if _CURATED.fullmatch(e.name)]
    except OSError as error:
        raise RootUnavailableError(_unreadable(folder, error)) from error
    return _local(max(times)) if times else None


def _unreadable(folder: Path, error: OSError) -> str:
    return (
        f"The session folder {str(folder)!r} cannot be read ({reason_of(error)}); "
        "nothing was changed. Check its permissions and that the drive is mounted."
    )


def _probe(folder: Path) -> FolderProbe:
    if not folder.is_dir():
        return FolderProbe(exists=False)
    names = os.listdir(folder)  # noqa: PTH208 (names alone are wanted, without Path objects)
    planes, modified = _suite2p(folder / SUITE2P) if SUITE2P in names else ((), None)
    files, size = _count(folder / ONE_DATA) if ONE_DATA in names else (0, 0)
    return FolderProbe(
        exists=True,
        timeline=_any_like(names, _TIMELINE),
        behaviour=_any_like(names, _BEHAVIOUR),
        face_camera=_any_like(names, _FACE_CAMERA),
        suite2p_planes=planes,
        suite2p_modified=modified,
        one_data_files=files,
        one_data_bytes=size,
    )


def _any_like(names: list[str], pattern: str) -> bool:
    return any(fnmatchcase(name, pattern) and not is_hidden(name) for name in names)


def _suite2p(folder: Path) -> tuple[tuple[PlaneProbe, ...], dt.datetime | None]:
    if not folder.is_dir():
        return (), None
    with os.scandir(folder) as entries:
        numbered = sorted(
            (int(match[1]), entry.name)
            for entry in entries
            if (match := _PLANE.fullmatch(entry.name)) and entry.is_dir()
        )
    planes, times = [], []
    for _, name in numbered:
        plane, modified = _plane(folder / name)
        planes.append(plane)
        times += modified
    return tuple(planes), _local(max(times)) if times else None


def _plane(folder: Path) -> tuple[PlaneProbe, list[float]]:
    with os.scandir(folder) as entries:
        status = {e.name: e.stat() for e in entries if e.name in _STANDARD and e.is_file()}
    missing = tuple(f"{name}.npy" for name in _REQUIRED if f"{name}.npy" not in status)
    empty = tuple(sorted(name for name, file in status.items() if file.st_size == 0))
    return PlaneProbe(folder.name, missing, empty), [file.st_mtime for file in status.values()]


def _local(seconds: float) -> dt.datetime:
    aware = dt.datetime.fromtimestamp(int(seconds), dt.UTC)
    return aware.astimezone().replace(tzinfo=None)


def _count(folder: Path) -> tuple[int, int]:
    if not folder.is_dir():
        return 0, 0
    sizes = [
        entry.stat().st_size
        for rel_path, entry in walk(folder, enter=lambda path: not is_hidden(_name(path)))
        if entry.is_file() and not is_hidden(_name(rel_path))
    ]
    return len(sizes), sum(sizes)


def _name(rel_path: str) -> str:
    return rel_path.rpartition("/")[2]
