"""The queue of a run: which session is next, and how many are left."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from functools import cached_property
from typing import Any

from sqlalchemy import Select, bindparam, func, or_, select

from vrtracker.backends.days import KeyText
from vrtracker.database import Database, Executor, Prepared
from vrtracker.domain.keys import SessionKey
from vrtracker.domain.snapshots import Snapshot
from vrtracker.domain.stages import Stage, StageGraph
from vrtracker.domain.states import State
from vrtracker.repositories.listing import Listing, listing_statement
from vrtracker.repositories.selecting import Selection
from vrtracker.repositories.stages import snapshot_of, snapshot_statement
from vrtracker.repositories.states import StageQuery

_COLUMNS = ("uSessionID", "mouseName", "sessionDate", "sessionID")
_NEVER = dt.datetime.min.replace(tzinfo=dt.UTC)


class Queue:
    """The sessions that a run works on, in order of their numbers; compiled once.

    `filters`: what it is taken from; it holds at the moment of each look.
    `run`: the letters with which the ids of the run's attempts begin: what it has tried is left
        out.
    `left_behind`: leave out what anybody has tried to the end.
    `only_due`: leave out what is set aside, or to be tried later.
    `at_any_time`: what is to be tried later is not left out.
    `without`: stages that it need not wait for.
    `only_planned`: leave out what failed, unless it is to be tried again at a time that has come.
    """

    def __init__(
        self,
        database: Database,
        stage: Stage,
        stages: StageGraph,
        states: Collection[State],
        *,
        filters: Selection,
        run: str,
        left_behind: bool,
        only_due: bool,
        at_any_time: bool = False,
        without: Collection[str],
        only_planned: bool = False,
    ) -> None:
        self._database = database
        tables = database.tables
        # Each look says what time it is.
        one_by_one = database.backend.supports_lateral
        query = StageQuery(tables, stages, _NEVER, without=without, one_by_one=one_by_one)
        conditions = [
            query.is_in(stage, states),
            query.is_untried(stage, run, left_behind=left_behind),
        ]
        if only_due:
            conditions.append(query.is_due(stage, at_any_time=at_any_time))
        if only_planned:
            others = [state for state in states if state is not State.FAILED]
            conditions.append(or_(query.is_planned(stage), query.is_in(stage, others)))
        # The states leave out what is scratched; said twice, it misleads a planner.
        listing = Listing(filters, _COLUMNS, include_scratched=True)
        statement = listing_statement(tables, tables.sessions, listing)
        self._statement: Select[Any] = statement.select_from(query.joined()).where(
            *conditions, tables.sessions.c.uSessionID > bindparam("after", 0)
        )

    def first(self, executor: Executor, *, after: int, now: dt.datetime) -> SessionKey | None:
        """Return the key of the first session with a higher number than `after`."""
        rows = executor.rows(self._first, after=after, now=now)
        return SessionKey(*rows[0][1:4]) if rows else None

    def take_first(
        self, executor: Executor, *, after: int, now: dt.datetime
    ) -> tuple[int, SessionKey, Snapshot | None] | None:
        """Return its number and key for a claim, and the session where it is read already.

        Where the database can, its row is locked until the end of the transaction, and those that
        others have locked are passed over. Elsewhere nobody else writes meanwhile.
        """
        if not self._database.backend.finds_and_reads_at_once:
            rows = executor.rows(self._first_locked, after=after, now=now)
            return (rows[0][0], SessionKey(*rows[0][1:4]), None) if rows else None
        rows = executor.rows(self._first_whole, after=after, now=now)
        whole = snapshot_of(rows, self._database.tables)
        return None if whole is None else (whole.record.uSessionID, whole.record.key, whole)

    def count(self, executor: Executor, *, now: dt.datetime) -> int:
        """Return how many sessions are in it."""
        counted = select(func.count()).select_from(
            self._statement.order_by(None).subquery("in_queue")
        )
        return int(executor.execute(counted, {"after": 0, "now": now}).scalar() or 0)

    @cached_property
    def _first(self) -> Prepared:
        return self._database.compiled(self._statement.limit(1))

    @cached_property
    def _first_whole(self) -> Prepared:
        sessions = self._database.tables.sessions
        key = KeyText(sessions.c.mouseName, sessions.c.sessionDate, sessions.c.sessionID)
        number = self._statement.with_only_columns(sessions.c.uSessionID).limit(1).correlate(None)
        return self._database.compiled(
            snapshot_statement(self._database.tables, key).where(
                sessions.c.uSessionID == number.scalar_subquery()
            )
        )

    @cached_property
    def _first_locked(self) -> Prepared:
        if not self._database.backend.supports_for_update:
            return self._first
        sessions = self._database.tables.sessions
        locking = self._statement.limit(1).with_for_update(of=sessions, skip_locked=True)
        return self._database.compiled(locking)
