"""What the disk says of suite2p and of curated red cells, against what the database says."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vrtracker.domain.keys import SessionKey
from vrtracker.domain.states import State
from vrtracker.errors import RootUnavailableError
from vrtracker.files.layout import SessionFolders
from vrtracker.files.probe import probe
from vrtracker.interop.vranalysis.printing import say
from vrtracker.tracker import Tracker

if TYPE_CHECKING:
    from vrtracker.domain.reconciling import SessionChange
    from vrtracker.services.reconciling import ReconcilePlan

__all__ = ["RED_CELL_DATE", "SUITE2P_DATE", "DateFromFiles", "check_suite2p", "update_dates"]

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


def check_suite2p(tracker: Tracker, *, update: bool) -> bool:
    """Print, and with `update` correct, where the column `suite2p` and the files differ.

    A session without any folder here says nothing about suite2p, and stays as it is.

    Returns
    -------
    bool
        Whether anything differs.

    Raises
    ------
    RootUnavailableError
        If the root is missing or empty, or most of the sessions with suite2p lost it; nothing
        is changed then.
    """
    if update:
        _take_back_exclusions(tracker)
    plan = _compared(tracker, _IMAGED, "suite2p", lambda change: "suite2p" in change.columns)
    for change in plan.found.changes:
        _, complete = change.columns["suite2p"]
        said = (
            "Database said suite2p didn't run, but it already did"
            if complete
            else "Database said suite2p has been ran, but it actually hasn't"
        )
        say(f"{said}: {change.key.path} ({'; '.join(change.reasons)})")
    if update:
        for key in plan.apply():
            _forget_failure(tracker, key)
    return bool(plan.found.changes)


def update_dates(tracker: Tracker, what: DateFromFiles, *, dry_run: bool) -> None:
    """Set a date to that of the newest file where there is one, and the date is earlier or empty.

    Raises
    ------
    RootUnavailableError
        If the root is missing or empty; nothing is changed then.
    """
    plan = _compared(
        tracker, what.conditions, what.stage, lambda change: list(change.columns) == [what.column]
    )
    for change in plan.found.changes:
        before, after = change.columns[what.column]
        say(f"{what.column} of {change.key.path}: {before} -> {after}")
    if not dry_run:
        plan.apply()


def _compared(
    tracker: Tracker,
    conditions: dict[str, bool],
    stage: str,
    keep: Callable[[SessionChange], bool],
) -> ReconcilePlan:
    """Return the wanted part of what reconciling would change; print what it could not see."""
    plan = tracker.reconcile(conditions, stages=[stage], only_present=True)
    for note in plan.found.notes:
        if note.kind in _NOT_IN_IT:
            say(f"{note.where}: {note.message}")
    return plan.only(keep)


def _take_back_exclusions(tracker: Tracker) -> None:
    """Let suite2p apply to sessions that were registered without imaging, and have it now."""
    if tracker.root is None:
        return  # What comes next says so.
    folders = SessionFolders(tracker.root)
    table = tracker.workflow.table({**_IMAGED, "suite2p": False})
    excluded = table[table["state:suite2p"] == State.NOT_APPLICABLE.value]
    for row in excluded.to_dict("records"):
        key = SessionKey.parse((row["mouseName"], row["sessionDate"], row["sessionID"]))
        folder = folders.find(key)
        with contextlib.suppress(RootUnavailableError):
            if folder is not None and probe(folder).suite2p_complete:
                tracker.workflow.include(key, "suite2p", "found on disk")


def _forget_failure(tracker: Tracker, key: SessionKey) -> None:
    """Queue a failed registration again: it may well have failed for want of suite2p."""
    if tracker.workflow.states(key)["registration"] is State.FAILED:
        tracker.workflow.reset(key, "registration", reason="suite2p has been made since")
