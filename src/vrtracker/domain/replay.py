"""What the history knows of the rows: its events, replayed in order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

__all__ = ["BASELINES", "FOUND", "OUTSIDE", "Known", "Told", "replay"]

OUTSIDE = "outside"
"""Who signs what was changed past the tracker."""
FOUND = "found"
"""A row of which no event told before; all that it holds beside defaults."""
BASELINES = frozenset({"added", FOUND, "restored"})
"""Verbs of events from which on every column of the row is known."""


class Told(NamedTuple):
    """What an event says of a row."""

    number: int
    key: str
    verb: str
    changes: Any


@dataclass(slots=True)
class Known:
    """What is known of a row.

    Attributes
    ----------
    values : dict
        Columns that events have set, by name, as JSON holds them.
    is_whole : bool
        Whether the others hold their defaults; else nothing is known of them.
    """

    values: dict[str, Any] = field(default_factory=dict)
    is_whole: bool = False

    def learn(self, changes: Any) -> None:
        """Take up the new values of an event; what is no pair of old and new tells nothing."""
        for name, pair in (changes or {}).items():
            match pair:
                case [_, new]:
                    self.values[name] = new

    def of(self, name: str, defaults: Mapping[str, Any]) -> Any:
        """Return the value of a column, its default where no event has set it."""
        return self.values.get(name, defaults.get(name))


def replay(events: Iterable[Told]) -> dict[str, Known]:
    """Return what the history knows of each row that should be there, by its key."""
    rows: dict[str, Known] = {}
    gone: dict[str, Known] = {}
    for _, key, verb, changes in events:
        if verb == "deleted":
            gone[key] = rows.pop(key, Known())
        elif verb == "rekeyed":
            rows[key] = rows.pop(changes["key"][0], Known())
        elif verb in BASELINES:
            rows[key] = gone.pop(key, Known()) if verb == "restored" else Known()
            rows[key].is_whole = True
            rows[key].learn(changes)
        else:
            rows.setdefault(key, Known()).learn(changes)
    return rows
