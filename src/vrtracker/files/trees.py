"""Walk, copy, rename and remove folder trees without following links out of them."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import stat
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path

_log = logging.getLogger(__name__)

FileFacts = tuple[int, float]
"""Size of a file, bytes, and the time of its last change, s since 1970-01-01 UTC."""

_ON_WINDOWS = os.name == "nt"
_BY_DESCRIPTOR = os.scandir in os.supports_fd
# Virus scanners and indexers on Windows hold new files open for a moment; s.
_RENAME_PAUSES = (0.05, 0.1, 0.2, 0.4, 0.8)
PART = ".part"
"""How files end that are not whole yet."""
_ABSENT = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}
# What file systems without fsync (some network shares) answer.
_NO_FLUSH = {errno.EINVAL, errno.ENOTSUP, errno.ENOSYS}


def is_hidden(name: str) -> bool:
    """Tell whether a file or folder name is hidden by convention (a leading dot)."""
    return name.startswith(".")


def status_of(path: Path) -> os.stat_result | None:
    """Return what the system says of a file or folder, None where there is none.

    Raises OSError if the disk refuses to answer, which `Path.exists`, `is_dir` and `is_file` take
    for absence from Python 3.14 on.
    """
    try:
        return path.stat()
    except OSError as error:
        if error.errno in _ABSENT:
            return None
        raise


def leads_to_folder(path: Path) -> bool:
    """Tell whether a path leads to a folder; OSError as `status_of`."""
    found = status_of(path)
    return found is not None and stat.S_ISDIR(found.st_mode)


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Tell whether an entry is a folder, or a link to one.

    Raises OSError if it is a link that leads nowhere or cannot be followed: that may be to a
    folder.
    """
    if entry.is_dir():
        return True
    if entry.is_symlink():
        entry.stat()
    return False


def is_empty(folder: Path) -> bool:
    """Tell whether a folder has nothing in it."""
    return next(folder.iterdir(), None) is None


def unused(path: Path) -> Path:
    """Return a path like this one at which nothing is: itself, or with -2, -3 ... appended."""
    candidate, count = path, 1
    while candidate.exists():
        count += 1
        candidate = path.with_name(f"{path.name}-{count}")
    return candidate


def reason_of(error: OSError) -> str:
    """Return the operating system's reason without its path, such as "Permission denied"."""
    return error.strerror or str(error)


def facts_in(
    folder: str, *, only: Collection[str] | None = None
) -> tuple[dict[str, FileFacts], list[str]]:
    """Return the facts of the visible files in a folder, and the names of its real folders.

    A link to a file counts as the file, a link to a folder as neither.

    `only`: the names to look at; all when not given. Raises OSError if the folder, or one of the
    files, cannot be looked at; with `only`, also if one of them is a link that leads nowhere.
    """
    # By descriptor the system need not find the folder again for each file.
    descriptor = os.open(folder, os.O_RDONLY) if _BY_DESCRIPTOR else None
    try:
        with os.scandir(folder if descriptor is None else descriptor) as entries:
            return _facts(entries, only)
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _facts(
    entries: Iterable[os.DirEntry[str]], only: Collection[str] | None
) -> tuple[dict[str, FileFacts], list[str]]:
    files, folders = {}, []
    for entry in entries:
        name = entry.name
        if name not in only if only is not None else is_hidden(name):
            continue
        if entry.is_file():
            status = entry.stat()
            files[name] = (status.st_size, status.st_mtime)
        elif _is_real_folder(entry):
            folders.append(name)
        elif only is not None and entry.is_symlink():
            entry.stat()
    return files, folders


def plain_facts(folder: str, *, enter: Callable[[str], bool]) -> dict[str, FileFacts] | None:
    """Return the facts of all files below a folder by posix path, or None if it is not so simple.

    That is where there is a link or a pipe below it, or something cannot be read, such as the
    folder itself: `walk` then tells what it is. It looks at nothing else, since it is for trees
    of which nearly all is as it was before.

    `folder`: where to start. `enter`: asked with the posix path, relative to `folder`, of each
    folder on the way.
    """
    found: dict[str, FileFacts] = {}
    waiting = [""]
    try:
        while waiting:
            prefix = waiting.pop()
            with os.scandir(f"{folder}/{prefix}") as entries:
                for entry in entries:
                    rel_path = prefix + entry.name
                    if entry.is_file(follow_symlinks=False):
                        status = entry.stat()
                        found[rel_path] = (status.st_size, status.st_mtime)
                    elif not _is_real_folder(entry):
                        return None
                    elif enter(rel_path):
                        waiting.append(f"{rel_path}/")
    except OSError:
        return None
    return found


def walk(
    folder: Path, *, enter: Callable[[str], bool] = lambda _: True
) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Yield all entries below a folder that are not real folders, in no particular order.

    A symbolic link to a folder (a junction on Windows) is yielded as an entry and never
    entered, so that no loop is possible.

    `folder`: where to start. `enter`: asked with the posix path, relative to `folder`, of each real
    folder on the way. Yields the posix path relative to `folder`, and the entry. Raises OSError if
    a folder cannot be listed.
    """
    waiting = [("", str(folder))]
    while waiting:
        prefix, here = waiting.pop()
        with os.scandir(here) as entries:
            for entry in entries:
                rel_path = prefix + entry.name
                if not _is_real_folder(entry):
                    yield rel_path, entry
                elif enter(rel_path):
                    waiting.append((f"{rel_path}/", entry.path))


def _is_real_folder(entry: os.DirEntry[str]) -> bool:
    # DirEntry has is_junction from Python 3.12 on; 3.11 takes a junction for a folder.
    is_junction = getattr(entry, "is_junction", None)
    return entry.is_dir(follow_symlinks=False) and not (is_junction is not None and is_junction())


def sizes(folder: Path) -> dict[str, int]:
    """Return the size in bytes of each file below a folder, by posix path; links count as such.

    Raises OSError if the folder is there but cannot be read; a missing one has no files.
    """
    if status_of(folder) is None:
        return {}
    return {rel_path: entry.stat(follow_symlinks=False).st_size for rel_path, entry in walk(folder)}


def carry(source: Path, target: Path) -> bool:
    """Make a file appear in a second place too: as a hard link, else as a copy.

    Returns False, and nothing is done, if something else is in that place. Raises OSError if it can
    be neither linked nor copied.
    """
    if os.path.lexists(target):
        return False
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        return False
    status = source.lstat()
    # Removing a read-only file on Windows begins with making it writable, in all its places.
    if stat.S_ISREG(status.st_mode) and status.st_mode & stat.S_IWUSR:
        try:
            target.hardlink_to(source)
        except OSError:
            pass  # No hard links on this file system: copy.
        else:
            return True
    shutil.copy2(source, target, follow_symlinks=False)
    return True


def flush(folder: Path) -> None:
    """Have the disk itself hold a tree's files, so that a power cut cannot empty them.

    Windows flushes only through a writable handle, which may not be had; nothing is done there.

    Raises OSError if the disk cannot hold them.
    """
    for here, _, names in os.walk(folder):
        for path in (*(Path(here, name) for name in names), Path(here)):
            if stat.S_ISREG(path.lstat().st_mode) or path == Path(here):
                _flush_one(path)


def _flush_one(path: Path) -> None:
    if _ON_WINDOWS:
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_FLUSH:
            raise
    finally:
        os.close(descriptor)


def rename(source: Path, target: Path) -> None:
    """Rename a folder or file; on Windows, try again for a moment where somebody holds it.

    Raises OSError if it cannot be renamed.
    """
    for pause in _RENAME_PAUSES if _ON_WINDOWS else ():
        try:
            source.replace(target)
        except PermissionError:
            time.sleep(pause)
        else:
            return
    source.replace(target)


def move(source: Path, target: Path) -> None:
    """Move a file, or a link itself, to where nothing is; the folders on the way are made.

    To another file system it is copied: the copy has its name only once all of it is on the disk,
    and the source goes last, unless it was written to meanwhile.

    Raises OSError if it cannot be moved; it is where it was then, and nothing is at the target.
    """
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        rename(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _move_over(source, target)


def _move_over(source: Path, target: Path) -> None:
    part = target.with_name(f".{uuid.uuid4().hex}{PART}")
    try:
        before = _state(source)
        shutil.copy2(source, part, follow_symlinks=False)
        if not part.is_symlink():
            _flush_one(part)
        if part.lstat().st_size != before[0]:
            raise OSError(errno.EIO, "the copy has another size", str(source))
        part.replace(target)
        try:
            _flush_one(target.parent)
            _unlink_as_seen(source, before)
        except FileNotFoundError:
            # Somebody else has taken it away, and what was copied is all there is of it.
            return
        except OSError:
            target.unlink()
            raise
    finally:
        part.unlink(missing_ok=True)


def _unlink_as_seen(path: Path, state: tuple[int, int]) -> None:
    if _state(path) != state:
        raise OSError(errno.EBUSY, "it was written to meanwhile", str(path))
    path.unlink()


def _state(path: Path) -> tuple[int, int]:
    status = path.lstat()
    return status.st_size, status.st_mtime_ns


def remove_tree(folder: Path) -> bool:
    """Delete a folder and all in it, or a file; log it and return False where that fails.

    What is left over does no harm and is removed by the next recovery, so a file that
    somebody holds open must not turn a success into a failure.
    """
    try:
        try:
            if folder.is_file():
                folder.unlink()
            else:
                shutil.rmtree(folder)
        except PermissionError:
            _make_writable(folder)
            shutil.rmtree(folder)
    except FileNotFoundError:
        return not folder.exists()
    except OSError as error:
        _log.warning("%s could not be removed: %s", folder, reason_of(error))
        return False
    return True


def _make_writable(folder: Path) -> None:
    for here, _, names in os.walk(folder):
        Path(here).chmod(stat.S_IRWXU)
        # Only Windows asks whether the file itself is writable before removing it.
        for name in names if _ON_WINDOWS else ():
            Path(here, name).chmod(stat.S_IWRITE)
