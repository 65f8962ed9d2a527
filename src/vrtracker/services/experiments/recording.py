"""Experiments recorded while they go on: their setup, trials and messages."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import uuid4

from vrtracker import clock
from vrtracker.domain.experiments import (
    CONFIG,
    MESSAGE,
    STRATEGY,
    Experiment,
    Message,
    Trial,
    told_by,
)
from vrtracker.errors import DuplicateError, InvalidValueError, NotFoundError
from vrtracker.files.aepsych.pickles import content_of
from vrtracker.services.experiments.owners import Owner, event, owner_of
from vrtracker.services.experiments.reading import ExperimentReading
from vrtracker.services.experiments.trials import begun, iso, require_storable, trials_of
from vrtracker.unit_of_work import UnitOfWork

_UNCONFIRMED_S = 1.0
"""How long recordings go on without waiting for the disk, s."""


class ExperimentRecording(ExperimentReading):
    """The part of `ExperimentService` that records."""

    _confirmed = -_UNCONFIRMED_S
    """When a recording was last waited for until the disk had it, s of the monotonic clock."""

    def setup(
        self,
        name: str | None = None,
        about: str | None = None,
        *,
        session: Any = None,
        mouse: str | None = None,
        participant: str | None = None,
        more: Mapping[str, Any] | None = None,
        experiment: str | None = None,
        message: Any = None,
    ) -> str:
        """Begin an experiment and return its id.

        Parameters
        ----------
        about
            What it is, in a sentence.
        session, mouse
            What it belongs to; a session says the mouse.
        participant
            What the rig's program calls the participant; the mouse when not given.
        more
            Further metadata, plain values by name.
        experiment
            Its id, at most 64 characters; a new one is made when not given.
        message
            The setup message, if there is one.

        Raises
        ------
        DuplicateError, InvalidValueError
            If the id is taken, or no id; a name is empty, or a text cannot be kept.
        NotFoundError
            If there is no such session or mouse.

        Examples
        --------
        >>> tracker.experiments.setup("discs", mouse="DEMO001", experiment="e1", more={"gain": 2})
        'e1'
        """
        uid = str(uuid4()) if experiment is None else experiment
        sent = () if message is None else (self._message("setup", message),)
        made = begun(
            uid=uid, name=name, about=about, participant=participant, more=more, messages=sent
        )
        with self._lab.unit() as unit:
            if unit.experiments.find(uid) is not None:
                raise DuplicateError("experiment", uid)
            owner = owner_of(self._lab, unit, session, mouse)
            if participant is None:
                made = replace(made, participant=owner.mouse)
            unit.experiments.add(made, self._lab.now(), **owner.numbers)
            unit.events.append(
                [event(self._lab, owner, "experiment", uid, {"messages:added": len(sent)})]
            )
            unit.commit()
        return uid

    def record(self, experiment: str, trials: Iterable[Any], *, log: bool = True) -> int:
        """Record trials, in one transaction, and return how many.

        In a file of SQLite, what is recorded within a second of what the disk has confirmed is
        not waited for: if the computer loses its power, the last such trials may be missing.

        Parameters
        ----------
        trials
            Mappings with ``parameters`` and ``outcomes`` (mappings, or pairs of name and value;
            one number or text is the outcome called outcome, and None is none, as of a trial that
            was missed), and if there are any ``ended`` (the rig's clock; now if not given),
            ``model_data`` and ``extra``.
        log
            Keep a message of each too, so that `replay` finds it.

        Raises
        ------
        NotFoundError
            If there is no such experiment.
        InvalidValueError
            If a value is no plain one, a name is empty, or is there twice and `log` is set.

        Examples
        --------
        >>> uid = tracker.experiments.setup("discs", mouse="DEMO001")
        >>> tracker.experiments.record(uid, [{"parameters": {"contrast": 0.5}, "outcomes": 1}])
        1
        """
        made = trials_of(trials, self._rig_time(None), self._lab.zone)
        self._append(experiment, [told_by(each) for each in made] if log else [], made)
        return len(made)

    def record_one(self, experiment: str, *, log: bool = True, **trial: Any) -> tuple[int, Trial]:
        """Record one trial as `record` does; return its number in this database, and itself.

        With `log` it has a message too, as a rig would have sent it.

        Examples
        --------
        >>> uid = tracker.experiments.setup("discs", mouse="DEMO001")
        >>> number, trial = tracker.experiments.record_one(uid, parameters={"x": 0.5}, outcomes=1)
        >>> trial.outcomes
        (('outcome', 1),)
        """
        (made,) = trials_of([trial], self._rig_time(None), self._lab.zone)
        number = self._append(experiment, [told_by(made)] if log else [], [made])
        return number, made

    def record_message(self, experiment: str, verb: str, content: Any, *, sent: Any = None) -> None:
        """Record one message: its `verb` (``ask``, ``tell``) and what it says.

        Raises
        ------
        NotFoundError, InvalidValueError
            If there is no such experiment, or the content is no plain value.

        Examples
        --------
        >>> uid = tracker.experiments.setup("discs", mouse="DEMO001")
        >>> tracker.experiments.record_message(uid, "ask", {"contrast": [0.5]})
        >>> tracker.experiments.messages(uid)["verb"].tolist()
        ['ask']
        """
        self._append(experiment, [self._message(verb, content, sent)], [])

    def record_config(self, experiment: str, content: Any, *, sent: Any = None) -> None:
        """Record a version of the configuration; `content`: text, a plain value, or bytes.

        Examples
        --------
        >>> uid = tracker.experiments.setup("discs", mouse="DEMO001")
        >>> tracker.experiments.record_config(uid, "[common] lb = [0]")
        >>> tracker.experiments.config(uid)
        '[common] lb = [0]'
        """
        self._append(experiment, [self._version(CONFIG, content, sent)], [])

    def record_strategy(self, experiment: str, content: Any, *, sent: Any = None) -> None:
        """Record a version of the strategy; `content`: text, a plain value, or bytes.

        Examples
        --------
        >>> uid = tracker.experiments.setup("discs", mouse="DEMO001")
        >>> tracker.experiments.record_strategy(uid, {"generator": "sobol"})
        >>> tracker.experiments.messages(uid)["category"].tolist()
        ['strat']
        """
        self._append(experiment, [self._version(STRATEGY, content, sent)], [])

    def record_values(
        self, experiment: str, trial: int, *, parameters: Any = (), outcomes: Any = ()
    ) -> None:
        """Add parameters and outcomes to a trial that is there, called by its number.

        Raises
        ------
        NotFoundError
            If there is no such experiment or trial.
        InvalidValueError
            If a value is no plain one, or a name is empty.

        Examples
        --------
        >>> uid = tracker.experiments.setup("discs", mouse="DEMO001")
        >>> number, _ = tracker.experiments.record_one(uid, parameters={"x": 0.5}, outcomes=1)
        >>> tracker.experiments.record_values(uid, number, outcomes={"reaction": 0.31})
        >>> tracker.experiments.frame(uid)["reaction"].tolist()
        [0.31]
        """
        given = {"parameters": parameters, "outcomes": outcomes}
        (more,) = trials_of([given], self._rig_time(None), self._lab.zone)
        with self._recording() as unit:
            row = self._row(unit, experiment)
            number = row["experiment_id"]
            before = dict(unit.experiments.trials([number], trial)[number]).get(trial)
            if before is None:
                raise NotFoundError("trial", trial)
            made = replace(
                before,
                parameters=before.parameters + more.parameters,
                outcomes=before.outcomes + more.outcomes,
            )
            unit.experiments.set_values(trial, made)
            owner = Owner(row["session"], row["mouse"])
            told = {"trial": trial} | {name: dict(getattr(more, name)) for name in given}
            unit.events.append([event(self._lab, owner, "recorded", experiment, told)], wakes=False)
            unit.commit()

    def _append(self, experiment: str, messages: Sequence[Message], trials: Sequence[Trial]) -> int:
        """Add to an experiment; return the number of the trial if there is one only, else 0."""
        require_storable(Experiment(uid=experiment, messages=tuple(messages)))
        with self._recording() as unit:
            row = self._row(unit, experiment)
            number = row["experiment_id"]
            unit.experiments.append(number, messages, trials, self._lab.now())
            last = unit.experiments.last_trial(number, trials[0].ended) if len(trials) == 1 else 0
            counts = {"trials:added": len(trials), "messages:added": len(messages)}
            owner = Owner(row["session"], row["mouse"])
            unit.events.append(
                [event(self._lab, owner, "recorded", experiment, counts)], wakes=False
            )
            unit.commit()
        return last

    @contextlib.contextmanager
    def _recording(self) -> Iterator[UnitOfWork]:
        """Open a unit whose commit waits for the disk once a second, however many there are."""
        began = time.monotonic()
        is_hasty = began - self._confirmed < _UNCONFIRMED_S
        with self._lab.unit(hasty=is_hasty) as unit:
            yield unit
        if not is_hasty:
            self._confirmed = began

    def _message(self, verb: str, content: Any, sent: Any = None) -> Message:
        if isinstance(content, bytes):
            raise InvalidValueError("A message is a plain value, and not bytes.")
        extra = content.get("extra_info") or None if isinstance(content, dict) else None
        at = self._rig_time(sent)
        return Message.of(content, category=MESSAGE, verb=verb, sent=at, extra=extra)

    def _version(self, category: str, content: Any, sent: Any) -> Message:
        held = content_of(content) if isinstance(content, bytes) else content
        return Message.of(held, category=category, sent=self._rig_time(sent))

    def _rig_time(self, given: Any) -> str:
        return iso(clock.precise() if given is None else given, self._lab.zone)
