"""Mice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Table, select

from vrtracker.database import Tables
from vrtracker.domain.records import MouseRecord
from vrtracker.repositories.rows import RowRepository


class MouseRepository(RowRepository[MouseRecord]):
    """The rows of `mousedb`."""

    subject = "mouse"
    key_columns = ("mouseName",)

    @staticmethod
    def _table_of(tables: Tables) -> Table:
        return tables.mice

    def _record(self, row: Sequence[Any]) -> MouseRecord:
        return MouseRecord.of_row(row, self._x.tables.extra["mousedb"])

    def get(self, name: str) -> MouseRecord | None:
        """Return a mouse by its name, or None."""
        return self.by_key(mouseName=name)

    def names(self) -> list[str]:
        """Return the names of all mice, in the order of their entry."""
        statement = select(self.table.c.mouseName).order_by(self.id_column)
        return [row[0] for row in self._x.execute(statement)]
