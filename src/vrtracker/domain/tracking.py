"""Runs that tracked cells over the sessions of a mouse, as they are found on disk."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from vrtracker.domain.keys import SessionKey

KINDS = ("labels", "sample_silhouettes", "cluster_silhouettes")
"""What there is of each session: the cluster of each ROI, how well it fits, and the cluster."""


@dataclass(frozen=True, slots=True)
class TrackedFiles:
    """The files of one session of a run."""

    key: SessionKey
    files: Mapping[str, Mapping[str, str]]
    """By kind, ``{"name": …, "sha256": …}``."""
    labelled_at: dt.datetime
    """When the labels were written, UTC, whole seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundRun:
    """A run of tracking on disk."""

    run: str
    """SHA-256 of the names and contents of its files, hexadecimal."""
    mouse: str
    folder: str
    """Of the files, below the root, with ``/``."""
    plane: int | None = None
    """The imaging plane; None where all planes stand in one file, one after the other."""
    made_by: str | None = None
    settings: Any = None
    sessions: tuple[TrackedFiles, ...] = ()
    """By date and number."""

    def to_json(self) -> dict[str, Any]:
        """Return a document of plain JSON values."""
        return {
            "run": self.run,
            "mouse": self.mouse,
            "folder": self.folder,
            "plane": self.plane,
            "made_by": self.made_by,
            "settings": self.settings,
            "sessions": [
                {
                    "key": str(each.key),
                    "files": {kind: dict(file) for kind, file in each.files.items()},
                    "labelled_at": each.labelled_at.isoformat(),
                }
                for each in self.sessions
            ],
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> FoundRun:
        """Read what `to_json` wrote; raises KeyError, TypeError or ValueError for others."""
        sessions = tuple(
            TrackedFiles(
                SessionKey.parse(each["key"]),
                {
                    kind: {n: str(each["files"][kind][n]) for n in ("name", "sha256")}
                    for kind in KINDS
                },
                dt.datetime.fromisoformat(each["labelled_at"]),
            )
            for each in document["sessions"]
        )
        return cls(**{**document, "sessions": sessions})


@dataclass(frozen=True, slots=True)
class MouseChange:
    """What changes of a mouse: old and new value by column, and why."""

    mouse: str
    columns: Mapping[str, tuple[bool, bool]] = field(default_factory=dict)
    why: str = ""

    def inverse(self) -> MouseChange:
        """Return the change that takes this one back."""
        columns = {name: (new, old) for name, (old, new) in self.columns.items()}
        return MouseChange(self.mouse, columns, self.why)


def run_hash(files: Sequence[Mapping[str, str]]) -> str:
    """Return the SHA-256 of names and hashes of files, in any order, hexadecimal."""
    lines = sorted({f"{each['name']}\n{each['sha256']}\n" for each in files})
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()
