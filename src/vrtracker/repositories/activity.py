"""What is going on: states, attempts that ended lately, the newest failures."""

from __future__ import annotations

import datetime as dt
from typing import Any, cast

from sqlalchemy import Select, func, select

from vrtracker.domain.stages import StageGraph
from vrtracker.domain.states import State
from vrtracker.repositories.listing import Listing, where
from vrtracker.repositories.repository import Repository
from vrtracker.repositories.states import StageQuery

_ENDED = ("succeeded", "failed")


class ActivityRepository(Repository):
    """Sums over the whole lab, each in one statement."""

    def counts(
        self, stages: StageGraph, *, now: dt.datetime, listing: Listing, by_mouse: bool
    ) -> dict[tuple[str, str], dict[State, int]]:
        """Return how many sessions of a listing are in each state, by mouse, or "", and stage."""
        tables = self._x.tables
        query = StageQuery(tables, stages, now)
        names = list(stages)
        states = [query.state(stages[name]).label(f"s{i}") for i, name in enumerate(names)]
        columns = [tables.sessions.c.mouseName] * by_mouse + states
        each = (
            where(cast("Select[Any]", select(*columns)), tables, tables.sessions, listing)
            .select_from(query.joined())
            .subquery("each_session")
        )
        result = self._x.execute(select(*each.c, func.count()).group_by(*each.c))
        rows = sorted(tuple(row) if by_mouse else ("", *row) for row in result)
        mice = dict.fromkeys(row[0] for row in rows) if by_mouse else [""]
        counts = {(mouse, name): dict.fromkeys(State, 0) for mouse in mice for name in names}
        for mouse, *found, count in rows:
            for name, state in zip(names, found, strict=True):
                counts[mouse, name][State(state)] += count
        return counts

    def ended(self, listing: Listing, *, since: dt.datetime) -> list[Any]:
        """Return the attempts that ended since then, summed by stage and outcome.

        Rows have stage, outcome, count, began (the start of the first one), bytes (of the outputs)
        and measured (of how many outputs the bytes are known).
        """
        attempts = self._x.tables.attempts
        statement = self._of(
            listing,
            attempts.c.stage,
            attempts.c.outcome,
            func.count(attempts.c.attempt_id).label("count"),
            func.min(attempts.c.started_at).label("began"),
            func.sum(attempts.c.output_bytes).label("bytes"),
            func.count(attempts.c.output_bytes).label("measured"),
        ).where(attempts.c.outcome.in_(_ENDED), attempts.c.finished_at >= since)
        grouped = statement.group_by(attempts.c.stage, attempts.c.outcome)
        return list(self._x.execute(grouped))

    def failures(self, listing: Listing, *, limit: int) -> list[Any]:
        """Return the newest attempts that failed, newest first.

        Rows have mouseName, sessionDate, sessionID, stage, finished_at, error_type, error_message.
        """
        attempts, sessions = self._x.tables.attempts, self._x.tables.sessions
        statement = self._of(
            listing,
            sessions.c.mouseName,
            sessions.c.sessionDate,
            sessions.c.sessionID,
            attempts.c.stage,
            attempts.c.finished_at,
            attempts.c.error_type,
            attempts.c.error_message,
        ).where(attempts.c.outcome == "failed")
        newest = statement.order_by(attempts.c.finished_at.desc(), attempts.c.attempt_id)
        return list(self._x.execute(newest.limit(limit)))

    def _of(self, listing: Listing, *columns: Any) -> Select[Any]:
        """Return a SELECT of the attempts at the sessions of a listing."""
        tables = self._x.tables
        attempts, sessions = tables.attempts, tables.sessions
        return where(cast("Select[Any]", select(*columns)), tables, sessions, listing).where(
            sessions.c.uSessionID == attempts.c.uSessionID
        )
