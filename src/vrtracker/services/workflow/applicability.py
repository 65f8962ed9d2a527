"""Stages that a session does not have after all: no red channel, registered without imaging."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vrtracker.domain.keys import SessionKey
from vrtracker.domain.snapshots import Snapshot
from vrtracker.domain.stages import Stage
from vrtracker.domain.states import Mark, State, allowed_from
from vrtracker.errors import InvalidTransitionError
from vrtracker.services.context import LabContext, LabService
from vrtracker.services.transitions import noting_stages, read, settle_stages
from vrtracker.unit_of_work import UnitOfWork

_OPEN = frozenset({State.READY, State.BLOCKED, State.FAILED})


class ApplicabilityService(LabService):
    """Takes a stage out of a session's way, or puts it back; one transaction with its event.

    Examples
    --------
    >>> tracker.workflow.exclude("DEMO003.2023-03-15.701", "suite2p", "no functional channel")
    <State.NOT_APPLICABLE: 'not_applicable'>
    """

    def exclude(self, key: Any, stage: str, reason: str | None = None) -> State:
        """Record that a stage is not for this session; what requires it need not wait for it.

        Raises
        ------
        InvalidTransitionError
            If the stage is running or done, or the session is scratched.

        Examples
        --------
        >>> tracker.workflow.exclude("DEMO001.2023-01-18.701", "red_cell_qc", "no red channel")
        <State.NOT_APPLICABLE: 'not_applicable'>
        """
        return self._mark(SessionKey.parse(key), stage, Mark.NOT_APPLICABLE, reason)

    def include(self, key: Any, stage: str, reason: str | None = None) -> State:
        """Take back that a stage is not for this session.

        Examples
        --------
        >>> state = tracker.workflow.exclude("DEMO001.2023-01-18.701", "red_cell_qc")
        >>> tracker.workflow.include("DEMO001.2023-01-18.701", "red_cell_qc")
        <State.READY: 'ready'>
        """
        return self._mark(SessionKey.parse(key), stage, None, reason)

    def _mark(self, key: SessionKey, name: str, mark: Mark | None, reason: str | None) -> State:
        stage = self._lab.stages[name]
        with self._lab.unit() as unit:
            snapshot = read(self._lab, unit, key)
            at = self._lab.now()
            before = snapshot.state(stage, self._lab.stages, at)
            is_excluded = snapshot.row(stage).mark == Mark.NOT_APPLICABLE
            if is_excluded is (mark is not None):
                return before
            if mark is not None and before not in _OPEN:
                allowed = allowed_from(before, stage.kind)
                raise InvalidTransitionError(
                    key, name, "exclude", current=before.value, allowed=allowed
                )
            after = _settle(self._lab, unit, snapshot, stage, mark=mark, reason=reason)
            unit.commit()
        return after


def exclude_open(
    lab: LabContext, unit: UnitOfWork, key: SessionKey, stages: Mapping[str, str]
) -> None:
    """Record, within a transaction, that stages are not for a session, as far as they are open.

    `stages`: the reason of each.
    """
    for name, reason in stages.items():
        snapshot, stage = read(lab, unit, key), lab.stages[name]
        if snapshot.state(stage, lab.stages, lab.now()) in _OPEN:
            _settle(lab, unit, snapshot, stage, mark=Mark.NOT_APPLICABLE, reason=reason)


def _settle(
    lab: LabContext,
    unit: UnitOfWork,
    snapshot: Snapshot,
    stage: Stage,
    *,
    mark: Mark | None,
    reason: str | None,
) -> State:
    """Set or take off the mark, with its event; return the state that follows."""
    key, at = snapshot.record.key, lab.now()
    attempt_id = snapshot.row(stage).attempt_id
    with noting_stages(unit, snapshot.record.uSessionID) as rows:
        settle_stages(unit, snapshot, stage, mark=mark, attempt_id=attempt_id, at=at)
    after = read(lab, unit, key).state(stage, lab.stages, at)
    event = lab.event(
        key,
        "included" if mark is None else "excluded",
        at=at,
        moved=(stage, snapshot.state(stage, lab.stages, at), after),
        changes=rows,
        reason=reason,
    )
    unit.events.append([event])
    return after
