"""Rigs: described in JSON, kept by version, and pointed to by the sessions that used them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vrtracker.display import counted
from vrtracker.domain.keys import SessionKey
from vrtracker.domain.rigs import (
    Violation,
    differences,
    parse_rig,
    violations,
)
from vrtracker.errors import InvalidValueError, NotFoundError
from vrtracker.files.trees import reason_of
from vrtracker.repositories.listing import Listing
from vrtracker.repositories.values import storable_text
from vrtracker.services.context import LabService
from vrtracker.services.rigs.versions import Rig, keep, point, same
from vrtracker.spelling import nearest

LONGEST_NAME = 240
"""So that a version's name is no longer than what an event may be about."""


class RigService(LabService):
    """The rigs of a lab.

    Examples
    --------
    >>> from lab_tools import RIG  # such a description as docs/rigs.md shows
    >>> tracker.rigs.add(RIG).name
    'b2@1'
    >>> [str(key) for key in tracker.rigs.set("sessionID = 1", "b2")]
    ['DEMO003.2023-03-16.1']
    """

    @staticmethod
    def validate(rig: Any) -> list[Violation]:
        """Return all that is wrong with a description, each with its path; empty if nothing is.

        Parameters
        ----------
        rig
            Path of a file in JSON, or what such a file holds.

        Raises
        ------
        InvalidValueError
            If the file cannot be read.

        Examples
        --------
        >>> from lab_tools import RIG
        >>> for violation in tracker.rigs.validate({**RIG, "version": 2}):
        ...     print(violation)
        $.version: 2 is not of type 'string'
        """
        given = dict(rig) if isinstance(rig, Mapping) else _bytes(Path(rig))
        try:
            return violations(parse_rig(given, str(rig)) if isinstance(given, bytes) else given)
        except InvalidValueError as error:
            return [Violation("$", str(error))]

    def add(self, rig: Any, *, name: str | None = None) -> Rig:
        """Keep a description as the next version of its rig; one that is there stays as it is.

        Parameters
        ----------
        rig
            Path of a file in JSON, or what such a file holds.
        name
            What the rig is called; else the description's ``name``, else that of the file.

        Raises
        ------
        InvalidValueError
            If the description is wrong, or has no name; it lists all violations.

        Examples
        --------
        >>> from lab_tools import RIG
        >>> tracker.rigs.add(RIG).name, tracker.rigs.add({**RIG, "version": "1.3"}).name
        ('b2@1', 'b2@2')
        """
        content = _content(rig)
        if found := violations(content):
            said = f"The rig has {counted(len(found), 'violation')}; nothing was kept:"
            raise InvalidValueError("\n".join([said, *map(str, found)]))
        called = _name(rig, content, name)
        with self._lab.unit() as unit:
            kept = keep(self._lab, unit, content, called)
            unit.commit()
        return self.get(kept.name)

    def list(self) -> list[Rig]:
        """Return all versions of all rigs, in the order in which they were added.

        Examples
        --------
        >>> from lab_tools import RIG
        >>> rig = tracker.rigs.add(RIG)
        >>> [each.name for each in tracker.rigs.list()]
        ['b2@1']
        """
        with self._lab.unit(readonly=True) as unit:
            users = unit.rigs.users()
            return [Rig(row, users.get(row.rig_id, 0)) for row in unit.rigs.all()]

    def get(self, name: str) -> Rig:
        """Return a version, such as ``b2@3``; the last one of a rig by its name alone.

        Raises
        ------
        NotFoundError
            If there is none; it carries the nearest names.

        Examples
        --------
        >>> from lab_tools import RIG
        >>> rig = tracker.rigs.add(RIG)
        >>> tracker.rigs.get("b2@1").features[0]["name"]
        'licks'
        """
        known = self.list()
        found = [each for each in known if same(each.name, name)]
        found = found or [each for each in known if same(each.row.rig_name, name)]
        if not found:
            raise NotFoundError("rig", name, nearest(name, [each.name for each in known]))
        return found[-1]

    def diff(self, old: Any, new: Any) -> Sequence[tuple[str, Any, Any]]:
        """Return how two descriptions differ: path, old and new value, None where there is none.

        Parameters
        ----------
        old, new
            Versions, such as ``b2@3``, or paths of files in JSON.

        Examples
        --------
        >>> from lab_tools import RIG
        >>> old, new = tracker.rigs.add(RIG), tracker.rigs.add({**RIG, "version": "1.3"})
        >>> tracker.rigs.diff("b2@1", "b2@2")
        (('$.version', '1.2', '1.3'),)
        """
        return tuple(differences(*(self._either(each) for each in (old, new))))

    def _either(self, rig: Any) -> Any:
        try:
            return self.get(rig).content if isinstance(rig, str) else _content(rig)
        except NotFoundError:
            if not Path(rig).is_file():
                raise
            return _content(rig)

    def set(
        self, where: Any, rig: str | None, /, *, reason: str | None = None, **filters: Any
    ) -> Sequence[SessionKey]:
        """Let sessions point to the version of the rig that they used; return those that change.

        Parameters
        ----------
        where, **filters
            A key, or filters as for ``tracker.sessions.frame``; None for filters alone.
        rig
            Such as ``b2@3``, or ``b2`` for its last version; None for no rig.

        Raises
        ------
        NotFoundError
            If there is no such session or rig.
        InvalidValueError
            If nothing selects sessions.

        Examples
        --------
        >>> from lab_tools import RIG
        >>> rig = tracker.rigs.add(RIG)
        >>> [str(key) for key in tracker.rigs.set("DEMO003.2023-03-16.1", "b2@1")]
        ['DEMO003.2023-03-16.1']
        """
        chosen = self._lab.selection(where, filters)
        if not chosen:
            raise InvalidValueError("Name a session, or give a filter: no rig is set on all.")
        rig_id = None if rig is None else self.get(rig).row.rig_id
        with self._lab.unit() as unit:
            listing = Listing(chosen, include_scratched=chosen.is_key)
            sessions = {
                row["uSessionID"]: SessionKey.of_row(row) for row in unit.sessions.present(listing)
            }
            if chosen.is_key and not sessions:
                raise self._lab.not_found("session", SessionKey.parse(where), unit=unit)
            changed = point(self._lab, unit, sessions, rig_id, reason)
            unit.commit()
        return changed

    def of(self, key: Any) -> Rig | None:
        """Return the version of the rig that a session used, None if that is not known.

        Raises
        ------
        NotFoundError
            If there is no such session.

        Examples
        --------
        >>> from lab_tools import RIG
        >>> rig = tracker.rigs.add(RIG)
        >>> keys = tracker.rigs.set("DEMO003.2023-03-16.1", "b2")
        >>> tracker.rigs.of("DEMO003.2023-03-16.1").name
        'b2@1'
        """
        wanted = SessionKey.parse(key)
        with self._lab.unit(readonly=True) as unit:
            record = unit.sessions.get(wanted)
            if record is None:
                raise self._lab.not_found("session", wanted, unit=unit)
            rig_id = unit.rigs.used_by([record.uSessionID]).get(record.uSessionID)
        return next((each for each in self.list() if each.row.rig_id == rig_id), None)


def _content(rig: Any) -> Any:
    return dict(rig) if isinstance(rig, Mapping) else parse_rig(_bytes(Path(rig)), str(rig))


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidValueError(f"{path} cannot be read ({reason_of(error)}).") from error


def _name(rig: Any, content: Mapping[str, Any], name: str | None) -> str:
    stem = "" if isinstance(rig, Mapping) else Path(os.fspath(rig)).stem
    called = storable_text(name or content.get("name") or stem).strip()
    if not called or len(called) > LONGEST_NAME or "@" in called:
        raise InvalidValueError(
            f"A rig's name has 1 to {LONGEST_NAME} letters and no '@', behind which its versions "
            "are told; give name=…."
        )
    return called
