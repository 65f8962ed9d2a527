"""What a session's folder holds, told from names, sizes and times."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from vrtracker.domain.disk_rules import SUITE2P_FILES
from vrtracker.errors import RootUnavailableError
from vrtracker.files.layout import ONE_DATA, SUITE2P
from vrtracker.files.suite2p import PlaneProbe, Suite2pProbe, probe_suite2p
from vrtracker.files.trees import FileFacts, facts_in, is_folder, is_hidden, reason_of

__all__ = ["FolderProbe", "PlaneProbe", "local_time", "probe"]

_TIMELINE = "_Timeline.mat"
_BEHAVIOUR = "_VRBehavior_trial.mat"
_FACE_CAMERA = "eye.mj2"
_RECORDINGS = (_TIMELINE, _BEHAVIOUR, _FACE_CAMERA)


@dataclass(frozen=True, slots=True)
class FolderProbe:
    """What there is of a session on disk."""

    exists: bool
    """The session folder is there; if not, all else is empty."""
    timeline: bool = False
    behaviour: bool = False
    face_camera: bool = False
    """The recordings of Timeline and vrControl, and a video of the eye."""
    suite2p_planes: tuple[PlaneProbe, ...] = ()
    """In the order of their numbers."""
    suite2p_modified: dt.datetime | None = None
    """When suite2p's own files were last changed, local time, naive, whole seconds; labels that
    tracking puts beside them do not count. None when there is no such file.
    """
    suite2p_doubts: tuple[str, ...] = ()
    """Settings of suite2p that might have told why a file is missing and cannot be understood."""
    output: Mapping[str, FileFacts] = field(default_factory=dict)
    """Size and time of each visible file below the output folder (``oneData``), by its posix path
    below that.
    """

    @property
    def suite2p_complete(self) -> bool:
        """suite2p worked on a plane, and none lacks a file that is due or has an empty one."""
        return self.suite2p_worked_on > 0 and not any(
            plane.missing or plane.empty for plane in self.suite2p_planes
        )

    @property
    def suite2p_worked_on(self) -> int:
        """Number of planes that suite2p was not told to ignore."""
        return sum(not plane.ignored for plane in self.suite2p_planes)


def probe(
    folder: str | os.PathLike[str],
    *,
    output: str = ONE_DATA,
    required: Iterable[str] = SUITE2P_FILES,
    zone: dt.tzinfo | None = None,
) -> FolderProbe:
    """Look into a session's folder, in one pass.

    Files are opened only where suite2p's output lacks one: its settings may say why.

    `output`: name of the output folder. `required`: the files that each plane of suite2p must have,
    without ``.npy``. `zone`: the lab's time zone; this computer's when not given. Raises
    RootUnavailableError if the folder is there but cannot be read, or one in it is a link that
    cannot be followed: that says nothing about what it holds.

    The names are those of Rigbox (Timeline), vrControl and suite2p as the lab uses them.
    """
    try:
        return _probe(os.fspath(folder), output, [f"{name}.npy" for name in required], zone)
    except OSError as error:
        is_gone = isinstance(error, FileNotFoundError | NotADirectoryError)
        if is_gone and not Path(folder).is_dir():
            return FolderProbe(exists=False)
        inside = error.filename not in (None, os.fspath(folder))
        where = f"{error.filename!r}: " if inside else ""
        raise RootUnavailableError(
            f"The session folder {os.fspath(folder)!r} cannot be read ({where}{reason_of(error)}); "
            "nothing was changed. Check its permissions and that the drive is mounted."
        ) from error


def _probe(
    folder: str, output: str, required: Collection[str], zone: dt.tzinfo | None
) -> FolderProbe:
    with os.scandir(folder) as entries:
        here = {entry.name: entry for entry in entries}
    suite2p = _suite2p(here.get(SUITE2P), required)
    modified = suite2p.modified
    recordings = [name for name in here if name.endswith(_RECORDINGS) and not is_hidden(name)]
    return FolderProbe(
        exists=True,
        timeline=_any_ends(recordings, _TIMELINE),
        behaviour=_any_ends(recordings, _BEHAVIOUR),
        face_camera=_any_ends(recordings, _FACE_CAMERA),
        suite2p_planes=suite2p.planes,
        suite2p_modified=None if modified is None else local_time(modified, zone),
        suite2p_doubts=suite2p.doubts,
        output=_files(here.get(output)),
    )


def local_time(seconds: float, zone: dt.tzinfo | None) -> dt.datetime:
    """Return a file's time on the lab's clock: naive, whole seconds."""
    return dt.datetime.fromtimestamp(int(seconds), zone).replace(tzinfo=None)


def _any_ends(names: Iterable[str], ending: str) -> bool:
    return any(name.endswith(ending) for name in names)


def _suite2p(folder: os.DirEntry[str] | None, required: Collection[str]) -> Suite2pProbe:
    if folder is None or not is_folder(folder):
        return Suite2pProbe()
    return probe_suite2p(folder.path, required)


def _files(folder: os.DirEntry[str] | None) -> dict[str, FileFacts]:
    """Return the facts of the visible files below a folder, by their posix path below it."""
    if folder is None or not is_folder(folder):
        return {}
    files: dict[str, FileFacts] = {}
    waiting = [""]
    while waiting:
        prefix = waiting.pop()
        here, folders = facts_in(f"{folder.path}/{prefix}")
        files |= {prefix + name: facts for name, facts in here.items()} if prefix else here
        waiting += [f"{prefix}{name}/" for name in folders]
    return files
