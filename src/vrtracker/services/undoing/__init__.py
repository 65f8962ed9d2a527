"""Taking operations back."""

from vrtracker.services.undoing.undo import UndoPlan, UndoService

__all__ = ["UndoPlan", "UndoService"]
