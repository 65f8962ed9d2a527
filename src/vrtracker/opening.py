"""Open a lab: find its settings and its database, and hand out the tracker."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from vrtracker.database import Database
from vrtracker.database.versions import require_current
from vrtracker.files.published import is_published
from vrtracker.services.administration.moving import where_it_went
from vrtracker.services.administration.opening import lab_of, plain_lab
from vrtracker.settings import Settings, settings_for
from vrtracker.tracker import Tracker

if TYPE_CHECKING:
    from vrtracker.services.administration.whole import LabDatabase

__all__ = ["database_of", "init", "open_tracker", "tracker_of"]


def open_tracker(
    target: str | os.PathLike[str] | None = None,
    *,
    root: str | os.PathLike[str] | None = None,
    readonly: bool = False,
    actor: str | None = None,
) -> Tracker:
    """Open a lab's database.

    Parameters
    ----------
    target
        Path of the database, SQLAlchemy URL, or name of a profile. When not given:
        ``VRTRACKER_URL``, else the profile of ``VRTRACKER_PROFILE``, else the default profile.
    root
        Folder that holds the sessions' folders; ``VRTRACKER_ROOT`` or the profile's when not
        given.
    readonly
        Refuse to write.
    actor
        Name under which events are signed; the user's when not given.

    Returns
    -------
    Tracker

    Raises
    ------
    DatabaseUnavailableError
        If the database is missing (it is not made), not permitted, or not reachable.
    SchemaError
        If its schema is older, newer, or foreign; the message says both revisions and the
        command that mends it.
    ConfigurationError
        If no database is named, or the settings are wrong.

    Examples
    --------
    >>> with vrtracker.open("lab.db", root="lab", readonly=True) as reader:
    ...     reader.sessions.count(imaging=True)
    11
    """
    return tracker_of(settings_for(target), root=root, readonly=readonly, actor=actor)


def tracker_of(
    settings: Settings,
    *,
    root: str | os.PathLike[str] | None = None,
    readonly: bool = False,
    actor: str | None = None,
) -> Tracker:
    """Open the database of settings that were read before; the rest as `open_tracker`."""
    timeout = settings.statement_timeout_seconds
    database = Database(settings.database, readonly=readonly, timeout=timeout)
    refusal = _why_only_read(database)
    if refusal is not None:
        database = Database(settings.database, readonly=True, refusal=refusal, timeout=timeout)
    database.backend.check_target(database.url)
    try:
        require_current(database)
        lab = lab_of(database, settings, root=root, actor=actor)
        return Tracker(lab, registrars=settings.registrars)
    except BaseException:
        database.dispose()
        raise


def _why_only_read(database: Database) -> str | None:
    """Return what says that nobody writes to a database, and what to do; None if one may."""
    went = where_it_went(database)
    if went is not None:
        return f"{database} was moved to {went}, and is only read; open that one."
    file = database.backend.file(database.url)
    if file is not None and is_published(file):
        copy = f"vrtracker clone {file} copy.db"
        return f"{file} is a snapshot, and read-only for good; work with a copy of it: {copy}"
    return None


def database_of(
    target: str | os.PathLike[str] | None = None, *, actor: str | None = None
) -> LabDatabase:
    """Return the database of a lab as a whole, whether it is there or not: to make or drop it.

    Examples
    --------
    >>> vrtracker.database_of("new.db").exists()
    False
    """
    from vrtracker.services.administration.whole import LabDatabase

    settings = settings_for(target)
    database = Database(settings.database, timeout=settings.statement_timeout_seconds)
    return LabDatabase(plain_lab(database, settings, actor=actor))


def init(target: str | os.PathLike[str] | None = None, **options: Any) -> Tracker:
    """Make a new database (or bring one up to date), and open it; options as `open_tracker`.

    Examples
    --------
    >>> with vrtracker.init("new.db", root="lab") as lab:
    ...     lab.scan(add_mice=True)
    12 new sessions to add: .apply() does it; 0 known.
    ...
    """
    from vrtracker.services.administration.migrating import upgrade

    upgrade(settings_for(target))
    return open_tracker(target, **options)
