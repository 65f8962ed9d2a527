"""Stages of sessions: snapshots, queues, counts, and the tracker's marks."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import (
    Select,
    Update,
    and_,
    bindparam,
    case,
    func,
    literal,
    null,
    or_,
    select,
    update,
)

from vrtracker.database import Executor, Tables
from vrtracker.domain.keys import SessionKey
from vrtracker.domain.records import SessionRecord
from vrtracker.domain.snapshots import Snapshot, StageRow
from vrtracker.domain.stages import Stage, StageGraph
from vrtracker.domain.states import Mark, State
from vrtracker.repositories.listing import Listing, listing_statement
from vrtracker.repositories.rows import LookUps
from vrtracker.repositories.states import StageQuery


class StageRepository:
    """Reads the state of sessions in their stages; writes the rows of `vrt_stage_state`."""

    def __init__(self, executor: Executor | LookUps) -> None:
        self._x: Any = executor

    # -- reading ---------------------------------------------------------------------------

    def snapshot(self, key: SessionKey, *, lock: bool = False) -> Snapshot | None:
        """Return a session with its stage rows, or None; one statement.

        With `lock`, other writers wait for this transaction where the database can do that.
        """
        prepared = self._x.database.prepare(
            ("stages.snapshot", lock), lambda: self._snapshot_statement(lock=lock)
        )
        values = {"mouseName": key.mouse, "sessionDate": key.date, "sessionID": key.number}
        rows = self._x.rows(prepared, **values, **({"subject_key": str(key)} if lock else {}))
        found = snapshot_of(rows, self._x.tables)
        # As in `RowRepository.by_key`.
        return None if found is None or found.record.mouseName != key.mouse else found

    def _snapshot_statement(self, *, lock: bool) -> Select[Any]:
        sessions = self._x.tables.sessions
        subject: Any = bindparam("subject_key") if lock else None
        statement = snapshot_statement(self._x.tables, subject).where(
            sessions.c.mouseName == bindparam("mouseName"),
            sessions.c.sessionDate == bindparam("sessionDate"),
            sessions.c.sessionID == bindparam("sessionID"),
        )
        locking = lock and self._x.database.backend.supports_for_update
        return statement.with_for_update(of=sessions) if locking else statement

    def queue(
        self,
        stage: Stage,
        stages: StageGraph,
        states: Iterable[State],
        *,
        now: dt.datetime | Callable[[], dt.datetime],
        listing: Listing,
    ) -> Select[Any]:
        """Return the SELECT of the sessions of a listing that are in one of the states.

        Its last column, `state`, says in which. None is scratched.
        """
        # The states say so already; said twice, it misleads a planner.
        listing = replace(listing, include_scratched=True)
        query = StageQuery(self._x.tables, stages, now)
        wanted = query.is_in(stage, states)
        state = query.state(stage).label("state")
        statement = listing_statement(
            self._x.tables, self._x.tables.sessions, listing, also=[state]
        )
        return statement.select_from(query.joined()).where(wanted)

    def held_back(
        self, stage: Stage, stages: StageGraph, *, now: dt.datetime, listing: Listing
    ) -> Select[Any]:
        """Return the SELECT of the sessions that failed and that no run takes by itself now.

        Its last columns are `failures`, `retry_after` and `set_aside`.
        """
        query = StageQuery(self._x.tables, stages, now)
        wanted = query.is_in(stage, set(State) - {State.NOT_APPLICABLE, State.RUNNING})
        also = [literal(stage.name).label("stage"), *query.setback(stage)]
        statement = listing_statement(self._x.tables, self._x.tables.sessions, listing, also=also)
        return statement.select_from(query.joined()).where(wanted, query.is_held_back(stage))

    def table(self, stages: StageGraph, *, now: dt.datetime, listing: Listing) -> Select[Any]:
        """Return the SELECT of a listing with the state of each stage, named as the stage."""
        query = StageQuery(self._x.tables, stages, now)
        states = [query.state(stage).label(f"state:{stage.name}") for stage in stages.values()]
        statement = listing_statement(self._x.tables, self._x.tables.sessions, listing, also=states)
        return statement.select_from(query.joined())

    def table_rows(self, *args: Any, **options: Any) -> list[dict[str, Any]]:
        """Return the rows of `table`, read at once, by name."""
        return [dict(row) for row in self._x.execute(self.table(*args, **options)).mappings()]

    # -- writing ---------------------------------------------------------------------------

    def add_rows(self, number: int, rows: Mapping[str, Mapping[str, Any]]) -> None:
        """Insert the rows of stages that the tracker has not touched before; one statement."""
        new = [{"uSessionID": number, "stage": stage, **values} for stage, values in rows.items()]
        self._x.insert(self._x.tables.stage_states, new)

    def compare_and_set(
        self,
        number: int,
        stage: str,
        *,
        seen: StageRow,
        mark: str | None,
        attempt_id: str | None,
        changed_at: dt.datetime,
    ) -> bool:
        """Set mark and attempt of a row if it still is as seen; return whether it was."""
        table = self._x.tables.stage_states

        def build() -> Any:
            return (
                update(table)
                .where(
                    table.c.uSessionID == bindparam("number"),
                    table.c.stage == bindparam("name"),
                    _same(table.c.mark, seen.mark, "seen_mark"),
                    _same(table.c.attempt_id, seen.attempt_id, "seen_attempt"),
                )
                .values(
                    mark=bindparam("new_mark"),
                    attempt_id=bindparam("new_attempt"),
                    changed_at=bindparam("new_time"),
                )
            )

        parameters: dict[str, Any] = {
            "number": number,
            "name": stage,
            "new_mark": mark,
            "new_attempt": attempt_id,
            "new_time": changed_at,
        }
        if seen.mark is not None:
            parameters["seen_mark"] = seen.mark
        if seen.attempt_id is not None:
            parameters["seen_attempt"] = seen.attempt_id
        name = f"stages.set:{seen.mark is None}:{seen.attempt_id is None}"
        return bool(self._x.change(self._x.database.prepare(name, build), **parameters) == 1)

    def set_retry(
        self,
        number: int,
        stage: str,
        *,
        failures: int | None = None,
        retry_after: dt.datetime | None = None,
        set_aside: str | None = None,
    ) -> None:
        """Say how often a stage has failed, and when it may be tried again; it has a row."""
        table = self._x.tables.stage_states
        names = ("failures", "retry_after", "set_aside")
        prepared = self._x.database.prepare(
            "stages.set_retry",
            lambda: (
                update(table)
                .where(
                    table.c.uSessionID == bindparam("number"), table.c.stage == bindparam("name")
                )
                .values({name: bindparam(f"new_{name}") for name in names})
            ),
        )
        self._x.change(
            prepared,
            number=number,
            name=stage,
            new_failures=failures,
            new_retry_after=retry_after,
            new_set_aside=None if set_aside is None else set_aside[:255],
        )

    def mark_stale(self, stage: str, numbers: Sequence[int], *, changed_at: dt.datetime) -> int:
        """Mark a stage that is done as stale; return for how many of the sessions it was."""
        table = self._x.tables.stage_states
        done = 0
        for part in self._x.parts(numbers):
            result = self._x.execute(
                update(table)
                .where(
                    table.c.stage == stage,
                    table.c.uSessionID.in_(part),
                    or_(
                        table.c.mark.is_(None),
                        table.c.mark.not_in([Mark.STALE.value, Mark.NOT_APPLICABLE.value]),
                    ),
                )
                .values(mark=Mark.STALE.value, changed_at=changed_at)
            )
            done += int(result.rowcount)
        return done

    def settle(
        self,
        number: int,
        *,
        seen: Mapping[str, str | None],
        marks: Mapping[str, str | None],
        settled: str,
        attempt_id: str | None,
        changed_at: dt.datetime,
    ) -> bool:
        """Set the marks of some stages and the attempt of one, if nothing changed; one statement.

        `seen`: stages that have rows, with the mark that they must still have. `marks`: those of
        them that get a mark, with it. `settled`: the stage that gets the attempt. Returns whether
        all were as seen; if not, roll back.
        """
        values = {"number": number, "new_attempt": attempt_id, "new_time": changed_at}

        def build() -> Update:
            return self._settling(seen, marks, settled)

        if not self._x.database.backend.takes_parameters_in_case:
            return bool(self._x.execute(build(), values).rowcount == len(seen))
        name = f"stages.settle:{dict(seen)}:{dict(marks)}:{settled}"
        return bool(self._x.change(self._x.database.prepare(name, build), **values) == len(seen))

    def _settling(
        self, seen: Mapping[str, str | None], marks: Mapping[str, str | None], settled: str
    ) -> Update:
        table = self._x.tables.stage_states
        as_seen = (
            and_(
                table.c.stage == name,
                table.c.mark.is_(None) if mark is None else table.c.mark == mark,
            )
            for name, mark in seen.items()
        )
        new_marks = (
            (table.c.stage == name, literal(mark, table.c.mark.type))
            for name, mark in marks.items()
        )
        attempt = bindparam("new_attempt", type_=table.c.attempt_id.type)
        time = bindparam("new_time", type_=table.c.changed_at.type)
        return (
            update(table)
            .where(table.c.uSessionID == bindparam("number"), or_(*as_seen))
            .values(
                mark=case(*new_marks, else_=table.c.mark),
                attempt_id=case((table.c.stage == settled, attempt), else_=table.c.attempt_id),
                changed_at=case((table.c.stage.in_(list(marks)), time), else_=table.c.changed_at),
            )
        )


def _same(column: Any, seen: str | None, name: str) -> Any:
    return column.is_(None) if seen is None else column == bindparam(name)


def snapshot_statement(tables: Tables, subject_key: Any) -> Select[Any]:
    """Return the SELECT of sessions with their stage rows, for `snapshot_of`.

    `subject_key`: the key in the history of the one session that is wanted, to read the digest of
    its latest event too.
    """
    sessions, states, attempts = tables.sessions, tables.stage_states, tables.attempts
    events, theirs = tables.events, tables.events.alias("theirs")
    latest = (
        select(func.max(theirs.c.event_id))
        .where(theirs.c.subject_key == subject_key, theirs.c.subject_kind == literal("session"))
        .correlate(sessions)
    )
    digest = select(events.c.row_digest).where(events.c.event_id == latest.scalar_subquery())
    known = null() if subject_key is None else digest.scalar_subquery()
    return select(
        *sessions.c,
        states.c.stage,
        states.c.mark,
        states.c.attempt_id,
        attempts.c.outcome,
        attempts.c.lease_until,
        states.c.failures,
        states.c.retry_after,
        states.c.set_aside,
        known.label("row_digest"),
    ).select_from(
        sessions.outerjoin(states, states.c.uSessionID == sessions.c.uSessionID).outerjoin(
            attempts, attempts.c.attempt_id == states.c.attempt_id
        )
    )


def snapshot_of(rows: Sequence[Sequence[Any]], tables: Tables) -> Snapshot | None:
    """Return the session that all rows of a `snapshot_statement` are of, None if there are none."""
    if not rows:
        return None
    width = len(tables.sessions.c)
    record = SessionRecord.of_row(rows[0][:width], tables.extra["sessiondb"])
    stages = {row[width]: StageRow(*row[width + 1 : width + 8]) for row in rows if row[width]}
    return Snapshot(record, stages, rows[0][-1])
