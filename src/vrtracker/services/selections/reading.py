"""Read the rows of a selection, the same from every database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vrtracker.domain.keys import SessionKey
from vrtracker.repositories.listing import Listing, filters_of
from vrtracker.unit_of_work import UnitOfWork

__all__ = ["KEY_COLUMNS", "Rows", "rows_by_query", "rows_of"]

KEY_COLUMNS = ("mouseName", "sessionDate", "sessionID")

Rows = dict[str, tuple[Any, ...]]
"""The cells of each row, by its key, in the order of the listing."""


def rows_by_query(unit: UnitOfWork, query: Mapping[str, Any], columns: Sequence[str]) -> Rows:
    """Return the rows that a query selects now."""
    filters = filters_of(query["where"], query["filters"])
    return _rows(unit, filters, columns, include_scratched=query["include_scratched"])


def rows_of(unit: UnitOfWork, keys: Sequence[str], columns: Sequence[str]) -> Rows:
    """Return the rows with these keys that are there, scratched or not."""
    if not keys:
        return {}
    mice = sorted({SessionKey.parse(key).mouse for key in keys})
    filters = filters_of({"mouseName": mice}, {})
    found = _rows(unit, filters, columns, include_scratched=True)
    return {key: found[key] for key in keys if key in found}


def _rows(
    unit: UnitOfWork, filters: Any, columns: Sequence[str], *, include_scratched: bool
) -> Rows:
    names = list(dict.fromkeys([*KEY_COLUMNS, *columns]))
    places = [names.index(name) for name in columns]
    listing = Listing(filters, names, include_scratched=include_scratched)
    return {
        str(SessionKey(*row[: len(KEY_COLUMNS)])): tuple(row[place] for place in places)
        for row in unit.sessions.cells(listing)
    }
