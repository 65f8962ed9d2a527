"""Write one set of rows in the ways in which people keep tables.

Nothing of the package is used: what a file means is said by the libraries that write it.
"""

from __future__ import annotations

import csv
import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
from odf import opendocument, table, text

Rows = Sequence[Mapping[str, Any]]
Spell = Callable[[Any], Any]

_DAY_0 = dt.datetime(1899, 12, 30)


def spelling(
    *, yes: str = "1", no: str = "0", missing: str = "", comma: bool = False, date: str = "%Y-%m-%d"
) -> Spell:
    """Return what turns a value into text; a missing text is always empty."""

    def spell(value: Any) -> str:
        if value is None:
            return missing
        if isinstance(value, bool):
            return yes if value else no
        if isinstance(value, dt.datetime):
            return value.strftime(f"{date} %H:%M:%S")
        if isinstance(value, dt.date):
            return value.strftime(date)
        if isinstance(value, float):
            return repr(value).replace(".", ",") if comma else repr(value)
        return str(value)

    return spell


def serial(value: Any) -> Any:
    """Return a day or time as the number that a spreadsheet keeps."""
    if not isinstance(value, dt.date):
        return value
    time = value if isinstance(value, dt.datetime) else dt.datetime.combine(value, dt.time())
    return (time - _DAY_0) / dt.timedelta(days=1)


def day_as_text(value: Any) -> Any:
    """Return a day or time as text, day first; anything else as it is."""
    return spelling(date="%d.%m.%Y")(value) if isinstance(value, dt.date) else value


def write_text(
    path: Path, rows: Rows, spell: Spell, *, encoding: str, texts: Sequence[str], **dialect: Any
) -> Path:
    """Write a text file; a column of `texts` is left empty where it has no value."""
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.writer(file, **dialect)
        writer.writerow(rows[0])
        for row in rows:
            writer.writerow(
                [
                    "" if row[name] is None and name in texts else spell(row[name])
                    for name in rows[0]
                ]
            )
    return path


def write_xlsx(path: Path, rows: Rows, spell: Spell = lambda value: value) -> Path:
    """Write an Excel workbook; what `spell` leaves as it is becomes a cell of its own kind."""
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(list(rows[0]))
    for row in rows:
        sheet.append([spell(row[name]) for name in rows[0]])
    book.save(path)
    return path


def write_ods(path: Path, rows: Rows) -> Path:
    """Write an OpenDocument spreadsheet, each cell of its own kind."""
    book = opendocument.OpenDocumentSpreadsheet()
    sheet = table.Table(name="Tabelle1")
    for values in [list(rows[0]), *([row[name] for name in rows[0]] for row in rows)]:
        line = table.TableRow()
        for value in values:
            line.addElement(_ods_cell(value))
        sheet.addElement(line)
    book.spreadsheet.addElement(sheet)
    book.save(str(path))
    return path


def _ods_cell(value: Any) -> Any:
    if value is None:
        return table.TableCell()
    if isinstance(value, bool):
        return table.TableCell(valuetype="boolean", booleanvalue=str(value).lower())
    if isinstance(value, int | float):
        return table.TableCell(valuetype="float", value=repr(value))
    if isinstance(value, dt.date):
        return table.TableCell(valuetype="date", datevalue=value.isoformat())
    cell = table.TableCell(valuetype="string")
    for line in value.split("\n"):
        cell.addElement(text.P(text=line))
    return cell


def write_parquet(path: Path, rows: Rows) -> Path:
    """Write a Parquet file, each column of its own type."""
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    pq.write_table(pa.table(columns), path)
    return path
