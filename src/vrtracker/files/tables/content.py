"""What a file is by its content, and the reader for it."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

from vrtracker.errors import ImportFileError
from vrtracker.files.tables.table import Table, TableOptions, make_table
from vrtracker.files.tables.text import read_text
from vrtracker.files.tables.workbooks import read_workbook

_TEXT = "a text file"
_XLSX = "an Excel workbook (.xlsx)"
_XLS = "an old Excel workbook (.xls)"
_ODS = "an OpenDocument spreadsheet (.ods)"
_PARQUET = "a Parquet file (.parquet)"
_ARROW = "a file of Arrow (.arrow, .feather)"
_KEYS = "a list in JSON (.json)"
_OF_ENDING = {
    **dict.fromkeys((".csv", ".tsv", ".txt"), _TEXT),
    **dict.fromkeys((".xlsx", ".xlsm"), _XLSX),
    ".xls": _XLS,
    ".ods": _ODS,
    ".parquet": _PARQUET,
    **dict.fromkeys((".arrow", ".feather"), _ARROW),
    ".json": _KEYS,
}
_LOCKED = "a workbook protected by a password"
_OF_KEYS = {"mouse_name": "mouseName", "date": "sessionDate", "session_id": "sessionID"}
"""What the lists of sessions for clusters call the columns, `writing.write_keys` too."""
_OTHERS = {
    b"%PDF": "a PDF document",
    b"\x1f\x8b": "a compressed file (gzip)",
    b"\x89PNG": "a picture",
    b"SQLite format 3": "a SQLite database",
    b"\x00\x01\x00\x00Standard": "an Access database",
}


def read_table(path: Path, options: TableOptions) -> Table:
    """Read a file of rows under a header.

    Raises ImportFileError if it cannot be read, is empty, is not what its name says, or options are
    given that it does not have. Raises MissingDependencyError if the library that reads it is not
    installed.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ImportFileError(f"{path} cannot be read: {error.strerror}.") from error
    if not data:
        raise ImportFileError(f"{path} is empty; it needs a header and rows.")
    found, said = _kind_of(data), _OF_ENDING.get(path.suffix.lower())
    if found == _LOCKED:
        raise ImportFileError(f"{path} is {_LOCKED}; save it without one and try again.")
    if found not in _OF_ENDING.values() or said not in {None, found}:
        remedy = "the right ending" if found in _OF_ENDING.values() else "another file"
        raise ImportFileError(
            f"{path} is {found} by its content, not {said or 'a table'}; give {remedy}."
        )
    _refuse_idle(path, found, options)
    if found == _TEXT:
        table = read_text(path, data, options)
    elif found == _KEYS:
        table = _read_list(path, data)
    elif found in {_PARQUET, _ARROW}:
        table = read_columns(path, data, is_parquet=found == _PARQUET)
    else:
        table = read_workbook(path, data, options, found)
    if table is None:
        raise ImportFileError(f"{path} is empty; it needs a header and rows.")
    return table


def _read_list(path: Path, data: bytes) -> Table | None:
    """Return the rows of a list of sessions, each with its number in the list, below a header."""
    rows = json.loads(data)
    if not all(isinstance(row, dict) for row in rows):
        raise ImportFileError(f"{path} is no list of sessions: an entry is no object with names.")
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [[row.get(name) for name in names] for row in rows]
    if any(isinstance(cell, list | dict) for row in cells for cell in row):
        raise ImportFileError(f"{path} is no list of sessions: a value is a list or an object.")
    header = [_OF_KEYS.get(name, name) for name in names]
    return make_table(list(enumerate([header, *cells])), "JSON")


def _is_list(data: bytes) -> bool:
    try:
        return data.lstrip().startswith(b"[") and isinstance(json.loads(data), list)
    except ValueError:
        return False


def _kind_of(data: bytes) -> str:
    if data.startswith(b"PAR1"):
        return _PARQUET
    if data.startswith(b"ARROW1"):
        return _ARROW
    if data.startswith(b"\xd0\xcf\x11\xe0"):
        # Where there is a password, the format of the old workbooks is wrapped around the new.
        return _LOCKED if "EncryptedPackage".encode("utf-16-le") in data else _XLS
    if data.startswith(b"PK\x03\x04"):
        return _kind_of_archive(data)
    text = _KEYS if _is_list(data) else _TEXT
    return next((kind for start, kind in _OTHERS.items() if data.startswith(start)), text)


def _kind_of_archive(data: bytes) -> str:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile:
        return "a damaged archive or workbook"
    if "content.xml" in names:
        return _ODS
    return _XLSX if any(name.startswith("xl/") for name in names) else "an archive (zip)"


def _refuse_idle(path: Path, kind: str, options: TableOptions) -> None:
    """Refuse options that the kind of file does not have, which would say what is not so."""
    asked = {
        "delimiter": (options.delimiter, kind == _TEXT),
        "encoding": (options.encoding, kind == _TEXT),
        "sheet": (options.sheet, kind in {_XLSX, _XLS, _ODS}),
    }
    for name, (value, is_known) in asked.items():
        if value is not None and not is_known:
            raise ImportFileError(f"{path} is {kind}, which has no {name}; leave that option out.")


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
