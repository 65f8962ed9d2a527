"""Sessions: list, look up, add, edit, delete."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from vrtracker.backends.base import Violation, ViolationError
from vrtracker.domain.keys import SessionKey
from vrtracker.domain.records import SessionRecord
from vrtracker.errors import (
    DuplicateError,
    InvalidValueError,
    UnknownMouseError,
    VrtrackerError,
    nearest,
)
from vrtracker.repositories.rows import RowRepository
from vrtracker.repositories.sessions import SessionRepository
from vrtracker.services.entries.mice import MouseService
from vrtracker.services.entries.recording_notes import parts_of, renew_notes
from vrtracker.services.entries.rows import RowService
from vrtracker.services.entries.session_files import Session
from vrtracker.unit_of_work import UnitOfWork

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["SessionService"]


class SessionService(RowService[SessionRecord, SessionKey]):
    """The lab's sessions."""

    _mouse = "mouse__"

    def frame(
        self,
        where: Any = None,
        /,
        *,
        columns: Sequence[str] | None = None,
        with_mouse: bool = False,
        **options: Any,
    ) -> pd.DataFrame:
        """Return the sessions that pass the filters.

        Parameters
        ----------
        where, columns, **options
            As `RowReader.frame`: order_by, limit, include_scratched, show_blinded,
            parse_environments, and filters.
        with_mouse
            Add the columns of the session's mouse, each named ``mouse__`` and its name.

        Returns
        -------
        pandas.DataFrame
            One row a session; columns and dtypes as declared in `vrtracker.frames`.
        """
        if with_mouse and not isinstance(columns, str):
            names = self.columns if columns is None else columns
            mouse = (column.name for column in self._lab.database.tables.mice.c)
            columns = [*names, *(f"{self._mouse}{name}" for name in mouse)]
        return super().frame(where, columns=columns, **options)

    def mouse_table(self, where: Any = None, /, **filters: Any) -> pd.DataFrame:
        """Return the mice of the sessions that pass the filters.

        Parameters
        ----------
        where, **filters
            As `frame`; include_scratched, show_blinded and parse_environments too.

        Returns
        -------
        pandas.DataFrame
            The columns of `mousedb`, then `sessions` (int64): how many of them pass.
        """
        names = ("show_blinded", "parse_environments")
        shown = {name: filters.pop(name) for name in names if name in filters}
        counts = self.frame(where, columns=["mouseName"], **filters)["mouseName"].value_counts()
        mice = MouseService(self._lab).frame(mouseName=list(counts.index), **shown)
        mice["sessions"] = [int(counts[name]) for name in mice["mouseName"]]
        mice["sessions"] = mice["sessions"].astype("int64")
        return mice

    def _repository(self, executor: Any) -> RowRepository[SessionRecord]:
        return SessionRepository(executor)

    def _of(self, unit: UnitOfWork) -> SessionRepository:
        return unit.sessions

    def _key(self, value: Any) -> SessionKey:
        return SessionKey.parse(value)

    def _columns_of(self, key: SessionKey) -> dict[str, Any]:
        return key.columns

    def _key_of_row(self, row: Mapping[str, Any]) -> SessionKey:
        return SessionKey(row["mouseName"], row["sessionDate"], row["sessionID"])

    def _handle(self, record: SessionRecord) -> Session:
        return Session(record, None if self._lab.root is None else self._lab.folders())

    def _near(self, key: SessionKey) -> list[str]:
        with self._lab.unit(readonly=True) as unit:
            keys = unit.sessions.keys_like(mouseName=key.mouse)
            if not keys:
                mice = nearest(key.mouse, unit.mice.names())
                keys = [
                    found
                    for name in mice
                    for found in unit.sessions.keys_like(mouseName=name, sessionDate=key.date)
                ]
        return list(nearest(str(key), (str(SessionKey(*found)) for found in keys)))

    def _keys_of(self, columns: Mapping[str, Sequence[Any]]) -> list[SessionKey]:
        parts = (columns[name] for name in self.key_columns)
        return [SessionKey(*key) for key in zip(*parts, strict=True)]

    def _check_new(self, columns: Mapping[str, Sequence[Any]]) -> None:
        pairs = zip(columns["sessionQC"], columns["scratchJustification"], strict=True)
        for row, (good, justification) in enumerate(pairs):
            if good is bool(justification):
                _check_scratch({"sessionQC": good, "scratchJustification": justification}, row=row)

    def check_update(self, values: Mapping[str, Any]) -> None:
        """Raise InvalidValueError if a session would be scratched without a reason, or so."""
        if "sessionQC" not in values and "scratchJustification" not in values:
            return
        if not {"sessionQC", "scratchJustification"} <= values.keys():
            raise InvalidValueError(
                "sessionQC and scratchJustification belong together; use workflow.scratch(key, "
                "reason) or workflow.unscratch(key), or set both.",
                column="sessionQC",
            )
        _check_scratch(values)

    def obstacle(self, rows: Sequence[Mapping[str, Any]]) -> VrtrackerError | None:
        """Return what keeps rows from being added, a mouse or a key, or None."""
        keys = [self._key_of_row(row) for row in rows]
        with self._lab.unit(readonly=True) as unit:
            return self._unknown_mouse(unit, rows) or self._duplicate(unit, keys, rows)

    def _explain(self, error: ViolationError, rows: Sequence[Mapping[str, Any]]) -> Exception:
        keys = [self._key_of_row(row) for row in rows if "sessionID" in row and "mouseName" in row]
        with self._lab.unit(readonly=True) as unit:
            if error.violation is Violation.FOREIGN_KEY:
                return self._unknown_mouse(unit, rows) or error
            return self._duplicate(unit, keys, rows) or error

    @staticmethod
    def _unknown_mouse(
        unit: UnitOfWork, rows: Sequence[Mapping[str, Any]]
    ) -> VrtrackerError | None:
        names = unit.mice.names()
        known = set(names)
        for row in rows:
            if row.get("mouseName", names[0] if names else "") not in known:
                return UnknownMouseError(row["mouseName"], nearest(row["mouseName"], names))
        return None

    @staticmethod
    def _duplicate(
        unit: UnitOfWork, keys: Sequence[SessionKey], rows: Sequence[Mapping[str, Any]]
    ) -> VrtrackerError | None:
        for first, second in itertools.pairwise(sorted(keys)):
            if first == second:
                return DuplicateError("session", first, "it is given twice")
        for key in keys:
            existing = unit.sessions.get(key)
            if existing is not None:
                scratched = f"scratched: {existing.scratchJustification or 'no reason given'}"
                return DuplicateError("session", key, "" if existing.sessionQC else scratched)
        for row in rows:
            if "uSessionID" in row and unit.sessions.by_id(row["uSessionID"]) is not None:
                return DuplicateError("session", f"uSessionID {row['uSessionID']}")
        return None

    def _dependents(self, unit: UnitOfWork, record: SessionRecord) -> dict[str, int]:
        return unit.sessions.dependents(record.uSessionID)

    def _delete_dependents(self, unit: UnitOfWork, record: SessionRecord, reason: str) -> None:
        del reason
        unit.sessions.delete_dependents(record.uSessionID)

    def _check_rekeyed(self, unit: UnitOfWork, number: int, changes: Mapping[str, Any]) -> None:
        moved = next((name for name in ("mouseName", "sessionDate") if name in changes), None)
        if moved is not None and parts_of(unit, number):
            key = SessionKey(*unit.sessions.keys_of([number])[number])
            raise InvalidValueError(
                f"{key} is a part of a recording, whose parts are of one mouse and day; take it "
                f"out first: vrtracker sessions merge --undo {key}",
                column=moved,
            )

    def _settle(self, unit: UnitOfWork, number: int, reason: str | None) -> None:
        renew_notes(self._lab, unit, number, reason=reason)


def _check_scratch(values: Mapping[str, Any], *, row: int | None = None) -> None:
    """Keep the lab's rule: scratched exactly when there is a justification."""
    if values["sessionQC"] and values["scratchJustification"]:
        raise InvalidValueError(
            "a session with a scratchJustification is scratched; set sessionQC=False too.",
            column="sessionQC",
            row=row,
        )
    if not values["sessionQC"] and not values["scratchJustification"]:
        raise InvalidValueError(
            "a scratched session (sessionQC=False) needs a scratchJustification.",
            column="scratchJustification",
            row=row,
        )
