"""What was deleted: rows move, with all that hangs on them, into `vrt_deleted` and back."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Table, select

from vrtracker.database import Executor
from vrtracker.repositories.stored_rows import StoredRows

_HANGING = {
    "vrt_attempt": ("attempt", "attempts"),
    "vrt_stage_state": ("stage state", "stage states"),
    "vrt_qc_decision": ("QC decision", "QC decisions"),
    "vrt_dataset": ("dataset", "datasets"),
    "vrt_one_session": ("name in ONE", "names in ONE"),
    "vrt_session_rig": ("rig", "rigs"),
    "vrt_tracking": ("run of tracking", "runs of tracking"),
    "vrt_mask": ("mask", "masks"),
    "vrt_experiment": ("experiment", "experiments"),
    "vrt_message": ("message", "messages"),
    "vrt_trial": ("trial", "trials"),
}
"""The tables whose rows hang on a session or mouse, and what one and several of them are called.

What hangs on others of these comes after them.
"""
_WITHIN = {"vrt_message": "vrt_experiment", "vrt_trial": "vrt_experiment"}
_RENUMBERED = {"vrt_qc_decision", "vrt_dataset", "vrt_tracking", "vrt_mask"}
_RENUMBERED |= {"vrt_message", "vrt_trial"}
_OF_KIND = {"session": "sessiondb", "mouse": "mousedb", "experiment": "vrt_experiment"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletion:
    """One entry of `vrt_deleted`; see `vrtracker.models.deleted` for the fields."""

    deletion_id: int
    subject_kind: str
    subject_key: str
    row_number: int
    content: Mapping[str, Sequence[Mapping[str, Any]]]
    deleted_at: dt.datetime
    actor: str
    operation_id: str | None
    reason: str | None

    @property
    def row(self) -> Mapping[str, Any]:
        """The session's or the mouse's own row."""
        return next(rows[0] for name, rows in self.content.items() if name not in _HANGING)

    @property
    def meta(self) -> dict[str, Any]:
        """All but the content and whose it is."""
        names = ("deletion_id", "deleted_at", "actor", "operation_id", "reason")
        return {name: getattr(self, name) for name in names}

    @property
    def hanging(self) -> str:
        """What hung on it, in words."""
        counts = [(len(self.content.get(name, ())), *names) for name, names in _HANGING.items()]
        return ", ".join(
            f"{count} {several if count > 1 else one}" for count, one, several in counts if count
        )


class DeletionRepository:
    """The rows of `vrt_deleted`."""

    def __init__(self, executor: Executor) -> None:
        self._x = executor
        self._stored = StoredRows(executor)

    def of(self, kind: str, key: str | None = None) -> list[Deletion]:
        """Return what was deleted of a kind, newest first; under one key alone if it is given."""
        table = self._x.tables.deleted
        statement = select(*table.c).where(table.c.subject_kind == kind)
        if key is not None:
            statement = statement.where(table.c.subject_key == key)
        newest_first = statement.order_by(table.c.deletion_id.desc())
        found = [Deletion(**row) for row in self._x.execute(newest_first).mappings()]
        # Where the engine compares as Microsoft's does, other cases of letters are found too.
        return [each for each in found if key is None or each.subject_key == key]

    def claimed(self, numbers: Sequence[int], *, now: dt.datetime) -> list[tuple[int, str]]:
        """Return the sessions, of those with these numbers, that are worked on; with the stage."""
        table, found = self._x.tables.attempts, []
        for part in self._x.parts(numbers):
            statement = select(table.c.uSessionID, table.c.stage).where(
                table.c.uSessionID.in_(part),
                table.c.outcome == "running",
                table.c.lease_until > now,
            )
            found += [tuple(row) for row in self._x.execute(statement)]
        return found

    def of_operation(self, operation: str) -> dict[tuple[str, str], Deletion]:
        """Return what was deleted in an operation, by kind and key."""
        table = self._x.tables.deleted
        statement = select(*table.c).where(table.c.operation_id == operation)
        statement = statement.order_by(table.c.deletion_id)
        found = [Deletion(**row) for row in self._x.execute(statement).mappings()]
        return {(each.subject_kind, each.subject_key): each for each in found}

    def sessions_with(self, operations: Sequence[str]) -> Counter[tuple[str, str]]:
        """Return how many sessions operations deleted, by operation and mouse."""
        table, found = self._x.tables.deleted, Counter[tuple[str, str]]()
        for part in self._x.parts(operations):
            statement = select(table.c.operation_id, table.c.subject_key).where(
                table.c.operation_id.in_(part), table.c.subject_kind == "session"
            )
            rows = self._x.execute(statement.distinct())
            found.update((row.operation_id, row.subject_key.rsplit(".", 2)[0]) for row in rows)
        return found

    def take(self, kind: str, numbers: Sequence[int]) -> dict[int, dict[str, list[Any]]]:
        """Remove rows with all that hangs on them, and return both by the row's number."""
        table = self._table(kind)
        id_name = next(iter(table.primary_key.columns)).name
        content: dict[int, dict[str, list[Any]]] = {}
        for row in self._stored.read(table, id_name, numbers):
            content[row[id_name]] = {table.name: [row]}
        taken: list[tuple[Table, str, list[int]]] = []
        for name in (each for each in _HANGING if each != table.name):
            hanging, column, owners = self._table(name), id_name, {each: each for each in content}
            if name in _WITHIN:
                column = "experiment_id"
                owners = {
                    row[column]: number
                    for number, held in content.items()
                    for row in held.get(_WITHIN[name], ())
                }
            rows = self._stored.read(hanging, column, list(owners)) if column in hanging.c else []
            for row in rows:
                content[owners[row[column]]].setdefault(name, []).append(row)
            if rows:
                taken.append((hanging, column, list(owners)))
        # What hangs on others goes before them.
        for hanging, column, values in reversed(taken):
            self._stored.delete(hanging, column, values)
        self._stored.delete(table, id_name, numbers)
        return content

    def keep(self, deletions: Sequence[Mapping[str, Any]]) -> None:
        """Insert entries, with the numbers that they bring unless one of those is taken."""
        table = self._x.tables.deleted
        taken = [each["deletion_id"] for each in deletions if "deletion_id" in each]
        if taken and self._stored.read(table, "deletion_id", taken):
            deletions = [
                {name: value for name, value in each.items() if name != "deletion_id"}
                for each in deletions
            ]
        for names in {tuple(sorted(each)) for each in deletions}:
            keeping: AbstractContextManager[None] = nullcontext()
            if "deletion_id" in names:
                keeping = self._x.database.backend.keeping_ids(self._x.connection, table)
            with keeping:
                self._x.insert(table, [each for each in deletions if tuple(sorted(each)) == names])

    def put_back(self, deletions: Sequence[Deletion]) -> None:
        """Insert the rows of entries again, and remove the entries.

        Decisions and datasets get their numbers back, unless others have them by now.
        """
        content: dict[str, list[Any]] = {}
        for deletion in deletions:
            for name, rows in deletion.content.items():
                content.setdefault(name, []).extend(rows)
        for name, rows in content.items():
            table = self._table(name)
            self._stored.insert(table, rows, renumbered=name in _RENUMBERED)
        self.purge([each.deletion_id for each in deletions])

    def insert(self, kind: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows with their numbers, in values as events keep them."""
        self._stored.insert(self._table(kind), rows)

    def set_values(self, kind: str, numbers: Sequence[int], values: Mapping[str, Any]) -> None:
        """Set columns of rows, in values as events keep them."""
        self._stored.update(self._table(kind), numbers, values)

    def purge(self, deletion_ids: Sequence[int]) -> None:
        """Remove entries for good."""
        self._stored.delete(self._x.tables.deleted, "deletion_id", deletion_ids)

    def _table(self, name: str) -> Table:
        table: Table = self._x.tables.deleted.metadata.tables[_OF_KIND.get(name, name)]
        return table
