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
from vrtracker.domain.told import image_name
from vrtracker.errors import InvalidValueError, NotFoundError, RootUnavailableError
from vrtracker.files.layout import TRASH
from vrtracker.files.trees import reason_of
from vrtracker.repositories.row_images import DATASETS
from vrtracker.services.context import LabContext
from vrtracker.services.disk.looking import Look, settle

__all__ = ["PrunePlan", "Pruning", "Restored"]

_OF_NOBODY = {"scan", "import"}
"""What recorded a dataset that no stage has made."""
_LIST = "list.json"
_FILES = "files"
_MOVED = "moved"


@dataclass(frozen=True, slots=True, repr=False)
class PrunePlan(Shown):
    """What is to be taken away; ``.apply()`` does it.

    Attributes
    ----------
    unknown : tuple of (SessionKey, str)
        ALF-named files that are not recorded.
    missing : tuple of (SessionKey, str)
        Records without a file, which a scan or an import made.
    kept : tuple of (SessionKey, str)
        Records without a file that a stage made; they stay.
    problems : tuple of Problem
        Sessions that were left alone.
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

    Attributes
    ----------
    name : str
        Which pruning it was.
    files, records : int
        How many of each came back.
    left : tuple of str
        Files that stay in the trash, and why.
    """

    name: str
    files: int
    records: int
    left: tuple[str, ...] = ()

    def facts(self) -> Facts:
        """Return how much came back."""
        files, records = counted(self.files, "file"), counted(self.records, "record")
        return Facts(f"{files} and {records} of {self.name} came back", notes=self.left)


class Pruning:
    """Takes files and records away, with a list of them first."""

    def __init__(self, lab: LabContext) -> None:
        self._lab = lab

    def plan(
        self, found: Iterable[Sequence[Look]], progress: Callable[[int], None] | None
    ) -> PrunePlan:
        """Return what there is to take away."""
        looks: list[Look] = []
        problems, kept = [], []
        seen = 0
        for part in found:
            for one in part:
                if one.problem is not None:
                    problems.append(Problem(one.key, one.problem))
                    continue
                kept += [(one.key, path) for path in _gone(one) if not _is_of_nobody(one, path)]
                if any(_unknown(one)) or any(_removable(one)):
                    looks.append(one)
            seen += len(part)
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
            _write(root / TRASH / name, listed)
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
        trash = _trash(folders.root / TRASH, name)
        listed = _read(trash)
        files, left = 0, []
        for entry in listed:
            key = SessionKey.parse(entry["key"])
            for path in entry["files"]:
                problem = _bring_back(trash, key, path, folders.path(key))
                files += problem == _MOVED
                if problem and problem != _MOVED:
                    left.append(f"{key} {path}: {problem}")
        records = self._insert(listed)
        if not left:
            # First what makes it one, so that half of it is never taken for a pruning.
            (trash / _LIST).unlink()
            shutil.rmtree(trash)
        return Restored(name=trash.name, files=files, records=records, left=tuple(left))

    def _insert(self, listed: Sequence[Mapping[str, Any]]) -> int:
        at, count = self._lab.now(), 0
        with self._lab.unit() as unit:
            for entry in listed:
                key = SessionKey.parse(entry["key"])
                record = unit.sessions.get(key)
                if record is None:
                    continue
                number = record.uSessionID
                known = {row["rel_path"] for row in unit.datasets.of_session(number)}
                back = [
                    (number, image_name(DATASETS, row["rel_path"]), row)
                    for row in entry["records"]
                    if row["rel_path"] not in known
                ]
                if back:
                    unit.images.insert(back)
                    changes: dict[str, Any] = {"datasets:added": len(back)}
                    changes |= {name: [None, row] for _, name, row in back}
                    unit.events.append([self._lab.event(key, "unpruned", at=at, changes=changes)])
                count += len(back)
            unit.commit()
        return count


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


def _read(trash: Path) -> list[dict[str, Any]]:
    try:
        listed: list[dict[str, Any]] = json.loads((trash / _LIST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidValueError(
            f"{trash / _LIST} cannot be read ({error}); move the files back by hand."
        ) from error
    return listed


def _trash(folder: Path, name: str | None) -> Path:
    # One without a list was ended before anything was taken away, or after all came back.
    known = sorted(file.parent.name for file in folder.glob(f"*/{_LIST}"))
    if name is None and known:
        return folder / known[-1]
    if name not in known or name is None:
        raise NotFoundError("pruning", name or "(the last)", known)
    return folder / name


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
