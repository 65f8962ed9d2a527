"""Selections that were frozen: added and read, never changed."""

from __future__ import annotations

import json
import logging
from typing import Any

from sqlalchemy import delete, select, type_coerce, update

from vrtracker.domain.frozen import Frozen
from vrtracker.errors import ImportFileError
from vrtracker.models.types import LongText
from vrtracker.repositories.repository import Repository

_log = logging.getLogger(__name__)


class SelectionRepository(Repository):
    """The rows of `vrt_selection`."""

    def names(self) -> list[str]:
        """Return the names of all, oldest first."""
        table = self._x.tables.selections
        statement = select(table.c.selection_name).order_by(table.c.selection_id)
        return [row[0] for row in self._x.execute(statement)]

    def find(self, name: str) -> Frozen | None:
        """Return the one of that name, or None."""
        table = self._x.tables.selections
        statement = select(table.c.selection_name, table.c.content).where(
            table.c.selection_name == name
        )
        found: Any = self._x.execute(statement).all()
        # Where the engine compares as Microsoft's does, other cases of letters are found too.
        content = next((row[1] for row in found if row[0] == name), None)
        return None if content is None else Frozen.of_document(content, name)

    def all(self) -> list[Frozen]:
        """Return all, oldest first, but those that are damaged, which a warning names."""
        table = self._x.tables.selections
        # As text: one that is no JSON leaves the others readable.
        content = type_coerce(table.c.content, LongText)
        statement = select(table.c.selection_name, content).order_by(table.c.selection_id)
        found = []
        for name, text in self._x.execute(statement):
            try:
                found.append(Frozen.of_document(json.loads(text), f"The selection {name}"))
            except (ImportFileError, ValueError) as error:
                _log.warning("The selection %s is damaged and left out: %s", name, error)
        return found

    def hash_of(self, name: str) -> str:
        """Return the hash that was kept of the one of exactly that name."""
        table = self._x.tables.selections
        statement = select(table.c.selection_name, table.c.content_hash)
        return str(dict(map(tuple, self._x.execute(statement)))[name])

    def delete(self, name: str) -> None:
        """Delete the one of exactly that name, damaged or not."""
        table = self._x.tables.selections
        self._x.change(
            self._x.database.compiled(delete(table).where(table.c.selection_name == name))
        )

    def rename(self, name: str, frozen: Frozen) -> None:
        """Give the one of that name the name that stands in `frozen`, which is else the same."""
        table = self._x.tables.selections
        values = {"selection_name": frozen.name, "content": frozen.document()}
        statement = update(table).where(table.c.selection_name == name).values(values)
        self._x.change(self._x.database.compiled(statement))

    def add(self, frozen: Frozen) -> None:
        """Insert one."""
        values = {
            "selection_name": frozen.name,
            "frozen_at": frozen.frozen_at,
            "actor": frozen.actor,
            "content_hash": frozen.hash,
            "content": frozen.document(),
        }
        self._x.insert(self._x.tables.selections, [values])
