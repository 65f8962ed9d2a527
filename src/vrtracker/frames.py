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

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa

from vrtracker.backends.columns import table_of
from vrtracker.database import Database
from vrtracker.domain.mice import environment_order
from vrtracker.errors import BackendError
from vrtracker.reading import INSTANT, TIME, dtypes, raw_rows

if TYPE_CHECKING:
    from sqlalchemy import Select

__all__ = ["TEXT", "frame_of", "hide", "parse_orders", "read_frame"]

TEXT = pd.StringDtype(na_value=np.nan)
"""pandas' own text dtype, backed by Arrow where pandas does so."""

_ARROW_TYPES: dict[str, pa.DataType] = {
    "int64": pa.int64(),
    "Int64": pa.int64(),
    "bool": pa.bool_(),
    "boolean": pa.bool_(),
    "float64": pa.float64(),
    TIME: pa.timestamp("us"),
    INSTANT: pa.timestamp("us"),
    "str": pa.large_string(),
}


def read_frame(database: Database, statement: Select[Any], *more: Select[Any]) -> pd.DataFrame:
    """Run a SELECT and return its rows with the declared dtypes, in its order.

    Parameters
    ----------
    more
        Further SELECTs of the same columns, whose rows follow.

    Raises
    ------
    BackendError
        If a value in the database does not fit its column, such as text in a date.
    """
    tables = [
        _read_rows(database, one) if (table := database.read_arrow(one)) is None else table
        for one in (statement, *more)
    ]
    return _to_pandas(tables, dtypes(statement))


def frame_of(rows: Sequence[Mapping[str, Any]], wanted: Mapping[str, str]) -> pd.DataFrame:
    """Return rows as `vrtracker.reading` gives them as a frame with these columns and dtypes."""
    columns = {
        name: pd.Series([row[name] for row in rows], dtype=TEXT if dtype == "str" else dtype)
        for name, dtype in wanted.items()
    }
    return pd.DataFrame(columns, index=pd.RangeIndex(len(rows)))


def hide(frame: pd.DataFrame, names: Sequence[str], *, where: pd.Series[bool]) -> None:
    """Make values of a frame missing; a column that could not hold that becomes nullable."""
    if not where.any():
        return
    for name in names:
        nullable: Any = {"bool": "boolean", "int64": "Int64"}.get(str(frame[name].dtype))
        column = frame[name] if nullable is None else frame[name].astype(nullable)
        frame[name] = column.mask(where)


def parse_orders(frame: pd.DataFrame, name: str) -> None:
    """Give a column of orders of environments, if it is there, as tuples of numbers or None."""
    if name in frame:
        texts = (text if isinstance(text, str) else None for text in frame[name])
        parsed = [environment_order(text) for text in texts]
        frame[name] = pd.Series(parsed, index=frame.index, dtype=object)


def _read_rows(database: Database, statement: Select[Any]) -> pa.Table:
    """Read row by row what the driver gives, as it is: `_column` then treats both ways alike."""
    return table_of(list(dtypes(statement)), raw_rows(database, statement))


def _to_pandas(tables: Sequence[pa.Table], wanted: dict[str, str]) -> pd.DataFrame:
    columns: dict[str, Any] = {}
    for position, (name, dtype) in enumerate(wanted.items()):
        try:
            columns[name] = _column([table.column(position) for table in tables], dtype)
        except pa.ArrowException as error:
            raise BackendError(
                f"The column {name} holds a value that does not fit it ({error}); "
                "correct it in the database."
            ) from error
    count = sum(table.num_rows for table in tables)
    return pd.DataFrame(columns, copy=False, index=pd.RangeIndex(count))


def _typed(column: pa.ChunkedArray, arrow: pa.DataType) -> pa.ChunkedArray:
    """Put right a type that the driver guessed from values."""
    if column.type.equals(arrow):
        return column
    if pa.types.is_timestamp(arrow) and not _may_be_time(column):
        raise pa.ArrowInvalid(f"{column.type} in place of a time")
    return column.cast(arrow)


def _column(parts: Sequence[pa.ChunkedArray], dtype: str) -> Any:
    """Convert one column, given in parts."""
    if dtype == "object":
        values = np.concatenate([part.to_pandas().to_numpy(dtype=object) for part in parts])
        return pd.Series(values, dtype=object)
    arrow = _ARROW_TYPES[dtype]
    chunks = [chunk for part in parts for chunk in _typed(part, arrow).chunks]
    column = pa.chunked_array(chunks, type=arrow)
    if dtype == "Int64":
        return pd.Int64Dtype().__from_arrow__(column)  # type: ignore[attr-defined]
    if dtype == "boolean":
        return pd.BooleanDtype().__from_arrow__(column)  # type: ignore[attr-defined]
    if dtype == "str":
        return TEXT.__from_arrow__(column)  # type: ignore[attr-defined]
    if dtype == "bool" and column.null_count:
        column = column.fill_null(value=False)
    values = column.to_numpy(zero_copy_only=False) if len(column) else np.empty(0)
    if dtype == INSTANT:
        return pd.DatetimeIndex(values.astype(TIME)).tz_localize("UTC")
    return _own(values.astype(dtype, copy=False))


def _own(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return values that may be written to: Arrow's memory may not."""
    return values if values.flags.writeable else values.copy()


def _may_be_time(column: pa.ChunkedArray) -> bool:
    """Tell times from numbers, which Arrow would take for microseconds since 1970."""
    is_number = pa.types.is_integer(column.type) or pa.types.is_floating(column.type)
    # A column without any value comes as one of numbers.
    return not is_number or column.null_count == len(column)
