"""Who is in front of a page: a visit, from entering to leaving."""

from __future__ import annotations

import contextvars
import hashlib
import secrets
import threading
import time
from dataclasses import dataclass, field

_LONGEST_S = 12 * 3600


@dataclass(frozen=True, slots=True)
class Visit:
    """One browser of one person.

    `person`: None for whoever started the server.
    """

    number: str
    person: str | None = None
    may_write: bool = True
    begun: float = field(default_factory=time.monotonic)

    @property
    def form_mark(self) -> str:
        """What each form of this visit bears, and no other page can know."""
        return hashlib.sha256(b"form" + self.number.encode()).hexdigest()[:32]


current: contextvars.ContextVar[Visit] = contextvars.ContextVar("visit")
"""The visit whose request is being answered."""


class Visits:
    """The visits that have begun and not ended."""

    def __init__(self) -> None:
        self._begun: dict[str, Visit] = {}
        self._lock = threading.Lock()

    def begin(self, person: str | None = None) -> Visit:
        """Begin a visit; those that have lasted too long end."""
        visit = Visit(secrets.token_urlsafe(24), person)
        with self._lock:
            self._begun = {n: each for n, each in self._begun.items() if not _is_over(each)}
            self._begun[visit.number] = visit
        return visit

    def find(self, number: str) -> Visit | None:
        """Return the visit with this number, if it is not over."""
        visit = self._begun.get(number)
        return None if visit is None or _is_over(visit) else visit

    def end(self, number: str) -> None:
        """End a visit."""
        with self._lock:
            self._begun.pop(number, None)


def _is_over(visit: Visit) -> bool:
    return time.monotonic() - visit.begun > _LONGEST_S
