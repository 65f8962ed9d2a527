"""DataFrames: which column has which dtype, stated once, the same on every backend.

| column holds                  | dtype               | missing |
|-------------------------------|---------------------|---------|
| a number that is always there | ``int64``           |         |
| a number that may be missing  | ``Int64``           | ``NA``  |
| a tick box                    | ``bool``            |         |
| a floating-point number       | ``float64``         | ``NaN`` |
| a date or the lab's time      | ``datetime64[us]``  | ``NaT`` |
| an instant of the tracker     | ``datetime64[us, UTC]`` | ``NaT`` |
| text                          | ``str``             | ``NaN`` |

An empty frame has them too. Rows travel as columns from the driver to pandas wherever the
columnar driver is installed; without it they come row by row, with the same result.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
from sqlalchemy import Boolean, Date, DateTime, Double, Float, Integer, Numeric, String
from sqlalchemy.types import TypeEngine

from vrtracker.database import Database
from vrtracker.errors import BackendError
from vrtracker.models.types import CalendarDate, JSONText, LabTime, UTCTime

if TYPE_CHECKING:
    from sqlalchemy import Select

__all__ = ["TEXT", "dtypes", "read_frame"]

TEXT = pd.StringDtype(na_value=np.nan)
"""pandas' own text dtype, backed by Arrow where pandas does so."""

_TIME = "datetime64[us]"
_INSTANT = "datetime64[us, UTC]"
_ARROW_TYPES: dict[str, pa.DataType] = {
    "int64": pa.int64(),
    "Int64": pa.int64(),
    "bool": pa.bool_(),
    "boolean": pa.bool_(),
    "float64": pa.float64(),
    _TIME: pa.timestamp("us"),
    _INSTANT: pa.timestamp("us"),
    "str": pa.large_string(),
}


def dtypes(statement: Select[Any]) -> dict[str, str]:
    """Return the dtype of each column that a SELECT gives, by name, in order."""
    return {column.name: _dtype(column) for column in statement.selected_columns}


def read_frame(database: Database, statement: Select[Any]) -> pd.DataFrame:
    """Run a SELECT and return its rows with the declared dtypes, in its order.

    Raises
    ------
    BackendError
        If a value in the database does not fit its column, such as text in a date.
    """
    table = database.read_arrow(statement)
    if table is None:
        table = _read_rows(database, statement)
    return _to_pandas(table, dtypes(statement))


_KINDS: tuple[tuple[tuple[type[TypeEngine[Any]], ...], str, str], ...] = (
    ((UTCTime,), _INSTANT, _INSTANT),
    ((CalendarDate, LabTime, DateTime, Date), _TIME, _TIME),
    ((Boolean,), "bool", "boolean"),
    ((Integer,), "int64", "Int64"),
    ((Double, Float, Numeric), "float64", "float64"),
    ((String, JSONText), "str", "str"),
)
"""Column types, with the dtype where a value is always there, and where it may be missing."""


def _dtype(column: Any) -> str:
    optional = getattr(getattr(column, "element", column), "nullable", True)
    for kinds, always, sometimes in _KINDS:
        if isinstance(column.type, kinds):
            return sometimes if optional else always
    return "object"


def _read_rows(database: Database, statement: Select[Any]) -> pa.Table:
    with database.connect(readonly=True) as connection:
        rows = database.executor(connection).execute(statement).fetchall()
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(statement.selected_columns)
    return pa.table(
        {
            name: pa.array(
                [_plain_time(value) for value in values] if dtype == _INSTANT else values
            )
            for (name, dtype), values in zip(dtypes(statement).items(), columns, strict=True)
        }
    )


def _plain_time(value: Any) -> Any:
    return value if value is None else value.replace(tzinfo=None)


def _to_pandas(table: pa.Table, wanted: dict[str, str]) -> pd.DataFrame:
    columns: dict[str, Any] = {}
    for position, (name, dtype) in enumerate(wanted.items()):
        try:
            columns[name] = _column(table.column(position), dtype)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise BackendError(
                f"The column {name} holds a value that does not fit it ({error}); "
                "correct it in the database."
            ) from error
    return pd.DataFrame(columns, copy=False, index=pd.RangeIndex(table.num_rows))


def _column(column: pa.ChunkedArray, dtype: str) -> Any:
    """Convert one column; types that the driver guessed from values are put right first."""
    if dtype == "object":
        return column.to_pandas().to_numpy(dtype=object)
    arrow = _ARROW_TYPES[dtype]
    if not column.type.equals(arrow):
        column = column.cast(arrow)
    if dtype == "Int64":
        return pd.Int64Dtype().__from_arrow__(column)  # type: ignore[attr-defined]
    if dtype == "boolean":
        return pd.BooleanDtype().__from_arrow__(column)  # type: ignore[attr-defined]
    if dtype == "str":
        return TEXT.__from_arrow__(column)  # type: ignore[attr-defined]
    if dtype == "bool" and column.null_count:
        column = column.fill_null(value=False)
    values = column.to_numpy(zero_copy_only=False) if len(column) else np.empty(0)
    if dtype == _INSTANT:
        return pd.DatetimeIndex(values.astype(_TIME)).tz_localize("UTC")
    return values.astype(dtype, copy=False)
