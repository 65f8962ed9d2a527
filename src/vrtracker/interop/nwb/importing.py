"""Take the arrays of an NWB file over as the ALF files of a session, after a look at all of it."""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vrtracker import operations
from vrtracker.display import Facts, Shown, counted
from vrtracker.domain.keys import SessionKey
from vrtracker.domain.rigs import violations
from vrtracker.errors import (
    ImportFileError,
    InvalidValueError,
    NotFoundError,
    UnknownNameError,
    VrtrackerError,
)
from vrtracker.files.alf import load
from vrtracker.files.trees import reason_of
from vrtracker.interop.nwb.preflight import problems_of
from vrtracker.interop.nwb.reading import Content, alike, read_content

if TYPE_CHECKING:
    from vrtracker.tracker import Tracker

__all__ = ["NwbImportPlan", "import_nwb"]


@dataclass(frozen=True, slots=True, repr=False)
class NwbImportPlan(Shown):
    """What taking a file over would write; nothing is written before `apply`.

    Attributes
    ----------
    problems : tuple of str
        What keeps it from being taken over, all of it.
    new, same : tuple of str
        Files that would be written, and those that are there with the same content.
    left_out : tuple of (str, str)
        Parts of the file that are not taken over, and why.
    mouse, session, rig : bool
        Whether each would be added, or set.
    """

    path: Path
    key: SessionKey
    problems: tuple[str, ...]
    new: tuple[str, ...] = ()
    same: tuple[str, ...] = ()
    left_out: tuple[tuple[str, str], ...] = ()
    mouse: bool = False
    session: bool = False
    rig: bool = False
    _arrays: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    _rows: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    _tracker: Any = field(default=None, repr=False, compare=False)

    def facts(self) -> Facts:
        """Return what would be written, and what is wrong."""
        said = f"{counted(len(self.new), 'file')} to write, {len(self.same)} there already"
        if self.problems:
            said = f"{counted(len(self.problems), 'problem')}; nothing is taken over"
        rows = [(name, "yes") for name in ("mouse", "session", "rig") if getattr(self, name)]
        notes = [*self.problems, *(f"left out: {path}: {why}" for path, why in self.left_out)]
        return Facts(f"{self.path} as {self.key}: {said}.", rows, notes=notes, most=len(notes))

    def apply(self) -> list[str]:
        """Write files, rows and records of the files; return the files' paths.

        The files come first, under hidden names; if the database refuses, they are taken away.

        Raises
        ------
        ImportFileError
            If there are problems; nothing is written.
        InvalidValueError
            If a file cannot be written.
        """
        if self.problems:
            raise ImportFileError(
                f"{self.path} has {counted(len(self.problems), 'problem')}; nothing was written: "
                f"{' '.join(self.problems)}",
                self.problems,
            )
        folder = self._tracker._lab.folders().path(self.key)  # noqa: SLF001
        is_new = not folder.exists()
        placed: list[Path] = []
        try:
            _place(folder, {name: self._arrays[name] for name in self.new}, placed)
            with operations.operation():
                self._write_rows()
        except BaseException as error:
            for each in placed:
                each.unlink(missing_ok=True)
            if is_new:
                shutil.rmtree(folder, ignore_errors=True)
            if isinstance(error, OSError):
                raise InvalidValueError(
                    f"{folder} cannot be written to ({reason_of(error)})."
                ) from error
            raise
        return list(self.new)

    def _write_rows(self) -> None:
        tracker, rows = self._tracker, self._rows
        if self.mouse:
            tracker.mice.add(self.key.mouse, **rows["mouse"])
        if self.session:
            tracker.sessions.add(self.key, **rows["session"])
        if self.rig:
            rig = tracker.rigs.add(rows["rig"]["content"], name=rows["rig"]["name"])
            tracker.rigs.set(self.key, rig.name)
        tracker.datasets.scan(self.key)


def import_nwb(tracker: Tracker, path: str | os.PathLike[str], session: Any) -> NwbImportPlan:
    """Look at an NWB file, and return what taking it over as a session would write.

    Events, intervals, series and positions become ALF files in the output folder of the session;
    those that `export_nwb` wrote go where they were. A mouse, a session and a rig that are not
    there are added as the file describes them; those that are there stay as they are.

    Parameters
    ----------
    session
        The key that the session has, or gets.

    Raises
    ------
    MissingDependencyError
        If pynwb is not installed.
    InvalidKeyError
        If it is no key.
    RootUnavailableError
        If the root is not known, or its folder cannot be searched for.
    """
    key, file = SessionKey.parse(session), Path(path)
    folder = tracker._lab.folders().path(key)  # noqa: SLF001
    if problems := problems_of(file):
        return NwbImportPlan(file, key, tuple(problems))
    try:
        content = read_content(file, tracker._lab.output)  # noqa: SLF001
    except Exception as error:  # noqa: BLE001 - what pynwb raises at a foreign file is open
        why = f"pynwb does not read it ({type(error).__name__}: {str(error)[:160]})."
        return NwbImportPlan(file, key, (why,))
    found, left = list(content.problems), content.left_out
    if content.subject not in {None, key.mouse}:
        found.append(f"It is of {content.subject}, and the session is of {key.mouse}.")
    new: list[str] = []
    same: list[str] = []
    for name, data in content.arrays.items():
        is_same = _is_there(folder / name, data)
        if is_same is False:
            found.append(f"{name} is there already, and holds something else.")
        else:
            (same if is_same else new).append(name)
    needs = _needs(tracker, key, content, found)
    return NwbImportPlan(
        path=file,
        key=key,
        problems=tuple(found),
        new=tuple(new),
        same=tuple(same),
        left_out=tuple(left),
        **needs,
        _arrays=content.arrays,
        _rows=content.rows,
        _tracker=tracker,
    )


def _needs(
    tracker: Tracker, key: SessionKey, content: Content, problems: list[str]
) -> dict[str, bool]:
    """Return what has to be added, and fit its columns; note values that do not."""
    needs = {"mouse": True, "session": True, "rig": False}
    with contextlib.suppress(NotFoundError):
        tracker.mice.get(key.mouse)
        needs["mouse"] = False
    with contextlib.suppress(NotFoundError):
        tracker.sessions.get(key)
        needs["session"] = False
    keys: dict[str, Any] = {"mouse": {"mouseName": key.mouse}, "session": key.columns}
    for kind, service in (("mouse", tracker.mice), ("session", tracker.sessions)):
        if needs[kind]:
            given = {**content.rows[kind], **keys[kind]}
            try:
                service.coercer.columns({name: [value] for name, value in given.items()}, 1)
            except (InvalidValueError, UnknownNameError) as error:
                problems.append(f"The {kind} that it describes does not fit: {error}")
    if content.rows.get("rig"):
        wrong = violations(content.rows["rig"].get("content"))
        problems += [f"Its rig is wrong: {each}" for each in wrong]
        needs["rig"] = needs["session"] or tracker.rigs.of(key) is None
    return needs


def _is_there(path: Path, data: Any) -> bool | None:
    """Return whether a file holds these data; None if it is not there."""
    if not path.exists():
        return None
    try:
        return alike(load(path), data)
    except VrtrackerError:
        return False


def _place(folder: Path, arrays: Mapping[str, Any], placed: list[Path]) -> None:
    """Write arrays under a hidden name, and then put all in their places."""
    import numpy as np

    work = folder / f".nwb-{uuid.uuid4().hex[:8]}"
    try:
        for name, data in arrays.items():
            path = work / name
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, data, allow_pickle=False)
        for name in arrays:
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            (work / name).replace(target)
            placed.append(target)
    finally:
        shutil.rmtree(work, ignore_errors=True)
