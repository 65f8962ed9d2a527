"""Claim a session, and record how the work on it ended: one short transaction each."""

from __future__ import annotations

import datetime as dt
import os
import traceback
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from vrtracker.backends.base import ViolationError
from vrtracker.domain.keys import SessionKey
from vrtracker.domain.registrars import DatasetFile, Registrar
from vrtracker.domain.snapshots import Snapshot, StageRow
from vrtracker.domain.stages import Stage
from vrtracker.domain.states import Mark, State, Transition
from vrtracker.errors import ConcurrentUpdateError, LostClaimError
from vrtracker.services.lab import Lab
from vrtracker.services.transitions import (
    expire_claims,
    read,
    require,
    settle_stages,
    stale_dependents,
    stale_events,
    update_session,
)
from vrtracker.unit_of_work import UnitOfWork

__all__ = ["Claim", "Claims", "Finished"]


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to work on one session in one stage, until its lease ends."""

    attempt_id: str
    stage: Stage
    snapshot: Snapshot
    """The session as it was when it was claimed."""
    before: State

    @property
    def key(self) -> SessionKey:
        """The session."""
        return self.snapshot.record.key


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """How the work went, for the record."""

    duration_s: float
    bytes: int = 0
    datasets: Sequence[DatasetFile] = ()


class Claims:
    """The transitions of a stage that a program works on."""

    def __init__(self, lab: Lab, versions: Mapping[str, str]) -> None:
        self._lab = lab
        self._versions = dict(versions)

    def start(
        self, key: SessionKey, stage: Stage, registrar: Registrar, *, rerun: bool = False
    ) -> Claim:
        """Claim a session.

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
                claim = self._start(unit, key, stage, registrar, rerun=rerun)
                unit.commit()
        except ViolationError as error:
            raise ConcurrentUpdateError(key, "claimed") from error
        return claim

    def datasets(self, claim: Claim) -> list[dict[str, Any]]:
        """Return the datasets that are on record for the session."""
        with self._lab.unit(readonly=True) as unit:
            return unit.datasets.of_session(claim.snapshot.record.uSessionID)

    def succeed(
        self, claim: Claim, finished: Finished, *, known: Sequence[Mapping[str, Any]]
    ) -> None:
        """Record that the work succeeded, and what it made.

        Parameters
        ----------
        known
            What `datasets` returned before the new output was put in place.

        Raises
        ------
        LostClaimError
            If the lease ended and somebody else took the session over.
        ConcurrentUpdateError
            If the session's row was changed by hand in the meantime.
        """
        at = self._lab.now()
        removed, added = _dataset_changes(claim, finished.datasets, known, at)
        with self._lab.unit() as unit:
            self._close(unit, claim, "succeeded", finished, at)
            changes = self._write_done(unit, claim, at)
            stale = stale_dependents(self._lab, claim.snapshot, claim.stage)
            mark = None if claim.stage.done_column else Mark.DONE
            settle_stages(
                unit,
                claim.snapshot,
                claim.stage,
                mark=mark,
                attempt_id=claim.attempt_id,
                stale=stale,
                at=at,
            )
            unit.datasets.replace(remove=removed, insert_rows=added)
            event = self._event(claim, Transition.SUCCEED, State.DONE, at, changes=changes)
            events = stale_events(self._lab, claim.snapshot, claim.stage, stale, at=at)
            unit.events.append([event, *events])
            unit.commit()

    def fail(self, claim: Claim, error: BaseException, finished: Finished) -> State:
        """Record that the work failed, with the exception; earlier output and dates stay.

        Raises
        ------
        LostClaimError
            If the lease ended and somebody else took the session over.
        """
        at = self._lab.now()
        with self._lab.unit() as unit:
            self._close(unit, claim, "failed", finished, at, error=error)
            changes = self._write_failed(unit, claim, error, at)
            had_output = claim.snapshot.has_output(claim.stage)
            after = claim.before if had_output else State.FAILED
            reason = _message(error)
            event = self._event(claim, Transition.FAIL, after, at, changes=changes, reason=reason)
            unit.events.append([event])
            unit.commit()
        return after

    def cancel(self, claim: Claim, reason: str, finished: Finished) -> None:
        """Give a claim back; the session is again as it was before."""
        at = self._lab.now()
        with self._lab.unit() as unit:
            self._close(unit, claim, "cancelled", finished, at)
            event = self._event(claim, Transition.CANCEL, claim.before, at, reason=reason)
            unit.events.append([event])
            unit.commit()

    # -- helpers ------------------------------------------------------------------------------

    def _start(
        self, unit: UnitOfWork, key: SessionKey, stage: Stage, registrar: Registrar, *, rerun: bool
    ) -> Claim:
        snapshot = read(self._lab, unit, key)
        at = self._lab.now()
        transition = Transition.RERUN if rerun else Transition.START
        before = require(self._lab, snapshot, stage, transition, at=at)
        attempt_id = uuid.uuid4().hex
        expire_claims(unit, snapshot, [stage], at=at)
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
        """Put the attempt on the stage, and make rows for the stages that it may make stale."""
        number, seen = snapshot.record.uSessionID, snapshot.row(stage)
        rows = {
            other.name: StageRow(None, None, None, None)
            for other in stale_dependents(self._lab, snapshot, stage)
            if other.name not in snapshot.rows
        }
        taken = StageRow(seen.mark, attempt_id, "running", None)
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
            "process_id": os.getpid(),
            "registrar": registrar.name,
            "options": dict(registrar.options),
            "versions": self._versions,
        }

    def _close(
        self,
        unit: UnitOfWork,
        claim: Claim,
        outcome: str,
        finished: Finished,
        at: dt.datetime,
        *,
        error: BaseException | None = None,
    ) -> None:
        values = {
            "outcome": outcome,
            "finished_at": at,
            "duration_s": finished.duration_s,
            "output_bytes": float(finished.bytes),
            "output_files": len(finished.datasets),
            "error_type": type(error).__qualname__[:255] if error else None,
            "error_message": _message(error) if error else None,
            "error_traceback": _traceback(error) if error else None,
        }
        if not unit.attempts.close(claim.attempt_id, values):
            raise LostClaimError(claim.key, claim.stage.name)

    def _write_done(self, unit: UnitOfWork, claim: Claim, at: dt.datetime) -> dict[str, Any]:
        stage = claim.stage
        if not stage.done_column:
            return {}
        values: dict[str, Any] = {stage.done_column: True}
        if stage.date_column:
            values[stage.date_column] = at.astimezone(self._lab.zone).replace(tzinfo=None)
        if stage.error_column and stage.message_column:
            values |= {stage.error_column: False, stage.message_column: None}
        return update_session(unit, claim.snapshot, values)

    def _write_failed(
        self, unit: UnitOfWork, claim: Claim, error: BaseException, at: dt.datetime
    ) -> dict[str, Any]:
        stage = claim.stage
        if stage.error_column and stage.message_column:
            values = {stage.error_column: True, stage.message_column: _message(error)}
            try:
                return update_session(unit, claim.snapshot, values)
            except ConcurrentUpdateError:
                # Somebody edited these columns by hand meanwhile: theirs stay, the attempt tells.
                return {}
        if not claim.snapshot.has_output(stage):
            settle_stages(
                unit,
                claim.snapshot,
                stage,
                mark=Mark.FAILED,
                attempt_id=claim.attempt_id,
                at=at,
            )
        return {}

    def _event(
        self,
        claim: Claim,
        transition: Transition,
        after: State,
        at: dt.datetime,
        *,
        changes: Mapping[str, Any] | None = None,
        reason: str | None = None,
    ) -> Any:
        return self._lab.event(
            claim.key,
            transition.value,
            at=at,
            stage=claim.stage.name,
            from_state=State.RUNNING.value,
            to_state=after.value,
            changes=changes or None,
            reason=reason,
            attempt_id=claim.attempt_id,
        )


def _dataset_changes(
    claim: Claim,
    datasets: Sequence[DatasetFile],
    known: Sequence[Mapping[str, Any]],
    at: dt.datetime,
) -> tuple[list[int], list[dict[str, Any]]]:
    """Return which dataset rows to delete and which to insert; unchanged files keep theirs."""
    before = {row["rel_path"]: row for row in known}
    wanted = {file.rel_path: file for file in datasets}
    same = {
        path
        for path, file in wanted.items()
        if path in before
        and (before[path]["size_bytes"], before[path]["md5"]) == (file.size_bytes, file.md5)
    }
    removed = [
        row["dataset_id"]
        for path, row in before.items()
        if path not in same and (path in wanted or row["stage"] == claim.stage.name)
    ]
    added = [
        {
            "uSessionID": claim.snapshot.record.uSessionID,
            "rel_path": path,
            "stage": claim.stage.name,
            "attempt_id": claim.attempt_id,
            "revision": file.revision,
            "size_bytes": float(file.size_bytes),
            "md5": file.md5,
            "qc_level": 0,
            "recorded_at": at,
        }
        for path, file in wanted.items()
        if path not in same
    ]
    return removed, added


def _message(error: BaseException) -> str:
    try:
        return _storable(str(error))
    except Exception:  # noqa: BLE001 - the lab's own exceptions may fail to print themselves
        return f"a {type(error).__name__} that cannot be printed"


def _traceback(error: BaseException) -> str:
    return _storable("".join(traceback.format_exception(error)))


def _storable(text: str) -> str:
    """Write as escapes what no database keeps: NUL, and halves of characters."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\x00")
