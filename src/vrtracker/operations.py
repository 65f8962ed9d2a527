"""Which call of the API, or which shell command, is being carried out.

All events of one operation carry its id (`vrt_event.operation_id`). A call that makes one
transaction needs nothing of this: the transaction is its operation. A call that makes several is
wrapped in `operation`; calls within it belong to it. Threads and other processes that work for the
same call take it up with ``operation(id)``.
"""

from __future__ import annotations

import contextlib
import contextvars
import os
from collections.abc import Iterator

_current: contextvars.ContextVar[str | None] = contextvars.ContextVar("operation", default=None)


def current() -> str | None:
    """Return the id of the operation that is being carried out here, or None."""
    return _current.get()


def new_id() -> str:
    """Return an id that no other operation has."""
    return os.urandom(16).hex()


def short(operation_id: str | None) -> str:
    """Return as much of an id as is shown to people; `Tracker.undo` knows the rest of it."""
    return (operation_id or "")[:8]


@contextlib.contextmanager
def operation(operation_id: str | None = None) -> Iterator[str]:
    """Make one operation of all that is written inside; yield its id.

    `operation_id`: go on with this one, begun in another thread or process; when not given, with
    the one that is being carried out here, else with a new one.
    """
    chosen = operation_id or current() or new_id()
    token = _current.set(chosen)
    try:
        yield chosen
    finally:
        _current.reset(token)
