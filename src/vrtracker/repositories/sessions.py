"""Sessions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Table, select

from vrtracker.database import Tables
from vrtracker.domain.keys import SessionKey
from vrtracker.domain.records import SessionRecord
from vrtracker.repositories.rows import RowRepository

__all__ = ["SessionRepository"]


class SessionRepository(RowRepository[SessionRecord]):
    """The rows of `sessiondb`."""

    subject = "session"
    key_columns = ("mouseName", "sessionDate", "sessionID")

    @staticmethod
    def _table_of(tables: Tables) -> Table:
        return tables.sessions

    def _record(self, row: Sequence[Any]) -> SessionRecord:
        return SessionRecord.of_row(row, self._x.tables.extra["sessiondb"])

    def get(self, key: SessionKey) -> SessionRecord | None:
        """Return a session by its key, scratched or not, or None."""
        return self.by_key(mouseName=key.mouse, sessionDate=key.date, sessionID=key.number)

    def keys_of(self, numbers: Sequence[int]) -> dict[int, tuple[Any, ...]]:
        """Return the natural keys of the sessions with these autonumbers."""
        columns = [self.table.c[name] for name in self.key_columns]
        statement = select(self.id_column, *columns).where(self.id_column.in_(list(numbers)))
        return {row[0]: tuple(row[1:]) for row in self._x.execute(statement)} if numbers else {}

    def used(self, name: str) -> list[Any]:
        """Return the different values of a column, missing ones left out."""
        column = self.table.c[name]
        statement = select(column).where(column.is_not(None)).distinct()
        return [row[0] for row in self._x.execute(statement)]
