"""Rows that refer to others which are not there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, func, select

from vrtracker.repositories.repository import Repository


@dataclass(frozen=True, slots=True)
class Orphans:
    """Rows of a table that refer to one and the same thing, which is not there."""

    table: str
    column: str
    value: Any
    rows: int


class OrphanRepository(Repository):
    """The foreign keys of all tables of the tracker, and attempts: as rows keep them or do not."""

    def all(self) -> list[Orphans]:
        """Return what is referred to and not there, with how many rows do so."""
        tables = self._x.tables.sessions.metadata.sorted_tables
        keys = [key for table in tables for key in table.foreign_key_constraints]
        pairs = [(key.columns[0], key.elements[0].column) for key in keys]
        ours = self._x.tables
        pairs += [
            (table.c.attempt_id, ours.attempts.c.attempt_id)
            for table in (ours.stage_states, ours.datasets)
        ]
        return [found for pair in pairs for found in self._of(*pair)]

    def _of(self, column: Any, referred: Any) -> list[Orphans]:
        parent = referred.table.alias("referred")
        same = column == parent.c[referred.name]
        statement: Any = (
            select(column, func.count())
            .select_from(column.table.outerjoin(parent, same))
            .where(and_(parent.c[referred.name].is_(None), column.is_not(None)))
            .group_by(column)
            .order_by(column)
        )
        where = (column.table.name, column.name)
        return [Orphans(*where, *row) for row in map(tuple, self._x.execute(statement))]
