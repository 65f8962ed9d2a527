"""What an event tells of a session or mouse: what its changes mean, in one place.

``changes`` holds ``[old, new]`` of each column of the row. Beside columns it may hold

- ``entry``: whether the row was in its table, before and after: `THERE`, None for nowhere, or what
  is known of its deletion (the cells of its row of `vrt_deleted` but the content);
- ``<stage>:mark``: the tracker's mark of a stage, for people;
- ``row:<table>:<name>``: a row of the tracker's that hangs on the session, None for none;
- ``undoes``: the operations that an undoing takes back.

And under which keys one session or mouse stands in the history: its `lineage`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

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


class Move(NamedTuple):
    """An event, by its number, with which a subject got a new key."""

    number: int
    old: str
    new: str


class Span(NamedTuple):
    """The time for which a key was one subject's."""

    key: str
    since: int | None
    """Number of the first event that may be of it; None: from the beginning."""
    until: int | None
    """Number of the first event that is not of it any more; None: to this day."""


def lineage(key: str, moves: Sequence[Move], *, at: int | None = None) -> list[Span]:
    """Return every key of one subject, each with the time for which it was the subject's.

    A key can change hands: once a subject has got another key, somebody else may get its old one.
    `key`: a key of the subject. `moves`: all changes of keys, in order. `at`: number of an event at
    which it was the subject's; today when not given.
    """
    spans = [_span(key, moves, at)]
    by_number = {move.number: move for move in moves}
    while (move := by_number.get(spans[0].since or 0)) and move.new == spans[0].key:
        spans.insert(0, _span(move.old, moves, move.number - 1))
    while (move := by_number.get(spans[-1].until or 0)) and move.old == spans[-1].key:
        spans.append(_span(move.new, moves, move.number))
    return spans


def _span(key: str, moves: Sequence[Move], at: int | None) -> Span:
    """Return the time around an event for which nobody gave a key up and nobody else got it."""
    cuts = [move.number for move in moves if key in (move.old, move.new)]
    since = max((cut for cut in cuts if at is None or cut <= at), default=None)
    until = min((cut for cut in cuts if at is not None and cut > at), default=None)
    return Span(key, since, until)
