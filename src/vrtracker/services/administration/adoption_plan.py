"""Plan an adoption: what is repaired, and what a person has to decide."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import Connection

from vrtracker import clock
from vrtracker.database.tables import LAB_TABLES
from vrtracker.domain.adoption import Finding, Kind
from vrtracker.domain.keys import SessionKey
from vrtracker.repositories.adoption import Holding, read_holding, stored
from vrtracker.repositories.values import Coercer
from vrtracker.services.administration.adoption_columns import TableReading

FIRST_DAY = dt.date(1990, 1, 1)
"""Two-photon microscopy was first published in 1990; Access's own day zero is in 1899."""
ASIDE = 10_000
"""What is added to the number of a scratched duplicate; no folder has such a number."""


class Plan:
    """What adoption will do to one database, worked out without writing.

    `readings`: the rows of each of the lab's tables that is there, repaired. `new_mice`: mice to
    add. `findings`: everything that was found.
    """

    def __init__(self, holding: Holding, connection: Connection) -> None:
        self.holding = holding
        self.readings = {
            name: TableReading(found, stored(connection, found.table))
            for name, found in holding.tables.items()
        }
        self.new_mice: list[dict[str, Any]] = []
        self.findings: list[Finding] = [*self._tables()]
        for name in reversed(LAB_TABLES):
            if name in self.readings:
                self.findings += self.readings[name].findings()
        self.findings += self._mice()
        self.findings += self._sessions()

    def _tables(self) -> Iterator[Finding]:
        for name in LAB_TABLES:
            if name not in {*self.holding.tables, *self.holding.linked, *self.holding.respelled}:
                yield Finding(Kind.TABLE_MISSING, name, None, "is made.")
        for name, file in self.holding.linked.items():
            remedy = f"is linked to {file}: adopt that file."
            yield Finding(Kind.TABLE_LINKED, name, None, remedy, blocks=True)
        for name, spelled in self.holding.respelled.items():
            remedy = (
                f"rename it to {name} first; where the database refuses that, by way of a third "
                "name."
            )
            yield Finding(Kind.TABLE_SPELLING, spelled, None, remedy, blocks=True)
        for name in self.holding.unknown:
            yield Finding(Kind.TABLE_UNKNOWN, name, None, "stays as it is.")
        for name in self.holding.taken:
            remedy = "the tracker makes a table of this name: rename or remove it."
            yield Finding(Kind.TABLE_TAKEN, name, None, remedy, blocks=True)

    def _mice(self) -> Iterator[Finding]:
        reading = self.readings.get("mousedb")
        if reading is None:
            return
        yield from _incomplete(reading, ("mouseName",))
        yield from _respelled(reading)
        by_fold: dict[str, list[str]] = defaultdict(list)
        for position, row in enumerate(reading.rows):
            if row["mouseName"] is not None:
                by_fold[row["mouseName"].casefold()].append(reading.name_of(position))
        remedy = (
            "they are one name (the case of letters does not count): keep one row, or give the "
            "others other names."
        )
        for rows in by_fold.values():
            if len(rows) > 1:
                yield from reading.found_in(
                    rows, Kind.DUPLICATE_MOUSE, "mouseName", remedy, blocks=True
                )

    def _match_mice(self, reading: TableReading) -> Iterator[Finding]:
        """Give sessions the spelling of their mouse, and mice to those that have none."""
        mice = self.readings["mousedb"].rows if "mousedb" in self.readings else []
        known = {row["mouseName"] for row in mice}
        by_fold = {name.casefold(): name for name in known if name is not None}
        missing: dict[str, list[str]] = defaultdict(list)
        for position, row in enumerate(reading.rows):
            name = row["mouseName"]
            if name is None or name in known:
                continue
            if name.casefold() not in by_fold:
                by_fold[name.casefold()] = name
                self.new_mice.append({"mouseName": name})
            spelled = by_fold[name.casefold()]
            if spelled != name:
                reading.repair(position, "mouseName", spelled)
            if spelled not in known:
                missing[spelled].append(reading.name_of(position))
        yield from _respelled(reading)
        for name, rows in missing.items():
            remedy = f"{name} is added to mousedb."
            yield from reading.found_in(rows, Kind.MOUSE_MISSING, "mouseName", remedy)

    def _sessions(self) -> Iterator[Finding]:
        reading = self.readings.get("sessiondb")
        if reading is None:
            return
        yield from _incomplete(reading, ("mouseName", "sessionDate", "sessionID"))
        yield from _impossible_dates(reading)
        yield from self._match_mice(reading)
        yield from _Duplicates(reading).findings()
        yield from _rule_breakers(reading)


def plan_of(connection: Connection, *, linked: Mapping[str, str]) -> Plan:
    """Read a database and plan its adoption; nothing is written.

    `linked`: where the tables are that the database only has links to, by name in small letters.
    """
    return Plan(read_holding(connection, linked), connection)


def _incomplete(reading: TableReading, key: tuple[str, ...]) -> Iterator[Finding]:
    for name in key:
        wrong = reading.rows_where(lambda row: row[name] is None)  # noqa: B023
        remedy = "enter what belongs there, or delete the row."
        yield from reading.found_in(wrong, Kind.KEY_MISSING, name, remedy, blocks=True)


def _respelled(reading: TableReading) -> Iterator[Finding]:
    """Yield names that change: blanks around them go, mousedb has the last word on letters."""
    found = []
    for position, row in enumerate(reading.rows):
        raw = reading.found.rows[position].get("mouseName")
        if row["mouseName"] is not None and row["mouseName"] != raw:
            reading.repair(position, "mouseName", row["mouseName"])
            found.append(f"{reading.name_of(position)} becomes {row['mouseName']}")
    is_of_mice = reading.table.name == "mousedb"
    remedy = "blanks around the name go." if is_of_mice else "is spelled as in mousedb."
    yield from reading.found_in(found, Kind.MOUSE_SPELLING, "mouseName", remedy)


def _impossible_dates(reading: TableReading) -> Iterator[Finding]:
    # Somewhere on Earth it is already tomorrow.
    last_day = clock.now().date() + dt.timedelta(days=1)
    wrong = reading.rows_where(
        lambda row: row["sessionDate"] and not FIRST_DAY <= row["sessionDate"] <= last_day
    )
    remedy = f"enter the day of the session, from {FIRST_DAY} to {last_day}."
    yield from reading.found_in(wrong, Kind.IMPOSSIBLE_DATE, "sessionDate", remedy, blocks=True)


def _rule_breakers(reading: TableReading) -> Iterator[Finding]:
    wrong = reading.rows_where(
        lambda row: row["sessionQC"] is (row["scratchJustification"] is not None)
    )
    remedy = "stays as it is; vrtracker scratch or unscratch mends it."
    yield from reading.found_in(wrong, Kind.SCRATCH_RULE, "scratchJustification", remedy)


class _Duplicates:
    """Sessions that share a key: one live one keeps it, scratched ones make room."""

    def __init__(self, reading: TableReading) -> None:
        self._reading = reading
        self._by_key: dict[tuple[Any, ...], list[int]] = defaultdict(list)
        for position, row in enumerate(reading.rows):
            key = (row["mouseName"], row["sessionDate"], row["sessionID"])
            if None not in key:
                self._by_key[key].append(position)

    def findings(self) -> Iterator[Finding]:
        """Yield the duplicates, and give scratched ones numbers of their own."""
        shared = [group for group in self._by_key.values() if len(group) > 1]
        for positions in shared:
            live = [at for at in positions if self._reading.rows[at]["sessionQC"]]
            if len(live) > 1:
                remedy = "scratch or delete all but one, or give them other numbers."
                yield from self._found(live, Kind.DUPLICATE_SESSION, remedy, blocks=True)
                continue
            keeper = live[0] if live else positions[0]
            scratched = [at for at in positions if at != keeper]
            numbers = [self._move(at) for at in scratched]
            listing = ", ".join(map(str, numbers))
            keeps = self._reading.name_of(keeper)
            remedy = f"gets the number {listing}, and a note of it; {keeps} keeps the key."
            yield from self._found(scratched, Kind.DUPLICATE_SCRATCHED, remedy)

    def _move(self, position: int) -> int:
        """Give a row the next number that is free, and say so in its notes."""
        row = self._reading.rows[position]
        key = SessionKey.of_row(row)
        number = key.number + ASIDE
        while (key.mouse, key.date, number) in self._by_key:
            number += ASIDE
        self._by_key[key.mouse, key.date, number] = [position]
        note = f"[Scratched duplicate of {key}; had its number until adoption by vrtracker.]"
        notes = row["sessionNotes"]
        self._reading.repair(position, "sessionID", number)
        self._reading.repair(position, "sessionNotes", f"{notes}\n{note}" if notes else note)
        return number

    def _found(
        self, positions: list[int], kind: Kind, remedy: str, *, blocks: bool = False
    ) -> Iterator[Finding]:
        rows = [self._reading.name_of(at) for at in positions]
        return self._reading.found_in(rows, kind, None, remedy, blocks=blocks)


def new_mouse_rows(plan: Plan) -> list[dict[str, Any]]:
    """Return the mice to add as whole rows."""
    coercer = Coercer(plan.holding.wanted["mousedb"])
    return [coercer.row(values) for values in plan.new_mice]
