"""What happened: events, attempts, failures, decisions, datasets, as frames."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from vrtracker.domain.failures import ErrorGroup, Failure, grouped
from vrtracker.domain.keys import SessionKey
from vrtracker.domain.stages import StageKind
from vrtracker.domain.told import ENTRY, IMAGE
from vrtracker.errors import UnknownNameError
from vrtracker.repositories.attempts import AttemptRepository
from vrtracker.repositories.rows import LookUps
from vrtracker.repositories.sessions import SessionRepository
from vrtracker.services.context import LabContext

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["HistoryService"]


class HistoryService:
    """Reads what the tracker recorded."""

    def __init__(self, lab: LabContext) -> None:
        self._lab = lab

    def of_session(self, key: Any) -> pd.DataFrame:
        """Return the events of a session, oldest first; under its other keys too.

        Returns
        -------
        pandas.DataFrame
            occurred_at (UTC), actor, host_name, subject_key, verb, stage, from_state, to_state,
            changes (a dict of ``column: [old, new]``, or None), reason, attempt_id, operation_id
            (what one call wrote has one; pandas.NA for events from before there were any).
        """
        wanted = SessionKey.parse(key)
        with self._lab.unit(readonly=True) as unit:
            is_there = unit.sessions.get(wanted) is not None
            spans = unit.events.lineage("session", str(wanted), is_there=is_there)
            statement = unit.events.of_subject("session", spans)
        return self._events(statement)

    def of_mouse(self, name: str) -> pd.DataFrame:
        """Return the events of a mouse, oldest first, as `of_session`.

        A name that a mouse has given up is that mouse's until another one gets it.
        """
        with self._lab.unit(readonly=True) as unit:
            spans = unit.events.lineage("mouse", name, is_there=unit.mice.get(name) is not None)
            statement = unit.events.of_subject("mouse", spans)
        return self._events(statement)

    def latest(self, limit: int = 50) -> pd.DataFrame:
        """Return the newest events of all sessions and mice, newest first."""
        with self._lab.unit(readonly=True) as unit:
            statement = unit.events.latest(limit)
        return self._events(statement)

    def attempts(self, key: Any) -> pd.DataFrame:
        """Return every attempt at a session, oldest first; columns as `vrt_attempt`."""
        number = self._number(key)
        repository = AttemptRepository(LookUps(self._lab.database))
        return self._read(repository.of_session(number))

    def decisions(self, key: Any) -> pd.DataFrame:
        """Return every QC decision on a session, oldest first; columns as `vrt_qc_decision`."""
        number = self._number(key)
        with self._lab.unit(readonly=True) as unit:
            statement = unit.qc_decisions.of_session(number)
        return self._read(statement)

    def datasets(self, key: Any) -> pd.DataFrame:
        """Return the datasets of a session, by path; columns as `vrt_dataset`."""
        number = self._number(key)
        with self._lab.unit(readonly=True) as unit:
            statement = unit.datasets.listing(number)
        return self._read(statement)

    def errors(self, stage: str | None = None, *, group: bool = False) -> pd.DataFrame:
        """Return the sessions whose last attempt at a stage failed; scratched ones left out.

        Parameters
        ----------
        stage
            Of this stage alone.
        group
            One row for all failures of a stage whose messages differ in numbers, paths and keys
            alone, the most frequent first.

        Returns
        -------
        pandas.DataFrame
            uSessionID, mouseName, sessionDate, sessionID, stage, failed_at (UTC; NaT for a
            failure from before the tracker), error_type, error_message, error_traceback,
            attempt_id. By group: group, stage, count (int64), error_type, message, first_at,
            last_at (UTC), sessions (list of keys), error_traceback (the last).
        """
        return self._group_frame(self.error_groups(stage)) if group else self._errors(stage)

    def error_groups(self, stage: str | None = None) -> list[ErrorGroup]:
        """Return the rows of ``errors(group=True)`` as records."""
        errors = self._errors(stage)
        known = errors.astype(object).where(errors.notna(), None)
        return grouped(
            Failure(
                key=SessionKey(row["mouseName"], row["sessionDate"].date(), row["sessionID"]),
                number=row["uSessionID"],
                stage=row["stage"],
                failed_at=row["failed_at"] and row["failed_at"].to_pydatetime(),
                error_type=row["error_type"],
                message=row["error_message"],
                traceback=row["error_traceback"],
            )
            for row in known.to_dict("records")
        )

    def error_group(self, group: str) -> ErrorGroup:
        """Return the failures with this short name.

        Raises
        ------
        UnknownNameError
            If nothing fails that way now.
        """
        groups = {one.group: one for one in self.error_groups()}
        if group not in groups:
            raise UnknownNameError("group of errors", group, groups or ["(nothing fails)"])
        return groups[group]

    @staticmethod
    def _group_frame(groups: list[ErrorGroup]) -> pd.DataFrame:
        import pandas as pd

        from vrtracker.frames import INSTANT, TEXT

        columns: dict[str, tuple[Any, list[Any]]] = {
            "group": (TEXT, [one.group for one in groups]),
            "stage": (TEXT, [one.stage for one in groups]),
            "count": ("int64", [len(one.sessions) for one in groups]),
            "error_type": (TEXT, [one.error_type for one in groups]),
            "message": (TEXT, [one.message for one in groups]),
            "first_at": (INSTANT, [one.first_at for one in groups]),
            "last_at": (INSTANT, [one.last_at for one in groups]),
            "sessions": (object, [[str(key) for key in one.sessions] for one in groups]),
            "error_traceback": (TEXT, [one.traceback for one in groups]),
        }
        return pd.DataFrame(
            {name: pd.Series(values, dtype=dtype) for name, (dtype, values) in columns.items()}
        )

    def _errors(self, stage: str | None) -> pd.DataFrame:
        repository = AttemptRepository(LookUps(self._lab.database))
        stages = (
            [self._lab.stages[stage]]
            if stage is not None
            else [one for one in self._lab.stages.values() if one.kind is StageKind.PROCESS]
        )
        failures = [repository.failures(chosen) for chosen in stages]
        errors = self._read(*failures)
        known = errors["error_message"].notna()
        errors["error_message"] = errors["error_message"].where(known, errors["lab_message"])
        return errors.drop(columns="lab_message")

    def _events(self, statement: Any) -> pd.DataFrame:
        import pandas as pd

        frame = self._read(statement)
        decoded = [_changes(text) for text in frame["changes"]]
        frame["changes"] = pd.Series(decoded, index=frame.index, dtype=object)
        return frame.drop(columns=["event_id", "subject_kind"])

    def _read(self, *statements: Any) -> pd.DataFrame:
        from vrtracker.frames import read_frame

        return read_frame(self._lab.database, *statements)

    def _number(self, key: Any) -> int:
        wanted = SessionKey.parse(key)
        record = SessionRepository(LookUps(self._lab.database)).get(wanted)
        if record is None:
            raise self._lab.not_found("session", wanted)
        return record.uSessionID


def _changes(text: Any) -> dict[str, Any] | None:
    """Return changes as people read them: without the rows that undoing needs."""
    if not isinstance(text, str):
        return None
    changes = json.loads(text).items()
    return {
        name: pair for name, pair in changes if name != ENTRY and not name.startswith(IMAGE)
    } or None
