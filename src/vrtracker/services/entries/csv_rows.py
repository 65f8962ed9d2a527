"""Read CSV files of the lab's rows, and tell every problem with its line."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vrtracker.errors import ImportFileError, InvalidValueError, UnknownNameError
from vrtracker.services.entries.rows import RowService

__all__ = ["CsvReading", "Problem"]


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in a file that keeps it from being taken in, or that is odd.

    Attributes
    ----------
    line : int
        Line in the file, counted from 1; the header is line 1.
    column : str or None
        Column, where it is about one.
    message : str
        What is wrong, and how it should be.
    """

    line: int
    column: str | None
    message: str

    def __str__(self) -> str:
        where = f"line {self.line}" + (f", column {self.column}" if self.column else "")
        return f"{where}: {self.message}"


class CsvReading:
    """One pass over a file whose header names columns of one of the lab's tables.

    Parameters
    ----------
    new
        Its rows are to be added: those that are not fit for that are problems, the others get
        the defaults of the columns that the file lacks.
    """

    def __init__(self, service: RowService[Any, Any], path: Path, *, new: bool) -> None:
        self._service = service
        self._path = path
        self._new = new
        self.columns: list[str] = []
        self.problems: list[Problem] = []
        self.lines: list[int] = []

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield the rows that fit the columns; the others become problems."""
        try:
            with self._path.open(encoding="utf-8-sig", newline="") as file:
                yield from self._rows(csv.reader(file, strict=True))
        except UnicodeDecodeError as error:
            raise ImportFileError(
                f"{self._path} is not UTF-8 (byte {error.start}); save it as UTF-8 and try again."
            ) from error
        except csv.Error as error:
            raise ImportFileError(f"{self._path} is not a proper CSV file: {error}.") from error
        except OSError as error:
            raise ImportFileError(f"{self._path} cannot be read: {error.strerror}.") from error

    def _rows(self, reader: Any) -> Iterator[dict[str, Any]]:
        header = next(reader, None)
        if not header or not any(header):
            raise ImportFileError(f"{self._path} is empty; it needs a header and rows.")
        names = [name.strip() for name in header]
        if not self._header_is_good(names):
            return
        self.columns = names
        line = reader.line_num + 1
        for fields in reader:
            if any(fields):
                row = self._row(line, names, fields)
                if row is not None:
                    self.lines.append(line)
                    yield row
            line = reader.line_num + 1

    def _header_is_good(self, names: list[str]) -> bool:
        columns = self._service.columns
        for name in dict.fromkeys(names):
            if name not in columns:
                error = UnknownNameError("column", name, columns)
                self.problems.append(Problem(1, name, str(error)))
            elif names.count(name) > 1:
                self.problems.append(Problem(1, name, "the column stands in the header twice."))
        for name in self._service.key_columns:
            if name not in names:
                self.problems.append(Problem(1, name, "the column is missing; every row needs it."))
        return not self.problems

    def _row(self, line: int, names: list[str], fields: list[str]) -> dict[str, Any] | None:
        if len(fields) != len(names):
            message = f"the line has {len(fields)} fields, the header {len(names)}."
            self.problems.append(Problem(line, None, message))
            return None
        before = len(self.problems)
        values: dict[str, Any] = {}
        for name, text in zip(names, fields, strict=True):
            try:
                values[name] = self._service.coercer.field(name, text)
            except InvalidValueError as error:
                message = str(error).removeprefix(f"{name}: ")
                self.problems.append(Problem(line, name, message))
        for name in () if self._new else self._service.key_columns:
            if name in values and values[name] is None:
                self.problems.append(Problem(line, name, "it is empty; every row needs it."))
        if len(self.problems) > before:
            return None
        if not self._new:
            return values
        try:
            row = self._service.coercer.row(values)
            self._service.rules.check_imported(row)
        except InvalidValueError as error:
            self.problems.append(Problem(line, error.column, str(error)))
            return None
        return row
