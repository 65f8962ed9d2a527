"""Sessions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Table, select

from vrtracker.database import Tables
from vrtracker.domain.keys import SessionKey
from vrtracker.domain.records import MouseRecord, SessionRecord
from vrtracker.repositories.columns import Columns
from vrtracker.repositories.listing import Listing, values_listed
from vrtracker.repositories.rows import RowRepository

_HANGING = {
    "datasets": ("datasets", ("rel_path",)),
    "qc": ("qc_decisions", ("decision_id",)),
    "attempts": ("attempts", ("started_at", "attempt_id")),
}
"""What hangs on a session, with its table and the order of its rows."""

PARTS = ("mouse", *_HANGING)
"""What can be read together with sessions."""


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

    def parts(
        self, names: Sequence[str], listing: Listing, columns: Callable[[], Columns]
    ) -> Callable[[SessionRecord], dict[str, Any]]:
        """Read what belongs to the sessions of a listing; one statement for each of the names.

        It gives the parts of a session by their names: the mouse as a record, the rest as lists of
        rows, each a dict by column.
        """
        found = {name: self._part(name, listing, columns()) for name in names}

        def of(record: SessionRecord) -> dict[str, Any]:
            return {
                name: part.get(record.mouseName)
                if name == "mouse"
                else part.get(record.uSessionID, [])
                for name, part in found.items()
            }

        return of

    def _part(self, name: str, listing: Listing, columns: Columns) -> dict[Any, Any]:
        tables = self._x.tables
        if name == "mouse":
            names = values_listed(tables, self.table, listing, "mouseName", columns)
            statement = select(*tables.mice.c).where(tables.mice.c.mouseName.in_(names))
            rows = self._x.execute(statement).all()
            mice = (MouseRecord.of_row(row, tables.extra["mousedb"]) for row in rows)
            return {mouse.mouseName: mouse for mouse in mice}
        table_name, order = _HANGING[name]
        table: Table = getattr(tables, table_name)
        numbers = values_listed(tables, self.table, listing, "uSessionID", columns)
        statement = (
            select(*table.c)
            .where(table.c.uSessionID.in_(numbers))
            .order_by(*(table.c[each] for each in ("uSessionID", *order)))
        )
        found: dict[Any, Any] = defaultdict(list)
        for row in self._x.execute(statement).mappings():
            found[row["uSessionID"]].append(dict(row))
        return found
