"""Change the schema of the database that the settings name, after a copy of it was kept."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vrtracker import clock
from vrtracker.database import Database
from vrtracker.database.versions import current_revision
from vrtracker.domain.roles import Role
from vrtracker.services.administration.backups import copy_before
from vrtracker.services.administration.opening import plain_lab
from vrtracker.settings import Settings


@dataclass(frozen=True, slots=True)
class Migrated:
    """Where a migration has led to."""

    revision: str
    copy: Path | None = None
    """The database as it was; None where there was nothing to change or to lose."""


def upgrade(settings: Settings, revision: str = "head") -> Migrated:
    """Bring a database to a revision; see `vrtracker.database.migration.upgrade`."""
    from vrtracker.database import migration

    copy = _copied(settings, migration.target_of(revision))
    return Migrated(migration.upgrade(settings.database, revision), copy)


def downgrade(settings: Settings, revision: str) -> Migrated:
    """Take a database back to an earlier revision; what later ones added is lost."""
    from vrtracker.database import migration

    copy = _copied(settings, migration.target_of(revision))
    return Migrated(migration.downgrade(settings.database, revision), copy)


def _copied(settings: Settings, revision: str) -> Path | None:
    """Ask for the right to change a database that is ours and at another revision; copy it."""
    with Database(settings.database, readonly=True) as database:
        database.backend.check_target(database.url, create=True)
        if not database.backend.exists(database.url):
            return None
        if current_revision(database) in {None, revision}:
            return None
        plain_lab(database, settings).require(Role.ADMIN)
        if not settings.safety_copies:
            return None
        return copy_before(database, "migration", folder=settings.backups, at=clock.now())
