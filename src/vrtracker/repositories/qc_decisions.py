"""QC decisions: appended and read, never changed."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import Select, select

from vrtracker.domain.qc import QC
from vrtracker.repositories.repository import Repository


class QCDecisionRepository(Repository):
    """The rows of `vrt_qc_decision`."""

    def append(self, number: int, *, check: str, level: QC, **values: Any) -> None:
        """Append a decision on the session with this autonumber; `values`: the other columns."""
        row = {"uSessionID": number, "check_name": check, "qc_level": int(level), **values}
        self._x.insert(self._x.tables.qc_decisions, [row])

    def of_session(self, number: int) -> Select[Any]:
        """Return the SELECT of the decisions on a session, oldest first."""
        table = self._x.tables.qc_decisions
        return select(*table.c).where(table.c.uSessionID == number).order_by(table.c.decision_id)

    def newest(self, number: int, checks: Collection[str]) -> Any:
        """Return the newest decision on a session, of some checks if any are given, or None."""
        table = self._x.tables.qc_decisions
        chosen = [table.c.check_name.in_(checks)] if checks else []
        statement = select(*table.c).where(table.c.uSessionID == number, *chosen)
        return self._x.execute(statement.order_by(table.c.decision_id.desc()).limit(1)).first()
