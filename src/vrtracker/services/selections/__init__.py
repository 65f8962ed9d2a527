"""Selections of sessions that are frozen for a paper, and what became of them.

`service` freezes, finds, exports and imports them; `verifying` compares one with the database.
"""

from vrtracker.services.selections.reading import query_of
from vrtracker.services.selections.service import FrozenSessions, SelectionService
from vrtracker.services.selections.verifying import CellChange, SelectionCheck

__all__ = ["CellChange", "FrozenSessions", "SelectionCheck", "SelectionService", "query_of"]
