"""What a run is asked for, and what became of it."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile
from typing import TYPE_CHECKING, Self

from vrtracker.display import Facts, Shown
from vrtracker.domain.keys import SessionKey
from vrtracker.domain.retrying import RunPolicy
from vrtracker.domain.states import State
from vrtracker.repositories.selecting import Selection
from vrtracker.services.workflow.patience import Stop

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class RunResult(Shown):
    """What became of one session in a run.

    `outcome`: ``succeeded``, ``failed``, ``cancelled`` (over budget, or interrupted) or ``skipped``
        (somebody else has it, or had it changed).
    `duration_s`: duration of the work, seconds.
    `bytes`: size of the output, bytes.
    `files`: number of datasets recorded.
    `error`: class and message of the exception.
    `following`: of one that failed: when it is tried again, or that it is set aside.
    """

    key: SessionKey
    outcome: str
    duration_s: float = 0.0
    bytes: int = 0
    files: int = 0
    error: str | None = None
    attempt_id: str | None = None
    following: str | None = None

    def facts(self) -> Facts:
        """Return what became of it."""
        notes = [note for note in (self.error, self.following) if note is not None]
        return Facts(
            f"{self.key}: {self.outcome}",
            [(name, getattr(self, name)) for name in ("duration_s", "files", "bytes")],
            notes=notes,
        )


class Results(list[RunResult]):
    """What became of the sessions so far; counted as they come, not anew before each session."""

    def __init__(self, results: Iterable[RunResult] = ()) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()
        self.bytes = 0
        for result in results:
            self.append(result)

    def append(self, result: RunResult) -> None:
        """Add one; the bytes are those of outputs that are in place."""
        super().append(result)
        self.counts[result.outcome] += 1
        self.bytes += result.bytes if result.outcome == "succeeded" else 0


@dataclass(frozen=True, slots=True)
class RunReport(Shown):
    """What became of a run.

    Attributes
    ----------
    stopped : str or None
        Why it ended before the queue was empty.
    left : int
        Sessions of the queue that it did not get to.
    interrupted : bool
        Whether it ended since it, or its workers again and again over one session, were told to.

    Examples
    --------
    >>> report = tracker.workflow.run("registration", "DEMO002.2023-02-08.701")
    >>> report.failed, report.results[0].files
    (1, 0)
    """

    stage: str
    results: tuple[RunResult, ...]
    stopped: str | None = None
    left: int = 0
    notes: tuple[str, ...] = field(default=(), repr=False)
    interrupted: bool = False

    def count(self, outcome: str) -> int:
        """Return the number of sessions with this outcome.

        Examples
        --------
        >>> tracker.workflow.run("registration").count("failed")
        1
        """
        return sum(result.outcome == outcome for result in self.results)

    @property
    def succeeded(self) -> int:
        """Number of sessions that succeeded."""
        return self.count("succeeded")

    @property
    def failed(self) -> int:
        """Number of sessions that failed."""
        return self.count("failed")

    @property
    def bytes(self) -> int:
        """Size of all outputs, bytes."""
        return sum(result.bytes for result in self.results if result.outcome == "succeeded")

    def frame(self) -> pd.DataFrame:
        """Return one row a session: key, outcome, duration_s, bytes, files, error, attempt_id.

        Examples
        --------
        >>> tracker.workflow.run("registration").frame()[["key", "outcome"]]
                              key outcome
        0  DEMO002.2023-02-08.701  failed
        """
        import pandas as pd

        names = ["key", "outcome", "duration_s", "bytes", "files", "error", "attempt_id"]
        rows = [
            [str(result.key), *(getattr(result, name) for name in names[1:])]
            for result in self.results
        ]
        types = {"duration_s": "float64", "bytes": "int64", "files": "int64"}
        return pd.DataFrame(rows, columns=names).astype(types)

    def facts(self) -> Facts:
        """Return how many sessions ended how, and each of them; failed ones first.

        Examples
        --------
        >>> tracker.workflow.run("registration").facts().title
        'registration: 0 succeeded, 1 failed'
        """
        results = sorted(self.results, key=lambda result: result.outcome != "failed")
        names = ("key", "outcome", "duration_s", "files", "bytes", "error")
        rows = [[getattr(result, name) for name in names] for result in results]
        return Facts(self._summary(), rows, names, notes=self.notes)

    def __str__(self) -> str:
        """Return the sentence alone, which scripts print and log."""
        return self.facts().title

    def _summary(self) -> str:
        parts = [f"{self.stage}: {self.succeeded} succeeded, {self.failed} failed"]
        parts += [
            f"{self.count(outcome)} {outcome}"
            for outcome in ("skipped", "cancelled")
            if self.count(outcome)
        ]
        if self.stopped:
            parts.append(f"stopped: {self.stopped} ({self.left} left)")
        return ", ".join(parts)


Progress = Callable[[int, int, SessionKey, RunResult | None], None]
"""Called before and after each session: position, number of sessions, key, result (None before)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What a run is asked for; see `vrtracker.services.workflow.service.WorkflowService.run`."""

    filters: Selection
    retry_failed: bool = True
    include_stale: bool = False
    without: tuple[str, ...] = ()
    excludes: Mapping[str, str] = field(default_factory=dict)
    force: bool = False
    budget_bytes: float | None = None
    max_sessions: int | None = None
    max_errors: int | None = None
    max_failures_in_a_row: int | None = None
    timeout_minutes: float | None = None
    raise_errors: bool = False
    progress: Progress | None = None
    stop: Stop | None = None
    """Asked before each session; why no other is to be begun, or None to go on."""
    only_planned: bool = False
    """Of what failed before, only what is to be tried again at a time that has come."""
    is_named: bool = False
    """One session is meant, whether it is to be tried later or not."""
    key: SessionKey | None = None
    """The session, where it was named by its key: then its state must allow the run."""
    run: str = field(default_factory=lambda: uuid.uuid4().hex[:8])
    """The letters with which the ids of its attempts begin, those of all its workers."""

    @property
    def states(self) -> list[State]:
        """The states of the sessions to work on."""
        states = [State.READY]
        if self.retry_failed or self.force:
            states.append(State.FAILED)
        if self.include_stale or self.force:
            states.append(State.STALE)
        if self.force:
            states.append(State.DONE)
        return states

    def under(self, policy: RunPolicy) -> Self:
        """Return the options, with what they leave open as the policy of the stage has it."""
        names = ("max_failures_in_a_row", "timeout_minutes")
        left_open = [name for name in names if getattr(self, name) is None]
        return replace(self, **{name: getattr(policy, name) for name in left_open})

    def limit_reached(self, results: Results, *, and_one_more: bool = False) -> str | None:
        """Return which limit forbids another session, if any.

        `and_one_more`: another one is about to succeed, which `results` do not have yet.
        """
        if self.stop is not None and (why := self.stop()):
            return why
        failed = results.counts["failed"]
        worked = results.counts["succeeded"] + failed + and_one_more
        if results.counts["cancelled"]:
            return "the budget of bytes would be exceeded"
        if self.max_sessions is not None and worked >= self.max_sessions:
            return f"the limit of {self.max_sessions} sessions is reached"
        if self.max_errors is not None and failed >= self.max_errors:
            return f"the limit of {self.max_errors} errors is reached"
        streak = [] if and_one_more else _streak(results)
        if self.max_failures_in_a_row and len(streak) >= self.max_failures_in_a_row:
            return f"{len(streak)} sessions in a row failed, the last with {streak[0].error}"
        return None


def _streak(results: Sequence[RunResult]) -> list[RunResult]:
    """Return the latest result of each session that failed since one succeeded, newest first."""
    worked = (one for one in reversed(results) if one.outcome in {"succeeded", "failed"})
    failed = takewhile(lambda result: result.outcome == "failed", worked)
    newest: dict[SessionKey, RunResult] = {}
    for result in failed:
        newest.setdefault(result.key, result)
    return list(newest.values())
