"""Take a lab's own database into the tracker: inspect it, then change it in one step."""

from __future__ import annotations

import contextlib
import dataclasses
import platform
from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy import Connection

from vrtracker import clock
from vrtracker.database import Database
from vrtracker.database.tables import LAB_TABLES
from vrtracker.database.versions import HEAD, REVISIONS, current_revision, require_current
from vrtracker.domain.adoption import AdoptionReport
from vrtracker.domain.keys import SessionKey
from vrtracker.domain.roles import Role
from vrtracker.errors import BackendError, ForeignSchemaError, SchemaError
from vrtracker.repositories.adoption import append_events, typed_rows, write
from vrtracker.repositories.events import NewEvent
from vrtracker.services.administration.adoption_columns import TableReading
from vrtracker.services.administration.adoption_plan import Plan, new_mouse_rows, plan_of
from vrtracker.services.administration.opening import plain_lab
from vrtracker.settings import settings_for

_REASON = "adopted by vrtracker"

Progress = Callable[[str], object]


def inspect(target: Any) -> AdoptionReport:
    """Look at a lab's own database; nothing is written.

    `target`: path or URL of a database that holds `sessiondb`, `mousedb` or both, as the lab made
    them. Returns what differs from a tracker's database, what adoption would do about it, and what
    stands in its way. Raises ForeignSchemaError if it holds neither table, SchemaTooNewError if a
    newer vrtracker has adopted it.
    """
    with _opened(target, readonly=True) as database:
        revision = current_revision(database)
        if revision is not None:
            return _adopted(database, revision)
        with database.connect(readonly=True) as connection:
            return _report(database, _plan(database, connection))


def adopt(
    target: Any, *, actor: str | None = None, progress: Progress | None = None
) -> AdoptionReport:
    """Make a lab's own database a tracker's, all of it or nothing.

    Every row that is repaired gets an event that holds the old values. An Access file is changed
    on a copy; the old file is kept beside it.

    `actor`: who signs the events; the user if not given. `progress`: called with a few words before
    each step. Returns what was found and done. A database that was adopted before is left alone.
    Raises SchemaError if something stands in the way; `inspect` tells what. Raises BackendError if
    the driver cannot do it; the message says by which way it is done.
    """
    from vrtracker.database.migration import upgrade_around

    say = progress or (lambda _: None)
    say("inspecting")
    report = inspect(target)
    if report.revision is not None:
        return report
    _require_free(report)
    settings = settings_for(target)
    with _opened(target) as database:
        plain_lab(database, settings, actor=actor).require(Role.ADMIN)
        database.backend.check_adoptable(database.url)
        say("copying and changing")
        with database.changing_schema(rewritten=LAB_TABLES) as connection:
            database.backend.hold_tables(connection, [*report.rows])
            # Read again, now that nobody else writes.
            plan = _plan(database, connection)
            report = _report(database, plan)
            _require_free(report)
            _carry_out(database, connection, plan)
            upgrade_around(connection, LAB_TABLES)
            append_events(connection, _events(plan, actor or settings.actor))
            say("checking every value")
            _verify(connection, plan)
        return dataclasses.replace(report, revision=HEAD, applied=True)


@contextlib.contextmanager
def _opened(target: Any, *, readonly: bool = False) -> Iterator[Database]:
    with Database(target, readonly=readonly) as database:
        database.backend.check_target(database.url)
        yield database


def _adopted(database: Database, revision: str) -> AdoptionReport:
    if revision not in REVISIONS:
        require_current(database)
    return AdoptionReport(url=str(database), revision=revision, rows={})


def _plan(database: Database, connection: Connection) -> Plan:
    with database.translating():
        plan = plan_of(connection, linked=database.backend.linked_tables(connection))
    if not (plan.readings or plan.holding.linked or plan.holding.respelled):
        listing = ", ".join(plan.holding.unknown[:5]) or "no tables"
        raise ForeignSchemaError(
            f"{database} holds neither sessiondb nor mousedb, but {listing}; give the lab's "
            "database, or make a new one at another path: vrtracker --url NEW.db init"
        )
    return plan


def _report(database: Database, plan: Plan) -> AdoptionReport:
    rows = {name: len(reading.rows) for name, reading in plan.readings.items()}
    return AdoptionReport(
        url=str(database), revision=None, rows=rows, findings=tuple(plan.findings)
    )


def _require_free(report: AdoptionReport) -> None:
    count = len(report.blocking)
    if count:
        raise SchemaError(
            f"{count} finding{'s stand' if count > 1 else ' stands'} in the way of adopting "
            f"{report.url}; nothing was written. See them: vrtracker db adopt {report.url}"
        )


def _carry_out(database: Database, connection: Connection, plan: Plan) -> None:
    """Give the lab's tables our form and the repaired values."""
    from alembic.migration import MigrationContext

    wanted, readings = plan.holding.wanted, plan.readings
    impl = MigrationContext.configure(connection).impl
    if "mousedb" not in readings:
        impl.create_table(wanted["mousedb"])
    with contextlib.ExitStack() as stack:
        # Left in reverse order: sessiondb refers to mousedb, whose key has to be there.
        for name in (name for name in LAB_TABLES if name in readings):
            conversion = readings[name].found.conversion
            stack.enter_context(database.backend.converting(connection, conversion))
        for reading in readings.values():
            write(connection, reading.table, reading.writes(), [])
        write(connection, wanted["mousedb"], {}, new_mouse_rows(plan))
    if "sessiondb" not in readings:
        impl.create_table(wanted["sessiondb"])


def _events(plan: Plan, actor: str) -> list[NewEvent]:
    def event(kind: str, key: Any, verb: str, changes: Any) -> NewEvent:
        return NewEvent(
            occurred_at=now,
            actor=actor,
            host_name=platform.node(),
            subject_kind=kind,
            subject_key=str(key),
            verb=verb,
            changes=changes,
            reason=_REASON,
        )

    now = clock.now()
    events = [
        event("mouse", row["mouseName"], "added", {"mouseName": [None, row["mouseName"]]})
        for row in plan.new_mice
    ]
    for name, reading in plan.readings.items():
        kind = "session" if name == "sessiondb" else "mouse"
        for row, repairs in zip(reading.rows, reading.repairs, strict=True):
            if repairs:
                key: Any = row["mouseName"]
                if kind == "session":
                    key = SessionKey(key, row["sessionDate"], row["sessionID"])
                events.append(event(kind, key, "edited", repairs))
    return events


def _verify(connection: Connection, plan: Plan) -> None:
    """Compare every value with the plan, and the schema with the models."""
    from vrtracker.database.migration import differences

    differing = differences(connection)
    if differing:
        raise BackendError(
            f"The adopted tables would differ from the tracker's ({'; '.join(differing[:3])}); "
            "nothing was changed. Correct these columns in the database, then try again."
        )
    for name, reading in plan.readings.items():
        found = typed_rows(connection, reading.table, reading.found.unknown)
        new = len(plan.new_mice) if name == "mousedb" else 0
        wrong = [*_wrong(reading, found)]
        if wrong or len(found) != len(reading.rows) + new:
            raise BackendError(
                f"{name} would hold other values than planned ({len(found)} rows; "
                f"{', '.join(wrong[:3]) or 'values alike'}); nothing was changed. "
                "Correct these in the database, then try again."
            )


def _wrong(reading: TableReading, found: dict[int, dict[str, Any]]) -> Iterator[str]:
    for raw, row in zip(reading.found.rows, reading.rows, strict=True):
        number = row[reading.id_name]
        there = found.get(number, {})
        wanted = {**row, **{name: raw[name] for name in reading.found.unknown}}
        for name, value in wanted.items():
            if name not in there or not _same(there[name], value):
                yield f"{name} of {reading.id_name} {number}"


def _same(one: Any, other: Any) -> bool:
    return bool(one == other) or (one != one and other != other)  # noqa: PLR0124
