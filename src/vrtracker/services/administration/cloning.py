"""Copy a whole database into another one, of whatever kind, and prove that all has come along."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vrtracker.database import Database
from vrtracker.database.structure import Structure, read_structure
from vrtracker.database.versions import HEAD, require_current
from vrtracker.display import Facts, Shown
from vrtracker.domain.fingerprints import Fingerprint
from vrtracker.errors import (
    BackendError,
    InvalidValueError,
    NotEmptyError,
    SchemaOutOfDateError,
)
from vrtracker.repositories.copying import TableRepository

if TYPE_CHECKING:
    from sqlalchemy import Connection

__all__ = ["Clone", "ClonedTable", "Copying", "Progress", "clone", "copy_all"]

Progress = Callable[[str, int, int], object]
"""Called with a table's name, the rows that are copied, and how many there are."""


@dataclass(frozen=True, slots=True)
class ClonedTable:
    """A table that both databases hold.

    Attributes
    ----------
    name : str
    rows : int
    hash : str
        SHA-256 of the content, hexadecimal; the same for the same rows in any order.
    """

    name: str
    rows: int
    hash: str


@dataclass(frozen=True, slots=True)
class Clone(Shown):
    """What was copied from where to where.

    Attributes
    ----------
    source, destination : str
        The databases' addresses, without passwords.
    revision : str
        Revision of the schema of both.
    tables : tuple of ClonedTable
        All tables, parents before children.
    """

    source: str
    destination: str
    revision: str
    tables: tuple[ClonedTable, ...]

    def facts(self) -> Facts:
        """Return where the copy is, and what each table holds on both sides."""
        rows = [(table.name, table.rows, table.hash) for table in self.tables]
        title = f"{self.source} was copied to {self.destination}, at revision {self.revision}."
        return Facts(title, rows, ("table", "rows", "hash"), most=len(rows))


def clone(
    source: Any,
    destination: Any,
    *,
    progress: Progress | None = None,
    copy: Callable[[Database, Database, Progress], Clone] | None = None,
) -> Clone:
    """Copy a database; `vrtracker.clone` describes it.

    Parameters
    ----------
    copy
        Copies from one open database into the other; all of it when not given.
    """
    with contextlib.ExitStack() as stack:
        read = Database(source, readonly=True)
        stack.callback(read.dispose)
        written = Database(destination, create=True)
        stack.callback(written.dispose)
        read.backend.check_target(read.url)
        require_current(read)
        written.backend.check_target(written.url, create=True)
        return (copy or copy_all)(read, written, progress or _tell_nobody)


def copy_all(source: Database, destination: Database, progress: Progress) -> Clone:
    """Copy an open database into an empty one."""
    return Copying(source, destination, progress).run()


def _tell_nobody(table: str, done: int, total: int) -> None:
    del table, done, total


class Copying:
    """Copies a database table by table, and compares both."""

    def __init__(self, source: Database, destination: Database, progress: Progress) -> None:
        self._source = source
        self._destination = destination
        self._progress = progress

    def run(self) -> Clone:
        """Copy, compare, and return what was copied."""
        same_kind = type(self._source.backend) is type(self._destination.backend)
        with self._source.snapshot() as reading:
            self._check_destination(reading)
            structure = read_structure(reading, self._source.backend, same_kind=same_kind)
            tables = [TableRepository(self._source, reading, each) for each in structure.tables]
            self._check_copyable(structure, tables)
            with self._destination.building() as work:
                prints = self._write(work, structure, tables)
        return Clone(
            source=str(self._source),
            destination=str(self._destination),
            revision=HEAD,
            tables=tuple(ClonedTable(name, each.rows, each.hash) for name, each in prints.items()),
        )

    # -- what stands in the way ------------------------------------------------------------

    def _check_destination(self, reading: Connection) -> None:
        there = self._destination
        if not there.backend.exists(there.url):
            return
        with there.connect(readonly=True) as connection:
            found = there.backend.identity(there.url, connection)
            if found == self._source.backend.identity(self._source.url, reading):
                raise InvalidValueError(
                    f"{there} and {self._source} are one database; give another destination."
                )
            self._require_empty(there, connection)
        with contextlib.suppress(SchemaOutOfDateError):
            require_current(there)

    def _require_empty(self, database: Database, connection: Connection) -> None:
        structure = read_structure(connection, database.backend, same_kind=True)
        found = [f"the table {table.name}" for table in structure.added_tables]
        found += [
            f"the column {name}.{column.name}"
            for name, columns in structure.added_columns.items()
            for column in columns
        ]
        for table in structure.tables:
            rows = TableRepository(database, connection, table).count()
            found += [f"{rows} rows of {table.name}"] if rows else []
        if found:
            raise NotEmptyError(self._destination, found)

    def _check_copyable(self, structure: Structure, tables: list[TableRepository]) -> None:
        dialect = self._destination.write_engine.dialect
        found = [*structure.problems, *structure.refused_by(dialect)]
        if not self._destination.backend.keys_tell_case:
            found += [
                f"{table.name} {key} (another key differs from it by the case of letters alone)"
                for table in tables
                for key in table.keys_that_differ_by_case()
            ]
        if not self._destination.backend.keeps_empty_flags:
            found += [
                f"{table.name}.{column} (a tick box that is empty in some rows; fill it)"
                for table in tables
                for column in table.empty_flags()
            ]
        if found:
            raise BackendError(
                f"{self._destination} cannot hold all of {self._source}; nothing was written. "
                f"Change or drop there: {'; '.join(found)}."
            )

    # -- copy and compare ------------------------------------------------------------------

    def _write(
        self, work: Database, structure: Structure, tables: list[TableRepository]
    ) -> dict[str, Fingerprint]:
        from vrtracker.database.migration import build

        in_place = work.url == self._destination.url
        with work.altering() as connection:
            # Whoever came first was waited for.
            self._require_empty(work, connection)
            build(connection, structure)
            prints = {each.name: self._copy(each, work, connection) for each in tables}
            if in_place:
                self._compare(prints, structure, work, connection)
        if not in_place:
            # From the file itself: Access writes no sooner than at the commit.
            work.dispose()
            with work.connect(readonly=True) as connection:
                self._compare(prints, structure, work, connection)
        return prints

    def _copy(self, table: TableRepository, work: Database, connection: Connection) -> Fingerprint:
        written = TableRepository(work, connection, table.table)
        total = table.count()
        copied = Fingerprint(table.table.c.keys())
        self._progress(table.name, 0, total)
        with written.keeping_ids(after=table.last_number()):
            for rows in self._copied_rows(table):
                written.insert(rows)
                copied.add(rows)
                self._progress(table.name, copied.rows, total)
        return copied

    def _copied_rows(self, table: TableRepository) -> Iterator[Sequence[Sequence[Any]]]:
        """Yield the rows that are copied, some at a time."""
        with contextlib.closing(table.chunks()) as chunks:
            yield from chunks

    def _compare(
        self,
        expected: Mapping[str, Fingerprint],
        structure: Structure,
        work: Database,
        connection: Connection,
    ) -> None:
        differing = []
        for table in structure.tables:
            found = Fingerprint(table.c.keys())
            for rows in TableRepository(work, connection, table).chunks():
                found.add(rows)
            wanted = expected[table.name]
            if found.hash != wanted.hash:
                differing.append(f"{table.name} ({found.rows} rows for {wanted.rows})")
        if differing:
            raise BackendError(
                f"Read back, the clone differs from {self._source} in {', '.join(differing)}; "
                f"{self._destination} was left as it was. Look for values there that the "
                "destination cannot hold, then try again."
            )
