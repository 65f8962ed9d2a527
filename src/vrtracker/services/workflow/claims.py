"""Claim a session, and record how the work on it ended: one short transaction each."""

from __future__ import annotations

import datetime as dt
import os
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from vrtracker import processes
from vrtracker.backends.base import ViolationError
from vrtracker.domain.keys import SessionKey
from vrtracker.domain.registrars import Registrar
from vrtracker.domain.retrying import NextTry
from vrtracker.domain.snapshots import Snapshot, StageRow
from vrtracker.domain.stages import Stage
from vrtracker.domain.states import Mark, State, Transition
from vrtracker.errors import (
    ConcurrentUpdateError,
    InvalidTransitionError,
    LostClaimError,
    NotFoundError,
)
from vrtracker.models.types import JSONDocument, to_json
from vrtracker.repositories.datasets import DatasetRepository
from vrtracker.repositories.queue import Queue
from vrtracker.repositories.rows import LookUps
from vrtracker.services.context import LabContext
from vrtracker.services.transitions import (
    expire_claims,
    read,
    require,
    settle_stages,
    stale_dependents,
    stale_events,
    update_session,
)
from vrtracker.services.workflow.applicability import exclude_open
from vrtracker.services.workflow.at_work import let_go, take_up
from vrtracker.services.workflow.ending import close_attempt, event_of, record_failure
from vrtracker.services.workflow.outcomes import (
    Claim,
    Finished,
    dataset_changes,
    records_gone,
    wakes,
)
from vrtracker.services.workflow.patience import patiently
from vrtracker.unit_of_work import UnitOfWork

__all__ = ["Claim", "Claims", "Finished"]


class Claims:
    """The transitions of a stage that a program works on.

    Parameters
    ----------
    versions
        Versions of the software; kept with each attempt.
    run
        The letters with which the ids of all attempts of a run begin, its other workers' too.
    foreign
        Number of the process that works, where it is one of another computer.
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
        self._versions = JSONDocument(to_json(dict(versions)))
        self._run = run
        self._process_id = os.getpid() if foreign is None else foreign
        self._process_started_at = processes.started_at(os.getpid()) if foreign is None else None

    def start(
        self,
        key: SessionKey,
        stage: Stage,
        registrar: Registrar,
        *,
        rerun: bool = False,
        without: Collection[str] = (),
    ) -> Claim:
        """Claim a session.

        Parameters
        ----------
        rerun
            Also if its output is current.
        without
            Stages that it need not wait for.

        Raises
        ------
        InvalidTransitionError
            If its state does not allow it: blocked, running, not applicable, scratched, or done
            without `rerun`.
        ConcurrentUpdateError
            If somebody else claimed it at the same moment.
        """
        try:
            with self._lab.unit() as unit:
                claim = self._start(unit, key, stage, registrar, rerun=rerun, without=without)
                _commit(unit, claim)
        except ViolationError as error:
            raise ConcurrentUpdateError(key, "claimed") from error
        return claim

    def start_next(
        self, queue: Queue, after: int, stage: Stage, registrar: Registrar, **how: Any
    ) -> Claim | int | None:
        """Claim the first session of a queue whose number is higher than `after`, in one step.

        Parameters
        ----------
        queue
            Of the run.
        **how
            As for `start`.

        Returns
        -------
        Claim, int or None
            The claim; the number of a session that somebody else took in the same moment; or
            None at the end of the queue.
        """
        number = after
        try:
            with self._lab.unit() as unit:
                now = self._lab.now()
                found = queue.first(unit.executor, after=after, now=now, lock=True)
                if found is None:
                    return None
                number, key = found
                claim = self._start(unit, key, stage, registrar, **how)
                _commit(unit, claim)
        except (ConcurrentUpdateError, InvalidTransitionError, NotFoundError, ViolationError):
            return number
        return claim

    def datasets(self, claim: Claim) -> list[dict[str, Any]]:
        """Return the datasets that are on record for the session."""
        datasets = DatasetRepository(LookUps(self._lab.database))
        number = claim.snapshot.record.uSessionID
        return patiently(self._lab, lambda: datasets.of_session(number))

    def succeed(
        self, claim: Claim, finished: Finished, *, known: Sequence[Mapping[str, Any]]
    ) -> None:
        """Record that the work succeeded, what it made, and which stages are left out by that.

        Parameters
        ----------
        known
            What `datasets` returned before the new output was put in place.

        Raises
        ------
        LostClaimError
            If the lease ended and somebody else took the session over.
        ConcurrentUpdateError
            If the stage's columns were changed by hand in the meantime.
        DatabaseAwayError
            If the database is away for long; whether it was recorded is not known then.
        """
        self._end(claim, "succeeded", lambda: self._succeed_as_it_is(claim, finished, known))

    def _succeed_as_it_is(
        self, claim: Claim, finished: Finished, known: Sequence[Mapping[str, Any]]
    ) -> None:
        try:
            self._succeed(claim, finished, known, is_outdated=False)
        except LostClaimError:
            raise
        except (ConcurrentUpdateError, ViolationError):
            # Somebody decided on another stage during the work: what counts is how it is now.
            now = read(self._lab, None, claim.key)
            if _outcome(claim.stage, now) != _outcome(claim.stage, claim.snapshot):
                raise
            is_outdated = now.row(claim.stage).mark == Mark.STALE
            is_outdated &= claim.snapshot.row(claim.stage).mark != Mark.STALE
            self._succeed(replace(claim, snapshot=now), finished, known, is_outdated=is_outdated)

    def _succeed(
        self,
        claim: Claim,
        finished: Finished,
        known: Sequence[Mapping[str, Any]],
        *,
        is_outdated: bool,
    ) -> None:
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
            unit.commit()

    def fail(self, claim: Claim, error: BaseException, finished: Finished) -> NextTry:
        """Record that the work failed, with the exception; earlier output and dates stay.

        Returns
        -------
        NextTry
            When it is tried again, by the policy of the stage.

        Raises
        ------
        LostClaimError
            If the lease ended and somebody else took the session over.
        """
        told: list[NextTry] = []

        def record() -> None:
            at = self._lab.now()
            with self._lab.unit() as unit:
                told.append(record_failure(self._lab, unit, claim, error, finished=finished, at=at))
                unit.commit()

        self._end(claim, "failed", record)
        return told[-1]

    def cancel(self, claim: Claim, reason: str, finished: Finished) -> None:
        """Give a claim back; the session is again as it was before."""
        self._end(claim, "cancelled", lambda: self._cancel(claim, reason, finished))

    def _cancel(self, claim: Claim, reason: str, finished: Finished) -> None:
        at = self._lab.now()
        with self._lab.unit() as unit:
            close_attempt(unit, claim, "cancelled", finished, at)
            event = event_of(self._lab, claim, Transition.CANCEL, claim.before, at, reason=reason)
            unit.events.append([event])
            unit.commit()

    # -- helpers ------------------------------------------------------------------------------

    def _end(self, claim: Claim, outcome: str, record: Callable[[], None]) -> None:
        """Record an end patiently: once, also where the database went away after its commit."""
        tries = 0

        def try_once() -> None:
            nonlocal tries
            tries += 1
            try:
                record()
            except LostClaimError:
                if tries == 1 or self._outcome(claim) != outcome:
                    raise

        patiently(self._lab, try_once)
        let_go(claim.attempt_id)

    def _outcome(self, claim: Claim) -> str | None:
        with self._lab.unit(readonly=True) as unit:
            return unit.attempts.outcome(claim.attempt_id)

    def _start(
        self,
        unit: UnitOfWork,
        key: SessionKey,
        stage: Stage,
        registrar: Registrar,
        *,
        rerun: bool = False,
        without: Collection[str] = (),
    ) -> Claim:
        snapshot, at = read(self._lab, unit, key), self._lab.now()
        transition = Transition.RERUN if rerun else Transition.START
        require(self._lab, snapshot, stage, transition, at=at, without=without)
        before = snapshot.state(stage, self._lab.stages, at)
        attempt_id = self._run + uuid.uuid4().hex[len(self._run) :]
        expire_claims(self._lab, unit, snapshot, [stage], at=at)
        snapshot = self._take(unit, snapshot, stage, attempt_id, at)
        unit.attempts.add(self._attempt(snapshot, stage, registrar, attempt_id, at))
        event = self._lab.event(
            key,
            transition.value,
            at=at,
            stage=stage.name,
            from_state=before.value,
            to_state=State.RUNNING.value,
            attempt_id=attempt_id,
        )
        unit.events.append([event])
        return Claim(attempt_id, stage, snapshot, before)

    def _take(
        self, unit: UnitOfWork, snapshot: Snapshot, stage: Stage, attempt_id: str, at: dt.datetime
    ) -> Snapshot:
        """Put the attempt on the stage, and make rows for the stages that it may make stale.

        Also for those that keep their outcome in the tracker: a row shows that it changed.
        """
        number, seen = snapshot.record.uSessionID, snapshot.row(stage)
        rows = {
            other.name: StageRow(None, None, None, None)
            for other in self._lab.stages.dependents(stage.name)
            if other.name not in snapshot.rows
            and (not other.done_column or snapshot.has_output(other))
        }
        taken = replace(seen, attempt_id=attempt_id, outcome="running", lease_until=None)
        if stage.name not in snapshot.rows:
            rows[stage.name] = taken
        elif not unit.stages.compare_and_set(
            number, stage.name, seen=seen, mark=seen.mark, attempt_id=attempt_id, changed_at=at
        ):
            raise ConcurrentUpdateError(snapshot.record.key, "claimed")
        if rows:
            unit.stages.add_rows(
                number,
                {
                    name: {"mark": None, "attempt_id": row.attempt_id, "changed_at": at}
                    for name, row in rows.items()
                },
            )
        return replace(snapshot, rows={**snapshot.rows, **rows, stage.name: taken})

    def _attempt(
        self,
        snapshot: Snapshot,
        stage: Stage,
        registrar: Registrar,
        attempt_id: str,
        at: dt.datetime,
    ) -> dict[str, Any]:
        return {
            "attempt_id": attempt_id,
            "uSessionID": snapshot.record.uSessionID,
            "stage": stage.name,
            "outcome": "running",
            "started_at": at,
            "heartbeat_at": at,
            "lease_until": at + self._lab.lease,
            "actor": self._lab.actor,
            "host_name": self._lab.host_name,
            "process_id": self._process_id,
            "process_started_at": self._process_started_at,
            "registrar": registrar.name,
            "options": dict(registrar.options),
            "versions": self._versions,
        }

    def _write_done(self, unit: UnitOfWork, claim: Claim, at: dt.datetime) -> dict[str, Any]:
        stage = claim.stage
        if not stage.done_column:
            return {}
        values: dict[str, Any] = {stage.done_column: True}
        if stage.date_column:
            values[stage.date_column] = at.astimezone(self._lab.zone).replace(tzinfo=None)
        if stage.error_column and stage.message_column:
            values |= {stage.error_column: False, stage.message_column: None}
        dependents = self._lab.stages.dependents(stage.name)
        seen = tuple(other.done_column for other in dependents if other.done_column)
        return update_session(unit, claim.snapshot, values, seen=seen)


def _commit(unit: UnitOfWork, claim: Claim) -> None:
    """Make a claim lasting; if nobody knows whether that was done, it is one given up."""
    take_up(claim.attempt_id)
    try:
        unit.commit()
    except BaseException:
        let_go(claim.attempt_id)
        raise


def _outcome(stage: Stage, snapshot: Snapshot) -> list[Any]:
    """Return what the lab's columns say about a stage."""
    columns = (stage.done_column, stage.date_column, stage.error_column, stage.message_column)
    return [getattr(snapshot.record, column) for column in columns if column]
