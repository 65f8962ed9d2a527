"""A table as it stands in a file, and what its reader may be told about it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from vrtracker.errors import InvalidValueError
from vrtracker.files.tables.columns import Unread

YEAR_FIRST = "iso"
"""The date format that knows nothing but dates that begin with the year."""

_NAMED_DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "\\t": "\t", "pipe": "|"}
_CHRISTMAS_EVE = dt.datetime(2001, 12, 24)  # noqa: DTZ001  # any day whose three parts differ


@dataclass(frozen=True, slots=True)
class TableOptions:
    """How a file is to be read; what is not said is found out."""

    sheet: str | None = None
    """Name of the sheet of a workbook."""
    map: Mapping[str, str] | None = field(default_factory=dict)
    """Columns by header; a header with an empty column is left out. None: nobody can say it."""
    delimiter: str | None = None
    """One character, or ``comma``, ``semicolon``, ``tab``, ``pipe``."""
    encoding: str | None = None
    """As Python names it."""
    decimal: str | None = None
    """``,`` or ``.``."""
    date_format: str | None = None
    """As `datetime.datetime.strptime` takes it; ``iso``: dates begin with the year."""
    missing: Collection[str] = ()
    """Words that stand for a missing value in texts too."""

    def __post_init__(self) -> None:
        if self.delimiter is not None:
            delimiter = _NAMED_DELIMITERS.get(self.delimiter, self.delimiter)
            object.__setattr__(self, "delimiter", delimiter)
            if len(delimiter) != 1 or delimiter in '"\r\n':
                raise InvalidValueError(
                    f"{delimiter!r} is no delimiter; give one character, or comma, semicolon, "
                    "tab or pipe."
                )
        if self.encoding is not None and not _is_text_encoding(self.encoding):
            raise InvalidValueError(
                f"{self.encoding!r} is no encoding; give one such as utf-8, utf-16 or cp1252."
            )
        if self.decimal not in {None, ",", "."}:
            raise InvalidValueError(f"{self.decimal!r} is no decimal sign; give , or .")
        if self.date_format not in {None, YEAR_FIRST} and not _tells_days(str(self.date_format)):
            raise InvalidValueError(
                f"{self.date_format!r} is no format of a date: it needs day, month and year, as "
                "in %d/%m/%Y."
            )


def _is_text_encoding(name: str) -> bool:
    try:
        return "a".encode(name).decode(name) == "a"
    except (LookupError, ValueError):
        return False


def _tells_days(date_format: str) -> bool:
    if not any(year in date_format for year in ("%Y", "%y", "%c", "%x")):
        return False
    try:
        written = _CHRISTMAS_EVE.strftime(date_format)
        return dt.datetime.strptime(written, date_format).date() == _CHRISTMAS_EVE.date()  # noqa: DTZ007
    except ValueError:
        return False


PLAIN_CSV = TableOptions(
    map=None, delimiter=",", encoding="utf-8", decimal=".", date_format=YEAR_FIRST
)
"""Comma-separated, UTF-8, year first: nothing is found out."""


@dataclass(frozen=True, slots=True)
class Table:
    """What a file holds, cell by cell."""

    header: list[str]
    """Names at the head of the columns, as they are written."""
    header_line: int
    """Line of the file, or row of the sheet, that they stand in, counted from 1."""
    rows: list[tuple[int, list[Any]]]
    """Line and cells of each row that is not empty: texts, or in workbooks and Parquet also
    numbers, truth values, dates and times, and `Unread` or `Disguised` in place of cells that are
    not what they show. A row of a text file may be of another length.
    """
    told: str
    """How the file was read, for people."""
    delimiter: str | None = None
    """What separates the fields of a text file."""
    first_day: dt.date = dt.date(1899, 12, 30)
    """Day 0 of dates that are written as the number of a day."""


def make_table(rows: list[tuple[int, list[Any]]], told: str, **more: Any) -> Table | None:
    """Return the table of all rows of a file, the first that is not empty being the header.

    Columns with neither a name nor a value, which spreadsheets like to leave, are dropped. A
    file without header is None.
    """
    filled = [(line, cells) for line, cells in rows if not all(map(_is_blank, cells))]
    if not filled:
        return None
    (line, first), *body = filled
    header = ["" if cell is None else " ".join(str(cell).split()) for cell in first]
    nameless = [number for number, name in enumerate(header) if not name]
    dropped = {
        number
        for number in nameless
        if not any(_is_value(cell) for _, cells in body for cell in cells[number : number + 1])
    }
    if dropped:
        header = _without(header, dropped)
        body = [(number, _without(cells, dropped)) for number, cells in body]
    return Table(header, line, body, told, **more)


def _without(cells: list[Any], dropped: set[int]) -> list[Any]:
    return [cell for number, cell in enumerate(cells) if number not in dropped]


def _is_value(cell: Any) -> bool:
    return not _is_blank(cell) and not isinstance(cell, Unread)


def _is_blank(cell: Any) -> bool:
    return cell is None or (isinstance(cell, str) and not cell)
