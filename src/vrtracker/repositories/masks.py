"""Masks of sessions: the newest of each name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete, select

from vrtracker.repositories.repository import Repository


class MaskRepository(Repository):
    """The rows of `vrt_mask`."""

    def all(self) -> list[dict[str, Any]]:
        """Return all but their content, in the order in which they were made."""
        table = self._x.tables.masks
        columns = [column for column in table.c if column.name != "content"]
        statement = select(*columns).order_by(table.c.mask_id)
        return [dict(row) for row in self._x.execute(statement).mappings()]

    def content(self, number: int, name: str) -> str | None:
        """Return what a mask of a session holds, or None."""
        table = self._x.tables.masks
        statement = select(table.c.mask_name, table.c.content).where(
            table.c.uSessionID == number, table.c.mask_name == name
        )
        # Where the engine compares as Microsoft's does, other cases of letters are found too.
        return next((row[1] for row in self._x.execute(statement) if row[0] == name), None)

    def put(self, row: Mapping[str, Any]) -> None:
        """Insert a mask in place of the one of that session and name."""
        table = self._x.tables.masks
        self._x.execute(
            delete(table).where(
                table.c.uSessionID == row["uSessionID"], table.c.mask_name == row["mask_name"]
            )
        )
        self._x.insert(table, [row])
