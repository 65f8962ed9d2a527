"""Experiments with their messages and trials: added to, and read."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Select, Table, bindparam, func, select, update

from vrtracker.database import Executor
from vrtracker.domain.experiments import Experiment, Message, Trial, written
from vrtracker.domain.keys import SessionKey
from vrtracker.models.types import JSONDocument
from vrtracker.repositories.values import storable_text

_TEXTS = {
    "experiment_uid": "uid",
    "participant": "participant",
    "experiment_name": "name",
    "about": "about",
    "origin": "origin",
}
_OF_MESSAGE = ("category", "verb", "sent", "form", "body", "sha256")
_KEY = ("mouseName", "sessionDate", "sessionID")


class ExperimentRepository:
    """The rows of `vrt_experiment`, `vrt_message` and `vrt_trial`."""

    def __init__(self, executor: Executor) -> None:
        self._x = executor
        self._tables = executor.tables

    def rows(self, uids: Sequence[str] | None = None) -> list[dict[str, Any]]:
        """Return experiments in the order of their numbers, each with its session and mouse.

        Returns the columns of `vrt_experiment`, ``session`` (a `SessionKey`) and ``mouse``.
        """
        statement, uid = self._with_owner(), self._tables.experiments.c.experiment_uid
        rows = []
        for part in [None] if uids is None else self._x.parts(uids):
            asked = statement if part is None else statement.where(uid.in_(part))
            rows += [_owned(dict(row)) for row in self._x.execute(asked).mappings()]
        # Where the engine compares as Microsoft's does, other cases of letters are found too.
        return [row for row in rows if uids is None or row["experiment_uid"] in uids]

    def find(self, uid: str) -> dict[str, Any] | None:
        """Return one experiment as `rows` does, or None."""
        table = self._tables.experiments
        prepared = self._x.database.prepare(
            "experiments.find",
            lambda: self._with_owner().where(table.c.experiment_uid == bindparam("uid")),
        )
        names = (*table.c.keys(), *_KEY, "own")
        found = [
            _owned(dict(zip(names, row, strict=True))) for row in self._x.rows(prepared, uid=uid)
        ]
        return next((row for row in found if row["experiment_uid"] == uid), None)

    def _with_owner(self) -> Select[Any]:
        tables = self._tables
        table, sessions, mice = tables.experiments, tables.sessions, tables.mice
        columns = (*table.c, *(sessions.c[name] for name in _KEY), mice.c.mouseName.label("own"))
        joined = table.outerjoin(sessions, table.c.uSessionID == sessions.c.uSessionID)
        joined = joined.outerjoin(mice, table.c.uMouseID == mice.c.uMouseID)
        return select(*columns).select_from(joined).order_by(table.c.experiment_id)

    def uids(self) -> list[str]:
        """Return the ids of all experiments, oldest first."""
        table = self._tables.experiments
        statement = select(table.c.experiment_uid).order_by(table.c.experiment_id)
        return [row[0] for row in self._x.execute(statement)]

    def counts(self) -> dict[int, dict[str, Any]]:
        """Return of each experiment how many messages, trials and blobs it has, and since when."""
        found: dict[int, dict[str, Any]] = defaultdict(dict)
        messages, trials = self._tables.messages, self._tables.trials
        of = messages.c.experiment_id
        number = func.count(messages.c.message_id)
        times = (func.min(messages.c.sent), func.max(messages.c.sent))
        counted: dict[str, tuple[tuple[str, ...], Any]] = {
            "messages": (
                ("messages", "began", "ended"),
                select(of, number, *times).where(messages.c.category == "message").group_by(of),
            ),
            "blobs": (
                ("blobs",),
                select(of, number).where(messages.c.form == "opaque").group_by(of),
            ),
            "trials": (
                ("trials",),
                select(trials.c.experiment_id, func.count(trials.c.trial_id)).group_by(
                    trials.c.experiment_id
                ),
            ),
        }
        for names, statement in counted.values():
            for experiment, *values in self._x.execute(statement):
                found[experiment] |= dict(zip(names, values, strict=True))
        return found

    def trials(
        self, numbers: Sequence[int], trial_id: int | None = None
    ) -> dict[int, list[tuple[int, Trial]]]:
        """Return the trials of experiments, or one, with their numbers, in order, by experiment."""
        found: dict[int, list[tuple[int, Trial]]] = {number: [] for number in numbers}
        for row in self._of(self._tables.trials, numbers, trial_id):
            trial = Trial(
                ended=row["ended"],
                model_data=row["model_data"],
                parameters=tuple((name, value) for name, value in row["parameters"]),
                outcomes=tuple((name, value) for name, value in row["outcomes"]),
                extra=row["extra"],
            )
            found[row["experiment_id"]].append((row["trial_id"], trial))
        return found

    def last_trial(self, number: int, ended: str | None) -> int:
        """Return the number of the trial of an experiment that ended then, the last of several."""
        table = self._tables.trials
        prepared = self._x.database.prepare(
            "experiments.last_trial",
            lambda: select(func.max(table.c.trial_id)).where(
                table.c.experiment_id == bindparam("number"), table.c.ended == bindparam("ended")
            ),
        )
        ((last,),) = self._x.rows(prepared, number=number, ended=ended)
        return int(last)

    def messages(self, numbers: Sequence[int]) -> dict[int, list[Message]]:
        """Return the messages and versions of experiments, in order, by experiment."""
        found: dict[int, list[Message]] = {number: [] for number in numbers}
        for row in self._of(self._tables.messages, numbers):
            values = {name: row[name] for name in (*_OF_MESSAGE, "extra")}
            found[row["experiment_id"]].append(Message(**values))
        return found

    def whole(self, rows: Iterable[Mapping[str, Any]]) -> list[Experiment]:
        """Return experiments with all that belongs to them, given as `rows` returns them."""
        known = {row["experiment_id"]: row for row in rows}
        messages, trials = self.messages(list(known)), self.trials(list(known))
        return [
            Experiment(
                **{name: row[column] for column, name in _TEXTS.items()},
                more=row["more"],
                messages=tuple(messages[number]),
                trials=tuple(trial for _, trial in trials[number]),
            )
            for number, row in known.items()
        ]

    def add(
        self, experiment: Experiment, at: dt.datetime, *, session: int | None, mouse: int | None
    ) -> int:
        """Insert an experiment with its messages and trials, and return its number."""
        table = self._tables.experiments
        texts = {
            column: value if (value := getattr(experiment, name)) is None else storable_text(value)
            for column, name in _TEXTS.items()
        }
        values = {
            **texts,
            "uSessionID": session,
            "uMouseID": mouse,
            "more": _document(experiment.more),
            "recorded_at": at,
        }
        self._x.insert(table, [values])
        number = select(table.c.experiment_id).where(table.c.experiment_uid == experiment.uid)
        (found,) = self._x.execute(number).one()
        self.append(found, experiment.messages, experiment.trials, at)
        return int(found)

    def append(
        self, number: int, messages: Iterable[Message], trials: Iterable[Trial], at: dt.datetime
    ) -> None:
        """Insert messages and trials of an experiment, in order; two statements at most."""
        whose = {"experiment_id": number, "recorded_at": at}
        sent = [
            {
                **{name: getattr(each, name) for name in _OF_MESSAGE},
                "verb": each.verb if each.verb is None else storable_text(each.verb),
                "body": storable_text(each.body),
                "extra": _document(each.extra),
                **whose,
            }
            for each in messages
        ]
        made = [
            {
                "ended": each.ended,
                "model_data": each.model_data,
                **{name: _document(getattr(each, name)) for name in ("parameters", "outcomes")},
                "extra": _document(each.extra),
                **whose,
            }
            for each in trials
        ]
        for name, rows in (("messages", sent), ("trials", made)):
            self._x.insert(getattr(self._tables, name), rows)

    def assign(self, number: int, *, session: int | None, mouse: int | None) -> None:
        """Set the session or the mouse that an experiment belongs to."""
        table = self._tables.experiments
        values = {"uSessionID": session, "uMouseID": mouse}
        self._x.execute(update(table).where(table.c.experiment_id == number).values(values))

    def set_values(self, trial_id: int, trial: Trial) -> None:
        """Set the parameters and outcomes of a trial."""
        table = self._tables.trials
        values = {name: _document(getattr(trial, name)) for name in ("parameters", "outcomes")}
        self._x.execute(update(table).where(table.c.trial_id == trial_id).values(values))

    def _of(
        self, table: Table, numbers: Sequence[int], row_id: int | None = None
    ) -> Iterable[Mapping[str, Any]]:
        (key,) = table.primary_key.columns
        for part in self._x.parts(numbers):
            statement: Select[Any] = select(*table.c).where(table.c.experiment_id.in_(part))
            if row_id is not None:
                statement = statement.where(key == row_id)
            ordered = statement.order_by(key)
            yield from self._x.execute(ordered).mappings()


def _document(value: Any) -> JSONDocument | None:
    return None if value is None else JSONDocument(written(value))


def _owned(row: dict[str, Any]) -> dict[str, Any]:
    key, own = [row.pop(name) for name in _KEY], row.pop("own")
    row["session"] = SessionKey(*key) if key[0] is not None else None
    row["mouse"] = own if key[0] is None else key[0]
    return row
