"""Edits past the tracker, in Access or SQL: where rows and history part, and entering it."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from vrtracker import operations
from vrtracker.display import Facts, Shown, counted
from vrtracker.domain.keys import SessionKey
from vrtracker.domain.mice import tells_genotype
from vrtracker.domain.records import values_of
from vrtracker.domain.replay import Known, Told, replay
from vrtracker.domain.told import ENTRY, FOUND, OUTSIDE, THERE, alike
from vrtracker.models.types import to_json
from vrtracker.repositories.events import NewEvent
from vrtracker.repositories.listing import Listing
from vrtracker.repositories.rows import RowRepository
from vrtracker.repositories.selecting import Selection
from vrtracker.services.context import LabContext, LabService
from vrtracker.unit_of_work import UnitOfWork

FEW = 100
"""How many rows a change of several looks at before it: events of more would take longer to read
than the change (ADR 0010)."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Selection a row and its history part.

    `key`: key of the session, or name of the mouse. `column`: None where the whole row is not
    there, or no event tells of it. `history`, `row`: the value by the history, and in the row, as
    JSON holds them; ``there`` or None of a whole row.
    """

    key: str
    column: str | None
    history: Any
    row: Any


@dataclass(frozen=True, slots=True, repr=False)
class Verification(Shown):
    """The rows compared with the replayed history.

    `events`, `rows`: how many were replayed, and compared. `absorbed`: whether the differences were
    entered as events.
    """

    events: int
    rows: int
    differences: tuple[Difference, ...]
    absorbed: bool = False

    def facts(self) -> Facts:
        """Return where they part; values of genotypes are not shown."""
        found = counted(len(self.differences), "difference")
        compared = f"{counted(self.rows, 'row')}, {counted(self.events, 'event')}: {found}"
        done = " entered as events" if self.absorbed and self.differences else ""
        shown = [
            (each.key, each.column or "(the row)", *_veiled(each)) for each in self.differences
        ]
        return Facts(f"{compared}{done}.", shown, ("key", "column", "history", "row"))

    def document(self) -> dict[str, Any]:
        """Return what ``history --verify --json`` writes."""
        return {
            "events": self.events,
            "rows": self.rows,
            "differences": [
                {name: getattr(each, name) for name in Difference.__slots__}
                for each in self.differences
            ],
        }


def _veiled(difference: Difference) -> tuple[Any, Any]:
    if tells_genotype(difference.column or ""):
        return "hidden", "hidden"
    return difference.history, difference.row


class OutsideService(LabService):
    """Replays the history and compares it with the rows.

    Examples
    --------
    >>> tracker.verify()
    15 rows, 37 events: 0 differences.
    """

    def verify(self) -> Verification:
        """Replay the history and say where it and the rows part; nothing is written.

        Returns
        -------
        Verification
            ``events, rows, differences``; each difference with ``key, column, history, row``.

        Examples
        --------
        >>> tracker.verify().differences
        ()
        """
        with self._lab.unit(readonly=True, of_one_moment=True) as unit:
            compared = [_Compared(self._lab, unit, each, lock=False) for each in _tables(unit)]
        return _verification(compared)

    def absorb(self) -> Verification:
        """Enter what was changed past the tracker, in Access or SQL, as events by ``outside``.

        An edit becomes ``edited``, a row that is gone ``deleted``, and one of which no event told
        before (adopted, or inserted by hand) ``found``, with all that it holds beside defaults.
        Before the tracker itself changes rows, it does so for those, if they are no more than
        `FEW`. What was entered can be undone, by the id of its operation.

        Returns
        -------
        Verification
            The differences that were entered, as `verify` returns them.

        Examples
        --------
        >>> from sqlalchemy import text
        >>> with tracker.database.connect(readonly=False) as connection:
        ...     edited = connection.execute(text("UPDATE mousedb SET notes = 'by hand'"))
        ...     connection.commit()
        >>> len(tracker.absorb().differences)
        3
        """
        with self._lab.unit() as unit:
            compared = [_Compared(self._lab, unit, each, lock=True) for each in _tables(unit)]
            events = [event for each in compared for event in each.events()]
            if events:
                unit.events.append(events)
                unit.commit()
        return replace(_verification(compared), absorbed=True)


def absorb_row(lab: LabContext, unit: UnitOfWork, record: Any) -> None:
    """Enter what was changed of a row past the tracker, before the unit changes it.

    `record`: the row as it is now.
    """
    repository = _of(unit, record)
    row = values_of(record)
    key = _key(repository, row)
    told = unit.events.told_of(repository.subject, str(key))
    _append(unit, [_event(lab, repository, key, _known(told, str(key)), row)])


def absorb_rows(lab: LabContext, unit: UnitOfWork, records: Sequence[Any]) -> None:
    """Do as `absorb_row` for several rows of one table, with one statement for all of them."""
    if not records:
        return
    repository = _of(unit, records[0])
    rows = {str(_key(repository, row)): row for row in map(values_of, records)}
    told = unit.events.told_of_each(repository.subject, list(rows))
    _append(
        unit,
        [
            _event(lab, repository, _key(repository, row), _known(told[name], name), row)
            for name, row in rows.items()
        ],
    )


def absorb_few(
    lab: LabContext, unit: UnitOfWork, repository: RowRepository[Any], numbers: Sequence[int]
) -> None:
    """Do as `absorb_rows` for the rows with these numbers, if they are no more than `FEW`."""
    if len(numbers) == 1:
        absorb_row(lab, unit, repository.by_id(numbers[0]))
    elif len(numbers) <= FEW:
        listing = Listing(
            Selection.of({repository.id_column.name: list(numbers)}), include_scratched=True
        )
        absorb_rows(lab, unit, list(repository.records(listing)))


def _known(told: Sequence[Told], name: str) -> Known:
    return replay(told).get(name, Known())


def _of(unit: UnitOfWork, record: Any) -> RowRepository[Any]:
    return unit.sessions if hasattr(record, "sessionID") else unit.mice


def _append(unit: UnitOfWork, found: Iterable[NewEvent | None]) -> None:
    """Append the events of one look, which is an operation by itself: others are undone alone."""
    events = [event for event in found if event is not None]
    if events:
        unit.events.append(events, operation_id=operations.new_id())


def _tables(unit: UnitOfWork) -> tuple[RowRepository[Any], ...]:
    return unit.mice, unit.sessions


class _Compared:
    """The rows of one table, and what the history knows of them."""

    def __init__(
        self, lab: LabContext, unit: UnitOfWork, repository: RowRepository[Any], *, lock: bool
    ) -> None:
        self._lab = lab
        self._repository = repository
        everything = Listing(include_scratched=True)
        # Rows that are locked are not changed before their events are read.
        rows = repository.present(everything, repository.table.c.keys(), lock=lock)
        told = unit.events.told(repository.subject)
        self._known = replay(told)
        self._rows = {str(key): (key, row) for row in rows for key in [_key(repository, row)]}
        if lock:
            self._look_again()
        self.count = len(self._rows)
        self.events_count = len(told)

    def _look_again(self) -> None:
        """Take up rows that others added between the two reads."""
        missing = self._known.keys() - self._rows.keys()
        if missing:
            names = self._repository.table.c.keys()
            for row in self._repository.present(Listing(include_scratched=True), names):
                key = _key(self._repository, row)
                if str(key) in missing:
                    self._rows[str(key)] = key, row

    def differences(self) -> Iterator[Difference]:
        """Yield where they part, rows that are there in order, then those that are not."""
        for name, (_, row) in self._rows.items():
            known = self._known.get(name, Known())
            if not known.is_whole:
                yield Difference(name, None, None, THERE)
                continue
            for column, (by_history, found) in _differing(self._repository, known, row).items():
                yield Difference(name, column, by_history, found)
        for name in self._gone():
            yield Difference(name, None, THERE, None)

    def events(self) -> Iterator[NewEvent]:
        """Yield the events that make the history agree with the rows."""
        for name, (key, row) in self._rows.items():
            known = self._known.get(name, Known())
            event = _event(self._lab, self._repository, key, known, row)
            if event is not None:
                yield event
        columns, defaults = self._repository.table.c.keys(), self._repository.coercer.defaults
        for name in self._gone():
            known = self._known[name]
            values = {column: known.of(column, defaults) for column in columns}
            changes = {column: [old, None] for column, old in values.items() if old is not None}
            # It was not kept: undoing makes it anew.
            changes[ENTRY] = [THERE, None]
            kind = self._repository.subject
            yield _signed(self._lab.event(name, "deleted", subject_kind=kind, changes=changes))

    def _gone(self) -> list[str]:
        return [name for name in self._known if name not in self._rows]


def _verification(compared: list[_Compared]) -> Verification:
    return Verification(
        sum(each.events_count for each in compared),
        sum(each.count for each in compared),
        tuple(difference for each in compared for difference in each.differences()),
    )


def _event(
    lab: LabContext,
    repository: RowRepository[Any],
    key: SessionKey | str,
    known: Known,
    row: Mapping[str, Any],
) -> NewEvent | None:
    """Return the event that tells what was changed of a row, or None if nothing was."""
    if not known.is_whole:
        # A row begins with being found: all that it holds beside defaults is told.
        known = Known()
    changes = _differing(repository, known, row)
    if known.is_whole and not changes:
        return None
    return _signed(lab.event(key, "edited" if known.is_whole else FOUND, changes=changes))


def _signed(event: NewEvent) -> NewEvent:
    return event._replace(actor=OUTSIDE)


def _key(repository: RowRepository[Any], row: Mapping[str, Any]) -> SessionKey | str:
    parts = [row[name] for name in repository.key_columns]
    return SessionKey(*parts) if repository.subject == "session" else str(parts[0])


def _differing(
    repository: RowRepository[Any], known: Known, row: Mapping[str, Any]
) -> dict[str, list[Any]]:
    """Return what the history says otherwise than the row, by column, as ``[known, found]``.

    The number of the row is not in the history, nor are bytes.
    """
    defaults, number = repository.coercer.defaults, repository.id_column.name
    found = {}
    for name, value in row.items():
        by_history = known.of(name, defaults)
        # Most are None or a flag.
        if by_history is value or name == number or isinstance(value, bytes | memoryview):
            continue
        plain = _plain(value)
        if not alike(by_history, plain):
            found[name] = [by_history, plain]
    return found


def _plain(value: Any) -> Any:
    """Return a value as an event's changes hold it."""
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, dt.date):
        return str(value)
    return json.loads(to_json(value))
