"""Read files of the lab's rows, and tell every problem with its line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vrtracker.errors import InvalidValueError
from vrtracker.files.tables.columns import Target, Unread
from vrtracker.files.tables.content import read_table
from vrtracker.files.tables.headers import find_header_below, match_headers
from vrtracker.files.tables.meaning import understand
from vrtracker.files.tables.table import Table, TableOptions
from vrtracker.services.entries.rules import TableRules


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in a file that keeps it from being taken in, or that is odd.

    `line`: line in the file or row of the sheet, counted from 1; the first row of a Parquet file is
    2, as below a header. `column`: column, where it is about one. `message`: what is wrong, and how
    it should be.
    """

    line: int
    column: str | None
    message: str

    def __str__(self) -> str:
        where = f"line {self.line}" + (f", column {self.column}" if self.column else "")
        return f"{where}: {self.message}"


class TableReading:
    """One pass over a file whose header names columns of one of the lab's tables.

    `new`: its rows are to be added: those that are not fit for that are problems, the others get
    the defaults of the columns that the file lacks. `columns`: columns that the file has.
    `problems`, `warnings`: what keeps rows from being taken in, and what is odd. `notes`: what was
    found out about the file. `lines`: lines of the rows that were yielded so far.
    """

    def __init__(
        self, rules: TableRules[Any, Any], path: Path, options: TableOptions, *, new: bool
    ) -> None:
        self._rules = rules
        self._path = path
        self._options = options
        self._new = new
        self.columns: list[str] = []
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []
        self.notes: list[str] = []
        self.lines: list[int] = []

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield the rows that fit the columns; the others become problems."""
        table = read_table(self._path, self._options)
        self.notes.append(f"read as {table.told}")
        keys, header_line = self._rules.look_ups.key_columns, table.header_line
        below = find_header_below(table, keys, self._options.map)
        if below is not None:
            message = (
                f"line {header_line} is not a header; line {below} looks like one: delete the "
                "lines above it."
            )
            self.problems.append(Problem(header_line, None, message))
            return
        targets = self._targets(table)
        if not set(keys) <= {one.name for one in targets if one}:
            return
        self.columns = [target.name for target in targets if target is not None]
        whole = list(self._whole_rows(table, targets))
        meaning = understand(table, whole, targets, self._options)
        self.notes += meaning.notes
        self.warnings += [Problem(one.line, one.column, one.message) for one in meaning.doubts]
        cells = zip(*meaning.columns.values(), strict=True)
        for (line, _), values in zip(whole, cells, strict=True):
            row = self._row(line, dict(zip(meaning.columns, values, strict=True)))
            if row is not None:
                self.lines.append(line)
                yield row

    def _targets(self, table: Table) -> list[Target | None]:
        """Return the column of each header; what is wrong with headers becomes problems."""
        look_ups = self._rules.look_ups
        columns, wrong = match_headers(table.header, look_ups.table.c.keys(), self._options.map)
        named = {*columns, *(name for name, _ in wrong)}
        missing = [name for name in look_ups.key_columns if name not in named]
        wrong += [(name, "the column is missing; every row needs it.") for name in missing]
        self.problems += [Problem(table.header_line, *one) for one in wrong]
        return [None if name is None else look_ups.coercer.target(name) for name in columns]

    def _whole_rows(
        self, table: Table, targets: Sequence[Target | None]
    ) -> Iterator[tuple[int, Sequence[Any]]]:
        width = len(table.header)
        for line, cells in table.rows:
            if len(cells) == width:
                if not _is_empty(cells, targets):
                    yield line, cells
            else:
                message = f"the line has {len(cells)} fields, the header {width}."
                self.problems.append(Problem(line, None, message))

    def _row(self, line: int, cells: Mapping[str, Any]) -> dict[str, Any] | None:
        coercer = self._rules.look_ups.coercer
        before = len(self.problems)
        values: dict[str, Any] = {}
        for name, cell in cells.items():
            if isinstance(cell, Unread):
                self.problems.append(Problem(line, name, cell.message))
                continue
            try:
                values[name] = coercer.field(name, cell)
            except InvalidValueError as error:
                message = str(error).removeprefix(f"{name}: ")
                self.problems.append(Problem(line, name, message))
        for name in () if self._new else self._rules.look_ups.key_columns:
            if name in values and values[name] is None:
                self.problems.append(Problem(line, name, "it is empty; every row needs it."))
        if len(self.problems) > before:
            return None
        if not self._new:
            return values
        try:
            row = coercer.row(values)
            self._rules.check_imported(row)
        except InvalidValueError as error:
            self.problems.append(Problem(line, error.column, str(error)))
            return None
        return row


def _is_empty(cells: Sequence[Any], targets: Sequence[Target | None]) -> bool:
    """Tell whether a row holds nothing but faults in columns that are left out."""
    return all(
        cell in (None, "") or (target is None and isinstance(cell, Unread))
        for cell, target in zip(cells, targets, strict=True)
    )
