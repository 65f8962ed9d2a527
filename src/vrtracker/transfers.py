"""Whole databases: copied to another one, put back from a backup."""

from __future__ import annotations

import os
from collections.abc import Callable

from vrtracker.database import Database
from vrtracker.services.administration import backups, cloning
from vrtracker.services.administration.backups import Restored
from vrtracker.services.administration.cloning import Clone
from vrtracker.services.administration.opening import plain_lab
from vrtracker.settings import resolve_url, settings_for

__all__ = ["clone", "restore"]


def clone(
    source: str | os.PathLike[str],
    destination: str | os.PathLike[str],
    *,
    progress: Callable[[str, int, int], object] | None = None,
) -> Clone:
    """Copy a whole database into a new one, of the same or another kind.

    All rows of all tables come along with their numbers, also the columns and tables that the
    lab has added; then both are compared. What is copied is the state of one moment.

    Parameters
    ----------
    source
        Path, URL or profile of a database with the newest schema.
    destination
        Path or URL of a file that does not exist, or of a database without rows.
    progress
        Called with a table's name, the rows that are copied, and how many there are.

    Returns
    -------
    Clone
        ``source, destination, revision, tables``; each table with ``name, rows, hash``.

    Raises
    ------
    InvalidValueError
        If both are one database.
    NotEmptyError
        If the destination holds rows, or columns or tables of somebody's own.
    BackendError
        If the destination cannot hold something, or does not give it back as it was. It is
        left as it was before.
    """
    return cloning.clone(resolve_url(source), resolve_url(destination), progress=progress)


def restore(
    database: str | os.PathLike[str] | None,
    backup: str | os.PathLike[str],
    *,
    save: bool = True,
    actor: str | None = None,
) -> Restored:
    """Put a backup in the place of a database, whole or not at all.

    Parameters
    ----------
    database
        Path, URL or profile; the default one if not given. A file may be missing.
    backup
        What `Tracker.back_up` wrote for a database of the same kind.
    save
        Back up what the database holds now, into the folder of the backup; refuse if that fails.
    actor
        Who asks; the user when not given. It takes an admin.

    Returns
    -------
    Restored
        ``database, backup, revision, saved``.

    Raises
    ------
    InvalidValueError
        If there is no such backup, or it is of another kind of database.
    ForeignSchemaError
        If it is no backup of a database of vrtracker.
    SchemaError
        If the backup holds rows alone (COPY archive of PostgreSQL), and the database has not
        their tables and columns; the message holds the statements that make them.
    RoleError
        If one is no admin.
    BackendError
        If the backup is damaged, or somebody uses the database; it is as it was then.
    """
    settings = settings_for(database)
    found = Database(settings.database, create=True)
    try:
        lab = plain_lab(found, settings, actor=actor)
        return backups.restore(lab, backup, save=save)
    finally:
        found.dispose()
