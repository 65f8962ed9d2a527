"""Backups: dated, verified copies of the whole database in another folder."""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import os
import platform
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

from vrtracker.database import Database
from vrtracker.database.versions import HEAD, REVISIONS, current_revision, is_empty
from vrtracker.display import Facts, Shown
from vrtracker.domain.roles import Role
from vrtracker.errors import (
    BackendError,
    ConfigurationError,
    ForeignSchemaError,
    InvalidValueError,
    SchemaTooNewError,
)
from vrtracker.services.administration.roles import keeping_roles
from vrtracker.services.context import LabContext
from vrtracker.services.holders import require_idle

_TIME = "%Y%m%dT%H%M%SZ"
_COPIES = 10
_UNFIT = re.compile(r"[^\w.-]+")


@dataclass(frozen=True, slots=True)
class Backup(Shown):
    """A backup that was written and verified.

    `bytes`: its size, bytes. `removed`: older backups that gave way to it.
    """

    path: Path
    bytes: int
    removed: tuple[Path, ...] = ()

    def facts(self) -> Facts:
        """Return where it is, and which ones gave way to it."""
        gone = [f"{path} was removed." for path in self.removed]
        return Facts(f"Backup {self.path}, {self.bytes} bytes, verified.", notes=gone)


def back_up(
    lab: LabContext, folder: str | os.PathLike[str] | None, *, keep: int | None = None
) -> Backup:
    """Write a copy of the database, named for it, for where it is and for the second in UTC.

    `folder`: where to; it is made if it is missing. `keep`: how many backups of this database to
    keep, the new one among them; all when not given. Those of another database stay, whatever its
    name. Raises ConfigurationError if no folder is known, or it is where the database itself lies.
    Raises BackendError if the copy cannot be written or is not whole; there is no copy then.
    """
    if folder is None:
        raise ConfigurationError(
            "No folder for backups is known; give one, or set VRTRACKER_BACKUPS, or backups in "
            "the profile."
        )
    if keep is not None and keep < 1:
        raise InvalidValueError("keep counts the new backup too; give 1 or more.")
    target = Path(folder).expanduser().absolute()
    file = lab.database.backend.file(lab.database.url)
    if file is not None:
        _refuse_own_folder(file, target, "Give a folder of another disk.")
    return _written(lab.database, target, f"{lab.now():{_TIME}}", keep=keep)


def keeps_copies(lab: LabContext) -> bool:
    """Return whether the database is copied before many of its rows change."""
    has_place = lab.backups is not None or lab.database.backend.file(lab.database.url) is not None
    return lab.safety_copies and has_place


def keep_copy(lab: LabContext, what: str) -> Path | None:
    """Copy the database before many of its rows change; return the copy, if one was made.

    None is made where the lab wants none, and of a database that is open read-only.

    `what`: what comes, in one word; part of the copy's name.
    """
    if lab.database.readonly or not keeps_copies(lab):
        return None
    return copy_before(lab.database, what, folder=lab.backups, at=lab.now())


def copy_before(
    database: Database, what: str, *, folder: Path | None, at: dt.datetime
) -> Path | None:
    """Copy a database into a folder; one beside the file, ``<its name>.backups``, if not given.

    The copies of each kind are the newest few. A database on a server is copied only if there
    is a folder.

    Raises BackendError if it cannot be copied: what comes must not go on then.
    """
    file = database.backend.file(database.url)
    target = folder or (file and _beside(file))
    if target is None:
        return None
    time = f"{at:{_TIME}}"
    return _written(database, target.expanduser(), time, f".before-{what}", keep=_COPIES).path


def _written(
    database: Database, folder: Path, time: str, label: str = "", *, keep: int | None
) -> Backup:
    if database.backend.file(database.url) is not None:
        database.backend.check_target(database.url)
    stem = _stem(database, folder)
    name = f"{stem}.{time}{label}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BackendError(
            f"The folder {folder} cannot be made ({error.strerror}); nothing was copied."
        ) from error
    if not label and _is_taken(folder, name):
        raise BackendError(f"There is a backup {name} in {folder} already; wait a second.")
    claimed = _claimed(folder, name) if label else contextlib.nullcontext(name)
    with claimed as free, database.translating():
        path = database.backend.back_up(database.url, folder, free)
        made = Backup(path, path.stat().st_size)
    if keep is None:
        return made
    suffix = re.escape(path.name.removeprefix(free))
    label = rf"{re.escape(label)}(?:-(\d+))?" if label else "()"
    ours = re.compile(rf"{re.escape(stem)}\.(\d{{8}}T\d{{6}}Z){label}{suffix}")
    return replace(made, removed=_removed(_others(path, ours), keep - 1))


def newest_backup(database: Database, folder: Path) -> tuple[Path, dt.datetime] | None:
    """Return the newest backup of a database in a folder, and when it was made, aware UTC."""
    stem = re.escape(_stem(database, folder))
    ours = re.compile(rf"{stem}\.(\d{{8}}T\d{{6}}Z)\.(?:\w+|copy\.zip)")
    found = [(match[1], path) for path, match in _matching(folder, ours)]
    if not found:
        return None
    time, path = max(found)
    return path, dt.datetime.strptime(time, _TIME).replace(tzinfo=dt.UTC)


def require_sound(database: Database, backup: Path) -> None:
    """Raise BackendError if a backup of this database is not whole."""
    if database.backend.file(database.url) is None:
        database.backend.revision_needed(backup)
        return
    _check_same_kind(database, backup)
    with Database(backup, readonly=True) as copy, copy.connect(readonly=True) as connection:
        damage = copy.backend.health.damage(connection)
    if damage:
        raise BackendError(f"{backup} is damaged: {'; '.join(damage)}.")


def _matching(folder: Path, ours: re.Pattern[str]) -> Iterator[tuple[Path, re.Match[str]]]:
    for path in folder.iterdir() if folder.is_dir() else ():
        match = ours.fullmatch(path.name)
        if match:
            yield path, match


def _beside(file: Path) -> Path:
    """Return the folder of a file's copies where none is named."""
    return file.with_name(f"{file.stem}.backups")


def _stem(database: Database, folder: Path) -> str:
    """Return how the names of a database's copies in a folder begin."""
    file = database.backend.file(database.url)
    is_beside = file is not None and file.resolve().parent == folder.resolve().parent
    return _stems(database)[is_beside]


def _stems(database: Database) -> list[str]:
    """Return how the names of a database's copies begin elsewhere, and beside its file.

    A mark tells them from those of all others. Beside the file its name is enough, and stays the
    same where the disk is mounted elsewhere.
    """
    file = database.backend.file(database.url)
    places = [f"{platform.node()} {database.backend.place(database.url)}"]
    places += [file.resolve().name] if file is not None else []
    named = file.stem if file is not None else database.url.database or "database"
    marks = [hashlib.sha256(place.encode()).hexdigest()[:8] for place in places]
    return [f"{_UNFIT.sub('_', named)}-{mark}" for mark in marks]


@dataclass(frozen=True, slots=True)
class Restored:
    """A database that holds what a backup held.

    `revision`: revision of the schema that the backup had. `saved`: what the database held before;
    None if there was none.
    """

    database: str
    backup: Path
    revision: str
    saved: Backup | None


def restore(
    lab: LabContext, backup: str | os.PathLike[str], *, save: bool = True, other: bool = False
) -> Restored:
    """Put a backup in the database's place; `vrtracker.restore` describes it."""
    path = Path(backup).expanduser().absolute()
    database = lab.database
    lab.require(Role.ADMIN)
    if not path.is_file():
        raise InvalidValueError(f"There is no backup {path}; correct the path.")
    if database.backend.file(database.url) is not None:
        _check_same_kind(database, path)
    revision = database.backend.revision_needed(path)
    there = database.backend.exists(database.url)
    is_ours = _is_ours(database, path)
    if there and not is_ours and not other and current_revision(database) is not None:
        raise InvalidValueError(
            f"{path} was not made of {database}, by its name: it is another lab's, or was renamed, "
            "or the database was elsewhere then. If it is to take the place of what is there: "
            "--other (other=True)."
        )
    folder = path.parent if is_ours else lab.backups
    if there:
        # One that is past being asked has to be restored all the same.
        with contextlib.suppress(BackendError):
            require_idle(lab)
    saved = _saved(lab, folder, instead=path.parent) if save and there else None
    if revision is not None and is_empty(database):
        _make_schema(database, revision)
    database.dispose()
    with database.translating(), keeping_roles(database):
        database.backend.restore(database.url, path)
    found = current_revision(database)
    if found is None:
        raise BackendError(
            f"{database} holds no schema of vrtracker after restoring {path}; it is the backup of "
            "something else. What was there before is in "
            f"{saved.path if saved is not None else 'no backup'}."
        )
    return Restored(str(database), path, found, saved)


def _is_ours(database: Database, path: Path) -> bool:
    """Return whether a backup was made of the database, by its name.

    A server is reached by several names; there that of the database is enough.
    """
    stems = _stems(database)
    if database.backend.file(database.url) is None:
        return path.name.startswith(f"{stems[0].rpartition('-')[0]}-")
    return any(path.name.startswith(f"{stem}.") for stem in stems)


def _saved(lab: LabContext, folder: Path | None, *, instead: Path) -> Backup:
    """Keep what is there now, in the folder or beside the file; of a server `instead` of none."""
    file = lab.database.backend.file(lab.database.url)
    if file is not None:
        folder = folder or _beside(file)
        _refuse_own_folder(
            file,
            folder,
            "Move the backup to a folder of another disk, or keep no copy of what is there now: "
            "--no-save (save=False).",
        )
    return back_up(lab, folder or instead)


def _make_schema(database: Database, revision: str) -> None:
    """Make the tables that a backup's rows are put into."""
    from vrtracker.database.migration import upgrade

    if revision not in REVISIONS:
        raise SchemaTooNewError(revision, HEAD, version("vrtracker"))
    upgrade(database.url, revision)


def _check_same_kind(database: Database, path: Path) -> None:
    """Refuse a file that is no database of this kind, or none of vrtracker's."""
    with Database(path, readonly=True) as source:
        if type(source.backend) is not type(database.backend):
            raise InvalidValueError(
                f"{path} is a database of another kind than {database}; copy it there with: "
                f"vrtracker clone {path} DEST"
            )
        source.backend.check_target(source.url)
        if current_revision(source) is None:
            raise ForeignSchemaError(f"{path} is no backup of a database of vrtracker.")


def _refuse_own_folder(file: Path, target: Path, remedy: str) -> None:
    if file.resolve().parent == target.resolve():
        raise ConfigurationError(
            f"{target} is where the database itself lies: what damages the one damages the other. "
            f"{remedy}"
        )


def _is_taken(folder: Path, name: str) -> bool:
    return any(path.name.startswith(f"{name}.") for path in folder.iterdir())


@contextlib.contextmanager
def _claimed(folder: Path, name: str) -> Iterator[str]:
    """Yield the name, or it with a number: one that nobody else writes to meanwhile."""
    while True:
        free = _unused(folder, name)
        claim = folder / f".{free}.claimed"
        try:
            claim.touch(exist_ok=False)
        except FileExistsError:
            continue
        except OSError as error:
            raise BackendError(
                f"The folder {folder} cannot be written ({error.strerror}); nothing was copied."
            ) from error
        try:
            # Another one may have come to its end between look and claim.
            if not _is_taken(folder, free):
                yield free
                return
        finally:
            claim.unlink()


def _unused(folder: Path, name: str) -> str:
    """Return the name, numbered if it is taken: higher than any, so that numbers tell the age."""
    taken = re.compile(rf"\.?{re.escape(name)}(?:-(\d+))?\..*")
    found = (taken.fullmatch(path.name) for path in folder.iterdir())
    last = max((int(match[1] or 1) for match in found if match), default=0)
    return f"{name}-{last + 1}" if last else name


def _others(path: Path, ours: re.Pattern[str]) -> list[Path]:
    """Return the other backups of a kind, oldest first."""
    found = _matching(path.parent, ours)
    dated = [(match[1], int(match[2] or 1), other) for other, match in found]
    return [other for _, _, other in sorted(dated) if other != path]


def _removed(backups: list[Path], keep: int) -> tuple[Path, ...]:
    """Remove all but the last few, and return what is gone."""
    removed = []
    for path in backups[: max(len(backups) - keep, 0)]:
        # One that cannot be removed now, as somebody reads it, goes with the next backup.
        with contextlib.suppress(OSError):
            path.unlink()
            removed.append(path)
    return tuple(removed)
