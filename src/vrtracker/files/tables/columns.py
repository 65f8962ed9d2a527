"""The columns that cells are meant for, and their cells while they are being read."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


class Kind(enum.Enum):
    """What a column holds."""

    TEXT = enum.auto()
    FLAG = enum.auto()
    INTEGER = enum.auto()
    NUMBER = enum.auto()
    DATE = enum.auto()
    TIME = enum.auto()
    OTHER = enum.auto()


@dataclass(frozen=True, slots=True)
class Target:
    """A column that cells are meant for; `can_be_missing`: it may be without a value."""

    name: str
    kind: Kind
    can_be_missing: bool = True


@dataclass(frozen=True, slots=True)
class Unread:
    """In place of a cell that is not understood: why, and what would help."""

    message: str


@dataclass(frozen=True, slots=True)
class Disguised:
    """A number whose cell shows another text, such as 012; it matters where text is meant."""

    number: float


@dataclass(frozen=True, slots=True)
class Doubt:
    """What was read, and may be meant otherwise."""

    line: int
    column: str
    message: str


@dataclass(slots=True)
class Column:
    """The cells of one column while they are being read."""

    target: Target
    lines: Sequence[int]
    cells: list[Any]
    """Values that the column takes, cells as they were where it says itself what is wrong with
    them, `Unread`, or None for a missing one.
    """
    notes: list[str] = field(default_factory=list)
    doubts: list[Doubt] = field(default_factory=list)

    def texts(self) -> list[str]:
        """Return the cells that are text."""
        return [cell for cell in self.cells if isinstance(cell, str)]
