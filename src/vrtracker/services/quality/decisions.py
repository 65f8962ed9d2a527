"""Decisions of people: quality control, scratching, and what was done outside the tracker."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from vrtracker.domain.dates import parse_datetime
from vrtracker.domain.keys import SessionKey
from vrtracker.domain.qc import QC
from vrtracker.domain.snapshots import Snapshot, StageRow
from vrtracker.domain.stages import Stage
from vrtracker.domain.states import Mark, State, Transition, allowed_from
from vrtracker.errors import ConcurrentUpdateError, InvalidTransitionError, InvalidValueError
from vrtracker.repositories.values import coercer_of
from vrtracker.services.context import LabService
from vrtracker.services.transitions import (
    expire_claims,
    noting_stages,
    outcome_columns,
    read,
    require,
    settle_stages,
    stale_dependents,
    stale_events,
    update_session,
)
from vrtracker.unit_of_work import UnitOfWork

_SESSION_CHECK = "session"


class QualityService(LabService):
    """Quality control and other decisions; each call is one transaction with its event.

    Examples
    --------
    >>> tracker.workflow.set_qc("DEMO001.2023-01-18.701", "suite2p", "WARNING")
    <State.DONE: 'done'>
    """

    def set_qc(
        self,
        key: Any,
        check: str,
        level: Any,
        *,
        reason: str | None = None,
        criteria: str | None = None,
        evidence: str | None = None,
        seen: int | None = None,
    ) -> State:
        """Record a QC decision and return the state that it leads to.

        PASS and WARNING complete the check, FAIL and CRITICAL leave it failed, NOT_SET takes
        the decision back. On the session as a whole, FAIL and CRITICAL scratch it.

        Parameters
        ----------
        check
            ``session``, or a review stage: ``suite2p``, ``red_cell``.
        level
            A QC level by name: PASS, WARNING, FAIL, CRITICAL, NOT_SET.
        reason
            Why. A session cannot be failed without.
        criteria, evidence
            Version of the criteria; path of what the decision rests on.
        seen
            Number of the newest decision that is known, 0 for none; not asked when not given.

        Raises
        ------
        InvalidTransitionError
            If there is nothing to judge yet, or the session is scratched; it says what may be.
        UnknownNameError
            If there is no such check or level.
        InvalidValueError
            If a text is too long for its column, or holds what no database keeps.
        ConcurrentUpdateError
            If the check, or the session, was judged since `seen`; it says by whom, and how.

        Examples
        --------
        >>> tracker.workflow.set_qc("DEMO001.2023-01-18.701", "red_cell", "FAIL", reason="bleached")
        <State.FAILED: 'failed'>
        """
        wanted, decided = SessionKey.parse(key), QC.parse(level)
        coercer = coercer_of(self._lab.database.tables.qc_decisions)
        given = {"reason": _clean(reason), "criteria": criteria, "evidence": evidence}
        extras = {name: coercer.value(name, text) for name, text in given.items()}
        if check in {_SESSION_CHECK, f"{_SESSION_CHECK}_qc"}:
            return self._judge_session(wanted, decided, seen, **extras)
        stage = self._lab.stages.review(check)
        return self._judge_stage(wanted, stage, decided, seen, **extras)

    def scratch(self, key: Any, reason: str, *, seen: int | None = None) -> State:
        """Give a session up: it takes part in nothing and leaves the listings.

        Parameters
        ----------
        seen
            As for `set_qc`; any decision since then stands in the way.

        Raises
        ------
        InvalidValueError
            If there is no reason.
        InvalidTransitionError
            If it is scratched already, or a stage of it is running.
        ConcurrentUpdateError
            If it was judged since `seen`.

        Examples
        --------
        >>> tracker.workflow.scratch("DEMO003.2023-03-16.1", "the mouse slept")
        <State.SCRATCHED: 'scratched'>
        """
        wanted = SessionKey.parse(key)
        with self._lab.unit() as unit:
            snapshot = read(self._lab, unit, wanted)
            _require_seen(unit, snapshot, seen)
            self._scratch(unit, snapshot, _clean(reason), QC.FAIL)
            unit.commit()
        return State.SCRATCHED

    def unscratch(self, key: Any, *, reason: str | None = None) -> None:
        """Take a session back; every stage is again where it was.

        Raises
        ------
        InvalidTransitionError
            If it is not scratched.

        Examples
        --------
        >>> state = tracker.workflow.scratch("DEMO003.2023-03-16.1", "the mouse slept")
        >>> tracker.workflow.unscratch("DEMO003.2023-03-16.1", reason="another mouse did")
        """
        wanted = SessionKey.parse(key)
        with self._lab.unit() as unit:
            snapshot = read(self._lab, unit, wanted)
            self._unscratch(unit, snapshot, _clean(reason), QC.PASS)
            unit.commit()

    def complete(
        self, key: Any, stage: str, *, date: Any = None, reason: str | None = None
    ) -> State:
        """Record that a stage was done outside the tracker, such as suite2p on another computer.

        Stages that rest on it and have output become stale.

        Parameters
        ----------
        date
            When it was done, the lab's clock; now when not given.

        Raises
        ------
        InvalidTransitionError
            If the stage is blocked, running or not for this session.

        Examples
        --------
        >>> tracker.workflow.complete("DEMO003.2023-03-15.701", "suite2p", date="2023-03-17")
        <State.DONE: 'done'>
        """
        chosen = self._lab.stages[stage]
        done_at = self._lab.lab_now() if date is None else parse_datetime(self._lab.day(date))
        return self._set_done(SessionKey.parse(key), chosen, Transition.COMPLETE, done_at, reason)

    def reset(self, key: Any, stage: str, *, reason: str | None = None) -> State:
        """Take back that a stage is done, or that it failed; return its new state.

        Examples
        --------
        >>> tracker.workflow.reset("DEMO001.2023-01-18.701", "registration", reason="other cells")
        <State.READY: 'ready'>
        """
        chosen = self._lab.stages[stage]
        return self._set_done(SessionKey.parse(key), chosen, Transition.RESET, None, reason)

    # -- the session as a whole ---------------------------------------------------------------

    def _judge_session(self, key: SessionKey, level: QC, seen: int | None, **extras: Any) -> State:
        with self._lab.unit() as unit:
            snapshot = read(self._lab, unit, key)
            _require_seen(unit, snapshot, seen)
            if level in {QC.FAIL, QC.CRITICAL}:
                self._scratch(unit, snapshot, extras.pop("reason"), level, **extras)
                state = State.SCRATCHED
            elif not snapshot.record.sessionQC:
                self._unscratch(unit, snapshot, extras.pop("reason"), level, **extras)
                state = State.READY
            else:
                at = self._lab.now()
                told = {"changes": {"QC": level.name}}
                self._decide(unit, snapshot, level, "qc_decided", told, at=at, **extras)
                state = State.DONE if level.accepted else State.READY
            unit.commit()
        return state

    def _scratch(
        self, unit: UnitOfWork, snapshot: Snapshot, reason: str | None, level: QC, **extras: Any
    ) -> None:
        if not reason:
            raise InvalidValueError(
                "Scratching a session needs a reason, which is kept as its justification.",
                column="scratchJustification",
            )
        key, at = snapshot.record.key, self._lab.now()
        for stage in self._lab.stages.values():
            if snapshot.running(stage, at):
                allowed, why = allowed_from(State.RUNNING, stage.kind), "Wait for it to end."
                raise InvalidTransitionError(
                    key, stage.name, "scratch", current="running", allowed=allowed, why=why
                )
        if not snapshot.record.sessionQC:
            raise InvalidTransitionError(
                key, None, "scratch", current="scratched", allowed=["unscratch"]
            )
        reason = coercer_of(self._lab.database.tables.sessions).value(
            "scratchJustification", reason
        )
        expire_claims(self._lab, unit, snapshot, self._lab.stages.values(), at=at)
        values = {"sessionQC": False, "scratchJustification": reason}
        changes = update_session(unit, snapshot, values)
        told = {"to_state": "scratched", "changes": changes}
        self._decide(unit, snapshot, level, "scratched", told, at=at, reason=reason, **extras)

    def _unscratch(
        self, unit: UnitOfWork, snapshot: Snapshot, reason: str | None, level: QC, **extras: Any
    ) -> None:
        key, at = snapshot.record.key, self._lab.now()
        if snapshot.record.sessionQC:
            stages = self._lab.stages.values()
            is_running = any(snapshot.running(stage, at) for stage in stages)
            allowed = [] if is_running else ["scratch"]
            raise InvalidTransitionError(
                key, None, "unscratch", current="not scratched", allowed=allowed
            )
        changes = update_session(unit, snapshot, {"sessionQC": True, "scratchJustification": None})
        told = {"from_state": "scratched", "changes": changes}
        self._decide(unit, snapshot, level, "unscratched", told, at=at, reason=reason, **extras)

    # -- one stage ----------------------------------------------------------------------------

    def _judge_stage(
        self, key: SessionKey, stage: Stage, level: QC, seen: int | None = None, **extras: Any
    ) -> State:
        transition, mark = _of_level(level)
        with self._lab.unit() as unit:
            snapshot = read(self._lab, unit, key)
            _require_seen(unit, snapshot, seen, stage.name, _SESSION_CHECK)
            at = self._lab.now()
            before = require(self._lab, snapshot, stage, transition, at=at)
            date = self._lab.lab_now() if level.accepted else None
            changes, after = self._settle(
                unit, snapshot, stage, done=level.accepted, date=date, mark=mark, at=at
            )
            told = {"moved": (stage, before, after), "changes": {**changes, "QC": level.name}}
            self._decide(
                unit, snapshot, level, transition.value, told, check=stage.name, at=at, **extras
            )
            unit.commit()
        return after

    def _set_done(
        self,
        key: SessionKey,
        stage: Stage,
        transition: Transition,
        date: dt.datetime | None,
        reason: str | None,
    ) -> State:
        with self._lab.unit() as unit:
            snapshot = read(self._lab, unit, key)
            at = self._lab.now()
            before = require(self._lab, snapshot, stage, transition, at=at)
            done = transition is Transition.COMPLETE
            stale = stale_dependents(self._lab, snapshot, stage)
            changes, after = self._settle(
                unit,
                snapshot,
                stage,
                done=done,
                date=date,
                mark=Mark.DONE if done and not stage.done_column else None,
                stale=stale,
                at=at,
            )
            event = self._lab.event(
                key,
                transition.value,
                at=at,
                moved=(stage, before, after),
                changes=changes,
                reason=_clean(reason),
            )
            why = "made again" if done else "taken back"
            invalidated = stale_events(self._lab, snapshot, stage, stale, why=why, at=at)
            unit.events.append([event, *invalidated])
            unit.commit()
        return after

    def _settle(
        self,
        unit: UnitOfWork,
        snapshot: Snapshot,
        stage: Stage,
        *,
        done: bool,
        date: dt.datetime | None,
        mark: Mark | None,
        at: dt.datetime,
        stale: tuple[Stage, ...] = (),
    ) -> tuple[dict[str, Any], State]:
        """Write the outcome to the lab's columns and the tracker's mark; return the new state."""
        changes: dict[str, Any] = {}
        values = outcome_columns(stage, done=done, date=date)
        if values:
            changes = update_session(unit, snapshot, values, seen=("sessionQC",))
        elif done:
            mark = Mark.DONE
        expire_claims(self._lab, unit, snapshot, [stage], at=at)
        with noting_stages(unit, snapshot.record.uSessionID) as rows:
            # A person's word ends what the last attempt said, and what followed from that.
            settle_stages(unit, snapshot, stage, mark=mark, attempt_id=None, stale=stale, at=at)
            if snapshot.row(stage).failures:
                unit.stages.set_retry(snapshot.record.uSessionID, stage.name)
        now = replace(
            snapshot,
            record=replace(snapshot.record, **values),
            rows={**snapshot.rows, stage.name: StageRow(mark, None, None, None)},
        )
        return {**changes, **rows}, now.state(stage, self._lab.stages, at)

    def _decide(
        self,
        unit: UnitOfWork,
        snapshot: Snapshot,
        level: QC,
        verb: str,
        told: Mapping[str, Any],
        *,
        at: dt.datetime,
        check: str = _SESSION_CHECK,
        reason: str | None,
        **extras: Any,
    ) -> None:
        """Record a decision and its event, which tells what is `told` besides."""
        values = {"decided_at": at, "actor": self._lab.actor, "reason": reason, **extras}
        unit.qc_decisions.append(snapshot.record.uSessionID, check=check, level=level, **values)
        event = self._lab.event(snapshot.record.key, verb, at=at, reason=reason, **told)
        unit.events.append([event])


def _require_seen(unit: UnitOfWork, snapshot: Snapshot, seen: int | None, *checks: str) -> None:
    """Refuse where one of these checks, any when none is given, was judged since `seen`."""
    if seen is None:
        return
    last = unit.qc_decisions.newest(snapshot.record.uSessionID, checks)
    if last is not None and last.decision_id > seen:
        said = f"judged {QC(last.qc_level).name}{f' ({last.reason})' if last.reason else ''}"
        raise ConcurrentUpdateError(snapshot.record.key, said, last.actor)


def _of_level(level: QC) -> tuple[Transition, Mark | None]:
    if level is QC.NOT_SET:
        return Transition.CLEAR_QC, None
    if level.accepted:
        return Transition.PASS_QC, None
    return Transition.FAIL_QC, Mark.FAILED


def _clean(reason: str | None) -> str | None:
    return reason.strip() or None if reason else None
