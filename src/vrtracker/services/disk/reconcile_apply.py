"""Write a plan of reconciling, all or nothing, each value only over the one that the plan saw."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from vrtracker.domain.keys import SessionKey
from vrtracker.domain.reconciling import LEFT_OVER, DatasetChange, Findings, SessionChange
from vrtracker.domain.snapshots import Snapshot
from vrtracker.domain.states import Mark
from vrtracker.domain.tracking import FoundRun, MouseChange
from vrtracker.errors import ConcurrentUpdateError, InvalidValueError, RootUnavailableError
from vrtracker.repositories.row_images import DATASETS, STAGES, differences
from vrtracker.repositories.values import coercer_of
from vrtracker.services.administration.backups import keep_copy
from vrtracker.services.context import LabService
from vrtracker.services.disk.reconcile_rules import recorded
from vrtracker.services.disk.tracked import write_runs
from vrtracker.services.transitions import expire_claims, read, update_session
from vrtracker.services.workflow.abandoned import clean, free_abandoned
from vrtracker.unit_of_work import UnitOfWork

_VERB = "reconciled"
_SHOWN = 5


class Reconciler(LabService):
    """Applies plans and takes them back; each call is one transaction."""

    def apply(self, found: Findings, *, force: bool) -> list[SessionKey]:
        """Write the changes of a plan; see `ReconcilePlan.apply`."""
        if found.doubts and not force:
            raise RootUnavailableError(
                f"The root {found.root!r} is hard to believe: {'; '.join(found.doubts)} "
                f"({found.with_folder} of {found.looked_at} sessions have a folder there). Nothing "
                "was changed. It may be another drive than usual: mount the right one, or go on "
                "with force=True."
            )
        return self._write(found.changes, found.runs, found.mice)

    def undo(self, found: Findings) -> list[SessionKey]:
        """Take the changes of a plan back, if they all still stand."""
        changes = [self._fitted(change).inverse() for change in found.changes]
        mice = [each.inverse() for each in found.mice]
        return self._write(changes, found.runs, mice, undo=True)

    def clean(self, found: Findings) -> list[str]:
        """End the claims that nobody holds any more, and remove what ended attempts left.

        That is what is known of in the database, and what the plan names.
        """
        removed = free_abandoned(self._lab)
        for name in [each.where for each in found.notes if each.kind == LEFT_OVER]:
            key = SessionKey.parse(name)
            path = self._lab.folders().find(key)
            if path is not None:
                number = read(self._lab, None, key).record.uSessionID
                removed += [f"{key}: {done}" for done in clean(self._lab, number, path)]
        return removed

    def _write(
        self,
        planned: Sequence[SessionChange],
        runs: Sequence[FoundRun],
        mice: Sequence[MouseChange],
        *,
        undo: bool = False,
    ) -> list[SessionKey]:
        changes = [self._fitted(change) for change in planned]
        prefix = "undone: " if undo else ""
        if not (changes or runs or mice):
            return []
        keep_copy(self._lab, "reconciling")
        at = self._lab.now()
        with self._lab.unit() as unit:
            seen = [(change, self._seen(unit, change, at)) for change in changes]
            numbers = [snapshot.record.uSessionID for _, (snapshot, _) in seen]
            before = unit.images.of(numbers, STAGES, DATASETS)
            for change, (snapshot, known) in seen:
                self._one(unit, snapshot, change, known, at)
            after = unit.images.of(numbers, STAGES, DATASETS)
            rows = [differences(before[number], after[number]) for number in numbers]
            unit.events.append(
                [self._event(*each, prefix, at) for each in zip(changes, rows, strict=True)]
            )
            tracked = write_runs(self._lab, unit, runs, mice, at=at, undo=undo)
            unit.commit()
        return list(dict.fromkeys([*(change.key for change in changes), *tracked]))

    def _event(
        self, change: SessionChange, rows: Mapping[str, Any], prefix: str, at: dt.datetime
    ) -> Any:
        reason = prefix + "; ".join(change.reasons)
        changes = {**change.document(), **rows}
        return self._lab.event(change.key, _VERB, at=at, changes=changes, reason=reason or None)

    def _fitted(self, change: SessionChange) -> SessionChange:
        """Return the change with new values as the columns hold them.

        Raises InvalidValueError if no look at the disk proposes it, as in a file that was edited by
        hand.
        """
        columns = {
            name
            for stage in self._lab.stages.values()
            for name in (
                stage.done_column,
                stage.date_column,
                stage.error_column,
                stage.message_column,
            )
        }
        coercer, fitted = coercer_of(self._lab.database.tables.sessions), {}
        for name, (old, new) in change.columns.items():
            if name not in columns:
                raise InvalidValueError(f"A plan cannot change {name!r} of {change.key}.")
            fitted[name] = (old, coercer.value(name, new))
        for stage, (_, mark) in change.marks.items():
            self._lab.stages[stage]
            if mark is not None and mark not in set(Mark):
                raise InvalidValueError(
                    f"The plan gives {stage} of {change.key} the mark {mark!r}."
                )
        return replace(change, columns=fitted)

    def _seen(
        self, unit: UnitOfWork, change: SessionChange, at: dt.datetime
    ) -> tuple[Snapshot, dict[str, dict[str, Any]]]:
        """Return the session as it is, if it is as the plan saw it."""
        snapshot = read(self._lab, unit, change.key)
        if any(snapshot.running(stage, at) for stage in self._lab.stages.values()):
            raise ConcurrentUpdateError(change.key, "claimed")
        if not snapshot.record.sessionQC:
            raise ConcurrentUpdateError(change.key, "scratched")
        known = (
            {row["rel_path"]: row for row in unit.datasets.of_session(snapshot.record.uSessionID)}
            if change.datasets
            else {}
        )
        conflicts = [
            f"{name}: the plan saw {_shown(old)}, now it is {_shown(now)}"
            for name, old, now in _compared(snapshot, change, known)
            if old != now
        ]
        if conflicts:
            what = f"changed ({'; '.join(conflicts[:_SHOWN])})"
            raise ConcurrentUpdateError(change.key, what)
        return snapshot, known

    def _one(
        self,
        unit: UnitOfWork,
        snapshot: Snapshot,
        change: SessionChange,
        known: Mapping[str, Mapping[str, Any]],
        at: dt.datetime,
    ) -> None:
        if change.columns:
            values = {name: new for name, (_, new) in change.columns.items()}
            update_session(unit, snapshot, values, seen=("sessionQC",))
        number = snapshot.record.uSessionID
        marked = [self._lab.stages[name] for name in change.marks]
        expire_claims(self._lab, unit, snapshot, marked, at=at)
        for stage, (_, mark) in change.marks.items():
            self._mark(unit, snapshot, stage, mark, at)
        unit.datasets.replace(
            remove=[known[e.rel_path]["dataset_id"] for e in change.datasets if e.old is not None],
            insert_rows=[
                {"uSessionID": number, "rel_path": each.rel_path, **each.new}
                for each in change.datasets
                if each.new is not None
            ],
        )

    def _mark(
        self, unit: UnitOfWork, snapshot: Snapshot, stage: str, mark: str | None, at: dt.datetime
    ) -> None:
        number, row = snapshot.record.uSessionID, snapshot.rows.get(stage)
        if row is None:
            values = {"mark": mark, "attempt_id": None, "changed_at": at}
            unit.stages.add_rows(number, {stage: values})
        elif not unit.stages.compare_and_set(
            number, stage, seen=row, mark=mark, attempt_id=row.attempt_id, changed_at=at
        ):
            raise ConcurrentUpdateError(snapshot.record.key)


def _compared(
    snapshot: Snapshot, change: SessionChange, known: Mapping[str, Mapping[str, Any]]
) -> list[tuple[str, Any, Any]]:
    """Return for each value of a change what the plan saw, and what is there now."""
    values = [
        (name, old, getattr(snapshot.record, name)) for name, (old, _) in change.columns.items()
    ]
    values += [
        (f"mark of {stage}", old, snapshot.rows[stage].mark if stage in snapshot.rows else None)
        for stage, (old, _) in change.marks.items()
    ]
    return values + [_of_dataset(each, known.get(each.rel_path)) for each in change.datasets]


def _of_dataset(change: DatasetChange, row: Mapping[str, Any] | None) -> tuple[str, Any, Any]:
    now = None if row is None else recorded(row)
    return change.rel_path, None if change.old is None else dict(change.old), now


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"{value['size_bytes']:.0f} bytes, recorded {value['recorded_at']}"
    return "nothing" if value is None else str(value)
