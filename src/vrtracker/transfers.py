"""Whole databases: copied to another one, put back from a backup."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Generator, Iterator, Mapping
from typing import Any

from vrtracker.database import Database
from vrtracker.database.structure import LeftOut
from vrtracker.database.versions import require_current
from vrtracker.errors import InvalidValueError, UnknownNameError
from vrtracker.repositories.listing import Listing
from vrtracker.services.administration import backups, cloning, opening, part
from vrtracker.services.administration.backups import Restored
from vrtracker.services.administration.cloning import Clone, CopiedTable, Copying, Extent
from vrtracker.services.administration.syncing import Syncing
from vrtracker.settings import Settings, resolve_url, settings_for

__all__ = ["bake", "clone", "iter_copy_tables", "restore"]

_DAYS: dict[str, int | None] = {"small": 30, "medium": 365, "full": None}


def clone(
    source: str | os.PathLike[str],
    destination: str | os.PathLike[str],
    where: Any = None,
    *,
    include_scratched: bool = False,
    progress: Callable[[str, int, int], object] | None = None,
    skip_tables: Collection[str] = (),
    skip_columns: Collection[str] = (),
    update: bool = False,
    resume: bool = False,
    dry_run: bool = False,
    **filters: Any,
) -> Clone:
    """Copy a database, or a part of it, into a new one, of the same or another kind.

    All rows of all tables come along with their numbers, also the columns and tables that the
    lab has added; then both are compared. What is copied is the state of one moment.

    With filters, the sessions that pass come with their mice and all that hangs on them; of the
    lab's own tables, the rows that refer to nothing that is left out.

    Parameters
    ----------
    source
        Path, URL or profile of a database with the newest schema.
    destination
        Path or URL of a file that does not exist, or of a database without rows.
    where, include_scratched, **filters
        Which sessions, as for ``tracker.sessions.frame``; all that there is when not given.
    progress
        Called with a table's name, the rows that are copied, and how many there are.
    skip_tables
        Tables whose rows stay behind, and those of the lab's own altogether.
    skip_columns
        Columns that are empty in the copy, ``table.column`` or by their names alone. What the
        history tells of them stays in ``vrt_event``.
    update
        The destination is an earlier copy, made with the same filters: what was added, changed or
        deleted since is written alone, in one transaction, and all is compared.
    resume
        Keep what is written a portion at a time; if it is interrupted, the same call goes on.
        Until it ends, the copy cannot be opened.
    dry_run
        Write nothing; return what would be.

    Returns
    -------
    Clone
        ``source, destination, revision, tables``; each table with ``name, rows, hash`` and
        ``added, changed, removed``.

    Raises
    ------
    InvalidValueError
        If both are one database, or no session passes; or the copy to bring up to date has a
        history of its own.
    NotEmptyError
        If the destination holds rows, or columns or tables of somebody's own.
    UnknownNameError
        If there is no table or column of a name that is to be skipped.
    BackendError
        If the destination cannot hold something, or does not give it back as it was. It is
        left as it was before.

    Examples
    --------
    >>> copy = vrtracker.clone("lab.db", "part.db", "mouse.KO")
    >>> {table.name: table.rows for table in copy.tables if table.name in {"mousedb", "sessiondb"}}
    {'mousedb': 1, 'sessiondb': 4}
    """
    extent = _extent(skip_tables, skip_columns, update=update, resume=resume, dry_run=dry_run)
    asked = (where, filters, include_scratched)
    return cloning.finished(_steps(source, destination, asked, progress, extent))


def iter_copy_tables(
    source: str | os.PathLike[str],
    destination: str | os.PathLike[str],
    where: Any = None,
    *,
    include_scratched: bool = False,
    progress: Callable[[str, int, int], object] | None = None,
    skip_tables: Collection[str] = (),
    skip_columns: Collection[str] = (),
    update: bool = False,
    resume: bool = False,
    **filters: Any,
) -> Iterator[CopiedTable]:
    """Copy as `clone` does, and yield each table when its rows are copied.

    Both are compared, and the copy put in place, when the last one was asked for; whoever stops
    before leaves nothing.

    Parameters
    ----------
    source, destination, where, include_scratched, skip_tables, skip_columns, update, resume
        As `clone`.

    Yields
    ------
    CopiedTable
        ``table, rows, seconds``.

    Examples
    --------
    >>> for table in vrtracker.iter_copy_tables("lab.db", "copy.db"):
    ...     print(table.table, table.rows)
    mousedb 3
    ...
    """
    extent = _extent(skip_tables, skip_columns, update=update, resume=resume)
    asked = (where, filters, include_scratched)
    yield from _steps(source, destination, asked, progress, extent)


def _extent(tables: Collection[str], columns: Collection[str], **how: bool) -> Extent:
    for names in (tables, columns):
        if isinstance(names, str):
            raise InvalidValueError(f"What to skip is a list; write [{names!r}].")
    if how["update"] and how["resume"]:
        raise InvalidValueError("Bring a whole copy up to date, or resume one: not both.")
    return Extent(left_out=LeftOut(frozenset(tables), frozenset(columns)), **how)


def _steps(
    source: str | os.PathLike[str] | None,
    destination: str | os.PathLike[str],
    asked: tuple[Any, Mapping[str, Any], bool],
    progress: Any,
    extent: Extent,
) -> Generator[CopiedTable, None, Clone]:
    """Copy what is asked for: filters, and whether scratched sessions are among it."""
    settings = settings_for(source)
    where, filters, scratched = asked
    if "since" in filters:
        raise InvalidValueError(
            "There is no filter 'since'. An earlier copy gets what changed since, deletions too, "
            "with update=True. Only the sessions that changed: changed_since=TIME; only those of "
            'a day and later: sessionDate=(DAY, ">=").'
        )

    def wanted(read: Database) -> Listing | None:
        if where is None and not filters:
            return None
        selection = opening.lab_of(read, settings).selection(where, filters)
        return Listing(selection, include_scratched=scratched)

    return (yield from _copied(settings, destination, wanted, progress, extent))


def _copied(
    settings: Settings,
    destination: str | os.PathLike[str],
    wanted: Callable[[Database], Listing | None],
    progress: Any,
    extent: Extent,
) -> Generator[CopiedTable, None, Clone]:
    with (
        Database(settings.database, readonly=True) as read,
        Database(resolve_url(destination), create=True) as written,
    ):
        read.backend.check_target(read.url)
        require_current(read)
        listing = wanted(read)
        if listing is not None:
            copying: Copying = part.part_of(read, written, progress, listing, extent)
        else:
            kind = Syncing if extent.update or extent.resume else Copying
            copying = kind(read, written, progress, extent)
        return (yield from copying.steps())


def bake(
    source: str | os.PathLike[str] | None,
    destination: str | os.PathLike[str],
    *,
    size: str = "full",
    progress: Callable[[str, int, int], object] | None = None,
) -> Clone:
    """Copy a database in one of the sizes that the profile names into a new one.

    Parameters
    ----------
    source
        Path, URL or profile; the default one if not given.
    destination
        Path or URL of a file that does not exist, or of a database without rows.
    size
        A name under ``sizes`` in the profile, which has filters of sessions for it. Where the
        profile does not say otherwise, ``small`` is the sessions of the last 30 days before the
        newest one, ``medium`` those of 365 days, ``full`` all that there is.

    Raises
    ------
    UnknownNameError
        If there is no such size.
    VrtrackerError
        As `clone`.

    Examples
    --------
    >>> copy = vrtracker.bake("lab.db", "small.db", size="small")
    >>> [table.rows for table in copy.tables if table.name == "sessiondb"]
    [4]
    """
    settings = settings_for(source)
    named = settings.sizes.get(size)
    if named is None and size not in _DAYS:
        raise UnknownNameError("size", size, {**_DAYS, **settings.sizes})
    if named:
        return clone(settings.database, destination, named, progress=progress)
    days = _DAYS[size] if named is None else None

    def wanted(read: Database) -> Listing | None:
        return None if days is None else part.newest_days(read, days)

    return cloning.finished(_copied(settings, destination, wanted, progress, Extent()))


def restore(
    database: str | os.PathLike[str] | None,
    backup: str | os.PathLike[str],
    *,
    save: bool = True,
    other: bool = False,
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
        With `other`, into this database's own folder for backups.
    other
        Also a backup that was, by its name, made of another database.
    actor
        Who asks; the user when not given. It takes an admin.

    Returns
    -------
    Restored
        ``database, backup, revision, saved``.

    Raises
    ------
    InvalidValueError
        If there is no such backup, it is of another kind of database, or was made of another one.
    ForeignSchemaError
        If it is no backup of a database of vrtracker.
    SchemaError
        If the backup holds rows alone (COPY archive of PostgreSQL), and the database has not
        their tables and columns; the message holds the statements that make them.
    RoleError
        If one is no admin.
    ClaimHeldError
        If a session is being worked on: what comes of it would be lost to the database.
    BackendError
        If the backup is damaged, or somebody uses the database; it is as it was then.

    Examples
    --------
    >>> backup = tracker.back_up("backups")
    >>> tracker.sessions.delete("DEMO003.2023-03-16.1")
    >>> restored = vrtracker.restore("lab.db", backup.path, save=False)
    >>> tracker.sessions.count()
    12
    """
    settings = settings_for(database)
    with Database(settings.database, create=True) as found:
        lab = opening.plain_lab(found, settings, actor=actor)
        return backups.restore(lab, backup, save=save, other=other)
