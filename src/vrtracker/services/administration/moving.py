"""Databases that were moved: a note beside the old file says where to, and nobody writes there."""

from __future__ import annotations

import contextlib
import stat
from collections.abc import Iterator
from pathlib import Path

from vrtracker.backends.disk import dated_name
from vrtracker.database import Database
from vrtracker.domain.roles import Role
from vrtracker.errors import BackendError, InvalidValueError
from vrtracker.services.context import LabContext
from vrtracker.services.holders import require_idle

_WRITABLE = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH


def where_it_went(database: Database) -> str | None:
    """Return the address that a database was moved to; None if it is where it was."""
    file = database.backend.file(database.url)
    with contextlib.suppress(OSError):
        if file is not None:
            return _note(file).read_text(encoding="utf-8").partition("\n")[0]
    return None


def require_movable(lab: LabContext) -> None:
    """Refuse to move a database from under the hands of those who work.

    Raises RoleError if one is no admin. Raises ClaimHeldError if a session is worked on. Raises
    InvalidValueError if it was moved already.
    """
    lab.require(Role.ADMIN)
    went = where_it_went(lab.database)
    if went is not None:
        raise InvalidValueError(f"{lab.database} was moved to {went} already; give that one.")
    require_idle(lab)


@contextlib.contextmanager
def leaving(lab: LabContext, destination: Database) -> Iterator[Path | None]:
    """Keep others from writing to the old database while the block copies it, and after.

    Yields the note beside a file, None for a database on a server, which cannot be marked. If the
    block fails, or somebody wrote all the same, the old one is as it was.

    Raises BackendError if somebody wrote meanwhile.
    """
    file = lab.database.backend.file(lab.database.url)
    before = _last_event(lab)
    mode = None if file is None else file.stat().st_mode
    try:
        if file is not None:
            _write_note(lab, file, destination)
        yield None if file is None else _note(file)
        _require_unchanged(lab, before, destination)
        if file is not None:
            file.chmod(file.stat().st_mode & ~_WRITABLE)
    except BaseException:
        if file is not None and mode is not None:
            _note(file).unlink(missing_ok=True)
            file.chmod(stat.S_IMODE(mode))
        raise


@contextlib.contextmanager
def room_at(destination: Database) -> Iterator[Path | None]:
    """Keep an old file, from which a database was moved, under another name, and yield that.

    It comes back if the block fails.
    """
    file = destination.backend.file(destination.url)
    if file is None or not file.exists() or where_it_went(destination) is None:
        yield None
        return
    kept, note = dated_name(file), _note(file).read_text(encoding="utf-8")
    _rename(file, kept)
    _note(file).unlink()
    try:
        yield kept
    except BaseException:
        _rename(kept, file)
        _note(file).write_text(note, encoding="utf-8")
        raise


def _rename(file: Path, target: Path) -> None:
    """Rename a file with what SQLite keeps beside it."""
    file.replace(target)
    for suffix in ("-wal", "-shm"):
        beside = file.with_name(f"{file.name}{suffix}")
        if beside.exists():
            beside.replace(target.with_name(f"{target.name}{suffix}"))


def _note(file: Path) -> Path:
    return file.with_name(f"{file.name}.moved.txt")


def _write_note(lab: LabContext, file: Path, destination: Database) -> None:
    _note(file).write_text(
        f"{destination}\n\n{file.name} was copied there on {lab.now():%Y-%m-%d} by {lab.actor}, "
        "and the work goes on there.\nThe file is kept as it was, and is only read.\n",
        encoding="utf-8",
    )


def _require_unchanged(lab: LabContext, before: int, destination: Database) -> None:
    if _last_event(lab) != before:
        raise BackendError(
            f"Somebody wrote to {lab.database} while it was copied; go on with it as it is. "
            f"Drop {destination}, see that nobody works, and move it again."
        )


def _last_event(lab: LabContext) -> int:
    with lab.unit(readonly=True) as unit:
        return unit.events.last_number()
