"""Claims whose worker is gone: end them, and clean up after them.

That a process of this computer is gone can be known; for those of others, and for one that is
suspended, the lease has to end first.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from vrtracker import processes
from vrtracker.domain.keys import SessionKey
from vrtracker.domain.snapshots import Snapshot
from vrtracker.domain.states import State, Transition
from vrtracker.errors import (
    LostClaimError,
    NotFoundError,
    RegistrarError,
    VrtrackerError,
    WorkerDiedError,
)
from vrtracker.files import recovery
from vrtracker.files.staging import Staging
from vrtracker.services.context import LabContext
from vrtracker.services.holders import is_alive, why_abandoned
from vrtracker.services.transitions import read
from vrtracker.services.workflow.ending import close_attempt, event_of, record_failure
from vrtracker.services.workflow.outcomes import Claim, Finished
from vrtracker.services.workflow.patience import Stop, patiently

_MEMORY = dt.timedelta(days=7)


def free_abandoned(lab: LabContext, *, stop: Stop | None = None) -> list[str]:
    """End the claims that nobody holds any more, and remove what their workers left on the disk.

    `stop`: as for `patiently`. Returns what was done, a sentence each.
    """
    return patiently(lab, lambda: _free_abandoned(lab), stop=stop)


def _free_abandoned(lab: LabContext) -> list[str]:
    with lab.unit(readonly=True) as unit:
        open_claims = unit.attempts.open_claims()
        last = unit.attempts.last_of_processes(lab.host_name, since=lab.now() - _MEMORY)
    notes, left = [], []
    for row in open_claims:
        why = why_abandoned(lab, row) if row["outcome"] == "running" else None
        if why is not None:
            notes += abandon(lab, row, *why)
        if why is not None or row["outcome"] == "expired":
            left.append(row)
    # One that was killed right after it had recorded its end may have left something too.
    processes_of = {(row["process_id"], row["process_started_at"]): row for row in last}
    gone = {process for process, row in processes_of.items() if is_alive(lab, row) is False}
    left += [row for row in last if (row["process_id"], row["process_started_at"]) in gone]
    return [*notes, *clean_after(lab, left)]


def clean(lab: LabContext, number: int, path: Path) -> list[str]:
    """Remove what attempts that have ended left in a session's folder; see `recovery.recover`.

    Raises RegistrarError if something that a worker which is gone has started still runs, and
    cannot be ended.
    """
    if not recovery.left_over(path, output=lab.output):
        return []
    with lab.unit(readonly=True) as unit:
        unfinished = unit.attempts.unfinished(number)
    for row in unfinished:
        if left := _end_left_by(lab, row):
            raise RegistrarError(
                f"What an earlier worker at {SessionKey.of_row(row)} started still runs "
                f"({', '.join(left)}), and cannot be ended here. End that, then run again."
            )
    return recovery.recover(
        path,
        output=lab.output,
        live_tokens=partial(_live_tokens, lab, number, path),
        unrecorded=partial(_unrecorded, lab, number),
    )


def is_entered(lab: LabContext, claim: Claim) -> bool:
    """Return whether somebody has entered what an attempt did, which was not recorded."""
    return _without_success(lab, claim.snapshot.record.uSessionID).get(claim.attempt_id, False)


def left_by_the_ended(lab: LabContext, number: int, path: Path) -> list[str]:
    """Return the names of the folders that `clean` would look at, and nobody writes to."""
    found = recovery.left_over(path, output=lab.output)
    live = _live_tokens(lab, number, path) if found else ()
    return [name for token, name in found if token not in live]


def abandon(lab: LabContext, row: Mapping[str, Any], why: str, died: bool) -> list[str]:  # noqa: FBT001
    """End a claim that nobody holds any more; the session is again as it was before.

    First what its process has left running is ended: nobody else may get the session before. A
    session over which a second process has died is set aside, as a failure.

    Returns a sentence on what was done; none if somebody else has ended it meanwhile.
    """
    key, stage, at = SessionKey.of_row(row), lab.stages.get(row["stage"]), lab.now()
    if stage is None:
        return []
    if left := _end_left_by(lab, row):
        kept = f"{key}: the claim on {stage.name} is kept: {why}, but what it started still runs"
        return [f"{kept} ({', '.join(left)}) and cannot be ended here. End that, then run again."]
    error = WorkerDiedError(key, stage.name, why) if died else None
    try:
        with lab.unit() as unit:
            snapshot = read(lab, unit, key)
            if snapshot.row(stage).attempt_id != row["attempt_id"]:
                return []
            ended = replace(snapshot.row(stage), outcome="expired")
            snapshot = replace(snapshot, rows={**snapshot.rows, stage.name: ended})
            before = snapshot.state(stage, lab.stages, at)
            claim = Claim(row["attempt_id"], stage, snapshot, before)
            deaths = error and unit.attempts.deaths(
                snapshot.record.uSessionID, stage.name, type(error).__qualname__
            )
            if error and deaths:
                # Those from the second on are failures on record.
                how: Any = {"set_aside": str(error), "uncounted": int(deaths == 1)}
                record_failure(lab, unit, claim, error, finished=Finished(), at=at, **how)
            else:
                close_attempt(unit, claim, "expired", Finished(), at, error=error)
                event = event_of(lab, claim, Transition.CANCEL, before, at, reason=why)
                unit.events.append([event])
            unit.commit()
    except (LostClaimError, NotFoundError):
        return []
    aside = (
        f" It is set aside: {deaths + 1} workers died over it without a success between."
        if deaths
        else ""
    )
    return [f"{key}: the claim on {stage.name} was ended, since {why}.{aside}"]


def _end_left_by(lab: LabContext, row: Mapping[str, Any]) -> list[str]:
    """End what the process of an attempt has left running; return what cannot be ended."""
    if is_alive(lab, row) is not False:
        return []
    return processes.end_left_by(row["process_id"], row["process_started_at"])


def _live_tokens(lab: LabContext, number: int, path: Path) -> list[str]:
    """Return the attempts at a session whose folders somebody may still write to.

    Those are the claims that hold, and those that another process here has lost, but lives on.
    """
    with lab.unit(readonly=True) as unit:
        rows = unit.attempts.unfinished(number)
    return [row["attempt_id"] for row in rows if _may_write(lab, row, path)]


def _unrecorded(lab: LabContext, number: int) -> list[str]:
    """Return the attempts whose output is nothing that the tracker knows of."""
    return [attempt for attempt, entered in _without_success(lab, number).items() if not entered]


def _without_success(lab: LabContext, number: int) -> dict[str, bool]:
    """Return the attempts at a session that had no success, and none ended after they began.

    Of each, whether somebody has entered since that the stage is done: its output is that then.
    """
    with lab.unit(readonly=True) as unit:
        rows = unit.attempts.unrecorded(number)
        if not rows:
            return {}
        key = SessionKey.of_row(rows[0])
        spans = unit.events.lineage("session", str(key), is_there=True)
        history = list(unit.executor.execute(unit.events.of_subject("session", spans)))
    now = read(lab, None, key)
    return {row["attempt_id"]: _is_entered(lab, row, history, now) for row in rows}


def _is_entered(
    lab: LabContext, row: Mapping[str, Any], history: Sequence[Any], now: Snapshot
) -> bool:
    """Return whether somebody has said since an attempt began that its stage is done."""
    began = [event.attempt_id for event in history]
    if row["attempt_id"] not in began:
        return False
    start, *later = history[began.index(row["attempt_id"]) :]
    if any((each.verb, each.stage) == (Transition.COMPLETE, row["stage"]) for each in later):
        return True
    # Be it by a look at the disk, a list that was read in, or a tick in the lab's own form.
    stage = lab.stages.get(row["stage"])
    was_done = start.from_state in {State.DONE, State.STALE}
    return stage is not None and now.has_output(stage) and not was_done


def _may_write(lab: LabContext, row: Mapping[str, Any], path: Path) -> bool:
    if row["outcome"] == "running" and why_abandoned(lab, row) is None:
        return True
    if row["process_id"] == os.getpid() or not is_alive(lab, row):
        return False
    # Its claim lost when its output was in place, it can but put that aside, as we do.
    staging = Staging(path, output=lab.output, token=row["attempt_id"])
    return not (row["outcome"] == "expired" and staging.is_swapped)


def clean_after(lab: LabContext, rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Remove what attempts left in the sessions' folders, as far as those are in reach."""
    if lab.root is None:
        return
    for key, number in {SessionKey.of_row(row): row["uSessionID"] for row in rows}.items():
        with contextlib.suppress(VrtrackerError):
            path = lab.folders().find(key)
            if path is not None:
                yield from (f"{key}: {done}" for done in clean(lab, number, path))
