"""A copy of the file from before a commit, kept for as long as the commit writes.

Neither driver writes atomically: a process killed in a commit can leave rows whose numbers
the file gives out again. The copy is put back when the file is opened next.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vrtracker.backends.access.java_errors import OperationalError
from vrtracker.backends.disk import flush

__all__ = ["guarded", "is_pending", "restore"]

SUFFIX = ".vrtracker-undo"


@contextmanager
def guarded(path: Path) -> Iterator[None]:
    """Keep a copy of `path` while the block writes to it.

    After an error, or the end of the process, the file is as it was before; after the latter,
    `restore` brings the copy back.

    Raises
    ------
    OperationalError
        The copy cannot be made; nothing has been written.
    """
    copy = _copy_of(path)
    partial = _half_made(path)
    try:
        shutil.copyfile(path, partial)
        flush(partial)
        partial.replace(copy)
    except OSError as error:
        raise OperationalError(
            f"{path} cannot be copied before it is written to ({error.strerror}); nothing was "
            "written. Make room for a second copy on its disk.",
            "53100",
        ) from error
    finally:
        partial.unlink(missing_ok=True)
    before = path.stat().st_mtime_ns
    try:
        yield
        _stamp(path, after_ns=before)
        flush(path)
    except BaseException:
        restore(path)
        raise
    copy.unlink(missing_ok=True)


def is_pending(path: Path) -> bool:
    """Tell whether a commit to the file is under way, or was broken off."""
    return _copy_of(path).is_file()


def restore(path: Path) -> None:
    """Put the copy back, if there is one; the caller holds the lock of writers.

    Half a copy was made before anything was written, and goes.
    """
    _half_made(path).unlink(missing_ok=True)
    copy = _copy_of(path)
    if copy.is_file():
        # Written in place: other processes may have the file open.
        before = path.stat().st_mtime_ns
        shutil.copyfile(copy, path)
        _stamp(path, after_ns=before)
        flush(path)
        copy.unlink()


def _copy_of(path: Path) -> Path:
    return path.with_name(path.name + SUFFIX)


def _half_made(path: Path) -> Path:
    return path.with_name(f"{path.name}{SUFFIX}.part")


def _stamp(path: Path, *, after_ns: int) -> None:
    """Give the file a time of its own: clocks of file systems tick every few milliseconds."""
    found = path.stat()
    os.utime(path, ns=(found.st_atime_ns, max(found.st_mtime_ns, after_ns + 1)))
