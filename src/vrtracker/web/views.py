"""Saved views: what somebody wants to see of a table, under a name of their own."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import NamedTuple

from vrtracker.errors import InvalidValueError, UnknownNameError
from vrtracker.web.kept import KeptFile
from vrtracker.web.visits import current

_LONGEST_NAME, _LONGEST_LINK = 100, 4_000
_MOST = 100
_KEPT = ("web-views.json", "views")


class View(NamedTuple):
    """The query of an address, and whether the table opens with it."""

    link: str
    is_first: bool


class Views:
    """The views of one table of one lab; whose they are is told by the visit.

    They are the server's like its users, and change nothing in the lab: readers have some too.

    `place`: which table of which lab. `path`: of the file; ``web-views.json`` beside the settings
    when not given.
    """

    _lock = threading.Lock()

    def __init__(self, place: str, path: Path | None = None) -> None:
        self._place = place
        self._file = KeptFile(*_KEPT, path)

    def all(self) -> dict[str, View]:
        """Return the views of whoever asks, by name."""
        kept = self._file.read()
        try:
            found = kept.get(self._whose(), {}).get(self._place, {})
            return {name: View(*found[name]) for name in sorted(found, key=str.lower)}
        except (AttributeError, TypeError) as error:
            raise self._file.damaged(error) from error

    def first(self) -> View | None:
        """Return the view that the table opens with, where there is one."""
        return next((view for view in self.all().values() if view.is_first), None)

    def keep(self, name: str, view: View) -> None:
        """Keep a view; one of that name, and another one that was the first, give way.

        Raises InvalidValueError if the name is none, the view is too long, or there are too many.
        """
        name = name.strip()
        if not name or len(name) > _LONGEST_NAME or not name.isprintable():
            raise InvalidValueError(f"A view is called by 1 to {_LONGEST_NAME} letters.")
        if len(view.link) > _LONGEST_LINK:
            raise InvalidValueError(
                f"The view takes {len(view.link)} letters, more than {_LONGEST_LINK}; ask for less."
            )
        with self._lock:
            known = self.all()
            if name not in known and len(known) >= _MOST:
                raise InvalidValueError(f"There are {_MOST} views; remove one first.")
            if view.is_first:
                known = {each: old._replace(is_first=False) for each, old in known.items()}
            self._write({**known, name: view})

    def remove(self, name: str) -> None:
        """Remove a view.

        Raises UnknownNameError if there is none of that name.
        """
        with self._lock:
            known = self.all()
            if name not in known:
                raise UnknownNameError("view", name, known or ["(none)"])
            del known[name]
            self._write(known)

    @classmethod
    def forget(cls, person: str) -> None:
        """Remove all views of somebody, of every table and lab."""
        with cls._lock:
            file = KeptFile(*_KEPT)
            kept = file.read()
            if kept.pop(person, None) is not None:
                file.write(kept)

    def _whose(self) -> str:
        return current.get().person or ""

    def _write(self, views: dict[str, View]) -> None:
        kept, whose = self._file.read(), self._whose()
        self._file.write({**kept, whose: {**kept.get(whose, {}), self._place: views}})
