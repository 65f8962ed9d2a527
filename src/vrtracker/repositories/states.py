"""The state of a stage in SQL: the same rules as `vrtracker.domain.snapshots`, over all sessions.

Each fact is kept with its opposite, so that NULL never decides: what the tracker has not
touched has no row in `vrt_stage_state`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Select,
    and_,
    bindparam,
    case,
    exists,
    false,
    literal,
    or_,
    select,
    true,
)

from vrtracker.database import Tables
from vrtracker.domain.stages import Stage, StageGraph
from vrtracker.domain.states import Mark, State
from vrtracker.models.types import UTCTime
from vrtracker.repositories.facts import Clause, Fact, all_of, any_of, opposite

_GIVEN_BACK = ("cancelled", "expired")


class StageQuery:
    """States of stages for sessions, as conditions and columns of a SELECT.

    `now`: the instant that decides whether a claim has expired; a function is asked at each look.
    `without`: stages that no other one waits for. `one_by_one`: look the rows of a stage up session
    by session, which is for those who want the first few; only where the database has LATERAL. Its
    planner may read them all for one otherwise.
    """

    def __init__(
        self,
        tables: Tables,
        stages: StageGraph,
        now: dt.datetime | Callable[[], dt.datetime],
        *,
        without: Collection[str] = (),
        one_by_one: bool = False,
    ) -> None:
        self._tables = tables
        self._stages = stages
        told: Any = {"callable_": now} if callable(now) else {"value": now}
        self._now = bindparam("now", **told, type_=UTCTime)
        self._without = frozenset(without)
        self._one_by_one = one_by_one
        self._joined: dict[str, Any] = {}

    def joined(self) -> FromClause:
        """Return `sessiondb` with what the conditions so far need joined to it."""
        source: Any = self._tables.sessions
        for part in self._joined.values():
            source = source.outerjoin(part, part.c.uSessionID == self._tables.sessions.c.uSessionID)
        return source  # type: ignore[no-any-return]

    def is_in(self, stage: Stage, states: Iterable[State]) -> Clause:
        """Return the condition that the stage is in one of the states.

        What keeps a session out of all of them stands by itself, where an index can answer it.
        """
        wanted = set(states)
        *rules, (last, _) = self._rules(stage)
        # From the last state to the first: whether it is in a wanted one of those so far.
        matches: Clause | bool = last in wanted
        for state, fact in reversed(rules):
            is_wanted = state in wanted
            if matches is is_wanted:
                continue
            decides = fact.holds if is_wanted else fact.fails
            if isinstance(matches, bool):
                matches = decides
            else:
                matches = or_(decides, matches) if is_wanted else and_(decides, matches)
        if isinstance(matches, bool):
            return true() if matches else false()
        return matches

    def is_untried(self, stage: Stage, run: str, *, left_behind: bool) -> Clause:
        """Return the condition that no worker of a run has ended an attempt at the stage.

        One that failed, and by its policy is due again, counts as not tried.

        `run`: the letters with which the ids of the run's attempts begin. `left_behind`: nor has
        anybody else: the stage was never begun, or was given back, or its worker died.
        """
        row, attempts = self._stage_row(stage), self._tables.attempts
        column, outcome = row.c.attempt_id, attempts.c.outcome
        # Ids are hexadecimal: all of the run's lie between these two.
        of_others = or_(column < run, column >= f"{run}g")
        if left_behind:
            of_others = and_(of_others, self._attempted(column, outcome.in_(_GIVEN_BACK)))
        # What a worker of the run lost while it lived, or gave back over a budget, is not tried
        # again; over what it died or was told to end, is, and what failed and is due again.
        ended = and_(outcome.in_(_GIVEN_BACK), attempts.c.error_type.is_not(None))
        died = or_(outcome == "running", ended)
        is_due_again = and_(
            row.c.retry_after.is_not(None),
            row.c.retry_after <= self._now,
            self._attempted(column, outcome == "failed"),
        )
        return or_(column.is_(None), of_others, self._attempted(column, died), is_due_again)

    def _attempted(self, attempt_id: Any, *conditions: Clause) -> Clause:
        """Return whether an attempt is as it says: a look-up, however many others there are."""
        return exists().where(self._tables.attempts.c.attempt_id == attempt_id, *conditions)

    def is_due(self, stage: Stage, *, at_any_time: bool = False) -> Clause:
        """Return the condition that a stage that failed is not set aside, nor waits for a time.

        `at_any_time`: what waits for a time is due too.
        """
        return self._held_back(stage, at_any_time=at_any_time).fails

    def is_held_back(self, stage: Stage) -> Clause:
        """Return the condition that a stage failed and is set aside, or waits for a time."""
        return self._held_back(stage).holds

    def setback(self, stage: Stage) -> tuple[ColumnElement[Any], ...]:
        """Return how often a stage failed, when it is tried again, and why not, as columns."""
        row = self._stage_row(stage)
        return row.c.failures, row.c.retry_after, row.c.set_aside

    def attempt(self, stage: Stage) -> ColumnElement[Any]:
        """Return the id of the last attempt, as a column; NULL if a person settled it since."""
        attempt: ColumnElement[Any] = self._stage_row(stage).c.attempt_id
        return attempt

    def _held_back(self, stage: Stage, *, at_any_time: bool = False) -> Fact:
        _, retry_after, set_aside = self.setback(stage)
        aside = Fact(set_aside.is_not(None), set_aside.is_(None))
        waits = Fact(
            and_(retry_after.is_not(None), retry_after > self._now),
            or_(retry_after.is_(None), retry_after <= self._now),
        )
        held = aside if at_any_time else any_of([aside, waits])
        # People untick it by hand, which counts as mended.
        return all_of([held, self._flag(stage.error_column)]) if stage.error_column else held

    def is_planned(self, stage: Stage) -> Clause:
        """Return the condition that a stage is to be tried again at a time that was set."""
        planned: Clause = self._stage_row(stage).c.retry_after.is_not(None)
        return planned

    def state(self, stage: Stage) -> ColumnElement[str]:
        """Return the state as a column of text."""
        return self.by_state(stage, {state: literal(state.value) for state in State})

    def by_state(
        self, stage: Stage, results: Mapping[State, ColumnElement[str]]
    ) -> ColumnElement[str]:
        """Return a column that holds, of some results, the one of the stage's state."""
        *rules, (last, _) = self._rules(stage)
        return case(*((fact.holds, results[state]) for state, fact in rules), else_=results[last])

    def _rules(self, stage: Stage) -> list[tuple[State, Fact]]:
        """List the states with the fact that decides each, in the order of `state_of`."""
        done = self._has_output(stage)
        stale = any_of([self._mark(stage, Mark.STALE), *self._newer_inputs(stage)])
        return [
            (State.SCRATCHED, opposite(self._flag("sessionQC"))),
            (State.NOT_APPLICABLE, opposite(self._applies(stage))),
            (State.RUNNING, self._running(stage)),
            (State.STALE, all_of([done, stale])),
            (State.DONE, done),
            (State.BLOCKED, self._blocked(stage)),
            (State.FAILED, self._failed(stage)),
            (State.READY, Fact(true(), false())),
        ]

    def _flag(self, column: str) -> Fact:
        flag = self._tables.sessions.c[column]
        # A tick box that the lab has added may be empty, which is not ticked.
        return Fact(
            flag == true(),
            or_(flag == false(), flag.is_(None)) if flag.nullable else flag == false(),
        )

    def _applies(self, stage: Stage) -> Fact:
        excluded = self._mark(stage, Mark.NOT_APPLICABLE)
        return all_of([*(self._flag(column) for column in stage.applies_if), opposite(excluded)])

    def _has_output(self, stage: Stage) -> Fact:
        if stage.done_column:
            return self._flag(stage.done_column)
        return any_of([self._mark(stage, Mark.DONE), self._mark(stage, Mark.STALE)])

    def _failed(self, stage: Stage) -> Fact:
        failures = [self._mark(stage, Mark.FAILED)]
        if stage.error_column:
            failures.append(self._flag(stage.error_column))
        return any_of(failures)

    def _blocked(self, stage: Stage) -> Fact:
        return any_of(
            all_of([self._applies(other), opposite(self._has_output(other))])
            for other in (self._stages[name] for name in stage.requires)
            if other.name not in self._without
        )

    def _newer_inputs(self, stage: Stage) -> list[Fact]:
        """List for each required stage whether its date is later than that of the stage."""
        required = (self._stages[name] for name in stage.requires)
        return [
            all_of([self._applies(other), self._is_later(other.date_column, stage.date_column)])
            for other in required
            if other.date_column and stage.date_column
        ]

    def _is_later(self, column: str, than: str) -> Fact:
        later, earlier = self._tables.sessions.c[column], self._tables.sessions.c[than]
        return Fact(
            and_(later.is_not(None), earlier.is_not(None), later > earlier),
            or_(later.is_(None), earlier.is_(None), later <= earlier),
        )

    def _mark(self, stage: Stage, mark: Mark) -> Fact:
        column = self._stage_row(stage).c.mark
        return Fact(
            and_(column.is_not(None), column == mark.value),
            or_(column.is_(None), column != mark.value),
        )

    def _running(self, stage: Stage) -> Fact:
        attempts = self._tables.attempts
        # They are as few as the workers, and all rows may have to be compared with them.
        claims = select(attempts.c.attempt_id).where(
            attempts.c.outcome == "running",
            attempts.c.lease_until > self._now,
        )
        column = self._stage_row(stage).c.attempt_id
        return Fact(
            and_(column.is_not(None), column.in_(claims)),
            or_(column.is_(None), column.not_in(claims)),
        )

    def _stage_row(self, stage: Stage) -> Any:
        if stage.name not in self._joined:
            table = self._tables.stage_states
            columns = [column for column in table.c if column.name not in {"stage", "changed_at"}]
            part: Select[Any] = select(*columns).where(table.c.stage == stage.name)
            name = f"of_{stage.name}"
            if self._one_by_one:
                of_session = table.c.uSessionID == self._tables.sessions.c.uSessionID
                self._joined[stage.name] = part.where(of_session).limit(1).lateral(name)
            else:
                self._joined[stage.name] = part.subquery(name)
        return self._joined[stage.name]
