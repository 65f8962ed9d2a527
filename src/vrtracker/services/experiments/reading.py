"""Experiments listed, and their trials and messages as frames."""

from __future__ import annotations

import builtins
import datetime as dt
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from vrtracker.domain.experiments import Experiment, Message, Trial
from vrtracker.errors import InvalidValueError, NotFoundError
from vrtracker.files.trees import reason_of
from vrtracker.found import Found, framed
from vrtracker.reading import INSTANT, TIME
from vrtracker.services.context import LabService
from vrtracker.services.experiments.owners import require_uid
from vrtracker.spelling import nearest
from vrtracker.unit_of_work import UnitOfWork

_SETUP = {
    "experiment_id": "experiment_uid",
    "experiment_name": "experiment_name",
    "experiment_description": "about",
    "participant_id": "participant",
}
"""What AEPsych calls the columns of an experiment."""
_LISTED = {
    **dict.fromkeys((*_SETUP, "session", "mouse"), "str"),
    **dict.fromkeys(("trials", "messages", "blobs"), "int64"),
    **dict.fromkeys(("creation_time", "time_last_modified"), TIME),
    "origin": "str",
    "recorded_at": INSTANT,
}
_MESSAGES = {"sent": TIME, "category": "str", "verb": "str", "content": "object", "sha256": "str"}


class ExperimentReading(LabService):
    """The part of `ExperimentService` that reads."""

    @framed
    def list(self) -> Found:
        """Return all experiments, oldest first.

        Returns
        -------
        pandas.DataFrame
            A row an experiment: experiment_id, experiment_name, experiment_description,
            participant_id, session, mouse, trials, messages, blobs (int64), creation_time,
            time_last_modified (of messages, the rig's clock), origin, recorded_at (UTC).

        Examples
        --------
        >>> uid = tracker.experiments.setup("discs", mouse="DEMO001")
        >>> tracker.experiments.list()[["experiment_name", "mouse", "trials"]]
          experiment_name    mouse  trials
        0           discs  DEMO001       0
        """
        return Found(self._listed(), _LISTED)

    @framed
    def summary(self) -> Found:
        """Return the same, with names of parameters and outcomes, and a column each of metadata.

        Examples
        --------
        >>> uid = tracker.experiments.setup("discs", more={"gain": 2})
        >>> tracker.experiments.summary()[["experiment_name", "gain"]]
          experiment_name gain
        0           discs    2
        """
        rows = self._listed()
        dtypes = {**_LISTED, "parameter_names": "str", "outcome_names": "str"}
        for row, each in zip(rows, self.whole(None), strict=True):
            for column, what in (("parameter_names", "parameters"), ("outcome_names", "outcomes")):
                pairs = (pair for trial in each.trials for pair in getattr(trial, what))
                row[column] = ", ".join(dict.fromkeys(name for name, _ in pairs))
            more = each.more if isinstance(each.more, dict) else {}
            for name, value in more.items():
                row.setdefault(name, value)
                dtypes.setdefault(name, "object")
        return Found([{name: row.get(name) for name in dtypes} for row in rows], dtypes)

    @framed
    def frame(self, experiment: Any = None, *, extra: bool = False) -> Found:
        """Return trials in order, as AEPsych's own frame has them.

        Parameters
        ----------
        experiment
            The id of one, a row of `list`, or several ids; all when not given.
        extra
            With metadata, and what was sent along with a trial.

        Returns
        -------
        pandas.DataFrame
            A row a trial: experiment_id, experiment_name, experiment_description,
            participant_id, timestamp (the rig's clock), then parameters, then outcomes by name:
            float64 where all are numbers. A name that is there twice gets a number.

        Raises
        ------
        NotFoundError
            If there is no such experiment.

        Examples
        --------
        >>> uid = tracker.experiments.setup("discs", mouse="DEMO001")
        >>> count = tracker.experiments.record(uid, [{"parameters": {"x": 0.5}, "outcomes": 1}])
        >>> tracker.experiments.frame(uid)[["experiment_name", "x", "outcome"]]
          experiment_name    x  outcome
        0           discs  0.5      1.0
        """
        columns: dict[str, None] = {}
        rows = []
        for each in self.whole(experiment):
            setup = {"experiment_id": each.uid, "experiment_name": each.name}
            setup |= {"experiment_description": each.about, "participant_id": each.participant}
            for trial in each.trials:
                row: dict[str, Any] = {**setup, "timestamp": _time(trial.ended)}
                pairs = [*trial.parameters, *trial.outcomes]
                if extra:
                    held = (each.more, trial.extra)
                    pairs += [p for one in held if isinstance(one, dict) for p in one.items()]
                for name, value in pairs:
                    row[_free(name, row)] = value
                rows.append(row)
                columns |= dict.fromkeys(row)
        fixed = {**dict.fromkeys(_SETUP, "str"), "timestamp": TIME}
        dtypes = {name: fixed.get(name) or _dtype(rows, name) for name in {**fixed, **columns}}
        return Found([_row(row, dtypes) for row in rows], dtypes)

    @framed
    def messages(self, experiment: str) -> Found:
        """Return the messages of an experiment, with the versions of configuration and strategy.

        Returns
        -------
        pandas.DataFrame
            sent (the rig's clock), category (``message``, ``config``, ``strat``), verb, content
            (a value, a text, or bytes that are never opened), sha256.

        Examples
        --------
        >>> uid = tracker.experiments.setup("discs", message={"config": "[common]"})
        >>> tracker.experiments.messages(uid)[["category", "verb"]]
          category   verb
        0  message  setup
        """
        (each,) = self.whole(require_uid(experiment))
        return Found([_message_row(message) for message in each.messages], _MESSAGES)

    def config(self, experiment: str, which: int = -1) -> Any:
        """Return `which` version of the configuration, by its place; the last one when not given.

        Versions are those that were recorded, and the texts of setup messages; bytes that were
        never opened are left out.

        Raises
        ------
        NotFoundError
            If there is no such experiment, or no such version of it.
        InvalidValueError
            If `which` is no whole number.

        Examples
        --------
        >>> uid = tracker.experiments.setup("discs")
        >>> tracker.experiments.record_config(uid, {"lb": [0]})
        >>> tracker.experiments.config(uid)
        {'lb': [0]}
        """
        (each,) = self.whole(require_uid(experiment))
        versions = each.configs
        if not isinstance(which, int):
            raise InvalidValueError(
                f"which is {which!r}; give a place: 0 is the first version, -1 the last."
            )
        try:
            return versions[which]
        except IndexError as error:
            known = f"There are {len(versions)} that can be read."
            of = f"the experiment {each.uid}"
            raise NotFoundError("configuration", which, remedy=known, at=of) from error

    def to_csv(self, path: str | os.PathLike[str], experiment: Any = None, **options: Any) -> Path:
        """Write the trials as CSV; as `frame`, without an index.

        Raises
        ------
        InvalidValueError
            If the file cannot be written.

        Examples
        --------
        >>> uid = tracker.experiments.setup("discs")
        >>> count = tracker.experiments.record(uid, [{"parameters": {"x": 0.5}, "outcomes": 1}])
        >>> pd.read_csv(tracker.experiments.to_csv("discs.csv", uid))[["x", "outcome"]]
             x  outcome
        0  0.5      1.0
        """
        target = Path(path)
        if not target.parent.is_dir():
            raise InvalidValueError(f"There is no folder {target.parent}; make it first.")
        frame = self.frame(experiment, **options)
        try:
            frame.to_csv(target, index=False)
        except OSError as error:
            raise InvalidValueError(
                f"{target} cannot be written ({reason_of(error)}); give another path."
            ) from error
        return target

    # -- rows -----------------------------------------------------------------------------------

    def _listed(self) -> builtins.list[dict[str, Any]]:
        with self._lab.unit(readonly=True) as unit:
            rows, counts = unit.experiments.rows(), unit.experiments.counts()
        none = dict.fromkeys(("trials", "messages", "blobs"), 0)
        return [
            {
                **{name: row[column] for name, column in _SETUP.items()},
                "session": row["session"] and str(row["session"]),
                "mouse": row["mouse"],
                **{name: of.get(name, 0) for name in none},
                "creation_time": _time(of.get("began")),
                "time_last_modified": _time(of.get("ended")),
                "origin": row["origin"],
                "recorded_at": row["recorded_at"],
            }
            for row in rows
            for of in [counts.get(row["experiment_id"], {})]
        ]

    def whole(self, experiment: Any = None) -> builtins.list[Experiment]:
        """Return experiments with all that belongs to them, as plain values.

        Raises
        ------
        NotFoundError
            If there is no such experiment.

        Examples
        --------
        >>> uid = tracker.experiments.setup("discs", mouse="DEMO001")
        >>> (experiment,) = tracker.experiments.whole(uid)
        >>> experiment.name, experiment.participant
        ('discs', 'DEMO001')
        """
        asked = None if experiment is None else _uids(experiment)
        with self._lab.unit(readonly=True) as unit:
            rows = unit.experiments.rows(asked)
            there = {row["experiment_uid"] for row in rows}
            for uid in asked or ():
                if uid not in there:
                    raise self._unknown(unit, uid)
            return unit.experiments.whole(rows)

    def trials(self, experiment: str) -> builtins.list[tuple[int, Trial]]:
        """Return the trials of an experiment in order, each with its number in this database.

        Raises
        ------
        NotFoundError
            If there is no such experiment.

        Examples
        --------
        >>> uid = tracker.experiments.setup("discs")
        >>> count = tracker.experiments.record(uid, [{"parameters": {"x": 0.5}, "outcomes": 1}])
        >>> [(number, trial)] = tracker.experiments.trials(uid)
        >>> trial.parameters
        (('x', 0.5),)
        """
        with self._lab.unit(readonly=True) as unit:
            number = self._row(unit, experiment)["experiment_id"]
            return unit.experiments.trials([number])[number]

    def _row(self, unit: UnitOfWork, experiment: str) -> dict[str, Any]:
        row = unit.experiments.find(require_uid(experiment))
        if row is None:
            raise self._unknown(unit, experiment)
        return row

    @staticmethod
    def _unknown(unit: UnitOfWork, uid: str) -> NotFoundError:
        return NotFoundError("experiment", uid, nearest(str(uid), unit.experiments.uids()))


# -- what frames hold ----------------------------------------------------------------------------


def _uids(experiment: Any) -> builtins.list[str]:
    """Return the ids that a caller means: of one, of a row of `list`, or of several."""
    row = experiment.get("experiment_id") if hasattr(experiment, "get") else None
    one = row if isinstance(row, str) else experiment
    several = [one] if isinstance(one, str) or not isinstance(one, Iterable) else one
    return [require_uid(uid) for uid in several]


def _time(iso: str | None) -> dt.datetime | None:
    return None if iso is None else dt.datetime.fromisoformat(iso)


def _free(name: str, taken: Mapping[str, Any]) -> str:
    if name not in taken:
        return name
    return next(made for n in range(2, 10**6) if (made := f"{name}_{n}") not in taken)


def _dtype(rows: Sequence[Mapping[str, Any]], name: str) -> str:
    kinds = {type(row.get(name)) for row in rows} - {type(None)}
    if kinds == {bool}:
        return "boolean"
    if kinds <= {int, float}:
        return "float64"
    return "str" if kinds == {str} else "object"


def _row(row: Mapping[str, Any], dtypes: Mapping[str, str]) -> dict[str, Any]:
    return {
        name: None
        if (value := row.get(name)) is None or (isinstance(value, float) and math.isnan(value))
        else float(value)
        if dtype == "float64"
        else value
        for name, dtype in dtypes.items()
    }


def _message_row(message: Message) -> dict[str, Any]:
    held = {name: getattr(message, name) for name in ("category", "verb", "content", "sha256")}
    return {"sent": _time(message.sent), **held}
