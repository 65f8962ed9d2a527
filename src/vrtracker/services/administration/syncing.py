"""Bring a copy of a database to what its source holds, and go on with one that was interrupted."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Integer, Table, UniqueConstraint

from vrtracker.database.structure import Structure, read_structure
from vrtracker.database.versions import (
    HEAD,
    UNFINISHED,
    current_revision,
    require_current,
    set_revision,
)
from vrtracker.domain.fingerprints import Fingerprint, digest
from vrtracker.errors import InvalidValueError, NotEmptyError
from vrtracker.repositories.copying import TableRepository
from vrtracker.services.administration.cloning import Clone, ClonedTable, CopiedTable, Copying

_Row = Sequence[Any]
_PORTION = 5000
"""Rows after which what is written of an interruptible copy is kept."""


@dataclass
class _Difference:
    """What a table of the copy has to become."""

    found: Fingerprint
    """Number and hash of the rows of the source."""
    rewritten: dict[Any, _Row] = field(default_factory=dict)
    """New values of rows whose keys stay as they are."""
    gone: dict[Any, _Row] = field(default_factory=dict)
    """Rows of the copy that go, by key; those that the source has too come again, as it has them.
    """
    anew: bool = False
    """The table has no key to compare by, and is filled anew."""
    added: int = 0
    changed: int = 0
    removed: int = 0

    @property
    def has_new(self) -> bool:
        return self.anew or bool(self.added or self.gone)


class Syncing(Copying):
    """Compares the copy with its source row by row, and writes what differs alone.

    Rows that differ in nothing that others know them by are written over. The others go, with what
    refers to them, children first, and come again, parents first: so no key is there twice, and
    none is missed, at any moment.
    """

    is_whole = True
    """Whether all rows of the source are wanted: then no event of the copy may be another one."""

    def _check_contents(self, connection: Connection) -> None:
        there = self._destination
        if not self._extent.resume:
            require_current(there)
        elif current_revision(there) != UNFINISHED:
            try:
                super()._check_contents(connection)
            except NotEmptyError as error:
                raise InvalidValueError(
                    f"{there} is no copy that was interrupted: it holds "
                    f"{', '.join(error.found)}. To bring a whole copy up to date: --update "
                    "(update=True)."
                ) from error

    def _copied(
        self, structure: Structure, tables: list[TableRepository]
    ) -> Generator[CopiedTable, None, Clone]:
        there = self._destination
        is_there = there.backend.exists(there.url)
        if self._extent.resume and not (is_there and current_revision(there) == UNFINISHED):
            if self._extent.dry_run:
                return (yield from super()._copied(structure, tables))
            self._begin(structure)
        elif not is_there:
            raise InvalidValueError(f"There is no copy {there} to bring up to date; clone first.")
        self._check_same(structure)
        if self._extent.dry_run:
            with there.snapshot() as connection:
                found = self._differences(tables, connection)
            return self._synced(found)
        with contextlib.ExitStack() as transaction:
            connection = self._save(transaction)
            found = self._differences(tables, connection)
            self._delete(tables, found, connection)
            for table in tables:
                begun, difference = time.perf_counter(), found[table.name]
                connection = self._write_rows(table, difference, connection, transaction)
                seconds = time.perf_counter() - begun
                yield CopiedTable(table.name, difference.found.rows, seconds)
            prints = {name: each.found for name, each in found.items()}
            self._compare(prints, structure, there, connection)
            if self._extent.resume:
                set_revision(connection, HEAD)
        return self._synced(found)

    def _begin(self, structure: Structure) -> None:
        """Make the tables, and have the database say that it is not whole."""
        from vrtracker.database.migration import build

        with self._destination.building() as work, work.altering() as connection:
            build(connection, structure)
            set_revision(connection, UNFINISHED)

    def _check_same(self, structure: Structure) -> None:
        """Refuse a copy that has not all tables and columns of its source."""
        there = self._destination
        with there.connect(readonly=True) as connection:
            copy = read_structure(connection, there.backend, same_kind=True)
        columns = {(table.name, column.name) for table in copy.tables for column in table.c}
        missing = [
            f"{table.name}.{column.name}"
            for table in structure.tables
            for column in table.c
            if (table.name, column.name) not in columns
        ]
        if missing:
            raise InvalidValueError(
                f"{there} has no {', '.join(missing)}, which {self._source} has; nothing was "
                "written. Make a new copy."
            )

    def _save(self, transaction: contextlib.ExitStack) -> Connection:
        """Begin to write, or keep what is written so far and go on in a new transaction."""
        transaction.close()
        return transaction.enter_context(self._destination.altering())

    def _synced(self, found: dict[str, _Difference]) -> Clone:
        return self._made(
            ClonedTable(
                name,
                each.found.rows,
                each.found.hash,
                added=each.added,
                changed=each.changed,
                removed=each.removed,
            )
            for name, each in found.items()
        )

    # -- what differs ----------------------------------------------------------------------

    def _differences(
        self, tables: list[TableRepository], connection: Connection
    ) -> dict[str, _Difference]:
        found: dict[str, _Difference] = {}
        for table in tables:
            written = TableRepository(self._destination, connection, table.table)
            found[table.name] = difference = self._difference(table, written)
            if table.name == "vrt_event" and self.is_whole:
                self._require_copy(difference)
            self._add_referring(written, found)
        return found

    def _require_copy(self, events: _Difference) -> None:
        if events.changed or events.removed:
            raise InvalidValueError(
                f"{self._destination} has a history of its own ({events.changed + events.removed} "
                f"events that {self._source} has not): somebody has worked with it, and it would "
                "be lost. Nothing was written; make a new copy."
            )

    def _difference(self, table: TableRepository, written: TableRepository) -> _Difference:
        made = _Difference(Fingerprint(table.table.c.keys()))
        if not table.table.primary_key.columns:
            self._compare_whole(table, written, made)
            return made
        keys = _known_by(table.table)
        total = table.count()
        for row, old in _pairs(self._copied_rows(table), written):
            if row is None:
                made.gone[written.key_of(old)] = old
                made.removed += 1
                continue
            made.found.add([row])
            if old is None:
                made.added += 1
            elif digest(row) != digest(old):
                made.changed += 1
                is_same = all(row[at] == old[at] for at in keys)
                (made.rewritten if is_same else made.gone)[table.key_of(row)] = (
                    row if is_same else old
                )
            if made.found.rows % _PORTION == 0:
                self._progress(table.name, made.found.rows, total)
        return made

    def _compare_whole(
        self, table: TableRepository, written: TableRepository, made: _Difference
    ) -> None:
        there = Fingerprint(table.table.c.keys())
        for rows in self._copied_rows(table):
            made.found.add(rows)
        for rows in written.chunks():
            there.add(rows)
        if there.hash != made.found.hash:
            made.anew, made.added, made.removed = True, made.found.rows, there.rows

    def _add_referring(self, written: TableRepository, found: dict[str, _Difference]) -> None:
        """Let rows go that refer to rows which go: they come again with what the source has."""
        difference = found[written.name]
        names = written.table.c.keys()
        for key in written.table.foreign_key_constraints:
            parent: Any = key.referred_table
            at = [names.index(name) for name in key.column_keys]
            parents = [parent.c.keys().index(each.column.name) for each in key.elements]
            going = {tuple(row[i] for i in parents) for row in found[parent.name].gone.values()}
            if not going:
                continue
            for rows in written.chunks():
                for row in rows:
                    if tuple(row[i] for i in at) in going:
                        name = written.key_of(row)
                        difference.gone.setdefault(name, row)
                        difference.rewritten.pop(name, None)

    # -- writing ---------------------------------------------------------------------------

    def _delete(
        self,
        tables: list[TableRepository],
        found: dict[str, _Difference],
        connection: Connection,
    ) -> None:
        for table in reversed(tables):
            written = TableRepository(self._destination, connection, table.table)
            difference = found[table.name]
            if difference.anew:
                written.delete()
            elif difference.gone:
                written.delete([*difference.gone.values()])

    def _write_rows(
        self,
        table: TableRepository,
        difference: _Difference,
        connection: Connection,
        transaction: contextlib.ExitStack,
    ) -> Connection:
        """Write what a table lacks; return the connection on which to go on."""
        written = TableRepository(self._destination, connection, table.table)
        if difference.rewritten:
            written.update([*difference.rewritten.values()])
        if not difference.has_new:
            return connection
        after, total, waiting, done = table.last_number(), difference.found.rows, [], 0

        def put(rows: list[_Row]) -> None:
            nonlocal connection
            with written.filling(after=after):
                written.insert(rows)
            if self._extent.resume:
                connection = self._save(transaction)
                written.go_on(connection)
            self._progress(table.name, done, total)

        rows: Iterable[tuple[_Row | None, _Row | None]] = (
            ((row, None) for some in self._copied_rows(table) for row in some)
            if difference.anew
            else _pairs(self._copied_rows(table), written)
        )
        for row, old in rows:
            done += 1
            if old is None and row is not None:
                waiting.append(row)
            if len(waiting) >= _PORTION:
                put(waiting)
                waiting = []
        if waiting:
            put(waiting)
        return connection


def _known_by(table: Table) -> list[int]:
    """Return the places of the columns by which other rows, or the database, know a row."""
    names: set[str] = {column.name for key in table.foreign_keys for column in [key.parent]}
    for key in table.constraints:
        if isinstance(key, UniqueConstraint) or key is table.primary_key:
            names |= set(key.columns.keys())
    for other in table.metadata.tables.values():
        names |= {key.column.name for key in other.foreign_keys if key.column.table is table}
    return [table.c.keys().index(name) for name in sorted(names)]


def _pairs(
    chunks: Iterable[Sequence[_Row]], written: TableRepository
) -> Iterator[tuple[_Row | None, Any]]:
    """Yield each row of the source with that of the copy, and those that one of them has alone.

    By a key that begins with a number, a portion at a time; by another one, all rows of the copy
    are held at once.
    """
    first = next(iter(written.table.primary_key.columns))
    key = written.key_of
    if not isinstance(first.type, Integer):
        found = {key(row): row for rows in written.chunks() for row in rows}
        for rows in chunks:
            yield from _matched(rows, found, key)
        yield from ((None, old) for old in found.values())
        return
    for rows, low, high in _windows(chunks, written.table.c.keys().index(first.name)):
        found = {key(row): row for row in written.between(first.name, low, high)}
        yield from _matched(rows, found, key)
        yield from ((None, old) for old in found.values())


def _matched(
    rows: Sequence[_Row], found: dict[Any, _Row], key: Callable[[_Row], Any]
) -> Iterator[tuple[_Row, _Row | None]]:
    for row in rows:
        yield row, found.pop(key(row), None)


def _windows(
    chunks: Iterable[Sequence[_Row]], at: int
) -> Iterator[tuple[Sequence[_Row], int | None, int | None]]:
    """Yield rows that come by number, with the bounds between which no others are."""
    low: int | None = None
    held: list[_Row] = []
    for rows in chunks:
        held += rows
        # More rows of the last number may follow.
        ready = [row for row in held if row[at] != held[-1][at]]
        if ready:
            high = ready[-1][at]
            yield ready, low, high
            low, held = high, held[len(ready) :]
    yield held, low, None
