"""Rigs by version, and which of them sessions used; versions are added and never changed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, insert, select

from vrtracker.repositories.repository import Repository
from vrtracker.repositories.stored_rows import StoredRows


@dataclass(frozen=True, slots=True)
class RigRow:
    """One row of `vrt_rig`; see `vrtracker.models.rigs` for the fields."""

    rig_id: int
    rig_name: str
    rig_version: int
    content_hash: str
    content: dict[str, Any]
    added_at: dt.datetime
    actor: str

    @property
    def name(self) -> str:
        """Name and version, such as ``b2@3``."""
        return f"{self.rig_name}@{self.rig_version}"


class RigRepository(Repository):
    """The rows of `vrt_rig`, `vrt_rig_feature` and `vrt_session_rig`."""

    def all(self) -> list[RigRow]:
        """Return all versions of all rigs, in the order in which they were added."""
        table = self._x.tables.rigs
        statement = select(*table.c).order_by(table.c.rig_id)
        return [RigRow(*row) for row in self._x.execute(statement)]

    def users(self) -> dict[int, int]:
        """Return how many sessions used each version, by its number; those of none left out."""
        table = self._x.tables.session_rigs
        count = func.count(table.c.uSessionID)
        statement = select(table.c.rig_id, count).group_by(table.c.rig_id)
        return {row[0]: row[1] for row in self._x.execute(statement)}

    def add(self, values: dict[str, Any], features: Sequence[dict[str, Any]]) -> int:
        """Insert a version with its features; return its number."""
        tables = self._x.tables
        self._x.execute(insert(tables.rigs).values(values))
        number = select(tables.rigs.c.rig_id).filter_by(
            rig_name=values["rig_name"], rig_version=values["rig_version"]
        )
        rig_id = int(self._x.execute(number).scalar_one())
        rows = [{**each, "rig_id": rig_id} for each in features]
        StoredRows(self._x).insert(tables.rig_features, rows)
        return rig_id

    def used_by(self, numbers: Sequence[int] | None = None) -> dict[int, int]:
        """Return the version that sessions used, by the session's number; of all if none given."""
        table = self._x.tables.session_rigs
        statement = select(table.c.uSessionID, table.c.rig_id)
        if numbers is None:
            return {row[0]: row[1] for row in self._x.execute(statement)}
        found: dict[int, int] = {}
        for part in self._x.parts(numbers):
            some = statement.where(table.c.uSessionID.in_(part))
            found |= {row[0]: row[1] for row in self._x.execute(some)}
        return found

    def use(self, numbers: Sequence[int], rig_id: int | None) -> None:
        """Let sessions point to a version, or to none."""
        table, stored = self._x.tables.session_rigs, StoredRows(self._x)
        stored.delete(table, "uSessionID", numbers)
        if rig_id is not None:
            stored.insert(table, [{"uSessionID": each, "rig_id": rig_id} for each in numbers])
