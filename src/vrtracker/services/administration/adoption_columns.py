"""Look at a lab's table column by column and value by value."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sqlalchemy import Boolean, String

from vrtracker.backends.table_conversion import family
from vrtracker.domain.adoption import Finding, Kind
from vrtracker.domain.dates import parse_datetime, plain
from vrtracker.errors import InvalidValueError
from vrtracker.models.types import CalendarDate, LabTime
from vrtracker.repositories.adoption import FoundTable
from vrtracker.repositories.values import Coercer

_EXAMPLES = 5
_CAREFUL = "correct it in the database first."
_FILLED = {"sessionQC": "becomes true where scratchJustification is empty, else false."}

Bind = Callable[[Any], Any]


class TableReading:
    """The rows of one of the lab's tables as the tracker would have them.

    `rows`: our columns of each row, repaired. `repairs`: for each row, by column: the value that
    was there and the one that takes its place.
    """

    def __init__(self, found: FoundTable, bound: Mapping[str, Bind]) -> None:
        self.found = found
        self.table = found.table
        self.id_name = found.conversion.id_name
        conversion = found.conversion
        self._without_values = conversion.retyped.union(conversion.missing)
        self._coercer = Coercer(found.table)
        self._bound = bound
        self._seen: dict[tuple[Kind, str], list[str]] = defaultdict(list)
        self._remedies: dict[tuple[Kind, str], str] = {}
        self._blocking: set[tuple[Kind, str]] = set()
        self.repairs: list[dict[str, list[Any]]] = [{} for _ in found.rows]
        self.rows = [self._row(position) for position in range(len(found.rows))]

    def name_of(self, position: int) -> str:
        """Return a row as one looks for it in the lab's table."""
        raw = self.found.rows[position]
        key = [raw[name] for name in ("mouseName", "sessionDate", "sessionID") if name in raw]
        parts = [str(part).partition(" 00:00:00")[0] for part in key]
        return f"{self.id_name} {raw.get(self.id_name)} ({'.'.join(parts)})"

    def repair(self, position: int, column: str, value: Any) -> None:
        """Give a row another value, and note the one that was there."""
        raw = self.found.rows[position].get(column)
        self.repairs[position].setdefault(column, [raw, value])[1] = value
        self.rows[position][column] = value

    def writes(self) -> dict[int, dict[str, Any]]:
        """Return what has to be written, by number of the row."""
        return {row[self.id_name]: self._writes(at) for at, row in enumerate(self.rows)}

    def _writes(self, position: int) -> dict[str, Any]:
        raw, row = self.found.rows[position], self.rows[position]
        return {
            name: value
            for name, value in row.items()
            if name != self.id_name and self._must_write(name, raw.get(name), value)
        }

    def _must_write(self, name: str, raw: Any, value: Any) -> bool:
        if name in self._without_values:
            return value is not None
        if raw is None or value is None:
            return raw is not value
        bound = self._bound[name](value)
        if isinstance(self.table.c[name].type, LabTime) and _has_fraction(raw, bound):
            return False
        return isinstance(raw, str) != isinstance(bound, str) or bool(raw != bound)

    def _row(self, position: int) -> dict[str, Any]:
        raw = self.found.rows[position]
        row: dict[str, Any] = {}
        for column in self.table.c:
            name = column.name
            if name == self.id_name:
                row[name] = raw.get(name)
            else:
                row[name] = self._value(position, name, plain(raw.get(name)))
        self._fill_tick_boxes(position, row)
        return row

    def _value(self, position: int, name: str, raw: Any) -> Any:
        if isinstance(raw, str) and not raw.strip():
            if raw and isinstance(self.table.c[name].type, String) and name != "mouseName":
                return raw
            self._note(Kind.EMPTY_TEXT, name, position, "becomes NULL.")
            self.repairs[position][name] = [raw, None]
            return None
        try:
            value = self._coercer.value(name, raw)
            if isinstance(self.table.c[name].type, CalendarDate):
                self._look_at_time(position, name, raw)
        except InvalidValueError as error:
            remedy = f"{str(error).removeprefix(f'{name}: ')} Else {_CAREFUL}"
            self._note(Kind.VALUE, name, position, remedy, blocks=True)
            return None
        return value

    def _look_at_time(self, position: int, name: str, raw: Any) -> None:
        if raw is None:
            return
        moment = parse_datetime(raw)
        if moment.time() != dt.time():
            self._note(Kind.TIME_OF_DAY, name, position, "the day stays, the time goes.")
            self.repairs[position][name] = [raw, moment.date()]

    def _fill_tick_boxes(self, position: int, row: dict[str, Any]) -> None:
        raw, repairs = self.found.rows[position], self.repairs[position]
        for name in [name for name, value in row.items() if value is None]:
            if not isinstance(self.table.c[name].type, Boolean):
                continue
            # The lab's rule: a session is scratched exactly where there is a reason.
            row[name] = name == "sessionQC" and row["scratchJustification"] is None
            if name in repairs:
                repairs[name][1] = row[name]
            elif name in raw and plain(raw[name]) is None:
                repairs[name] = [None, row[name]]
                self._note(Kind.FLAG_MISSING, name, position, _FILLED.get(name, "becomes false."))

    def _note(
        self, kind: Kind, column: str, position: int, remedy: str, *, blocks: bool = False
    ) -> None:
        self._seen[kind, column].append(self.name_of(position))
        self._remedies.setdefault((kind, column), remedy)
        if blocks:
            self._blocking.add((kind, column))

    def findings(self) -> Iterator[Finding]:
        """Yield what was found, columns first."""
        yield from self._columns()
        yield from self._numbers()
        for (kind, column), rows in sorted(self._seen.items()):
            blocks = (kind, column) in self._blocking
            yield from self.found_in(
                rows, kind, column, self._remedies[kind, column], blocks=blocks
            )

    def rows_where(self, is_wrong: Callable[[dict[str, Any]], bool]) -> list[str]:
        """Return the rows of which something holds, as one looks for them."""
        return [self.name_of(at) for at, row in enumerate(self.rows) if is_wrong(row)]

    def found_in(
        self, rows: list[str], kind: Kind, column: str | None, remedy: str, *, blocks: bool = False
    ) -> Iterator[Finding]:
        """Yield a finding about rows, if there are any; a few of them are its examples."""
        if rows:
            examples = tuple(rows[:_EXAMPLES])
            yield Finding(kind, self.table.name, column, remedy, blocks, len(rows), examples)

    def _columns(self) -> Iterator[Finding]:
        table, wanted = self.table.name, self.found.conversion
        for name in wanted.missing:
            blocks = name == self.id_name
            give = "give every row a number of its own in it (in Access: an AutoNumber)."
            yield Finding(Kind.COLUMN_MISSING, table, name, give if blocks else "is added.", blocks)
        for name in self.found.unknown:
            yield Finding(Kind.COLUMN_UNKNOWN, table, name, "stays as it is.")
        for ours, name in wanted.found.items():
            if ours != name:
                yield Finding(Kind.COLUMN_SPELLING, table, name, f"becomes {ours}.")
        for name, found in wanted.types.items():
            here, there = family(found), family(self.table.c[name].type)
            blocks = name == self.id_name
            must = f"{here} must become {there} in the database first."
            becomes = f"{here} becomes {there}; every value fits unless it is listed."
            if here != there:
                remedy = must if blocks else becomes
                yield Finding(Kind.COLUMN_TYPE, table, name, remedy, blocks, len(self.rows))

    def _numbers(self) -> Iterator[Finding]:
        """Yield rows without a number of their own; it is how rows are told apart."""
        if self.id_name not in self.found.conversion.found:
            return
        seen: set[Any] = set()
        wrong = []
        for position, row in enumerate(self.rows):
            number = row[self.id_name]
            if not isinstance(number, int) or number in seen:
                wrong.append(self.name_of(position))
            seen.add(number)
        remedy = "give each row a whole number that no other row has."
        yield from self.found_in(wrong, Kind.ROW_NUMBER, self.id_name, remedy, blocks=True)


def _has_fraction(raw: Any, wanted: Any) -> bool:
    """Tell whether a time differs from the one that is read by a fraction of a second alone."""
    if isinstance(raw, dt.datetime) and isinstance(wanted, dt.datetime):
        return raw != wanted and raw.replace(microsecond=0) == wanted
    if isinstance(raw, str) and isinstance(wanted, str):
        head, _, fraction = raw.partition(".")
        return head == wanted and fraction.strip("0").isdigit()
    return False
