"""Datasets that the disk and the database do not agree on, taken away and brought back."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from vrtracker.display import Facts, Shown, counted
from vrtracker.domain.datasets import Problem
from vrtracker.domain.keys import SessionKey
from vrtracker.domain.qc import QC
from vrtracker.domain.told import image_name
from vrtracker.errors import InvalidValueError, NotFoundError, RootUnavailableError
from vrtracker.files.layout import TRASH
from vrtracker.files.trees import reason_of
from vrtracker.repositories.row_images import DATASETS
from vrtracker.services.context import LabService
from vrtracker.services.disk.looking import Look, settle
from vrtracker.unit_of_work import UnitOfWork

_OF_NOBODY = {"scan", "import"}
"""What recorded a dataset that no stage has made."""
_NOT_FOUND_OUT: Mapping[str, tuple[str, Callable[[Any], str]]] = {
    "qc_level": ("QC", lambda level: QC(level).name),
    "one_id": ("the id of ONE", str),
}
"""What no scan records again: by column, what it is called and how a value of it is shown."""
_LIST = "list.json"
_FILES = "files"
_MOVED = "moved"


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
    and why.
    """

    name: str
    files: int
    records: int
    left: tuple[str, ...] = ()

    def facts(self) -> Facts:
        """Return how much came back."""
        files, records = counted(self.files, "file"), counted(self.records, "record")
        return Facts(f"{files} and {records} of {self.name} came back", notes=self.left)


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
        seen = 0
        for alike, part in found:
            for one in part:
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
        root = self._lab.folders().root
        at = self._lab.now()
        name = f"{self._lab.lab_now():%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:6]}"
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
            listed = [
                {"key": str(one.key), "files": list(_unknown(one)), "records": rows[one.number]}
                for one in good
            ]
            # On the disk before anything is gone, so that all of it can come back.
            _write(root / TRASH / name, {"database": self._place(), "sessions": listed})
            ids = [row["dataset_id"] for of in rows.values() for row in of]
            unit.datasets.replace(remove=ids, insert_rows=())
            pruned = partial(self._lab.event, at=at, reason=name)
            unit.events.append(
                [
                    pruned(one.key, "pruned", changes=_counts(one) | _gone_for(rows[one.number]))
                    for one in good
                ]
            )
            unit.commit()
        for one in good:
            for path in _unknown(one):
                _throw_away(one, path, root / TRASH / name)
        return name

    def restore(self, name: str | None) -> Restored:
        """Move the files back and insert the records again."""
        folders = self._lab.folders()
        folders.check()
        trash, listed = self._chosen(folders.root / TRASH, name)
        files, left = 0, []
        for entry in listed["sessions"]:
            key = SessionKey.parse(entry["key"])
            for path in entry["files"]:
                problem = _bring_back(trash, key, path, folders.path(key))
                files += problem == _MOVED
                if problem and problem != _MOVED:
                    left.append(f"{key} {path}: {problem}")
        records = self._insert(listed["sessions"], left)
        # A copy of the database restores too; what the list holds is still missing in the other.
        if not left and listed["database"] == self._place():
            # First what makes it one, so that half of it is never taken for a pruning.
            (trash / _LIST).unlink()
            shutil.rmtree(trash)
        return Restored(name=trash.name, files=files, records=records, left=tuple(left))

    def _place(self) -> str:
        database = self._lab.database
        return database.backend.place(database.url)

    def _chosen(self, folder: Path, name: str | None) -> tuple[Path, dict[str, Any]]:
        """Return the pruning of this name, or the last one of this database, and its list."""
        # One without a list was ended before anything was taken away, or after all came back.
        known = sorted(file.parent.name for file in folder.glob(f"*/{_LIST}"))
        there = f" In the trash are: {', '.join(known)}." if known else ""
        if name is not None and name not in known:
            remedy = there.lstrip() or "Nothing that was pruned is there."
            raise NotFoundError("pruning", name, known, remedy, at="the trash")
        for each in reversed(known) if name is None else [name]:
            listed = _read(folder / each)
            if self._is_ours(each, listed):
                return folder / each, listed
        if name is not None:
            raise InvalidValueError(
                f"{name} was not pruned from {self._lab.database} but from "
                f"{listed['database'] or 'another database'}; restore it there. "
                "Nothing was brought back."
            )
        error = NotFoundError("pruning", "", known)
        others = f"{there} They are of other databases." if known else ""
        error.args = (
            f"Nothing was pruned from {self._lab.database}, or all of it is back.{others}",
        )
        raise error

    def _is_ours(self, name: str, listed: Mapping[str, Any]) -> bool:
        """Return whether a pruning is of this database, which may have moved since."""
        if listed["database"] == self._place():
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


def _write(trash: Path, listed: Any) -> None:
    try:
        trash.mkdir(parents=True)
        part = trash / f".{_LIST}.part"
        with part.open("w", encoding="utf-8") as file:
            json.dump(listed, file, indent=1, default=str)
            file.flush()
            os.fsync(file.fileno())
        part.replace(trash / _LIST)
    except OSError as error:
        raise RootUnavailableError(
            f"{trash} cannot be written ({reason_of(error)}); nothing was pruned. The trash is a "
            "folder below the root: let yourself write there."
        ) from error


def _read(trash: Path) -> dict[str, Any]:
    try:
        listed: Any = json.loads((trash / _LIST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidValueError(
            f"{trash / _LIST} cannot be read ({error}); move the files back by hand."
        ) from error
    # Before lists named their database they were the sessions alone.
    return {"database": None, "sessions": listed} if isinstance(listed, list) else dict(listed)


def _throw_away(one: Look, path: str, trash: Path) -> None:
    """Move a file into the trash, if it still is the one that was seen."""
    if one.folder is None:
        return
    source, target = one.folder / path, trash / _FILES / one.key.path / path
    seen = one.files[path]
    try:
        status = source.stat()
        if (status.st_size, status.st_mtime) != (seen.size_bytes, seen.modified):
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(source, target)
    except OSError as error:
        raise InvalidValueError(
            f"{str(source)!r} cannot be moved ({reason_of(error)}); the files before it are in "
            f"{trash}. Mend it and prune again."
        ) from error


def _bring_back(trash: Path, key: SessionKey, path: str, folder: Path) -> str:
    """Move a file back; return `_MOVED`, why not, or nothing where it never was moved."""
    source, target = trash / _FILES / key.path / path, folder / path
    if not _stays_inside(path):
        return "its path leads out of the session's folder"
    if not source.is_file():
        return "" if target.exists() else "it is not in the trash"
    if os.path.lexists(target):
        return "another file is there now; move it away first"
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(source, target)
    return _MOVED


def _stays_inside(path: str) -> bool:
    parts = PurePosixPath(path)
    return not parts.is_absolute() and ".." not in parts.parts
