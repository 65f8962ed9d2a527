"""What was taken away from sessions: a folder below the root, with the list it comes back by."""

from __future__ import annotations

import contextlib
import datetime as dt
import filecmp
import json
import os
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from vrtracker.domain.keys import SessionKey
from vrtracker.errors import InvalidValueError, RootUnavailableError
from vrtracker.files.alf import AlfFile
from vrtracker.files.layout import TRASH, SessionFolders
from vrtracker.files.trees import PART, move, reason_of

OF_NONE = ""
"""The database of a list of files alone, which come back with any."""
LIST = "list.json"
_FILES = "files"

Listed = dict[str, Any]
"""As lists have it: `database`, and `sessions` with `key`, `files` and `records`."""


class Taken(NamedTuple):
    """What is taken away from a session: files in its folder, and rows of the database."""

    key: SessionKey
    folder: Path
    files: Sequence[AlfFile]
    records: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class Trash:
    """What was taken away at one time, from sessions below a root."""

    root: Path
    name: str

    @classmethod
    def new(cls, root: Path, at: dt.datetime) -> Trash:
        """Return one that is not there yet."""
        return cls(root, f"{at:%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:6]}")

    @property
    def folder(self) -> Path:
        """Where it is."""
        return self.root / TRASH / self.name

    def write(self, taken: Sequence[Taken], database: str) -> Listed:
        """Write the list of what is to be taken away, and return it."""
        sessions = [
            {"key": str(key), "files": [file.rel_path for file in files], "records": records}
            for key, _, files, records in taken
        ]
        listed = {"database": database, "sessions": sessions}
        try:
            self._write(listed)
        except OSError as error:
            raise RootUnavailableError(
                f"{self.folder} cannot be written ({reason_of(error)}); nothing was taken away. "
                "The trash is a folder below the root: let yourself write there."
            ) from error
        return listed

    def fill(self, taken: Sequence[Taken], listed: Listed) -> None:
        """Move the files that still are as they were seen; no others stay listed.

        Raises InvalidValueError if one cannot be moved; those after it stay too.
        """
        problem: OSError | None = None
        for each, entry in zip(taken, listed["sessions"], strict=True):
            entry["files"] = []
            try:
                for file in each.files if problem is None else ():
                    source = each.folder / file.rel_path
                    if _is_as_seen(source, file):
                        move(source, self._place(each.key, file.rel_path))
                        entry["files"].append(file.rel_path)
            except OSError as error:
                problem, where = error, source
        # Where that fails too, files are listed that never went: restoring passes over them.
        with contextlib.suppress(OSError):
            self._write(listed)
        if problem is not None:
            raise InvalidValueError(
                f"{str(where)!r} cannot be moved ({reason_of(problem)}) and stays; what was before "
                f"it is in {self.folder}. Mend it and do this again."
            ) from problem

    def read(self) -> Listed:
        """Return the list.

        Raises InvalidValueError if it is damaged or cannot be read.
        """
        file = self.folder / LIST
        try:
            listed: Any = json.loads(file.read_text(encoding="utf-8"))
            # Before lists named their database they were the sessions alone.
            listed = {"database": None, "sessions": listed} if isinstance(listed, list) else listed
            if not _is_whole(listed):
                raise InvalidValueError("it is not as it was written")
        except (OSError, ValueError, RecursionError) as error:
            raise InvalidValueError(
                f"{file} cannot be read ({error}); nothing of {self.name} was brought back. Mend "
                "it, or move the files beside it back by hand and delete the folder."
            ) from error
        return dict(listed)

    def give_back(self, key: SessionKey, path: str, folders: SessionFolders) -> bool:
        """Move a file back; return False where there was none to move, since it is there.

        Raises InvalidValueError, RootUnavailableError with the reason why it stays in the trash.
        """
        try:
            folder = folders.path(key)
            source, target = self._place(key, path), folder / path
            ways = (target.parent, folder), (folder, self.root), (source.parent, self.folder)
            for inner, outer in ways:
                if leads_out(inner, outer):
                    raise InvalidValueError(f"{str(inner)!r} leads out of {str(outer)!r}")
            if not (source.is_symlink() or source.is_file()):
                if os.path.lexists(target):
                    return False
                raise InvalidValueError("it is not in the trash")
            if os.path.lexists(target):
                if not _is_same(source, target):
                    raise InvalidValueError("another file is there now; move it away first")
                source.unlink()
                return False
            move(source, target)
        except OSError as error:
            reason = f"{reason_of(error)}: {str(error.filename)!r}"
            raise InvalidValueError(f"it cannot be moved back ({reason})") from error
        return True

    def forget(self) -> None:
        """Remove the list, and the folders; a file that is in none of the lists stays.

        Raises OSError if the list cannot be removed.
        """
        # First what makes it one, so that half of it is never taken for a whole.
        (self.folder / LIST).unlink()
        for here, _, names in os.walk(self.folder, topdown=False):
            with contextlib.suppress(OSError):
                for name in names:
                    if name.endswith(PART):
                        Path(here, name).unlink()
                Path(here).rmdir()

    def _place(self, key: SessionKey, path: str) -> Path:
        return self.folder / _FILES / key.path / path

    def _write(self, listed: Listed) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        part = self.folder / f".{LIST}{PART}"
        with part.open("w", encoding="utf-8") as file:
            json.dump(listed, file, indent=1, default=str)
            file.flush()
            os.fsync(file.fileno())
        part.replace(self.folder / LIST)


def leads_out(folder: Path, root: Path) -> bool:
    """Tell whether a folder, its links followed, is not below another one."""
    return not Path(os.path.realpath(folder)).is_relative_to(os.path.realpath(root))


def _is_as_seen(path: Path, file: AlfFile) -> bool:
    # A link is moved itself, whatever became of the file that it leads to.
    if path.is_symlink():
        return True
    try:
        status = path.stat()
    except FileNotFoundError:
        return False
    return (status.st_size, status.st_mtime) == (file.size_bytes, file.modified)


def _is_same(one: Path, other: Path) -> bool:
    if one.is_symlink() or other.is_symlink():
        return one.is_symlink() and other.is_symlink() and one.readlink() == other.readlink()
    return filecmp.cmp(one, other, shallow=False)


def _is_whole(listed: Any) -> bool:
    """Tell whether a list has the parts that it was written with."""
    try:
        return (
            "database" in listed
            and bool(listed["sessions"])
            and all(
                isinstance(entry["files"], list)
                and all(isinstance(path, str) for path in entry["files"])
                and all(isinstance(row["rel_path"], str) for row in entry["records"])
                and SessionKey.parse(entry["key"])
                for entry in listed["sessions"]
            )
        )
    except (AttributeError, KeyError, TypeError):
        return False
