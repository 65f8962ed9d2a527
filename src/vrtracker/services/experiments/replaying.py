"""Experiments rebuilt from their messages alone, and held to what is recorded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from vrtracker.database import Database
from vrtracker.display import Facts, Shown, counted
from vrtracker.domain.experiments import Experiment, Trial
from vrtracker.errors import NotEmptyError
from vrtracker.services.administration.migrating import upgrade
from vrtracker.services.context import LabContext
from vrtracker.services.experiments.owners import NOBODY, event
from vrtracker.settings import settings_for


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
