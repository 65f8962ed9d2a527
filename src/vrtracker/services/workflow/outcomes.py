"""What an attempt is while it runs, and what it leaves for the record."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from vrtracker.domain.keys import SessionKey
from vrtracker.domain.registrars import DatasetFile
from vrtracker.domain.snapshots import Snapshot
from vrtracker.domain.stages import Stage, StageKind
from vrtracker.domain.states import State
from vrtracker.domain.told import image_name
from vrtracker.repositories.row_images import DATASETS

REGISTRAR = "registrar"
"""The key in an attempt's versions under which the registrar's own stands."""
_WAKING_S = 1
"""How long work takes whose success wakes those who wait for the next stage, seconds."""


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to work on one session in one stage, until its lease ends."""

    attempt_id: str
    stage: Stage
    snapshot: Snapshot
    """The session as it was when it was claimed."""
    before: State

    @property
    def key(self) -> SessionKey:
        """The session."""
        return self.snapshot.record.key


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """How the work went, for the record."""

    duration_s: float | None = None
    bytes: int = 0
    datasets: Sequence[DatasetFile] = ()
    written: Collection[str] = ()
    """Paths of the datasets that the work wrote itself, rather than found."""
    complete: bool = False
    """Whether `datasets` are all there are: a dataset found before that is not among them goes."""
    excludes: Mapping[str, str] = field(default_factory=dict)
    """Open stages that are not for the session after this, each with the reason."""


def dataset_changes(
    claim: Claim, finished: Finished, known: Sequence[Mapping[str, Any]], *, at: dt.datetime
) -> tuple[list[int], list[dict[str, Any]]]:
    """Return which dataset rows to delete and which to insert; unchanged files keep theirs."""
    before = {row["rel_path"]: row for row in known}
    wanted = {file.rel_path: file for file in finished.datasets}
    same = {
        path
        for path, file in wanted.items()
        if path in before
        and (before[path]["size_bytes"], before[path]["md5"]) == (file.size_bytes, file.md5)
    }
    removed = [
        row["dataset_id"]
        for path, row in before.items()
        if path not in same
        and (
            path in wanted
            or (row["stage"] == claim.stage.name and (row["written"] or finished.complete))
        )
    ]
    added = [
        {
            "uSessionID": claim.snapshot.record.uSessionID,
            "rel_path": path,
            "stage": claim.stage.name,
            "attempt_id": claim.attempt_id,
            "written": path in finished.written,
            "revision": file.revision,
            "size_bytes": float(file.size_bytes),
            "md5": file.md5,
            "qc_level": 0,
            "recorded_at": at,
        }
        for path, file in wanted.items()
        if path not in same
    ]
    return removed, added


def wakes(finished: Finished, dependents: Collection[Stage]) -> bool:
    """Return whether others are to be woken: commits that do so wait for each other."""
    took_long = (finished.duration_s or 0) > _WAKING_S
    return took_long and any(other.kind is StageKind.PROCESS for other in dependents)


def records_gone(
    known: Sequence[Mapping[str, Any]], removed: Collection[int]
) -> dict[str, list[Any]]:
    """Return as events keep it which records of files give way to new ones."""
    gone = {*removed}
    return {
        image_name(DATASETS, row["rel_path"]): [
            {name: value for name, value in row.items() if name != "uSessionID"},
            None,
        ]
        for row in known
        if row["dataset_id"] in gone
    }
