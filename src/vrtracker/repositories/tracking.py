"""The sessions of runs that tracked cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, delete, select

from vrtracker.repositories.repository import Repository

_OF_SESSION = ("mouseName", "sessionDate", "sessionID", "suite2pDate")


class TrackingRepository(Repository):
    """The rows of `vrt_tracking`, and of `sessiondb` beside them."""

    def of_mouse(self, mouse: str | None = None) -> list[dict[str, Any]]:
        """Return the rows of the runs of a mouse, or of all, with key and suite2pDate."""
        if mouse is None:
            return self._rows()
        return self._rows(self._x.tables.sessions.c.mouseName == mouse)

    def _rows(self, *conditions: ColumnElement[bool]) -> list[dict[str, Any]]:
        table, sessions = self._x.tables.tracking, self._x.tables.sessions
        statement = (
            select(*table.c, *(sessions.c[name] for name in _OF_SESSION))
            .where(table.c.uSessionID == sessions.c.uSessionID, *conditions)
            .order_by(table.c.tracking_id)
        )
        return [dict(row) for row in self._x.execute(statement).mappings()]

    def recorded(self) -> set[tuple[str, int]]:
        """Return run and number of session of every row."""
        table = self._x.tables.tracking
        statement = select(table.c.run_hash, table.c.uSessionID)
        return {(row[0], row[1]) for row in self._x.execute(statement)}

    def add(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows."""
        for row in rows:
            self._x.execute(self._x.tables.tracking.insert().values(dict(row)))

    def remove(self, run: str, numbers: Sequence[int]) -> None:
        """Delete the rows of sessions of a run."""
        table = self._x.tables.tracking
        self._x.execute(
            delete(table).where(table.c.run_hash == run, table.c.uSessionID.in_(list(numbers)))
        )
