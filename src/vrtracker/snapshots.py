"""Snapshots: versions of a lab's database that never change, for papers and for clusters.

``tracker.publish`` writes one into a folder, which may be put on a web server as it is. `source` is
such a folder or URL; that of ``VRTRACKER_SNAPSHOTS`` if not given.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from vrtracker.database.versions import HEAD, REVISIONS
from vrtracker.display import Facts, Shown
from vrtracker.errors import ConfigurationError, NotFoundError, SchemaTooNewError
from vrtracker.files.bundles import Manifest, fetch, keep, listed, logs_of, source_of
from vrtracker.files.published import DATABASE
from vrtracker.opening import open_tracker
from vrtracker.tracker import Tracker

__all__ = [
    "Snapshot",
    "list_current_versions",
    "list_versions",
    "load_current",
    "load_version",
]

_Progress = Callable[[str, int, int], object]


@dataclass(frozen=True, slots=True, repr=False)
class Snapshot(Shown):
    """A snapshot on this computer, whole and verified.

    Attributes
    ----------
    path : Path
        Its SQLite file; at this version's schema, whatever the one is that was published.
    manifest : Manifest
        ``name, created_at, as_of, revision, vrtracker, sessions, mice, selection, licence,
        citation, files``.
    folder : Path
        Its other files: ``sessions.parquet``, ``mice.parquet``.

    Examples
    --------
    >>> manifest = tracker.publish("2026-1", "snapshots", "mouse.KO")
    >>> snapshot = vrtracker.snapshots.load_version("2026-1", "snapshots")
    >>> snapshot.manifest.sessions
    4
    """

    path: Path
    manifest: Manifest
    folder: Path

    @property
    def sha256(self) -> str:
        """SHA-256 of the SQLite file that was published."""
        return self.manifest.database.sha256

    def facts(self) -> Facts:
        """Return what it holds, and where.

        Examples
        --------
        >>> manifest = tracker.publish("2026-2", "snapshots", "mouse.KO")
        >>> vrtracker.snapshots.load_version("2026-2", "snapshots").facts().rows[2]
        ('mice', 1)
        """
        told = self.manifest
        names = ("created_at", "as_of", "sessions", "mice", "revision", "licence", "citation")
        rows = [(name, getattr(told, name)) for name in names if getattr(told, name) is not None]
        return Facts(
            f"The snapshot {told.name}, in {self.path}.", [*rows, ("SHA-256", self.sha256)]
        )

    def open(self, **options: Any) -> Tracker:
        """Open it, to read alone; options as `vrtracker.open`.

        Examples
        --------
        >>> manifest = tracker.publish("2026-3", "snapshots", "mouse.KO")
        >>> with vrtracker.snapshots.load_version("2026-3", "snapshots").open() as published:
        ...     published.sessions.count()
        4
        """
        return open_tracker(self.path, readonly=True, **options)

    def document(self) -> dict[str, Any]:
        """Return what ``vrtracker snapshot load --json`` writes.

        Examples
        --------
        >>> manifest = tracker.publish("2026-4", "snapshots", "mouse.KO")
        >>> vrtracker.snapshots.load_version("2026-4", "snapshots").document()["mice"]
        1
        """
        return {
            "path": str(self.path),
            "sha256": self.sha256,
            "sessions": self.manifest.sessions,
            "mice": self.manifest.mice,
            "revision": self.manifest.revision,
        }


def list_versions(
    source: str | os.PathLike[str] | None = None, *, only_supported: bool = True
) -> list[dict[str, Any]]:
    """Return the snapshots of a folder or URL, oldest first, as its index has them.

    Parameters
    ----------
    only_supported
        Leave out those whose schema is newer than this version's.

    Examples
    --------
    >>> manifest = tracker.publish("2026-1", "snapshots")
    >>> [row["name"] for row in vrtracker.snapshots.list_versions("snapshots")]
    ['2026-1']
    """
    rows = listed(source_of(_address(source)))
    return [row for row in rows if not only_supported or row.get("revision") in REVISIONS]


def list_current_versions(source: str | os.PathLike[str] | None = None) -> list[dict[str, Any]]:
    """Return the newest snapshot of each size that this version can read.

    Examples
    --------
    >>> for name in ("2026-1", "2026-2"):
    ...     manifest = tracker.publish(name, "snapshots")
    >>> [row["name"] for row in vrtracker.snapshots.list_current_versions("snapshots")]
    ['2026-2']
    """
    return list({row.get("size"): row for row in list_versions(source)}.values())


def load_current(
    size: str | None = None, source: str | os.PathLike[str] | None = None, **options: Any
) -> Snapshot:
    """Load the newest snapshot of a size; of those without one when not given.

    Raises
    ------
    NotFoundError
        If there is none; it carries the sizes that there are.

    Examples
    --------
    >>> manifest = tracker.publish("2026-5", "snapshots")
    >>> small = tracker.publish("2026-5-small", "snapshots", "mouse.KO", size="small")
    >>> vrtracker.snapshots.load_current("small", "snapshots").manifest.sessions
    4
    """
    newest = {row.get("size"): row for row in list_current_versions(source)}
    if size not in newest:
        sizes = [str(each) for each in newest if each]
        place = source_of(_address(source)).where("").rstrip("/")
        raise NotFoundError("snapshot of the size", size, sizes, at=place)
    return load_version(str(newest[size]["name"]), source, **options)


def load_version(
    name: str,
    source: str | os.PathLike[str] | None = None,
    *,
    progress: _Progress | None = None,
) -> Snapshot:
    """Return a snapshot from the cache, or fetch it there; a download goes on where it broke off.

    Parameters
    ----------
    source
        Folder or URL that snapshots were published to; that of ``VRTRACKER_SNAPSHOTS`` if not
        given.
    progress
        Called with a file's name, the bytes that are there, and how many there will be.

    Raises
    ------
    NotFoundError
        If there is no such snapshot.
    ImportFileError, BackendError
        If it is none, or damaged.
    SchemaTooNewError
        If its schema is newer than this version's.
    DatabaseUnavailableError
        If it is not in the cache and the source cannot be reached.

    Examples
    --------
    >>> manifest = tracker.publish("2026-6", "snapshots")
    >>> vrtracker.snapshots.load_version("2026-6", "snapshots").manifest.sessions
    12
    """
    fetched = fetch(source_of(_address(source)), name, progress=progress)
    manifest = fetched.manifest
    if manifest.revision not in REVISIONS:
        raise SchemaTooNewError(manifest.revision, HEAD, version("vrtracker"))
    path = fetched.folder / DATABASE
    if manifest.revision != HEAD:
        path = _upgraded(path)
    return Snapshot(path, manifest, fetched.folder)


def _upgraded(path: Path) -> Path:
    """Return a copy of an older file at the newest schema, which stays beside it."""
    from vrtracker.database.migration import upgrade

    newer = path.with_name(f"lab-{HEAD}.db")
    if not newer.exists() or logs_of(newer):
        partial = path.with_name(f".lab-{HEAD}.{os.getpid()}.db")
        shutil.copyfile(path, partial)
        upgrade(partial)
        with contextlib.closing(sqlite3.connect(partial)) as connection:
            # Read where nothing can be written, it would need its log beside it.
            connection.execute("PRAGMA journal_mode = DELETE")
        keep(partial, newer)
    return newer


def _address(source: str | os.PathLike[str] | None) -> str:
    found = os.environ.get("VRTRACKER_SNAPSHOTS") if source is None else os.fspath(source)
    if not found:
        raise ConfigurationError(
            "No place of snapshots is named; give a folder or URL (--from), or set "
            "VRTRACKER_SNAPSHOTS."
        )
    return found
