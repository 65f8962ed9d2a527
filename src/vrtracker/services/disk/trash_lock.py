"""One at a time at the trash of a root."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from vrtracker.backends.access.file_lock import FileLock
from vrtracker.backends.access.java_errors import OperationalError
from vrtracker.errors import RootUnavailableError
from vrtracker.files.layout import TRASH
from vrtracker.files.trees import reason_of

_LOCK = ".lock"
_PATIENCE_S = 600


@contextlib.contextmanager
def alone_at_trash(root: Path) -> Iterator[None]:
    """Let no other process take files away from a root, or bring some back, meanwhile.

    Raises RootUnavailableError if the trash cannot be written, or another one does not end.
    """
    folder = root / TRASH
    try:
        folder.mkdir(exist_ok=True)
        (folder / _LOCK).touch()
    except OSError as error:
        raise RootUnavailableError(
            f"{folder} cannot be written ({reason_of(error)}); nothing was taken away or brought "
            "back. The trash is a folder below the root: let yourself write there."
        ) from error
    lock = FileLock(folder / _LOCK)
    try:
        lock.acquire(timeout_s=_PATIENCE_S)
    except OperationalError as error:
        raise RootUnavailableError(
            f"Another process prunes or restores below {root} for more than {_PATIENCE_S} s. Try "
            "again when it has ended."
        ) from error
    try:
        yield
    finally:
        # Who waits for it sees that it is gone, and takes the next one.
        with contextlib.suppress(OSError):
            lock.path.unlink()
        lock.release()
