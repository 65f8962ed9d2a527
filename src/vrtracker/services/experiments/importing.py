"""Experiments of files and of other databases taken in: a plan first, then all or nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from vrtracker.database import Database
from vrtracker.database.versions import require_current
from vrtracker.display import Facts, Shown, counted, first_of
from vrtracker.domain.experiments import Experiment, newer
from vrtracker.errors import ImportFileError, InvalidValueError, NotFoundError
from vrtracker.files.aepsych.reading import is_aepsych, read_experiments
from vrtracker.services.context import LabContext
from vrtracker.services.experiments.owners import NOBODY, Owner, event, joined, owner_of
from vrtracker.services.experiments.trials import require_storable
from vrtracker.settings import resolve_url
from vrtracker.unit_of_work import UnitOfWork

COUNTED = ("experiments", "trials", "parameters", "outcomes", "messages", "blobs")
_Path = str | os.PathLike[str]


class _Found(NamedTuple):
    """An experiment of a source, and whose it is there."""

    source: str
    experiment: Experiment
    session: Any = None
    mouse: str | None = None


class _Change(NamedTuple):
    """What is beyond that which is here of an experiment, and the row of it if there is one."""

    part: Experiment
    owner: Owner
    number: int | None
    was: Owner | None = None
    """Whose it was, where it is to be assigned."""

    @property
    def counts(self) -> dict[str, int]:
        assigned = int(self.was is not None)
        is_new = int(self.number is None)
        return {**self.part.counts, "experiments": is_new, "assigned": assigned}


@dataclass(frozen=True, slots=True, repr=False)
class ExperimentPlan(Shown):
    """What taking experiments in would do; ``.apply()`` does it.

    `counts`: how many ``experiments, trials, parameters, outcomes, messages, blobs`` are new, and
    how many experiments that are here are ``assigned`` to the session or mouse that is given.
    `conflicts`: where an experiment is another one here than there, or another's, with its source.
    """

    sources: tuple[str, ...]
    counts: Mapping[str, int]
    conflicts: tuple[str, ...]
    _apply: Callable[[ExperimentPlan], None] = field(repr=False, compare=False)

    def facts(self) -> Facts:
        """Return what would be added, and what stands in the way."""
        notes = [f"conflict: {each}" for each in self.conflicts]
        title = f"Experiments of {', '.join(self.sources)}, {counted(len(notes), 'conflict')}"
        return Facts(f"{title}: .apply() adds what is new", list(self.counts.items()), notes=notes)

    def contradiction(self) -> ImportFileError:
        """Return the error that the conflicts are."""
        return ImportFileError(
            f"{first_of(self.conflicts)}. Nothing was written: an experiment that has begun can "
            "only grow, and stays whose it is until tracker.experiments.assign says otherwise. "
            "Correct the one that is wrong, or give it another id there.",
            self.conflicts,
        )

    def apply(self) -> None:
        """Add what is new, all or nothing.

        Raises ImportFileError if there are conflicts. Raises ConcurrentUpdateError if the database
        is not any more as the plan saw it.
        """
        self._apply(self)


def plan_import(
    lab: LabContext,
    sources: Sequence[_Path],
    *,
    session: Any = None,
    mouse: str | None = None,
    databases: bool = False,
    leave_out: bool = False,
) -> ExperimentPlan:
    """Compare sources with the database; see `ExperimentService.read` and `combine`."""
    found = [one for source in sources for one in _read(source, databases=databases)]
    # Not of what NWB carries: rows that are older than this rule come back from there.
    for one in found:
        try:
            require_storable(one.experiment)
        except InvalidValueError as error:
            raise ImportFileError(
                f"{one.source}: {one.experiment.uid!r}, {error} Nothing was written; correct a "
                "copy of the file."
            ) from error
    service = _Import(lab, found, session, mouse, leave_out=leave_out)
    with lab.unit(readonly=True) as unit:
        counts, conflicts = service.compared(unit)[1:]
    names = tuple(os.fspath(source) for source in sources)
    return ExperimentPlan(names, counts, conflicts, service.apply)


def take_in(
    lab: LabContext,
    unit: UnitOfWork,
    experiments: Iterable[Experiment],
    source: str,
    session: Any,
    *,
    dry_run: bool = False,
) -> tuple[str, ...]:
    """Add experiments of a session within a unit of work; return the conflicts.

    With `dry_run`, or where there is a conflict, nothing is written.
    """
    found = [_Found(source, each) for each in experiments]
    service = _Import(lab, found, session, None, leave_out=False)
    changes, _, conflicts = service.compared(unit)
    if not dry_run and not conflicts:
        service.write(unit, changes, lab.now())
    return conflicts


def _read(source: _Path, *, databases: bool) -> Iterator[_Found]:
    """Yield the experiments of a file of AEPsych, or else of a database of the tracker."""
    if not databases or is_aepsych(Path(source)):
        for each in read_experiments(Path(source)):
            yield _Found(os.fspath(source), each)
        return
    with Database(resolve_url(source), readonly=True) as database:
        database.backend.check_target(database.url)
        require_current(database)
        with UnitOfWork(database, readonly=True) as unit:
            rows = unit.experiments.rows()
            for row, each in zip(rows, unit.experiments.whole(rows), strict=True):
                origin = each.origin or str(database)
                yield _Found(
                    str(database), replace(each, origin=origin), row["session"], row["mouse"]
                )


class _Import:
    def __init__(
        self,
        lab: LabContext,
        found: Sequence[_Found],
        session: Any,
        mouse: str | None,
        *,
        leave_out: bool,
    ) -> None:
        self._lab = lab
        self._found = found
        self._session = session
        self._mouse = mouse
        self._leave_out = leave_out

    def compared(self, unit: UnitOfWork) -> tuple[list[_Change], dict[str, int], tuple[str, ...]]:
        """Return what is new, how much of it, and what contradicts."""
        sources = {one.experiment.uid: one.source for one in self._found}
        rows = unit.experiments.rows(list(sources))
        known = {each.uid: each for each in unit.experiments.whole(rows)}
        numbers = {row["experiment_uid"]: row for row in rows}
        given = owner_of(self._lab, unit, self._session, self._mouse)
        owners: dict[str, Owner] = {}
        changes: list[_Change] = []
        conflicts: list[str] = []
        for uid, each in numbers.items():
            was = Owner(each["session"], each["mouse"])
            owner = joined(was, given)
            if owner is None:
                conflicts.append(f"{sources[uid]}: {uid}: it is of {was} here, not of {given}")
            elif owner is not was:
                nothing = replace(known[uid], messages=(), trials=())
                changes.append(_Change(nothing, owner, each["experiment_id"], was))
            owners[uid] = owner or was
        for one in self._found:
            uid, there = one.experiment.uid, one.experiment
            here = known.get(uid)
            if here is None:
                known[uid] = there
                changes.append(_Change(there, self._owner(unit, one, given), None))
                continue
            part, problems = newer(here, there)
            if problems:
                conflicts.append(f"{one.source}: {uid}: {'; '.join(problems)}")
            elif part.messages or part.trials:
                known[uid] = replace(
                    here, messages=here.messages + part.messages, trials=here.trials + part.trials
                )
                row = numbers.get(uid)
                if row is not None:
                    changes.append(_Change(part, owners[uid], row["experiment_id"]))
                else:
                    # Another source has begun it.
                    at = next(n for n, each in enumerate(changes) if each.part.uid == uid)
                    changes[at] = changes[at]._replace(part=known[uid])
        names = (*COUNTED, "assigned")
        counts = {name: sum(each.counts[name] for each in changes) for name in names}
        return changes, counts, tuple(conflicts)

    def _owner(self, unit: UnitOfWork, one: _Found, given: Owner) -> Owner:
        """Return whose a new experiment is: as the caller says, as its source does if it can."""
        if given is not NOBODY:
            return given
        for session, mouse in (
            (one.session, None),
            (None, one.mouse or one.experiment.participant),
        ):
            try:
                found = owner_of(self._lab, unit, session, mouse)
            except NotFoundError:
                continue
            if found is not NOBODY:
                return found
        return NOBODY

    def apply(self, plan: ExperimentPlan) -> None:
        """Write what the plan says, if the database still is as it saw it."""
        if plan.conflicts and not self._leave_out:
            raise plan.contradiction()
        if not any(plan.counts.values()):
            return
        at, changes = self._lab.now(), list[_Change]()

        def compare(unit: UnitOfWork) -> tuple[Any, ...]:
            changes[:], *seen = self.compared(unit)
            return tuple(seen)

        seen = (plan.counts, plan.conflicts)
        with self._lab.as_compared(", ".join(plan.sources), compare, seen) as unit:
            self.write(unit, changes, at)

    def write(self, unit: UnitOfWork, changes: Sequence[_Change], at: Any) -> None:
        """Write what is new, with its events."""
        for part, owner, number, was in changes:
            told: dict[str, Any] = {"was": str(was)}
            if number is not None and was is not None:
                unit.experiments.assign(number, **owner.numbers)
            else:
                told = {f"{name}:added": part.counts[name] for name in ("trials", "messages")}
                if number is None:
                    unit.experiments.add(part, at, **owner.numbers)
                else:
                    unit.experiments.append(number, part.messages, part.trials, at)
            verb = "imported" if was is None else "assigned"
            unit.events.append([event(self._lab, owner, verb, part.uid, told)])
