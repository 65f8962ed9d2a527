"""Files that have to be in a session's folder, by patterns."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


def missing(folder: Path, patterns: Iterable[str]) -> list[str]:
    """Return the patterns that no file below a folder has; a pattern is a path with * and ?.

    Raises OSError if the folder cannot be looked into.
    """
    return [
        pattern for pattern in patterns if not any(path.is_file() for path in folder.glob(pattern))
    ]
