"""Attempts: claims while they run, a record of what happened afterwards."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from sqlalchemy import (
    Select,
    and_,
    bindparam,
    case,
    func,
    literal,
    null,
    or_,
    select,
    true,
    type_coerce,
    update,
)

from vrtracker.database import Executor
from vrtracker.domain.stages import Stage, StageGraph
from vrtracker.domain.states import Mark, State
from vrtracker.models.types import LongText
from vrtracker.repositories.listing import Listing, listing_statement, where
from vrtracker.repositories.rows import LookUps
from vrtracker.repositories.selecting import Selection
from vrtracker.repositories.states import StageQuery

_UNFINISHED = ("running", "expired")


class AttemptRepository:
    """The rows of `vrt_attempt`."""

    def __init__(self, executor: Executor | LookUps) -> None:
        self._x: Any = executor

    def add(self, values: Mapping[str, Any]) -> None:
        """Insert a running attempt; columns not given are NULL."""
        self._x.insert(self._x.tables.attempts, [values])

    def close(self, attempt_id: str, values: Mapping[str, Any]) -> bool:
        """Set the outcome of a running attempt; False if it is not running any more.

        This is the fence: a worker that lost its claim finds its attempt closed as expired.
        """
        table = self._x.tables.attempts
        prepared = self._x.database.prepare(
            f"attempts.close:{','.join(values)}",
            lambda: (
                update(table)
                .where(
                    table.c.attempt_id == bindparam("id"),
                    table.c.outcome == literal("running", table.c.outcome.type),
                )
                .values({name: bindparam(f"new_{name}") for name in values})
            ),
        )
        renamed = {f"new_{name}": value for name, value in values.items()}
        return bool(self._x.change(prepared, id=attempt_id, **renamed) == 1)

    def renew(self, attempt_id: str, *, now: dt.datetime, lease_until: dt.datetime) -> bool:
        """Extend the claim of a running attempt; False if it is not running any more."""
        return self.close(attempt_id, {"heartbeat_at": now, "lease_until": lease_until})

    def outcome(self, attempt_id: str) -> str | None:
        """Return how an attempt ended, or that it runs; None if there is none."""
        table = self._x.tables.attempts
        found = self._x.execute(select(table.c.outcome).where(table.c.attempt_id == attempt_id))
        return found.scalar()  # type: ignore[no-any-return]

    def expire(self, attempt_ids: Sequence[str], *, at: dt.datetime) -> None:
        """Close attempts whose lease ended while they were running; one statement."""
        table = self._x.tables.attempts
        self._x.execute(
            update(table)
            .where(table.c.attempt_id.in_(list(attempt_ids)), table.c.outcome == "running")
            .values(outcome="expired", finished_at=at)
        )

    def open_claims(self) -> list[dict[str, Any]]:
        """Return the attempts that stages point to and that are not ended, or were given up.

        Their columns, and mouseName, sessionDate, sessionID; oldest first; one statement.
        """
        tables = self._x.tables
        attempts, states = tables.attempts, tables.stage_states
        current = attempts.join(states, states.c.attempt_id == attempts.c.attempt_id)
        return self._with_keys(current, attempts.c.outcome.in_(_UNFINISHED))

    def unfinished(self, number: int) -> list[dict[str, Any]]:
        """Return the attempts at a session that run, or were given up, as `open_claims` does."""
        attempts = self._x.tables.attempts
        return self._with_keys(
            attempts, attempts.c.uSessionID == number, attempts.c.outcome.in_(_UNFINISHED)
        )

    def unrecorded(self, number: int) -> list[dict[str, Any]]:
        """Return the attempts at a session that had no success, and none ended after they began.

        As `open_claims` does.
        """
        attempts = self._x.tables.attempts
        rows = self._with_keys(attempts, attempts.c.uSessionID == number)
        ended = [row["finished_at"] for row in rows if row["outcome"] == "succeeded"]
        return [
            row
            for row in rows
            if row["outcome"] != "succeeded" and all(other <= row["started_at"] for other in ended)
        ]

    def last_of_processes(self, host_name: str, *, since: dt.datetime) -> list[dict[str, Any]]:
        """Return the last attempts of each process of a computer, as `open_claims` does.

        Those are all that it began in its last second, if that was since then, and all with which
        it succeeded in the last second in which it did: it may have begun another one with that.
        """
        attempts = self._x.tables.attempts
        names = ("process_id", "process_started_at")
        succeeded = case((attempts.c.outcome == "succeeded", attempts.c.finished_at))
        last = (
            select(
                *(attempts.c[name] for name in names),
                func.max(attempts.c.started_at).label("began"),
                func.max(succeeded).label("succeeded"),
            )
            .where(attempts.c.host_name == host_name, attempts.c.started_at >= since)
            .group_by(*(attempts.c[name] for name in names))
            .subquery("last")
        )
        same = [attempts.c[name] == last.c[name] for name in names]
        is_last = or_(
            attempts.c.started_at == last.c.began, attempts.c.finished_at == last.c.succeeded
        )
        source = attempts.join(last, and_(*same))
        return self._with_keys(source, attempts.c.host_name == host_name, is_last)

    def of_run(self, run: str) -> list[dict[str, Any]]:
        """Return the attempts of a run, whose ids begin with these letters; also error_message."""
        attempts = self._x.tables.attempts
        # Ids are hexadecimal: all of the run's lie between these two.
        ids = attempts.c.attempt_id
        return self._with_keys(attempts, ids >= run, ids < f"{run}g", also={"error_message"})

    def _with_keys(
        self, source: Any, *conditions: Any, also: AbstractSet[str] = frozenset()
    ) -> list[dict[str, Any]]:
        attempts, sessions = self._x.tables.attempts, self._x.tables.sessions
        columns = [
            column
            for column in attempts.c
            if column.name not in {"options", "versions", "error_message", "error_traceback"} - also
        ]
        statement = (
            select(*columns, sessions.c.mouseName, sessions.c.sessionDate, sessions.c.sessionID)
            .select_from(source.join(sessions, sessions.c.uSessionID == attempts.c.uSessionID))
            .where(*conditions)
            .order_by(attempts.c.started_at, attempts.c.attempt_id)
        )
        return [dict(row) for row in self._x.execute(statement).mappings()]

    def deaths(self, number: int, stage: str, error_type: str) -> int:
        """Return how many attempts since the last success ended with a class of error."""
        table = self._x.tables.attempts
        rows = self._x.execute(
            select(table.c.outcome, table.c.error_type)
            .where(table.c.uSessionID == number, table.c.stage == stage)
            .order_by(table.c.started_at, table.c.attempt_id)
        ).all()
        count = 0
        for outcome, error in rows:
            count = 0 if outcome == "succeeded" else count + (error == error_type)
        return count

    def of_session(self, number: int) -> Select[Any]:
        """Return the SELECT of the attempts at a session, oldest first."""
        table = self._x.tables.attempts
        return (
            select(*table.c)
            .where(table.c.uSessionID == number)
            .order_by(table.c.started_at, table.c.attempt_id)
        )

    def behind_done(
        self, stage: Stage, stages: StageGraph, *, now: dt.datetime, listing: Listing
    ) -> list[Any]:
        """Return for each session of a listing whose stage is done what made it; one statement.

        That is its latest attempt that succeeded: number, key, attempt_id, registrar, options and
        versions; then latest_id and latest_outcome, of the attempt that came last. A session whose
        stage a person's word settled has no attempt there, and is left out.
        """
        tables = self._x.tables
        sessions, states, attempts = tables.sessions, tables.stage_states, tables.attempts
        query = StageQuery(tables, stages, now)
        is_done = query.is_in(stage, [State.DONE])
        latest = attempts.alias("latest")
        source = (
            query.joined()
            .join(states, states.c.uSessionID == sessions.c.uSessionID)
            .join(latest, latest.c.attempt_id == states.c.attempt_id)
            .join(attempts, attempts.c.uSessionID == sessions.c.uSessionID)
        )
        chosen: Any = select(
            sessions.c.uSessionID,
            sessions.c.mouseName,
            sessions.c.sessionDate,
            sessions.c.sessionID,
            attempts.c.attempt_id,
            attempts.c.registrar,
            attempts.c.options,
            attempts.c.versions,
            latest.c.attempt_id.label("latest_id"),
            latest.c.outcome.label("latest_outcome"),
        )
        statement = (
            where(chosen, tables, sessions, listing)
            .select_from(source)
            .where(
                states.c.stage == stage.name,
                attempts.c.stage == stage.name,
                attempts.c.outcome == "succeeded",
                # Times have whole seconds and cannot tell which of two quick runs came last.
                or_(latest.c.outcome != "succeeded", latest.c.attempt_id == attempts.c.attempt_id),
                is_done,
            )
            .order_by(sessions.c.uSessionID, attempts.c.started_at, attempts.c.attempt_id)
        )
        return list({row.uSessionID: row for row in self._x.execute(statement)}.values())

    def failures(self, stage: Stage, filters: Selection) -> Select[Any]:
        """Return the SELECT of the sessions, of those that pass, whose last attempt failed.

        Also those whose failure only the lab's columns tell of: then the attempt is NULL.
        """
        tables = self._x.tables
        sessions, states, attempts = tables.sessions, tables.stage_states, tables.attempts
        row = (
            select(states.c.uSessionID, states.c.mark, states.c.attempt_id)
            .where(states.c.stage == stage.name)
            .subquery("stage_row")
        )
        latest = select(*attempts.c).where(attempts.c.outcome == "failed").subquery("latest")
        if stage.error_column:
            # People untick it by hand, which counts as mended.
            is_failed = sessions.c[stage.error_column] == true()
        else:
            is_failed = or_(row.c.mark == Mark.FAILED.value, latest.c.attempt_id.is_not(None))
        source = sessions.outerjoin(row, row.c.uSessionID == sessions.c.uSessionID).outerjoin(
            latest, latest.c.attempt_id == row.c.attempt_id
        )
        message = (
            sessions.c[stage.message_column]
            if stage.message_column
            else type_coerce(null(), LongText)
        )
        also = (
            literal(stage.name).label("stage"),
            latest.c.finished_at.label("failed_at"),
            latest.c.error_type,
            latest.c.error_message,
            message.label("lab_message"),
            latest.c.error_traceback,
            latest.c.attempt_id,
        )
        listing = Listing(filters, ("uSessionID", "mouseName", "sessionDate", "sessionID"))
        statement = listing_statement(tables, sessions, listing, also=also)
        return statement.select_from(source).where(is_failed)
