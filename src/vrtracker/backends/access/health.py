"""What a doctor asks of an Access file, and Access files as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from vrtracker.backends.access import jars, jvm
from vrtracker.backends.access.file_lock import lock_of
from vrtracker.backends.access.holders import holders, lock_file
from vrtracker.backends.care import FileCare
from vrtracker.backends.health import Health, versions_of
from vrtracker.errors import BackendError, ConfigurationError
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


class AccessCare(FileCare):
    """Removes files; neither driver can compact one in place, which Access itself does."""

    suffixes = (".accdb", ".mdb")

    def drop(self, url: URL) -> None:
        """Remove the file, if nobody has it open in Access or writes to it through us."""
        from vrtracker.backends.access.replacement import remove

        remove(Path(url.database or ""))

    def vacuum(self, url: URL, tables: Sequence[str]) -> NoReturn:
        """Say who can."""
        del tables
        raise BackendError(
            f"{url.database} is compacted by Access itself, as neither of its drivers can: there, "
            "Database Tools, Compact and Repair Database. Nothing was changed. A new, small file "
            "of its tables alone, without forms and queries: "
            f"vrtracker clone {url.database} NEW.accdb"
        )

    def analyze(self, url: URL, tables: Sequence[str]) -> None:
        """Nothing to do: Access counts as it goes."""
