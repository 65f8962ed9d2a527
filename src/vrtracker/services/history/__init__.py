"""What happened: events, attempts, failures and decisions."""

from vrtracker.services.history.frames import HistoryService, former_keys

__all__ = ["HistoryService", "former_keys"]
