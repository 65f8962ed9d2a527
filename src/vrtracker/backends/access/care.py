"""Access files as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from vrtracker.backends.care import FileCare
from vrtracker.errors import BackendError

if TYPE_CHECKING:
    from sqlalchemy import URL


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
