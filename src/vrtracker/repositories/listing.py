"""Compose the SELECT of a listing: filters, columns, order, limit, on sessions or mice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Column, Select, Table, func, select

from vrtracker.database import Tables
from vrtracker.domain.dates import plain
from vrtracker.errors import InvalidValueError, UnknownNameError
from vrtracker.repositories.conditions import MOUSE, Conditions
from vrtracker.repositories.filters import condition
from vrtracker.repositories.selecting import Selection
from vrtracker.repositories.values import coercer_of

__all__ = ["Listing", "count_statement", "listing_statement", "where"]


@dataclass(frozen=True, slots=True)
class Listing:
    """What a listing is asked for."""

    filters: Selection = field(default_factory=Selection)
    columns: Sequence[str] | None = None
    order_by: str | Sequence[str] | None = None
    limit: int | None = None
    include_scratched: bool = False


def listing_statement(
    tables: Tables, table: Table, listing: Listing, *, also: Sequence[Any] = ()
) -> Select[Any]:
    """Return the SELECT for a listing, always in a stable order.

    Parameters
    ----------
    also
        Further columns to select.

    Raises
    ------
    UnknownNameError
        If a filter, column or order names no column; it carries the nearest ones.
    InvalidValueError
        If a value does not fit.
    """
    chosen = _columns(tables, table, listing.columns)
    statement = where(select(*chosen, *also), tables, table, listing)
    statement = statement.order_by(*_order(tables, table, listing.order_by))
    return statement if listing.limit is None else statement.limit(_limit(listing.limit))


def count_statement(tables: Tables, table: Table, listing: Listing) -> Select[Any]:
    """Return the SELECT that counts the rows of a listing."""
    key = next(iter(table.primary_key.columns))
    return where(select(func.count(key)), tables, table, listing)


def where(statement: Select[Any], tables: Tables, table: Table, listing: Listing) -> Select[Any]:
    """Add the filters of a listing, and what they need joined, to a SELECT from its table."""
    conditions = Conditions(tables, table, listing.filters)
    statement = statement.where(*conditions.clauses())
    if table is not tables.sessions:
        return statement
    named = [*(listing.columns or ()), *_order_names(listing.order_by)]
    if conditions.joins_mouse or any(name.startswith(MOUSE) for name in named):
        statement = statement.where(table.c.mouseName == tables.mice.c.mouseName)
    if not (listing.include_scratched or listing.filters.shows_scratched):
        fine = condition(table.c.sessionQC, coercer_of(table), wanted=True)
        statement = statement.where(fine)
    return statement


def _columns(tables: Tables, table: Table, names: Sequence[str] | None) -> list[Any]:
    if names is None:
        return list(table.c)
    if isinstance(names, str):
        raise InvalidValueError(f"columns takes a list of names; write [{names!r}].")
    wanted = dict.fromkeys(names)
    if not wanted:
        raise InvalidValueError("columns names none; leave it out to get all of them.")
    return [_column(tables, table, name, "column", label=True) for name in wanted]


def _column(
    tables: Tables, table: Table, name: str, kind: str, *, label: bool = False
) -> Column[Any]:
    if name in table.c:
        return table.c[name]
    if table is tables.sessions and name.startswith(MOUSE):
        bare = name.removeprefix(MOUSE)
        if bare in tables.mice.c:
            column = tables.mice.c[bare]
            return column.label(name) if label else column  # type: ignore[return-value]
        raise UnknownNameError(kind, name, [f"{MOUSE}{column.name}" for column in tables.mice.c])
    raise UnknownNameError(kind, name, table.c.keys())


def _order_names(order_by: str | Sequence[str] | None) -> list[str]:
    names = [order_by] if isinstance(order_by, str) else list(order_by or ())
    return [name.removeprefix("-") for name in names]


def _order(tables: Tables, table: Table, order_by: str | Sequence[str] | None) -> list[Any]:
    """Order as asked, missing values last on every backend, then by the row's number."""
    terms: list[Any] = []
    names = [order_by] if isinstance(order_by, str) else list(order_by or ())
    for name in names:
        column = _column(tables, table, name.removeprefix("-"), "column")
        if column.nullable:
            terms.append(column.is_(None))
        terms.append(column.desc() if name.startswith("-") else column.asc())
    return [*terms, *(column.asc() for column in table.primary_key.columns)]


def _limit(limit: Any) -> int:
    number = plain(limit)
    if isinstance(number, int) and not isinstance(number, bool) and number > 0:
        return number
    raise InvalidValueError(f"limit takes a whole number above 0, not {limit!r}.")
