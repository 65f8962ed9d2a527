"""Claim a session, and record how the work on it ended: one short transaction each."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from vrtracker.backends.base import ViolationError
from vrtracker.domain.keys import SessionKey
from vrtracker.domain.registrars import Registrar
from vrtracker.domain.retrying import NextTry
from vrtracker.domain.snapshots import Snapshot
from vrtracker.domain.stages import Stage
from vrtracker.domain.states import Mark, State, Transition
from vrtracker.errors import (
    ConcurrentUpdateError,
    DatabaseAwayError,
    InvalidTransitionError,
    LostClaimError,
    NotFoundError,
)
from vrtracker.repositories.datasets import DatasetRepository
from vrtracker.repositories.queue import Queue
from vrtracker.repositories.rows import LookUps
from vrtracker.services.context import LabContext
from vrtracker.services.holders import let_go
from vrtracker.services.transitions import (
    outcome_columns,
    read,
    settle_stages,
    stale_dependents,
    stale_events,
    update_session,
)
from vrtracker.services.workflow.applicability import exclude_open
from vrtracker.services.workflow.ending import close_attempt, event_of, record_failure
from vrtracker.services.workflow.outcomes import (
    Claim,
    Finished,
    dataset_changes,
    records_gone,
    wakes,
)
from vrtracker.services.workflow.patience import patiently
from vrtracker.services.workflow.starting import Starting, commit
from vrtracker.unit_of_work import UnitOfWork

__all__ = ["Claim", "Claims", "Finished", "Following"]

T = TypeVar("T")
Following = Callable[[UnitOfWork], Claim | None]
"""Claims the next session in a unit of work that records the end of another."""
_TAKEN = (ConcurrentUpdateError, InvalidTransitionError, NotFoundError, ViolationError)
"""What is raised where somebody else came first."""


class Claims:
    """The transitions of a stage that a program works on.

    `versions`: versions of the software; kept with each attempt. `run`: the letters with which the
    ids of all attempts of a run begin, its other workers' too. `foreign`: number of the process
    that works, where it is one of another computer.
    """

    def __init__(
        self,
        lab: LabContext,
        versions: Mapping[str, str],
        *,
        run: str = "",
        foreign: int | None = None,
    ) -> None:
        self._lab = lab
        self._start = Starting(lab, versions, run=run, foreign=foreign).start

    def start(self, key: SessionKey, stage: Stage, registrar: Registrar, **how: Any) -> Claim:
        """Claim a session.

        `**how`: ``rerun``, also if its output is current; ``without``, the stages that it need not
        wait for. Raises InvalidTransitionError if its state does not allow it: blocked, running,
        not applicable, scratched, or done without `rerun`; ConcurrentUpdateError if somebody else
        claimed it at the same moment.
        """
        try:
            with self._lab.unit() as unit:
                claim = self._start(unit, key, stage, registrar, **how)
                commit(unit, claim)
        except ViolationError as error:
            raise ConcurrentUpdateError(key, "claimed") from error
        return claim

    def start_next(
        self, queue: Queue, after: int, stage: Stage, registrar: Registrar, **how: Any
    ) -> Claim | int | None:
        """Claim the first session of a queue whose number is higher than `after`, in one step.

        `queue`: of the run. `**how`: as for `start`. Returns the claim; the number of a session
        that somebody else took in the same moment; or None at the end of the queue.
        """
        number = after
        try:
            with self._lab.unit() as unit:
                at = self._lab.now()
                found = queue.take_first(unit.executor, after=after, now=at)
                if found is None:
                    return None
                number, key, seen = found
                claim = self._start(unit, key, stage, registrar, seen=seen, at=at, **how)
                commit(unit, claim)
        except _TAKEN:
            return number
        return claim

    def following(
        self, queue: Queue, after: int, stage: Stage, registrar: Registrar, **how: Any
    ) -> Following:
        """Return what claims the next session, as `start_next` does, as a part of `succeed`."""

        def claimed(unit: UnitOfWork) -> Claim | None:
            at = self._lab.now()
            found = queue.take_first(unit.executor, after=after, now=at)
            if found is None:
                return None
            _, key, seen = found
            return self._start(unit, key, stage, registrar, seen=seen, at=at, **how)

        return claimed

    def datasets(self, claim: Claim) -> list[dict[str, Any]]:
        """Return the datasets that are on record for the session.

        Raises LostClaimError if the lease ended and somebody else took the session over: what they
        have put in place by now is not to be replaced, be it for a moment.
        """
        datasets = DatasetRepository(LookUps(self._lab.database))
        found = patiently(self._lab, lambda: datasets.of_claim(claim.attempt_id))
        if found is None:
            raise LostClaimError(claim.key, claim.stage.name)
        return found

    def succeed(
        self,
        claim: Claim,
        finished: Finished,
        *,
        known: Sequence[Mapping[str, Any]],
        following: Following | None = None,
    ) -> Claim | None:
        """Record that the work succeeded, what it made, and which stages are left out by that.

        `known`: what `datasets` returned before the new output was put in place. `following`:
        claims the next session in the same transaction: one commit serves both. Returns the next
        one; None where nothing follows, or somebody else came first. Raises LostClaimError if the
        lease ended and somebody else took the session over. Raises ConcurrentUpdateError if the
        stage's columns were changed by hand in the meantime. Raises DatabaseAwayError if the
        database is away for long; whether it was recorded is not known then.
        """
        ahead = [following]

        def record() -> Claim | None:
            # Tried again, what was done counts by itself.
            return self._succeed_as_it_is(claim, finished, known, ahead.pop() if ahead else None)

        return self._end(claim, "succeeded", record)

    def _succeed_as_it_is(
        self,
        claim: Claim,
        finished: Finished,
        known: Sequence[Mapping[str, Any]],
        following: Following | None,
    ) -> Claim | None:
        try:
            return self._succeed(claim, finished, known, following, is_outdated=False)
        except (LostClaimError, DatabaseAwayError):
            raise
        except Exception as error:
            if following is not None:
                # Whichever of the two it was: what was done counts by itself.
                return self._succeed_as_it_is(claim, finished, known, None)
            if not isinstance(error, ConcurrentUpdateError | ViolationError):
                raise
            # Somebody decided on another stage during the work: what counts is how it is now.
            now = read(self._lab, None, claim.key)
            if _outcome(claim.stage, now) != _outcome(claim.stage, claim.snapshot):
                raise
            is_outdated = now.row(claim.stage).mark == Mark.STALE
            is_outdated &= claim.snapshot.row(claim.stage).mark != Mark.STALE
            seen = replace(claim, snapshot=now)
            return self._succeed(seen, finished, known, None, is_outdated=is_outdated)

    def _succeed(
        self,
        claim: Claim,
        finished: Finished,
        known: Sequence[Mapping[str, Any]],
        following: Following | None,
        *,
        is_outdated: bool,
    ) -> Claim | None:
        """Record success; with `is_outdated` what was made is stale, since its inputs changed."""
        at = self._lab.now()
        removed, added = dataset_changes(claim, finished, known, at=at)
        mark = None if claim.stage.done_column else Mark.DONE
        dependents = self._lab.stages.dependents(claim.stage.name)
        with self._lab.unit() as unit:
            close_attempt(unit, claim, "succeeded", finished, at)
            changes = self._write_done(unit, claim, at) | records_gone(known, removed)
            stale = stale_dependents(self._lab, claim.snapshot, claim.stage)
            settle_stages(
                unit,
                claim.snapshot,
                claim.stage,
                mark=Mark.STALE if is_outdated else mark,
                attempt_id=claim.attempt_id,
                stale=stale,
                watched=dependents,
                at=at,
            )
            if claim.snapshot.row(claim.stage).failures:
                unit.stages.set_retry(claim.snapshot.record.uSessionID, claim.stage.name)
            unit.datasets.replace(remove=removed, insert_rows=added)
            after = State.STALE if is_outdated else State.DONE
            event = event_of(self._lab, claim, Transition.SUCCEED, after, at, changes=changes)
            events = stale_events(self._lab, claim.snapshot, claim.stage, stale, at=at)
            unit.events.append([event, *events], wakes=wakes(finished, dependents))
            exclude_open(self._lab, unit, claim.key, finished.excludes)
            found = following(unit) if following else None
            commit(unit, found)
        return found

    def fail(self, claim: Claim, error: BaseException, finished: Finished) -> NextTry:
        """Record that the work failed, with the exception; earlier output and dates stay.

        Returns when it is tried again, by the policy of the stage. Raises LostClaimError if the
        lease ended and somebody else took the session over.
        """
        told: list[NextTry] = []

        def record() -> None:
            at = self._lab.now()
            with self._lab.unit() as unit:
                told.append(record_failure(self._lab, unit, claim, error, finished=finished, at=at))
                unit.commit()

        self._end(claim, "failed", record)
        return told[-1]

    def cancel(
        self, claim: Claim, reason: str, finished: Finished, error: BaseException | None = None
    ) -> None:
        """Give a claim back; the session is again as it was before.

        `error`: what interrupted the work; other workers of the run take such a session again.
        """
        self._end(claim, "cancelled", lambda: self._cancel(claim, reason, finished, error))

    def _cancel(
        self, claim: Claim, reason: str, finished: Finished, error: BaseException | None
    ) -> None:
        at = self._lab.now()
        with self._lab.unit() as unit:
            close_attempt(unit, claim, "cancelled", finished, at, error=error)
            event = event_of(self._lab, claim, Transition.CANCEL, claim.before, at, reason=reason)
            unit.events.append([event])
            unit.commit()

    # -- helpers ------------------------------------------------------------------------------

    def _end(self, claim: Claim, outcome: str, record: Callable[[], T]) -> T | None:
        """Record an end patiently: once, also where the database went away after its commit."""
        tries = 0

        def try_once() -> T | None:
            nonlocal tries
            tries += 1
            try:
                return record()
            except LostClaimError:
                if tries == 1 or self._outcome(claim) != outcome:
                    raise
                return None

        found = patiently(self._lab, try_once)
        let_go(claim.attempt_id)
        return found

    def has_succeeded(self, claim: Claim) -> bool:
        """Return whether the success of a claim is on record."""
        return self._outcome(claim) == "succeeded"

    def _outcome(self, claim: Claim) -> str | None:
        with self._lab.unit(readonly=True) as unit:
            return unit.attempts.outcome(claim.attempt_id)

    def _write_done(self, unit: UnitOfWork, claim: Claim, at: dt.datetime) -> dict[str, Any]:
        date = at.astimezone(self._lab.zone).replace(tzinfo=None)
        values = outcome_columns(claim.stage, done=True, date=date)
        if not values:
            return {}
        dependents = self._lab.stages.dependents(claim.stage.name)
        seen = tuple(other.done_column for other in dependents if other.done_column)
        return update_session(unit, claim.snapshot, values, seen=seen)


def _outcome(stage: Stage, snapshot: Snapshot) -> list[Any]:
    """Return what the lab's columns say about a stage."""
    columns = (stage.done_column, stage.date_column, stage.error_column, stage.message_column)
    return [getattr(snapshot.record, column) for column in columns if column]
