"""What happened: events, attempts, failures and decisions."""

from vrtracker.services.history.frames import HistoryService

__all__ = ["HistoryService"]
