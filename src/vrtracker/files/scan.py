"""Find all sessions below a root."""

from __future__ import annotations

import datetime as dt
import os
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path

from vrtracker.domain.keys import MOUSE_NAME, SessionKey, parse_number
from vrtracker.errors import InvalidValueError, RootUnavailableError
from vrtracker.files.layout import SUBJECTS, SessionFolders, number_spellings
from vrtracker.files.probe import FolderProbe, probe
from vrtracker.files.trees import is_hidden, reason_of

__all__ = ["FoundSession", "Look", "ScanResult", "SkippedFolder", "scan"]

_DATE_LIKE = re.compile(r"\d{4}-\d{1,2}-\d{1,2}")


Look = Callable[[SessionKey, str], FolderProbe | None]
"""Looks into the folder of a session; None: it need not be listed."""


@dataclass(frozen=True, slots=True)
class FoundSession:
    """A session folder and what is in it."""

    key: SessionKey
    folder: Path
    probe: FolderProbe


@dataclass(frozen=True, slots=True)
class SkippedFolder:
    """A folder that looks like a session's, or could hold some, and the reason to skip it."""

    path: Path
    reason: str


@dataclass(frozen=True, slots=True)
class ScanResult:
    """What a scan saw: sessions in the order of their keys, skipped folders by path."""

    found: tuple[FoundSession, ...]
    skipped: tuple[SkippedFolder, ...]


def scan(
    root: Path,
    *,
    mice: Collection[str] | None = None,
    progress: Callable[[int], None] | None = None,
    look: Look = lambda _, folder: probe(folder),
) -> ScanResult:
    """Find the sessions below a root, in both layouts that `SessionFolders` knows.

    Folders that are no session's (``analysis``, ROI tracking of a mouse, hidden ones) are passed
    over in silence. What looks like a session and is none, or cannot be read, is reported.

    Parameters
    ----------
    root
        Folder that holds the folders of the mice.
    mice
        Names to look for; all when not given.
    progress
        Called with the number of sessions found so far, after each.
    look
        What looks into a session's folder, given its key and path.

    Raises
    ------
    RootUnavailableError
        If the root itself is missing, empty or unreadable.
    """
    SessionFolders(root).check()
    wanted = {mice} if isinstance(mice, str) else mice
    work = _Scan(wanted, progress or (lambda _: None), look)
    here = str(Path(root))
    labs = work.folders(here)
    work.mice_in(here, labs)
    for lab in labs:
        subjects = f"{here}/{lab}/{SUBJECTS}"
        if _is_there(subjects):
            work.mice_in(subjects, work.folders(subjects))
    found = sorted(work.found, key=lambda session: session.key)
    return ScanResult(tuple(found), tuple(sorted(work.skipped, key=lambda skip: skip.path)))


def _is_there(folder: str) -> bool:
    try:
        return Path(folder).is_dir()
    except OSError:
        # Unreadable, which the look into it as a mouse's folder has reported.
        return False


@dataclass
class _Scan:
    wanted: Collection[str] | None
    progress: Callable[[int], None]
    look: Look
    seen: dict[SessionKey, str] = field(default_factory=dict)
    found: list[FoundSession] = field(default_factory=list)
    skipped: list[SkippedFolder] = field(default_factory=list)

    def skip(self, path: str, reason: str) -> None:
        self.skipped.append(SkippedFolder(Path(path), reason))

    def folders(self, parent: str) -> list[str]:
        """List the names of the visible folders in a folder; none, and a note, if unreadable."""
        try:
            with os.scandir(parent) as entries:
                names = [e.name for e in entries if not is_hidden(e.name) and _is_folder(e)]
        except OSError as error:
            self.skip(parent, f"It cannot be read: {reason_of(error)}.")
            return []
        return sorted(names)

    def mice_in(self, parent: str, names: list[str]) -> None:
        for name in names:
            if self.wanted is None or name in self.wanted:
                self.mouse(name, f"{parent}/{name}")

    def mouse(self, name: str, folder: str) -> None:
        dates = [date for date in self.folders(folder) if _DATE_LIKE.fullmatch(date)]
        if dates and not _is_mouse_name(name):
            reason = f"{name!r} is not a mouse name: letters, digits, '_', '-', '.' only."
            self.skip(folder, reason)
            return
        for date in dates:
            self.date(name, date, f"{folder}/{date}")

    def date(self, mouse: str, name: str, folder: str) -> None:
        date = _date_of(name)
        if date is None:
            self.skip(folder, f"{name} is not a date that exists; write YYYY-MM-DD.")
        elif date.isoformat() != name:
            self.skip(folder, f"Name it {date.isoformat()}: dates have two digits for month, day.")
        else:
            for number in _unpadded_first(self.folders(folder)):
                self.number(mouse, date, number, f"{folder}/{number}")

    def number(self, mouse: str, date: dt.date, name: str, folder: str) -> None:
        try:
            number = parse_number(name)
        except InvalidValueError as error:
            self.skip(folder, str(error))
            return
        if name not in number_spellings(number):
            spellings = " or ".join(number_spellings(number))
            self.skip(folder, f"Name it {spellings}: {name} is not how numbers are padded.")
            return
        key = SessionKey(mouse, date, number)
        if key in self.seen:
            self.skip(folder, f"It is {key} again, which {self.seen[key]!r} holds already.")
            return
        self.session(key, folder)

    def session(self, key: SessionKey, folder: str) -> None:
        try:
            seen = self.look(key, folder)
        except RootUnavailableError as error:
            self.skip(folder, str(error))
            return
        self.seen[key] = folder
        if seen is not None:
            self.found.append(FoundSession(key, Path(folder), seen))
        self.progress(len(self.seen))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        # A link that leads to itself.
        return False


def _is_mouse_name(name: str) -> bool:
    return MOUSE_NAME.fullmatch(name) is not None


def _date_of(name: str) -> dt.date | None:
    year, month, day = (int(part) for part in name.split("-"))
    try:
        return dt.date(year, month, day)
    except ValueError:
        return None


def _unpadded_first(names: list[str]) -> list[str]:
    numbered = (name for name in names if name.isascii() and name.isdigit())
    return sorted(numbered, key=lambda name: (len(name), name))
