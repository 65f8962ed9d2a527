"""What an event tells of a session or mouse: what its changes mean, in one place.

``changes`` holds ``[old, new]`` of each column of the row. Beside columns it may hold

- ``entry``: whether the row was in its table, before and after: `THERE`, None for nowhere, or what
  is known of its deletion (the cells of its row of `vrt_deleted` but the content);
- ``<stage>:mark``: the tracker's mark of a stage, for people;
- ``row:<table>:<name>``: a row of the tracker's that hangs on the session, None for none;
- ``undoes``: the operations that an undoing takes back.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

ENTRY, UNDOES, IMAGE = "entry", "undoes", "row:"
THERE = "there"
"""Of a row that is in its table."""
OUTSIDE = "outside"
"""Who signs what was changed past the tracker."""
FOUND = "found"
"""The verb of a row of which no event told before; with all that it holds beside defaults."""

_ENTRIES: Mapping[str, tuple[Any, Any]] = {
    "added": (None, THERE),
    FOUND: (None, THERE),
    "deleted": (THERE, {}),
    "restored": ({}, THERE),
}


def entry_of(verb: str, changes: Mapping[str, Any]) -> tuple[Any, Any] | None:
    """Return whether the row was there before and after an event, or None if that is alike."""
    pair = changes.get(ENTRY)
    return (pair[0], pair[1]) if pair else _ENTRIES.get(verb)


def mark_name(stage: str) -> str:
    """Return what the mark of a stage is called in changes."""
    return f"{stage}:mark"


def image_name(table: str, name: Any) -> str:
    """Return what a row that hangs on a session is called in changes."""
    return f"{IMAGE}{table}:{name}"


def split_image(name: str) -> tuple[str, str]:
    """Return table and name of a row from what it is called in changes."""
    _, table, row = name.split(":", 2)
    return table, row


def images_of(changes: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the rows that hang on the session, by what they are called, as they were and became."""
    return ((name, pair) for name, pair in changes.items() if name.startswith(IMAGE))


def alike(value: Any, other: Any) -> bool:
    """Return whether two values of JSON show one; decimals may be kept as text or as number."""
    if any(each is None or isinstance(each, bool) for each in (value, other)):
        return value is other
    if isinstance(value, str) is not isinstance(other, str):
        with contextlib.suppress(InvalidOperation):
            return Decimal(str(value)) == Decimal(str(other))
    return bool(value == other)
