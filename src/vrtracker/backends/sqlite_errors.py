"""What SQLite's result codes mean for a user."""

from __future__ import annotations

import sqlite3

from vrtracker.errors import (
    BackendError,
    DatabaseAwayError,
    DatabaseUnavailableError,
    ForeignSchemaError,
    ReadOnlyError,
    VrtrackerError,
)

BUSY_SECONDS = 30
"""How long a connection waits for another one that writes."""

_UNOPENED = (
    DatabaseUnavailableError,
    "{path} cannot be opened; check that you may read and write it and its folder.",
)
_LOCKED = (
    DatabaseAwayError,
    f"Another program has been writing to {{path}} for over {BUSY_SECONDS} s; try again later.",
)
_NOT_A_DATABASE = (
    ForeignSchemaError,
    "{path} is not a SQLite database; give the right file.",
)
# By result code, what a user can do something about.
_EXPLAINED: dict[int, tuple[type[VrtrackerError], str]] = {
    sqlite3.SQLITE_BUSY: _LOCKED,
    sqlite3.SQLITE_LOCKED: _LOCKED,
    sqlite3.SQLITE_NOTADB: _NOT_A_DATABASE,
    sqlite3.SQLITE_READONLY: (
        ReadOnlyError,
        "{path} cannot be written: open it for writing, or ask its owner, or `vrtracker clone` it.",
    ),
    sqlite3.SQLITE_CANTOPEN: _UNOPENED,
    sqlite3.SQLITE_PERM: _UNOPENED,
    sqlite3.SQLITE_AUTH: _UNOPENED,
    sqlite3.SQLITE_FULL: (
        BackendError,
        "The disk of {path}, or of temporary files (TMPDIR), is full; nothing was written.",
    ),
    sqlite3.SQLITE_IOERR: (
        BackendError,
        "The disk of {path} is full, or failed; nothing was written. Make room, look at its drive.",
    ),
    sqlite3.SQLITE_CORRUPT: (BackendError, "{path} is damaged; restore it from a backup."),
}


def explained(code: int, path: object) -> VrtrackerError | None:
    """Return an error that says what can be done about a result code, None if nothing can."""
    if code & 0xFF not in _EXPLAINED:
        return None
    kind, message = _EXPLAINED[code & 0xFF]
    return kind(message.format(path=path))


def not_a_database(path: object) -> VrtrackerError:
    """Return the error of a file that is no SQLite database."""
    kind, message = _NOT_A_DATABASE
    return kind(message.format(path=path))
