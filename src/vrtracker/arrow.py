"""Rows as Arrow columns of their declared types (`vrtracker.frames` lists them), without pandas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from vrtracker.backends.columns import table_of, typed
from vrtracker.database import Database
from vrtracker.reading import INSTANT, TIME, dtypes, raw_rows

if TYPE_CHECKING:
    from sqlalchemy import Select

_REPEATING = "repeating"
_ARROW_TYPES: dict[str, pa.DataType] = {
    "int64": pa.int64(),
    "Int64": pa.int64(),
    "bool": pa.bool_(),
    "boolean": pa.bool_(),
    "float64": pa.float64(),
    TIME: pa.timestamp("us"),
    INSTANT: pa.timestamp("us"),
    "str": pa.large_string(),
    _REPEATING: pa.dictionary(pa.int32(), pa.string()),
}
_UTC = pa.timestamp("us", tz="UTC")


def read_table(
    database: Database, statement: Select[Any], *more: Select[Any], repeating: str = ""
) -> pa.Table:
    """Run a SELECT and return its rows as Arrow columns of the declared types, in its order.

    `more`: further SELECTs of the same columns, whose rows follow. `repeating`: a column with few
    texts, each in many rows, which comes as a dictionary of them; other texts then come in pieces,
    as ``string``. Returns ``int64``, ``bool``, ``double``, ``timestamp[us]`` (an instant of the
    tracker in UTC) and ``large_string``; a missing value is null, and a tick box never missing. A
    column that is of no known type has the driver's. Raises BackendError if a value in the database
    does not fit its column, such as text in a date.
    """
    wanted = dict(dtypes(statement))
    kinds = _ARROW_TYPES
    if repeating:
        wanted[repeating] = _REPEATING
        kinds = {**kinds, "str": pa.string()}
    types = [kinds.get(dtype) for dtype in wanted.values()]
    tables = [
        _read_rows(database, one) if (table := database.read_arrow(one, types)) is None else table
        for one in (statement, *more)
    ]
    # Column by column, each let go of once it is joined: texts are copied.
    left = [table.columns for table in tables]
    del tables
    columns = {}
    for (name, dtype), kind in zip(wanted.items(), types, strict=True):
        columns[name] = _joined([typed(name, each.pop(0), kind) for each in left], dtype)
    return pa.table(columns)


def hide_in_table(table: pa.Table, names: Sequence[str], *, flag: str) -> pa.Table:
    """Return a table in which values are missing where a column of it is true."""
    for name in names:
        column = table.column(name)
        shown = pc.if_else(table.column(flag), pa.scalar(None, column.type), column)
        table = table.set_column(table.schema.get_field_index(name), name, shown)
    return table


def _read_rows(database: Database, statement: Select[Any]) -> pa.Table:
    """Read row by row what the driver gives, as it is: `_column` then treats both ways alike."""
    return table_of(list(dtypes(statement)), raw_rows(database, statement))


def _joined(parts: Sequence[pa.ChunkedArray], dtype: str) -> pa.ChunkedArray:
    """Return one column of several; long texts in one piece."""
    if dtype == "object" and len({part.type for part in parts}) > 1:
        return table_of([""], [(value,) for part in parts for value in part.to_pylist()]).column(0)
    column = pa.chunked_array([chunk for part in parts for chunk in part.chunks], parts[0].type)
    if column.type == pa.large_string():
        return pa.chunked_array(
            [pa.concat_arrays(column.chunks)] if len(column) else [], column.type
        )
    if dtype == _REPEATING:
        return column.unify_dictionaries()
    if dtype == "bool" and column.null_count:
        return column.fill_null(fill_value=False)
    return column.cast(_UTC) if dtype == INSTANT else column
