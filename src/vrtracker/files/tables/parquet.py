"""Read Parquet files, as pandas and others write them."""

from __future__ import annotations

import io
from pathlib import Path

from vrtracker.errors import ImportFileError
from vrtracker.files.tables.table import Table, make_table

__all__ = ["read_parquet"]

_UNNAMED_INDEX = "__index_level_0__"
"""The labels of the rows of a frame, which pandas writes when some were taken out."""


def read_parquet(path: Path, data: bytes) -> Table | None:
    """Return the table in a Parquet file; its rows are counted from 2, as below a header."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(io.BytesIO(data))
    except (pa.ArrowException, OSError) as error:
        raise ImportFileError(f"{path} cannot be read as a Parquet file: {error}.") from error
    if _UNNAMED_INDEX in table.column_names:
        table = table.drop_columns([_UNNAMED_INDEX])
    columns = [column.to_pylist() for column in table.columns]
    rows = [table.column_names, *(list(row) for row in zip(*columns, strict=True))]
    return make_table(list(enumerate(rows, 1)), "Parquet")
