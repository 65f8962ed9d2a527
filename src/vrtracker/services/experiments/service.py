"""What ``tracker.experiments`` is: experiments recorded, taken in and out, and rebuilt."""

from __future__ import annotations

import contextlib
import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from vrtracker import clock
from vrtracker.backends.base import ViolationError
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
from vrtracker.files.aepsych.writing import write_experiments
from vrtracker.services.experiments.importing import COUNTED, ExperimentPlan, plan_import
from vrtracker.services.experiments.owners import Owner, event, owner_of, require_uid
from vrtracker.services.experiments.reading import ExperimentReading
from vrtracker.services.experiments.replaying import Replayed, replay
from vrtracker.services.experiments.trials import begun, iso, require_storable, trials_of
from vrtracker.spelling import nearest
from vrtracker.unit_of_work import UnitOfWork

_UNCONFIRMED_S = 1.0
"""How long recordings go on without waiting for the disk, s."""


class ExperimentService(ExperimentReading):
    """Experiments: what happened in sessions, trial by trial.

    An experiment is called by its id, the one that the rig's program gave it.
    """

    _confirmed = -_UNCONFIRMED_S
    """When a recording was last waited for until the disk had it, s of the monotonic clock."""

    # -- recording ------------------------------------------------------------------------------

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
        """
        made = trials_of(trials, self._rig_time(None))
        self._append(experiment, [told_by(each) for each in made] if log else [], made)
        return len(made)

    def record_one(self, experiment: str, *, log: bool = True, **trial: Any) -> tuple[int, Trial]:
        """Record one trial as `record` does; return its number in this database, and itself.

        With `log` it has a message too, as a rig would have sent it.
        """
        (made,) = trials_of([trial], self._rig_time(None))
        number = self._append(experiment, [told_by(made)] if log else [], [made])
        return number, made

    def record_message(self, experiment: str, verb: str, content: Any, *, sent: Any = None) -> None:
        """Record one message: its `verb` (``ask``, ``tell``) and what it says.

        Raises
        ------
        NotFoundError, InvalidValueError
            If there is no such experiment, or the content is no plain value.
        """
        self._append(experiment, [self._message(verb, content, sent)], [])

    def record_config(self, experiment: str, content: Any, *, sent: Any = None) -> None:
        """Record a version of the configuration; `content`: text, a plain value, or bytes."""
        self._append(experiment, [self._version(CONFIG, content, sent)], [])

    def record_strategy(self, experiment: str, content: Any, *, sent: Any = None) -> None:
        """Record a version of the strategy; `content`: text, a plain value, or bytes."""
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
        """
        given = {"parameters": parameters, "outcomes": outcomes}
        (more,) = trials_of([given], self._rig_time(None))
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

    def assign(
        self,
        experiment: str,
        *,
        session: Any = None,
        mouse: str | None = None,
        nobody: bool = False,
    ) -> None:
        """Say which session or mouse an experiment belongs to, or that it is nobody's.

        Raises
        ------
        NotFoundError
            If there is no such experiment, session or mouse.
        InvalidValueError
            If nobody is said, or somebody and `nobody`.
        """
        if nobody is not (session is None and mouse is None):
            raise InvalidValueError(
                "Say whose the experiment is: session=KEY, mouse=NAME, or nobody=True."
            )
        with self._lab.unit() as unit:
            row = self._row(unit, experiment)
            owner = owner_of(self._lab, unit, session, mouse)
            unit.experiments.assign(row["experiment_id"], **owner.numbers)
            was = {"was": str(Owner(row["session"], row["mouse"]))}
            unit.events.append([event(self._lab, owner, "assigned", experiment, was)])
            unit.commit()

    def delete(self, experiment: str, reason: str | None = None) -> None:
        """Delete an experiment, with its messages and trials; `restore` brings it back.

        Raises
        ------
        NotFoundError
            If there is no such experiment.
        """
        with self._lab.unit() as unit:
            row = self._row(unit, experiment)
            number, at = row["experiment_id"], self._lab.now()
            entry = {
                "subject_kind": "experiment",
                "subject_key": experiment,
                "row_number": number,
                "content": unit.deletions.take("experiment", [number])[number],
                "deleted_at": at,
                "actor": self._lab.actor,
                "operation_id": unit.events.operation_id,
                "reason": reason,
            }
            unit.deletions.keep([entry])
            owner = Owner(row["session"], row["mouse"])
            told = event(self._lab, owner, "experiment_deleted", experiment, reason=reason)
            unit.events.append([told])
            unit.commit()

    def restore(self, experiment: str) -> None:
        """Bring a deleted experiment back, to its session or mouse; the last of several.

        Raises
        ------
        NotFoundError
            If no such experiment was deleted.
        DuplicateError
            If there is one of that id by now.
        InvalidValueError
            If its session or mouse is not there.
        """
        with self._lab.unit() as unit:
            entries = unit.deletions.of("experiment", require_uid(experiment))
            if not entries:
                known = [each.subject_key for each in unit.deletions.of("experiment")]
                raise NotFoundError("deleted experiment", experiment, nearest(experiment, known))
            if unit.experiments.find(experiment) is not None:
                raise DuplicateError("experiment", experiment)
            try:
                unit.deletions.put_back(entries[:1])
            except ViolationError as error:
                raise InvalidValueError(
                    f"The session or mouse of {experiment} is not there; restore that first."
                ) from error
            row = self._row(unit, experiment)
            owner = Owner(row["session"], row["mouse"])
            unit.events.append([event(self._lab, owner, "experiment_restored", experiment)])
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

    # -- in and out -----------------------------------------------------------------------------

    def read(
        self, *files: str | os.PathLike[str], session: Any = None, mouse: str | None = None
    ) -> ExperimentPlan:
        """Read `files` of AEPsych, of any age; ``.apply()`` adds what is new, all or nothing.

        Parameters
        ----------
        session, mouse
            What the experiments belong to; else new ones to the mouse that is called as the
            participant. One that is here and nobody's is assigned, and so is a mouse's to a session
            of the same mouse; one of another is a conflict.

        Raises
        ------
        ImportFileError
            If a file is no such database or is damaged, or a message is no plain value.
        NotFoundError
            If there is no such session or mouse.
        """
        return plan_import(self._lab, files, session=session, mouse=mouse)

    def combine(self, *sources: str | os.PathLike[str], leave_out: bool = False) -> ExperimentPlan:
        """Take in the experiments of other `sources`: databases of the tracker or of AEPsych.

        Each keeps where it came from, and its session or mouse where that is here too. The plan's
        conflicts say where one is another one here than there.

        Parameters
        ----------
        leave_out
            Take the others all the same.
        """
        return plan_import(self._lab, sources, databases=True, leave_out=leave_out)

    def export(self, path: str | os.PathLike[str], experiment: Any = None) -> dict[str, int]:
        """Write experiments as a new database of AEPsych, and return how much is in it.

        Returns
        -------
        dict
            How many experiments, trials, parameters, outcomes, messages, blobs.

        Raises
        ------
        NotFoundError
            If there is no such experiment.
        InvalidValueError
            If there is something under that name, or it cannot be written.
        """
        found = self.whole(experiment)
        write_experiments(Path(path), found)
        counts = Counter({"experiments": len(found)})
        for each in found:
            counts.update(each.counts)
        return {name: counts[name] for name in COUNTED}

    def replay(
        self, into: Any = None, *, experiment: Any = None, dry_run: bool = False
    ) -> Replayed:
        """Rebuild experiments from their messages alone, in a database without experiments.

        Parameters
        ----------
        into
            Path, URL or profile of that database; a new file is made. Without, or with `dry_run`,
            nothing is written.

        Returns
        -------
        Replayed
            ``counts`` by experiment, and ``differences`` from what is recorded.

        Raises
        ------
        NotEmptyError
            If it holds experiments.
        InvalidValueError
            If a message does not say what it must.
        """
        return replay(self._lab, self.whole(experiment), None if dry_run else into)
