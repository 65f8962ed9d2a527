"""Sessions with the records of their files, and what their folders hold."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vrtracker.domain.keys import SessionKey
from vrtracker.errors import InvalidValueError, NotFoundError, RootUnavailableError
from vrtracker.files.alf import (
    AlfFile,
    find_alf_files,
    may_hold_alf,
    parse_alf_name,
    refuse_outside,
    revision_of,
)
from vrtracker.files.layout import SessionFolders
from vrtracker.files.trees import plain_facts
from vrtracker.repositories.listing import Listing
from vrtracker.repositories.values import storable_text
from vrtracker.services.context import LabContext
from vrtracker.unit_of_work import UnitOfWork

_AT_ONCE = 64
"""Sessions that are read, looked at and written together;"""
_COMPARED_AT_ONCE = 4096
"""and sessions of which it is first seen whether anything is not as recorded."""
_LONGEST_PATH = 255


@dataclass(slots=True)
class Look:
    """One session: its records, and what its folder says of them."""

    number: int
    key: SessionKey
    rows: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    folder: Path | None = None
    files: dict[str, AlfFile] = field(default_factory=dict)
    problem: str | None = None
    added: list[dict[str, Any]] = field(default_factory=list)
    updated: list[dict[str, Any]] = field(default_factory=list)
    gone: int = 0

    def changes(self) -> dict[str, int]:
        """Return what an event tells: how many records are new, and how many differ."""
        found = {"datasets:added": len(self.added), "datasets:updated": len(self.updated)}
        return {name: count for name, count in found.items() if count}


def looks(
    lab: LabContext,
    where: Any,
    filters: Mapping[str, Any],
    *,
    gone_counts: bool | None = None,
    hashed: bool | None = None,
) -> Iterator[tuple[Sequence[int], Sequence[Look]]]:
    """Yield sessions, some at a time, with their records and the files in their folders.

    Of those whose files all are as recorded there is only how many these are, which comes first.

    `where`, `filters`: a key, or filters as for ``tracker.sessions.frame``. `gone_counts`: the
    records of a session without a folder count as gone; else they are left out, but those of a
    session that is named by its key. `hashed`: whether a file without SHA-256 is not as recorded;
    all sessions are looked at in full when not given. Raises RootUnavailableError if the
    root is missing, empty or cannot be read; NotFoundError if the session that is named does not
    exist.
    """
    folders = lab.folders()
    folders.check()
    root = folders.root.resolve()
    chosen = lab.selection(where, filters)
    if gone_counts is None:
        gone_counts = chosen.is_key
    listing = Listing(chosen, include_scratched=chosen.is_key)
    with lab.unit(readonly=True) as unit:
        sessions = unit.sessions.present(listing)
    if chosen.is_key and not sessions:
        raise lab.not_found("session", SessionKey.parse(where))
    for start in range(0, len(sessions), _COMPARED_AT_ONCE):
        part = sessions[start : start + _COMPARED_AT_ONCE]
        if hashed is not None:
            facts = _facts(lab, listing, [row["uSessionID"] for row in part], hashed=hashed)
            alike = [
                _as_recorded(root, SessionKey.of_row(row), recorded)
                for row, recorded in zip(part, facts, strict=True)
            ]
            yield [count for count in alike if count is not None], ()
            part = [row for row, count in zip(part, alike, strict=True) if count is None]
        for first in range(0, len(part), _AT_ONCE):
            others = [
                Look(row["uSessionID"], SessionKey.of_row(row))
                for row in part[first : first + _AT_ONCE]
            ]
            yield (), _in_full(lab, folders, others, gone_counts=gone_counts)


def _facts(
    lab: LabContext, listing: Listing, numbers: Sequence[int], *, hashed: bool
) -> Iterator[dict[str, tuple[float, float]]]:
    """Yield size and time of the files of each session, by path."""
    # As columns, since it is all of the lab; these take long to import.
    import numpy as np

    from vrtracker.arrow import read_table

    with lab.unit(readonly=True) as unit:
        statement = unit.datasets.facts(listing, numbers, hashed=hashed)
    # A lab has few paths, each in many sessions: one text for each.
    of, paths, *facts = read_table(lab.database, statement, repeating="rel_path").columns
    coded = paths.combine_chunks()
    names = np.array(coded.dictionary.to_pylist(), dtype=object)[coded.indices.to_numpy()]
    numbered = of.to_numpy()
    rows = np.argsort(numbered, kind="stable")
    columns = [each[rows].tolist() for each in (names, *(one.to_numpy() for one in facts))]
    sides = (np.searchsorted(numbered[rows], numbers, side) for side in ("left", "right"))
    for ends in zip(*sides, strict=True):
        paths, *facts = (column[slice(*ends)] for column in columns)
        yield dict(zip(paths, zip(*facts, strict=True), strict=True))


def _as_recorded(
    root: Path, key: SessionKey, recorded: Mapping[str, tuple[float, float]]
) -> int | None:
    """Return how many files a session has if all are as recorded, None if there is more to see."""
    folder = f"{root}/{key.mouse}/{key.date.isoformat()}/{key.number}"
    found = plain_facts(folder, enter=may_hold_alf)
    if found is None:
        return None
    if found != recorded:
        if any(path not in recorded and parse_alf_name(path.rpartition("/")[2]) for path in found):
            return None
        if any(_facts_of(folder, path, root, found) != facts for path, facts in recorded.items()):
            return None
    return len(recorded)


def _facts_of(
    folder: str, path: str, root: Path, found: Mapping[str, tuple[int, float]]
) -> tuple[int, float] | None:
    """Return size and time of a file, which may be where no ALF files are looked for."""
    if path in found:
        return found[path]
    try:
        file = _file_of(Path(folder), path, root)
    except InvalidValueError:
        return None
    return file and (file.size_bytes, file.modified)


def _in_full(
    lab: LabContext, folders: SessionFolders, part: Sequence[Look], *, gone_counts: bool
) -> Sequence[Look]:
    """Set the records of sessions, and the files in their folders."""
    root = folders.root.resolve()
    with lab.unit(readonly=True) as unit:
        rows = unit.datasets.of_sessions([one.number for one in part])
    for one in part:
        one.rows = rows[one.number]
        _find(one, folders)
        if one.folder is not None:
            _look(one, one.folder, root)
        elif not gone_counts:
            one.rows = {}
    return part


def _find(one: Look, folders: SessionFolders) -> None:
    """Set the folder of a session, or why it cannot be searched for."""
    try:
        one.folder = folders.find(one.key)
    except RootUnavailableError as error:
        folders.check()
        one.problem = str(error)


def _look(one: Look, folder: Path, root: Path) -> None:
    """Set the files of a session: those with ALF names, and others that are on record."""
    try:
        one.files = {
            file.rel_path: file for file in find_alf_files(folder, within=root, known=one.rows)
        }
        for path in one.rows.keys() - one.files.keys():
            file = _file_of(folder, path, root)
            if file is not None:
                one.files[path] = file
        for path in one.files.keys() - one.rows.keys():
            _check_path(path)
    except (InvalidValueError, NotFoundError) as error:
        one.files, one.problem = {}, str(error)


def _check_path(path: str) -> None:
    if os.fsencode(path) != path.encode(errors="replace"):
        raise InvalidValueError(f"the path {path!r} is not in UTF-8; rename what is not.")
    storable_text(path)
    if len(path) > _LONGEST_PATH:
        raise InvalidValueError(f"the path {path!r} is longer than 255 characters; shorten it.")


def _file_of(folder: Path, rel_path: str, root: Path) -> AlfFile | None:
    path = folder / rel_path
    try:
        status = path.stat()
    except OSError:
        # Missing, or behind something that is no folder any more, or a link to nothing.
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    refuse_outside(path, root)
    return AlfFile(rel_path, status.st_size, status.st_mtime, revision_of(rel_path))


def settle(unit: UnitOfWork, changed: Sequence[Look], at: Any) -> None:
    """Leave sessions alone that somebody works on, or whose records are others by now."""
    numbers = [one.number for one in changed]
    busy = dict(unit.deletions.claimed(numbers, now=at))
    now = unit.datasets.of_sessions(numbers)
    for one in changed:
        if one.number in busy:
            one.problem = f"{busy[one.number]} is working on it; scan it again afterwards."
        elif now[one.number] != one.rows:
            one.problem = "its records were changed meanwhile; scan it again."
