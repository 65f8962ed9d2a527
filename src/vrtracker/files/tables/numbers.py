"""Read numbers, with a decimal point or comma."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from vrtracker.files.tables.columns import Column, Kind, Unread
from vrtracker.files.tables.table import TableOptions

_WITH_COMMA = re.compile(r"[+-]?(\d+,\d*|,\d+)([eE][+-]?\d+)?")
_THOUSANDS = re.compile(r"[+-]?\d{1,3},\d{3}")
_WITH_POINT = re.compile(r"[+-]?(\d+\.\d*|\.\d+)([eE][+-]?\d+)?")
_POINT_OR_POWER = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d{1,2})?", re.ASCII)
_OPEN = "?"


def read_numbers(
    columns: Sequence[Column], options: TableOptions, delimiter: str | None
) -> list[str]:
    """Read the cells of columns of numbers, and return what was found out about all of them.

    The decimal sign is a comma where it is said to be; or where fields are separated by
    semicolons, as programs do that write it, and nothing in a column speaks against it.
    """
    signs = {
        column.target.name: options.decimal or _sign(_stripped(column), delimiter)
        for column in columns
    }
    with_comma = [name for name, sign in signs.items() if sign == ","]
    for column in columns:
        sign = signs[column.target.name]
        if sign == "." and with_comma and options.decimal is None:
            column.cells = [_unless_point(cell, with_comma[0]) for cell in column.cells]
        column.cells = [_number(cell, sign) for cell in column.cells]
        if column.target.kind is Kind.INTEGER:
            column.cells = [_whole(cell) for cell in column.cells]
    if not with_comma or options.decimal is not None:
        return []
    return [f"decimal commas in {', '.join(with_comma)}"]


def _stripped(column: Column) -> list[str]:
    return [text.strip() for text in column.texts()]


def _sign(texts: Sequence[str], delimiter: str | None) -> str:
    """Return the decimal sign of a column by its texts: comma, point, or open."""
    commas = [text for text in texts if _WITH_COMMA.fullmatch(text)]
    if not commas:
        return "."
    has_point = any(_WITH_POINT.fullmatch(text) for text in texts)
    if delimiter != ";" or has_point or all(map(_THOUSANDS.fullmatch, commas)):
        return _OPEN
    return ","


def _unless_point(cell: Any, other: str) -> Any:
    if isinstance(cell, str) and _WITH_POINT.fullmatch(cell.strip()):
        return Unread(
            f"{cell!r} has a decimal point, and {other} has decimal commas; say which it is with "
            'decimal="," or decimal=".".'
        )
    return cell


def _number(cell: Any, sign: str) -> Any:
    if isinstance(cell, dt.date | dt.time | dt.timedelta):
        return Unread(
            f"the cell is a date or time ({cell}), the column holds numbers. A spreadsheet may "
            "have made it of what was typed: format the column as number, and type it again."
        )
    text = cell.strip() if isinstance(cell, str) else ""
    if sign == "," and "." in text:
        return Unread(f"{cell!r} has a point, and the decimal sign is a comma.")
    if sign == "." or not _WITH_COMMA.fullmatch(text):
        return cell
    return text.replace(",", ".") if sign == "," else _open_number(text)


def _whole(cell: Any) -> Any:
    """Return a whole number for 701.0 and 7.01E+02, as spreadsheets like to write it."""
    if isinstance(cell, float) and cell.is_integer():
        return int(cell)
    if isinstance(cell, str) and _POINT_OR_POWER.fullmatch(cell.strip()):
        number = Decimal(cell.strip())
        return int(number) if number == number.to_integral_value() else cell
    return cell


def _open_number(text: str) -> Unread:
    if _THOUSANDS.fullmatch(text):
        return Unread(
            f"{text!r} can be {text.replace(',', '.')} or {text.replace(',', '')}; if the comma is "
            'the decimal sign, say so with decimal=",", else write it without.'
        )
    return Unread(f'{text!r} is not a number; if the comma is the decimal sign: decimal=",".')
