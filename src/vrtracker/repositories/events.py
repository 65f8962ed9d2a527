"""The history: events are appended and read, never changed."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, and_, bindparam, insert, or_, select

from vrtracker.database import Executor, Prepared
from vrtracker.models.types import JSONDocument

__all__ = ["EventRepository", "NewEvent"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEvent:
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


_FIELDS = tuple(NewEvent.__dataclass_fields__)


class EventRepository:
    """The rows of `vrt_event`."""

    def __init__(self, executor: Executor) -> None:
        self._x = executor

    def append(self, events: Sequence[NewEvent]) -> None:
        """Append events in order, in one statement."""
        rows = [{name: getattr(event, name) for name in _FIELDS} for event in events]
        self._x.change_many(self._insert(), rows)

    def append_each(
        self, event: NewEvent, subject_keys: Iterable[str], changes: Iterable[JSONDocument]
    ) -> None:
        """Append an event for each subject, with its key and changes, alike in all else."""
        columns: dict[str, Iterable[Any]] = {
            name: itertools.repeat(getattr(event, name)) for name in _FIELDS
        }
        self._x.change_columns(
            self._insert(), {**columns, "subject_key": subject_keys, "changes": changes}
        )

    def _insert(self) -> Prepared:
        table = self._x.tables.events
        return self._x.database.prepare(
            "events.append",
            lambda: insert(table).values({name: bindparam(name) for name in _FIELDS}),
        )

    def of_subjects(self, kind: str, keys: Sequence[tuple[str, int | None]]) -> Select[Any]:
        """Return the SELECT of the events of some subjects, oldest first.

        Parameters
        ----------
        keys
            Each with the number of the event before which it was the subject's; None: still is.
        """
        table = self._x.tables.events
        spans = (
            table.c.subject_key == key
            if until is None
            else and_(table.c.subject_key == key, table.c.event_id < until)
            for key, until in keys
        )
        return (
            select(*table.c)
            .where(table.c.subject_kind == kind, or_(*spans))
            .order_by(table.c.event_id)
        )

    def latest(self, limit: int) -> Select[Any]:
        """Return the SELECT of the newest events, newest first."""
        table = self._x.tables.events
        return select(*table.c).order_by(table.c.event_id.desc()).limit(limit)

    def about_staleness(
        self, kind: str, keys: Sequence[tuple[str, int | None]], stage: str
    ) -> list[tuple[str, Any, str | None]]:
        """Return verb, changes and reason of what may have made a stage stale, newest first."""
        table = self._x.tables.events
        statement = self.of_subjects(kind, keys).where(
            or_(
                and_(table.c.verb == "invalidated", table.c.stage == stage),
                table.c.verb == "reconciled",
            )
        )
        newest_first = statement.order_by(None).order_by(table.c.event_id.desc())
        return [(row.verb, row.changes, row.reason) for row in self._x.execute(newest_first)]

    def moves(self, kind: str, key: str) -> list[tuple[int, Any]]:
        """Return number and changes of the events in which a subject with another key got this."""
        table = self._x.tables.events
        statement = select(table.c.event_id, table.c.changes).where(
            table.c.subject_kind == kind,
            table.c.subject_key == key,
            table.c.verb == "rekeyed",
        )
        return [(row.event_id, row.changes) for row in self._x.execute(statement)]

    def changes_of(self, kind: str, verb: str) -> list[Any]:
        """Return the changes of all events with a verb, oldest first."""
        table = self._x.tables.events
        statement = (
            select(table.c.changes)
            .where(table.c.subject_kind == kind, table.c.verb == verb)
            .order_by(table.c.event_id)
        )
        return [row.changes for row in self._x.execute(statement)]
