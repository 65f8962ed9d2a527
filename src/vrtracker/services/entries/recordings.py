"""Link sessions that are parts of one recording; nothing of theirs is overwritten."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vrtracker.backends.base import ViolationError
from vrtracker.domain.entry import DESCRIPTIVE
from vrtracker.domain.keys import SessionKey
from vrtracker.domain.recordings import LINKED, noted
from vrtracker.errors import InvalidValueError
from vrtracker.services.context import LabContext
from vrtracker.services.entries.adding import explained, fitted, insert
from vrtracker.services.entries.recording_notes import parts_of
from vrtracker.services.entries.sessions import SessionService
from vrtracker.services.transitions import read, update_session
from vrtracker.unit_of_work import UnitOfWork


class RecordingService:
    """Recordings that went on under another number.

    Examples
    --------
    >>> parts = tracker.recordings.merge("DEMO001.2023-01-20.701", "DEMO001.2023-01-20.702")
    >>> tracker.recordings.parts("DEMO001.2023-01-20.702") == parts
    True
    """

    def __init__(self, lab: LabContext, sessions: SessionService) -> None:
        self._lab = lab
        self._sessions = sessions

    def parts(self, key: Any) -> tuple[SessionKey, ...]:
        """Return the parts of the recording that a session belongs to, in order; itself alone.

        Raises
        ------
        NotFoundError
            If there is no such session.

        Examples
        --------
        >>> tracker.recordings.parts("DEMO003.2023-03-16.1")
        (SessionKey(mouse='DEMO003', date=datetime.date(2023, 3, 16), number=1),)
        """
        session = self._sessions.get(key)
        with self._lab.unit(readonly=True) as unit:
            return parts_of(unit, session.uSessionID) or (session.key,)

    def merge(self, key: Any, *others: Any, reason: str | None = None) -> tuple[SessionKey, ...]:
        """Link sessions that are there as parts of one recording, and return all its parts.

        Each keeps its row, its folder and its state; each gets an event, and a line in its
        notes for people who read the table itself.

        Parameters
        ----------
        key
            The first part, or any part of a recording that went on further.
        others
            The parts that follow, in order.

        Raises
        ------
        InvalidValueError
            If they are not of one mouse and day, or one is part of another recording.

        Examples
        --------
        >>> parts = tracker.recordings.merge("DEMO001.2023-01-20.701", "DEMO001.2023-01-20.702")
        >>> tracker.sessions.get("DEMO001.2023-01-20.701").sessionNotes
        'One recording: DEMO001.2023-01-20.701, DEMO001.2023-01-20.702.'
        """
        first = SessionKey.parse(key)
        added = [SessionKey.parse(other) for other in others]
        with self._lab.unit() as unit:
            parts = self._link(unit, first, added, reason)
            unit.commit()
        return parts

    def split(self, key: Any, *numbers: Any, reason: str | None = None) -> tuple[SessionKey, ...]:
        """Add the sessions under whose numbers a recording went on, and link them.

        They are described like the session, and everything else is as in a new one.

        Raises
        ------
        DuplicateError
            If there is such a session already; link it with `merge`.

        Examples
        --------
        >>> [str(part) for part in tracker.recordings.split("DEMO001.2023-01-18.701", 703)]
        ['DEMO001.2023-01-18.701', 'DEMO001.2023-01-18.703']
        """
        first = self._sessions.get(key)
        model = {name: getattr(first, name) for name in DESCRIPTIVE}
        added = [SessionKey(first.key.mouse, first.key.date, number) for number in numbers]
        rules = self._sessions.rules
        columns = fitted(rules, [{**model, **one.columns} for one in added])
        try:
            with self._lab.unit() as unit:
                insert(rules, unit, columns)
                parts = self._link(unit, first.key, added, reason)
                unit.commit()
        except ViolationError as error:
            raise explained(rules, error, columns) from error
        return parts

    def separate(self, key: Any, *, reason: str | None = None) -> tuple[SessionKey, ...]:
        """Take a session out of its recording, and return the parts that are left.

        Raises
        ------
        InvalidValueError
            If it is part of none.

        Examples
        --------
        >>> parts = tracker.recordings.split("DEMO001.2023-01-18.701", 703, 704)
        >>> [str(part) for part in tracker.recordings.separate("DEMO001.2023-01-18.703")]
        ['DEMO001.2023-01-18.701', 'DEMO001.2023-01-18.704']
        """
        wanted = SessionKey.parse(key)
        with self._lab.unit() as unit:
            number = read(self._lab, unit, wanted).record.uSessionID
            old = parts_of(unit, number)
            if not old:
                raise InvalidValueError(f"{wanted} is no part of a longer recording.")
            left = tuple(part for part in old if part != wanted)
            self._write(unit, old, left if len(left) > 1 else (), reason)
            unit.commit()
        return left

    def _link(
        self, unit: UnitOfWork, first: SessionKey, added: Sequence[SessionKey], reason: str | None
    ) -> tuple[SessionKey, ...]:
        if not added:
            raise InvalidValueError("Name the parts that follow, one or more.")
        old = parts_of(unit, read(self._lab, unit, first).record.uSessionID)
        new = (*(old or (first,)), *added)
        for key in added:
            if (key.mouse, key.date) != (first.mouse, first.date):
                raise InvalidValueError(
                    f"{key} and {first} are not of one mouse and day, hence not one recording."
                )
            if new.count(key) > 1:
                raise InvalidValueError(f"{key} is a part of the recording already.")
            if parts_of(unit, read(self._lab, unit, key).record.uSessionID):
                raise InvalidValueError(
                    f"{key} is a part of another recording; take it out first: "
                    f"vrtracker sessions merge --undo {key}"
                )
        self._write(unit, old, new, reason)
        return new

    def _write(
        self,
        unit: UnitOfWork,
        old: Sequence[SessionKey],
        new: Sequence[SessionKey],
        reason: str | None,
    ) -> None:
        """Give each part that is, or was, its event and its line in the notes."""
        at = self._lab.now()
        snapshots = {key: read(self._lab, unit, key) for key in dict.fromkeys([*old, *new])}
        numbers = [
            [snapshots[key].record.uSessionID for key in keys] or None for keys in (old, new)
        ]
        events = []
        for key, snapshot in snapshots.items():
            notes = noted(snapshot.record.sessionNotes, key, new if key in new else ())
            changes = update_session(unit, snapshot, {"sessionNotes": notes})
            changes |= {"parts": numbers}
            events.append(self._lab.event(key, LINKED, at=at, changes=changes, reason=reason))
        unit.events.append(events)
