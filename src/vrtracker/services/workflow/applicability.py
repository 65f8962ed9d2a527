"""Stages that a session does not have after all: no red channel, registered without imaging."""

from __future__ import annotations

from typing import Any

from vrtracker.domain.keys import SessionKey
from vrtracker.domain.states import Mark, State, allowed_from
from vrtracker.errors import InvalidTransitionError
from vrtracker.services.context import LabContext
from vrtracker.services.transitions import read, settle_stages

__all__ = ["ApplicabilityService"]

_OPEN = frozenset({State.READY, State.BLOCKED, State.FAILED})


class ApplicabilityService:
    """Takes a stage out of a session's way, or puts it back; one transaction with its event."""

    def __init__(self, lab: LabContext) -> None:
        self._lab = lab

    def exclude(self, key: Any, stage: str, reason: str | None = None) -> State:
        """Record that a stage is not for this session; what requires it need not wait for it.

        Raises
        ------
        InvalidTransitionError
            If the stage is running or done, or the session is scratched.
        """
        return self._mark(SessionKey.parse(key), stage, Mark.NOT_APPLICABLE, reason)

    def include(self, key: Any, stage: str, reason: str | None = None) -> State:
        """Take back that a stage is not for this session."""
        return self._mark(SessionKey.parse(key), stage, None, reason)

    def _mark(self, key: SessionKey, name: str, mark: Mark | None, reason: str | None) -> State:
        stage = self._lab.stages[name]
        verb = "include" if mark is None else "exclude"
        with self._lab.unit() as unit:
            snapshot = read(self._lab, unit, key)
            at = self._lab.now()
            before = snapshot.state(stage, self._lab.stages, at)
            is_excluded = snapshot.row(stage).mark == Mark.NOT_APPLICABLE
            if is_excluded is (mark is not None):
                return before
            if mark is not None and before not in _OPEN:
                allowed = allowed_from(before, stage.kind)
                raise InvalidTransitionError(key, name, verb, current=before.value, allowed=allowed)
            attempt_id = snapshot.row(stage).attempt_id
            settle_stages(unit, snapshot, stage, mark=mark, attempt_id=attempt_id, at=at)
            after = read(self._lab, unit, key).state(stage, self._lab.stages, at)
            event = self._lab.event(
                key,
                f"{verb}d",
                at=at,
                stage=name,
                from_state=before.value,
                to_state=after.value,
                reason=reason,
            )
            unit.events.append([event])
            unit.commit()
        return after
