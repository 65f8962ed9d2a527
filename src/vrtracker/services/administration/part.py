"""Copy the sessions that somebody wants, and all that hangs on them, into a new database."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from vrtracker.database import Database
from vrtracker.domain.keys import SessionKey
from vrtracker.errors import InvalidValueError
from vrtracker.repositories.copying import TableRepository
from vrtracker.repositories.listing import Listing
from vrtracker.repositories.selecting import Selection
from vrtracker.services.administration.cloning import Copying, Extent, Progress
from vrtracker.services.administration.syncing import Syncing
from vrtracker.unit_of_work import UnitOfWork

_NUMBER = "uSessionID"


class PartCopying(Copying):
    """Copies some sessions with their mice, stages, attempts, decisions, datasets and events.

    Of the lab's own tables come the rows that refer to nothing that is left out. What was deleted
    stays behind, and so do frozen selections that name other sessions.

    `keys`: the sessions by number.
    """

    def __init__(
        self,
        source: Database,
        destination: Database,
        progress: Progress | None,
        extent: Extent,
        keys: Mapping[int, SessionKey],
    ) -> None:
        super().__init__(source, destination, progress, extent)
        self._numbers = keys.keys()
        self._names = {str(key) for key in keys.values()}
        self._mice = {key.mouse for key in keys.values()}
        self._referred: dict[tuple[str, str], set[Any]] = {}

    def _copied_rows(self, table: TableRepository) -> Iterator[Sequence[Sequence[Any]]]:
        columns = {name: place for place, name in enumerate(table.table.c.keys())}
        referred = _referred_columns(table)
        for name in referred:
            self._referred[table.name, name] = set()
        for rows in super()._copied_rows(table):
            kept = [row for row in rows if self._keeps(table, row, columns)]
            for name in referred:
                self._referred[table.name, name].update(row[columns[name]] for row in kept)
            if kept:
                yield kept

    def _keeps(self, table: TableRepository, row: Sequence[Any], at: Mapping[str, int]) -> bool:
        if table.name == "mousedb":
            return row[at["mouseName"]] in self._mice
        if table.name == "vrt_event":
            names = {"session": self._names, "mouse": self._mice}.get(row[at["subject_kind"]], ())
            return row[at["subject_key"]] in names
        if table.name == "vrt_deleted":
            return False
        if table.name == "vrt_selection":
            return _is_of(row[at["content"]], self._names)
        if _NUMBER in at and not self._is_owned(row, at):
            return False
        return all(
            value is None or value in self._referred[key.column.table.name, key.column.name]
            for key in table.table.foreign_keys
            for value in [row[at[key.parent.name]]]
        )

    def _is_owned(self, row: Sequence[Any], at: Mapping[str, int]) -> bool:
        """Return whether a row is of a session that is wanted, or else of a mouse."""
        number = row[at[_NUMBER]]
        is_a_mouses = number is None and "uMouseID" in at and row[at["uMouseID"]] is not None
        return number in self._numbers or is_a_mouses


class PartSyncing(PartCopying, Syncing):
    """Brings an earlier copy of some sessions to what the source holds of them."""

    is_whole = False


def part_of(
    source: Database,
    destination: Database,
    progress: Progress | None,
    listing: Listing,
    extent: Extent | None = None,
) -> PartCopying:
    """Return what copies the sessions of a listing, with all that hangs on them.

    Raises InvalidValueError if there is none.
    """
    names = ("mouseName", "sessionDate", "sessionID")
    with UnitOfWork(source, readonly=True) as unit:
        rows = unit.sessions.present(listing)
    if not rows:
        raise InvalidValueError("No session passes these filters; nothing was written.")
    keys = {row[_NUMBER]: SessionKey(*(row[name] for name in names)) for row in rows}
    extent = extent or Extent()
    kind = PartSyncing if extent.update or extent.resume else PartCopying
    return kind(source, destination, progress, extent, keys)


def newest_days(source: Database, days: int) -> Listing:
    """Return the listing of the sessions of the last so many days on which there may be some."""
    with UnitOfWork(source, readonly=True) as unit:
        dates = [key[1] for key in unit.sessions.present_keys(Listing(include_scratched=True))]
    if not dates:
        return Listing(include_scratched=True)
    since = max(dates) - dt.timedelta(days=days - 1)
    return Listing(Selection.of({"sessionDate": (since, ">=")}), include_scratched=True)


def _is_of(content: str, names: set[str]) -> bool:
    """Return whether a frozen selection names these sessions alone; a damaged one does not."""
    try:
        return bool(json.loads(content)["rows"].keys() <= names)
    except (ValueError, TypeError, KeyError, AttributeError):
        return False


def _referred_columns(table: TableRepository) -> set[str]:
    """Return the columns that other tables refer to; those come later."""
    keys = (key for other in table.table.metadata.tables.values() for key in other.foreign_keys)
    return {key.column.name for key in keys if key.column.table is table.table}
