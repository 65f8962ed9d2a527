"""What the disk says of suite2p and of curated red cells, against what the database says."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from vrtracker.domain.keys import SessionKey
from vrtracker.domain.states import State
from vrtracker.errors import RootUnavailableError
from vrtracker.files.layout import SessionFolders
from vrtracker.files.probe import FolderProbe, probe
from vrtracker.interop.vranalysis.printing import say
from vrtracker.operations import operation
from vrtracker.tracker import Tracker

if TYPE_CHECKING:
    from pathlib import Path

    from vrtracker.domain.reconciling import SessionChange
    from vrtracker.services.disk import ReconcilePlan

_IMAGED = {"imaging": True}
_NOT_IN_IT = ("unreadable", "running")


@dataclass(frozen=True, slots=True)
class DateFromFiles:
    """A column of the lab that holds the time of a stage's files."""

    column: str
    stage: str
    conditions: dict[str, bool]


SUITE2P_DATE = DateFromFiles("suite2pDate", "suite2p", {**_IMAGED, "suite2p": True})
RED_CELL_DATE = DateFromFiles(
    "redCellQCDate", "red_cell_qc", {**_IMAGED, "suite2p": True, "redCellQC": True}
)


@operation()
def check_suite2p(
    tracker: Tracker, conditions: Mapping[str, Any], *, files: Iterable[str], update: bool
) -> bool:
    """Print, and with `update` correct, where the column `suite2p` and the files differ.

    A session without any folder here says nothing about suite2p, and stays as it is. One that was
    marked as without suite2p, and has it, differs.

    `conditions`: which sessions to look at; of those only the ones with imaging. `files`: the files
    that each plane must have, without ``.npy``. Returns whether anything differs. Raises
    RootUnavailableError if the root is missing or empty, or most of the sessions with suite2p lost
    it; nothing is changed then.
    """
    wanted = {**conditions, **_IMAGED}
    plan = _compared(tracker, wanted, "suite2p", _is_of_suite2p)
    for change in plan.found.changes:
        _, complete = change.columns["suite2p"]
        said = (
            "Database said suite2p didn't run, but it already did"
            if complete
            else "Database said suite2p has been ran, but it actually hasn't"
        )
        say(f"{said}: {change.key.path} ({'; '.join(change.reasons)})")
    excluded = _excluded_with_suite2p(tracker, wanted, files)
    for key in excluded.values():
        say(
            f"Database said suite2p didn't run, but it already did: {key.path} "
            "(suite2p is complete; the session was marked as without it)"
        )
    if update:
        _apply(plan, "suite2p")
        changed = [change.key for change in plan.found.changes]
        for key in [*changed, *_take_back(tracker, excluded)]:
            _forget_failure(tracker, key)
    return bool(plan.found.changes or excluded)


def update_dates(
    tracker: Tracker, what: DateFromFiles, conditions: Mapping[str, Any], *, dry_run: bool
) -> None:
    """Set a date to that of the newest file where there is one, and the date is earlier or empty.

    `conditions`: which sessions to look at, as far as the stage is done. Raises
    RootUnavailableError if the root is missing or empty, or most of the sessions lost their files;
    nothing is changed then.
    """
    wanted = {**conditions, **what.conditions}
    plan = _compared(
        tracker, wanted, what.stage, lambda change: list(change.columns) == [what.column]
    )
    for change in plan.found.changes:
        before, after = change.columns[what.column]
        say(f"{what.column} of {change.key.path}: {before} -> {after}")
    if not dry_run:
        _apply(plan, what.stage)


def _compared(
    tracker: Tracker,
    conditions: Mapping[str, Any],
    stage: str,
    keep: Callable[[SessionChange], bool],
) -> ReconcilePlan:
    """Return the wanted part of what reconciling would change; print what it could not see."""
    plan = tracker.reconcile(conditions, stages=[stage], only_present=True)
    for note in plan.found.notes:
        if note.kind in _NOT_IN_IT:
            say(f"{note.where}: {note.message}")
    return plan.only(keep)


def _is_of_suite2p(change: SessionChange) -> bool:
    return "suite2p" in change.columns


def _apply(plan: ReconcilePlan, stage: str) -> None:
    """Write a plan, or say in the words of these methods why the disk is not to be believed."""
    found = plan.found
    if found.doubts:
        raise RootUnavailableError(
            f"The root {found.root!r} is hard to believe: {'; '.join(found.doubts)} "
            f"({found.with_folder} of {found.looked_at} sessions have a folder there). Nothing was "
            "changed. It may be another drive than usual: mount the right one. If the files are "
            f"gone indeed: tracker.reconcile(stages=[{stage!r}], only_present=True)"
            ".apply(force=True)."
        )
    plan.apply()


def _excluded_with_suite2p(
    tracker: Tracker, conditions: Mapping[str, Any], files: Iterable[str]
) -> dict[int, SessionKey]:
    """Return the sessions that were marked as without suite2p and have all of it, by number."""
    folders = SessionFolders(cast("Path", tracker.root))
    table = tracker.workflow.table({**conditions, "suite2p": False})
    excluded = table[table["state:suite2p"] == State.NOT_APPLICABLE.value]
    found: dict[int, SessionKey] = {}
    for row in excluded.to_dict("records"):
        key = SessionKey.parse((row["mouseName"], row["sessionDate"], row["sessionID"]))
        if State.RUNNING.value in row.values():
            continue  # Comparing leaves it alone too.
        record = tracker.sessions.get(key).record
        folder = folders.find(key)
        with contextlib.suppress(RootUnavailableError):
            if folder is not None and _is_whole(probe(folder, required=files), record.numPlanes):
                found[record.uSessionID] = key
    return found


def _is_whole(found: FolderProbe, planes: int | None) -> bool:
    return found.suite2p_complete and len(found.suite2p_planes) >= (planes or 0)


def _take_back(tracker: Tracker, excluded: Mapping[int, SessionKey]) -> list[SessionKey]:
    """Let suite2p apply to these sessions again, and record it; return them."""
    if not excluded:
        return []
    for key in excluded.values():
        tracker.workflow.include(key, "suite2p", "found on disk")
    wanted = {"uSessionID": list(excluded)}
    plan = tracker.reconcile(wanted, stages=["suite2p"], only_present=True)
    return plan.only(_is_of_suite2p).apply()


def _forget_failure(tracker: Tracker, key: SessionKey) -> None:
    """Queue a failed registration again: it may well have failed for want of suite2p."""
    if tracker.workflow.states(key)["registration"] is State.FAILED:
        tracker.workflow.reset(key, "registration", reason="suite2p has been made since")
