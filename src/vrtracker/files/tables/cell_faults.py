"""Find the cells of a workbook that hold something else than they show.

Readers of values cannot tell these: the cells under a merged one and formulas without a result
look empty, and a number does not say how it is shown. So the file's own XML is looked through.
"""

from __future__ import annotations

import functools
import io
import posixpath
import re
import string
import xml.etree.ElementTree as ET
import zipfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from vrtracker.files.tables.columns import Disguised, Unread

_Place = tuple[int, int]
_NO_RESULT = "a formula without a result; open the file in a spreadsheet program and save it."
_FORMATS = {"0": "general", "1": "0", "3": "#,##0", "49": "@"}
"""The formats of Excel that have a number and no code, as far as they show a number as it is."""
_LANGUAGE = re.compile(r"\[\$-[^\]]*\]")
_THOUSAND = 1000
_ERROR = re.compile(r"#[A-Z0-9/_]+[!?]?|Err:\d+")
_MOST_REPEATED = 1000
_TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
_TEXT = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
_CALC = "{urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0}"


@dataclass(slots=True)
class Faults:
    """The cells of a sheet that are not what they show, by row and column, counted from 0."""

    merged: list[tuple[_Place, _Place]] = field(default_factory=list)
    """First and last cell of each merged range."""
    unread: dict[_Place, Unread] = field(default_factory=dict)
    """Why a cell has no value."""
    disguised: set[_Place] = field(default_factory=set)
    """Cells whose number is not shown as it is; days and times are among them."""

    def put_into(self, rows: list[tuple[int, list[Any]]]) -> None:
        """Put the faults into all rows of the sheet, in place of the cells below the header."""
        header = next((line for line, cells in rows if any(one is not None for one in cells)), 0)
        if not header:
            return
        width = max(len(cells) for _, cells in rows)
        found = self._by_row(len(rows), width)
        below = sorted(row for row in found if row >= len(rows))
        rows += [(row + 1, [None] * width) for row in below]
        for line, cells in rows[header:]:
            for column, fault in found.get(line - 1, {}).items():
                if column < len(cells):
                    cells[column] = fault or _disguised(cells[column])

    def _by_row(self, height: int, width: int) -> Mapping[int, dict[int, Unread | None]]:
        found: dict[int, dict[int, Unread | None]] = defaultdict(dict)
        for row, column in self.disguised:
            found[row][column] = None
        for (row, column), fault in self.unread.items():
            found[row][column] = fault
        for (row, column), fault in self._covered(height, width):
            found[row][column] = fault
        return found

    def _covered(self, height: int, width: int) -> Iterator[tuple[_Place, Unread]]:
        """Yield the cells under merged ones; below the last row, one of a range is enough."""
        for (top, left), (bottom, right) in self.merged:
            name = f"{_letters(left)}{top + 1}:{_letters(right)}{bottom + 1}"
            fault = Unread(f"part of the merged cell {name}; unmerge and fill every cell.")
            for row in range(top, min(bottom + 1, max(height, top + 2))):
                for column in range(left, min(right + 1, width)):
                    if (row, column) != (top, left):
                        yield (row, column), fault


def find_faults(data: bytes, sheet: str) -> Faults | None:
    """Return the faults of a sheet; None where the file is not one of XML (.xls, .xlsb).

    Raises LookupError, ValueError, StopIteration, xml.etree.ElementTree.ParseError,
    zipfile.BadZipFile if the file is damaged.
    """
    if not data.startswith(b"PK"):
        return None
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = archive.namelist()
        if "content.xml" in names:
            return _of_opendocument(archive, sheet)
        return _of_excel(archive, sheet) if "xl/workbook.xml" in names else None


def _disguised(cell: Any) -> Any:
    is_number = isinstance(cell, int | float) and not isinstance(cell, bool)
    return Disguised(cell) if is_number else cell


def _letters(column: int) -> str:
    rest, letter = divmod(column, 26)
    return (_letters(rest - 1) if rest else "") + chr(ord("A") + letter)


def _error(shown: str) -> Unread:
    return Unread(f"the formula's result is {shown}; mend the formula, or empty the cell.")


@dataclass(frozen=True, slots=True)
class _Book:
    """What cells of an Excel workbook refer to."""

    formats: list[str]
    """Format of the numbers of each style."""
    is_calculated: bool
    """False where the program that wrote the file left that to the next one that opens it."""

    def is_plain(self, style: str, number: str) -> bool:
        """Tell whether a style shows a number as it is."""
        shown = self.formats[int(style)] if self.formats else "general"
        if shown not in {"0", "#", "#,##0"}:
            return shown in {"general", "@"}
        value = float(number)
        is_whole = value.is_integer()
        return is_whole and (shown != "#,##0" or abs(value) < _THOUSAND)


def _of_excel(archive: zipfile.ZipFile, sheet: str) -> Faults:
    root = ET.fromstring(archive.read("xl/workbook.xml"))  # noqa: S314
    calculation = root.find("{*}calcPr")
    is_asked = calculation is not None and calculation.get("fullCalcOnLoad") in {"1", "true"}
    book = _Book(_formats(archive), not is_asked)
    faults, row = Faults(), -1
    with archive.open(_part(archive, root, sheet)) as file:
        for _, element in ET.iterparse(file):  # noqa: S314
            tag = element.tag
            if tag[-4:] == "}row":
                row = int(element.get("r", row + 2)) - 1
                _look_at_row(element, row, book, faults)
                element.clear()
            elif tag[-10:] == "}mergeCell":
                first, _, last = element.get("ref", "").partition(":")
                faults.merged.append((_place(first), _place(last or first)))
    return faults


def _part(archive: zipfile.ZipFile, root: ET.Element, sheet: str) -> str:
    """Return the name of the file in the workbook that holds a sheet."""
    sheets = {one.get("name"): one for one in root.iterfind("{*}sheets/{*}sheet")}
    number = next(value for name, value in sheets[sheet].items() if name.endswith("}id"))
    links = ET.fromstring(archive.read("xl/_rels/workbook.xml.rels"))  # noqa: S314
    target = next(one.get("Target", "") for one in links if one.get("Id") == number)
    wanted = posixpath.normpath(posixpath.join("/xl", target)).lstrip("/")
    return {name.casefold(): name for name in archive.namelist()}[wanted.casefold()]


def _formats(archive: zipfile.ZipFile) -> list[str]:
    if "xl/styles.xml" not in archive.namelist():
        return []
    styles = ET.fromstring(archive.read("xl/styles.xml"))  # noqa: S314
    codes = dict(_FORMATS)
    for one in styles.iterfind("{*}numFmts/{*}numFmt"):
        code = _LANGUAGE.sub("", one.get("formatCode", ""))
        codes[one.get("numFmtId", "")] = code.casefold()
    return [codes.get(one.get("numFmtId", "0"), "") for one in styles.iterfind("{*}cellXfs/{*}xf")]


def _look_at_row(element: ET.Element, row: int, book: _Book, faults: Faults) -> None:
    space = element.tag.removesuffix("row")
    of_formula, of_value = f"{space}f", f"{space}v"
    for column, cell in enumerate(element):
        kind, style = cell.get("t", "n"), cell.get("s", "0")
        has_formula = cell.find(of_formula) is not None
        if not has_formula and kind != "e" and (kind != "n" or style == "0"):
            continue
        value = cell.findtext(of_value)
        name = cell.get("r", "").rstrip(string.digits)
        place = (row, _column(name) if name else column)
        if kind == "e":
            faults.unread[place] = _error(value or "an error")
        elif has_formula and _has_no_result(kind, value, book):
            faults.unread[place] = Unread(_NO_RESULT)
        elif kind == "n" and value and not book.is_plain(style, value):
            faults.disguised.add(place)


def _has_no_result(kind: str, value: str | None, book: _Book) -> bool:
    """Tell whether a formula was never calculated: it has no value, or 0 until it will be."""
    return kind != "str" and (not value or (value == "0" and not book.is_calculated))


def _place(name: str) -> _Place:
    """Return row and column of a name such as B12."""
    return int(name.lstrip(string.ascii_letters)) - 1, _column(name.rstrip(string.digits))


@functools.cache
def _column(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - ord("A") + 1
    return number - 1


def _of_opendocument(archive: zipfile.ZipFile, sheet: str) -> Faults:
    faults, row = Faults(), 0
    with archive.open("content.xml") as file:
        for _, element in ET.iterparse(file):  # noqa: S314
            if element.tag == f"{_TABLE}table-row":
                times = int(element.get(f"{_TABLE}number-rows-repeated", 1))
                _look_at_cells(element, range(row, row + min(times, _MOST_REPEATED)), faults)
                row += times
                element.clear()
            elif element.tag == f"{_TABLE}table":
                if element.get(f"{_TABLE}name") == sheet:
                    return faults
                faults, row = Faults(), 0
    return faults


def _look_at_cells(element: ET.Element, rows: range, faults: Faults) -> None:
    column = 0
    for cell in element:
        times = int(cell.get(f"{_TABLE}number-columns-repeated", 1))
        high = int(cell.get(f"{_TABLE}number-rows-spanned", 1))
        wide = int(cell.get(f"{_TABLE}number-columns-spanned", 1))
        if max(high, wide) > 1:
            last = (rows.start + high - 1, column + wide - 1)
            faults.merged.append(((rows.start, column), last))
        fault = _fault(cell)
        is_disguised = fault is None and _is_disguised(cell)
        places = range(column, column + min(times, _MOST_REPEATED))
        for place in ((row, one) for row in rows for one in places if fault or is_disguised):
            if fault:
                faults.unread[place] = fault
            else:
                faults.disguised.add(place)
        column += times


def _fault(cell: ET.Element) -> Unread | None:
    has_formula = cell.get(f"{_TABLE}formula") is not None
    is_error = cell.get(f"{_CALC}value-type") == "error"
    if not has_formula and not is_error:
        return None
    shown = _shown(cell)
    if is_error or _ERROR.fullmatch(shown):
        return _error(shown or "an error")
    return None if cell.get(f"{_OFFICE}value-type") else Unread(_NO_RESULT)


def _is_disguised(cell: ET.Element) -> bool:
    """Tell whether a cell shows a number otherwise than typed; a comma may part its decimals."""
    value = cell.get(f"{_OFFICE}value")
    if value is None:
        return False
    shown, number = _shown(cell).replace(",", "."), float(value)
    return bool(shown) and shown not in {str(number).removesuffix(".0"), f"{number:.10g}"}


def _shown(cell: ET.Element) -> str:
    return "\n".join("".join(one.itertext()) for one in cell.iterfind(f"{_TEXT}p"))
