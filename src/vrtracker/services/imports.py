"""Bring mice and sessions in from CSV: preview with every problem, then all rows or none."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vrtracker.domain.keys import SessionKey
from vrtracker.errors import (
    DuplicateError,
    ImportFileError,
    InvalidValueError,
    UnknownMouseError,
    UnknownNameError,
    nearest,
)
from vrtracker.repositories.listing import Listing
from vrtracker.services.lab import Lab
from vrtracker.services.mice import MouseService
from vrtracker.services.rows import RowService
from vrtracker.services.sessions import SessionService

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ImportPlan", "ImportService", "Problem"]


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in the file that keeps it from being imported.

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


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """What a file holds, and what stands in the way of adding it.

    Attributes
    ----------
    rows : tuple of dict
        The rows, fitted to the columns.
    problems : tuple of Problem
        All of them, in order of lines; `apply` refuses while there are any.
    warnings : tuple of Problem
        What is odd but will be added as it is.
    """

    what: str
    path: Path
    rows: tuple[Mapping[str, Any], ...]
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...] = ()
    _service: Any = field(default=None, repr=False, compare=False)

    def frame(self) -> pd.DataFrame:
        """Return the rows as they would be added."""
        import pandas as pd

        return pd.DataFrame([dict(row) for row in self.rows])

    def apply(self) -> int:
        """Add all rows in one transaction and return their number.

        Raises
        ------
        ImportFileError
            If there are problems; nothing is written.
        """
        added: int = self._service.apply(self)
        return added


class ImportService:
    """Imports CSV files whose header names columns of `mousedb` or `sessiondb`."""

    def __init__(self, lab: Lab, sessions: SessionService, mice: MouseService) -> None:
        self._lab = lab
        self._services: dict[str, RowService[Any, Any]] = {"sessions": sessions, "mice": mice}

    def plan(self, what: str, path: str | Path) -> ImportPlan:
        """Read a file and return its rows and problems; nothing is written.

        Parameters
        ----------
        what
            ``mice`` or ``sessions``.
        path
            CSV, UTF-8, comma-separated, with a header. An empty field is a missing value.
            A column of autonumbers (uSessionID, uMouseID) is kept.

        Raises
        ------
        ImportFileError
            If it is not such a file at all: missing, of another encoding, without header.
        """
        if what not in self._services:
            raise UnknownNameError("kind of import", what, self._services)
        service = self._services[what]
        reading = _Reading(service, Path(path))
        rows = list(reading.rows())
        problems = [*reading.problems, *self._conflicts(what, reading.lines, rows)]
        warnings = _scratch_warnings(reading.lines, rows) if what == "sessions" else []
        problems.sort(key=lambda problem: problem.line)
        return ImportPlan(what, Path(path), tuple(rows), tuple(problems), tuple(warnings), self)

    def apply(self, plan: ImportPlan) -> int:
        """Add the rows of a plan, all or none."""
        if plan.problems:
            count = len(plan.problems)
            raise ImportFileError(
                f"{plan.path} has {count} problem{'s' if count > 1 else ''}, the first: "
                f"{plan.problems[0]} Nothing was imported.",
                plan.problems,
            )
        if plan.rows:
            rows = plan.rows
            names = dict.fromkeys(itertools.chain(*rows))
            columns = {name: [row.get(name) for row in rows] for name in names}
            self._services[plan.what].add_fitted(columns)
        return len(plan.rows)

    def _conflicts(
        self, what: str, lines: list[int], rows: list[dict[str, Any]]
    ) -> Iterator[Problem]:
        """Yield rows that the database would refuse: duplicates, sessions of unknown mice."""
        number = "uSessionID" if what == "sessions" else "uMouseID"
        with self._lab.unit(readonly=True) as unit:
            repository: Any = unit.sessions if what == "sessions" else unit.mice
            listing = Listing(include_scratched=True)
            known = {tuple(row) for row in repository.present_keys(listing)}
            numbers = {row[number] for row in repository.present(listing)}
            mice = unit.mice.names()
        known_mice = set(mice)
        is_numbered = any(number in row for row in rows)
        for line, row in zip(lines, rows, strict=True):
            key = tuple(row[name] for name in repository.key_columns)
            shown = SessionKey(*key) if what == "sessions" else key[0]
            if key in known:
                yield Problem(line, None, str(DuplicateError(repository.subject, shown)))
            if is_numbered and number not in row:
                yield Problem(line, number, "the number is missing; give all rows one, or none.")
            if row.get(number) in numbers and number in row:
                yield Problem(line, number, f"the number {row[number]} is taken already.")
            if what == "sessions" and row["mouseName"] not in known_mice:
                error = UnknownMouseError(row["mouseName"], nearest(row["mouseName"], mice))
                yield Problem(line, "mouseName", str(error))
            known.add(key)
            numbers.add(row.get(number))


class _Reading:
    """One pass over a file."""

    def __init__(self, service: RowService[Any, Any], path: Path) -> None:
        self._service = service
        self._path = path
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
        if len(self.problems) > before:
            return None
        try:
            row = self._service.coercer.row(values)
            self._service.check_imported(row)
        except InvalidValueError as error:
            self.problems.append(Problem(line, error.column, str(error)))
            return None
        return row


def _scratch_warnings(lines: list[int], rows: list[dict[str, Any]]) -> list[Problem]:
    """Tell of rows that break the lab's rule, which its own file may have: they come in as is."""
    return [
        Problem(line, "scratchJustification", "sessionQC and scratchJustification disagree.")
        for line, row in zip(lines, rows, strict=True)
        if bool(row["sessionQC"]) is bool(row["scratchJustification"])
    ]
