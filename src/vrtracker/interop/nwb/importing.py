"""Take the arrays of an NWB file over as the ALF files of a session, after a look at all of it."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vrtracker.backends.base import ViolationError
from vrtracker.display import Facts, Shown, counted
from vrtracker.domain.keys import SessionKey
from vrtracker.domain.rigs import content_hash, violations
from vrtracker.errors import (
    ConcurrentUpdateError,
    ImportFileError,
    InvalidValueError,
    UnknownNameError,
    VrtrackerError,
)
from vrtracker.files.alf import load
from vrtracker.files.trees import reason_of
from vrtracker.interop.nwb.preflight import not_read, problems_of
from vrtracker.interop.nwb.reading import Content, alike, read_content
from vrtracker.services import rigs
from vrtracker.services.disk.datasets import facts_of, record_files
from vrtracker.services.entries.adding import fitted, insert
from vrtracker.services.experiments.importing import take_in
from vrtracker.unit_of_work import UnitOfWork

if TYPE_CHECKING:
    from vrtracker.tracker import Tracker

_VERB = "nwb_imported"
_MEANWHILE = "compared with a database that was changed"
_LONGEST_PATH = 255


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
    notes : tuple of str
        What gets another name here than it has in the file.
    beside : mapping
        How many experiments, masks and runs of tracking (sessions in them) the file tells of.

    Examples
    --------
    >>> from vrtracker.interop.nwb import export_nwb, import_nwb
    >>> written = export_nwb(tracker, "DEMO003.2023-03-16.1", "session.nwb")
    >>> plan = import_nwb(tracker, "session.nwb", "DEMO003.2023-03-16.2")
    >>> plan.problems, plan.session, len(plan.new)
    ((), True, 9)
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
    notes: tuple[str, ...] = ()
    beside: Mapping[str, int] = field(default_factory=dict)
    _content: Any = field(default=None, repr=False, compare=False)
    _tracker: Any = field(default=None, repr=False, compare=False)

    def facts(self) -> Facts:
        """Return what would be written, and what is wrong.

        Examples
        --------
        >>> from vrtracker.interop.nwb import export_nwb, import_nwb
        >>> written = export_nwb(tracker, "DEMO003.2023-03-16.1", "session.nwb")
        >>> import_nwb(tracker, "session.nwb", "DEMO003.2023-03-16.2").facts().title
        'session.nwb as DEMO003.2023-03-16.2: 9 files to write, 0 there already.'
        """
        said = f"{counted(len(self.new), 'file')} to write, {len(self.same)} there already"
        if self.problems:
            said = f"{counted(len(self.problems), 'problem')}; nothing is taken over"
        rows: list[Any] = [(n, "yes") for n in ("mouse", "session", "rig") if getattr(self, n)]
        rows += [(name, count) for name, count in self.beside.items() if count]
        left_out = [f"left out: {path}: {why}" for path, why in self.left_out]
        notes = [*self.problems, *self.notes, *left_out]
        return Facts(f"{self.path} as {self.key}: {said}.", rows, notes=notes, most=len(notes))

    def apply(self) -> list[str]:
        """Write files, then rows and records of the files in one transaction; return the paths.

        The files get hidden names first; if the database refuses, they are taken away. It is not
        undone by ``undo``, which touches no file.

        Raises
        ------
        ImportFileError
            If there are problems; nothing is written.
        InvalidValueError
            If a file cannot be written.

        Examples
        --------
        >>> from vrtracker.interop.nwb import export_nwb, import_nwb
        >>> written = export_nwb(tracker, "DEMO003.2023-03-16.1", "session.nwb")
        >>> import_nwb(tracker, "session.nwb", "DEMO003.2023-03-16.2").apply()[0]
        'oneData/positionTracking.position.npy'
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
            _place(folder, {name: self._content.arrays[name] for name in self.new}, placed)
            self._write_rows(facts_of(folder, [*self.new, *self.same]))
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

    def _write_rows(self, facts: Mapping[str, Any]) -> None:
        tracker, rows, beside = self._tracker, self._content.rows, self._content.beside
        lab = tracker._lab  # noqa: SLF001
        at = lab.now()
        try:
            with lab.unit() as unit:
                if self.mouse:
                    _add(tracker.mice.rules, unit, {"mouseName": self.key.mouse, **rows["mouse"]})
                if self.session:
                    _add(tracker.sessions.rules, unit, {**self.key.columns, **rows["session"]})
                number = unit.sessions.get(self.key).uSessionID
                if self.rig:
                    rig = rigs.keep(lab, unit, rows["rig"]["content"], rows["rig"]["name"])
                    rigs.point(lab, unit, {number: self.key}, rig.row.rig_id)
                conflicts = take_in(lab, unit, beside.experiments, self.path.name, self.key)
                counts = beside.write_rows(unit, number) | record_files(unit, number, facts, at)
                if any(counts.values()):
                    told = {"file": self.path.name, **counts}
                    unit.events.append([lab.event(self.key, _VERB, at=at, changes=told)])
                if conflicts:
                    raise ConcurrentUpdateError(str(self.key), _MEANWHILE)
                unit.commit()
        except ViolationError as error:
            raise ConcurrentUpdateError(str(self.key), _MEANWHILE) from error


def _add(rules: Any, unit: UnitOfWork, row: Mapping[str, Any]) -> None:
    insert(rules, unit, fitted(rules, [row]))


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

    Examples
    --------
    >>> from vrtracker.interop.nwb import export_nwb, import_nwb
    >>> written = export_nwb(tracker, "DEMO003.2023-03-16.1", "session.nwb")
    >>> len(import_nwb(tracker, "session.nwb", "DEMO003.2023-03-16.1").same)
    9
    """
    key, file = SessionKey.parse(session), Path(path)
    folder = tracker._lab.folders().path(key)  # noqa: SLF001
    if problems := problems_of(file):
        return NwbImportPlan(file, key, tuple(problems))
    try:
        content = read_content(file, tracker._lab.output)  # noqa: SLF001
    except Exception as error:  # noqa: BLE001 - what pynwb raises at a foreign file is open
        return NwbImportPlan(file, key, (not_read(file, error),))
    found, left = list(content.problems), content.left_out
    if content.subject not in {None, key.mouse}:
        found.append(f"It is of {content.subject}, and the session is of {key.mouse}.")
    new: list[str] = []
    same: list[str] = []
    for name, data in content.arrays.items():
        if len(name) > _LONGEST_PATH:
            found.append(f"The path {name} would be longer than {_LONGEST_PATH} characters.")
            continue
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
        beside=content.beside.counts,
        _content=content,
        _tracker=tracker,
    )


def _needs(
    tracker: Tracker, key: SessionKey, content: Content, problems: list[str]
) -> dict[str, Any]:
    """Return what has to be added, and fit its columns; note what does not fit, or contradicts."""
    there = {"mouse": tracker.mice.find(key.mouse), "session": tracker.sessions.find(key)}
    needs: dict[str, Any] = {kind: record is None for kind, record in there.items()}
    rig = content.rows.get("rig")
    keys: dict[str, Any] = {"mouse": {"mouseName": key.mouse}, "session": key.columns}
    for kind, service in (("mouse", tracker.mice), ("session", tracker.sessions)):
        if needs[kind]:
            given = {**content.rows[kind], **keys[kind]}
            try:
                service.coercer.columns({name: [value] for name, value in given.items()}, 1)
            except (InvalidValueError, UnknownNameError) as error:
                problems.append(f"The {kind} that it describes does not fit: {error}")
    if rig:
        problems += [f"Its rig is wrong: {each}" for each in violations(rig["content"])]
        needs["rig"] = needs["session"] or tracker.rigs.of(key) is None
    with tracker._lab.unit(readonly=True) as unit:  # noqa: SLF001
        whose = None if needs["session"] else key
        told = content.beside.experiments, "its experiment", whose
        problems += take_in(tracker._lab, unit, *told, dry_run=True)  # noqa: SLF001
        if rig and needs.get("rig"):
            needs["notes"] = _renamed(unit, rig)
    return needs


def _renamed(unit: UnitOfWork, rig: Mapping[str, Any]) -> tuple[str, ...]:
    """Return that a version has another name here; files of older versions do not tell theirs."""
    _, name, version = rigs.place_of(unit, content_hash(rig["content"]), rig["name"])
    there, here = f"{rig['name']}@{rig.get('version')}", f"{name}@{version}"
    is_told = rig.get("version") is not None and there != here
    return (f"The rig {there} there is {here} here.",) if is_told else ()


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
