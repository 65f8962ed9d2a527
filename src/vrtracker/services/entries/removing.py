"""Take rows out of a table with all that hangs on them, and back, within a transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vrtracker.domain.keys import SessionKey
from vrtracker.domain.records import MouseRecord, SessionRecord, values_of
from vrtracker.domain.states import State
from vrtracker.domain.told import ENTRY, THERE
from vrtracker.errors import DuplicateError, InvalidTransitionError
from vrtracker.repositories.deletions import Deletion
from vrtracker.repositories.listing import Listing
from vrtracker.repositories.selecting import Selection
from vrtracker.services.context import LabContext, old_and_new
from vrtracker.services.history.outside import absorb_rows
from vrtracker.services.holders import why_free
from vrtracker.unit_of_work import UnitOfWork

KEY_TAKEN = "the deleted one can come back once that has another key"


def remove(
    lab: LabContext,
    unit: UnitOfWork,
    records: Sequence[SessionRecord] | Sequence[MouseRecord],
    *,
    reason: str | None,
) -> None:
    """Move rows of one kind to the deleted ones, each with its event.

    Raises InvalidTransitionError if a session is being worked on.
    """
    if not records:
        return
    keys = {_number(record): _key(record) for record in records}
    kind = "session" if isinstance(records[0], SessionRecord) else "mouse"
    if kind == "session":
        refuse_claimed(lab, unit, keys)
    absorb_rows(lab, unit, records)
    events = [
        lab.event(
            keys[_number(each)], "deleted", changes=old_and_new(values_of(each), {}), reason=reason
        )
        for each in records
    ]
    keep_aside(lab, unit, kind, keys, reason)
    unit.events.append(events)


def bring_back(
    lab: LabContext, unit: UnitOfWork, entries: Sequence[Deletion], *, reason: str | None
) -> None:
    """Put the rows of entries of one kind, whose keys are free, back, each with its event.

    Raises DuplicateError if another row has the number of one by now.
    """
    repository: Any = unit.sessions if entries[0].subject_kind == "session" else unit.mice
    name, numbers = repository.id_column.name, [each.row_number for each in entries]
    for number, parts in repository.keys_of(numbers).items():
        key = SessionKey(*parts) if repository is unit.sessions else parts[0]
        raise DuplicateError(repository.subject, key, f"it has {name} {number} of the deleted one")
    unit.deletions.put_back(entries)
    listing = Listing(Selection.of({name: numbers}), include_scratched=True)
    records = {_number(record): record for record in repository.records(listing)}
    events = []
    for each in entries:
        record = records[each.row_number]
        # Beside the columns, the entry that it was, so that this can be undone.
        changes = {**old_and_new({}, values_of(record)), ENTRY: [each.meta, THERE]}
        events.append(lab.event(_key(record), "restored", changes=changes, reason=reason))
    unit.events.append(events)


def keep_aside(
    lab: LabContext, unit: UnitOfWork, kind: str, keys: Mapping[int, Any], reason: str | None
) -> None:
    """Move rows, given by number with their keys, to the deleted ones."""
    content = unit.deletions.take(kind, list(keys))
    unit.deletions.keep(
        [
            {
                "subject_kind": kind,
                "subject_key": str(keys[number]),
                "row_number": number,
                "content": rows,
                "deleted_at": lab.now(),
                "actor": lab.actor,
                "operation_id": unit.events.operation_id,
                "reason": reason,
            }
            for number, rows in content.items()
        ]
    )


def refuse_claimed(
    lab: LabContext, unit: UnitOfWork, keys: Mapping[int, Any], *, to: str = "delete the session"
) -> None:
    """Raise InvalidTransitionError for the first session, by number, that is being worked on."""
    for number, stage in unit.deletions.claimed(list(keys), now=lab.now()):
        raise InvalidTransitionError(
            keys[number],
            stage,
            to,
            current=State.RUNNING.value,
            allowed=(),
            why=why_free(lab, number, stage, keys[number]).lstrip()
            or "Wait for it to end; who works on it: vrtracker claims.",
        )


def _number(record: SessionRecord | MouseRecord) -> int:
    return record.uSessionID if isinstance(record, SessionRecord) else record.uMouseID


def _key(record: SessionRecord | MouseRecord) -> SessionKey | str:
    return record.key if isinstance(record, SessionRecord) else record.mouseName
