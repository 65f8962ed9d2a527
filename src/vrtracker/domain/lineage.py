"""Under which keys a session or mouse stands in the history, which goes by keys that may change.

A key can change hands: once a subject has got another key, somebody else may get its old one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


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
