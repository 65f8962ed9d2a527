"""Datasets that the disk and the database do not agree on, taken away and brought back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from vrtracker.display import Facts, Shown, counted
from vrtracker.domain.datasets import Problem
from vrtracker.domain.keys import SessionKey
from vrtracker.domain.qc import QC
from vrtracker.domain.told import image_name
from vrtracker.errors import InvalidValueError, NotFoundError, RootUnavailableError
from vrtracker.files.layout import TRASH, SessionFolders
from vrtracker.files.trash import LIST, OF_NONE, Listed, Taken, Trash, leads_out
from vrtracker.files.trees import reason_of
from vrtracker.repositories.row_images import DATASETS
from vrtracker.services.context import LabService
from vrtracker.services.disk.looking import Look, settle
from vrtracker.services.disk.trash_lock import alone_at_trash
from vrtracker.unit_of_work import UnitOfWork

_OF_NOBODY = {"scan", "import"}
"""What recorded a dataset that no stage has made."""
_NOT_FOUND_OUT: Mapping[str, tuple[str, Callable[[Any], str]]] = {
    "qc_level": ("QC", lambda level: QC(level).name),
    "one_id": ("the id of ONE", str),
}
"""What no scan records again: by column, what it is called and how a value of it is shown."""


@dataclass(frozen=True, slots=True, repr=False)
class PrunePlan(Shown):
    """What is to be taken away; ``.apply()`` does it.

    `unknown`: ALF-named files that are not recorded. `missing`: records without a file, which a
    scan or an import made. `kept`: records without a file that a stage made; they stay. `problems`:
    sessions that were left alone.
    """

    unknown: tuple[tuple[SessionKey, str], ...]
    missing: tuple[tuple[SessionKey, str], ...]
    kept: tuple[tuple[SessionKey, str], ...]
    problems: tuple[Problem, ...]
    _looks: Sequence[Look] = field(default=(), repr=False, compare=False)
    _service: Any = field(default=None, repr=False, compare=False)

    def facts(self) -> Facts:
        """Return the files and records."""
        rows = [
            (str(key), path, what)
            for what in ("unknown", "missing", "kept")
            for key, path in getattr(self, what)
        ]
        title = (
            f"{counted(len(self.unknown), 'file')} to move into the trash, "
            f"{counted(len(self.missing), 'record')} to remove: .apply() does it"
        )
        notes = [f"{each.key}: {each.message}" for each in self.problems]
        return Facts(title, rows, ("key", "path", "what"), notes=notes)

    def apply(self) -> str | None:
        """Take them away; return the name that `restore` knows it by, None if there is nothing."""
        name: str | None = self._service.apply(self._looks)
        return name


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Restored(Shown):
    """What came back.

    `name`: which pruning it was. `files`, `records`: how many of each came back; a record also
    where it was made anew and got its QC back. `left`: files and records that stay in the trash,
    and why. `damaged`: what is wrong with the lists of later prunings, which all stay.
    """

    name: str
    files: int
    records: int
    left: tuple[str, ...] = ()
    damaged: tuple[str, ...] = ()

    def facts(self) -> Facts:
        """Return how much came back."""
        files, records = counted(self.files, "file"), counted(self.records, "record")
        title = f"{files} and {records} of {self.name} came back"
        return Facts(title, notes=(*self.left, *self.damaged))


class Pruning(LabService):
    """Takes files and records away, with a list of them first."""

    def plan(
        self,
        found: Iterable[tuple[Sequence[int], Sequence[Look]]],
        progress: Callable[[int], None] | None,
    ) -> PrunePlan:
        """Return what there is to take away."""
        looks: list[Look] = []
        problems, kept = [], []
        root, seen = self._lab.folders().root, 0
        for alike, part in found:
            for one in part:
                if one.problem is None and one.folder and leads_out(one.folder, root):
                    one.problem = f"{str(one.folder)!r} leads out of {str(root)!r}."
                if one.problem is not None:
                    problems.append(Problem(one.key, one.problem))
                    continue
                kept += [(one.key, path) for path in _gone(one) if not _is_of_nobody(one, path)]
                if any(_unknown(one)) or any(_removable(one)):
                    looks.append(one)
            seen += len(alike) + len(part)
            if progress is not None:
                progress(seen)
        return PrunePlan(
            unknown=tuple((one.key, path) for one in looks for path in _unknown(one)),
            missing=tuple((one.key, path) for one in looks for path in _removable(one)),
            kept=tuple(kept),
            problems=tuple(problems),
            _looks=looks,
            _service=self,
        )

    def apply(self, planned: Sequence[Look]) -> str | None:
        """Write the list, then remove the records and move the files, session by session."""
        if not planned:
            return None
        with alone_at_trash(self._lab.folders().root):
            return self._take_away(planned)

    def _take_away(self, planned: Sequence[Look]) -> str:
        at = self._lab.now()
        trash = Trash.new(self._lab.folders().root, self._lab.lab_now())
        with self._lab.unit() as unit:
            settle(unit, planned, at)
            good = [one for one in planned if one.problem is None]
            if not good:
                raise InvalidValueError(f"Nothing was pruned: {planned[0].problem}")
            images = unit.images.of([one.number for one in good], DATASETS)
            rows = {
                one.number: [images[one.number][image_name(DATASETS, p)] for p in _removable(one)]
                for one in good
            }
            taken = [_taken(one, rows[one.number]) for one in good]
            # On the disk before anything is gone, so that all of it can come back.
            listed = trash.write(taken, self._place())
            ids = [row["dataset_id"] for of in rows.values() for row in of]
            unit.datasets.replace(remove=ids, insert_rows=())
            pruned = partial(self._lab.event, at=at, reason=trash.name)
            unit.events.append(
                [
                    pruned(one.key, "pruned", changes=_counts(one) | _gone_for(rows[one.number]))
                    for one in good
                ]
            )
            unit.commit()
        trash.fill(taken, listed)
        return trash.name

    def restore(self, name: str | None) -> Restored:
        """Move the files back and insert the records again."""
        folders = self._lab.folders()
        folders.check()
        # Where there is nothing to bring back nothing is written either.
        self._chosen(folders.root, name)
        with alone_at_trash(folders.root):
            return self._bring_back(folders, name)

    def _bring_back(self, folders: SessionFolders, name: str | None) -> Restored:
        trash, listed, damaged = self._chosen(folders.root, name)
        files, left = 0, []
        for entry in listed["sessions"]:
            key = SessionKey.parse(entry["key"])
            for path in entry["files"]:
                try:
                    files += trash.give_back(key, path, folders)
                except (ValueError, RootUnavailableError) as error:
                    left.append(f"{key} {path}: {error}")
        records = 0
        try:
            records = self._insert(listed["sessions"], left)
        except (KeyError, TypeError, ValueError) as error:
            left.append(f"the records, since {trash.folder} lists one that is damaged ({error!r})")
        # A copy of the database restores too; what the list holds is still missing in the other.
        if not left and listed["database"] in {OF_NONE, self._place()}:
            try:
                trash.forget()
            except OSError as error:
                left.append(f"{trash.folder}: all is back, delete it ({reason_of(error)})")
        return Restored(
            name=trash.name, files=files, records=records, left=tuple(left), damaged=tuple(damaged)
        )

    def _place(self) -> str:
        database = self._lab.database
        return database.backend.place(database.url)

    def _chosen(self, root: Path, name: str | None) -> tuple[Trash, Listed, list[str]]:
        """Return the pruning of this name, or the last one of this database, and its list.

        The last part is what is wrong with the lists of later ones.
        """
        # One without a list was ended before anything was taken away, or after all came back.
        known = sorted(file.parent.name for file in (root / TRASH).glob(f"*/{LIST}"))
        there = f" In the trash are: {', '.join(known)}." if known else ""
        if name is not None and name not in known:
            remedy = there.lstrip() or "Nothing that was pruned is there."
            raise NotFoundError("pruning", name, known, remedy, at="the trash")
        damaged: list[str] = []
        for each in reversed(known) if name is None else [name]:
            trash = Trash(root, each)
            try:
                listed = trash.read()
            except InvalidValueError as error:
                damaged.append(str(error))
                continue
            if self._is_ours(each, listed):
                return trash, listed, damaged
        if damaged:
            raise InvalidValueError(" ".join(damaged))
        if name is not None:
            raise InvalidValueError(
                f"{name} was not pruned from {self._lab.database} but from "
                f"{listed['database'] or 'another database'}; restore it there. "
                "Nothing was brought back."
            )
        nothing = NotFoundError("pruning", "", known)
        others = f"{there} They are of other databases." if known else ""
        nothing.args = (
            f"Nothing was pruned from {self._lab.database}, or all of it is back.{others}",
        )
        raise nothing

    def _is_ours(self, name: str, listed: Listed) -> bool:
        """Return whether a pruning is of this database, which may have moved since."""
        if listed["database"] in {OF_NONE, self._place()}:
            return True
        with self._lab.unit(readonly=True) as unit:
            return name in unit.events.reasons(listed["sessions"][0]["key"], "pruned")

    def _insert(self, listed: Sequence[Mapping[str, Any]], left: list[str]) -> int:
        at, count = self._lab.now(), 0
        with self._lab.unit() as unit:
            for entry in listed:
                key = SessionKey.parse(entry["key"])
                record = unit.sessions.get(key)
                if record is None:
                    gone = f"the session is not in {self._lab.database}"
                    left += [f"{key} {row['rel_path']}: {gone}" for row in entry["records"]]
                    continue
                changes = _put_back(unit, record.uSessionID, entry, left)
                if changes:
                    count += len(changes)
                    added = sum(old is None for old, _ in changes.values())
                    told = {"datasets:added": added, **changes}
                    unit.events.append([self._lab.event(key, "unpruned", at=at, changes=told)])
            unit.commit()
        return count


def _put_back(
    unit: UnitOfWork, number: int, entry: Mapping[str, Any], left: list[str]
) -> dict[str, list[Any]]:
    """Insert the records that are not there, and give those made anew what they lack."""
    here = unit.images.of([number], DATASETS)[number]
    new, again = {}, {}
    for row in entry["records"]:
        name = image_name(DATASETS, row["rel_path"])
        if name not in here:
            new[name] = row
            continue
        held = {each: row[each] for each in _NOT_FOUND_OUT if row.get(each)}
        lacking = {each: value for each, value in held.items() if not here[name][each]}
        if lacking:
            again[name] = {**here[name], **lacking}
        differing = [
            f"{what} there {shown(held[each])}, here {shown(here[name][each])}"
            for each, (what, shown) in _NOT_FOUND_OUT.items()
            if each in held and each not in lacking and held[each] != here[name][each]
        ]
        if differing:
            said = ", ".join(("is recorded again", *differing))
            left.append(f"{entry['key']} {row['rel_path']}: {said}")
    unit.images.insert([(number, name, row) for name, row in new.items()])
    unit.datasets.update(tuple(_NOT_FOUND_OUT), list(again.values()))
    return {name: [here.get(name), row] for name, row in {**new, **again}.items()}


def _gone_for(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return as events keep it that records were removed."""
    return {image_name(DATASETS, row["rel_path"]): [row, None] for row in rows}


def _taken(one: Look, records: Sequence[Mapping[str, Any]]) -> Taken:
    # One without a folder has no files.
    files = [one.files[path] for path in _unknown(one)]
    return Taken(one.key, one.folder or Path(), files, records)


def _unknown(one: Look) -> Iterator[str]:
    return (path for path in sorted(one.files) if path not in one.rows)


def _gone(one: Look) -> Iterator[str]:
    return (path for path in one.rows if path not in one.files)


def _is_of_nobody(one: Look, path: str) -> bool:
    return one.rows[path]["stage"] in _OF_NOBODY


def _removable(one: Look) -> list[str]:
    return [path for path in _gone(one) if _is_of_nobody(one, path)]


def _counts(one: Look) -> dict[str, int]:
    return {"files:moved": len(list(_unknown(one))), "datasets:removed": len(_removable(one))}
