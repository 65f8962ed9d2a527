"""What a doctor asks of an Access file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from vrtracker.backends.access import jars, jvm
from vrtracker.backends.access.file_lock import lock_of
from vrtracker.backends.access.holders import holders, lock_file
from vrtracker.backends.health import Health, versions_of
from vrtracker.errors import ConfigurationError
from vrtracker.processes import having_open

if TYPE_CHECKING:
    from sqlalchemy import URL, Engine


class AccessHealth(Health):
    """Looks at Java and its libraries, and at the lock files."""

    def equipment(self, url: URL) -> str:
        """Return the driver of Microsoft, or Java's version and how many libraries are intact."""
        packages = versions_of(["jpype1", "pyodbc", "sqlalchemy-access", "sqlalchemy"])
        if url.drivername != "access+ucanaccess":
            return f"{_microsofts()}, {packages}"
        home, version = jvm.suitable_java()
        folder, unfit = jars.unfit()
        if unfit:
            raise ConfigurationError(
                f"Java's libraries for Access are missing or changed in {folder}: "
                f"{', '.join(unfit)}. Fetch them: vrtracker access install"
            )
        return f"Java {version} of {home}, {len(jars.JARS)} intact libraries, {packages}"

    def holders(self, url: URL, engine: Engine) -> list[str]:
        """Read who is listed in Access' lock file, and who holds ours."""
        del engine
        path = Path(url.database or "")
        listed = holders(path)
        found = [] if listed is None else [*listed] or [f"somebody, by {lock_file(path)}"]
        return [*(f"{who} in Access" for who in found), *having_open(lock_of(path))]


def _microsofts() -> str:
    import pyodbc

    from vrtracker.backends.access.odbc import DRIVER

    if DRIVER not in pyodbc.drivers():
        raise ConfigurationError(
            f"The driver {DRIVER!r} is not installed. Install the Microsoft Access Database "
            "Engine with as many bits as this Python has."
        )
    return DRIVER
