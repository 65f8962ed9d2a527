"""Databases that tests begin with, made once in a run and copied."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from vrtracker.backends.access.file_lock import FileLock

_LONGEST_TO_MAKE_S = 600.0
Make = Callable[[str], object]
"""Makes a database where the URL leads: nothing is there before, or nothing is in it.

It is a function of a module, since a file that it makes is found by its name.
"""


def migrate(url: str) -> None:
    """Bring an empty database to the newest schema, the way that a lab does."""
    from vrtracker.database.migration import upgrade

    upgrade(url)


def on_newest(make: Make) -> Make:
    """Let what makes a database begin with a copy of one with the newest schema and no rows."""
    make.begins_with = migrate  # type: ignore[attr-defined]
    return make


class Templates:
    """Files that are copied, each made once in a run: by the worker that first asks for it.

    `folder` is where all workers of the run find them; `fill` lets a `Make` make a file.
    """

    def __init__(self, folder: Path, suffix: str, fill: Callable[[Make, Path], None]) -> None:
        self._folder = folder
        self._suffix = suffix
        self._fill = fill
        self._known: set[Make] = set()

    def get(self, make: Make) -> Path:
        """Return the file that `make` makes; nobody may write to it."""
        path = self._folder / f"{make.__module__}.{make.__qualname__}{self._suffix}"
        if make not in self._known:
            lock = FileLock(path.with_name(f"{path.name}.lock"))
            lock.acquire(timeout_s=_LONGEST_TO_MAKE_S)
            try:
                if not path.exists():
                    self._make(make, path)
            finally:
                lock.release()
            self._known.add(make)
        return path

    def _make(self, make: Make, path: Path) -> None:
        with tempfile.TemporaryDirectory(dir=self._folder, ignore_cleanup_errors=True) as folder:
            made, whole = Path(folder, f"made{self._suffix}"), Path(folder, f"whole{self._suffix}")
            begins_with = getattr(make, "begins_with", None)
            if begins_with is not None:
                shutil.copyfile(self.get(begins_with), made)
            self._fill(make, made)
            shutil.copyfile(made, whole)
            whole.rename(path)
