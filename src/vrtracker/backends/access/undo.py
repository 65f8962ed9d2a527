"""A copy of the file from before a commit, kept for as long as the commit writes.

Neither driver writes atomically: a process killed in a commit can leave rows whose numbers
the file gives out again. The copy is put back when the file is opened next.
"""

from __future__ import annotations

import filecmp
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vrtracker.backends.access.java_errors import OperationalError
from vrtracker.backends.disk import dated_name, flush, may_write

SUFFIX = ".vrtracker-undo"
# A commit seldom takes as long; what a person puts in the file's place takes longer.
LONGEST_COMMIT_S = 60.0

_log = logging.getLogger(__name__)


def check_writable(path: Path) -> None:
    """Refuse a file that is there and that this process may not write to.

    Raises OperationalError if it is one.
    """
    if path.exists() and not may_write(path):
        raise OperationalError(
            "You have no permission to write to the file. Make it writable, or ask its owner for "
            "access.",
            "25006",
        )


@contextmanager
def guarded(path: Path) -> Iterator[None]:
    """Keep a copy of `path` while the block writes to it.

    After an error, or the end of the process, the file is as it was before; after the latter,
    `restore` brings the copy back.

    Raises OperationalError if the file is read-only, or the copy cannot be made; nothing has been
    written.
    """
    copy = _copy_of(path)
    partial = _half_made(path)
    check_writable(path)
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
        _put_back(copy, path)
        raise
    copy.unlink(missing_ok=True)


def is_pending(path: Path) -> bool:
    """Tell whether a commit to the file is under way, or was broken off."""
    return _copy_of(path).is_file()


def restore(path: Path) -> None:
    """Put the copy back, if there is one; the caller holds the lock of writers.

    Half a copy was made before anything was written, and goes. What the broken commit did not
    leave, somebody has put there since: it is kept under a dated name.

    Raises OperationalError if the copy cannot be put back.
    """
    copy = _copy_of(path)
    try:
        _half_made(path).unlink(missing_ok=True)
        if copy.is_file():
            _log.warning("A commit to %s was broken off. %s", path, _undone(copy, path))
    except OSError as error:
        raise OperationalError(
            f"A commit to {path} was broken off, and the copy from before, {copy}, cannot be put "
            f"back ({error.strerror}). Make room, and the file writable, then try again.",
            "08006",
        ) from error


def _undone(copy: Path, path: Path) -> str:
    """Put the copy back, and say what has become of the file."""
    if not path.exists():
        kept = dated_name(path)
        copy.rename(kept)
        return f"The file is gone; what it held before is in {kept}"
    if _is_of_the_commit(path, copy):
        _put_back(copy, path)
        return "It is as it was before."
    kept = dated_name(path)
    shutil.copy2(path, kept)
    flush(kept)
    _put_back(copy, path)
    return f"It is as it was before; what somebody has put in its place since is in {kept}"


def _is_of_the_commit(path: Path, copy: Path) -> bool:
    """Tell whether the file was last written to while the commit of the copy can have run."""
    # Both times are of one file system; a file that is put back often brings its old time.
    since_s = (path.stat().st_mtime_ns - copy.stat().st_mtime_ns) / 1e9
    return 0 <= since_s <= LONGEST_COMMIT_S or filecmp.cmp(path, copy, shallow=False)


def _put_back(copy: Path, path: Path) -> None:
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
