"""Who has an Access file open in Access: read from the lock file beside it.

The lock file holds a record of 64 bytes for each user: the computer's name, then the login
name, 32 bytes each, filled up with zero bytes (Microsoft: "Introduction to .ldb files in
Access"). Access removes the file when the last user leaves.
"""

from __future__ import annotations

from pathlib import Path

from vrtracker.errors import DatabaseAwayError

_RECORD = 64
_HALF = 32
_LOCK_SUFFIXES = {".accdb": ".laccdb", ".mdb": ".ldb"}


def lock_file(path: Path) -> Path:
    """Return the lock file that Access keeps beside a database while somebody has it open."""
    return path.with_suffix(_LOCK_SUFFIXES.get(path.suffix.lower(), ".laccdb"))


def holders(path: Path) -> list[str] | None:
    """Return who is listed in the lock file, as ``user on computer``; None without one."""
    try:
        content = lock_file(path).read_bytes()
    except FileNotFoundError:
        return None
    except OSError:
        # On Windows, Access may keep others from reading it.
        return []
    records = [content[at : at + _RECORD] for at in range(0, len(content), _RECORD)]
    return [
        f"{_name(record[_HALF:])} on {_name(record[:_HALF])}"
        for record in records
        if record.strip(b"\0 ")
    ]


def check_nobody_has_it_open(path: Path) -> None:
    """Refuse to go on while the lock file is there.

    Raises DatabaseAwayError if it is; the message names it and who is listed in it.
    """
    found = holders(path)
    if found is None:
        return
    who = f" by {', '.join(found)}" if found else ""
    raise DatabaseAwayError(
        f"{path} is open in Access{who}. Close it there and try again. If nobody has it open, "
        f"Access has crashed: delete {lock_file(path)}"
    )


def _name(part: bytes) -> str:
    return part.split(b"\0", 1)[0].decode("latin-1").strip() or "unknown"
