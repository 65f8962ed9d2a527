"""Which database is one of a bundle: told without what reads and writes bundles."""

from __future__ import annotations

from pathlib import Path

from vrtracker.errors import ImportFileError

MANIFEST, DATABASE = "manifest.json", "lab.db"


def is_published(file: Path) -> bool:
    """Return whether a file is the database of a bundle, whose manifest lies beside it."""
    if file.name != DATABASE:
        return False
    manifest = file.with_name(MANIFEST)
    try:
        content = manifest.read_bytes()
    except OSError:
        return False
    from vrtracker.files.bundles import Manifest

    try:
        Manifest.read(content, str(file))
    except ImportFileError:
        return False
    return True
