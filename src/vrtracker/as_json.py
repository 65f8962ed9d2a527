"""Rows as plain Python values: what goes into JSON, and from there into tables."""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from vrtracker.domain.dates import plain
from vrtracker.errors import UnknownNameError

KEY = "key"
"""The column that stands for the three that make up a session's key."""
KEY_COLUMNS = ("mouseName", "sessionDate", "sessionID")

_DATES = {"sessionDate", "dateOfBirth"}
"""Columns that hold a calendar date; a day in any other is shown as its midnight."""
_JSON = {"options", "versions"}
_BYTES = {"output_bytes", "size_bytes"}


def records(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return rows as JSON holds them: ISO dates and times, a `key` in front.

    A session's `key` is made where the rows have the three columns of it.
    """
    plain = [{name: _plain(name, value) for name, value in row.items()} for row in rows]
    if not plain or not set(KEY_COLUMNS) <= plain[0].keys():
        return plain
    return [{KEY: ".".join(str(row[name]) for name in KEY_COLUMNS), **row} for row in plain]


def _plain(name: str, value: Any) -> Any:
    if value is None or isinstance(value, int):
        return value
    if isinstance(value, dt.date):
        return _iso(name, value)
    if name in _JSON and isinstance(value, str):
        # NaN and the infinities are Python's addition to JSON; they come back as these words.
        return json.loads(value, parse_constant=str)
    return int(value) if name in _BYTES else plain_value(value)


def _iso(name: str, value: dt.date) -> str:
    """Return a day or time as ISO text, to the second."""
    is_day = name.removeprefix("mouse__") in _DATES
    if not isinstance(value, dt.datetime):
        return value.isoformat() if is_day else f"{value.isoformat()}T00:00:00"
    return value.date().isoformat() if is_day else value.isoformat(timespec="seconds")


def of_record(record: Any) -> dict[str, Any]:
    """Return the columns of one looked-up row, the lab's own at the end."""
    values = {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}
    values |= values.pop("extra")
    return {name: plain_value(value) for name, value in values.items()}


def plain_value(value: Any) -> Any:
    """Return a value as JSON holds it, bytes in base64."""
    value = plain(value)
    if isinstance(value, dt.date | dt.datetime):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, Mapping):
        return {str(name): plain_value(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain_value(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def chosen(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[dict[str, Any]]:
    """Return the rows with these columns alone, in this order.

    Raises UnknownNameError if the rows have no such column.
    """
    for name in names:
        if rows and name not in rows[0]:
            raise UnknownNameError("column", name, rows[0])
    return [{name: row[name] for name in names} for row in rows]
