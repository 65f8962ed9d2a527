"""Rows as plain Python values: what goes into JSON, and from there into tables."""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from vrtracker.domain.dates import plain
from vrtracker.errors import UnknownNameError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["KEY", "KEY_COLUMNS", "chosen", "of_record", "plain_value", "records"]

KEY = "key"
"""The column that stands for the three that make up a session's key."""
KEY_COLUMNS = ("mouseName", "sessionDate", "sessionID")

_DATES = {"sessionDate", "dateOfBirth"}
"""Columns that hold a calendar date, which a frame keeps as midnight."""
_JSON = {"options", "versions"}
_BYTES = {"output_bytes", "size_bytes"}


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a frame: ISO dates and times, None for missing, a `key` in front.

    A session's `key` is made where the frame has the three columns of it.
    """
    columns = {str(name): _column(str(name), frame[name]) for name in frame.columns}
    if set(KEY_COLUMNS) <= columns.keys():
        parts = zip(*(columns[name] for name in KEY_COLUMNS), strict=True)
        columns = {KEY: [".".join(map(str, key)) for key in parts], **columns}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _column(name: str, values: pd.Series[Any]) -> list[Any]:
    if getattr(values.dtype, "tz", None) is not None:
        values = values.dt.strftime("%Y-%m-%dT%H:%M:%S+00:00")
    elif values.dtype.kind == "M":
        date = name.removeprefix("mouse__") in _DATES
        values = values.dt.strftime("%Y-%m-%d" if date else "%Y-%m-%dT%H:%M:%S")
    listed: list[Any] = values.astype(object).where(values.notna(), None).tolist()
    if name in _JSON:
        return [_read(value) if isinstance(value, str) else value for value in listed]
    if name in _BYTES:
        return [value if value is None else int(value) for value in listed]
    if values.dtype.kind == "f" or any(isinstance(value, bytes) for value in listed):
        return [plain_value(value) for value in listed]
    return listed


def _read(text: str) -> Any:
    # NaN and the infinities are Python's addition to JSON; they come back as these words.
    return json.loads(text, parse_constant=str)


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

    Raises
    ------
    UnknownNameError
        If the rows have no such column.
    """
    for name in names:
        if rows and name not in rows[0]:
            raise UnknownNameError("column", name, rows[0])
    return [{name: row[name] for name in names} for row in rows]
