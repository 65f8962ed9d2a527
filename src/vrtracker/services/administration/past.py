"""A lab's database as it was: copied, with all that happened later taken back."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from sqlalchemy import Date, Time

from vrtracker.database import Database
from vrtracker.domain.fingerprints import Fingerprint
from vrtracker.domain.keys import SessionKey
from vrtracker.domain.rewinding import Happened, PastRow, StagePast, rewound, stages_of
from vrtracker.errors import InvalidValueError
from vrtracker.models import Base
from vrtracker.models.types import ExactNumber, Moment, to_json
from vrtracker.repositories.copying import TableRepository
from vrtracker.services.administration.cloning import Copying
from vrtracker.services.context import LabContext

if TYPE_CHECKING:
    from sqlalchemy import Connection, Table

    from vrtracker.database.structure import Structure

__all__ = ["past_of"]

_Row = dict[str, Any]
_LAB = {"session": "sessiondb", "mouse": "mousedb"}
_DATED = {
    "vrt_event": "occurred_at",
    "vrt_attempt": "started_at",
    "vrt_qc_decision": "decided_at",
    "vrt_dataset": "recorded_at",
    "vrt_deleted": "deleted_at",
}
"""When the rows of a table came to be; they are not there before."""
_OF_THE_END = (
    "finished_at",
    "duration_s",
    "output_bytes",
    "output_files",
    "error_type",
    "error_message",
    "error_traceback",
)
_CHUNK = 1000


def past_of(lab: LabContext, moment: dt.datetime) -> tuple[LabContext, TemporaryDirectory[str]]:
    """Return a lab as it was at a moment, and the folder of its database, to be removed after.

    Events tell of mice and sessions, of marks and claims. Not told, and hence as they are now, or
    not there: what was changed past the tracker and not entered, datasets that were replaced
    since, and how often a stage had failed.
    """
    if moment > lab.now():
        raise InvalidValueError(f"{moment} has not come yet; give an earlier time.", value=moment)
    folder = TemporaryDirectory(prefix="vrtracker-past-")
    path = str(Path(folder.name) / "past.db")
    written = Database(path, create=True)
    try:
        _PastCopying(lab, written, moment).run()
    except BaseException:
        written.dispose()
        folder.cleanup()
        raise
    written.dispose()
    # As `now`, the moment itself: it can be sent to another process.
    past = replace(lab, database=Database(path, readonly=True), now=partial(moment.replace, fold=0))
    return past, folder


class _PastCopying(Copying):
    """Copies a database, and changes the rows on their way."""

    def __init__(self, lab: LabContext, destination: Database, moment: dt.datetime) -> None:
        super().__init__(lab.database, destination, lambda _table, _done, _total: None)
        self._stages = lab.stages
        # As a copied table holds its times.
        self._moment = moment.astimezone(dt.UTC).replace(tzinfo=None)
        self._rows: dict[str, list[_Row]] = {}

    def _write(
        self, work: Database, structure: Structure, tables: list[TableRepository]
    ) -> dict[str, Fingerprint]:
        self._rows = _Past(tables, self._stages, self._moment).rows()
        return super()._write(work, structure, tables)

    def _copy(self, table: TableRepository, work: Database, connection: Connection) -> Fingerprint:
        written = TableRepository(work, connection, table.table)
        names = table.table.c.keys()
        with written.keeping_ids(after=table.last_number()):
            for rows in self._chunks(table):
                written.insert([[row[name] for name in names] for row in rows])
        return Fingerprint(names)

    def _chunks(self, table: TableRepository) -> Iterator[list[_Row]]:
        if table.name not in self._rows:
            yield from _read(table)
            return
        rows = self._rows[table.name]
        for start in range(0, len(rows), _CHUNK):
            yield rows[start : start + _CHUNK]

    def _compare(self, *_: Any) -> None:
        """Compare nothing: the copy is to differ."""


class _Past:
    """The rows of the tracker's tables as they were."""

    def __init__(self, tables: list[TableRepository], stages: Any, moment: dt.datetime) -> None:
        ours = {each.name: each for each in tables if each.name in Base.metadata.tables}
        self._tables: dict[str, Table] = {name: each.table for name, each in ours.items()}
        self._now = {
            name: [row for rows in _read(each) for row in rows] for name, each in ours.items()
        }
        self._stages = stages
        self._moment = moment
        self._extra: dict[str, list[_Row]] = defaultdict(list)

    def rows(self) -> dict[str, list[_Row]]:
        """Return the rows of then, by table."""
        mice, sessions = (self._rewound(kind) for kind in ("mouse", "session"))
        numbers = {None, *(row.values["uSessionID"] for row in sessions.values())}
        past = {
            name: [
                row
                for row in [*self._now[name], *self._extra[name]]
                if row[date] <= self._moment and row.get("uSessionID") in numbers
            ]
            for name, date in _DATED.items()
        }
        past["vrt_attempt"] = [self._attempt(row) for row in past["vrt_attempt"]]
        past["vrt_stage_state"] = list(self._stage_rows(sessions))
        past["mousedb"] = [row.values for row in mice.values()]
        past["sessiondb"] = [row.values for row in sessions.values()]
        return past

    # -- rows ---------------------------------------------------------------------------------

    def _events(self, kind: str, *, later: bool) -> list[Happened]:
        return [
            Happened(
                row["subject_key"],
                row["verb"],
                json.loads(row["changes"] or "{}"),
                row["stage"],
                row["to_state"],
                row["attempt_id"],
            )
            for row in self._now["vrt_event"]
            if row["subject_kind"] == kind and (row["occurred_at"] > self._moment) is later
        ]

    def _rewound(self, kind: str) -> dict[str, PastRow]:
        table = self._tables[_LAB[kind]]
        now = {_key_of(kind, row): row for row in self._now[table.name]}
        past = rewound(
            now,
            reversed(self._events(kind, later=True)),
            fitted=lambda name, value: _fitted(table, name, value),
            revived=lambda event: self._revived(kind, event),
        )
        number = next(iter(table.primary_key.columns)).name
        free = max((row[number] for row in self._now[table.name]), default=0)
        for row in past.values():
            if row.values[number] is None:
                # Deleted past the tracker: nobody knows which number it had.
                row.values[number] = free = free + 1
        return past

    def _revived(self, kind: str, event: Happened) -> PastRow:
        """Return what an event has deleted, and take up what was kept of what hung on it."""
        table = self._tables[_LAB[kind]]
        defaults = Base.metadata.tables[table.name].c
        values = {
            name: getattr(defaults[name].default, "arg", None) if name in defaults else None
            for name in _names(table)
        }
        for name, (old, _) in event.changes.items():
            if name in values:
                values[name] = _fitted(table, name, old)
        kept = [
            row["content"]
            for row in self._now["vrt_deleted"]
            if (row["subject_kind"], row["subject_key"]) == (kind, event.key)
            and row["deleted_at"] > self._moment
        ]
        content: Mapping[str, Any] = json.loads(kept[-1]) if kept else {}
        for name, rows in content.items():
            if name == table.name and rows:
                values |= self._kept(table, rows[0])
            elif name in self._tables and name not in _LAB.values():
                self._extra[name] += [self._kept(self._tables[name], row) for row in rows]
        return PastRow(values, touched=set() if kept else set(self._stages))

    @staticmethod
    def _kept(table: Table, row: Mapping[str, Any]) -> _Row:
        return {name: _fitted(table, name, row.get(name)) for name in _names(table)}

    # -- stages -------------------------------------------------------------------------------

    def _attempt(self, row: _Row) -> _Row:
        """Return an attempt as it was; one that ended later was running."""
        if row["finished_at"] is None or row["finished_at"] <= self._moment:
            return row
        return {**row, **dict.fromkeys(_OF_THE_END), "outcome": "running"}

    def _stage_rows(self, sessions: Mapping[str, PastRow]) -> Iterator[_Row]:
        told = stages_of(self._events("session", later=False), self._stages)
        now: dict[int, dict[str, _Row]] = defaultdict(dict)
        for row in [*self._now["vrt_stage_state"], *self._extra["vrt_stage_state"]]:
            now[row["uSessionID"]][row["stage"]] = row
        blank = dict.fromkeys(self._tables["vrt_stage_state"].c.keys())
        for key, session in sessions.items():
            number = session.values["uSessionID"]
            for name, row in now[number].items():
                if name not in session.touched:
                    yield row
            for name in session.touched & told.get(key, {}).keys():
                past: StagePast = told[key][name]
                whose = {"uSessionID": number, "stage": name, "changed_at": self._moment}
                yield {**blank, **whose, **past._asdict()}


def _read(table: TableRepository) -> Iterator[list[_Row]]:
    names = table.table.c.keys()
    with contextlib.closing(table.chunks()) as chunks:
        for rows in chunks:
            yield [dict(zip(names, row, strict=True)) for row in rows]


def _names(table: Table) -> list[str]:
    return list(table.c.keys())


def _key_of(kind: str, row: Mapping[str, Any]) -> str:
    if kind == "mouse":
        return str(row["mouseName"])
    return str(SessionKey(row["mouseName"], row["sessionDate"].date(), row["sessionID"]))


def _fitted(table: Table, name: str, value: Any) -> Any:
    """Return what a copied table holds for a value that JSON has kept."""
    if isinstance(value, dict | list):
        return to_json(value)
    kind = table.c[name].type
    read = next((read for known, read in _READ if isinstance(kind, known)), None)
    return value if read is None or value is None else read(value)


def _moment(text: str) -> dt.datetime:
    found = dt.datetime.fromisoformat(text)
    return found if found.tzinfo is None else found.astimezone(dt.UTC).replace(tzinfo=None)


_READ: Sequence[tuple[type, Callable[[Any], Any]]] = (
    (Moment, _moment),
    (Date, dt.date.fromisoformat),
    (Time, dt.time.fromisoformat),
    (ExactNumber, lambda value: Decimal(str(value))),
)
