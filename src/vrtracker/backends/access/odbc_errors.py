"""What can be done about the errors of Microsoft's ODBC driver.

The text of an error is all that pyodbc gives: the SQLSTATE first, the words of the driver in the
language of Windows, the number of the engine in parentheses.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode

from sqlalchemy import URL

from vrtracker.backends.base import Violation
from vrtracker.errors import (
    BackendError,
    DatabaseUnavailableError,
    ReadOnlyError,
    SchemaError,
    VrtrackerError,
)

# Codes of Microsoft's engine, at the end of the driver's message.
NATIVE = {
    "-1605": Violation.UNIQUE,
    "-1613": Violation.FOREIGN_KEY,
    "-1612": Violation.FOREIGN_KEY,
    "-1611": Violation.NOT_NULL,
    "-1053": Violation.NOT_NULL,
}

_BITS = 8 * struct.calcsize("P")
_INSTALL = (
    f"install the Microsoft Access Database Engine 2016 Redistributable for {_BITS} bit, as "
    "this Python is. Where an Office of the other kind is installed, it must go first, or use a "
    "Python of its kind."
)


class _Known(NamedTuple):
    signs: tuple[str, ...]
    make: Callable[[str], VrtrackerError]
    remedy: str


_KNOWN = (
    _Known(
        ("im014", "architecture mismatch"),
        BackendError,
        f"The driver is of another kind than this Python: {_INSTALL}",
    ),
    _Known(
        ("im002", "im003"),
        BackendError,
        f"There is no driver for Access that this Python can load: {_INSTALL}",
    ),
    _Known(
        ("(-1905)", "not a valid password"),
        DatabaseUnavailableError,
        "The password is wrong or missing; give it in the URL: "
        "access+pyodbc://admin:PASSWORD@/C:/data/lab.accdb",
    ),
    _Known(
        (
            "already in use",
            "opened exclusively",
            "exclusively by another",
            "prevents it from being opened or locked",
            "could not lock",
            "currently locked",
            "not currently able to be locked",
        ),
        DatabaseUnavailableError,
        "Somebody else has it open for himself; close it in Access, there or here, and try again.",
    ),
    _Known(
        ("(-3035)", "updateable query", "(-1809)", "object is read-only"),
        ReadOnlyError,
        "The file or its folder cannot be written; take away the read-only mark, or ask its owner "
        "for access (Access writes a lock file beside it).",
    ),
    _Known(
        ("07002", "(-3010)"),
        SchemaError,
        "It lacks a column or a table that was asked for; see what differs: vrtracker db check",
    ),
    _Known(
        ("unable to open registry key", "not a valid path", "could not find file"),
        DatabaseUnavailableError,
        "The driver cannot open the file; check its path, and that you may write in its folder.",
    ),
    _Known(
        ("unrecognized database format", "needs to be repaired", "is corrupt"),
        DatabaseUnavailableError,
        "The file is damaged or of another kind; let Access compact and repair a copy of it.",
    ),
)


def explain_odbc(message: str, file: str) -> VrtrackerError | None:
    """Return our error for a text of the driver's, None where nothing is known about it."""
    folded = message.casefold()
    for known in _KNOWN:
        if any(sign in folded for sign in known.signs):
            return known.make(f"{file}: {known.remedy} (The driver: {message})")
    return None


def cannot_adopt(url: URL) -> BackendError:
    """Return the refusal to adopt a file through Microsoft's driver, and how it is done."""
    file = Path(url.database or "")
    options = f"?{urlencode(url.query, doseq=True)}" if url.query else ""
    through_java = f"access+ucanaccess:///{file.as_posix()}{options}"
    return BackendError(
        f"Microsoft's driver cannot adopt {file}; nothing was written. Adopt it once through Java: "
        f'pip install "vrtracker[java]", then: vrtracker db adopt "{through_java}" --apply. '
        "Afterwards open it by its path, as before."
    )
