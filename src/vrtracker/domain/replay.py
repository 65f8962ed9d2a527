"""What the history knows of the rows: its events, replayed in order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from vrtracker.domain.told import THERE, entry_of


class Told(NamedTuple):
    """What an event says of a row."""

    number: int
    key: str
    verb: str
    changes: Any


@dataclass(slots=True)
class Known:
    """What is known of a row."""

    values: dict[str, Any] = field(default_factory=dict)
    """Columns that events have set, by name, as JSON holds them."""
    is_whole: bool = False
    """Whether the others hold their defaults; else nothing is known of them."""

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
    for _, key, verb, changes in events:
        entry = entry_of(verb, changes or {})
        if entry and entry[1] != THERE:
            rows.pop(key, None)
        elif verb == "purged":
            continue
        elif verb == "rekeyed":
            rows[key] = rows.pop(changes["key"][0], Known())
        else:
            if entry:
                # All that it holds beside defaults is told with it.
                rows[key] = Known(is_whole=True)
            rows.setdefault(key, Known()).learn(changes)
    return rows
