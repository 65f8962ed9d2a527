"""Conditions in SQL that are kept with their opposites, so that NULL never decides."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import ColumnElement, and_, false, or_, true

Clause = ColumnElement[bool]


class Fact(NamedTuple):
    """A condition and its opposite."""

    holds: Clause
    fails: Clause


def all_of(facts: Iterable[Fact]) -> Fact:
    """Return that all hold."""
    parts = list(facts)
    if not parts:
        return Fact(true(), false())
    return Fact(and_(*(part.holds for part in parts)), or_(*(part.fails for part in parts)))


def any_of(facts: Iterable[Fact]) -> Fact:
    """Return that one holds at least."""
    return opposite(all_of(opposite(part) for part in facts))


def opposite(fact: Fact) -> Fact:
    """Return that it fails."""
    return Fact(fact.fails, fact.holds)
