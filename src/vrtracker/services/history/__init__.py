"""What happened: events, attempts, failures and decisions; the rows against all that."""

from vrtracker.services.history.frames import HistoryService
from vrtracker.services.history.outside import OutsideService, Verification

__all__ = ["HistoryService", "OutsideService", "Verification"]
