"""Python's garbage collector while the shell starts.

What imports make lives to the end of the process. To look through it for garbage again and again,
and once more at the end, takes a quarter of the time of a short command.
"""

from __future__ import annotations

import gc

_OBJECTS = 50_000
"""So many new objects before the collector looks, in place of some hundred."""
_usual: list[tuple[int, int, int]] = []
"""How it works otherwise, while the shell starts."""


def begin() -> None:
    """Have the collector look seldom until the start is over."""
    _usual.append(gc.get_threshold())
    gc.set_threshold(_OBJECTS, *_usual[-1][1:])


def started() -> None:
    """Have it work as before, and leave alone what is there; once for each `begin`."""
    if _usual:
        gc.freeze()
        gc.set_threshold(*_usual.pop())
