"""Read the sheets of Excel and OpenDocument workbooks."""

from __future__ import annotations

import datetime as dt
import io
import xml.etree.ElementTree as ET
import zipfile
from pathlib import Path
from typing import Any

from vrtracker.errors import ImportFileError, MissingDependencyError, UnknownNameError
from vrtracker.files.tables.cell_faults import Faults, find_faults
from vrtracker.files.tables.table import Table, TableOptions, make_table

_FIRST_DAY = dt.date(1899, 12, 30)
_FIRST_DAY_OF_MAC = dt.date(1904, 1, 1)
_VISIBLE = "SheetVisibleEnum.Visible"
_DAMAGES = (LookupError, ValueError, StopIteration, ET.ParseError, zipfile.BadZipFile)
_HALF_A_SECOND = dt.timedelta(milliseconds=500)


def read_workbook(path: Path, data: bytes, options: TableOptions, kind: str) -> Table | None:
    """Return the table in one sheet of a workbook; None if there is nothing in it."""
    try:
        import python_calamine as calamine
    except ImportError as error:
        raise MissingDependencyError(f"Reading {path}, {kind},", "tables") from error
    try:
        with calamine.CalamineWorkbook.from_path(path) as book:
            name, values = _sheet(path, book, options.sheet)
            faults = _faults(path, data, book, name)
    except calamine.PasswordError as error:
        raise ImportFileError(
            f"{path} is protected by a password; save it without one and try again."
        ) from error
    except calamine.CalamineError as error:
        raise ImportFileError(f"{path} cannot be read as {kind}: {error}.") from error
    rows = [(line, [_cell(value) for value in row]) for line, row in enumerate(values, 1)]
    faults.put_into(rows)
    return make_table(
        rows,
        f"sheet {name!r}",
        first_day=_FIRST_DAY_OF_MAC if _counts_from_1904(data) else _FIRST_DAY,
    )


def _sheet(path: Path, book: Any, asked: str | None) -> tuple[str, list[list[Any]]]:
    """Return the sheet that is asked for, else the only one that is shown and not empty."""
    if asked is not None:
        if asked not in book.sheet_names:
            raise UnknownNameError("sheet", asked, book.sheet_names)
        return asked, _rows(book, asked)
    shown = [sheet.name for sheet in book.sheets_metadata if str(sheet.visible) == _VISIBLE]
    filled = {name: rows for name in shown if (rows := _rows(book, name))}
    if len(filled) > 1:
        raise ImportFileError(
            f"{path} has {len(filled)} sheets: {', '.join(map(repr, filled))}; say which one "
            f'with sheet="{next(iter(filled))}" or so.'
        )
    return next(iter(filled.items()), ("", []))


def _rows(book: Any, name: str) -> list[list[Any]]:
    rows: list[list[Any]] = book.get_sheet_by_name(name).to_python(skip_empty_area=False)
    return rows


def _faults(path: Path, data: bytes, book: Any, name: str) -> Faults:
    """Return the faults of the sheet that was read; of an old workbook, its merged cells."""
    try:
        found = find_faults(data, name) if name else Faults()
    except _DAMAGES as error:
        raise ImportFileError(
            f"{path} is damaged ({error}); open it in a spreadsheet program and save it again."
        ) from error
    if found is not None:
        return found
    return Faults(merged=book.get_sheet_by_name(name).merged_cell_ranges or [])


def _cell(value: Any) -> Any:
    """Return a cell; its time, which is kept as a fraction of a day, to the nearest second."""
    if isinstance(value, dt.datetime):
        return (value + _HALF_A_SECOND).replace(microsecond=0)
    return None if value == "" else value


def _counts_from_1904(data: bytes) -> bool:
    """Tell whether a workbook counts its days as Excel did on the Macintosh."""
    if not data.startswith(b"PK"):
        return False
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if "xl/workbook.xml" not in archive.namelist():
            return False
        head = archive.read("xl/workbook.xml")
    return b'date1904="1"' in head or b'date1904="true"' in head
