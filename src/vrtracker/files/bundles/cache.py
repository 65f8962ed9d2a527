"""Snapshots that were fetched, in the user's cache folder: whole, verified, for use offline."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from vrtracker.errors import BackendError, NotFoundError
from vrtracker.files.bundles.manifest import (
    BundleFile,
    Manifest,
    check_name,
    checked_manifest,
    listed,
)
from vrtracker.files.bundles.sources import Progress, Source
from vrtracker.files.published import MANIFEST
from vrtracker.spelling import nearest

_READ_ONLY = 0o444
_LOGS = ("-wal", "-shm", "-journal")


@dataclass(frozen=True, slots=True)
class Fetched:
    """A bundle in the cache.

    `folder`: holds the manifest and all files that it names.
    """

    manifest: Manifest
    folder: Path


def cache_folder() -> Path:
    """Return where snapshots are kept: ``VRTRACKER_CACHE``, else the user's cache folder."""
    chosen = os.environ.get("VRTRACKER_CACHE")
    base = Path(chosen) if chosen else platformdirs.user_cache_path("vrtracker", appauthor=False)
    return base / "snapshots"


def fetch(source: Source, name: str, *, progress: Progress | None = None) -> Fetched:
    """Return a snapshot from the cache; what is missing or damaged there is fetched.

    A whole one is not asked for again, so that it can be used offline. Its files can only be read.

    Raises NotFoundError if the source's index names no such snapshot. Raises BackendError if what
    was fetched is not what the manifest names; nothing of it stays. Raises DatabaseUnavailableError
    if it is not in the cache and the source cannot be reached; what came of it stays, and is not
    fetched again.
    """
    check_name(name)
    mark = hashlib.sha256(source.address.encode()).hexdigest()[:12]
    folder = cache_folder() / mark / name
    content = _kept_manifest(folder)
    is_new = content is None
    if content is None:
        content = _manifest(source, name)
    manifest = Manifest.read(content, source.where(f"{name}/{MANIFEST}"))
    folder.mkdir(parents=True, exist_ok=True)
    for file in manifest.files:
        if not _is_whole(folder / file.path, file):
            _fetch(source, name, file, folder, progress or _tell_nobody)
    if is_new:
        # Last of all: where it is, all else is too.
        partial = folder / f".{MANIFEST}.{os.getpid()}"
        partial.write_bytes(content)
        keep(partial, folder / MANIFEST)
    return Fetched(manifest, folder)


def _kept_manifest(folder: Path) -> bytes | None:
    path = folder / MANIFEST
    return path.read_bytes() if path.is_file() else None


def _manifest(source: Source, name: str) -> bytes:
    rows = {str(row.get("name")): row for row in listed(source)}
    if name not in rows:
        place = source.where("").rstrip("/")
        raise NotFoundError("snapshot", name, nearest(name, rows), at=place)
    return checked_manifest(source, name, str(rows[name].get("manifest_sha256")))


def _fetch(source: Source, name: str, file: BundleFile, folder: Path, progress: Progress) -> None:
    partial = folder / f".{file.path}.part"
    path = f"{name}/{file.path}"
    source.fetch(path, file.bytes, partial, progress)
    if not _is_whole(partial, file):
        # What broke off is good to go on with; what is wrong is not.
        partial.unlink(missing_ok=True)
        raise BackendError(
            f"{source.where(path)} is damaged: it has not the SHA-256 that its manifest names. "
            "Try again; if it stays so, have the snapshot published anew under another name."
        )
    keep(partial, folder / file.path)


def keep(partial: Path, path: Path) -> None:
    """Put a file where it is to be, for reading alone; what SQLite has left beside it goes."""
    for log in logs_of(path):
        log.unlink(missing_ok=True)
    if path.exists():
        # Windows replaces no file that can only be read.
        path.chmod(0o644)
    partial.replace(path)
    path.chmod(_READ_ONLY)


def logs_of(path: Path) -> list[Path]:
    """Return the logs beside a file: with them SQLite would read other data than the file's."""
    logs = (path.with_name(f"{path.name}{ending}") for ending in _LOGS)
    return [log for log in logs if log.exists()]


def _is_whole(path: Path, file: BundleFile) -> bool:
    if not path.is_file() or path.stat().st_size != file.bytes or logs_of(path):
        return False
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() == file.sha256


def _tell_nobody(name: str, done: int, total: int) -> None:
    del name, done, total
