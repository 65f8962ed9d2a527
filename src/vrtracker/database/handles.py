"""All databases that this process holds, so that a fork and `dispose_all` reach each."""

from __future__ import annotations

import ctypes
import os
import weakref
from typing import Any, Protocol


class _Handle(Protocol):
    def dispose(self) -> None: ...

    def leave_to_parent(self) -> None: ...


_ALL: weakref.WeakSet[_Handle] = weakref.WeakSet()


def add(handle: _Handle) -> None:
    """Note a database, for as long as somebody holds it."""
    _ALL.add(handle)


def dispose_all() -> None:
    """Close every connection of this process to every database; the next use opens new ones.

    Examples
    --------
    >>> vrtracker.dispose_all()
    >>> tracker.sessions.count()
    12
    """
    for handle in list(_ALL):
        handle.dispose()


def _leave_all_to_parent() -> None:
    for handle in list(_ALL):
        handle.leave_to_parent()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_all_to_parent)


def keep_for_ever(*inherited: Any) -> None:
    """Never free what a fork has copied: to close it would close the parent's connections too."""
    for thing in inherited:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))
