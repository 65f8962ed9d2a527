"""Rows as a driver gives them, put into Arrow columns, and columns given their declared types."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from vrtracker.errors import BackendError


def table_of(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> pa.Table:
    """Return rows as columns with these names, of which two may be alike."""
    return pa.Table.from_arrays([_array(column) for column in _turned(names, rows)], list(names))


def typed_table_of(
    names: Sequence[str], rows: Sequence[Sequence[Any]], types: Sequence[pa.DataType]
) -> pa.Table:
    """Return rows as columns of these types.

    Raises BackendError if a value does not fit its column.
    """
    columns = zip(names, _turned(names, rows), types, strict=True)
    arrays = [typed(name, _array(values, kind), kind) for name, values, kind in columns]
    return pa.Table.from_arrays(arrays, list(names))


def typed(name: str, column: pa.Array | pa.ChunkedArray, kind: Any) -> Any:
    """Return a column with its declared type in place of what a driver made of its values.

    `kind`: none for a column that has the type of its values. Raises BackendError if a value does
    not fit.
    """
    if kind is None or column.type.equals(kind):
        return column
    try:
        if pa.types.is_dictionary(kind):
            column = column.cast(kind.value_type)
        if pa.types.is_timestamp(kind) and not _may_be_time(column):
            raise pa.ArrowInvalid(f"{column.type} in place of a time")
        return column.cast(kind)
    except pa.ArrowException as error:
        raise BackendError(
            f"The column {name} holds a value that does not fit it ({error}); "
            "correct it in the database (vrtracker doctor tells how)."
        ) from error


def _turned(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> Sequence[Sequence[Any]]:
    return list(zip(*rows, strict=True)) if rows else [() for _ in names]


def _array(values: Sequence[Any], kind: Any = None) -> pa.Array:
    """Return values as one Arrow array; of several kinds, as text, like the columnar drivers."""
    if kind is not None and kind in (pa.float64(), pa.large_string()):
        # Without looking for their type first. Whole numbers would be cut from others.
        with contextlib.suppress(pa.ArrowInvalid, pa.ArrowTypeError):
            return pa.array(values, kind)
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return pa.array([None if value is None else str(value) for value in values])


def _may_be_time(column: pa.Array | pa.ChunkedArray) -> bool:
    """Tell times from numbers, which Arrow would take for microseconds since 1970."""
    is_number = pa.types.is_integer(column.type) or pa.types.is_floating(column.type)
    # A column without any value comes as one of numbers.
    return not is_number or column.null_count == len(column)
