"""All databases that this process holds, so that a fork and `dispose_all` reach each."""

from __future__ import annotations

import ctypes
import os
import weakref
from typing import Any, Protocol

from vrtracker.backends import forks


class _Handle(Protocol):
    def dispose(self) -> None: ...

    def let_go(self) -> None: ...

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


def _before_fork() -> None:
    def let_go() -> None:
        for handle in list(_ALL):
            handle.let_go()

    forks.before(let_go)


def _in_child() -> None:
    keep_for_ever(*forks.after_in_child())
    for handle in list(_ALL):
        handle.leave_to_parent()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork, after_in_parent=forks.after_in_parent, after_in_child=_in_child
    )


def keep_for_ever(*inherited: Any) -> None:
    """Never free what a fork has copied: to close it would close the parent's connections too."""
    for thing in inherited:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))
