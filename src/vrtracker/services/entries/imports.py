"""Bring mice and sessions in from files: preview with every problem, then all rows or none."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vrtracker.display import SHOWN, Facts, Shown, counted, table_of
from vrtracker.domain.mice import veiled
from vrtracker.errors import ImportFileError, UnknownMouseError
from vrtracker.files.tables.table import TableOptions
from vrtracker.repositories.listing import Listing
from vrtracker.services.administration.backups import keep_copy
from vrtracker.services.entries.adding import add_rows
from vrtracker.services.entries.rules import TableRules, taken
from vrtracker.services.entries.table_rows import Problem, TableReading
from vrtracker.spelling import nearest

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True, repr=False)
class ImportPlan(Shown):
    """What a file holds, and what stands in the way of adding it.

    `rows`: the rows, fitted to the columns. `problems`: all of them, in order of lines; `apply`
    refuses while there are any. `warnings`: what is odd but will be added as it is. `notes`: how
    the file was read: what was found out about it.
    """

    what: str
    path: Path
    rows: tuple[Mapping[str, Any], ...]
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()
    _rules: Any = field(default=None, repr=False, compare=False)

    def facts(self) -> Facts:
        """Return what would be added, and what stands in the way."""
        columns, rows = table_of(veiled(row) for row in self.rows[:SHOWN])
        said = f"{counted(len(self.rows), 'row')} of {self.what} to add: .apply() does it."
        if self.problems:
            said = (
                f"{self.what} are not added before {counted(len(self.problems), 'problem')} went."
            )
        notes = [*map(str, self.problems), *map(str, self.warnings), *self.notes]
        return Facts(f"{self.path}: {said}", rows, columns, len(self.rows), notes)

    def frame(self) -> pd.DataFrame:
        """Return the rows as they would be added."""
        import pandas as pd

        return pd.DataFrame([dict(row) for row in self.rows])

    def apply(self) -> int:
        """Add all rows in one transaction and return their number.

        Raises ImportFileError if there are problems; nothing is written.
        """
        if self.problems:
            count = len(self.problems)
            raise ImportFileError(
                f"{self.path} has {count} problem{'s' if count > 1 else ''}, the first: "
                f"{self.problems[0]} Nothing was imported.",
                self.problems,
            )
        if self.rows:
            keep_copy(self._rules.lab, "import")
            names = dict.fromkeys(itertools.chain(*self.rows))
            columns = {name: [row.get(name) for row in self.rows] for name in names}
            add_rows(self._rules, columns)
        return len(self.rows)


def plan_import(rules: TableRules[Any, Any], path: Path, options: TableOptions) -> ImportPlan:
    """Read a file and return its rows and problems; nothing is written.

    Raises ImportFileError if it is not such a file at all: missing, of another kind, without
    header.
    """
    reading = TableReading(rules, path, options, new=True)
    rows = list(reading.rows())
    conflicts = list(_conflicts(rules, reading.lines, rows))
    problems = [*reading.problems, *conflicts]
    warnings = reading.warnings
    if "sessionQC" in rules.look_ups.table.c:
        warnings += _scratch_warnings(reading.lines, rows)
    refused = {problem.line for problem in conflicts}
    rows = [row for line, row in zip(reading.lines, rows, strict=True) if line not in refused]
    return ImportPlan(
        rules.plural,
        path,
        tuple(rows),
        tuple(sorted(problems, key=lambda problem: problem.line)),
        tuple(sorted(warnings, key=lambda warning: warning.line)),
        tuple(reading.notes),
        rules,
    )


def _conflicts(
    rules: TableRules[Any, Any], lines: list[int], rows: list[dict[str, Any]]
) -> Iterator[Problem]:
    """Yield rows that the database would refuse: duplicates, sessions of unknown mice."""
    with rules.lab.unit(readonly=True) as unit:
        repository = rules.of(unit)
        number = repository.id_column.name
        present = repository.present(Listing(include_scratched=True))
        mice = unit.mice.names()
    known = {_folded(key): (key, "") for key in map(rules.key_of_row, present)}
    numbers = {row[number] for row in present}
    known_mice = set(mice)
    is_numbered = any(number in row for row in rows)
    for line, row in zip(lines, rows, strict=True):
        key = rules.key_of_row(row)
        if _folded(key) in known:
            yield Problem(line, None, str(taken(repository.subject, key, *known[_folded(key)])))
        if is_numbered and number not in row:
            yield Problem(line, number, "the number is missing; give all rows one, or none.")
        if row.get(number) in numbers and number in row:
            yield Problem(line, number, f"the number {row[number]} is taken already.")
        if repository.subject != "mouse" and row["mouseName"] not in known_mice:
            unknown = UnknownMouseError(row["mouseName"], nearest(row["mouseName"], mice))
            yield Problem(line, "mouseName", str(unknown))
        known.setdefault(_folded(key), (key, f"in line {line} of the file"))
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
