"""Mice: list, look up, add, edit, delete."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Boolean

from vrtracker.backends.base import Violation, ViolationError
from vrtracker.display import counted
from vrtracker.domain.keys import SessionKey, parse_mouse_name
from vrtracker.domain.records import MouseRecord
from vrtracker.errors import DuplicateError, InvalidValueError
from vrtracker.repositories.deletions import Deletion
from vrtracker.repositories.listing import Listing
from vrtracker.repositories.mice import MouseRepository
from vrtracker.repositories.selecting import Selection
from vrtracker.services.context import LabContext
from vrtracker.services.entries.recording_notes import settle_all
from vrtracker.services.entries.removing import KEY_TAKEN, bring_back, remove
from vrtracker.services.entries.rows import RowService
from vrtracker.services.entries.rules import TableRules, taken
from vrtracker.spelling import nearest
from vrtracker.unit_of_work import UnitOfWork

_SEXES = {"F", "M", "U", "O"}


class MouseRules(TableRules[MouseRecord, str]):
    """How mice go by their names, and what the lab allows them to be."""

    plural = "mice"
    repository = MouseRepository

    def of(self, unit: UnitOfWork) -> MouseRepository:
        """Return the mice of a unit."""
        return unit.mice

    def key(self, value: Any) -> str:
        """Parse a name; a record of a mouse stands for its own."""
        return parse_mouse_name(getattr(value, "mouseName", value))

    def selection(self, where: Any, filters: Mapping[str, Any]) -> Selection:
        """Return what a call selects.

        Raises NotFoundError if it is one word that names no mouse but a column: a condition is
        meant.
        """
        found = super().selection(where, filters)
        columns = {column.name.casefold(): column for column in self.look_ups.table.c}
        if isinstance(where, str) and found.is_key and where.casefold() in columns:
            self._require(self.key(where), columns[where.casefold()])
        return found

    def _require(self, name: str, column: Any) -> None:
        if self.look_ups.by_key(**self.columns_of(name)) is not None:
            return
        error = self.lab.not_found("mouse", name, self.near(name))
        written = f"{column.name} = {'true' if isinstance(column.type, Boolean) else '…'}"
        said = f"{error} A word alone names a mouse; for a condition write: {written}"
        error.args = (said,)
        raise error

    def columns_of(self, key: str) -> dict[str, Any]:
        """Return mouseName."""
        return {"mouseName": key}

    def key_of_row(self, row: Mapping[str, Any]) -> str:
        """Return the name."""
        return str(row["mouseName"])

    def near(self, key: str) -> list[str]:
        """Return like names."""
        with self.lab.unit(readonly=True) as unit:
            return list(nearest(key, unit.mice.names()))

    def keys_of(self, columns: Mapping[str, Sequence[Any]]) -> Iterator[str]:
        """Yield the name of each row."""
        return iter(columns["mouseName"])

    def check_new(self, columns: Mapping[str, Sequence[Any]]) -> None:
        """Refuse a sex that is not known, row by row."""
        for row, sex in enumerate(columns["sex"]):
            _check_sex(sex, row=row)

    def check_imported(self, row: Mapping[str, Any]) -> None:
        """Raise InvalidValueError for a sex that is not known."""
        _check_sex(row["sex"])

    def check_update(self, values: Mapping[str, Any]) -> None:
        """Raise InvalidValueError for a sex that is not known."""
        _check_sex(values.get("sex"))

    def check_keys(self, unit: UnitOfWork, keys: Sequence[str]) -> None:
        """Refuse a name that is taken in another case of letters."""
        duplicate = _duplicate(keys, unit.mice.names())
        if duplicate is not None:
            raise duplicate

    def check_rekeyed(self, unit: UnitOfWork, number: int, changes: Mapping[str, Any]) -> None:
        """Refuse a name that another mouse has, in whatever case of letters."""
        del number
        old, new = changes["mouseName"]
        duplicate = _duplicate([new], (name for name in unit.mice.names() if name != old))
        if duplicate is not None:
            raise duplicate

    def explain(self, error: ViolationError, rows: Sequence[Mapping[str, Any]]) -> Exception:
        """Name the mouse that is there already, or what a rename would leave behind."""
        if error.violation is Violation.FOREIGN_KEY:
            return InvalidValueError(
                "The mouse has sessions, which go by its name; it cannot be renamed.",
                column="mouseName",
            )
        names = [row["mouseName"] for row in rows if "mouseName" in row]
        with self.lab.unit(readonly=True) as unit:
            duplicate = _duplicate(names, unit.mice.names())
            if duplicate is not None:
                return duplicate
            for row in rows:
                if "uMouseID" in row and unit.mice.by_id(row["uMouseID"]) is not None:
                    return DuplicateError("mouse", f"uMouseID {row['uMouseID']}")
        return error

    def dependents(self, unit: UnitOfWork, record: MouseRecord) -> dict[str, int]:
        """Count the sessions."""
        sessions = Listing(Selection.of({"mouseName": record.mouseName}), include_scratched=True)
        count = unit.sessions.count(sessions)
        return {"sessions": count} if count else {}

    def delete_dependents(self, unit: UnitOfWork, record: MouseRecord, reason: str) -> None:
        """Delete the sessions with what hangs on them, each with its event."""
        sessions = Listing(Selection.of({"mouseName": record.mouseName}), include_scratched=True)
        records = list(unit.sessions.records(sessions))
        remove(self.lab, unit, records, reason=f"with its mouse: {reason}")

    def restore_dependents(self, unit: UnitOfWork, entry: Deletion, reason: str | None) -> None:
        """Bring back the sessions that were deleted with the mouse, each with its event."""
        mouse, operation = entry.subject_key, entry.operation_id
        deleted = unit.deletions.of_operation(operation) if operation else {}
        of_mouse = Listing(Selection.of({"mouseName": mouse}), include_scratched=True)
        there = {str(SessionKey(*key)) for key in unit.sessions.present_keys(of_mouse)}
        entries = [
            each
            for each in deleted.values()
            if each.subject_kind == "session" and each.row["mouseName"] == mouse
        ]
        for each in entries:
            if each.subject_key in there:
                raise DuplicateError("session", each.subject_key, KEY_TAKEN)
        if entries:
            why = f"with its mouse: {reason}" if reason else "with its mouse"
            bring_back(self.lab, unit, entries, reason=why)
            settle_all(self.lab, unit, entries, reason=why)

    def hanging(self, unit: UnitOfWork, entries: Sequence[Deletion]) -> list[str]:
        """Return what hung on each mouse, its sessions first."""
        operations = {each.operation_id for each in entries if each.operation_id}
        with_it = unit.deletions.sessions_with(list(operations))
        counts = [with_it[each.operation_id or "", each.subject_key] for each in entries]
        return [
            ", ".join(filter(None, (counted(count, "session") if count else "", each.hanging)))
            for count, each in zip(counts, entries, strict=True)
        ]


class MouseService(RowService[MouseRecord, str]):
    """The lab's mice.

    Examples
    --------
    >>> tracker.mice.get("DEMO001").dateOfBirth
    datetime.date(2022, 9, 14)
    >>> tracker.mice.count("KO = true")
    1
    """

    def __init__(self, lab: LabContext) -> None:
        super().__init__(lab, MouseRules(lab))


def _duplicate(names: Sequence[str], known: Iterable[str]) -> DuplicateError | None:
    """Return which of some new names is taken, or is given twice, or None.

    Two names that differ in the case of letters alone are one, as they are to Access and in the
    folders of Windows and macOS.
    """
    often = [name for name, count in Counter(names).items() if count > 1]
    if often:
        return DuplicateError("mouse", often[0], "it is given twice")
    by_fold = {name.casefold(): name for name in known}
    for name in names:
        if name.casefold() in by_fold:
            return taken("mouse", name, by_fold[name.casefold()])
        by_fold[name.casefold()] = name
    return None


def _check_sex(sex: str | None, *, row: int | None = None) -> None:
    if sex is not None and sex not in _SEXES:
        raise InvalidValueError(
            f"sex: {sex!r} is not known; write F, M, U (unknown) or O (other).",
            column="sex",
            value=sex,
            row=row,
        )
