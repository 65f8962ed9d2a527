"""How one kind of database is made, removed and kept in order as a whole."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import URL


class Care(abc.ABC):
    """What is done to a database as a whole, past its tables."""

    @abc.abstractmethod
    def databases(self, url: URL) -> list[str]:
        """Return the names of the databases beside this one: in its folder, or on its server."""

    @abc.abstractmethod
    def name(self, url: URL) -> str:
        """Return the database's name among those."""

    def create(self, url: URL) -> None:  # noqa: B027 - a file comes with its tables
        """Make an empty database, where it must be there before its tables."""

    @abc.abstractmethod
    def drop(self, url: URL) -> None:
        """Remove the database with all that is in it.

        Raises BackendError if somebody uses it.
        """

    @abc.abstractmethod
    def vacuum(self, url: URL, tables: Sequence[str]) -> None:
        """Give back the room that changed and deleted rows have left; of all tables if none."""

    @abc.abstractmethod
    def analyze(self, url: URL, tables: Sequence[str]) -> None:
        """Have the database count its rows, to plan by; those of all tables if none is named."""


class FileCare(Care):
    """A database that is a file."""

    suffixes: tuple[str, ...] = ()
    """How the names of such files end."""

    def databases(self, url: URL) -> list[str]:
        """Return the names of the files that end so, and look at none of them."""
        folder = Path(url.database or "").parent
        found = folder.iterdir() if folder.is_dir() else ()
        return sorted(path.name for path in found if path.suffix.lower() in self.suffixes)

    def name(self, url: URL) -> str:
        """Return the file's name."""
        return Path(url.database or "").name
