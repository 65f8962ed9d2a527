"""What the disk says of suite2p and of curated red cells, against what the database says."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vrtracker.domain.keys import SessionKey
from vrtracker.domain.states import State
from vrtracker.errors import (
    ConcurrentUpdateError,
    InvalidTransitionError,
    RootUnavailableError,
)
from vrtracker.files.alf import is_curated
from vrtracker.files.layout import SessionFolders
from vrtracker.files.probe import FolderProbe, local_time, probe
from vrtracker.interop.vranalysis.printing import say
from vrtracker.tracker import Tracker

__all__ = ["RED_CELL_DATE", "SUITE2P_DATE", "DateFromFiles", "check_suite2p", "update_dates"]

_FEW = 3
_MOST_LOST = 0.5
_REASON = "as found on disk"


@dataclass(frozen=True, slots=True)
class DateFromFiles:
    """A column of the lab that holds the time of files, and how to find it."""

    column: str
    conditions: dict[str, bool]
    find: Callable[[Path], dt.datetime | None]


def _red_cells_modified(folder: Path) -> dt.datetime | None:
    """Return when the curated files on red cells were last changed, local time."""
    times = [time for name, (_, time) in probe(folder).output.items() if is_curated(name)]
    return local_time(max(times), None) if times else None


SUITE2P_DATE = DateFromFiles(
    "suite2pDate", {"imaging": True, "suite2p": True}, lambda path: probe(path).suite2p_modified
)
RED_CELL_DATE = DateFromFiles(
    "redCellQCDate", {"imaging": True, "suite2p": True, "redCellQC": True}, _red_cells_modified
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
        If the root is missing or empty, or more than half of the sessions with suite2p, and at
        least three, lost it; nothing is changed then.
    """
    found = [(session, probe(path)) for session, path in _present(tracker, {"imaging": True})]
    lost = [(s, seen) for s, seen in found if s.suite2p and not seen.suite2p_complete]
    fresh = [(s, seen) for s, seen in found if not s.suite2p and seen.suite2p_complete]
    for session, seen in lost:
        said = "Database said suite2p has been ran, but it actually hasn't"
        say(f"{said}: {session.key.path}{_lacks(seen)}")
    for session, _ in fresh:
        say(f"Database said suite2p didn't run, but it already did: {session.key.path}")
    if update:
        _refuse_implausible(len(lost), sum(session.suite2p for session, _ in found))
        for session, _ in lost:
            with _told():
                tracker.workflow.reset(session.key, "suite2p", reason=_REASON)
        for session, seen in fresh:
            with _told():
                _complete(tracker, session, seen)
    return bool(lost or fresh)


def update_dates(tracker: Tracker, what: DateFromFiles, *, dry_run: bool) -> None:
    """Set a date to that of the newest file where there is one, and the date is earlier or empty.

    Raises
    ------
    RootUnavailableError
        If the root is missing or empty; nothing is changed then.
    """
    # All are looked at before the first is written: an unreadable folder changes nothing.
    found = [(s, what.find(path)) for s, path in _present(tracker, what.conditions)]
    for session, date in found:
        stamp = getattr(session, what.column)
        if date is None or (stamp is not None and stamp >= date):
            continue
        say(f"{what.column} of {session.key.path}: {stamp} -> {date}")
        if not dry_run:
            tracker.sessions.update({what.column: date}, session.key, reason=_REASON)


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Print why one session stays as it is, such as that a stage of it is running."""
    try:
        yield
    except (InvalidTransitionError, ConcurrentUpdateError) as error:
        say(error)


def _present(tracker: Tracker, conditions: dict[str, bool]) -> Iterator[tuple[Any, Path]]:
    """Yield the unscratched sessions that have a folder, with it."""
    if tracker.root is None:
        raise RootUnavailableError(
            "The folder that holds the sessions is not known; set VRTRACKER_ROOT."
        )
    folders = SessionFolders(tracker.root)
    folders.check()
    for session in tracker.sessions.iter(conditions):
        path = folders.find(session.key)
        if path is not None:
            yield session, path


def _refuse_implausible(lost: int, done: int) -> None:
    if lost >= _FEW and lost > _MOST_LOST * done:
        raise RootUnavailableError(
            f"{lost} of {done} sessions have lost their suite2p output at once; nothing was "
            "changed. Is a drive missing? If it is true, correct them in smaller lots, or with "
            "workflow.reset."
        )


def _complete(tracker: Tracker, session: Any, seen: FolderProbe) -> None:
    key: SessionKey = session.key
    if tracker.workflow.states(key)["suite2p"] is State.NOT_APPLICABLE:
        tracker.workflow.include(key, "suite2p", _REASON)
    tracker.workflow.complete(key, "suite2p", date=seen.suite2p_modified, reason=_REASON)
    if session.vrRegistrationError and not session.vrRegistration:
        # What it failed on may well have been that suite2p was missing.
        tracker.workflow.reset(key, "registration", reason="suite2p has been made since")


def _lacks(seen: FolderProbe) -> str:
    lacking = [
        f"{plane.name} lacks {', '.join((*plane.missing, *plane.empty))}"
        for plane in seen.suite2p_planes
        if plane.missing or plane.empty
    ]
    return f" ({'; '.join(lacking)})" if lacking else ""
