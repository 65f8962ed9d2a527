"""A lab's database as it was: copied, with all that happened later taken back."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import weakref
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from sqlalchemy import Date, Table, Time

from vrtracker.database import Database
from vrtracker.domain.dates import parse_moment
from vrtracker.domain.fingerprints import Fingerprint
from vrtracker.domain.keys import SessionKey
from vrtracker.domain.rewinding import STAGES, Happened, Past, PastRow, stages_of
from vrtracker.domain.told import image_name, split_image
from vrtracker.errors import InvalidValueError
from vrtracker.models import Base
from vrtracker.models.types import ExactNumber, Moment, to_json
from vrtracker.repositories.copying import TableRepository
from vrtracker.repositories.events import changes_in
from vrtracker.services.administration.cloning import CopiedTable, Copying
from vrtracker.services.context import LabContext

if TYPE_CHECKING:
    from vrtracker.database.structure import Structure

_Row = dict[str, Any]
_LAB = {"mouse": "mousedb", "session": "sessiondb"}
_HANGING = {
    "vrt_attempt": "attempt_id",
    STAGES: "stage",
    "vrt_qc_decision": "decision_id",
    "vrt_dataset": "rel_path",
    "vrt_mask": "mask_name",
    **dict.fromkeys(("vrt_one_session", "vrt_session_rig"), "uSessionID"),
    "vrt_tracking": "run_hash",
}
"""The tables whose rows hang on a session, with the column that they are called by."""
_EXPERIMENTS = ("vrt_experiment", "vrt_message", "vrt_trial")
_DATES = ("occurred_at", "started_at", "decided_at", "recorded_at", "deleted_at", "frozen_at")
"""The columns that say when a row came to be."""
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
    not there: what was changed past the tracker and not entered, datasets that an import from ONE
    has changed, and when a stage that failed was to be tried again. Of a row that was purged since
    its columns and marks are known, but no attempt, decision or dataset.
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
    refusal = (
        f"This is {lab.database} as it was at {moment}, which cannot be changed. Change it as it "
        "is now, with the tracker that as_of was asked of; undo takes back what was done since."
    )
    database = Database(path, readonly=True, refusal=refusal)
    # With the last of what asks it: a service outlives the tracker that it was taken from.
    weakref.finalize(database, folder.cleanup)
    return replace(lab, database=database, now=partial(moment.replace, fold=0)), folder


def moment_of(lab: LabContext, when: Any) -> dt.datetime:
    """Return the moment that people mean by a time or a date, which stands for its end."""
    when = lab.day(when)
    begin = parse_moment(when, lab.zone, of_day=dt.time())
    end, now = parse_moment(when, lab.zone), lab.now()
    return now if begin <= now < end else end


class _PastCopying(Copying):
    """Copies a database, and changes the rows on their way."""

    def __init__(self, lab: LabContext, destination: Database, moment: dt.datetime) -> None:
        super().__init__(lab.database, destination)
        self._stages = lab.stages
        # As a copied table holds its times.
        self._moment = moment.astimezone(dt.UTC).replace(tzinfo=None)
        self._rows: dict[str, list[_Row]] = {}

    def _write(
        self, work: Database, structure: Structure, tables: list[TableRepository]
    ) -> Generator[CopiedTable, None, dict[str, Fingerprint]]:
        self._rows = _Past(tables, self._stages, self._moment).rows()
        return (yield from super()._write(work, structure, tables))

    def _copied_rows(self, table: TableRepository) -> Iterator[Sequence[Sequence[Any]]]:
        if table.name not in self._rows:
            yield from super()._copied_rows(table)
            return
        rows, names = self._rows[table.name], table.table.c.keys()
        for start in range(0, len(rows), _CHUNK):
            yield [[row[name] for name in names] for row in rows[start : start + _CHUNK]]

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

    def rows(self) -> dict[str, list[_Row]]:
        """Return the rows of then, by table."""
        mice, sessions = (self._rewound(kind) for kind in _LAB)
        # What was found later had no place while its mouse was deleted.
        names = {row.values["mouseName"] for row in mice.rows.values()}
        for key, found in tuple(sessions.rows.items()):
            if found.values["mouseName"] not in names:
                del sessions.rows[key]
        past = {
            name: [row for row in self._now[name] if self._is_of_then(row)]
            for name in ("vrt_event", "vrt_selection")
        }
        past |= self._experiments({"mouse": mice, "session": sessions})
        past["vrt_deleted"] = [
            *self._deleted("mouse", mice),
            *self._deleted("session", sessions),
            *filter(self._is_gone_experiment, self._now["vrt_deleted"]),
        ]
        for name in _HANGING:
            past[name] = [
                row
                for session in sessions.rows.values()
                for called, row in session.hanging.items()
                if split_image(called)[0] == name and self._is_of_then(row)
            ]
        past["vrt_attempt"] = [self._attempt(row) for row in past["vrt_attempt"]]
        past["vrt_stage_state"] = list(self._stage_rows(sessions))
        past["mousedb"] = [row.values for row in mice.rows.values()]
        past["sessiondb"] = [row.values for row in sessions.rows.values()]
        return past

    def _is_of_then(self, row: Mapping[str, Any]) -> bool:
        """Return whether a row had come to be; of others than these, nobody knows."""
        date = next((row[name] for name in _DATES if name in row), None)
        return date is None or bool(date <= self._moment)

    def _experiments(self, owners: Mapping[str, Past]) -> dict[str, list[_Row]]:
        """Return the rows of experiments; those of an owner that was deleted hang on it."""
        contents = [
            json.loads(row["content"])
            for row in self._now["vrt_deleted"]
            if not self._is_gone_experiment(row)
        ]
        every = {
            name: [
                *self._now[name],
                *(self._whole(name, row) for held in contents for row in held.get(name, ())),
            ]
            for name in _EXPERIMENTS
        }
        homes = dict(self._homes(every["vrt_experiment"], owners))
        rows: dict[str, list[_Row]] = {name: [] for name in _EXPERIMENTS}
        for name in _EXPERIMENTS:
            for row in every[name]:
                number = row["experiment_id"]
                if number not in homes or not self._is_of_then(row):
                    continue
                home = homes[number]
                if home is None:
                    rows[name].append(row)
                else:
                    home.hanging[image_name(name, row[_number(self._tables[name])])] = row
        return rows

    def _is_gone_experiment(self, row: _Row) -> bool:
        return row["subject_kind"] == "experiment" and self._is_of_then(row)

    def _homes(
        self, experiments: Sequence[_Row], owners: Mapping[str, Past]
    ) -> Iterator[tuple[int, PastRow | None]]:
        """Yield experiments that are told of, each with its owner if that was deleted then."""
        columns = {kind: _number(self._tables[_LAB[kind]]) for kind in owners}
        there = {
            kind: {None, *(was.values[columns[kind]] for was in past.rows.values())}
            for kind, past in owners.items()
        }
        for row in experiments:
            missed = [kind for kind in owners if row[columns[kind]] not in there[kind]]
            deleted = [owners[kind].deleted.get(row[columns[kind]]) for kind in missed]
            if not missed:
                yield row["experiment_id"], None
            elif deleted[0] is not None:
                yield row["experiment_id"], deleted[0][1]

    # -- rows ---------------------------------------------------------------------------------

    def _events(self, kind: str, *, later: bool) -> list[Happened]:
        return [
            Happened(
                row["subject_key"],
                row["verb"],
                changes_in(row),
                row["stage"],
                row["to_state"],
                row["attempt_id"],
            )
            for row in self._now["vrt_event"]
            if row["subject_kind"] == kind and self._is_of_then(row) is not later
        ]

    def _rewound(self, kind: str) -> Past:
        table = self._tables[_LAB[kind]]
        hanging: dict[int, dict[str, _Row]] = defaultdict(dict)
        for name, called in _HANGING.items() if kind == "session" else ():
            for row in self._now[name]:
                hanging[row["uSessionID"]][image_name(name, row[called])] = row
        number = _number(table)
        past = Past(
            {
                _key_of(kind, row): PastRow(row, hanging[row[number]])
                for row in self._now[table.name]
            },
            number=number,
            fitted=self._fitted,
            revived=lambda event: self._revived(kind, event),
        )
        for event in reversed(self._events(kind, later=True)):
            past.take_back(event, table.name)
        given = [*self._now[table.name], *(was.values for was in past.rows.values())]
        free = max((row[number] or 0 for row in given), default=0)
        for was in past.rows.values():
            if was.values[number] is None:
                # Deleted past the tracker: nobody knows which number it had.
                was.values[number] = free = free + 1
            for each in was.hanging.values():
                each["uSessionID"] = was.values[number]
        return past

    def _revived(self, kind: str, event: Happened) -> PastRow:
        """Return what an event has deleted, and what was kept of what hung on it."""
        table = self._tables[_LAB[kind]]
        number = event.changes.get(_number(table), [None])[0]
        kept = [
            json.loads(row["content"])
            for row in self._now["vrt_deleted"]
            if (row["subject_kind"], row["row_number"]) == (kind, number)
        ]
        if kept:
            content = {
                name: [self._whole(name, row) for row in rows]
                for name, rows in kept[-1].items()
                if name in self._tables
            }
            hanging = {
                image_name(name, row[called]): row
                for name, called in _HANGING.items()
                for row in content.get(name, ())
            }
            return PastRow(content[table.name][0], hanging)
        # Purged since, deleted by hand, or never kept: the event has the columns alone.
        told = {name: pair[0] for name, pair in event.changes.items() if name in table.c}
        defaults = {
            column.name: getattr(column.default, "arg", None)
            for column in Base.metadata.tables[table.name].c
        }
        row = self._whole(table.name, {**defaults, **told})
        return PastRow(row, touched=set(self._stages))

    def _whole(self, table: str, row: Mapping[str, Any]) -> _Row:
        """Return a row with all the columns of today, without those that were dropped."""
        columns = self._tables[table].c.keys()
        return dict.fromkeys(columns) | self._fitted(table, row)

    def _fitted(self, table: str, row: Mapping[str, Any]) -> _Row:
        """Return what a copied table holds for values that JSON has kept."""
        found = self._tables[table]
        return {name: _fitted(found, name, row[name]) for name in row if name in found.c}

    def _deleted(self, kind: str, past: Past) -> Iterator[_Row]:
        """Yield the entries of rows that were deleted then; some have come back since."""
        for row in self._now["vrt_deleted"]:
            is_later = row["row_number"] in past.not_deleted or not self._is_of_then(row)
            if row["subject_kind"] == kind and not is_later:
                yield row
        for number, (event, was) in past.deleted.items():
            meta, _ = event.entry or ({}, None)
            content: dict[str, list[_Row]] = defaultdict(list)
            content[_LAB[kind]].append(was.values)
            for called, each in was.hanging.items():
                content[split_image(called)[0]].append(each)
            whose = {"subject_kind": kind, "subject_key": event.key, "row_number": number}
            yield self._whole("vrt_deleted", {**meta, **whose, "content": content})

    # -- stages -------------------------------------------------------------------------------

    def _attempt(self, row: _Row) -> _Row:
        """Return an attempt as it was; one that ended later was running."""
        if row["finished_at"] is None or row["finished_at"] <= self._moment:
            return row
        return {**row, **dict.fromkeys(_OF_THE_END), "outcome": "running"}

    def _stage_rows(self, sessions: Past) -> Iterator[_Row]:
        number = _number(self._tables[_LAB["session"]])
        told = stages_of(self._events("session", later=False), self._stages, number)
        blank = dict.fromkeys(self._tables[STAGES].c.keys())
        for key, session in sessions.rows.items():
            for called, row in session.hanging.items():
                table, stage = split_image(called)
                if table == STAGES and stage not in session.touched:
                    yield row
            for name in session.touched & told.get(key, {}).keys():
                past = told[key][name]
                whose = {"uSessionID": session.values[number], "stage": name}
                changed_at = {"changed_at": self._moment}
                known = self._fitted(STAGES, past.row or {})
                marks = {"mark": past.mark, "attempt_id": past.attempt_id}
                if past.row or any(marks.values()):
                    yield {**blank, **changed_at, **known, **marks, **whose}


def _read(table: TableRepository) -> Iterator[list[_Row]]:
    names = table.table.c.keys()
    with contextlib.closing(table.chunks()) as chunks:
        for rows in chunks:
            yield [dict(zip(names, row, strict=True)) for row in rows]


def _number(table: Table) -> str:
    return str(next(iter(table.primary_key.columns)).name)


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
