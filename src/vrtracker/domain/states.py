"""The state of a (session, stage), and which transition may leave which state.

The state is never stored: it follows from the lab's columns, the tracker's mark and the
claim of a running attempt. `state_of` says how, for one session; the repositories say the
same in SQL, and a test compares the two over every combination of facts.
"""

from __future__ import annotations

import enum
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from vrtracker.domain.stages import StageKind


class State(enum.StrEnum):
    """Where a session stands in a stage.

    Examples
    --------
    >>> tracker.workflow.state_counts()["registration"][vrtracker.State.DONE]
    10
    """

    SCRATCHED = "scratched"
    """The session was given up; it takes part in nothing."""
    NOT_APPLICABLE = "not_applicable"
    """The session has no such stage (red-cell QC without imaging)."""
    RUNNING = "running"
    """Somebody has claimed it and the claim has not expired."""
    DONE = "done"
    """Its output exists and is current."""
    STALE = "stale"
    """Its output exists, but what it was made from is gone or made again, or what made it is
    another registrar, code or option than now."""
    BLOCKED = "blocked"
    """It waits for an earlier stage."""
    FAILED = "failed"
    """The last attempt failed, or the reviewer rejected it; there is no good output."""
    READY = "ready"
    """It can start now."""


QUEUED = (State.READY, State.FAILED)
"""The states that make up the work queue."""


def queued(
    kind: StageKind, *, include_blocked: bool = False, include_stale: bool = False
) -> list[State]:
    """Return the states of a queue; what is blocked holds nothing to be reviewed."""
    waits = include_blocked and kind is StageKind.PROCESS
    return [*QUEUED, *[State.BLOCKED] * waits, *[State.STALE] * include_stale]


class Mark(enum.StrEnum):
    """What the tracker remembers of a (session, stage) beside the lab's columns."""

    DONE = "done"
    FAILED = "failed"
    STALE = "stale"
    NOT_APPLICABLE = "not_applicable"


@dataclass(frozen=True, slots=True)
class StageFacts:
    """All that decides the state of one (session, stage)."""

    scratched: bool
    applicable: bool
    running: bool
    done: bool
    stale: bool
    failed: bool
    unmet: tuple[str, ...]
    """Required stages whose output does not exist."""


def state_of(facts: StageFacts) -> State:
    """Return the state that the facts amount to; the first that holds, in this order."""
    if facts.scratched:
        return State.SCRATCHED
    if not facts.applicable:
        return State.NOT_APPLICABLE
    if facts.running:
        return State.RUNNING
    if facts.done:
        return State.STALE if facts.stale else State.DONE
    if facts.unmet:
        return State.BLOCKED
    return State.FAILED if facts.failed else State.READY


class Transition(enum.StrEnum):
    """Everything that can happen to a (session, stage), or to the session as a whole."""

    START = "start"
    """Claim the session and begin."""
    RERUN = "rerun"
    """Claim a session whose output is current, on request."""
    SUCCEED = "succeed"
    FAIL = "fail"
    CANCEL = "cancel"
    """Give a claim back; the state is what it was before."""
    COMPLETE = "complete"
    """Record that a stage was done outside the tracker."""
    RESET = "reset"
    """Take back that a stage is done."""
    PASS_QC = "pass_qc"
    FAIL_QC = "fail_qc"
    CLEAR_QC = "clear_qc"
    SCRATCH = "scratch"
    UNSCRATCH = "unscratch"


_ALL = frozenset(State)
_OPEN = frozenset({State.READY, State.FAILED, State.STALE})
_JUDGED = _OPEN | {State.DONE}

ALLOWED: Mapping[Transition, frozenset[State]] = MappingProxyType(
    {
        Transition.START: _OPEN,
        Transition.RERUN: _JUDGED,
        Transition.SUCCEED: frozenset({State.RUNNING}),
        Transition.FAIL: frozenset({State.RUNNING}),
        Transition.CANCEL: frozenset({State.RUNNING}),
        Transition.COMPLETE: _JUDGED,
        Transition.RESET: frozenset({State.DONE, State.STALE, State.FAILED}),
        Transition.PASS_QC: _JUDGED,
        Transition.FAIL_QC: _JUDGED,
        Transition.CLEAR_QC: _JUDGED,
        Transition.SCRATCH: _ALL - {State.RUNNING, State.SCRATCHED},
        Transition.UNSCRATCH: frozenset({State.SCRATCHED}),
    }
)
"""The one table of transitions: from which states each may go."""

_TARGETS: Mapping[Transition, State] = MappingProxyType(
    {
        Transition.START: State.RUNNING,
        Transition.RERUN: State.RUNNING,
        Transition.SUCCEED: State.DONE,
        Transition.COMPLETE: State.DONE,
        Transition.PASS_QC: State.DONE,
        Transition.FAIL_QC: State.FAILED,
        Transition.SCRATCH: State.SCRATCHED,
    }
)

_PROCESS_ONLY = frozenset(
    {
        Transition.START,
        Transition.RERUN,
        Transition.SUCCEED,
        Transition.FAIL,
        Transition.CANCEL,
        Transition.COMPLETE,
        Transition.RESET,
    }
)
_REVIEW_ONLY = frozenset({Transition.PASS_QC, Transition.FAIL_QC, Transition.CLEAR_QC})


def target_of(transition: Transition) -> State | None:
    """Return the state that a transition leads to, None where it depends on the facts."""
    return _TARGETS.get(transition)


@functools.cache
def allowed_from(state: State, kind: StageKind) -> tuple[Transition, ...]:
    """Return the transitions that a stage of this kind may make from `state`, in table order."""
    foreign = _REVIEW_ONLY if kind is StageKind.PROCESS else _PROCESS_ONLY
    return tuple(
        transition
        for transition, states in ALLOWED.items()
        if state in states and transition not in foreign
    )
