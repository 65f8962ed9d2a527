"""Bring mice and sessions in from CSV: preview with every problem, then all rows or none."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vrtracker.errors import (
    ImportFileError,
    UnknownMouseError,
    UnknownNameError,
    nearest,
)
from vrtracker.repositories.listing import Listing
from vrtracker.services.administration.backups import keep_copy
from vrtracker.services.context import LabContext
from vrtracker.services.entries.csv_rows import CsvReading, Problem
from vrtracker.services.entries.mice import MouseService, taken
from vrtracker.services.entries.rows import RowService
from vrtracker.services.entries.sessions import SessionService

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ImportPlan", "ImportService"]


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

    def __init__(self, lab: LabContext, sessions: SessionService, mice: MouseService) -> None:
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
        reading = CsvReading(service, Path(path), new=True)
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
            keep_copy(self._lab, "import")
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
            present = repository.present(Listing(include_scratched=True))
            mice = unit.mice.names()
        rules = self._services[what].rules
        known = {_folded(key): key for key in map(rules.key_of_row, present)}
        numbers = {row[number] for row in present}
        known_mice = set(mice)
        is_numbered = any(number in row for row in rows)
        for line, row in zip(lines, rows, strict=True):
            key = rules.key_of_row(row)
            if _folded(key) in known:
                yield Problem(line, None, str(taken(repository.subject, key, known[_folded(key)])))
            if is_numbered and number not in row:
                yield Problem(line, number, "the number is missing; give all rows one, or none.")
            if row.get(number) in numbers and number in row:
                yield Problem(line, number, f"the number {row[number]} is taken already.")
            if what == "sessions" and row["mouseName"] not in known_mice:
                error = UnknownMouseError(row["mouseName"], nearest(row["mouseName"], mice))
                yield Problem(line, "mouseName", str(error))
            known.setdefault(_folded(key), key)
            numbers.add(row.get(number))


def _folded(key: Any) -> Any:
    """Return a key by which names that differ in the case of letters alone are one."""
    return key.casefold() if isinstance(key, str) else key


def _scratch_warnings(lines: list[int], rows: list[dict[str, Any]]) -> list[Problem]:
    """Tell of rows that break the lab's rule, which its own file may have: they come in as is."""
    return [
        Problem(line, "scratchJustification", "sessionQC and scratchJustification disagree.")
        for line, row in zip(lines, rows, strict=True)
        if bool(row["sessionQC"]) is bool(row["scratchJustification"])
    ]
