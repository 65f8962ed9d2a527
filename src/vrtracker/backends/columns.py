"""Rows as a driver gives them, put into Arrow columns; types are those of the values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

__all__ = ["table_of"]


def table_of(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> pa.Table:
    """Return rows as columns with these names, of which two may be alike."""
    values = zip(*rows, strict=True) if rows else ([] for _ in names)
    return pa.Table.from_arrays([_array(column) for column in values], list(names))


def _array(values: Sequence[Any]) -> pa.Array:
    """Return values as one Arrow array; of several kinds, as text, like the columnar drivers."""
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return pa.array([None if value is None else str(value) for value in values])
