"""Snapshots of a lab's database, published as files that never change."""

from vrtracker.services.snapshots.publishing import SnapshotService

__all__ = ["SnapshotService"]
