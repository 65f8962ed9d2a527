"""What an experiment is called; whose it is: a session's, a mouse's, nobody's; its events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from vrtracker.domain.experiments import LONGEST_UID
from vrtracker.domain.keys import SessionKey
from vrtracker.errors import InvalidValueError, UnknownMouseError
from vrtracker.repositories.events import NewEvent
from vrtracker.repositories.values import storable_text
from vrtracker.services.context import LabContext
from vrtracker.spelling import nearest
from vrtracker.unit_of_work import UnitOfWork


class Owner(NamedTuple):
    """The session that an experiment belongs to, or else the mouse, with their numbers."""

    session: SessionKey | None = None
    mouse: str | None = None
    session_number: int | None = None
    mouse_number: int | None = None

    def __str__(self) -> str:
        return str(self.session or self.mouse or "nobody")

    @property
    def numbers(self) -> dict[str, int | None]:
        """The numbers, of which one at most is kept."""
        return {"session": self.session_number, "mouse": self.mouse_number}


NOBODY = Owner()


def require_uid(given: Any) -> str:
    """Return an experiment's id, or raise InvalidValueError where it cannot be one."""
    if not isinstance(given, str) or not 0 < len(given) <= LONGEST_UID:
        raise InvalidValueError(
            f"An experiment's id is a text of 1 to {LONGEST_UID} characters, not {given!r}; "
            "tracker.experiments.list() has those that there are."
        )
    return storable_text(given)


def owner_of(lab: LabContext, unit: UnitOfWork, session: Any, mouse: Any) -> Owner:
    """Return the owner that a caller names.

    Raises NotFoundError if there is no such session or mouse. Raises InvalidValueError if the
    session is of another mouse, or the mouse's name is no text.
    """
    if session is not None:
        key = SessionKey.parse(session)
        if mouse not in {None, key.mouse}:
            raise InvalidValueError(f"{key} is no session of {mouse!r}; give one of the two.")
        found = unit.sessions.get(key)
        if found is None:
            raise lab.not_found("session", key, unit=unit)
        return Owner(key, key.mouse, session_number=found.uSessionID)
    if mouse is None:
        return NOBODY
    known = unit.mice.get(storable_text(mouse))
    if known is None:
        raise UnknownMouseError(str(mouse), nearest(str(mouse), unit.mice.names()))
    return Owner(None, known.mouseName, mouse_number=known.uMouseID)


def joined(owner: Owner, given: Owner) -> Owner | None:
    """Return whose an experiment of `owner` is once it is also `given`'s; None if it cannot be."""
    if given.session in {None, owner.session} and given.mouse in {None, owner.mouse}:
        return owner
    return given if owner.session is None and owner.mouse in {None, given.mouse} else None


def event(
    lab: LabContext,
    owner: Owner,
    verb: str,
    uid: str,
    told: Mapping[str, Any] | None = None,
    *,
    reason: str | None = None,
) -> NewEvent:
    """Return the event of an experiment: on its session, its mouse, or on itself."""
    kind: dict[str, Any] = {} if owner.mouse else {"subject_kind": "experiment"}
    held = {name: value for name, value in (told or {}).items() if value}
    return lab.event(
        owner.session or owner.mouse or uid,
        verb,
        changes={"experiment": uid, **held},
        reason=reason,
        **kind,
    )
