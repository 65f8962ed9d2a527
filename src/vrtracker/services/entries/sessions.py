"""Sessions: list, look up, add, edit, delete."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from vrtracker.backends.base import Violation, ViolationError
from vrtracker.domain.keys import SessionKey
from vrtracker.domain.records import SessionRecord
from vrtracker.errors import (
    DuplicateError,
    InvalidValueError,
    MissingParentError,
    UnknownMouseError,
    VrtrackerError,
)
from vrtracker.repositories.sessions import PARTS, SessionRepository
from vrtracker.services.context import LabContext
from vrtracker.services.entries.mice import MouseService
from vrtracker.services.entries.recording_notes import parts_of, settle
from vrtracker.services.entries.removing import refuse_claimed
from vrtracker.services.entries.rows import RowService
from vrtracker.services.entries.rules import TableRules
from vrtracker.services.entries.session_files import Session
from vrtracker.spelling import nearest
from vrtracker.unit_of_work import UnitOfWork

if TYPE_CHECKING:
    import pandas as pd


class SessionRules(TableRules[SessionRecord, SessionKey]):
    """How sessions go by mouse, day and number, and what the lab allows them to be."""

    plural = "sessions"
    mouse_prefix = "mouse__"
    repository = SessionRepository
    parts = PARTS

    def of(self, unit: UnitOfWork) -> SessionRepository:
        """Return the sessions of a unit."""
        return unit.sessions

    def key(self, value: Any) -> SessionKey:
        """Parse any of the usual spellings of a session's key."""
        return SessionKey.parse(value)

    def columns_of(self, key: SessionKey) -> dict[str, Any]:
        """Return mouseName, sessionDate and sessionID."""
        return key.columns

    def key_of_row(self, row: Mapping[str, Any]) -> SessionKey:
        """Return mouse, day and number."""
        return SessionKey.of_row(row)

    def in_hand(
        self, record: SessionRecord, parts: Mapping[str, Any] = MappingProxyType({})
    ) -> Session:
        """Return the session with its folder, and with what was read with it."""
        folders = None if self.lab.root is None else self.lab.folders()
        return Session(record, folders, parts, partial(_datasets_of, self.lab, record.uSessionID))

    def near(self, key: SessionKey) -> list[str]:
        """Return like keys of the same mouse, else of mice with a like name on that day."""
        with self.lab.unit(readonly=True) as unit:
            keys = unit.sessions.keys_like(mouseName=key.mouse)
            if not keys:
                mice = nearest(key.mouse, unit.mice.names())
                keys = [
                    found
                    for name in mice
                    for found in unit.sessions.keys_like(mouseName=name, sessionDate=key.date)
                ]
        return list(nearest(str(key), (str(SessionKey(*found)) for found in keys)))

    def keys_of(self, columns: Mapping[str, Sequence[Any]]) -> Iterator[SessionKey]:
        """Yield mouse, day and number of each row."""
        parts = (columns[name] for name in self.repository.key_columns)
        return itertools.starmap(SessionKey, zip(*parts, strict=True))

    def check_new(self, columns: Mapping[str, Sequence[Any]]) -> None:
        """Keep the lab's rule on scratched sessions, row by row."""
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
        keys = [self.key_of_row(row) for row in rows]
        with self.lab.unit(readonly=True) as unit:
            return self._unknown_mouse(unit, rows) or self._duplicate(unit, keys, rows)

    def explain(self, error: ViolationError, rows: Sequence[Mapping[str, Any]]) -> Exception:
        """Name the mouse that is not there, or the session that is."""
        keys = [self.key_of_row(row) for row in rows if "sessionID" in row and "mouseName" in row]
        with self.lab.unit(readonly=True) as unit:
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

    def check_parent(self, unit: UnitOfWork, row: Mapping[str, Any]) -> None:
        """Refuse a session whose mouse is not there."""
        mouse = row["mouseName"]
        if unit.mice.get(mouse) is None:
            raise MissingParentError(mouse, can_return=bool(unit.deletions.of("mouse", mouse)))

    def check_rekeyed(self, unit: UnitOfWork, number: int, changes: Mapping[str, Any]) -> None:
        """Keep the key of what is worked on, and the parts of a recording on one mouse and day."""
        key = SessionKey(*unit.sessions.keys_of([number])[number])
        refuse_claimed(self.lab, unit, {number: key}, to="change the key")
        moved = next((name for name in ("mouseName", "sessionDate") if name in changes), None)
        if moved is not None and parts_of(unit, number):
            raise InvalidValueError(
                f"{key} is a part of a recording, whose parts are of one mouse and day; take it "
                f"out first: vrtracker sessions merge --undo {key}",
                column=moved,
            )

    def check_gives_way(self, unit: UnitOfWork, record: SessionRecord) -> None:
        """Refuse while it is worked on."""
        refuse_claimed(self.lab, unit, {record.uSessionID: record.key}, to="restore it")

    def settle(self, unit: UnitOfWork, number: int, reason: str | None) -> None:
        """Renew the notes of the other parts of its recording, and end claims that ran out."""
        settle(self.lab, unit, number, reason=reason)


class SessionService(RowService[SessionRecord, SessionKey]):
    """The lab's sessions.

    Examples
    --------
    >>> tracker.sessions.get("DEMO001.2023-01-20.702")
    Session('DEMO001.2023-01-20.702')
    >>> tracker.sessions.count("imaging and mouse.KO")
    4
    """

    rules: SessionRules

    def __init__(self, lab: LabContext) -> None:
        super().__init__(lab, SessionRules(lab))

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
            As `RowService.frame`: order_by, limit, include_scratched, show_blinded,
            parse_environments, and filters.
        with_mouse
            Add the columns of the session's mouse, each named ``mouse__`` and its name.

        Returns
        -------
        pandas.DataFrame
            One row a session; columns and dtypes as declared in `vrtracker.frames`.

        Examples
        --------
        >>> names = ["mouseName", "sessionID", "mouse__sex"]
        >>> tracker.sessions.frame("imaging", columns=names, sessionDate="2023-01-20")
          mouseName  sessionID mouse__sex
        0   DEMO001        701          F
        1   DEMO001        702          F
        """
        if with_mouse and not isinstance(columns, str):
            names = self.columns if columns is None else columns
            mouse = (column.name for column in self._lab.database.tables.mice.c)
            columns = [*names, *(f"{self.rules.mouse_prefix}{name}" for name in mouse)]
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

        Examples
        --------
        >>> tracker.sessions.mouse_table("imaging")[["mouseName", "sex", "sessions"]]
          mouseName sex  sessions
        0   DEMO001   F         4
        1   DEMO002   M         4
        2   DEMO003   F         3
        """
        names = ("show_blinded", "parse_environments")
        shown = {name: filters.pop(name) for name in names if name in filters}
        counts = self.frame(where, columns=["mouseName"], **filters)["mouseName"].value_counts()
        mice = MouseService(self._lab).frame(mouseName=list(counts.index), **shown)
        mice["sessions"] = [int(counts[name]) for name in mice["mouseName"]]
        mice["sessions"] = mice["sessions"].astype("int64")
        return mice


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


def _datasets_of(lab: LabContext, number: int) -> dict[str, dict[str, Any]]:
    """Return the records of a session's files, by path."""
    with lab.unit(readonly=True) as unit:
        return unit.datasets.of_sessions([number])[number]
