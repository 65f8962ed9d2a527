"""The database beside the disk: new sessions found there, and what is no longer as recorded."""

from vrtracker.services.disk.datasets import DatasetService
from vrtracker.services.disk.reconcile import ReconcilePlan, ReconcileService
from vrtracker.services.disk.scan import ScanPlan, ScanService

__all__ = ["DatasetService", "ReconcilePlan", "ReconcileService", "ScanPlan", "ScanService"]
