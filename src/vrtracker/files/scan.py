"""Find all sessions below a root."""

from __future__ import annotations

import datetime as dt
import os
import re
import stat
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from vrtracker.domain.keys import MOUSE_NAME, SessionKey, parse_number
from vrtracker.errors import InvalidValueError, RootUnavailableError
from vrtracker.files.layout import SUBJECTS, SessionFolders, is_of_people, number_spellings
from vrtracker.files.probe import FolderProbe, probe
from vrtracker.files.trees import is_folder, is_hidden, reason_of

_DATE_LIKE = re.compile(r"\d{4}-\d{1,2}-\d{1,2}")
_NUMBER_LIKE = re.compile(r"[0-9]+")

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
    """A folder that looks like a session's, or could hold some, and the reason to skip it.

    `is_link`: it is a link that cannot be followed, to nobody knows what.
    """

    path: Path
    reason: str
    is_link: bool = False


@dataclass(frozen=True, slots=True)
class ScanResult:
    """What a scan saw: sessions in the order of their keys, skipped folders by path."""

    found: tuple[FoundSession, ...]
    skipped: tuple[SkippedFolder, ...]


def scan(
    root: Path,
    *,
    mice: Collection[str] | None = None,
    known: Collection[str] = (),
    progress: Callable[[int], None] | None = None,
    look: Look = lambda _, folder: probe(folder),
) -> ScanResult:
    """Find the sessions below a root, in both layouts that `SessionFolders` knows.

    Folders that are no session's (``analysis``, ROI tracking of a mouse, hidden ones) are passed
    over in silence. What looks like a session and is none, or cannot be read, is reported; so is
    what may be a lab's folder, whichever mice are looked for, since it may hold them.

    `root`: folder that holds the folders of the mice.
    `mice`: names to look for; all when not given.
    `known`: names of the mice that there are. A folder whose name differs from one of these, or
        from another mouse's folder, in the case of letters alone is reported.
    `progress`: called with the number of sessions found so far, after each.
    `look`: what looks into a session's folder, given its key and path.

    Raises RootUnavailableError if the root itself is missing, empty or unreadable.
    """
    SessionFolders(root).check()
    wanted = {mice} if isinstance(mice, str) else mice
    spellings = {name.casefold(): name for name in (*(wanted or ()), *known)}
    folded = None if wanted is None else {name.casefold() for name in wanted}
    work = _Scan(folded, progress or (lambda _: None), look, spellings)
    here = str(Path(root))
    labs = work.folders(here, is_of_people)
    work.mice_in(here, filter(work.is_wanted, labs))
    for lab in labs:
        subjects = f"{here}/{lab}/{SUBJECTS}"
        if work.is_there(subjects):
            work.mice_in(subjects, work.folders(subjects, work.is_wanted))
    found = sorted(work.found, key=lambda session: session.key)
    return ScanResult(tuple(found), tuple(sorted(work.skipped, key=lambda skip: skip.path)))


@dataclass
class _Scan:
    wanted: Collection[str] | None
    progress: Callable[[int], None]
    look: Look
    spellings: dict[str, str]
    seen: dict[SessionKey, str] = field(default_factory=dict)
    found: list[FoundSession] = field(default_factory=list)
    skipped: list[SkippedFolder] = field(default_factory=list)

    def skip(self, path: str, reason: str) -> None:
        self.skipped.append(SkippedFolder(Path(path), reason))

    def skip_unseen(self, path: str, error: OSError, *, is_link: bool = False) -> None:
        what = "It is a link that cannot be followed" if is_link else "It cannot be read"
        self.skipped.append(SkippedFolder(Path(path), f"{what}: {reason_of(error)}.", is_link))

    def is_wanted(self, mouse: str) -> bool:
        is_asked_for = self.wanted is None or mouse.casefold() in self.wanted
        return is_asked_for and not is_hidden(mouse)

    def folders(self, parent: str, is_meant: Callable[[str], object]) -> list[str]:
        """List the names of the folders that are meant; what cannot be read is noted instead."""
        try:
            with os.scandir(parent) as entries:
                names = [e.name for e in entries if is_meant(e.name) and self.is_folder(e)]
        except OSError as error:
            self.skip_unseen(parent, error)
            return []
        return sorted(names)

    def is_folder(self, entry: os.DirEntry[str]) -> bool:
        try:
            return is_folder(entry)
        except OSError as error:
            self.skip_unseen(entry.path, error, is_link=entry.is_symlink())
            return False

    def is_there(self, folder: str) -> bool:
        path = Path(folder)
        try:
            return stat.S_ISDIR(path.stat().st_mode)
        except OSError as error:
            is_gone = isinstance(error, FileNotFoundError | NotADirectoryError)
            is_link = is_gone and path.is_symlink()
            if is_link or not is_gone:
                self.skip_unseen(folder, error, is_link=is_link)
            return False

    def mice_in(self, parent: str, names: Iterable[str]) -> None:
        for name in names:
            self.mouse(name, f"{parent}/{name}")

    def mouse(self, name: str, folder: str) -> None:
        dates = self.folders(folder, _DATE_LIKE.fullmatch)
        if dates and not MOUSE_NAME.fullmatch(name):
            reason = f"{name!r} is not a mouse name: letters, digits, '_', '-', '.' only."
            self.skip(folder, reason)
            return
        spelled = self.spellings.setdefault(name.casefold(), name) if dates else name
        if spelled != name:
            reason = f"Name it {spelled}: it differs from that mouse in the case of letters alone."
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
            numbers = self.folders(folder, _NUMBER_LIKE.fullmatch)
            for number in sorted(numbers, key=len):  # Unpadded ones first.
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


def _date_of(name: str) -> dt.date | None:
    year, month, day = (int(part) for part in name.split("-"))
    try:
        return dt.date(year, month, day)
    except ValueError:
        return None
