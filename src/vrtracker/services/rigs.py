"""Rigs: described in JSON, kept by version, and pointed to by the sessions that used them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vrtracker.display import Facts, Shown, counted
from vrtracker.domain.keys import SessionKey
from vrtracker.domain.rigs import (
    Required,
    Violation,
    content_hash,
    differences,
    for_export,
    parse_rig,
    required_files,
    violations,
)
from vrtracker.errors import InvalidValueError, NotFoundError
from vrtracker.files.required import missing
from vrtracker.files.trees import reason_of
from vrtracker.repositories.listing import Listing
from vrtracker.repositories.rigs import RigRow
from vrtracker.repositories.row_images import RIG
from vrtracker.repositories.row_images import differences as changed_rows
from vrtracker.repositories.values import storable_text
from vrtracker.services.context import LabContext
from vrtracker.spelling import nearest

if TYPE_CHECKING:
    from vrtracker.unit_of_work import UnitOfWork

_VERB = "rig_set"
LONGEST_NAME = 240
"""So that a version's name is no longer than what an event may be about."""
_SHOWN = ("name", "source_type", "data_type", "ownership", "description")
_STORED = ("feature_name", *_SHOWN[1:])


@dataclass(frozen=True, slots=True, repr=False)
class Rig(Shown):
    """One version of a rig; never changed.

    Attributes
    ----------
    row : RigRow
        ``rig_id, rig_name, rig_version, content_hash, content, added_at, actor``.
    sessions : int
        How many sessions used it.
    """

    row: RigRow
    sessions: int = 0

    @property
    def name(self) -> str:
        """Name and version, such as ``b2@3``."""
        return self.row.name

    @property
    def hash(self) -> str:
        """SHA-256 of the description, hexadecimal."""
        return self.row.content_hash

    @property
    def content(self) -> dict[str, Any]:
        """The description."""
        return self.row.content

    @property
    def required(self) -> list[Required]:
        """The files that its equipment leaves."""
        return required_files(self.content)

    @property
    def features(self) -> list[dict[str, Any]]:
        """The features: ``name, source_type, data_type, ownership, description``."""
        return [dict(zip(_SHOWN, _cells(each), strict=True)) for each in self.content["features"]]

    def document(self) -> dict[str, Any]:
        """Return the description as Antelop reads it too."""
        return for_export(self.content)

    def facts(self) -> Facts:
        """Return what it has, and who used it."""
        row = self.row
        notes = [
            f"added {row.added_at:%Y-%m-%d %H:%M:%S} UTC by {row.actor}; SHA-256 {self.hash}",
            *(f"{each.equipment} leaves {each.pattern}" for each in self.required),
        ]
        rows = [list(each.values()) for each in self.features]
        title = f"The rig {self.name}, used by {counted(self.sessions, 'session')}."
        return Facts(title, rows, _SHOWN, notes=notes)


class RigService:
    """The rigs of a lab."""

    def __init__(self, lab: LabContext) -> None:
        self._lab = lab

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
        """
        content = _content(rig)
        if found := violations(content):
            said = f"The rig has {counted(len(found), 'violation')}; nothing was kept:"
            raise InvalidValueError("\n".join([said, *map(str, found)]))
        called = _name(rig, content, name)
        with self._lab.unit() as unit:
            kept = self.keep(unit, content, called)
            unit.commit()
        return self.get(kept.name)

    def keep(self, unit: UnitOfWork, content: dict[str, Any], name: str) -> Rig:
        """Keep a description that is right, as `add` does, with its event, within a unit.

        Parameters
        ----------
        content
            The document, in which `validate` finds nothing.
        """
        digest = content_hash(content)
        there, kept_as, version = place_of(unit, digest, name)
        if there is not None:
            return Rig(there)
        values: dict[str, Any] = {
            "rig_name": kept_as,
            "rig_version": version,
            "content_hash": digest,
            "content": content,
            "added_at": self._lab.now(),
            "actor": self._lab.actor,
        }
        features = [
            {"place": place, **dict(zip(_STORED, _cells(each), strict=True))}
            for place, each in enumerate(content["features"], start=1)
        ]
        made = Rig(RigRow(unit.rigs.add(values, features), **values))
        told = {"sha256": digest}
        event = self._lab.event(made.name, "rig_added", subject_kind="rig", changes=told)
        unit.events.append([event], wakes=False)
        return made

    def list(self) -> list[Rig]:
        """Return all versions of all rigs, in the order in which they were added."""
        with self._lab.unit(readonly=True) as unit:
            users = unit.rigs.users()
            return [Rig(row, users.get(row.rig_id, 0)) for row in unit.rigs.all()]

    def get(self, name: str) -> Rig:
        """Return a version, such as ``b2@3``; the last one of a rig by its name alone.

        Raises
        ------
        NotFoundError
            If there is none; it carries the nearest names.
        """
        known = self.list()
        found = [each for each in known if _same(each.name, name)]
        found = found or [each for each in known if _same(each.row.rig_name, name)]
        if not found:
            raise NotFoundError("rig", name, nearest(name, [each.name for each in known]))
        return found[-1]

    def diff(self, old: Any, new: Any) -> Sequence[tuple[str, Any, Any]]:
        """Return how two descriptions differ: path, old and new value, None where there is none.

        Parameters
        ----------
        old, new
            Versions, such as ``b2@3``, or paths of files in JSON.
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
            changed = self.point(unit, sessions, rig_id, reason)
            unit.commit()
        return changed

    def point(
        self,
        unit: UnitOfWork,
        sessions: Mapping[int, SessionKey],
        rig_id: int | None,
        reason: str | None = None,
    ) -> Sequence[SessionKey]:
        """Let sessions point to a version, with their events, within a unit; see `set`.

        Parameters
        ----------
        rig_id
            Number of the version; None for no rig.
        """
        used = unit.rigs.used_by(list(sessions))
        numbers = [number for number in sessions if used.get(number) != rig_id]
        before = unit.images.of(numbers, RIG)
        unit.rigs.use(numbers, rig_id)
        after = unit.images.of(numbers, RIG)
        event = partial(self._lab.event, verb=_VERB, at=self._lab.now(), reason=reason)
        unit.events.append(
            [
                event(sessions[each], changes=changed_rows(before[each], after[each]))
                for each in numbers
            ]
        )
        return [sessions[each] for each in numbers]

    def of(self, key: Any) -> Rig | None:
        """Return the version of the rig that a session used, None if that is not known.

        Raises
        ------
        NotFoundError
            If there is no such session.
        """
        wanted = SessionKey.parse(key)
        with self._lab.unit(readonly=True) as unit:
            record = unit.sessions.get(wanted)
            if record is None:
                raise self._lab.not_found("session", wanted, unit=unit)
            rig_id = unit.rigs.used_by([record.uSessionID]).get(record.uSessionID)
        return next((each for each in self.list() if each.row.rig_id == rig_id), None)


def place_of(unit: UnitOfWork, digest: str, name: str) -> tuple[RigRow | None, str, int]:
    """Return the version with this content if there is one, and the name and number it has or gets.

    `digest`: SHA-256 of the content.
    """
    versions = [each for each in unit.rigs.all() if _same(each.rig_name, name)]
    there = next((each for each in versions if each.content_hash == digest), None)
    if there is not None:
        return there, there.rig_name, there.rig_version
    return None, versions[0].rig_name if versions else name, len(versions) + 1


def files_needed(unit: UnitOfWork, numbers: Sequence[int]) -> dict[int, tuple[Required, ...]]:
    """Return the files that the rigs of sessions leave, by the session's number."""
    used = unit.rigs.used_by(numbers)
    rules = (
        {row.rig_id: tuple(required_files(row.content)) for row in unit.rigs.all()} if used else {}
    )
    return {number: rules[rig_id] for number, rig_id in used.items() if rules[rig_id]}


def lacking(folder: Path, needed: Iterable[Required]) -> list[Required]:
    """Return the files that are not in a session's folder.

    Raises OSError if the folder cannot be looked into.
    """
    return [each for each in needed if missing(folder, [each.pattern])]


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


def _same(name: str, other: str) -> bool:
    return name.casefold() == other.casefold()


def _cells(feature: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        feature["name"],
        feature["source"]["source_type"],
        feature["data_type"],
        feature["ownership"]["ownership"],
        feature["description"],
    )
