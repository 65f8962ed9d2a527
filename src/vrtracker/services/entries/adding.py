"""Add rows: fitted to their columns, all or none, each with its event."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from vrtracker.backends.base import ViolationError
from vrtracker.errors import InvalidValueError
from vrtracker.models.types import JSONDocument, to_json
from vrtracker.services.entries.rules import Key, Record, TableRules
from vrtracker.unit_of_work import UnitOfWork

if TYPE_CHECKING:
    import pandas as pd


def fitted(rules: TableRules[Any, Any], rows: Any) -> dict[str, list[Any]]:
    """Return rows, given as a frame or as mappings, fitted to the columns.

    Raises UnknownNameError, InvalidValueError if they do not fit; the message names the row.
    """
    columns, count = _columns(rows)
    try:
        fitted = rules.look_ups.coercer.columns(columns, count)
        rules.check_new(fitted)
    except InvalidValueError as error:
        if error.row is not None and count > 1:
            error.args = (f"Row {error.row + 1}: {error}",)
        raise
    return fitted


def insert(
    rules: TableRules[Record, Key], unit: UnitOfWork, columns: Mapping[str, Sequence[Any]]
) -> list[Key]:
    """Add fitted rows with their events inside a unit, whose errors the caller explains."""
    repository = rules.of(unit)
    number = repository.id_column.name
    if None in columns.get(number, ()):
        raise InvalidValueError(f"Give {number} for every row, or for none.", column=number)
    keys = list(rules.keys_of(columns))
    rules.check_keys(unit, keys)
    event = rules.lab.event("", "added", subject_kind=repository.subject)
    repository.insert_columns(columns)
    documents = _documents(columns, repository.coercer.defaults)
    unit.events.append_each(event, map(str, keys), documents)
    return keys


def add_rows(rules: TableRules[Record, Key], columns: Mapping[str, Sequence[Any]]) -> list[Key]:
    """Add fitted rows in one transaction, all or none, and return their keys in order."""
    try:
        with rules.lab.unit() as unit:
            keys = insert(rules, unit, columns)
            unit.commit()
    except ViolationError as error:
        raise explained(rules, error, columns) from error
    return keys


def explained(
    rules: TableRules[Any, Any], error: ViolationError, columns: Mapping[str, Sequence[Any]]
) -> Exception:
    """Return what stood in the way of adding rows."""
    names = list(columns)
    rows = zip(*columns.values(), strict=True)
    return rules.explain(error, [dict(zip(names, row, strict=True)) for row in rows])


def _documents(
    columns: Mapping[str, Sequence[Any]], defaults: Mapping[str, Any]
) -> Iterator[JSONDocument]:
    """Yield what adding each row changed, as JSON; a column at its default is left out."""
    parts = [
        _members(name, values, defaults.get(name))
        for name, values in columns.items()
        if values.count(defaults.get(name)) < len(values)
    ]
    for members in zip(*parts, strict=True):
        yield JSONDocument(f"{{{','.join(filter(None, members))}}}")


def _members(name: str, values: Sequence[Any], default: Any) -> list[str]:
    """Return the member of a JSON object for each value, empty for the default."""
    start = f"{to_json(name)}:[null,"
    members = {value: f"{start}{_json(value)}]" for value in set(values)}
    members[default] = ""
    return [members[value] for value in values]


def _json(value: Any) -> str:
    return f'"{value}"' if isinstance(value, dt.date) else to_json(value)


def _columns(rows: Any) -> tuple[dict[str, Sequence[Any]], int]:
    """Return rows as columns of Python values, and their number."""
    if hasattr(rows, "to_dict") and hasattr(rows, "columns"):
        return {name: _python_values(rows[name]) for name in rows.columns}, len(rows)
    if isinstance(rows, Mapping):
        raise InvalidValueError("add_many takes a DataFrame or a list of rows; use add for one.")
    mappings = list(rows) if isinstance(rows, Iterable) else [rows]
    if not all(isinstance(row, Mapping) for row in mappings):
        raise InvalidValueError(
            "add_many takes a DataFrame or a list of rows; a row is a mapping of columns to values."
        )
    names = dict.fromkeys(name for row in mappings for name in row)
    return {name: [row.get(name) for row in mappings] for name in names}, len(mappings)


def _python_values(column: pd.Series[Any]) -> Sequence[Any]:
    """Return the values of a column as Python's own, missing times as None."""
    if column.dtype.kind == "M" and getattr(column.dtype, "tz", None) is None:
        values: list[Any] = column.to_numpy("datetime64[us]").astype(object).tolist()
        return values
    return column.tolist()
