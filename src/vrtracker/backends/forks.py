"""SQLite and forks: a child must inherit no open connection.

SQLite's notes of its locks are copied, and the locks are not. A child would wait for ever for a
writer that it does not have; and what it commits would be gone once the parent closes the file,
which takes itself for the last to have it open and removes the log.
"""

from __future__ import annotations

import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from vrtracker.backends.disk import which_file
from vrtracker.errors import BackendError

BY_SPAWN = (
    "Start workers by spawn: multiprocessing.get_context('spawn'), or "
    "ProcessPoolExecutor(mp_context=multiprocessing.get_context('spawn'))."
)
_WAIT_S, _PAUSE_S = 5, 0.002
_gate = threading.RLock()
"""Held while a connection is opened, and during a fork."""
_open: set[weakref.ref[_Watched]] = set()
_inherited: set[tuple[int, int] | None] = set()
"""Files that the parent had open when this process was forked."""


class _Watched(sqlite3.Connection):
    """A connection that a fork knows of until it is closed, and which thread used it last."""

    def __init__(self, path: str, *options: Any, **more: Any) -> None:
        super().__init__(path, *options, **more)
        self.file: tuple[int, int] | None = None
        self.user = threading.get_ident()
        self._ref = weakref.ref(self, _open.discard)
        _open.add(self._ref)

    def cursor(self, *options: Any) -> Any:
        self.user = threading.get_ident()
        return super().cursor(*options)

    def close(self) -> None:
        super().close()
        _open.discard(self._ref)


def connect(path: Path, uri: str | None = None, **options: Any) -> sqlite3.Connection:
    """Open a file as `sqlite3.connect` does, by its address if one is given.

    Raises BackendError if it was open when this process was forked.
    """
    with _gate:
        if _inherited and which_file(path) in _inherited:
            raise BackendError(
                f"This process was forked while {path} was being read or written, and SQLite "
                f"would lose what it writes. {BY_SPAWN}"
            )
        opened = sqlite3.connect(uri or path, uri=uri is not None, factory=_Watched, **options)
        opened.file = which_file(path)
        return opened


def before(let_go: Callable[[], None]) -> None:
    """Wait a few seconds until no other thread uses a connection, and keep new ones from opening.

    `let_go`: closes those that nobody uses.
    """
    _gate.acquire()
    deadline, looked = time.monotonic() + _WAIT_S, False
    while _open:
        let_go()
        used = [each.user for ref in tuple(_open) if (each := ref()) is not None]
        is_mine = set(used) <= {threading.get_ident()}
        # Another thread may have taken one that was ours, and not used it yet.
        if (is_mine and looked) or time.monotonic() > deadline:
            return
        looked = is_mine
        time.sleep(_PAUSE_S)


def after_in_parent() -> None:
    """Let connections be opened again."""
    _gate.release()


def after_in_child() -> Sequence[sqlite3.Connection]:
    """Return the connections that were open all the same; their files cannot be used here."""
    _gate.release()  # the thread that forked has it, and is all there is here
    left = [each for ref in tuple(_open) if (each := ref()) is not None]
    _inherited.update(each.file for each in left)
    _open.clear()
    return left
