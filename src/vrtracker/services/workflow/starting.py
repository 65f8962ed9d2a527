"""Claim a session inside a unit of work: its stage, an attempt and an event are written."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Collection, Mapping
from typing import Any

from vrtracker import operations, processes
from vrtracker.domain.keys import SessionKey
from vrtracker.domain.registrars import Registrar
from vrtracker.domain.snapshots import Snapshot, StageRow
from vrtracker.domain.stages import Stage
from vrtracker.domain.states import State, Transition
from vrtracker.errors import ConcurrentUpdateError
from vrtracker.models.types import JSONDocument, to_json
from vrtracker.services.context import LabContext
from vrtracker.services.holders import let_go, take_up
from vrtracker.services.transitions import expire_claims, read, require
from vrtracker.services.workflow.outcomes import Claim
from vrtracker.unit_of_work import UnitOfWork


class Starting:
    """Writes what a claim is made of; for the parameters see `Claims`."""

    def __init__(
        self, lab: LabContext, versions: Mapping[str, str], *, run: str, foreign: int | None
    ) -> None:
        self._lab = lab
        self._versions = JSONDocument(to_json(dict(versions)))
        self._run = run
        self._process_id = os.getpid() if foreign is None else foreign
        self._process_started_at = processes.started_at(os.getpid()) if foreign is None else None

    def start(
        self,
        unit: UnitOfWork,
        key: SessionKey,
        stage: Stage,
        registrar: Registrar,
        *,
        seen: Snapshot | None = None,
        at: dt.datetime | None = None,
        rerun: bool = False,
        without: Collection[str] = (),
    ) -> Claim:
        """Claim a session, which is there only when `commit` says so; see `Claims.start`.

        `seen, at`: the session and what time it is, where this transaction has read them already.
        """
        snapshot = read(self._lab, unit, key, seen=seen)
        at = at or self._lab.now()
        transition = Transition.RERUN if rerun else Transition.START
        before = require(self._lab, snapshot, stage, transition, at=at, without=without)
        if without:
            before = snapshot.state(stage, self._lab.stages, at)
        attempt_id = self._run + operations.new_id()[len(self._run) :]
        expire_claims(self._lab, unit, snapshot, [stage], at=at)
        snapshot = self._take(unit, snapshot, stage, attempt_id, at)
        unit.attempts.add(self._attempt(snapshot, stage, registrar, attempt_id, at))
        event = self._lab.event(
            key,
            transition.value,
            at=at,
            moved=(stage, before, State.RUNNING),
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
        setback = (seen.failures, seen.retry_after, seen.set_aside)
        taken = StageRow(seen.mark, attempt_id, "running", None, *setback)
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
        return Snapshot(snapshot.record, {**snapshot.rows, **rows, stage.name: taken})

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


def commit(unit: UnitOfWork, claim: Claim | None) -> None:
    """Make a claim lasting; if nobody knows whether that was done, it is one given up."""
    if claim is not None:
        take_up(claim.attempt_id)
    try:
        unit.commit()
    except BaseException:
        if claim is not None:
            let_go(claim.attempt_id)
        raise
