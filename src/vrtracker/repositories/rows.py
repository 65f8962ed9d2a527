"""What the repositories of the lab's two tables have in common."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import lru_cache
from typing import Any, ClassVar, Generic, TypeVar

from sqlalchemy import (
    Column,
    ColumnElement,
    Select,
    Table,
    and_,
    bindparam,
    select,
    update,
)

from vrtracker.database import Database, Executor, Prepared, Tables
from vrtracker.models.types import LabTime
from vrtracker.repositories.columns import Columns
from vrtracker.repositories.listing import (
    Listing,
    count_statement,
    listing_statement,
    where,
)
from vrtracker.repositories.values import Coercer, coercer_of, storable_text

Record = TypeVar("Record")


class LookUps:
    """Single look-ups on a pooled read-only connection, without opening a transaction."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.tables = database.tables

    def rows(self, prepared: Prepared, /, **values: Any) -> list[list[Any]]:
        """Run a prepared SELECT."""
        return self.database.look_up(prepared, **values)


class RowRepository(Generic[Record]):
    """Reads and writes the rows of one table, as frozen records and plain values."""

    subject: ClassVar[str]
    key_columns: ClassVar[tuple[str, ...]]

    def __init__(self, executor: Executor | LookUps) -> None:
        self._x: Any = executor
        self.table: Table = self._table_of(executor.tables)
        self.id_column = next(iter(self.table.primary_key.columns))

    @staticmethod
    def _table_of(tables: Tables) -> Table:
        raise NotImplementedError

    def _record(self, row: Sequence[Any]) -> Record:
        raise NotImplementedError

    @property
    def coercer(self) -> Coercer:
        """What fits values to the columns."""
        return coercer_of(self.table)

    def _prepared(self, name: Hashable, build: Any) -> Prepared:
        prepared: Prepared = self._x.database.prepare((self.table.name, name), build)
        return prepared

    def by_key(self, **key: Any) -> Record | None:
        """Return the row of that natural key, scratched or not, or None."""

        def build() -> Select[Any]:
            clauses = (self.table.c[name] == bindparam(name) for name in self.key_columns)
            return select(*self.table.c).where(*clauses)

        name, at = key[self.key_columns[0]], _place(self.table, self.key_columns[0])
        for row in self._x.rows(self._prepared("by_key", build), **key):
            # An engine that compares as Microsoft's does finds the name in any case of letters.
            if row[at] == name:
                return self._record(row)
        return None

    def by_id(self, number: int) -> Record | None:
        """Return the row of that autonumber, or None."""

        def build() -> Select[Any]:
            return select(*self.table.c).where(self.id_column == bindparam("id"))

        rows = self._x.rows(self._prepared("by_id", build), id=number)
        return self._record(rows[0]) if rows else None

    def records(self, listing: Listing, columns: Columns | None = None) -> Iterator[Record]:
        """Yield the rows of a listing as records, in its order."""
        statement = listing_statement(self._x.tables, self.table, listing, columns=columns)
        for row in self._x.execute(statement):
            yield self._record(row)

    def cells(self, listing: Listing) -> Sequence[Sequence[Any]]:
        """Return the columns of a listing, which may be the mouse's too, in its order."""
        rows: list[Any] = self._x.execute(listing_statement(self._x.tables, self.table, listing))
        return rows

    def count(self, listing: Listing) -> int:
        """Return the number of rows of a listing."""
        statement = count_statement(self._x.tables, self.table, listing)
        return int(self._x.execute(statement).scalar())

    def used(self, name: str) -> list[Any]:
        """Return the different values of a column, missing ones left out."""
        return [row[0] for row in self._x.execute(self._used(name))]

    def holding(self, name: str, text: str, limit: int) -> list[str]:
        """Return different values of a column that hold a text, in any case of letters."""
        pattern = re.sub("[%_~]", r"~\g<0>", storable_text(text))
        holds = self.table.c[name].ilike(f"%{pattern}%", escape="~")
        found = self._used(name).where(holds).subquery()
        return [row[0] for row in self._x.execute(select(found).limit(limit))]

    def _used(self, name: str) -> Select[Any]:
        column = self.table.c[name]
        return select(column).where(column.is_not(None)).distinct()

    def plan(self, listing: Listing, columns: Columns) -> list[str]:
        """Return the database's plan for a listing, line by line."""
        statement = listing_statement(self._x.tables, self.table, listing, columns=columns)
        lines: list[str] = self._x.plan(statement)
        return lines

    def present(
        self, listing: Listing, names: Sequence[str] = (), *, lock: bool = False
    ) -> list[dict[str, Any]]:
        """Return id, key and some columns of the rows of a listing.

        With `lock`, other writers wait for this transaction where the database can do that.
        """
        wanted, statement = self._present(listing, names, lock=lock)
        return [dict(zip(wanted, row, strict=True)) for row in self._x.execute(statement)]

    def _present(
        self, listing: Listing, names: Sequence[str], *, lock: bool
    ) -> tuple[list[str], Select[Any]]:
        wanted = list(dict.fromkeys([self.id_column.name, *self.key_columns, *names]))
        statement = where(
            select(*(self.table.c[name] for name in wanted)), self._x.tables, self.table, listing
        ).order_by(self.id_column)
        if lock and self._x.database.backend.supports_for_update:
            statement = statement.with_for_update(of=self.table)
        return wanted, statement

    def present_columns(
        self, listing: Listing, names: Sequence[str], *, lock: bool
    ) -> dict[str, Sequence[Any]]:
        """Return what `present` does, as columns."""
        wanted, statement = self._present(listing, names, lock=lock)
        return dict(zip(wanted, self._x.columns(statement), strict=True))

    def present_keys(
        self, listing: Listing, columns: Columns | None = None
    ) -> list[tuple[Any, ...]]:
        """Return the natural keys of the rows of a listing, in its order."""
        keys = replace(listing, columns=self.key_columns)
        statement = listing_statement(self._x.tables, self.table, keys, columns=columns)
        return [tuple(row) for row in self._x.execute(statement)]

    def keys_of(self, numbers: Sequence[int]) -> dict[int, tuple[Any, ...]]:
        """Return the natural keys of the rows with these autonumbers."""
        columns = [self.id_column, *(self.table.c[name] for name in self.key_columns)]
        found: dict[int, tuple[Any, ...]] = {}
        for part in self._x.parts(numbers):
            rows = self._x.execute(select(*columns).where(self.id_column.in_(part)))
            found |= {number: tuple(key) for number, *key in rows}
        return found

    def keys_like(self, **columns: Any) -> list[tuple[Any, ...]]:
        """Return the natural keys of the rows that have these values."""
        chosen = [self.table.c[name] for name in self.key_columns]
        statement = select(*chosen).filter_by(**columns).order_by(self.id_column).limit(1000)
        return [tuple(row) for row in self._x.execute(statement)]

    def insert_columns(self, columns: Mapping[str, Sequence[Any]]) -> None:
        """Insert rows, given as columns, keeping autonumbers that are among them."""
        prepared = self._x.inserting(self.table, sorted(columns))
        keeping: AbstractContextManager[None] = nullcontext()
        if self.id_column.name in columns:
            keeping = self._x.database.backend.keeping_ids(self._x.connection, self.table)
        with keeping:
            self._x.change_columns(prepared, columns)

    def set_values(self, numbers: Sequence[int], values: Mapping[str, Any]) -> int:
        """Set columns of the rows with these autonumbers; return how many there were."""
        listed = self._x.database.backend.listed("numbers")
        if listed is not None:
            among = self.id_column.in_(select(listed))
            statement = update(self.table).where(among).values(**values)
            return int(self._x.execute(statement, {"numbers": list(numbers)}).rowcount)
        done = 0
        for part in self._x.parts(numbers):
            statement = update(self.table).where(self.id_column.in_(part)).values(**values)
            done += int(self._x.execute(statement).rowcount)
        return done

    def compare_and_set(
        self, number: int, *, seen: Mapping[str, Any], values: Mapping[str, Any]
    ) -> bool:
        """Set columns of a row if it still holds what was seen; return whether it did."""
        missing = {name for name, value in seen.items() if value is None}
        name = ("set", tuple(values), tuple(seen), frozenset(missing))

        def build() -> Any:
            clauses = [_still(self.table.c[name], is_missing=name in missing) for name in seen]
            targets = {
                name: bindparam(f"new_{name}", type_=self.table.c[name].type) for name in values
            }
            return (
                update(self.table)
                .where(self.id_column == bindparam("id"), *clauses)
                .values(targets)
            )

        parameters = {f"new_{name}": value for name, value in values.items()}
        for column, value in seen.items():
            if value is not None:
                parameters[f"seen_{column}"] = value
            if isinstance(value, dt.datetime):
                parameters[f"until_{column}"] = value + dt.timedelta(seconds=1)
        return bool(self._x.change(self._prepared(name, build), id=number, **parameters) == 1)


@lru_cache(maxsize=64)
def _place(table: Table, name: str) -> int:
    return list(table.c.keys()).index(name)


def _still(column: Column[Any], *, is_missing: bool) -> ColumnElement[bool]:
    """Return the condition that a column holds what was seen."""
    if is_missing:
        return column.is_(None)
    seen = bindparam(f"seen_{column.name}", type_=column.type)
    if isinstance(column.type, LabTime):
        # Other programs of the lab write fractions of a second, which are not read.
        until = bindparam(f"until_{column.name}", type_=column.type)
        return and_(column >= seen, column < until)
    return column == seen
