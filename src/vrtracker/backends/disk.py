"""Files of databases: what makes them last, and which one it is."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["file_identity", "flush", "flush_folder"]


def flush(path: Path) -> None:
    """Wait until the content of a file is on the disk."""
    with path.open("rb+") as stream:
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


def file_identity(path: Path) -> tuple[int, int]:
    """Return what tells a file from every other one, whatever the name it was reached by."""
    found = path.stat()
    return found.st_dev, found.st_ino
