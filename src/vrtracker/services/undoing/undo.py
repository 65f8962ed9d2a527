"""Undo operations: a plan that shows every value, and takes all of it back or nothing."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from vrtracker.backends.base import ViolationError
from vrtracker.display import SHOWN, Facts, Shown, counted
from vrtracker.domain.dates import parse_moment
from vrtracker.domain.mice import tells_genotype
from vrtracker.domain.qc import QC
from vrtracker.domain.roles import Role
from vrtracker.domain.told import THERE, split_image
from vrtracker.domain.undoing import Net, Subject, undoings
from vrtracker.errors import ConcurrentUpdateError, InvalidValueError, NotUndoableError
from vrtracker.operations import short
from vrtracker.services.administration.backups import keep_copy
from vrtracker.services.context import LabService
from vrtracker.services.history.outside import absorb_few
from vrtracker.services.undoing.reading import Reading, called, read_operations
from vrtracker.services.undoing.writing import write_back
from vrtracker.unit_of_work import UnitOfWork

if TYPE_CHECKING:
    import pandas as pd

_LOOKED_AT = 25
"""How many operations are tried where the last one cannot be undone."""
_SHOWN = ("key", "what", "now", "after")


@dataclass(frozen=True, slots=True, repr=False)
class UndoPlan(Shown):
    """What undoing would change.

    `operations`: the operations that are undone, newest first. `cells`: of each value that changes:
    key, what it is, how it is now, how it will be. `problems`: what stands in the way, and what to
    do; `apply` refuses while there is anything. `instead`: where the last operation cannot be
    undone: the newest one before it that can.
    """

    operations: tuple[str, ...]
    cells: tuple[tuple[str, str, Any, Any], ...]
    problems: tuple[str, ...]
    instead: str | None = field(default=None, compare=False)
    _service: Any = field(default=None, repr=False, compare=False)

    def facts(self) -> Facts:
        """Return what would change, and what stands in the way; genotypes are not shown."""
        said = f"{counted(len(self.cells), 'value')} to be taken back: .apply() does it."
        if self.problems:
            said = f"nothing is undone while there is {counted(len(self.problems), 'problem')}."
        shown = [tuple(row.values()) for row in self.rows()[:SHOWN]]
        title = f"Undo of {', '.join(self.operations)}: {said}"
        notes = list(self.problems)
        if self.instead:
            notes.append(f"The last one that can be undone: .undo({short(self.instead)!r})")
        return Facts(title, shown, _SHOWN, len(self.cells), notes)

    def rows(self) -> list[dict[str, Any]]:
        """Return the values as mappings of key, what, now, after; those of genotypes hidden."""
        return [
            dict(zip(_SHOWN, (key, what, *_seen(what, pair)), strict=True))
            for key, what, *pair in self.cells
        ]

    def frame(self) -> pd.DataFrame:
        """Return the values: key, what, now, after (object)."""
        import pandas as pd

        return pd.DataFrame(self.cells, columns=list(_SHOWN), dtype=object)

    def apply(self, *, reason: str | None = None) -> int:
        """Take everything back in one transaction, with events; return how many values.

        Raises NotUndoableError if there are problems; nothing is written. Raises
        ConcurrentUpdateError if something changed since the plan was made.
        """
        done: int = self._service.apply(self, reason)
        return done


class UndoService(LabService):
    """Plans and undoes; see `vrtracker.tracker.Tracker.undo`."""

    def plan(
        self,
        operation: str | None = None,
        *,
        last: bool = False,
        actor: str | None = None,
        since: Any = None,
    ) -> UndoPlan:
        """Return what undoing would change.

        Undoing is an operation of its own, which can be undone too.

        Parameters
        ----------
        operation
            Id of an operation, as in the history, or its beginning.
        last
            The last operation that still stands and is no undoing.
        actor
            Whose operations `last` and `since` mean; yours when not given.
        since
            All operations since then: a time, of the lab's clock where it has no zone; a date is
            its beginning.

        Raises
        ------
        RoleError
            If you may not write, and hence not undo: a plan would lead nowhere.
        NotFoundError
            If there is no such operation.
        InvalidValueError
            If several begin like that.
        NotUndoableError
            If the actor has none that stands.

        Examples
        --------
        >>> tracker.mice.update({"notes": None}, "DEMO001")
        Update(matched=1, rows=1, dry_run=False)
        >>> tracker.undo(last=True)
        Undo of ...: 1 value to be taken back: .apply() does it.
          key      what   now  after
          DEMO001  notes       Quick learner.
        """
        self._lab.require(Role.EDITOR)
        if sum((operation is not None, last, since is not None)) != 1:
            raise InvalidValueError(
                "Say what is to be undone: an operation, or last=True, or since=…; one of these."
            )
        with self._lab.unit(readonly=True) as unit:
            if operation is not None:
                return self._read(unit, [_whole(unit, operation)])
            standing = self._standing(unit, actor, since)
            if since is not None:
                return self._read(unit, standing)
            plan = self._read(unit, standing[:1])
            return replace(plan, instead=self._instead(unit, standing)) if plan.problems else plan

    def _read(self, unit: UnitOfWork, operations: Sequence[str]) -> UndoPlan:
        return self._of(operations, read_operations(self._lab, unit, operations, lock=False))

    def _instead(self, unit: UnitOfWork, standing: Sequence[str]) -> str | None:
        """Return the newest operation that can be undone where the first one cannot."""
        tried = standing[1 : _LOOKED_AT + 1]
        return next((each for each in tried if not self._read(unit, [each]).problems), None)

    def apply(self, plan: UndoPlan, reason: str | None) -> int:
        """Undo what a plan shows, all of it or nothing."""
        if plan.problems:
            raise NotUndoableError(plan.problems)
        if len({key for key, *_ in plan.cells}) > 1:
            keep_copy(self._lab, "undo")
        try:
            with self._lab.unit() as unit:
                reading = read_operations(self._lab, unit, plan.operations, lock=True)
                now = self._of(plan.operations, reading)
                if now != plan:
                    raise ConcurrentUpdateError(_first_difference(plan, now))
                for kind, repository in (("mouse", unit.mice), ("session", unit.sessions)):
                    here = [reading.numbers.get(subject) for subject, _ in reading.of(kind)]
                    numbers = [number for number in here if number is not None]
                    absorb_few(self._lab, unit, repository, numbers)
                write_back(self._lab, unit, reading, plan.operations, reason)
                unit.commit()
        except ViolationError as error:
            raise NotUndoableError([f"The rows do not fit any more: {error}"]) from error
        return len(plan.cells)

    def _standing(self, unit: UnitOfWork, actor: str | None, since: Any) -> list[str]:
        """Return the operations of an actor that stand, all or since a time, newest first."""
        who = actor or self._lab.actor
        undone = undoings(unit.events.undone())
        silent = {*undone, *undone.values()}
        begun = dt.time()
        moment = (
            None
            if since is None
            else parse_moment(self._lab.day(since), self._lab.zone, of_day=begun)
        )
        found = unit.events.operations_of(who, moment)
        standing = [each for each in found if each not in silent]
        if not standing:
            raise NotUndoableError([f"There is nothing of {who} to be undone."])
        return standing

    def _of(self, operations: Sequence[str], reading: Reading) -> UndoPlan:
        cells = [
            (subject.key, what, *pair)
            for subject, net in reading.nets.items()
            for what, pair in _cells(reading, subject, net)
        ]
        problems = tuple(reading.problems)
        return UndoPlan(tuple(operations), tuple(cells), problems, _service=self)


def _whole(unit: UnitOfWork, operation: str) -> str:
    """Return the id that begins so; itself if there is none."""
    found = unit.events.operations_like(operation)
    if len(found) > 1 and operation not in found:
        raise InvalidValueError(
            f"{len(found)} operations begin with {operation!r}; give more of the id, as in "
            "vrtracker history --json."
        )
    return found[0] if len(found) == 1 else operation


def _cells(reading: Reading, subject: Subject, net: Net) -> list[tuple[str, tuple[Any, Any]]]:
    """Return what changes of a subject, in words, with the values now and after."""
    if net.entry:
        now, after = map(_place, net.entry)
        hanging = reading.deletions[subject].hanging if subject in reading.deletions else ""
        return [("row", (now, f"{after}, with {hanging}" if hanging else after))]
    found = [(name, (now, new)) for name, (now, new) in net.columns.items() if now != new]
    for name, (now, new) in net.rows.items():
        if now != new:
            table, _ = split_image(name)
            told = tuple(_told(table, each, reading.rigs) for each in (now, new))
            found.append((called(name), told))
    if net.parts and net.parts[0] != net.parts[1]:
        found.append(("parts of the recording", (net.parts[0], net.parts[1])))
    return found


def _place(entry: Any) -> str:
    if entry is None:
        return "not there"
    return "there" if entry == THERE else "deleted"


def _told(table: str, row: Any, rigs: Mapping[int, str]) -> Any:
    """Return what there is to say of one of the tracker's rows."""
    if row is None:
        return None
    if table == "vrt_stage_state":
        return row["mark"] or "no mark"
    if table == "vrt_qc_decision":
        return f"{row['check_name']} {QC(row['qc_level']).name}"
    if table == "vrt_session_rig":
        return rigs.get(row["rig_id"], f"number {row['rig_id']}")
    if table == "vrt_tracking":
        return row["folder"]
    return f"{row['size_bytes']:.0f} bytes, {QC(row['qc_level']).name}"


def _seen(what: str, pair: Sequence[Any]) -> tuple[Any, Any]:
    return ("hidden", "hidden") if tells_genotype(what) else (pair[0], pair[1])


def _first_difference(plan: UndoPlan, now: UndoPlan) -> str:
    """Return what is not as the plan showed it."""
    differing = [cell for cell in plan.cells if cell not in now.cells]
    return next((key for key, *_ in differing), "What is to be undone")
