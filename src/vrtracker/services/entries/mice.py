"""Mice: list, look up, add, edit, delete."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from vrtracker.backends.base import Violation, ViolationError
from vrtracker.domain.keys import SessionKey, parse_mouse_name
from vrtracker.domain.records import MouseRecord
from vrtracker.errors import DuplicateError, InvalidValueError, nearest
from vrtracker.repositories.listing import Listing
from vrtracker.repositories.mice import MouseRepository
from vrtracker.repositories.rows import RowRepository
from vrtracker.services.context import old_and_new, values_of
from vrtracker.services.entries.rows import RowService
from vrtracker.unit_of_work import UnitOfWork

__all__ = ["MouseService"]

_SEXES = {"F", "M", "U", "O"}


class MouseService(RowService[MouseRecord, str]):
    """The lab's mice."""

    def _repository(self, executor: Any) -> RowRepository[MouseRecord]:
        return MouseRepository(executor)

    def _of(self, unit: UnitOfWork) -> MouseRepository:
        return unit.mice

    def _key(self, value: Any) -> str:
        return parse_mouse_name(getattr(value, "mouseName", value))

    def _columns_of(self, key: str) -> dict[str, Any]:
        return {"mouseName": key}

    def _key_of_row(self, row: Mapping[str, Any]) -> str:
        return str(row["mouseName"])

    def _near(self, key: str) -> list[str]:
        with self._lab.unit(readonly=True) as unit:
            return list(nearest(key, unit.mice.names()))

    def _keys_of(self, columns: Mapping[str, Sequence[Any]]) -> list[str]:
        return list(columns["mouseName"])

    def _check_new(self, columns: Mapping[str, Sequence[Any]]) -> None:
        for row, sex in enumerate(columns["sex"]):
            _check_sex(sex, row=row)

    def check_imported(self, row: Mapping[str, Any]) -> None:
        """Raise InvalidValueError for a sex that is not known."""
        _check_sex(row["sex"])

    def check_update(self, values: Mapping[str, Any]) -> None:
        """Raise InvalidValueError for a sex that is not known."""
        _check_sex(values.get("sex"))

    def _explain(self, error: ViolationError, rows: Sequence[Mapping[str, Any]]) -> Exception:
        if error.violation is Violation.FOREIGN_KEY:
            return InvalidValueError(
                "The mouse has sessions, which go by its name; it cannot be renamed.",
                column="mouseName",
            )
        twice = Counter(row.get("mouseName") for row in rows).most_common(1)[0]
        if twice[1] > 1:
            return DuplicateError("mouse", twice[0], "it is given twice")
        with self._lab.unit(readonly=True) as unit:
            known = set(unit.mice.names())
            for row in rows:
                if row.get("mouseName") in known:
                    return DuplicateError("mouse", row["mouseName"])
                if "uMouseID" in row and unit.mice.by_id(row["uMouseID"]) is not None:
                    return DuplicateError("mouse", f"uMouseID {row['uMouseID']}")
        return error

    def _dependents(self, unit: UnitOfWork, record: MouseRecord) -> dict[str, int]:
        sessions = Listing({"mouseName": record.mouseName}, include_scratched=True)
        count = unit.sessions.count(sessions)
        return {"sessions": count} if count else {}

    def _delete_dependents(self, unit: UnitOfWork, record: MouseRecord, reason: str) -> None:
        sessions = Listing({"mouseName": record.mouseName}, include_scratched=True)
        for session in list(unit.sessions.records(sessions)):
            unit.sessions.delete_dependents(session.uSessionID)
            unit.sessions.delete(session.uSessionID)
            old = old_and_new(values_of(session), {})
            key: SessionKey = session.key
            unit.events.append(
                [self._lab.event(key, "deleted", changes=old, reason=f"with its mouse: {reason}")]
            )


def _check_sex(sex: str | None, *, row: int | None = None) -> None:
    if sex is not None and sex not in _SEXES:
        raise InvalidValueError(
            f"sex: {sex!r} is not known; write F, M, U (unknown) or O (other).",
            column="sex",
            value=sex,
            row=row,
        )
