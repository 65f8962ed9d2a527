"""The recording calls of AEPsych's ``Database``, on the tracker.

A rig's program that records its experiments with ``aepsych.database.db.Database`` records them in
the lab's database with this class in its place: its calls have the same names and arguments, and
what they return the same attributes. Each call is one transaction. ``record_trial`` is one for a
whole trial, which AEPsych has no call for.
"""

from __future__ import annotations

import datetime as dt
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vrtracker.domain.experiments import CONFIG, MESSAGE, STRATEGY, Experiment, Trial
from vrtracker.opening import open_tracker
from vrtracker.tracker import Tracker

__all__ = ["Database", "Master", "Raw", "Replay", "Value"]


@dataclass(frozen=True, slots=True)
class Master:
    """An experiment, with AEPsych's names."""

    experiment_id: str
    experiment_name: str | None = None
    experiment_description: str | None = None
    participant_id: str | None = None
    extra_metadata: str | None = None

    @property
    def unique_id(self) -> str:
        """What the calls ask for: the same id, which a copy of the database does not change."""
        return self.experiment_id


@dataclass(frozen=True, slots=True)
class Replay:
    """A message."""

    timestamp: dt.datetime | None
    message_type: str | None
    message_contents: Any
    extra_info: Any
    parent: Master


@dataclass(frozen=True, slots=True)
class Raw:
    """A trial; its values are listed by `Database.get_params_for` and `get_outcomes_for`."""

    unique_id: int
    timestamp: dt.datetime | None
    model_data: bool
    extra_data: Any
    parent: Master
    values: Trial = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Value:
    """A parameter or an outcome of a trial, with the names of both."""

    name: str
    value: Any
    parent: Raw

    @property
    def param_name(self) -> str:
        """The name of a parameter."""
        return self.name

    outcome_name = param_name

    @property
    def param_value(self) -> Any:
        """The value of a parameter; a number where the text that AEPsych keeps shows one."""
        return self.value

    outcome_value = param_value


class Database:
    """A lab's database, with the calls of AEPsych's ``Database``.

    Parameters
    ----------
    target
        A tracker; or a path, URL or profile, as for `vrtracker.open`.
    session, mouse
        What experiments that are set up here belong to.
    """

    def __init__(
        self,
        target: Tracker | str | os.PathLike[str] | None = None,
        *,
        session: Any = None,
        mouse: str | None = None,
    ) -> None:
        self.tracker = target if isinstance(target, Tracker) else open_tracker(target)
        self._experiments = self.tracker.experiments
        self._owner = {"session": session, "mouse": mouse}

    def cleanup(self) -> None:
        """Close the connections; the next call opens new ones."""
        self.tracker.close()

    def record_setup(  # noqa: PLR0917 -- AEPsych's own signature
        self,
        description: str | None = None,
        name: str | None = None,
        extra_metadata: str | Mapping[str, Any] | None = None,
        exp_id: str | None = None,
        request: Any = None,
        par_id: Any = None,
    ) -> Master:
        """Begin an experiment, with its setup message."""
        more = json.loads(extra_metadata) if isinstance(extra_metadata, str) else extra_metadata
        uid = self._experiments.setup(
            name,
            description,
            participant=None if par_id is None else str(par_id),
            more=more,
            experiment=exp_id,
            message={} if request is None else request,
            **self._owner,
        )
        (made,) = self._masters(uid)
        return made

    def record_message(self, master_table: Master | str, type: str, request: Any) -> None:  # noqa: A002
        """Record a message."""
        self._experiments.record_message(_uid(master_table), type, request)

    def record_raw(
        self,
        master_table: Master | str,
        model_data: Any = True,  # noqa: FBT002
        timestamp: dt.datetime | None = None,
        **extra_data: Any,
    ) -> Raw:
        """Begin a trial, to which `record_param` and `record_outcome` add."""
        trial = {"ended": timestamp, "model_data": model_data, "extra": extra_data}
        return self._recorded(master_table, trial, log=False)

    def record_trial(
        self,
        master_table: Master | str,
        parameters: Mapping[str, Any],
        outcomes: Mapping[str, Any] | float,
        timestamp: dt.datetime | None = None,
        **extra_data: Any,
    ) -> Raw:
        """Record a whole trial and its message, in one transaction."""
        trial = {"parameters": parameters, "outcomes": outcomes, "ended": timestamp}
        return self._recorded(master_table, {**trial, "extra": extra_data}, log=True)

    def _recorded(self, master: Master | str, trial: Mapping[str, Any], *, log: bool) -> Raw:
        number, made = self._experiments.record_one(_uid(master), log=log, **trial)
        parent = Master(master) if isinstance(master, str) else master
        return _raw(number, made, parent)

    def record_param(self, raw_table: Raw, param_name: str, param_value: Any) -> None:
        """Add a parameter to a trial."""
        given = {param_name: param_value}
        uid = raw_table.parent.experiment_id
        self._experiments.record_values(uid, raw_table.unique_id, parameters=given)

    def record_outcome(self, raw_table: Raw, outcome_name: str, outcome_value: Any) -> None:
        """Add an outcome to a trial."""
        given = {outcome_name: outcome_value}
        uid = raw_table.parent.experiment_id
        self._experiments.record_values(uid, raw_table.unique_id, outcomes=given)

    def record_strat(self, master_table: Master | str, strat: Any) -> None:
        """Record a version of the strategy: a text, plain values, or bytes or a file of bytes."""
        self._experiments.record_strategy(_uid(master_table), _content(strat))

    def record_config(self, master_table: Master | str, config: Any) -> None:
        """Record a version of the configuration; one of AEPsych's own as the text that it shows."""
        plain = isinstance(config, str | bytes | list | dict) or hasattr(config, "read")
        self._experiments.record_config(
            _uid(master_table), _content(config) if plain else str(config)
        )

    def get_master_records(self) -> list[Master]:
        """Return all experiments, oldest first."""
        return self._masters(None)

    def get_master_record(self, master_id: str) -> Master | None:
        """Return an experiment by its id, or None."""
        return next((each for each in self._masters(None) if each.unique_id == master_id), None)

    def get_replay_for(self, master_id: Master | str) -> list[Replay]:
        """Return the messages of an experiment, in order."""
        (each,) = self._experiments.whole(_uid(master_id))
        return [
            Replay(_time(one.sent), one.verb, one.content, one.extra, _master(each))
            for one in each.messages
            if one.category == MESSAGE
        ]

    def get_strats_for(self, master_id: Master | str) -> list[Any]:
        """Return the versions of the strategy: bytes that were never opened, texts, values."""
        return self._versions(master_id, STRATEGY)

    def get_strat_for(self, master_id: Master | str, strat_id: int = -1) -> Any:
        """Return one version of the strategy, or None."""
        return _one(self.get_strats_for(master_id), strat_id)

    def get_config_for(self, master_id: Master | str, config_id: int = -1) -> Any:
        """Return one version of the configuration, the last if not said otherwise, or None."""
        return _one(self._versions(master_id, CONFIG), config_id)

    def get_raw_for(self, master_id: Master | str) -> list[Raw]:
        """Return the trials of an experiment, in order."""
        uid = _uid(master_id)
        (each,) = self._experiments.whole(uid)
        return [_raw(number, one, _master(each)) for number, one in self._experiments.trials(uid)]

    def get_params_for(self, master_id: Master | str) -> list[list[Value]]:
        """Return the parameters of each trial."""
        return [
            [Value(*pair, raw) for pair in raw.values.parameters]
            for raw in self.get_raw_for(master_id)
        ]

    def get_outcomes_for(self, master_id: Master | str) -> list[list[Value]]:
        """Return the outcomes of each trial."""
        return [
            [Value(*pair, raw) for pair in raw.values.outcomes]
            for raw in self.get_raw_for(master_id)
        ]

    def get_data_frame(self, include_extra_data: bool = False) -> Any:  # noqa: FBT001, FBT002
        """Return all trials as a frame; numbers are numbers."""
        return self._experiments.frame(extra=include_extra_data)

    def summarize_experiments(self) -> Any:
        """Return a frame of all experiments."""
        return self._experiments.summary()

    def to_csv(self, path: str, include_extra_data: bool = False) -> None:  # noqa: FBT001, FBT002
        """Write the trials as CSV."""
        self._experiments.to_csv(path, extra=include_extra_data)

    def _masters(self, uid: str | None) -> list[Master]:
        return [_master(each) for each in self._experiments.whole(uid)]

    def _versions(self, master: Master | str, category: str) -> list[Any]:
        (each,) = self._experiments.whole(_uid(master))
        return [one.content for one in each.messages if one.category == category]


def _master(each: Experiment) -> Master:
    more = each.more if each.more is None or isinstance(each.more, str) else json.dumps(each.more)
    return Master(each.uid, each.name, each.about, each.participant, more)


def _raw(number: int, trial: Trial, parent: Master) -> Raw:
    return Raw(number, _time(trial.ended), trial.model_data, trial.extra, parent, trial)


def _uid(master: Master | str) -> str:
    return master if isinstance(master, str) else master.experiment_id


def _content(given: Any) -> Any:
    """Return what is in a file of bytes; anything else is what it is."""
    return given.read() if hasattr(given, "read") else given


def _one(found: list[Any], place: int) -> Any:
    return found[place] if -len(found) <= place < len(found) else None


def _time(iso: str | None) -> dt.datetime | None:
    return None if iso is None else dt.datetime.fromisoformat(iso)
