"""What a selection asks for, as JSON and back; and its rows, the same from every database."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from vrtracker.domain.keys import SessionKey
from vrtracker.errors import InvalidValueError
from vrtracker.repositories.listing import Listing
from vrtracker.repositories.selecting import Expression, Filters, Selection, Written
from vrtracker.services.context import LabContext
from vrtracker.unit_of_work import UnitOfWork

KEY_COLUMNS = ("mouseName", "sessionDate", "sessionID")

Rows = dict[str, tuple[Any, ...]]
"""The cells of each row, by its key, in the order of the listing."""


def query_of(selection: Selection, *, include_scratched: bool) -> dict[str, Any]:
    """Return what is selected as plain values, which `selection_of_query` reads.

    Raises InvalidValueError if it is a condition of SQLAlchemy's, which nobody could ask again.
    """
    parts: list[Any] = []
    for part in selection.parts:
        if isinstance(part, Expression):
            raise InvalidValueError(
                "A condition of SQLAlchemy's cannot be kept; write it as a text, such as "
                '"imaging and sessionID >= 701".'
            )
        if isinstance(part, Written):
            parts.append(part.text)
        else:
            parts.append([list(pair) for pair in part.pairs])
    return {"parts": parts, "is_key": selection.is_key, "include_scratched": include_scratched}


def selection_of_query(lab: LabContext, query: Mapping[str, Any], at: dt.datetime) -> Selection:
    """Return what a query selects; what it says of today is of that moment."""
    parts: list[Any] = []
    for part in query["parts"]:
        if isinstance(part, str):
            parts += Selection.written(part).parts
        else:
            parts.append(Filters(tuple((name, value) for name, value in part)))
    found = Selection(tuple(parts), query["is_key"])
    return found.known_to(lab.stages, lambda: at, lab.zone)


def rows_of(unit: UnitOfWork, keys: Sequence[str], columns: Sequence[str]) -> Rows:
    """Return the rows with these keys that are there, scratched or not."""
    if not keys:
        return {}
    mice = sorted({SessionKey.parse(key).mouse for key in keys})
    found = rows_by_selection(
        unit, Selection.of({"mouseName": mice}), columns, include_scratched=True
    )
    return {key: found[key] for key in keys if key in found}


def rows_by_selection(
    unit: UnitOfWork, selection: Selection, columns: Sequence[str], *, include_scratched: bool
) -> Rows:
    """Return the rows that are selected now."""
    names = list(dict.fromkeys([*KEY_COLUMNS, *columns]))
    places = [names.index(name) for name in columns]
    listing = Listing(selection, names, include_scratched=include_scratched)
    return {
        str(SessionKey(*row[: len(KEY_COLUMNS)])): tuple(row[place] for place in places)
        for row in unit.sessions.cells(listing)
    }
