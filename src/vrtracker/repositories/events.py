"""The history: events are appended and read, never changed."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Select,
    Table,
    and_,
    bindparam,
    func,
    or_,
    select,
    text,
)

from vrtracker import operations
from vrtracker.backends.days import KeyText
from vrtracker.database import Executor
from vrtracker.database.prepared import misfit
from vrtracker.domain.keys import SessionKey
from vrtracker.domain.replay import Told
from vrtracker.domain.told import Move, Span, lineage
from vrtracker.domain.undoing import Past
from vrtracker.models.types import JSONDocument
from vrtracker.repositories.listing import Listing, where


class NewEvent(NamedTuple):
    """An event to append; see `vrtracker.models.events` for the meaning of the fields."""

    occurred_at: dt.datetime
    actor: str
    host_name: str
    subject_kind: str
    subject_key: str
    verb: str
    stage: str | None = None
    from_state: str | None = None
    to_state: str | None = None
    changes: Mapping[str, Any] | None = None
    reason: str | None = None
    attempt_id: str | None = None


_LAST = 2**31 - 1
_QUIET = {"start", "rerun", "fail"}
"""What makes no work for those who wait."""


class EventRepository:
    """The rows of `vrt_event`; what one transaction appends belongs to one operation."""

    def __init__(self, executor: Executor) -> None:
        self._x = executor
        self._digests: dict[str, str] = {}
        self.operation_id = operations.current() or operations.new_id()
        """Id of the operation that the transaction is part of, or is."""

    def now_holds(self, session: SessionKey, digest: str) -> None:
        """Have the events of a session that follow keep the digest of its row."""
        self._digests[str(session)] = digest

    def append(
        self,
        events: Sequence[NewEvent],
        *,
        operation_id: str | None = None,
        wakes: bool | None = None,
    ) -> None:
        """Append events in order, in one statement.

        `operation_id`: another operation than the one that the transaction is part of. `wakes`:
        whether to wake those who wait for work; by what happened when not given.
        """
        shared = {"operation_id": operation_id or self.operation_id}
        rows = [
            event._asdict() | shared | {"row_digest": self._digests.get(event.subject_key)}
            for event in events
        ]
        self._x.insert(self._x.tables.events, rows)
        if wakes is None:
            wakes = any(event.verb not in _QUIET for event in events)
        if wakes:
            self._wake()

    def append_each(
        self, event: NewEvent, subject_keys: Iterable[str], changes: Iterable[JSONDocument]
    ) -> None:
        """Append an event for each subject, with its key and changes, alike in all else."""
        # What is NULL in all of them need not be handed over with each.
        given = event._replace(changes=None)._asdict().items()
        shared = {name: value for name, value in given if value is not None}
        del shared["subject_key"]
        shared["operation_id"] = self.operation_id
        columns: dict[str, Iterable[Any]] = {"subject_key": subject_keys, "changes": changes}
        prepared = self._x.inserting(self._x.tables.events, [*shared, *columns])
        self._x.change_columns(prepared, columns, shared)
        self._wake()

    def _wake(self) -> None:
        waking = self._x.database.backend.waking
        if waking is not None:
            self._x.change(self._x.database.prepare("events.wake", lambda: text(waking)))

    def last_number(self) -> int:
        """Return the number of the newest event, 0 if there is none."""
        return int(
            self._x.execute(select(func.max(self._x.tables.events.c.event_id))).scalar() or 0
        )

    def of_subject(self, kind: str, spans: Sequence[Span]) -> Select[Any]:
        """Return the SELECT of the events of a subject under its keys, oldest first."""
        table = self._x.tables.events
        return (
            select(*self._shown())
            .where(table.c.subject_kind == kind, or_(*(_within(table, each) for each in spans)))
            .order_by(table.c.event_id)
        )

    def latest(self, limit: int) -> Select[Any]:
        """Return the SELECT of the newest events, newest first."""
        table = self._x.tables.events
        return select(*self._shown()).order_by(table.c.event_id.desc()).limit(limit)

    def _shown(self) -> list[Any]:
        """Return the columns that people are shown: not the digests."""
        return [column for column in self._x.tables.events.c if column.name != "row_digest"]

    def about_staleness(
        self, kind: str, spans: Sequence[Span], stage: str
    ) -> list[tuple[str, Any, str | None]]:
        """Return verb, changes and reason of what may have made a stage stale, newest first."""
        table = self._x.tables.events
        statement = self.of_subject(kind, spans).where(
            or_(
                and_(table.c.verb == "invalidated", table.c.stage == stage),
                table.c.verb == "reconciled",
            )
        )
        newest_first = statement.order_by(None).order_by(table.c.event_id.desc())
        return [(row.verb, row.changes, row.reason) for row in self._x.execute(newest_first)]

    def reasons(self, key: str, verb: str) -> list[str | None]:
        """Return the reasons of the events with a verb of whatever had a key; an indexed read."""
        table = self._x.tables.events
        statement = select(table.c.reason).where(table.c.subject_key == key, table.c.verb == verb)
        return [row.reason for row in self._x.execute(statement)]

    def lineage(self, kind: str, key: str, *, is_there: bool) -> list[Span]:
        """Return all keys of the subject that has a key, or that had it last.

        `is_there`: whether a row has the key today.
        """
        table = self._x.tables.events
        moved = (
            select(table.c.event_id, table.c.changes)
            .where(table.c.subject_kind == kind, table.c.verb == "rekeyed")
            .order_by(table.c.event_id)
        )
        moves = [Move(row.event_id, *row.changes["key"]) for row in self._x.execute(moved)]
        last = select(func.max(table.c.event_id)).where(
            table.c.subject_kind == kind, table.c.subject_key == key
        )
        return lineage(key, moves, at=None if is_there else self._x.execute(last).scalar())

    def told(self, kind: str) -> list[Told]:
        """Return what all events of mice or sessions say of their rows, oldest first."""
        table = self._x.tables.events
        statement = self._telling(table.c.subject_kind == kind)
        return [Told._make(row) for row in self._x.execute(statement)]

    def told_of(self, kind: str, key: str, *, before: int = _LAST) -> list[Told]:
        """Return what the events say of the row that has a key, oldest first; an indexed read."""
        table = self._x.tables.events
        prepared = self._x.database.prepare(
            "events.told_of",
            lambda: self._telling(
                table.c.subject_key == bindparam("key"),
                table.c.subject_kind == bindparam("kind"),
                table.c.event_id < bindparam("before"),
            ),
        )
        rows = self._x.rows(prepared, key=key, kind=kind, before=before)
        # Where the engine compares as Microsoft's does, other cases of letters are found too.
        told = [each for each in map(Told._make, rows) if each.key == key]
        for number, _, verb, changes in tuple(told):
            if verb == "rekeyed":
                told += self.told_of(kind, changes["key"][0], before=number)
        return sorted({each.number: each for each in told}.values())

    def told_of_each(self, kind: str, keys: Sequence[str]) -> dict[str, list[Told]]:
        """Return `told_of` of several rows, by key; one statement, unless keys changed."""
        table = self._x.tables.events
        found: dict[str, list[Told]] = {key: [] for key in keys}
        for part in self._x.parts(keys):
            some = table.c.subject_key.in_(part)
            statement = self._telling(some, table.c.subject_kind == kind)
            for told in map(Told._make, self._x.execute(statement)):
                # As in `told_of`.
                if told.key in found:
                    found[told.key].append(told)
        return {
            key: self.told_of(kind, key) if any(one.verb == "rekeyed" for one in events) else events
            for key, events in found.items()
        }

    def _telling(self, *conditions: ColumnElement[bool]) -> Select[Any]:
        """Return the SELECT of what events say of their rows, oldest first; see `Told`."""
        table = self._x.tables.events
        chosen = (table.c.event_id, table.c.subject_key, table.c.verb, table.c.changes)
        return select(*chosen).where(*conditions).order_by(table.c.event_id)

    # -- for undoing -----------------------------------------------------------------------

    def of_operations(self, operations: Sequence[str]) -> list[Past]:
        """Return the events of operations, newest first."""
        table = self._x.tables.events
        return self._past(table.c.operation_id, operations)

    def before_attempt(self, key: SessionKey, attempt_id: str) -> str:
        """Return the state that a session was in when an attempt at it began."""
        table = self._x.tables.events
        began = select(table.c.from_state).where(
            table.c.subject_kind == "session",
            table.c.subject_key == str(key),
            table.c.attempt_id == attempt_id,
        )
        return str(self._x.execute(began.order_by(table.c.event_id).limit(1)).scalar())

    def of_stages(self, listing: Listing) -> Select[Any]:
        """Return the SELECT of the events on stages of a listing's sessions, oldest first."""
        tables = self._x.tables
        row, table = tables.sessions.c, tables.events
        key = KeyText(row.mouseName, row.sessionDate, row.sessionID)
        keys = where(select(key), tables, tables.sessions, listing)
        names = ("occurred_at", "subject_key", "stage", "from_state", "to_state")
        return (
            select(*(table.c[name] for name in names))
            .where(table.c.stage.is_not(None), table.c.subject_key.in_(keys))
            .order_by(table.c.event_id)
        )

    def after(self, event_id: int, kind: str, keys: Sequence[str]) -> list[Past]:
        """Return the events of subjects after one, newest first."""
        table = self._x.tables.events
        return self._past(
            table.c.subject_key, keys, table.c.subject_kind == kind, table.c.event_id > event_id
        )

    def undone(self) -> list[Past]:
        """Return the events of undoings, newest first."""
        table = self._x.tables.events
        return self._past(table.c.verb, ["undone"])

    def operations_of(self, actor: str, since: dt.datetime | None = None) -> list[str]:
        """Return the operations of somebody, newest first."""
        table = self._x.tables.events
        statement = select(table.c.operation_id).where(
            table.c.operation_id.is_not(None), table.c.actor == actor
        )
        if since is not None:
            statement = statement.where(table.c.occurred_at >= since)
        newest_first = statement.group_by(table.c.operation_id).order_by(
            func.max(table.c.event_id).desc()
        )
        return [row[0] for row in self._x.execute(newest_first)]

    def operations_like(self, beginning: str) -> list[str]:
        """Return the operations whose ids, of small hexadecimal letters, begin so."""
        # All that begin so lie between these two.
        column = self._x.tables.events.c.operation_id
        statement = select(column).where(column >= beginning, column < f"{beginning}g")
        return [row[0] for row in self._x.execute(statement.distinct())]

    def _past(self, column: Any, values: Sequence[str], *more: ColumnElement[bool]) -> list[Past]:
        table = self._x.tables.events
        chosen = [table.c[field.name] for field in dataclasses.fields(Past)]
        found: list[Past] = []
        for part in self._x.parts(values):
            statement = select(*chosen).where(column.in_(part), *more)
            found += [
                Past(**{**row, "changes": row["changes"] or {}})
                for row in self._x.execute(statement).mappings()
            ]
        return sorted(found, key=lambda event: -event.event_id)

    def changes_of(self, kind: str, verb: str) -> list[Any]:
        """Return the changes of all events with a verb, oldest first."""
        table = self._x.tables.events
        statement = (
            select(table.c.changes)
            .where(table.c.subject_kind == kind, table.c.verb == verb)
            .order_by(table.c.event_id)
        )
        return [row.changes for row in self._x.execute(statement)]


def changes_in(row: Mapping[str, Any]) -> Any:
    """Return the changes of an event whose row was read as it is stored, as text.

    Raises BackendError if that is no JSON.
    """
    try:
        return json.loads(row["changes"] or "{}")
    except ValueError as error:
        raise misfit("changes", row["changes"], "event_id", row["event_id"]) from error


def _within(table: Table, span: Span) -> ColumnElement[bool]:
    parts = [table.c.subject_key == span.key]
    if span.since is not None:
        parts.append(table.c.event_id >= span.since)
    if span.until is not None:
        parts.append(table.c.event_id < span.until)
    return and_(*parts)
