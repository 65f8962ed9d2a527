"""What every end of an attempt writes, in the transaction that ends it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from vrtracker.domain.failures import message_of, traceback_of
from vrtracker.domain.retrying import NextTry
from vrtracker.domain.states import Mark, State, Transition
from vrtracker.errors import ConcurrentUpdateError, LostClaimError
from vrtracker.repositories.events import NewEvent
from vrtracker.services.context import LabContext
from vrtracker.services.transitions import settle_stages, update_session
from vrtracker.services.workflow.outcomes import Claim, Finished
from vrtracker.unit_of_work import UnitOfWork


def close_attempt(
    unit: UnitOfWork,
    claim: Claim,
    outcome: str,
    finished: Finished,
    at: dt.datetime,
    *,
    error: BaseException | None = None,
) -> None:
    """Set the outcome of an attempt that runs.

    Raises LostClaimError if it does not run any more.
    """
    values = {
        "outcome": outcome,
        "finished_at": at,
        "duration_s": finished.duration_s,
        "output_bytes": float(finished.bytes),
        "output_files": len(finished.datasets),
        "error_type": type(error).__qualname__[:255] if error else None,
        "error_message": message_of(error) if error else None,
        "error_traceback": traceback_of(error) if error else None,
    }
    if not unit.attempts.close(claim.attempt_id, values):
        raise LostClaimError(claim.key, claim.stage.name)


def record_failure(
    lab: LabContext,
    unit: UnitOfWork,
    claim: Claim,
    error: BaseException,
    *,
    finished: Finished,
    at: dt.datetime,
    set_aside: str | None = None,
    uncounted: int = 0,
) -> NextTry:
    """Record that the work failed, and when it is tried again; earlier output stays.

    `set_aside`: why it is not tried again, whatever the policy of the stage says. `uncounted`:
    failures before this one that no policy has counted: workers that died.
    """
    close_attempt(unit, claim, "failed", finished, at, error=error)
    changes = _write_failed(unit, claim, error, at)
    reason, stage = message_of(error), claim.stage.name
    failures = (claim.snapshot.setback(claim.stage).failures or 0) + uncounted + 1
    following = lab.policy(stage).after_failure(error, reason, failures=failures, at=at)
    if set_aside is not None:
        following = NextTry(failures, set_aside=set_aside)
    unit.stages.set_retry(
        claim.snapshot.record.uSessionID,
        stage,
        failures=failures,
        retry_after=following.retry_after,
        set_aside=following.set_aside,
    )
    after = claim.before if claim.snapshot.has_output(claim.stage) else State.FAILED
    event = event_of(lab, claim, Transition.FAIL, after, at, changes=changes, reason=reason)
    unit.events.append([event])
    is_planned = following.retry_after is not None and after is State.STALE
    return replace(following, stands=after is not State.FAILED and not is_planned)


def _write_failed(
    unit: UnitOfWork, claim: Claim, error: BaseException, at: dt.datetime
) -> dict[str, Any]:
    stage, snapshot = claim.stage, claim.snapshot
    try:
        if stage.error_column and stage.message_column:
            values = {stage.error_column: True, stage.message_column: message_of(error)}
            return update_session(unit, snapshot, values)
        if not snapshot.has_output(stage):
            attempt_id = claim.attempt_id
            settle_stages(unit, snapshot, stage, mark=Mark.FAILED, attempt_id=attempt_id, at=at)
    except ConcurrentUpdateError:
        # Somebody edited the outcome by hand meanwhile: theirs stays, the attempt tells.
        return {}
    return {}


def event_of(
    lab: LabContext,
    claim: Claim,
    transition: Transition,
    after: State,
    at: dt.datetime,
    *,
    changes: Mapping[str, Any] | None = None,
    reason: str | None = None,
) -> NewEvent:
    """Return the event of an attempt that ends."""
    return lab.event(
        claim.key,
        transition.value,
        at=at,
        moved=(claim.stage, State.RUNNING, after),
        changes=changes or None,
        reason=reason,
        attempt_id=claim.attempt_id,
    )
