"""Versions of rigs, and what a unit of work does with them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vrtracker.display import Facts, Shown, counted
from vrtracker.domain.keys import SessionKey
from vrtracker.domain.rigs import Required, content_hash, for_export, required_files
from vrtracker.repositories.rigs import RigRow
from vrtracker.repositories.row_images import RIG
from vrtracker.repositories.row_images import differences as changed_rows
from vrtracker.services.context import LabContext

if TYPE_CHECKING:
    from vrtracker.unit_of_work import UnitOfWork

_VERB = "rig_set"
_SHOWN = ("name", "source_type", "data_type", "ownership", "description")
_STORED = ("feature_name", *_SHOWN[1:])


@dataclass(frozen=True, slots=True, repr=False)
class Rig(Shown):
    """One version of a rig; never changed.

    `row`: ``rig_id, rig_name, rig_version, content_hash, content, added_at, actor``. `sessions`:
    how many sessions used it.
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


def keep(lab: LabContext, unit: UnitOfWork, content: dict[str, Any], name: str) -> Rig:
    """Keep a description that is right as the next version of its rig, with its event.

    `content`: the document, in which `violations` finds nothing.
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
        "added_at": lab.now(),
        "actor": lab.actor,
    }
    features = [
        {"place": place, **dict(zip(_STORED, _cells(each), strict=True))}
        for place, each in enumerate(content["features"], start=1)
    ]
    made = Rig(RigRow(unit.rigs.add(values, features), **values))
    told = {"sha256": digest}
    event = lab.event(made.name, "rig_added", subject_kind="rig", changes=told)
    unit.events.append([event], wakes=False)
    return made


def point(
    lab: LabContext,
    unit: UnitOfWork,
    sessions: Mapping[int, SessionKey],
    rig_id: int | None,
    reason: str | None = None,
) -> Sequence[SessionKey]:
    """Let sessions point to a version, with their events; return those that change.

    `rig_id`: number of the version; None for no rig.
    """
    used = unit.rigs.used_by(list(sessions))
    numbers = [number for number in sessions if used.get(number) != rig_id]
    before = unit.images.of(numbers, RIG)
    unit.rigs.use(numbers, rig_id)
    after = unit.images.of(numbers, RIG)
    event = partial(lab.event, verb=_VERB, at=lab.now(), reason=reason)
    unit.events.append(
        [event(sessions[each], changes=changed_rows(before[each], after[each])) for each in numbers]
    )
    return [sessions[each] for each in numbers]


def place_of(unit: UnitOfWork, digest: str, name: str) -> tuple[RigRow | None, str, int]:
    """Return the version with this content if there is one, and the name and number it has or gets.

    `digest`: SHA-256 of the content.
    """
    versions = [each for each in unit.rigs.all() if same(each.rig_name, name)]
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
    return [
        each for each in needed if not any(path.is_file() for path in folder.glob(each.pattern))
    ]


def same(name: str, other: str) -> bool:
    """Tell whether two names are one, in whatever case of letters."""
    return name.casefold() == other.casefold()


def _cells(feature: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        feature["name"],
        feature["source"]["source_type"],
        feature["data_type"],
        feature["ownership"]["ownership"],
        feature["description"],
    )
