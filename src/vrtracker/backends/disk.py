"""Files of databases: what makes them last, and which one it is."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path

from vrtracker import clock
from vrtracker.errors import BackendError, DatabaseUnavailableError

# How the folders of the services begin their names, in small letters.
_SYNCED = (
    "onedrive",
    "dropbox",
    "google drive",
    "googledrive",
    "my drive",
    "icloud drive",
    "iclouddrive",
    "mobile documents",
    "cloudstorage",
    "box sync",
    "nextcloud",
    "owncloud",
    "pcloud",
    "synologydrive",
)
_NETWORK = re.compile(
    r"nfs|nfs4|cifs|smb\d?|smbfs|afpfs|afs|ncpfs|webdav|davfs|9p|ceph|glusterfs|lustre|gpfs|beegfs"
    r"|fuse\.(sshfs|glusterfs|rclone|ceph|davfs2?)"
)


def copy_whole(path: Path, target: Path, *, check: Callable[[Path], object] | None = None) -> None:
    """Copy a file; the copy has its name only once its bytes are those of the file.

    `check`: called with the path of the finished copy before it has its name; may raise. Raises
    BackendError if the copy differs from the file.
    """
    partial = target.with_name(f"{target.stem}.part{target.suffix}")
    try:
        shutil.copy2(path, partial)
        if _digest(path) != _digest(partial):
            raise BackendError(
                f"The copy of {path} differs from it; look at the disk, or at who writes to it."
            )
        if check is not None:
            check(partial)
        flush(partial)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def flush(path: Path) -> None:
    """Wait until the content of a file is on the disk."""
    # Windows alone asks for the right to write, which the copy of a read-only file has not.
    with path.open("rb+" if os.name == "nt" else "rb") as stream:
        os.fsync(stream.fileno())


def flush_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk, where the system can say so."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def dated_name(path: Path) -> Path:
    """Return a free name beside a file under which to keep what it holds now."""
    moment = clock.now().strftime("%Y-%m-%dT%H%M%SZ")
    target = path.with_name(f"{path.stem}.before-{moment}{path.suffix}")
    number = 2
    while target.exists():
        target = path.with_name(f"{path.stem}.before-{moment}-{number}{path.suffix}")
        number += 1
    return target


def time_of_drive(folder: Path) -> dt.datetime | None:
    """Return what time it is by the clock that dates new files in a folder, aware UTC.

    On a shared drive that is the server's. None where no file can be made.
    """
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            made = os.fstat(file.fileno()).st_mtime
    except OSError:
        return None
    return dt.datetime.fromtimestamp(made, dt.UTC)


def synced_folder(path: Path) -> str | None:
    """Return the folder of a cloud service in which a file lies, by how they are named."""
    parts = path.resolve().parent.parts
    return next((part for part in parts if part.casefold().startswith(_SYNCED)), None)


def network_drive(path: Path) -> str | None:
    """Return which kind of network drive a file lies on; None for a drive of this computer."""
    import psutil

    place = path.resolve()
    mounted = [
        each for each in psutil.disk_partitions(all=True) if place.is_relative_to(each.mountpoint)
    ]
    nearest = max(mounted, key=lambda each: len(each.mountpoint), default=None)
    if nearest is not None and (
        _NETWORK.fullmatch(nearest.fstype.lower()) or "remote" in nearest.opts.split(",")
    ):
        return nearest.fstype or "remote"
    return "a share of Windows" if place.drive.startswith("\\\\") else None


def may_write(path: Path) -> bool:
    """Return whether the permissions of a file let this process write to it."""
    return _may(os.W_OK, path)


def is_file_there(path: Path, *, create: bool) -> bool:
    """Return whether a database's file is there; where not, it can be made.

    Raises DatabaseUnavailableError if it is missing and is not to be made, or its folder takes no
    file; it is a folder, or the system does not let one look, or read it.
    """
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        _check_missing(path, create=create)
        return False
    except PermissionError as error:
        raise DatabaseUnavailableError(
            f"You have no permission to look into {path.parent}; ask its owner for access."
        ) from error
    except (OSError, ValueError) as error:
        # A name that is too long, links in a circle, a zero byte.
        reason = getattr(error, "strerror", None) or error
        raise DatabaseUnavailableError(
            f"{path} cannot be a file ({reason}); correct the path."
        ) from error
    if stat.S_ISDIR(found.st_mode):
        raise DatabaseUnavailableError(f"{path} is a folder; give the database file in it.")
    if not _may(os.R_OK, path):
        raise DatabaseUnavailableError(
            f"You have no permission to read {path}; ask its owner for access."
        )
    return True


def file_identity(path: str | Path) -> tuple[int, int]:
    """Return what tells a file from every other one, whatever the name it was reached by."""
    found = os.stat(path)  # noqa: PTH116 - asked before each transaction
    return found.st_dev, found.st_ino


def which_file(path: str | Path | None) -> tuple[int, int] | None:
    """Return the identity of what stands under a name now, None if nothing does."""
    try:
        return file_identity(path or "")
    except OSError:
        return None


def _may(how: int, path: Path) -> bool:
    return os.access(path, how, effective_ids=os.access in os.supports_effective_ids)


def _check_missing(path: Path, *, create: bool) -> None:
    if not path.parent.is_dir():
        raise DatabaseUnavailableError(
            f"There is no folder {path.parent}; make it first, or correct the path."
        )
    if not create:
        raise DatabaseUnavailableError(
            f"There is no database {path}. Correct the path, or make a new one: "
            f"vrtracker --url {path} init"
        )
    if not may_write(path.parent):
        raise DatabaseUnavailableError(
            f"You have no permission to make a file in {path.parent}; choose another folder."
        )


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
