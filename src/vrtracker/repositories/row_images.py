"""The tracker's own rows of sessions as events keep them, so that a change can be taken back.

See `vrtracker.domain.told` for what they are called there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vrtracker.database import Executor
from vrtracker.domain.told import image_name, mark_name, split_image
from vrtracker.repositories.stored_rows import Row, StoredRows

STAGES, DECISIONS, DATASETS = "vrt_stage_state", "vrt_qc_decision", "vrt_dataset"
RIG, TRACKING = "vrt_session_rig", "vrt_tracking"
ALL = (STAGES, DECISIONS, DATASETS, RIG, TRACKING)
_NUMBER = "uSessionID"
_NAMED_BY = {STAGES: "stage", DECISIONS: "decision_id", DATASETS: "rel_path"}
_NAMED_BY |= {RIG: _NUMBER, TRACKING: "run_hash"}
_NUMBERED_BY = {DECISIONS: "decision_id", DATASETS: "dataset_id", TRACKING: "tracking_id"}

Images = dict[str, Row]
"""Rows of one session, by what they are called in an event."""


def differences(before: Mapping[str, Row], after: Mapping[str, Row]) -> dict[str, list[Any]]:
    """Return what changed of a session's rows, for an event."""
    changes: dict[str, list[Any]] = {}
    for name in sorted({*before, *after}):
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        table, stage = split_image(name)
        marks = [row and row["mark"] for row in (old, new)] if table == STAGES else [None, None]
        if marks[0] != marks[1]:
            changes[mark_name(stage)] = marks
        changes[name] = [old, new]
    return changes


class RowImages:
    """Reads and writes rows as events keep them."""

    def __init__(self, executor: Executor) -> None:
        self._tables = executor.tables.sessions.metadata.tables
        self._stored = StoredRows(executor)

    def of(self, numbers: Sequence[int], *tables: str) -> dict[int, Images]:
        """Return the rows of sessions in some of the tables, by the sessions' numbers."""
        found: dict[int, Images] = {number: {} for number in numbers}
        for table in tables:
            for row in self._stored.read(self._tables[table], _NUMBER, numbers):
                image = {name: value for name, value in row.items() if name != _NUMBER}
                found[row[_NUMBER]][image_name(table, row[_NAMED_BY[table]])] = image
        return found

    def remove(self, images: Sequence[tuple[int, str, Row]]) -> None:
        """Delete rows, given as number of the session, name and row."""
        for table, rows in _by_table(images).items():
            if table == STAGES:
                for stage in {row["stage"] for row in rows}:
                    numbers = [row[_NUMBER] for row in rows if row["stage"] == stage]
                    self._stored.delete(self._tables[table], _NUMBER, numbers, stage=stage)
            else:
                column = _NUMBERED_BY.get(table, _NUMBER)
                self._stored.delete(self._tables[table], column, [row[column] for row in rows])

    def insert(self, images: Sequence[tuple[int, str, Row]]) -> None:
        """Insert rows, given as number of the session, name and row."""
        for table, rows in _by_table(images).items():
            self._stored.insert(self._tables[table], rows, renumbered=table in _NUMBERED_BY)


def _by_table(images: Sequence[tuple[int, str, Row]]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for number, name, row in images:
        found.setdefault(split_image(name)[0], []).append({**row, _NUMBER: number})
    return found
