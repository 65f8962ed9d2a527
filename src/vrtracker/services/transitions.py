"""What all transitions share: read the session, check the table, say why something is refused."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from vrtracker import operations
from vrtracker.display import Facts, Shown, counted
from vrtracker.domain.keys import SessionKey
from vrtracker.domain.records import row_digest
from vrtracker.domain.snapshots import Snapshot
from vrtracker.domain.stages import Stage, StageKind
from vrtracker.domain.states import ALLOWED, Mark, State, Transition, allowed_from
from vrtracker.errors import ConcurrentUpdateError, InvalidTransitionError
from vrtracker.repositories.events import NewEvent
from vrtracker.repositories.row_images import STAGES, differences
from vrtracker.repositories.rows import LookUps
from vrtracker.repositories.stages import StageRepository
from vrtracker.services.context import LabContext
from vrtracker.services.history.outside import absorb_row
from vrtracker.services.holders import why_free
from vrtracker.unit_of_work import UnitOfWork

MISSING_FILES = "missing_files"
"""Code of the reason that the rig's equipment leaves files that are not there."""


@dataclass(frozen=True, slots=True)
class Reason:
    """One condition that keeps a session out of the queue of a stage.

    `code`: ``scratched``, ``not_applicable``, ``running``, ``done``, ``stale``, ``unmet``,
    ``later`` or ``set_aside``; ``missing_files`` does not keep it out. `stage`: the stage that the
    condition is about: for ``unmet`` the one that is waited for. `message`: the fact and the
    remedy, in words.
    """

    code: str
    stage: str
    message: str

    def __str__(self) -> str:
        return self.message


class Reasons(Shown, tuple[Reason, ...]):
    """All conditions at once: a tuple that reads as sentences."""

    __slots__ = ()

    @property
    def keep_out(self) -> bool:
        """Whether one of them keeps the session out; files that are missing do not."""
        return any(reason.code != MISSING_FILES for reason in self)

    def facts(self) -> Facts:
        """Return a sentence for each, with its remedy."""
        title = "It is not in the queue:" if self.keep_out else "It is in the queue, but:"
        title = title if self else "Nothing: it is in the queue."
        return Facts(title, notes=[str(reason) for reason in self], most=len(self))


def read(
    lab: LabContext, unit: UnitOfWork | None, key: SessionKey, *, seen: Snapshot | None = None
) -> Snapshot:
    """Return the session as it is now; inside a unit it is locked where the database can.

    Inside a unit, what was changed of it past the tracker is entered in the history first. `seen`:
    the session as the unit has read it already.

    Raises NotFoundError if there is no such session.
    """
    if unit is None:
        snapshot = StageRepository(LookUps(lab.database)).snapshot(key)
    else:
        snapshot = seen or unit.stages.snapshot(key, lock=True)
    if snapshot is None:
        raise lab.not_found("session", key, unit=unit)
    if unit is not None:
        digest = row_digest(snapshot.record)
        if digest != snapshot.row_digest:
            absorb_row(lab, unit, snapshot.record)
        unit.events.now_holds(key, digest)
    return snapshot


def require(
    lab: LabContext,
    snapshot: Snapshot,
    stage: Stage,
    transition: Transition,
    *,
    at: dt.datetime,
    without: Collection[str] = (),
) -> State:
    """Return the state of the stage, if it allows the transition.

    `without`: stages that it need not wait for. Raises InvalidTransitionError if not; it carries
    what is allowed, and says why.
    """
    state = snapshot.state(stage, lab.stages, at, without=without)
    allowed = allowed_from(state, stage.kind)
    if state in ALLOWED[transition] and transition in allowed:
        return state
    why = " ".join(reason.message for reason in explain(lab, snapshot, stage, at=at))
    raise InvalidTransitionError(
        snapshot.record.key,
        stage.name,
        transition.value,
        current=state.value,
        allowed=allowed,
        why=why,
    )


def explain(
    lab: LabContext,
    snapshot: Snapshot,
    stage: Stage,
    *,
    at: dt.datetime,
    why_stale: str | None = None,
) -> tuple[Reason, ...]:
    """Return why the session is not in the queue of a stage; empty if it is.

    `why_stale`: what the history says of a stage that is marked as stale.
    """
    facts = snapshot.facts(stage, lab.stages, at)
    state = snapshot.state(stage, lab.stages, at)
    key, name = snapshot.record.key, stage.name
    if state is State.SCRATCHED:
        why = snapshot.record.scratchJustification or "no reason given"
        message = f"The session is scratched ({why}); take that back: vrtracker unscratch {key}"
        return (Reason("scratched", name, message),)
    if state is State.NOT_APPLICABLE:
        missing = snapshot.missing(stage)
        lacks = f"has no {' and no '.join(missing)}" if missing else "was marked as without it"
        return (
            Reason("not_applicable", name, f"The session {lacks}: {stage.title} is not for it."),
        )
    if state is State.RUNNING:
        until = snapshot.row(stage).lease_until
        free = why_free(lab, snapshot.record.uSessionID, name, key)
        message = f"{stage.title} is running; its claim holds until {until} unless renewed."
        alive = (
            " Who works on it: vrtracker claims; to take it away: vrtracker release "
            f"{key} --force --reason WHY"
        )
        return (Reason("running", name, message + (free or alive)),)
    if state is State.DONE:
        return (Reason("done", name, _done(snapshot, stage)),)
    if state is State.STALE:
        stale = Reason("stale", name, _stale(lab, snapshot, stage, why_stale))
        return (stale, *_held_back(lab, snapshot, stage, at))
    unmet = [
        Reason("unmet", required, _unmet(lab.stages[required], key)) for required in facts.unmet
    ]
    return (*unmet, *_held_back(lab, snapshot, stage, at))


def _held_back(
    lab: LabContext, snapshot: Snapshot, stage: Stage, at: dt.datetime
) -> Iterator[Reason]:
    """Say why runs leave a session out that failed, and how to have it tried all the same."""
    row, key = snapshot.setback(stage), snapshot.record.key
    option = "" if stage.name == "registration" else f" --stage {stage.name}"
    now = f"vrtracker register {key}{option}"
    if row.set_aside:
        message = (
            f"{stage.title} is not tried again by itself: {row.set_aside} Mend it, then: {now}, or "
            f"leave it to the next run: vrtracker reset {key} {stage.name}"
        )
        yield Reason("set_aside", stage.name, message)
    elif row.retry_after is not None and row.retry_after > at:
        most = lab.policy(stage.name).attempts
        of = "" if most is None else f" of at most {most}"
        message = (
            f"{stage.title} has {counted(row.failures or 0, 'failure')}{of}, and is tried again "
            f"from {row.retry_after:%Y-%m-%d %H:%M:%S} UTC on; now: {now}"
        )
        yield Reason("later", stage.name, message)


def _unmet(stage: Stage, key: SessionKey) -> str:
    remedy = f"do it, or if it was done elsewhere: vrtracker complete {key} {stage.name}"
    if stage.kind is StageKind.REVIEW:
        remedy = f"decide: vrtracker qc set {key} {stage.name} PASS"
    return f"{stage.title} is not done ({stage.name}); {remedy}"


def _stale(lab: LabContext, snapshot: Snapshot, stage: Stage, why: str | None) -> str:
    newer = snapshot.newer_inputs(stage, lab.stages)
    if not newer and why:
        return f"{stage.title} is done, but stale: {why}. Make it again."
    if not newer:
        lost = "but what it was made from was made again or lost since"
        return f"{stage.title} is done, {lost}: make it again."
    dates = ", ".join(f"{other.title} is of {snapshot.date(other)}" for other in newer)
    return f"{stage.title} is done since {snapshot.date(stage)}, but {dates}: make it again."


def _done(snapshot: Snapshot, stage: Stage) -> str:
    date = snapshot.date(stage)
    when = f" since {date}" if date else ""
    again = ""
    if snapshot.failed(stage):
        again = " The last attempt to run it again failed; the earlier output was kept."
    return f"{stage.title} is done{when}.{again}"


def update_session(
    unit: UnitOfWork, snapshot: Snapshot, values: Mapping[str, Any], *, seen: tuple[str, ...] = ()
) -> dict[str, list[Any]]:
    """Set columns of the session if they still are as seen; return what changed.

    Raises ConcurrentUpdateError if one of the columns, or of `seen`, changed in the meantime.
    """
    record = snapshot.record
    expected = {name: getattr(record, name) for name in dict.fromkeys([*values, *seen])}
    if not unit.sessions.compare_and_set(record.uSessionID, seen=expected, values=values):
        raise ConcurrentUpdateError(record.key)
    unit.events.now_holds(record.key, row_digest(record, values))
    return {
        name: [expected[name], value] for name, value in values.items() if value != expected[name]
    }


@contextlib.contextmanager
def noting_stages(unit: UnitOfWork, number: int) -> Iterator[dict[str, list[Any]]]:
    """Note what the block changes of a session's stage rows, for an event that undoing needs."""
    before = unit.images.of([number], STAGES)[number]
    changes: dict[str, list[Any]] = {}
    yield changes
    changes |= differences(before, unit.images.of([number], STAGES)[number])


def outcome_columns(stage: Stage, *, done: bool, date: dt.datetime | None) -> dict[str, Any]:
    """Return what the lab's columns of a stage hold when somebody says whether it is done."""
    if not stage.done_column:
        return {}
    values: dict[str, Any] = {stage.done_column: done}
    if stage.date_column:
        values[stage.date_column] = date
    if stage.error_column and stage.message_column:
        values |= {stage.error_column: False, stage.message_column: None}
    return values


def expire_claims(
    lab: LabContext,
    unit: UnitOfWork,
    snapshot: Snapshot,
    stages: Iterable[Stage],
    *,
    at: dt.datetime,
) -> None:
    """End the claims that their holders let run out, so that late results are refused.

    Their events are an operation of their own: what ends them can be undone without them.
    """
    rows = [(stage, snapshot.rows[stage.name]) for stage in stages if stage.name in snapshot.rows]
    lost = {row.attempt_id: stage for stage, row in rows if row.outcome == "running"}
    if not lost:
        return
    unit.attempts.expire([attempt_id for attempt_id in lost if attempt_id], at=at)
    events = [
        lab.event(
            snapshot.record.key,
            Transition.CANCEL.value,
            at=at,
            moved=(stage, State.RUNNING, snapshot.state(stage, lab.stages, at)),
            reason="its lease ended",
            attempt_id=attempt_id,
        )
        for attempt_id, stage in lost.items()
    ]
    # Whether there is work for others, the event of what ends them says.
    unit.events.append(events, operation_id=operations.new_id(), wakes=False)


def settle_stages(
    unit: UnitOfWork,
    snapshot: Snapshot,
    stage: Stage,
    *,
    mark: str | None,
    attempt_id: str | None,
    stale: tuple[Stage, ...] = (),
    watched: tuple[Stage, ...] = (),
    at: dt.datetime,
) -> None:
    """Set mark and latest attempt of a stage, mark others as stale; two statements at most.

    Raises ConcurrentUpdateError if the mark of one of them, or of those `watched`, is not as seen
    any more.
    """
    number, row = snapshot.record.uSessionID, snapshot.row(stage)
    wanted = {stage.name: mark} | {other.name: Mark.STALE.value for other in stale}
    missing = {
        name: {"mark": new, "attempt_id": None, "changed_at": at}
        for name, new in wanted.items()
        if name not in snapshot.rows and new is not None
    }
    if missing:
        unit.stages.add_rows(number, missing)
    present = {name: new for name, new in wanted.items() if name in snapshot.rows}
    names = dict.fromkeys([*present, *(other.name for other in watched)])
    seen = {name: snapshot.rows[name].mark for name in names if name in snapshot.rows}
    differs = row.attempt_id != attempt_id or any(seen[name] != present[name] for name in present)
    if not seen or not (differs or watched):
        return
    if not unit.stages.settle(
        number, seen=seen, marks=present, settled=stage.name, attempt_id=attempt_id, changed_at=at
    ):
        raise ConcurrentUpdateError(snapshot.record.key)


def stale_dependents(lab: LabContext, snapshot: Snapshot, stage: Stage) -> tuple[Stage, ...]:
    """Return the stages whose output exists and rests on the stage, which is made again."""
    return tuple(
        other
        for other in lab.stages.dependents(stage.name)
        if snapshot.applies(other) and snapshot.has_output(other)
    )


def stale_events(
    lab: LabContext,
    snapshot: Snapshot,
    stage: Stage,
    stale: tuple[Stage, ...],
    *,
    why: str = "made again",
    at: dt.datetime,
) -> list[NewEvent]:
    """Return the events of stages that become stale because one was made again."""
    return [
        lab.event(
            snapshot.record.key,
            "invalidated",
            at=at,
            moved=(other, State.DONE, State.STALE),
            reason=f"{stage.name} was {why}",
        )
        for other in stale
        if snapshot.row(other).mark != Mark.STALE
    ]
