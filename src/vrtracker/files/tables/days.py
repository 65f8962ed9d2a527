"""Read dates and times: of cells, of texts in whatever order, by the number of a day."""

from __future__ import annotations

import contextlib
import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vrtracker.domain.dates import parse_date, parse_datetime
from vrtracker.errors import InvalidValueError
from vrtracker.files.tables.columns import Column, Doubt, Kind, Unread

_TIME = r"(?:[ T,]+(\d{1,2}):(\d{2})(?::(\d{2})(?:\.\d+)?)?)?"
_YEAR_FIRST = re.compile(rf"(\d{{4}})([-/.])(\d{{1,2}})\2(\d{{1,2}}){_TIME}")
_YEAR_LAST = re.compile(rf"(\d{{1,2}})([-/.])(\d{{1,2}})\2(\d{{4}}){_TIME}")
_NUMBER_OF_A_DAY = re.compile(r"\d{5}([.,]\d+)?")
_DAY_AND_TIME = re.compile(r"(\d{4}[-/.]\d{1,2}[-/.]\d{1,2})(\D.+)")
_EARLIEST, _LATEST = dt.date(1950, 1, 1), dt.date(2100, 1, 1)
_LAST_MONTH = 12
_SECONDS_A_DAY = 86_400
_EIGHT_DIGITS = 10_000_000
_DAY_FIRST, _MONTH_FIRST = "day first", "month first"
_FORMATS = ("%d/%m/%Y", "%m/%d/%Y")


def read_days(column: Column, date_format: str | None, first_day: dt.date) -> None:
    """Read the cells of a column of dates or times.

    `date_format`: how its texts are written; found out when not given, from the column as a whole.
    `first_day`: day 0 of the numbers that spreadsheets keep days as.
    """
    kind, written = column.target.kind, column.cells
    column.cells = list(written)
    if date_format is not None:
        column.cells = [_formatted(cell, kind, date_format) for cell in column.cells]
    else:
        _read_year_last(column)
    _read_numbers_of_days(column, first_day)
    column.cells = [_year_first(cell, kind) for cell in column.cells]
    if kind is Kind.DATE:
        column.cells = [_without_zone(cell) for cell in column.cells]
        _tell_times_of_day(column, written, column.cells)


def read_years_first(column: Column) -> None:
    """Tell of the times of day in dates that begin with the year; the rest is the column's."""
    moments = [_without_zone(_moment(cell) or cell) for cell in column.cells]
    _tell_times_of_day(column, column.cells, moments)
    pairs = zip(column.cells, moments, strict=True)
    column.cells = [moment if isinstance(moment, Unread) else cell for cell, moment in pairs]


def _without_zone(cell: Any) -> Any:
    """Return a cell; a time with a zone, whose day is another one elsewhere, is not read."""
    if isinstance(cell, dt.datetime) and cell.tzinfo is not None:
        try:
            parse_datetime(cell)
        except InvalidValueError as error:
            return Unread(str(error))
    return cell


def _moment(cell: Any) -> dt.datetime | None:
    """Return the date and time that a text shows, its zone with it; None: it shows no time."""
    match = _DAY_AND_TIME.fullmatch(cell.strip()) if isinstance(cell, str) else None
    if match is None:
        return None
    with contextlib.suppress(ValueError):
        return dt.datetime.fromisoformat(f"{parse_date(match[1])}{match[2]}")
    return None


def _tell_times_of_day(column: Column, written: Sequence[Any], read: Sequence[Any]) -> None:
    for line, cell, moment in zip(column.lines, written, read, strict=True):
        if isinstance(moment, dt.datetime) and moment.time() != dt.time():
            column.notes.append(
                f"{column.target.name}: times of day left out, as in '{cell}' in line {line}"
            )
            return


def _date(match: re.Match[str], order: tuple[int, int, int]) -> dt.datetime | None:
    """Return the moment that the groups show, year, month and day in order; None: no such."""
    parts = (int(match[group] or 0) for group in (*order, 5, 6, 7))
    try:
        return dt.datetime(*parts)  # type: ignore[arg-type] # noqa: DTZ001
    except ValueError:
        return None


def _formatted(cell: Any, kind: Kind, date_format: str) -> Any:
    """Return a text as the format says; years in front are read beside another order."""
    if not isinstance(cell, str):
        return cell
    for more in ("", " %H:%M:%S", " %H:%M"):
        with contextlib.suppress(ValueError):
            return dt.datetime.strptime(cell.strip(), date_format + more)  # noqa: DTZ007
    if not date_format.startswith(("%Y", "%y")):
        with contextlib.suppress(InvalidValueError):
            return _parsed(cell, kind)
    return Unread(f"{cell!r} is not a date of the form {date_format}.")


def _year_first(cell: Any, kind: Kind) -> Any:
    if not isinstance(cell, str):
        return cell
    try:
        return _parsed(cell, kind)
    except InvalidValueError as error:
        is_year_first = cell.strip()[:4].isdigit()
        hint = ' Or say how it is written, such as date_format="%d %b %Y".'
        return Unread(str(error) if is_year_first else f"{error}{hint}")


def _parsed(text: str, kind: Kind) -> dt.date:
    match = _YEAR_FIRST.fullmatch(text.strip())
    date = _date(match, (1, 3, 4)) if match else None
    if date is not None:
        return date
    return (_moment(text) or parse_date(text)) if kind is Kind.DATE else parse_datetime(text)


def _read_numbers_of_days(column: Column, first_day: dt.date) -> None:
    days = {
        place: day
        for place, cell in enumerate(column.cells)
        if (day := _of_number(cell, first_day)) is not None
    }
    if days:
        place, day = next(iter(days.items()))
        shown = str(column.cells[place]).removesuffix(".0")
        column.notes.append(
            f"{column.target.name}: days as numbers, {shown} in line {column.lines[place]} is "
            f"{day:%Y-%m-%d}"
        )
    column.cells = [days.get(place, cell) for place, cell in enumerate(column.cells)]


def _of_number(cell: Any, first_day: dt.date) -> dt.date | None:
    """Return the day that a number stands for, 44951 or 20230125; None if it stands for none."""
    if isinstance(cell, str):
        text = cell.strip().replace(",", ".")
        number = float(text) if _NUMBER_OF_A_DAY.fullmatch(text) else 0
    else:
        number = cell if isinstance(cell, int | float) and not isinstance(cell, bool) else 0
    with contextlib.suppress(OverflowError, InvalidValueError):
        if number >= _EIGHT_DIGITS:
            return parse_date(f"{number:.0f}")
        seconds = round((number % 1) * _SECONDS_A_DAY)
        moment = dt.datetime.combine(first_day, dt.time()) + dt.timedelta(int(number), seconds)
        if _EARLIEST <= moment.date() < _LATEST:
            return moment
    return None


@dataclass(frozen=True, slots=True)
class _Written:
    """A text such as 03/04/2023, and the days that it can be."""

    place: int
    match: re.Match[str]

    @property
    def text(self) -> str:
        return self.match[0]

    @property
    def order(self) -> str | None:
        """Its order, if it can have but one."""
        first, second = int(self.match[1]), int(self.match[3])
        if (first > _LAST_MONTH) is (second > _LAST_MONTH):
            return None
        return _DAY_FIRST if first > _LAST_MONTH else _MONTH_FIRST

    def date(self, order: str) -> dt.datetime | None:
        """Return the day in an order, or None if there is no such day."""
        return _date(self.match, (4, 3, 1) if order == _DAY_FIRST else (4, 1, 3))


def _read_year_last(column: Column) -> None:
    """Read texts such as 20/01/2023 in the order that the column as a whole shows."""
    written = [
        _Written(place, match)
        for place, cell in enumerate(column.cells)
        if isinstance(cell, str) and (match := _YEAR_LAST.fullmatch(cell.strip()))
    ]
    shown: dict[str, _Written] = {}
    for one in written:
        if one.order:
            shown.setdefault(one.order, one)
    if written and any(isinstance(cell, dt.date) for cell in column.cells):
        column.doubts.append(_mixed(column, written[0]))
    for one in written:
        column.cells[one.place] = _in_order(one, column.lines, shown)
    if len(shown) == 1:
        ((order, one),) = shown.items()
        line = column.lines[one.place]
        column.notes.append(f"{column.target.name}: {order}, as in {one.text!r} in line {line}")


def _in_order(one: _Written, lines: Sequence[int], shown: dict[str, _Written]) -> Any:
    if len(shown) > 1:
        first, second = (lines[shown[order].place] for order in (_DAY_FIRST, _MONTH_FIRST))
        return Unread(
            f"{one.text!r}: line {first} can only have the day first, line {second} only the "
            "month; write all dates of the column in one way."
        )
    days = [day for order in shown or (_DAY_FIRST, _MONTH_FIRST) if (day := one.date(order))]
    if not days:
        return Unread(f"{one.text!r} is not a date.")
    if days[0] != days[-1]:
        formats = (f'date_format="{order}"'.replace("/", one.match[2]) for order in _FORMATS)
        readings = " or ".join(f"{day.day} {day:%B %Y}" for day in days)
        return Unread(f"{one.text!r} is {readings}; say which with {' or '.join(formats)}.")
    return days[0]


def _mixed(column: Column, one: _Written) -> Doubt:
    return Doubt(
        column.lines[one.place],
        column.target.name,
        f"{one.text!r} is text, and other cells are real dates. So it looks where a spreadsheet "
        "that has the month first opened days first: it exchanged day and month in the real "
        "ones. Compare them with the source.",
    )
