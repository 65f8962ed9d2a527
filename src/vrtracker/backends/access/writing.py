"""What holds before a transaction may write to an Access file.

A folder that a cloud service synchronises is refused: the service copies the file while it is
written to, and two computers write to two copies of it. So is a file that Access has open,
since UCanAccess knows nothing of Access's page locks. Before the first write of a day the file
is copied to a folder beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import URL, Connection, Engine, event, exc

from vrtracker import clock
from vrtracker.backends.access.file_lock import FileLock, lock_of
from vrtracker.backends.access.holders import check_nobody_has_it_open
from vrtracker.backends.access.inspection import own_tables
from vrtracker.backends.access.java_errors import OperationalError, translated
from vrtracker.backends.access.statements import first_word, is_pure_select
from vrtracker.backends.access.undo import check_writable, is_pending
from vrtracker.backends.disk import copy_whole, synced_folder
from vrtracker.errors import BackendError, ConfigurationError, DatabaseAwayError, ReadOnlyError

DAYS_KEPT = 14
OPTIONS = ("daily_backup", "synced_folder")
LOCK_TIMEOUT_S = 30.0
_LOCK = "vrtracker_lock"

RowCounts = dict[str, int]


class WriteOptions(NamedTuple):
    """What a URL says of writing: ``?daily_backup=no&synced_folder=allow``."""

    daily_backup: bool
    synced_folder: bool

    @classmethod
    def of(cls, url: URL) -> WriteOptions:
        """Read the options of a URL.

        Raises ConfigurationError if an option has a value that it cannot have.
        """
        return cls(
            daily_backup=_choice(url.query, "daily_backup", ("yes", "no")) != "no",
            synced_folder=_choice(url.query, "synced_folder", ("refuse", "allow")) == "allow",
        )


def _choice(query: Mapping[str, Any], name: str, choices: tuple[str, str]) -> str:
    given = str(query.get(name, choices[0])).casefold()
    if given not in choices:
        raise ConfigurationError(
            f"{name}={given} in the database's URL; write {' or '.join(choices)}."
        )
    return given


def check_folder(path: Path, options: WriteOptions) -> None:
    """Refuse a folder that a cloud service synchronises.

    Raises BackendError if it is one, and the URL does not allow it.
    """
    synced = synced_folder(path)
    if synced is not None and not options.synced_folder:
        raise BackendError(
            f"{path} lies in {synced!r}, which a cloud service synchronises: Access files are "
            "damaged there. Move it to a folder of this computer or of a file server; to write "
            f"all the same, open access:///{path.as_posix()}?synced_folder=allow"
        )


def guard_ucanaccess(engine: Engine, path: Path, options: WriteOptions) -> None:
    """Hold every transaction of an engine on UCanAccess to the rules of this module."""

    def begin(connection: Connection) -> None:
        opened: Any = connection.connection.driver_connection
        errors: Any = connection.dialect.loaded_dbapi.Error
        check_nobody_has_it_open(path)
        try:
            if options.daily_backup:
                # Without it, the transaction may be that of a backup, which writes nothing.
                check_writable(path)
            opened.begin(write=True)
            if options.daily_backup:
                with translated():
                    back_up_once_a_day(path, lambda: row_counts(opened.java.getDbIO()))
        except errors as error:
            raise exc.DBAPIError.instance("BEGIN", None, error, errors) from error

    event.listen(engine, "begin", begin)


def guard_odbc(engine: Engine, path: Path, options: WriteOptions) -> None:
    """Let one transaction at a time write; Microsoft's driver sees to what Access has open."""

    def begin(connection: Connection) -> None:
        lock = FileLock(lock_of(path))
        try:
            lock.acquire(timeout_s=LOCK_TIMEOUT_S)
        except OperationalError as error:
            raise DatabaseAwayError(str(error)) from error
        connection.info[_LOCK] = lock
        if options.daily_backup:
            back_up_once_a_day(path)

    def give_back(_connection: Any, record: Any) -> None:
        # A transaction of ours ends with its connection going back to the pool.
        lock = record.info.pop(_LOCK, None)
        if lock is not None:
            lock.release()

    event.listen(engine, "begin", begin)
    event.listen(engine, "checkin", give_back)


def refuse_changes(engine: Engine) -> None:
    """Let an engine run SELECT alone: Microsoft's read-only mode does not prevent updates."""

    def check(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if not is_pure_select(statement):
            raise ReadOnlyError(
                f"The database was opened read-only; refused: {first_word(statement)}. Open it "
                "without readonly=True."
            )

    event.listen(engine, "before_cursor_execute", check)


def back_up_once_a_day(path: Path, counts: Callable[[], RowCounts] | None = None) -> Path | None:
    """Copy the file beside it unless it was today; return the copy, or None if none was made.

    The caller holds the lock of writers. The copy has the same bytes, and, where `counts` gives
    the rows of each table of the open file, opens and holds as many; a file without rows is
    not copied. The 14 newest days stay.
    """
    folder = path.with_name(f"{path.stem}.backups")
    target = folder / f"{path.stem}.{clock.lab_today()}{path.suffix}"
    if target.exists() or not path.is_file():
        return None
    expected = counts() if counts is not None else None
    if expected is not None and not any(expected.values()):
        return None
    try:
        folder.mkdir(exist_ok=True)
        copy_whole(path, target, check=None if expected is None else _holding(expected))
        for old in sorted(folder.glob(f"{path.stem}.????-??-??{path.suffix}"))[:-DAYS_KEPT]:
            old.unlink()
    except OSError as error:
        raise BackendError(
            f"The day's backup {target} could not be made ({error.strerror}); nothing was "
            "written. Make room for it, or set daily_backup=no in the database's URL."
        ) from error
    return target


def back_up(path: Path, target: Path, *, through_java: bool) -> Path:
    """Copy the file, whose lock of writers the caller holds; through Java, count the copy's rows.

    Raises BackendError if the copy cannot be made or is not whole.
    """
    try:
        copy_whole(path, target, check=_holding(_counted(path)) if through_java else None)
    except OSError as error:
        raise BackendError(f"No backup of {path} could be made ({error.strerror}).") from error
    return target


def back_up_unlocked(path: Path, target: Path, *, through_java: bool) -> Path:
    """Copy a file in whose folder this process can make no lock.

    Raises BackendError if the copy cannot be made or is not whole, or somebody writes to the file.
    """
    before = path.stat()
    back_up(path, target, through_java=through_java)
    now = path.stat()
    if is_pending(path) or (now.st_size, now.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
        target.unlink()
        raise BackendError(f"Somebody wrote to {path} while it was copied; try again.")
    return target


def _counted(path: Path) -> RowCounts:
    from vrtracker.backends.access import jackcess_ops

    with jackcess_ops.opened(path, readonly=True) as file:
        return row_counts(file)


def row_counts(file: Any) -> RowCounts:
    """Return the number of rows of each table of an open Jackcess database, but Alembic's."""
    return {
        name: int(file.getTable(name).getRowCount())
        for name in own_tables(file)
        if name != "alembic_version"
    }


def _holding(expected: RowCounts) -> Callable[[Path], None]:
    def check(copy: Path) -> None:
        if _counted(copy) != expected:
            raise BackendError(
                f"The copy {copy} does not hold the rows of the file; look at the disk, or write "
                "without a copy: daily_backup=no in the database's URL."
            )

    return check
