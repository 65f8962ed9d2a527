"""A cache of ONE taken over: a plan first, then all or nothing."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from vrtracker.display import Facts, Shown, counted, first_of
from vrtracker.domain.keys import SessionKey
from vrtracker.domain.one import (
    CachedDataset,
    CachedSession,
    OneCache,
    difference,
    given_id,
    is_foreign,
)
from vrtracker.errors import ImportFileError
from vrtracker.files.alf import revision_of
from vrtracker.repositories.listing import Listing
from vrtracker.repositories.one import NAMES
from vrtracker.services.administration.backups import keep_copy
from vrtracker.services.context import LabContext
from vrtracker.services.entries.adding import fitted, insert
from vrtracker.services.entries.mice import MouseService
from vrtracker.services.entries.sessions import SessionService
from vrtracker.services.transitions import read, update_session
from vrtracker.unit_of_work import UnitOfWork

_VERB = "imported"
_STAGE = "import"
"""What stands for a stage in the record of a file that a cache tells of."""
_PROTOCOL = "experimentType"
_AT_ONCE = 10_000
"""New datasets whose rows are held at a time."""
_FACTS = ("size_bytes", "md5", "sha256", "modified", "qc_level")
_NO_NAMES: Mapping[str, Any] = dict.fromkeys(NAMES)


@dataclass
class _Changes:
    """What a cache holds that the database does not."""

    mice: list[str] = field(default_factory=list)
    sessions: list[CachedSession] = field(default_factory=list)
    protocols: dict[SessionKey, str] = field(default_factory=dict)
    names: dict[SessionKey, dict[str, Any]] = field(default_factory=dict)
    datasets: dict[SessionKey, list[tuple[CachedDataset, str | None]]] = field(default_factory=dict)
    """New ones, each with the id of the cache that it keeps."""
    updates: dict[SessionKey, list[dict[str, Any]]] = field(default_factory=dict)
    counts: dict[str, Counter[str]] = field(
        default_factory=lambda: {"sessions": Counter(), "datasets": Counter()}
    )
    conflicts: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def count(self, what: str, told: Any, conflicts: int) -> None:
        """Count a row that is here, by what is told of it and how many conflicts there were."""
        is_conflict = len(self.conflicts) > conflicts
        self.counts[what]["conflicts" if is_conflict else "updated" if told else "unchanged"] += 1


@dataclass(frozen=True, slots=True, repr=False)
class OneImportPlan(Shown):
    """What taking a cache over would do; ``.apply()`` does it.

    `source`: the folder, or ``the tables given``.
    `counts`: ``sessions`` and ``datasets``: how many are added, updated, unchanged, and in
        conflicts.
    `conflicts`: where the cache says something else than the database.
    `mice`: mice that are added too.
    `notes`: what of the cache is not taken over as it stands there.
    """

    source: str
    counts: Mapping[str, Mapping[str, int]]
    conflicts: tuple[str, ...]
    mice: tuple[str, ...]
    notes: tuple[str, ...]
    _service: Any = field(default=None, repr=False, compare=False)

    def total(self, what: str) -> int:
        """Return how many sessions and datasets together are added, updated or unchanged."""
        return sum(counts.get(what, 0) for counts in self.counts.values())

    @property
    def added(self) -> int:
        """Sessions and datasets that the database lacks."""
        return self.total("added")

    @property
    def updated(self) -> int:
        """Those of which the cache knows more."""
        return self.total("updated")

    @property
    def unchanged(self) -> int:
        """Those that are as the cache says."""
        return self.total("unchanged")

    def facts(self) -> Facts:
        """Return what would be done, and what stands in the way."""
        names = ("added", "updated", "unchanged", "conflicts")
        rows = [(what, *(of.get(name, 0) for name in names)) for what, of in self.counts.items()]
        notes = [f"conflict: {each}" for each in self.conflicts]
        notes += [*(f"Mouse {name} is added too." for name in self.mice), *self.notes]
        does = "overwrite=True takes the cache's word" if self.conflicts else ".apply() does it"
        title = f"Cache of ONE, {self.source}, {counted(len(self.conflicts), 'conflict')}: {does}"
        return Facts(title, rows, ("", *names), notes=notes)

    def contradiction(self) -> ImportFileError:
        """Return the error that the conflicts are."""
        return ImportFileError(
            f"{self.source} contradicts the database: {first_of(self.conflicts)}. Nothing was "
            "written; correct the one that is wrong, or take the cache's word with overwrite=True.",
            self.conflicts,
        )

    def apply(self) -> None:
        """Take the cache over, all or nothing.

        Raises ImportFileError if there are conflicts, ConcurrentUpdateError if the database is not
        any more as the plan saw it.
        """
        self._service.apply(self)


class CacheImport:
    """One cache, compared with the database and written into it."""

    def __init__(
        self,
        lab: LabContext,
        sessions: SessionService,
        mice: MouseService,
        cache: OneCache,
        *,
        overwrite: bool,
    ) -> None:
        self._lab = lab
        self._sessions = sessions
        self._mice = mice
        self._cache = cache
        self._overwrite = overwrite
        self._of: dict[uuid.UUID, list[CachedDataset]] = {}
        for each in cache.datasets:
            self._of.setdefault(each.session, []).append(each)
        self._planned = _Changes()

    def plan(self, source: str) -> OneImportPlan:
        """Return what there is to do."""
        with self._lab.unit(readonly=True) as unit:
            self._planned = made = self._compare(unit)
        return OneImportPlan(
            source=source,
            counts={what: dict(counts) for what, counts in made.counts.items()},
            conflicts=tuple(made.conflicts),
            mice=tuple(made.mice),
            notes=(*self._cache.notes, *made.notes),
            _service=self,
        )

    # -- comparing ------------------------------------------------------------------------------

    def _compare(self, unit: UnitOfWork) -> _Changes:
        found = _Changes()
        known = {
            SessionKey.of_row(row): row
            for row in unit.sessions.present(Listing(include_scratched=True), (_PROTOCOL,))
        }
        names = unit.one.names()
        own_ids = {
            key: names.get(row["uSessionID"], _NO_NAMES)["one_id"] or str(key.uuid)
            for key, row in known.items()
        }
        taken = {own_id: key for key, own_id in own_ids.items()}
        mice = {name.casefold(): name for name in unit.mice.names()}
        here = [known[each.key] for each in self._cache.sessions if each.key in known]
        datasets = unit.datasets.of_sessions([row["uSessionID"] for row in here])
        for each in self._cache.sessions:
            row = known.get(each.key)
            if row is None:
                self._new_session(found, each, mice, taken)
                rows: Mapping[str, Any] = {}
            else:
                number = row["uSessionID"]
                self._session(found, each, row, names.get(number, _NO_NAMES))
                rows = datasets[number]
            own = each.key.uuid if row is None else uuid.UUID(own_ids[each.key])
            for file in self._of.get(each.id, ()):
                self._dataset(found, each.key, own, file, rows.get(file.path))
        others = [str(each.key) for each in found.sessions if is_foreign(each.id)]
        for key, of in found.datasets.items():
            others += [f"{key} {file.path}" for file, _ in of if is_foreign(file.id)]
        if others:
            found.notes.append(
                f"ONE takes UUIDs of version 3 and 4 alone; {len(others)} of the new sessions and "
                f"datasets get other ids than in the cache: {first_of(others)}."
            )
        return found

    def _new_session(
        self,
        found: _Changes,
        each: CachedSession,
        mice: dict[str, str],
        taken: Mapping[str, SessionKey],
    ) -> None:
        spelled = mice.get(each.subject.casefold())
        if spelled is None:
            mice[each.subject.casefold()] = each.subject
            found.mice.append(each.subject)
        elif spelled != each.subject:
            found.conflicts.append(f"{each.key}: the mouse is called {spelled!r} here")
            found.counts["sessions"]["conflicts"] += 1
            return
        kept = given_id(each.id, each.key.uuid)
        if (other := taken.get(kept or str(each.key.uuid))) is not None:
            found.conflicts.append(f"{each.key}: its id {each.id} is that of {other} here")
            found.counts["sessions"]["conflicts"] += 1
            return
        found.sessions.append(each)
        found.counts["sessions"]["added"] += 1
        told = {"one_id": kept, "lab": each.lab or None, "projects": each.projects or None}
        if any(told.values()):
            found.names[each.key] = told

    def _session(
        self,
        found: _Changes,
        each: CachedSession,
        row: Mapping[str, Any],
        names: Mapping[str, Any],
    ) -> None:
        label, conflicts = str(each.key), len(found.conflicts)
        told = self._told(
            found, label, {_PROTOCOL: row[_PROTOCOL]}, {_PROTOCOL: each.task_protocol}
        )
        more = self._told(found, label, names, {"lab": each.lab, "projects": each.projects})
        if told:
            found.protocols[each.key] = told[_PROTOCOL]
        if more:
            found.names[each.key] = {**names, **more}
        found.count("sessions", told or more, conflicts)

    def _dataset(
        self,
        found: _Changes,
        key: SessionKey,
        session_id: uuid.UUID,
        each: CachedDataset,
        row: Mapping[str, Any] | None,
    ) -> None:
        if row is None:
            own = uuid.uuid3(session_id, each.path)
            found.datasets.setdefault(key, []).append((each, given_id(each.id, own)))
            found.counts["datasets"]["added"] += 1
            if each.twin:
                found.notes.append(f"{key} {each.path} has the id of {each.twin}; it gets its own.")
            return
        conflicts = len(found.conflicts)
        told = self._told(found, f"{key} {each.path}", row, _facts(each))
        if told:
            content = {name for name in ("size_bytes", "md5") if row[name] and name in told}
            unknown = dict.fromkeys(("sha256", "modified")) if content else {}
            changed = {name: row[name] for name in ("dataset_id", *_FACTS)} | told | unknown
            found.updates.setdefault(key, []).append(changed)
        found.count("datasets", told, conflicts)

    def _told(
        self,
        found: _Changes,
        label: str,
        ours: Mapping[str, Any],
        theirs: Mapping[str, Any],
    ) -> dict[str, Any]:
        """Return the values that the cache knows and the database does not, or otherwise."""
        told = {}
        for name, value in theirs.items():
            # Empty texts, sizes and levels of 0 say nothing.
            if not value or value == ours[name]:
                continue
            if ours[name] and not self._overwrite:
                found.conflicts.append(f"{label}: {difference(name, ours[name], value)}")
            else:
                told[name] = value
        return told

    # -- writing --------------------------------------------------------------------------------

    def apply(self, plan: OneImportPlan) -> None:
        """Write what the plan says, if the database still is as it saw it."""
        planned = self._planned
        if planned.conflicts:
            raise plan.contradiction()
        if not plan.added + plan.updated:
            return
        if plan.updated:
            keep_copy(self._lab, "importing")
        with self._lab.as_compared(plan.source, self._compare, planned) as unit:
            self._write(unit, planned)

    def _write(self, unit: UnitOfWork, planned: _Changes) -> None:
        rules, at = self._sessions.rules, self._lab.now()
        if planned.mice:
            mice = [{"mouseName": name} for name in planned.mice]
            insert(self._mice.rules, unit, fitted(self._mice.rules, mice))
        if planned.sessions:
            rows = [
                {**each.key.columns, _PROTOCOL: each.task_protocol or None}
                for each in planned.sessions
            ]
            insert(rules, unit, fitted(rules, rows))
        changes: dict[SessionKey, dict[str, Any]] = {key: {} for key in planned.names}
        for key, protocol in planned.protocols.items():
            changes[key] = update_session(unit, read(self._lab, unit, key), {_PROTOCOL: protocol})
        numbers = {
            SessionKey.of_row(row): row["uSessionID"]
            for row in unit.sessions.present(Listing(include_scratched=True))
        }
        named = unit.one.names().keys()
        names = [{"uSessionID": numbers[key], **told} for key, told in planned.names.items()]
        unit.one.add([row for row in names if row["uSessionID"] not in named])
        unit.one.change([row for row in names if row["uSessionID"] in named])
        added = (
            _row(numbers[key], *each, at) for key, of in planned.datasets.items() for each in of
        )
        while some := list(islice(added, _AT_ONCE)):
            unit.datasets.replace(remove=(), insert_rows=some)
        unit.datasets.update(_FACTS, [row for rows in planned.updates.values() for row in rows])
        for key, new in planned.datasets.items():
            changes.setdefault(key, {})["datasets:added"] = len(new)
        for key, known in planned.updates.items():
            changes.setdefault(key, {})["datasets:updated"] = len(known)
        unit.events.append(
            [self._lab.event(key, _VERB, at=at, changes=told) for key, told in changes.items()]
        )


def _facts(each: CachedDataset) -> dict[str, Any]:
    return {"size_bytes": float(each.size), "md5": each.md5, "qc_level": int(each.qc)}


def _row(number: int, each: CachedDataset, one_id: str | None, at: Any) -> dict[str, Any]:
    return {
        **_facts(each),
        "uSessionID": number,
        "rel_path": each.path,
        "revision": revision_of(each.path),
        "one_id": one_id,
        "stage": _STAGE,
        "written": False,
        "recorded_at": at,
        "missing_since": None if each.exists else at,
    }
