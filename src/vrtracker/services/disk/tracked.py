"""Runs of tracking: found below the folders of mice, and written as part of a plan."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from vrtracker.domain.keys import SessionKey
from vrtracker.domain.reconciling import Finding
from vrtracker.domain.tracking import FoundRun, MouseChange
from vrtracker.errors import ConcurrentUpdateError, InvalidValueError, VrtrackerError
from vrtracker.files.roicat import find_runs
from vrtracker.files.trees import reason_of
from vrtracker.repositories.listing import Listing
from vrtracker.repositories.row_images import TRACKING, differences
from vrtracker.repositories.selecting import Selection
from vrtracker.services.context import LabContext
from vrtracker.unit_of_work import UnitOfWork

_FLAGS = ("tracked", "trackerExists")
_KIND = "tracking"


def look_for_runs(
    lab: LabContext, folders: Mapping[str, Path]
) -> tuple[list[FoundRun], list[MouseChange], list[Finding]]:
    """Return runs that are not on record, what follows for their mice, and what is wrong.

    `folders`: the folders of mice, by name.
    """
    if not folders:
        return [], [], []
    root = lab.folders().root
    notes: list[Finding] = []
    found: dict[str, dict[str, FoundRun]] = {}
    for mouse, folder in folders.items():
        try:
            runs, problems = find_runs(folder, root)
        except (OSError, VrtrackerError) as error:
            why = reason_of(error) if isinstance(error, OSError) else str(error)
            notes.append(Finding("unreadable", str(folder), why))
            continue
        notes += [Finding(_KIND, path, problem) for path, problem in problems]
        found[mouse] = {each.run: each for each in runs}
    with lab.unit(readonly=True) as unit:
        known = unit.tracking.recorded()
        numbers = _numbers(unit, [run for theirs in found.values() for run in theirs.values()])
        is_told = {run for run, _ in known}
        new: list[FoundRun] = []
        for theirs in found.values():
            for run in theirs.values():
                missing = [str(each.key) for each in run.sessions if each.key not in numbers]
                if missing:
                    why = f"It names {missing[0]}, which is not in the database; vrtracker scan"
                    notes.append(Finding(_KIND, run.folder, why))
                elif {(run.run, numbers[each.key]) for each in run.sessions} - known:
                    new.append(run)
        changes = [
            change
            for mouse, theirs in found.items()
            if (change := _of_mouse(unit, mouse, theirs, is_told | {each.run for each in new}))
        ]
    return new, changes, notes


def write_runs(
    lab: LabContext,
    unit: UnitOfWork,
    runs: Sequence[FoundRun],
    mice: Iterable[MouseChange],
    *,
    at: dt.datetime,
    undo: bool,
) -> list[SessionKey]:
    """Record runs, or with `undo` forget them, with an event a session and mouse.

    Raises ConcurrentUpdateError if a mouse is not as the plan saw it. Raises InvalidValueError if a
    session is gone, or the plan changes what no look at the disk proposes.
    """
    numbers = _numbers(unit, runs)
    gone = [each.key for run in runs for each in run.sessions if each.key not in numbers]
    if gone:
        raise InvalidValueError(f"{gone[0]} is not in the database any more; make a new plan.")
    known = unit.tracking.recorded()
    touched = sorted({numbers[each.key] for run in runs for each in run.sessions})
    before = unit.images.of(touched, TRACKING)
    for run in runs:
        if undo:
            unit.tracking.remove(run.run, [numbers[each.key] for each in run.sessions])
        else:
            rows = _rows(run, numbers, at)
            unit.tracking.add([r for r in rows if (run.run, r["uSessionID"]) not in known])
    after = unit.images.of(touched, TRACKING)
    keys = {number: key for key, number in numbers.items()}
    events = [
        lab.event(keys[number], "reconciled", at=at, changes=changed)
        for number in touched
        if (changed := differences(before[number], after[number]))
    ]
    for change in mice:
        _change(unit, change)
        columns = {name: list(pair) for name, pair in change.columns.items()}
        why = change.why or None
        events.append(lab.event(change.mouse, "reconciled", at=at, changes=columns, reason=why))
    unit.events.append(events)
    return [keys[number] for number in touched]


def _rows(
    run: FoundRun, numbers: Mapping[SessionKey, int], at: dt.datetime
) -> Iterable[dict[str, Any]]:
    return [
        {
            "run_hash": run.run,
            "uSessionID": numbers[each.key],
            "place": place,
            "plane": run.plane,
            "folder": run.folder,
            "files": each.files,
            "made_by": run.made_by,
            "settings": run.settings,
            "labelled_at": each.labelled_at,
            "recorded_at": at,
        }
        for place, each in enumerate(run.sessions)
    ]


def _numbers(unit: UnitOfWork, runs: Sequence[FoundRun]) -> dict[SessionKey, int]:
    """Return the numbers of the sessions of runs that are there, scratched ones too."""
    mice = sorted({run.mouse for run in runs})
    if not mice:
        return {}
    listing = Listing(Selection.of({"mouseName": mice}), include_scratched=True)
    rows = unit.sessions.present(listing)
    keys = [SessionKey.of_row(row) for row in rows]
    return {key: row["uSessionID"] for key, row in zip(keys, rows, strict=True)}


def _of_mouse(
    unit: UnitOfWork, mouse: str, runs: Mapping[str, FoundRun], recorded: set[str]
) -> MouseChange | None:
    """Return what the files say of a mouse: that it is tracked, or that its files are gone."""
    wanted, why = {}, ""
    if runs.keys() & recorded:
        wanted, why = dict.fromkeys(_FLAGS, True), "there are files of tracking"
    elif not runs and any(row["run_hash"] in recorded for row in unit.tracking.of_mouse(mouse)):
        wanted, why = {"trackerExists": False}, "the files of tracking are gone"
    record = unit.mice.get(mouse) if wanted else None
    if record is None:
        return None
    columns = {
        name: (getattr(record, name), value)
        for name, value in wanted.items()
        if getattr(record, name) is not value
    }
    return MouseChange(mouse, columns, why) if columns else None


def _change(unit: UnitOfWork, change: MouseChange) -> None:
    record = unit.mice.get(change.mouse)
    if {*change.columns} - {*_FLAGS}:
        raise InvalidValueError(f"A plan cannot change {sorted(change.columns)} of a mouse.")
    for name, (old, _) in change.columns.items():
        if record is None or getattr(record, name) is not old:
            raise ConcurrentUpdateError(change.mouse, "changed")
    if record is not None:
        values = {name: new for name, (_, new) in change.columns.items()}
        unit.mice.set_values([record.uMouseID], values)
