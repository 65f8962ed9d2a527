"""Compose the SELECT of a listing: filters, columns, order, limit, on sessions or mice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Column, Select, Table, false, func, select

from vrtracker.database import Tables
from vrtracker.domain.conditions import KEY
from vrtracker.domain.dates import plain
from vrtracker.errors import InvalidValueError
from vrtracker.repositories.columns import Columns
from vrtracker.repositories.conditions import MOUSE, Conditions
from vrtracker.repositories.selecting import Selection


@dataclass(frozen=True, slots=True)
class Listing:
    """What a listing is asked for."""

    filters: Selection = field(default_factory=Selection)
    columns: Sequence[str] | None = None
    order_by: str | Sequence[str] | None = None
    limit: int | None = None
    include_scratched: bool = False
    after: int | None = None
    """Only rows with a higher number."""


def listing_statement(
    tables: Tables,
    table: Table,
    listing: Listing,
    *,
    also: Sequence[Any] = (),
    columns: Columns | None = None,
) -> Select[Any]:
    """Return the SELECT for a listing, always in a stable order.

    `also`: further columns to select. `columns`: where names are looked up; the lab's own stages
    need it. Raises UnknownNameError if a filter, column or order names no column; it carries the
    nearest ones. Raises InvalidValueError if a value does not fit.
    """
    columns = Columns(tables, table) if columns is None else columns
    chosen = _columns(table, columns, listing.columns)
    order = _order(table, columns, listing.order_by)
    statement = where(select(*chosen, *also), tables, table, listing).order_by(*order)
    # Named also where no column of it is shown: what hangs on its rows would find none.
    statement = statement.select_from(columns.joined())
    if listing.after is not None:
        statement = statement.where(_number(table) > listing.after)
    if listing.limit is not None:
        return _limited(statement, listing.limit)
    if listing.order_by:
        return statement
    return statement.execution_options(number=_number(table))


def count_statement(tables: Tables, table: Table, listing: Listing) -> Select[Any]:
    """Return the SELECT that counts the rows of a listing."""
    if listing.limit is None:
        return where(select(func.count(_number(table))), tables, table, listing)
    limited = _limited(where(select(_number(table)), tables, table, listing), listing.limit)
    return select(func.count()).select_from(limited.subquery("counted"))


def values_listed(
    tables: Tables, table: Table, listing: Listing, name: str, columns: Columns
) -> Select[Any]:
    """Return the SELECT of one column of a listing, for an IN."""
    one = listing_statement(tables, table, replace(listing, columns=[name]), columns=columns)
    return (one if listing.limit is not None else one.order_by(None)).correlate(None)


def where(statement: Select[Any], tables: Tables, table: Table, listing: Listing) -> Select[Any]:
    """Add the filters of a listing, and what they need joined, to a SELECT from its table."""
    conditions = Conditions(tables, table, listing.filters)
    statement = statement.where(*conditions.clauses())
    if table is not tables.sessions:
        return statement
    shown = () if listing.columns is None else listing.columns
    named = [*shown, *_order_names(listing.order_by)]
    if conditions.joins_mouse or any(name.removeprefix("-").startswith(MOUSE) for name in named):
        statement = statement.where(table.c.mouseName == tables.mice.c.mouseName)
    if not (listing.include_scratched or listing.filters.shows_scratched):
        shown_ones = Conditions(tables, table, listing.filters.unscratched)
        statement = statement.where(*shown_ones.clauses())
    return statement


def _limited(statement: Select[Any], limit: Any) -> Select[Any]:
    rows = whole_number("limit", limit, least=0)
    # HSQLDB takes a limit of 0 for none.
    return statement.limit(rows) if rows else statement.where(false())


_MOST_ROWS = 2**31 - 1
"""What every database takes."""


def _columns(table: Table, columns: Columns, names: Sequence[str] | None) -> list[Any]:
    if names is None:
        return list(table.c)
    wanted = dict.fromkeys(names)
    if not wanted:
        raise InvalidValueError("columns names none; leave it out to get all of them.")
    return [columns.find(name) for name in wanted]


def _order_names(order_by: str | Sequence[str] | None) -> list[str]:
    return [order_by] if isinstance(order_by, str) else list(order_by or ())


def _order(table: Table, columns: Columns, order_by: str | Sequence[str] | None) -> list[Any]:
    """Order as asked, missing values last on every backend, then by the row's number."""
    terms: list[Any] = []
    for name in (each for given in _order_names(order_by) for each in _of_key(table, given)):
        terms += columns.order(name.removeprefix("-"), descending=name.startswith("-"))
    return [*terms, *(column.asc() for column in table.primary_key.columns)]


def _of_key(table: Table, name: str) -> list[str]:
    """Return the columns of a session's key where it is meant, and the name itself elsewhere."""
    if name.removeprefix("-") != KEY or "sessionDate" not in table.c:
        return [name]
    return [name.replace(KEY, each) for each in ("mouseName", "sessionDate", "sessionID")]


def _number(table: Table) -> Column[Any]:
    """Return the column that counts a table's rows."""
    return next(iter(table.primary_key.columns))


def whole_number(name: str, value: Any, *, least: int = 1) -> int:
    """Return a number of rows.

    Raises InvalidValueError if it is none, or more than every database takes.
    """
    number = plain(value)
    if isinstance(number, int) and not isinstance(number, bool) and number >= least:
        if number > _MOST_ROWS:
            raise InvalidValueError(f"{name} takes {_MOST_ROWS} at most.")
        return number
    raise InvalidValueError(f"{name} takes a whole number from {least} on, not {value!r}.")
