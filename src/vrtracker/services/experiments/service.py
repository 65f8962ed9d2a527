"""What ``tracker.experiments`` is: experiments recorded, taken in and out, and rebuilt."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vrtracker.backends.base import ViolationError
from vrtracker.database import Database
from vrtracker.display import Facts, Shown, counted
from vrtracker.domain.experiments import Experiment, Trial
from vrtracker.errors import DuplicateError, InvalidValueError, NotEmptyError, NotFoundError
from vrtracker.files.aepsych.writing import write_experiments
from vrtracker.services.administration.migrating import upgrade
from vrtracker.services.context import LabContext
from vrtracker.services.entries.removing import keep_aside
from vrtracker.services.experiments.importing import COUNTED, ExperimentPlan, plan_import
from vrtracker.services.experiments.owners import NOBODY, Owner, event, owner_of, require_uid
from vrtracker.services.experiments.recording import ExperimentRecording
from vrtracker.settings import settings_for
from vrtracker.spelling import nearest


class ExperimentService(ExperimentRecording):
    """Experiments: what happened in sessions, trial by trial.

    An experiment is called by its id, the one that the rig's program gave it.

    Examples
    --------
    >>> uid = tracker.experiments.setup("discs", session="DEMO001.2023-01-18.701")
    >>> trial = {"parameters": {"contrast": 0.5}, "outcomes": {"seen": 1}}
    >>> tracker.experiments.record(uid, [trial, trial])
    2
    >>> tracker.experiments.frame(uid)[["participant_id", "contrast", "seen"]]
      participant_id  contrast  seen
    0        DEMO001       0.5   1.0
    1        DEMO001       0.5   1.0
    """

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

        Examples
        --------
        >>> uid = tracker.experiments.setup("discs")
        >>> tracker.experiments.assign(uid, session="DEMO001.2023-01-18.701")
        >>> tracker.experiments.list()["session"].tolist()
        ['DEMO001.2023-01-18.701']
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

        Examples
        --------
        >>> uid = tracker.experiments.setup("discs")
        >>> tracker.experiments.delete(uid, reason="a test of the rig")
        >>> len(tracker.experiments.list())
        0
        """
        with self._lab.unit() as unit:
            row = self._row(unit, experiment)
            keep_aside(self._lab, unit, "experiment", {row["experiment_id"]: experiment}, reason)
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

        Examples
        --------
        >>> uid = tracker.experiments.setup("discs")
        >>> tracker.experiments.delete(uid)
        >>> tracker.experiments.restore(uid)
        >>> tracker.experiments.list()["experiment_name"].tolist()
        ['discs']
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

        Examples
        --------
        >>> uid = tracker.experiments.setup("discs", mouse="DEMO001")
        >>> counts = tracker.experiments.export("discs.db")
        >>> tracker.experiments.read("discs.db").counts["experiments"]
        0
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

        Examples
        --------
        >>> uid = tracker.experiments.setup("discs", mouse="DEMO001")
        >>> report = vrtracker.clone("lab.db", "rig.db")
        >>> tracker.experiments.delete(uid)
        >>> tracker.experiments.combine("rig.db").counts["experiments"]
        1
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

        Examples
        --------
        >>> uid = tracker.experiments.setup("discs", mouse="DEMO001")
        >>> number, trial = tracker.experiments.record_one(uid, parameters={"x": 0.5}, outcomes=1)
        >>> tracker.experiments.export("discs.db")["trials"]
        1
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

        Examples
        --------
        >>> uid = tracker.experiments.setup("discs", message={"config": "[common]"})
        >>> number, trial = tracker.experiments.record_one(uid, parameters={"x": 0.5}, outcomes=1)
        >>> tracker.experiments.replay(dry_run=True).differences
        ()
        """
        return replay(self._lab, self.whole(experiment), None if dry_run else into)


@dataclass(frozen=True, slots=True, repr=False)
class Replayed(Shown):
    """What the messages of experiments tell.

    `counts`: by experiment: how many ``trials, parameters, outcomes, messages, blobs`` come of it.
    `differences`: trials that are recorded otherwise than their message tells, or by one of the two
    alone. When a trial ended is not compared: a message is older than what is made of it.
    """

    counts: dict[str, dict[str, int]]
    differences: tuple[str, ...]

    def facts(self) -> Facts:
        """Return what was rebuilt, and what differs."""
        rows = [(uid, *counts.values()) for uid, counts in self.counts.items()]
        columns = ("experiment", *next(iter(self.counts.values()), {}))
        title = f"Rebuilt from messages, {counted(len(self.differences), 'difference')}"
        return Facts(title, rows, columns, notes=self.differences)


def replay(lab: LabContext, experiments: Sequence[Experiment], into: Any) -> Replayed:
    """Rebuild experiments; see `ExperimentService.replay`."""
    made = [each.replayed() for each in experiments]
    differences = [
        f"{uid}: trial {number}"
        for uid, one, other in (
            (each.uid, each.trials, again.trials)
            for each, again in zip(experiments, made, strict=True)
        )
        for number in range(1, max(len(one), len(other)) + 1)
        if _told(one[number - 1 : number]) != _told(other[number - 1 : number])
    ]
    if into is not None:
        _write(lab, made, into)
    return Replayed({each.uid: each.counts for each in made}, tuple(differences))


def _told(trials: Sequence[Trial]) -> list[Any]:
    return [each.same_as[1:] for each in trials]


def _write(lab: LabContext, experiments: Sequence[Experiment], into: Any) -> None:
    settings = settings_for(into)
    upgrade(settings)
    with Database(settings.database) as database:
        there, at = replace(lab, database=database), lab.now()
        with there.unit() as unit:
            if unit.experiments.uids():
                raise NotEmptyError(database, ["experiments"])
            for each in experiments:
                unit.experiments.add(each, at, **NOBODY.numbers)
            told = [
                event(there, NOBODY, "replayed", each.uid, {"trials:added": len(each.trials)})
                for each in experiments
            ]
            unit.events.append(told)
            unit.commit()
