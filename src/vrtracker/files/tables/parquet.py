"""Read Parquet files and those of Arrow, as pandas and others write them."""

from __future__ import annotations

import io
from pathlib import Path

from vrtracker.errors import ImportFileError
from vrtracker.files.tables.table import Table, make_table

_UNNAMED_INDEX = "__index_level_0__"
"""The labels of the rows of a frame, which pandas writes when some were taken out."""


def read_columns(path: Path, data: bytes, *, is_parquet: bool) -> Table | None:
    """Return the table in such a file; its rows are counted from 2, as below a header."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from pyarrow import feather

    kind = "Parquet" if is_parquet else "Arrow"
    try:
        table = (pq.read_table if is_parquet else feather.read_table)(io.BytesIO(data))
    except (pa.ArrowException, OSError) as error:
        raise ImportFileError(f"{path} cannot be read as a {kind} file: {error}.") from error
    if _UNNAMED_INDEX in table.column_names:
        table = table.drop_columns([_UNNAMED_INDEX])
    columns = [column.to_pylist() for column in table.columns]
    rows = [table.column_names, *(list(row) for row in zip(*columns, strict=True))]
    return make_table(list(enumerate(rows, 1)), kind)
