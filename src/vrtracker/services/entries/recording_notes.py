"""What links the parts of a recording, and the line in their notes that says so."""

from __future__ import annotations

from collections.abc import Sequence

from vrtracker.domain.keys import SessionKey
from vrtracker.domain.recordings import LINKED, noted, recordings_of
from vrtracker.repositories.deletions import Deletion
from vrtracker.services.context import LabContext
from vrtracker.services.transitions import expire_claims, read, update_session
from vrtracker.unit_of_work import UnitOfWork


def parts_of(unit: UnitOfWork, number: int) -> tuple[SessionKey, ...]:
    """Return the parts of the recording of a session, by autonumber; none if there is one part."""
    present = _present(unit, number)
    return present if len(present) > 1 else ()


def settle(lab: LabContext, unit: UnitOfWork, number: int, *, reason: str | None) -> None:
    """Renew the notes of all parts of a session's recording, and end its claims that ran out.

    A late result would be told of the key that the session had.
    """
    found = unit.sessions.keys_of([number]).get(number)
    if found and (snapshot := unit.stages.snapshot(SessionKey(*found))):
        expire_claims(lab, unit, snapshot, lab.stages.values(), at=lab.now())
    renew_notes(lab, unit, number, reason=reason)


def settle_all(
    lab: LabContext, unit: UnitOfWork, entries: Sequence[Deletion], *, reason: str | None
) -> None:
    """Settle the sessions of entries, which are there again, that need it: few of many do."""
    recordings = recordings_of(unit.events.changes_of("session", LINKED))
    back = {each.row_number for each in entries}
    for each in entries:
        attempts = each.content.get("vrt_attempt", ())
        is_claimed = any(row["outcome"] == "running" for row in attempts)
        if is_claimed or not back.issuperset(recordings.get(each.row_number, ())):
            settle(lab, unit, each.row_number, reason=reason)


def renew_notes(lab: LabContext, unit: UnitOfWork, number: int, *, reason: str | None) -> None:
    """Let the parts that are there name each other, after one got another number or is gone."""
    present = _present(unit, number)
    parts = present if len(present) > 1 else ()
    events = []
    for key in present:
        snapshot = read(lab, unit, key)
        notes = noted(snapshot.record.sessionNotes, key, parts)
        changes = update_session(unit, snapshot, {"sessionNotes": notes})
        if changes:
            events.append(lab.event(key, "edited", changes=changes, reason=reason))
    unit.events.append(events)


def _present(unit: UnitOfWork, number: int) -> tuple[SessionKey, ...]:
    numbers = recordings_of(unit.events.changes_of("session", LINKED)).get(number, ())
    keys = unit.sessions.keys_of(numbers)
    return tuple(SessionKey(*keys[one]) for one in numbers if one in keys)
