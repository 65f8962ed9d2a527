"""What suite2p left of each imaging plane, and what by its own settings it did not have to leave.

suite2p 0.x keeps everything that it was told in the `ops.npy` of each plane. 1.x writes two dicts,
`db.npy` (the recording) and `settings.npy`, into its folder and into that of each plane; its
`ops.npy` is a copy for old programs, made last of all, that can be switched off.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from vrtracker.errors import InvalidValueError
from vrtracker.files.suite2p_settings import SavedSettings
from vrtracker.files.trees import FileFacts, facts_in, is_folder

_FOLDER = re.compile(r"plane(\d+)")
_DB, _SETTINGS, _OPS, _SPIKES = "db.npy", "settings.npy", "ops.npy", "spks.npy"
_REGISTERED = "reg_outputs.npy"
_OF_DETECTION = frozenset(
    f"{name}.npy"
    for name in ("stat", "F", "Fneu", "iscell", "spks", "redcell", "F_chan2", "Fneu_chan2")
)
_STANDARD = _OF_DETECTION | {_DB, _SETTINGS, _OPS, _REGISTERED}


@dataclass(frozen=True, slots=True)
class PlaneProbe:
    """One imaging plane of suite2p's output."""

    name: str
    """Name of its folder, such as ``plane0``."""
    missing: tuple[str, ...]
    """Required files that are not there."""
    empty: tuple[str, ...] = ()
    """Files of suite2p that have 0 bytes, as an interrupted run or copy leaves them."""
    spared: tuple[str, ...] = ()
    """Required files that are not there and, by suite2p's settings, need not be."""
    ignored: bool = False
    """suite2p was told to leave the plane alone (``ignore_flyback``); nothing of it is missing."""


@dataclass(frozen=True, slots=True)
class Suite2pProbe:
    """What there is of suite2p's output."""

    planes: tuple[PlaneProbe, ...] = ()
    """In the order of their numbers."""
    modified: float | None = None
    """When suite2p's own files were last changed, s since 1970-01-01 UTC."""
    doubts: tuple[str, ...] = ()
    """Settings that would have been of use and cannot be understood; every file counts as due."""


@dataclass(slots=True)
class _Plane:
    number: int
    name: str
    path: str
    files: Mapping[str, FileFacts]

    def has(self, name: str) -> bool:
        """Tell whether a file is there and not empty."""
        return name in self.files and self.files[name][0] > 0


def probe_suite2p(folder: str, required: Collection[str]) -> Suite2pProbe:
    """Look into suite2p's folder; its settings are read only where a file is missing.

    `required`: names of the files that each plane must have. Raises OSError if something in it
    cannot be read.
    """
    with os.scandir(folder) as entries:
        here = {entry.name: entry for entry in entries}
    numbered = sorted(
        (int(match[1]), name)
        for name, entry in here.items()
        if (match := _FOLDER.fullmatch(name)) and is_folder(entry)
    )
    planes = [
        _Plane(number, name, here[name].path, facts_in(here[name].path, only=_STANDARD)[0])
        for number, name in numbered
    ]
    due = _Due(planes, here[_DB].path if _DB in here else None)
    probed = tuple([due.probed(plane, required) for plane in planes])
    times = [modified for plane in planes for _, modified in plane.files.values()]
    return Suite2pProbe(probed, max(times, default=None), tuple(due.doubts))


@dataclass
class _Due:
    """What suite2p's settings say that it had to leave of each plane.

    `db`: path of the `db.npy` beside the planes, where there is one.
    """

    planes: list[_Plane]
    db: str | None
    doubts: list[str] = field(default_factory=list)
    _read: dict[str, SavedSettings] = field(default_factory=dict)

    def probed(self, plane: _Plane, required: Collection[str]) -> PlaneProbe:
        """Return what a plane has and lacks."""
        files = plane.files
        missing = tuple([name for name in required if name not in files])
        empty = tuple(sorted([name for name, (size, _) in files.items() if not size]))
        if not missing:
            return PlaneProbe(plane.name, (), empty)
        needless = self._needless(plane)
        due = tuple(name for name in missing if name not in needless)
        if due and plane.number in self._ignored:
            return PlaneProbe(plane.name, (), ignored=True)
        spared = tuple(name for name in missing if name in needless)
        return PlaneProbe(plane.name, due, empty, spared)

    def _needless(self, plane: _Plane) -> Collection[str]:
        """Return the files that suite2p was told not to make of a plane."""
        try:
            if plane.has(_SETTINGS):
                return _not_due(self._settings(plane, _SETTINGS), plane)
            if plane.has(_OPS):
                return _not_due_before_1(self._settings(plane, _OPS))
        except InvalidValueError as error:
            self.doubts.append(str(error))
        return ()

    @cached_property
    def _ignored(self) -> Collection[int]:
        """Return the planes that suite2p was told to leave alone, by number.

        suite2p counts the folders in natural order, which are those numbers when it makes them;
        a folder that people removed since then must not make it mean another one.
        """
        try:
            return self._newest().numbers("ignore_flyback")
        except InvalidValueError as error:
            self.doubts.append(str(error))
            return ()

    def _newest(self) -> SavedSettings:
        """Return what says which planes to ignore; of 0.x's files only the last run's is right."""
        if self.db is not None:
            return self._load(self.db)
        for name in (_DB, _OPS):
            having = [plane for plane in self.planes if plane.has(name)]
            if having:
                return self._settings(max(having, key=lambda each: each.files[name][1]), name)
        return SavedSettings("")

    def _settings(self, plane: _Plane, name: str) -> SavedSettings:
        return self._load(f"{plane.path}{os.sep}{name}")

    def _load(self, path: str) -> SavedSettings:
        if path not in self._read:
            self._read[path] = SavedSettings(path)  # What cannot be read says nothing, once.
            self._read[path] = SavedSettings.read(path)
        return self._read[path]


def _not_due(settings: SavedSettings, plane: _Plane) -> Collection[str]:
    """Return what 1.x was told not to make."""
    # Without detection, only what registration left tells that the plane was done.
    detects = settings.is_on("run", "do_detection") or not plane.has(_REGISTERED)
    found = set() if detects else set(_OF_DETECTION)
    if not settings.is_on("run", "do_deconvolution"):
        found.add(_SPIKES)
    if not settings.is_on("io", "save_ops_orig"):
        found.add(_OPS)
    return found


def _not_due_before_1(ops: SavedSettings) -> Collection[str]:
    """Return what 0.x was told not to make."""
    # It writes `ops.npy` before it starts, and the date when it has registered the plane.
    detects = ops.is_on("roidetect") or "date_proc" not in ops.values
    found = set() if detects else set(_OF_DETECTION)
    if not ops.is_on("spikedetect"):
        found.add(_SPIKES)
    return found
