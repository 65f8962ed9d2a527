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
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Case, Select

from vrtracker.arrow import read_table
from vrtracker.database import Database
from vrtracker.domain.mice import environment_order
from vrtracker.errors import InvalidValueError
from vrtracker.reading import INSTANT, TIME, dtypes

__all__ = [
    "INSTANT",
    "TEXT",
    "frame_of",
    "hide",
    "parse_orders",
    "plain_records",
    "read_frame",
    "read_table",
]

TEXT = pd.StringDtype(na_value=np.nan)
"""pandas' own text dtype, backed by Arrow where pandas does so."""

_NULLABLE: dict[str, Any] = {"Int64": pd.Int64Dtype(), "boolean": pd.BooleanDtype(), "str": TEXT}
_FEW_TEXTS = frozenset(
    {
        *("mouseName", "sex", "genotype", "strain", "experimentType", "stage", "state", "status"),
        *("subject_kind", "verb", "from_state", "to_state", "actor", "host_name", "registrar"),
    }
)
"""Columns of texts, of which a lab uses few again and again; a CASE tells one of few as well."""


def read_frame(
    database: Database,
    statement: Select[Any],
    *more: Select[Any],
    dtype_backend: str | None = None,
    categories: bool = False,
) -> pd.DataFrame:
    """Run a SELECT and return its rows with the declared dtypes, in its order.

    `more`: further SELECTs of the same columns, whose rows follow. `dtype_backend`: ``"pyarrow"``
    for pandas' own Arrow dtypes in place of those of the table above. `categories`: give columns of
    few texts, used again and again, as categoricals. Raises BackendError if a value in the database
    does not fit its column, such as text in a date; InvalidValueError if there is no such
    `dtype_backend`.
    """
    if dtype_backend not in {None, "pyarrow"}:
        raise InvalidValueError(f"dtype_backend is 'pyarrow' or None, not {dtype_backend!r}.")
    table = read_table(database, statement, *more)
    wanted = dtypes(statement)
    texts = _vocabularies(statement) if categories else set()
    # What reading needed is given back to the system before pandas takes memory of its own.
    pa.default_memory_pool().release_unused()
    # Column by column, each let go of once it is converted: two tables need twice the memory.
    columns = dict(zip(wanted, table.columns, strict=True))
    count = table.num_rows
    del table
    converted = {
        name: _converted(columns.pop(name), dtype, dtype_backend, as_category=name in texts)
        for name, dtype in wanted.items()
    }
    return pd.DataFrame(converted, copy=False, index=pd.RangeIndex(count))


def frame_of(rows: Sequence[Mapping[str, Any]], wanted: Mapping[str, str]) -> pd.DataFrame:
    """Return rows as `vrtracker.reading` gives them as a frame with these columns and dtypes."""
    columns = {
        name: pd.Series([row[name] for row in rows], dtype=TEXT if dtype == "str" else dtype)
        for name, dtype in wanted.items()
    }
    return pd.DataFrame(columns, index=pd.RangeIndex(len(rows)))


def plain_records(frame: pd.DataFrame) -> np.recarray[Any, Any]:
    """Return a frame as a record array; see `Query.recarray`."""
    plain: dict[str, Any] = {}
    for name, column in frame.items():
        kind = str(column.dtype)
        if kind == "Int64":
            plain[str(name)] = column.to_numpy("float64", na_value=np.nan)
        elif kind in {"str", "boolean"}:
            plain[str(name)] = column.astype(object).where(column.notna(), None).to_numpy()
        else:
            plain[str(name)] = (
                column.dt.tz_localize(None) if kind == INSTANT else column
            ).to_numpy()
    dtype = [(name, values.dtype) for name, values in plain.items()]
    records: Any = np.recarray(len(frame), dtype=dtype)
    for name, values in plain.items():
        records[name] = values
    return records  # type: ignore[no-any-return]


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


def _converted(
    column: pa.ChunkedArray, dtype: str, dtype_backend: str | None, *, as_category: bool
) -> Any:
    if as_category:
        return _category(column)
    if dtype_backend == "pyarrow":
        return pd.array(column, dtype=pd.ArrowDtype(column.type))
    if dtype == "object":
        return pd.Series(column.to_pandas().to_numpy(dtype=object), dtype=object)
    if dtype in _NULLABLE:
        return _NULLABLE[dtype].__from_arrow__(column)
    values = column.to_numpy(zero_copy_only=False) if len(column) else np.empty(0)
    if dtype == INSTANT:
        return pd.DatetimeIndex(values.astype(TIME)).tz_localize("UTC")
    return _own(values.astype(dtype, copy=False))


def _category(column: pa.ChunkedArray) -> pd.Categorical:
    """Return texts as a categorical; its categories are those that occur, in order."""
    found = pc.unique(column).drop_null().sort()
    codes = pc.index_in(column, found).fill_null(-1).to_numpy()
    return pd.Categorical.from_codes(codes, categories=pd.Index(found.to_pandas(), dtype=TEXT))


def _vocabularies(statement: Select[Any]) -> set[str]:
    """Return the names of the columns that hold few texts again and again."""
    return {
        column.name
        for column in statement.selected_columns
        if isinstance(element := getattr(column, "element", column), Case)
        or getattr(element, "name", None) in _FEW_TEXTS
    }


def _own(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return values that may be written to: Arrow's memory may not."""
    return values if values.flags.writeable else values.copy()
