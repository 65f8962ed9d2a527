"""What is known of a dataset, and what a look at the disk says of it."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from vrtracker.display import Facts, Shown, counted
from vrtracker.domain.keys import SessionKey
from vrtracker.domain.qc import QC

_REVISION = re.compile(r"#[\w.-]+#/")
_LAST_REVISIONS = re.compile(r"(/#[\w.-]+#)+$")


def dataset_name(rel_path: str) -> str:
    """Return the path of a dataset without its revision: all of one name are its revisions."""
    return _REVISION.sub("", rel_path)


def is_called(rel_path: str, name: str) -> bool:
    """Return whether a dataset is meant by a name; `patterns_of` says the same to a database.

    A name is what the name of the file begins with, up to one of its points: ``trials``,
    ``trials.choice``, ``trials.choice.npy``; with the namespace or, as ONE has it, without:
    ``_ibl_trials.choice``. Before it may stand the collection, with the revision or without. The
    case of letters makes no difference.
    """
    collection, _, base = name.casefold().rpartition("/")
    folder, _, file = rel_path.casefold().rpartition("/")
    plain = _LAST_REVISIONS.sub("", folder)
    is_there = collection in {"", folder, plain}
    return is_there and bool(re.fullmatch(rf"(_[a-z0-9]+_)?{re.escape(base)}(\..*)?", file))


def patterns_of(name: str, wild: str, one: str) -> tuple[list[str], list[str], list[str]]:
    """Return patterns of paths that a name means: as it is, behind a namespace, and not such.

    `name`: a name as for `is_called`, without signs that mean more than themselves in a pattern.
    `wild`: stands for any text in a pattern, and `one` for an underscore.
    """
    collection, _, base = name.rpartition("/")
    folders = [f"{collection}/", f"{collection}/#{wild}#/"] if collection else ["", f"{wild}/"]
    ends = ("", f".{wild}")
    # A namespace stands between two underscores and holds none, nor does a collection begin so.
    fronts = ("", f"{one}{wild}{one}", f"{one}{wild}{one}{wild}{one}")
    plain, behind, longer = (
        [f"{folder}{front}{base}{end}" for folder in folders for end in ends] for front in fronts
    )
    return plain, behind, longer


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetRecord:
    """One file of a session, as it is recorded.

    `path`: path below the session's folder, with /.
    `size`: size, bytes.
    `sha256`, `md5`: hashes of the content, hexadecimal; None: never hashed.
    `revision`: label of the ``#revision#`` folder that it is in.
    `qc`: the level that people gave it.
    `exists`: whether the file was there when it was last looked for.
    `stage`: the stage that recorded it, or ``scan``, or ``import``.
    `recorded_at`: when it was, UTC.
    """

    path: str
    size: int
    sha256: str | None
    revision: str | None
    qc: QC
    exists: bool
    md5: str | None
    stage: str
    recorded_at: dt.datetime

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> Self:
        """Return what a row of `vrt_dataset` says."""
        return cls(
            path=row["rel_path"],
            size=int(row["size_bytes"]),
            sha256=row["sha256"],
            revision=row["revision"],
            qc=QC(row["qc_level"]),
            exists=row["missing_since"] is None,
            md5=row["md5"],
            stage=row["stage"],
            recorded_at=row["recorded_at"],
        )


@dataclass(frozen=True, slots=True)
class Problem:
    """A session that was left alone, and why."""

    key: SessionKey
    message: str


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class DatasetScan(Shown):
    """What a scan of datasets found and recorded.

    `sessions`: sessions that were looked at.
    `added`, `updated`, `unchanged`: files that are new, differ from their record, or are as
        recorded.
    `missing`: recorded files that are not there; their records stay.
    `hashed`: files whose content was read.
    `without_folder`: sessions without a folder here; their records were left alone.
    `problems`: sessions in which something cannot be read, or which somebody works on.
    """

    sessions: int = 0
    added: int = 0
    updated: int = 0
    unchanged: int = 0
    missing: int = 0
    hashed: int = 0
    without_folder: tuple[SessionKey, ...] = ()
    problems: tuple[Problem, ...] = ()

    def facts(self) -> Facts:
        """Return the counts, and what was left alone."""
        names = ("added", "updated", "unchanged", "missing", "hashed")
        rows = [(name, getattr(self, name)) for name in names]
        notes = [f"{each.key}: {each.message}" for each in self.problems]
        notes += [f"{key} has no folder here; left alone." for key in self.without_folder]
        return Facts(f"Datasets of {counted(self.sessions, 'session')}", rows, notes=notes)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class DatasetCheck(Shown):
    """Recorded files against their content on disk.

    `good`: files whose content is the recorded one. `changed`, `missing`, `unhashed`: files with
    another content, that are not there, or of which no hash is recorded. `problems`: sessions in
    which something cannot be read.
    """

    good: int
    changed: Sequence[tuple[SessionKey, str]] = ()
    missing: Sequence[tuple[SessionKey, str]] = ()
    unhashed: Sequence[tuple[SessionKey, str]] = ()
    problems: Sequence[Problem] = ()

    @property
    def is_good(self) -> bool:
        """Whether every file that has a hash is there with that content."""
        return not (self.changed or self.missing or self.problems)

    def facts(self) -> Facts:
        """Return the files that are not as recorded."""
        rows = [
            (str(key), path, what)
            for what in ("changed", "missing", "unhashed")
            for key, path in getattr(self, what)
        ]
        notes = [f"{each.key}: {each.message}" for each in self.problems]
        return Facts(
            f"{counted(self.good, 'file')} as recorded", rows, ("key", "path", "what"), notes=notes
        )
