"""What caches of ONE say of sessions, and the datasets as one is told of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Select, bindparam, case, func, select, update

from vrtracker.repositories.listing import Listing, where
from vrtracker.repositories.repository import Repository

NAMES = ("one_id", "lab", "projects")


class OneRepository(Repository):
    """The rows of `vrt_one_session`, and of `vrt_dataset` beside them."""

    def names(self) -> dict[int, dict[str, Any]]:
        """Return id, lab and projects of the sessions that have any, by their number."""
        table = self._x.tables.one_sessions
        statement = select(*table.c).order_by(table.c.uSessionID)
        rows = [dict(row) for row in self._x.execute(statement).mappings()]
        return {row.pop("uSessionID"): row for row in rows}

    def datasets(self, listing: Listing | None) -> Select[Any]:
        """Return the SELECT of the datasets of a listing's sessions, or of all, as columns.

        Of millions of rows each column takes long. So two that are nearly always empty come with
        others: `level` of a dataset that is missing is -1 - qc_level, and `hash` is the MD5, if
        there is one, with the id behind it that a cache gave.
        """
        tables = self._x.tables
        table, sessions = tables.datasets, tables.sessions
        level, md5, one_id = table.c.qc_level, table.c.md5, table.c.one_id
        chosen: Any = select(
            *(table.c[name] for name in ("uSessionID", "rel_path", "size_bytes")),
            case((table.c.missing_since.is_(None), level), else_=-1 - level).label("level"),
            case((one_id.is_(None), md5), else_=func.coalesce(md5, "") + one_id).label("hash"),
        )
        if listing is None:
            return chosen.execution_options(number=table.c.dataset_id)  # type: ignore[no-any-return]
        return where(chosen, tables, sessions, listing).where(
            table.c.uSessionID == sessions.c.uSessionID
        )

    def add(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert names of sessions that have none."""
        new = [{name: row[name] for name in ("uSessionID", *NAMES)} for row in rows]
        self._x.insert(self._x.tables.one_sessions, new)

    def change(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Set the names of sessions that have some."""
        if rows:
            table = self._x.tables.one_sessions
            values = {name: bindparam(f"new_{name}", type_=table.c[name].type) for name in NAMES}
            prepared = self._x.database.prepare(
                "one.change",
                lambda: (
                    update(table).where(table.c.uSessionID == bindparam("number")).values(values)
                ),
            )
            parameters = [
                {"number": row["uSessionID"], **{f"new_{name}": row[name] for name in NAMES}}
                for row in rows
            ]
            self._x.change_many(prepared, parameters)
