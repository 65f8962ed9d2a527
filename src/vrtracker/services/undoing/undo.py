"""Undo operations: a plan that shows every value, and takes all of it back or nothing."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
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
from vrtracker.services.administration.backups import keep_copy
from vrtracker.services.context import LabContext
from vrtracker.services.history.outside import absorb_few
from vrtracker.services.undoing.reading import Reading, read_operations
from vrtracker.services.undoing.writing import write_back

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["UndoPlan", "UndoService"]

_SHOWN = ("key", "what", "now", "after")
_CALLED = {"vrt_stage_state": "stage", "vrt_qc_decision": "QC decision", "vrt_dataset": "file"}


@dataclass(frozen=True, slots=True, repr=False)
class UndoPlan(Shown):
    """What undoing would change.

    Attributes
    ----------
    operations : tuple of str
        The operations that are undone, newest first.
    cells : tuple
        Of each value that changes: key, what it is, how it is now, how it will be.
    problems : tuple of str
        What stands in the way, and what to do; `apply` refuses while there is anything.
    """

    operations: tuple[str, ...]
    cells: tuple[tuple[str, str, Any, Any], ...]
    problems: tuple[str, ...]
    _service: Any = field(default=None, repr=False, compare=False)

    def facts(self) -> Facts:
        """Return what would change, and what stands in the way; genotypes are not shown."""
        said = f"{counted(len(self.cells), 'value')} to be taken back: .apply() does it."
        if self.problems:
            said = f"nothing is undone while there is {counted(len(self.problems), 'problem')}."
        shown = [tuple(row.values()) for row in self.rows()[:SHOWN]]
        title = f"Undo of {', '.join(self.operations)}: {said}"
        return Facts(title, shown, _SHOWN, len(self.cells), self.problems)

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

        Raises
        ------
        NotUndoableError
            If there are problems; nothing is written.
        ConcurrentUpdateError
            If something changed since the plan was made.
        """
        done: int = self._service.apply(self, reason)
        return done


class UndoService:
    """Plans and undoes; see `vrtracker.tracker.Tracker.undo`."""

    def __init__(self, lab: LabContext) -> None:
        self._lab = lab

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
            Id of an operation, as in the history.
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
        NotUndoableError
            If the actor has none that stands.
        """
        self._lab.require(Role.EDITOR)
        if sum((operation is not None, last, since is not None)) != 1:
            raise InvalidValueError(
                "Say what is to be undone: an operation, or last=True, or since=…; one of these."
            )
        with self._lab.unit(readonly=True) as unit:
            operations = [operation] if operation else self._chosen(unit, actor, since)
            reading = read_operations(self._lab, unit, operations, lock=False)
        return self._of(operations, reading)

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

    def _chosen(self, unit: Any, actor: str | None, since: Any) -> list[str]:
        """Return the last operation of an actor that stands, or all since then, newest first."""
        who = actor or self._lab.actor
        undone = undoings(unit.events.undone())
        silent = {*undone, *undone.values()}
        begun = dt.time()
        moment = None if since is None else parse_moment(since, self._lab.zone, of_day=begun)
        found = unit.events.operations_of(who, moment)
        standing = [each for each in found if each not in silent]
        if not standing:
            raise NotUndoableError([f"There is nothing of {who} to be undone."])
        return standing[:1] if since is None else standing

    def _of(self, operations: Sequence[str], reading: Reading) -> UndoPlan:
        cells = [
            (subject.key, what, *pair)
            for subject, net in reading.nets.items()
            for what, pair in _cells(reading, subject, net)
        ]
        return UndoPlan(tuple(operations), tuple(cells), tuple(reading.problems), self)


def _cells(reading: Reading, subject: Subject, net: Net) -> list[tuple[str, tuple[Any, Any]]]:
    """Return what changes of a subject, in words, with the values now and after."""
    if net.entry:
        now, after = map(_place, net.entry)
        hanging = reading.deletions[subject].hanging if subject in reading.deletions else ""
        return [("row", (now, f"{after}, with {hanging}" if hanging else after))]
    found = [(name, (now, new)) for name, (now, new) in net.columns.items() if now != new]
    for name, (now, new) in net.rows.items():
        table, row = split_image(name)
        called = _CALLED[table] + ("" if table == "vrt_qc_decision" else f" {row}")
        if now != new:
            found.append((called, (_told(table, now), _told(table, new))))
    if net.parts and net.parts[0] != net.parts[1]:
        found.append(("parts of the recording", (net.parts[0], net.parts[1])))
    return found


def _place(entry: Any) -> str:
    if entry is None:
        return "not there"
    return "there" if entry == THERE else "deleted"


def _told(table: str, row: Any) -> Any:
    """Return what there is to say of one of the tracker's rows."""
    if row is None:
        return None
    if table == "vrt_stage_state":
        return row["mark"] or "no mark"
    if table == "vrt_qc_decision":
        return f"{row['check_name']} {QC(row['qc_level']).name}"
    return f"{row['size_bytes']:.0f} bytes, {QC(row['qc_level']).name}"


def _seen(what: str, pair: Sequence[Any]) -> tuple[Any, Any]:
    return ("hidden", "hidden") if tells_genotype(what) else (pair[0], pair[1])


def _first_difference(plan: UndoPlan, now: UndoPlan) -> str:
    """Return what is not as the plan showed it."""
    differing = [cell for cell in plan.cells if cell not in now.cells]
    return next((key for key, *_ in differing), "What is to be undone")
