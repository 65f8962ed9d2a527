"""What a snapshot is: the manifest of a bundle, and the index of a folder of them."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import logging
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from vrtracker.errors import BackendError, ImportFileError, InvalidValueError
from vrtracker.files.published import DATABASE, MANIFEST

if TYPE_CHECKING:
    from vrtracker.files.bundles.sources import Source

INDEX = "index.json"
_log = logging.getLogger(__name__)
_FORMAT = "vrtracker snapshot"
_INDEX_FORMAT = "vrtracker snapshots"
_VERSION = 1
_NAME = re.compile(r"\w[\w.-]{0,99}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class BundleFile:
    """A file of a bundle.

    `path`: its name in the bundle's folder. `sha256`: hexadecimal.
    """

    path: str
    bytes: int
    sha256: str

    def __post_init__(self) -> None:
        """Refuse what would be written elsewhere than into the bundle's folder."""
        fits = _NAME.fullmatch(self.path) and _SHA256.fullmatch(self.sha256)
        if not fits or type(self.bytes) is not int or self.bytes < 0:
            raise ValueError(f"{self.path!r} is no file of a snapshot")

    @classmethod
    def of(cls, path: Path) -> Self:
        """Return what a file is."""
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        return cls(path.name, path.stat().st_size, digest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What is in a bundle.

    `created_at`: ISO 8601, UTC.
    `revision`, `vrtracker`: of the schema, and the version of the package that wrote it.
    `sessions`, `mice`: how many it holds.
    `as_of`: the moment that it shows, if that is an earlier one.
    `selection`: the filters that its sessions passed; empty for all.
    `size`: a label such as ``small``.
    """

    name: str
    created_at: str
    revision: str
    vrtracker: str
    sessions: int
    mice: int
    as_of: str | None = None
    selection: Mapping[str, Any] = field(default_factory=dict)
    size: str | None = None
    licence: str | None = None
    citation: str | None = None
    files: tuple[BundleFile, ...] = ()

    @property
    def database(self) -> BundleFile:
        """The SQLite file."""
        return next(file for file in self.files if file.path == DATABASE)

    def written(self) -> bytes:
        """Return it as the file ``manifest.json``."""
        return _json({"format": f"{_FORMAT} {_VERSION}", **asdict(self)})

    @classmethod
    def read(cls, content: bytes, where: str) -> Self:
        """Read what `written` returns.

        Raises ImportFileError if it is something else, or of a newer version.
        """
        document = _document(content, where, _FORMAT)
        try:
            files = tuple(BundleFile(**file) for file in document.pop("files"))
            found = cls(**document, files=files)
            check_name(found.name)
            dt.datetime.fromisoformat(found.created_at)
            found.database  # noqa: B018 - a bundle without one is none
        except (TypeError, ValueError, KeyError, AttributeError, StopIteration) as error:
            raise ImportFileError(
                f"{where} is no whole manifest of a snapshot ({error}); publish it anew."
            ) from error
        return found


def check_name(name: str) -> str:
    """Return the name of a snapshot; refuse one that is no name of a folder everywhere."""
    if not _NAME.fullmatch(name):
        raise InvalidValueError(
            f"A snapshot's name has letters, digits, '_', '-' and '.', not {name!r}; try fig3."
        )
    return name


def write_index(folder: Path) -> Path:
    """Write the index of all bundles of a folder, in the place of an older one.

    What is no bundle is left out, and a warning names it. Of two who write at once, the last finds
    the bundles of both.
    """
    target = folder / INDEX
    partial = folder / f".{INDEX}.{os.getpid()}"
    seen = None
    while (there := sorted(folder.glob(f"*/{MANIFEST}"))) != seen:
        seen = there
        snapshots = {"format": f"{_INDEX_FORMAT} {_VERSION}", "snapshots": _listing(there)}
        partial.write_bytes(_json(snapshots))
        partial.replace(target)
    return target


def _listing(paths: list[Path]) -> list[dict[str, Any]]:
    listing = []
    for path in paths:
        try:
            content, manifest = _own_manifest(path)
        except (ImportFileError, OSError) as error:
            _log.warning("%s is left out of the index: %s", path.parent, error)
            continue
        row = asdict(manifest)
        row["bytes"] = sum(file.bytes for file in manifest.files)
        row["sha256"] = manifest.database.sha256
        row["manifest_sha256"] = hashlib.sha256(content).hexdigest()
        del row["files"], row["selection"]
        listing.append(row)
    listing.sort(key=lambda row: (row["created_at"], row["name"]))
    return listing


def _own_manifest(path: Path) -> tuple[bytes, Manifest]:
    content = path.read_bytes()
    manifest = Manifest.read(content, str(path))
    if manifest.name != path.parent.name:
        raise ImportFileError(f"{path} is that of {manifest.name}; publish it under its own name.")
    return content, manifest


def listed(source: Source) -> list[dict[str, Any]]:
    """Return the rows of a source's index, oldest first.

    Raises ImportFileError if it is no index, or of a newer version. Raises DatabaseUnavailableError
    if there is none, or it cannot be reached.
    """
    where = source.where(INDEX)
    rows = _document(source.read(INDEX), where, _INDEX_FORMAT).get("snapshots")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ImportFileError(f"{where} is no whole index of snapshots; publish one anew.")
    return rows


def checked_manifest(source: Source, name: str, sha256: str) -> bytes:
    """Return the manifest of a bundle, which the index has named.

    Raises BackendError if it is another one.
    """
    path = f"{name}/{MANIFEST}"
    content = source.read(path)
    if hashlib.sha256(content).hexdigest() != sha256:
        raise BackendError(
            f"{source.where(path)} is damaged: it has not the SHA-256 that the index names. Have "
            "the snapshot published anew under another name."
        )
    return content


def _json(document: Mapping[str, Any]) -> bytes:
    return f"{json.dumps(document, indent=1, ensure_ascii=False)}\n".encode()


def _document(content: bytes, where: str, kind: str) -> dict[str, Any]:
    try:
        document = json.loads(content)
        name, _, number = document.pop("format").rpartition(" ")
        version = int(number)
    except (ValueError, AttributeError, KeyError, TypeError):
        name, version, document = "", 0, {}
    if name != kind:
        raise ImportFileError(f"{where} is not of {kind}; give a folder or URL with an index.")
    if version > _VERSION:
        raise ImportFileError(
            f"{where} was written by a newer vrtracker (format {version}, this one reads "
            f"{_VERSION}). Upgrade the package: pip install --upgrade vrtracker"
        )
    return dict(document)
