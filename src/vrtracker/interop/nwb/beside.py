"""What hangs on a session beside its files, as JSON and back: experiments, masks, tracked cells."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from vrtracker.domain.experiments import Experiment, Message, Trial
from vrtracker.domain.keys import SessionKey
from vrtracker.models.files import Mask, TrackedSession
from vrtracker.repositories.stored_rows import StoredRows
from vrtracker.services.experiments.trials import pairs_of
from vrtracker.unit_of_work import UnitOfWork

_NAMED = {"masks": "mask_name", "tracking": "run_hash"}
"""The tables whose rows are kept as they are stored, and what tells those of a session apart."""
_MODELS = {"masks": Mask, "tracking": TrackedSession}
_JSON = {"content", "options", "files", "settings"}


@dataclass(slots=True)
class Beside:
    """What a session has beside its files."""

    experiments: list[Experiment] = field(default_factory=list)
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """Rows of `vrt_mask` and `vrt_tracking` by table, without number and session."""

    @classmethod
    def of(cls, unit: UnitOfWork, key: SessionKey, number: int) -> Beside:
        """Read what a session has."""
        own = [row for row in unit.experiments.rows() if row["session"] == key]
        rows = {name: [row for _, row in _stored(unit, name, number)] for name in _NAMED}
        return cls(unit.experiments.whole(own), rows)

    def document(self) -> dict[str, Any]:
        """Return it as JSON keeps it."""
        return {"experiments": [dataclasses.asdict(each) for each in self.experiments], **self.rows}

    @classmethod
    def parse(cls, told: Mapping[str, Any]) -> Beside:
        """Return what a document holds.

        Raises ValueError, TypeError, KeyError, AttributeError if it is none.
        """
        rows = {name: [_checked(name, row) for row in told.get(name, ())] for name in _NAMED}
        return cls([_experiment(each) for each in told.get("experiments", ())], rows)

    @property
    def counts(self) -> dict[str, int]:
        """How many there are of each."""
        return {
            "experiments": len(self.experiments),
            **{name: len(rows) for name, rows in self.rows.items()},
        }

    def write_rows(self, unit: UnitOfWork, number: int) -> dict[str, int]:
        """Give a session the rows that it lacks; return how many, for its event."""
        told = {}
        for name, rows in self.rows.items():
            there = {named for named, _ in _stored(unit, name, number)}
            new = [{**row, "uSessionID": number} for row in rows if row[_NAMED[name]] not in there]
            StoredRows(unit.executor).insert(getattr(unit.executor.tables, name), new)
            told[f"{name}:added"] = len(new)
        return told


def _stored(unit: UnitOfWork, name: str, number: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the rows of a session, each with what it is called."""
    table = getattr(unit.executor.tables, name)
    (own,) = table.primary_key.columns.keys()
    for row in StoredRows(unit.executor).read(table, "uSessionID", [number]):
        kept = {column: value for column, value in row.items() if column not in {own, "uSessionID"}}
        yield row[_NAMED[name]], kept


def _checked(table: str, row: Mapping[str, Any]) -> dict[str, Any]:
    for column in _MODELS[table].__table__.columns:
        name = column.name
        value: Any = row.get(name)
        if column.primary_key or name == "uSessionID" or (value is None and column.nullable):
            continue
        if name in _JSON:
            json.loads(value)
        elif name.endswith("_at"):
            dt.datetime.fromisoformat(value)
        elif not isinstance(value, str | int):
            raise TypeError(f"{name} is {value!r}")
    folder = row.get("folder", "")
    if folder.startswith("/") or ".." in folder:
        raise ValueError(f"the folder {folder!r} leads out")
    return dict(row)


def _experiment(told: Mapping[str, Any]) -> Experiment:
    """Return an experiment; what was hashed is hashed again."""
    messages = tuple(map(_message, told["messages"]))
    trials = tuple(map(_trial, told["trials"]))
    made = Experiment(**{**told, "messages": messages, "trials": trials})
    for name in ("uid", "participant", "name", "about", "origin"):
        if not isinstance(told[name], str if name == "uid" else str | None):
            raise TypeError(f"{name} of an experiment is {told[name]!r}")
    return made


def _message(told: Mapping[str, Any]) -> Message:
    given = Message(**told)
    more = {name: told[name] for name in ("category", "verb", "sent", "extra")}
    made = Message.of(given.content, **more)
    if made != given:
        raise ValueError("a message is not what its hash says")
    _time(made.sent)
    return made


def _trial(told: Mapping[str, Any]) -> Trial:
    pairs = {name: pairs_of(told[name]) for name in ("parameters", "outcomes")}
    _time(told["ended"])
    return Trial(**{**told, **pairs})


def _time(told: str | None) -> None:
    if told is not None:
        dt.datetime.fromisoformat(told)
