"""What ONE can hold of a lab: names that it knows sessions and datasets by, and their ids."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from dataclasses import dataclass
from typing import Any

from vrtracker.display import Facts, Shown, counted
from vrtracker.domain.keys import MOUSE_NAME, SessionKey
from vrtracker.domain.qc import QC

SESSIONS, DATASETS = "sessions", "datasets"
"""The two tables of a cache; each is a file with the ending .pqt."""

_LAB = re.compile(r"\w*")
_HIGHEST_NUMBER = 999
_REVISION = re.compile(r"#[\w.-]+#/")


def unfit(mouse: str, number: int, lab: str) -> str | None:
    """Return why ONE cannot hold a session, or None.

    ONE finds a session by its path, ``lab/Subjects/subject/date/number``, with the patterns of
    ``one.alf.spec``: a number has at most three digits, a subject no blanks.
    """
    if not MOUSE_NAME.fullmatch(mouse):
        return f"the mouse's name {mouse!r} holds more than letters, digits, _, - and ."
    if not 0 <= number <= _HIGHEST_NUMBER:
        return f"its number {number} is not between 0 and {_HIGHEST_NUMBER}"
    if not _LAB.fullmatch(lab):
        return f"the lab's name {lab!r} holds more than letters, digits and _"
    return None


def unfit_path(rel_path: str) -> str | None:
    """Return why ONE cannot hold a dataset, or None: it takes one revision, the last folder."""
    outer = rel_path.split("/")[:-2] if "#" in rel_path else ()
    if any(_REVISION.fullmatch(f"{folder}/") for folder in outer):
        return "the folder of a revision is not the last one of its path"
    return None


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A session, or a dataset (key and path), that ONE cannot hold, and why."""

    key: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class OneExport(Shown):
    """What was written for ONE.

    `folder`: where `sessions.pqt` and `datasets.pqt` are; the latter is not made without datasets.
    `sessions`, `datasets`: how many of each were written. `left_out`: sessions and datasets that
    ONE cannot hold. `unhashed`: datasets without MD5; if there are any, no hash is written, since
    ONE would take an empty one for wrong.
    """

    folder: str
    sessions: int
    datasets: int
    left_out: tuple[LeftOut, ...] = ()
    unhashed: int = 0

    def facts(self) -> Facts:
        """Return how much was written, and what was not."""
        notes = [f"{each.key} is left out: {each.reason}." for each in self.left_out]
        if self.unhashed:
            notes.append(
                f"No hash was written: {counted(self.unhashed, 'dataset')} without "
                "one; datasets.scan() reads the files of sessions that have a folder here."
            )
        title = f"{counted(self.sessions, 'session')} and {counted(self.datasets, 'dataset')}"
        return Facts(f"{title} for ONE in {self.folder}", notes=notes)


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedSession:
    """A session as a cache tells of it; what it does not tell is empty."""

    id: uuid.UUID
    subject: str
    date: dt.date
    number: int
    lab: str
    task_protocol: str
    projects: str

    @property
    def key(self) -> SessionKey:
        """Its key here."""
        return SessionKey(self.subject, self.date, self.number)


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedDataset:
    """A dataset as a cache tells of it; a size of 0, an id of None are not known."""

    session: uuid.UUID
    id: uuid.UUID | None
    path: str
    size: int
    md5: str | None
    exists: bool
    qc: QC
    twin: str = ""
    """The dataset that has its id in the cache, and the id; empty, as nearly always, if none has.
    """


@dataclass(frozen=True, slots=True)
class OneCache:
    """The tables of a cache, and what of it is not taken over, in sentences."""

    sessions: tuple[CachedSession, ...]
    datasets: tuple[CachedDataset, ...]
    notes: tuple[str, ...]


def difference(name: str, here: Any, there: Any) -> str:
    """Say that a column of ours holds something else than a cache."""
    if name == "qc_level":
        return f"QC is {QC(here).name} here, {QC(there).name} there"
    if name == "size_bytes":
        return f"size is {here:.0f} here, {there:.0f} there"
    return f"{name} is {here!r} here, {there!r} there"


def is_foreign(found: uuid.UUID | None) -> bool:
    """Tell whether ONE takes a UUID for no id, so that it could not go out again."""
    return found is not None and found.version not in {3, 4}


def given_id(found: uuid.UUID | None, own: uuid.UUID) -> str | None:
    """Return the id of a cache to keep, None where the own one serves."""
    return None if found in {None, own} or is_foreign(found) else str(found)
