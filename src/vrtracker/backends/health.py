"""What a doctor asks a kind of database; what does not apply there is well."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from sqlalchemy import URL, Connection, Engine, Table

_SHOWN = 60


class Misfit(NamedTuple):
    """A cell that its column's type does not take."""

    table: str
    column: str
    value: Any
    row: tuple[str, Any]
    """What the row is known by: the first column of its key and the value there."""

    def __str__(self) -> str:
        name, number = self.row
        shown = repr(self.value)
        shown = f"{shown[:_SHOWN]}…" if len(shown) > _SHOWN else shown
        return f"{self.table}.{self.column} holds {shown} where {name} is {number!r}"


class Health:
    """How one kind of database is looked at; nothing here writes but `shorten_log`."""

    fit_for_network_drives: bool = True
    """Whether its locks are to be relied on where several computers reach one file."""

    def equipment(self, url: URL) -> str:
        """Return in words what opens the database on this computer, and in which versions.

        Raises VrtrackerError if something is missing or does not fit.
        """
        raise NotImplementedError

    def damage(self, connection: Connection, *, quick: bool = False) -> list[str]:
        """Return in words what is damaged; `quick` is enough where every row is read anyway."""
        del connection, quick
        return []

    def misfits(self, connection: Connection, table: Table) -> list[Misfit]:
        """Return cells that their columns' types do not take; a few of each table are enough."""
        del connection, table
        return []

    def holders(self, url: URL, engine: Engine) -> list[str]:
        """Return in words who keeps others from writing just now."""
        del url, engine
        return []

    def log(self, url: URL) -> tuple[Path, int] | None:
        """Return the log of changes beside the file and its size in bytes, if there is one."""
        del url
        return None

    def shorten_log(self, url: URL) -> None:
        """Bring what stands in the log into the file, as far as nobody reads what was before."""


def versions_of(names: Iterable[str]) -> str:
    """Return those of the distributions that are installed, with their versions."""
    found = []
    for name in names:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)
