"""Copy a whole database into another one, of whatever kind, and prove that all has come along."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from vrtracker.database import Database
from vrtracker.database.structure import LeftOut, Structure, read_structure
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

_MANY = 10_000
"""Rows above which a database may make its indexes after them."""

Progress = Callable[[str, int, int], object]
"""Called with a table's name, the rows that are copied, and how many there are."""


@dataclass(frozen=True, slots=True)
class CopiedTable:
    """A table whose rows have just been copied.

    `seconds`: how long it took.
    """

    table: str
    rows: int
    seconds: float


@dataclass(frozen=True, slots=True)
class ClonedTable:
    """A table that both databases hold.

    `hash`: SHA-256 of the content, hexadecimal; the same for the same rows in any order. None where
    the rows were only counted. `added`, `changed`, `removed`: rows that were written, or would be.
    """

    name: str
    rows: int
    hash: str | None
    added: int = 0
    changed: int = 0
    removed: int = 0


@dataclass(frozen=True, slots=True)
class Clone(Shown):
    """What was copied from where to where.

    `source`, `destination`: the databases' addresses, without passwords. `revision`: revision of
    the schema of both. `tables`: all tables, parents before children. `dry_run`: nothing was
    written.
    """

    source: str
    destination: str
    revision: str
    tables: tuple[ClonedTable, ...]
    dry_run: bool = False

    def facts(self) -> Facts:
        """Return where the copy is, and what each table holds on both sides."""
        rows = [
            (table.name, table.rows, table.added, table.changed, table.removed, table.hash)
            for table in self.tables
        ]
        was = "would be" if self.dry_run else "was"
        title = f"{self.source} {was} copied to {self.destination}, at revision {self.revision}."
        columns = ("table", "rows", "added", "changed", "removed", "hash")
        return Facts(title, rows, columns, most=len(rows))


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """How much is copied, and to what."""

    left_out: LeftOut = field(default_factory=LeftOut)
    """Tables and columns that stay behind."""
    update: bool = False
    """The destination is an earlier copy: write what differs alone, in one transaction."""
    resume: bool = False
    """Write a portion at a time, and go on where an earlier copy was interrupted."""
    dry_run: bool = False
    """Write nothing."""


def finished(steps: Generator[CopiedTable, None, Clone]) -> Clone:
    """Copy all tables one after the other, and return what was copied."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            made: Clone = end.value
            return made


def _tell_nobody(table: str, done: int, total: int) -> None:
    """Be the progress of a copy that nobody watches."""
    del table, done, total


class Copying:
    """Copies a database into an empty one table by table, and compares both."""

    def __init__(
        self,
        source: Database,
        destination: Database,
        progress: Progress | None = None,
        extent: Extent | None = None,
    ) -> None:
        self._source = source
        self._destination = destination
        self._progress = progress or _tell_nobody
        self._extent = extent or Extent()

    def run(self) -> Clone:
        """Copy, compare, and return what was copied."""
        return finished(self.steps())

    def steps(self) -> Generator[CopiedTable, None, Clone]:
        """Copy; yield each table, whose rows are there for good at the end alone."""
        self._source.backend.check_target(self._source.url)
        require_current(self._source)
        self._destination.backend.check_target(self._destination.url, create=True)
        with self._source.snapshot() as reading:
            self._check_destination(reading)
            structure = self._structure(reading)
            tables = [TableRepository(self._source, reading, each) for each in structure.tables]
            self._check_copyable(reading, structure, tables)
            return (yield from self._copied(structure, tables))

    def _copied(
        self, structure: Structure, tables: list[TableRepository]
    ) -> Generator[CopiedTable, None, Clone]:
        if self._extent.dry_run:
            counts = {table.name: sum(map(len, self._copied_rows(table))) for table in tables}
            return self._made(ClonedTable(name, n, None, added=n) for name, n in counts.items())
        with self._destination.building() as work:
            prints = yield from self._write(work, structure, tables)
        return self._made(
            ClonedTable(name, each.rows, each.hash, added=each.rows)
            for name, each in prints.items()
        )

    def _structure(self, reading: Connection) -> Structure:
        same_kind = type(self._source.backend) is type(self._destination.backend)
        left_out = self._extent.left_out
        backend = self._source.backend
        return read_structure(reading, backend, same_kind=same_kind, left_out=left_out)

    def _made(self, tables: Iterable[ClonedTable]) -> Clone:
        return Clone(
            source=str(self._source),
            destination=str(self._destination),
            revision=HEAD,
            tables=tuple(tables),
            dry_run=self._extent.dry_run,
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
            self._check_contents(connection)

    def _check_contents(self, connection: Connection) -> None:
        self._require_empty(self._destination, connection)
        with contextlib.suppress(SchemaOutOfDateError):
            require_current(self._destination)

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

    def _check_copyable(
        self, reading: Connection, structure: Structure, tables: list[TableRepository]
    ) -> None:
        health = self._source.backend.health
        damage = health.damage(reading, quick=True)
        if damage:
            raise BackendError(
                f"{self._source} is damaged: {' '.join('; '.join(damage).split())}. Nothing was "
                "written. Restore a backup: vrtracker restore BACKUP"
            )
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
        found += [
            f"{misfit}, which does not fit"
            for table in tables
            for misfit in health.misfits(reading, table.table)
        ]
        if found:
            raise BackendError(
                f"{self._destination} cannot hold all of {self._source}; nothing was written. "
                f"Correct or drop there: {'; '.join(found)}."
            )

    # -- copy and compare ------------------------------------------------------------------

    def _write(
        self, work: Database, structure: Structure, tables: list[TableRepository]
    ) -> Generator[CopiedTable, None, dict[str, Fingerprint]]:
        from vrtracker.database.migration import build

        in_place = work.url == self._destination.url
        with work.altering() as connection:
            # Whoever came first was waited for.
            self._require_empty(work, connection)
            build(connection, structure)
            prints = {}
            for each in tables:
                begun = time.perf_counter()
                prints[each.name] = copied = self._copy(each, work, connection)
                yield CopiedTable(each.name, copied.rows, time.perf_counter() - begun)
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
        with written.filling(after=table.last_number(), many=total > _MANY):
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
