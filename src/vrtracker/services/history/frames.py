"""What happened: events, attempts, failures, decisions, datasets, as rows or frames."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vrtracker.domain.failures import ErrorGroup, Failure, grouped
from vrtracker.domain.keys import SessionKey
from vrtracker.domain.stages import StageKind
from vrtracker.domain.told import ENTRY, IMAGE
from vrtracker.errors import UnknownNameError
from vrtracker.found import Found, Selected, framed
from vrtracker.reading import INSTANT, dtypes, read_records
from vrtracker.repositories.attempts import AttemptRepository
from vrtracker.repositories.events import changes_in
from vrtracker.repositories.listing import Listing
from vrtracker.repositories.rows import LookUps
from vrtracker.repositories.selecting import Selection
from vrtracker.repositories.sessions import SessionRepository
from vrtracker.services.context import LabService

_GROUP = {
    **dict.fromkeys(("group", "stage"), "str"),
    "count": "int64",
    **dict.fromkeys(("error_type", "message"), "str"),
    **dict.fromkeys(("first_at", "last_at"), INSTANT),
    "sessions": "object",
    "error_traceback": "str",
}


class HistoryService(LabService):
    """Reads what the tracker recorded.

    Examples
    --------
    >>> tracker.history("DEMO001.2023-01-18.701")["verb"].tolist()
    ['added', 'start', 'succeed']
    """

    @framed
    def of_session(self, key: Any) -> Found:
        """Return the events of a session, oldest first; under its other keys too.

        Returns
        -------
        pandas.DataFrame
            occurred_at (UTC), actor, host_name, subject_key, verb, stage, from_state, to_state,
            changes (a dict of ``column: [old, new]``, or None), reason, attempt_id, operation_id
            (what one call wrote has one; pandas.NA for events from before there were any).

        Examples
        --------
        >>> tracker.workflow.history("DEMO001.2023-01-18.701")["to_state"].tolist()[1:]
        ['running', 'done']
        """
        wanted = SessionKey.parse(key)
        with self._lab.unit(readonly=True) as unit:
            is_there = unit.sessions.get(wanted) is not None
            spans = unit.events.lineage("session", str(wanted), is_there=is_there)
            statement = unit.events.of_subject("session", spans)
        return self._events(statement)

    @framed
    def of_mouse(self, name: str) -> Found:
        """Return the events of a mouse, oldest first, as `of_session`.

        A name that a mouse has given up is that mouse's until another one gets it.

        Examples
        --------
        >>> tracker.history("DEMO001")["verb"].tolist()
        ['added']
        """
        with self._lab.unit(readonly=True) as unit:
            spans = unit.events.lineage("mouse", name, is_there=unit.mice.get(name) is not None)
            statement = unit.events.of_subject("mouse", spans)
        return self._events(statement)

    @framed
    def latest(self, limit: int = 50) -> Found:
        """Return the newest events of all sessions and mice, newest first.

        Examples
        --------
        >>> state = tracker.workflow.scratch("DEMO003.2023-03-16.1", "the mouse slept")
        >>> tracker.events(1)[["actor", "subject_key", "verb", "reason"]]
          actor           subject_key       verb           reason
        0   ada  DEMO003.2023-03-16.1  scratched  the mouse slept
        """
        with self._lab.unit(readonly=True) as unit:
            statement = unit.events.latest(limit)
        return self._events(statement)

    @framed
    def stage_events(self, where: Any = None, /, **filters: Any) -> Found:
        """Return the events on stages of the sessions that pass the filters, oldest first.

        Returns
        -------
        pandas.DataFrame
            occurred_at (UTC), subject_key, stage, from_state, to_state: text. A session's are
            those under the key that it has now.

        Examples
        --------
        >>> tracker.workflow.stage_events("DEMO001.2023-01-18.701")[["stage", "to_state"]]
                  stage to_state
        0  registration  running
        1  registration     done
        """
        listing = Listing(self._lab.selection(where, filters), include_scratched=True)
        with self._lab.unit(readonly=True) as unit:
            return Selected(self._lab.database, unit.events.of_stages(listing))

    def operation_like(self, beginning: str) -> str | None:
        """Return the id, with this `beginning`, of an operation that wrote anything, or None.

        Examples
        --------
        >>> state = tracker.workflow.scratch("DEMO003.2023-03-16.1", "the mouse slept")
        >>> whole = tracker.events.records(1)[0]["operation_id"]
        >>> tracker.operation_like(whole[:12]) == whole
        True
        """
        with self._lab.unit(readonly=True) as unit:
            return next(iter(unit.events.operations_like(beginning)), None)

    @framed
    def attempts(self, key: Any) -> Found:
        """Return every attempt at a session, oldest first; columns as `vrt_attempt`.

        Examples
        --------
        >>> tracker.workflow.attempts("DEMO002.2023-02-08.701")[["stage", "registrar", "outcome"]]
                  stage registrar outcome
        0  registration       alf  failed
        """
        number = self._number(key)
        repository = AttemptRepository(LookUps(self._lab.database))
        return Selected(self._lab.database, repository.of_session(number))

    @framed
    def decisions(self, key: Any) -> Found:
        """Return every QC decision on a session, oldest first; columns as `vrt_qc_decision`.

        Examples
        --------
        >>> state = tracker.workflow.set_qc("DEMO001.2023-01-18.701", "red_cell", "PASS")
        >>> tracker.decisions("DEMO001.2023-01-18.701")[["check_name", "qc_level", "actor"]]
            check_name  qc_level actor
        0  red_cell_qc        10   ada
        """
        number = self._number(key)
        with self._lab.unit(readonly=True) as unit:
            statement = unit.qc_decisions.of_session(number)
        return Selected(self._lab.database, statement)

    @framed
    def datasets(self, key: Any) -> Found:
        """Return the datasets of a session, by path; columns as `vrt_dataset`.

        Examples
        --------
        >>> tracker.datasets("DEMO003.2023-03-16.1")["rel_path"].tolist()[:1]
        ['oneData/licks.times.npy']
        """
        number = self._number(key)
        with self._lab.unit(readonly=True) as unit:
            statement = unit.datasets.listing(number)
        return Selected(self._lab.database, statement)

    @framed
    def errors(
        self,
        stage: str | None = None,
        where: Any = None,
        /,
        *,
        group: bool = False,
        **filters: Any,
    ) -> Found:
        """Return the sessions whose last attempt at a stage failed; scratched ones left out.

        Parameters
        ----------
        stage
            Of this stage alone.
        where, **filters
            As for ``tracker.sessions.frame``.
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

        Examples
        --------
        >>> tracker.workflow.errors("registration")[["mouseName", "sessionID", "error_type"]]
          mouseName  sessionID         error_type
        0   DEMO002        701  InvalidValueError
        """
        found = self._errors(stage, self._lab.selection(where, filters))
        return self._grouped(self._groups(found)) if group else found

    @staticmethod
    def _groups(found: Found) -> list[ErrorGroup]:
        return grouped(
            Failure(
                key=SessionKey.of_row(row),
                number=row["uSessionID"],
                stage=row["stage"],
                failed_at=row["failed_at"],
                error_type=row["error_type"],
                message=row["error_message"],
                traceback=row["error_traceback"],
            )
            for row in found.records()
        )

    def error_group(self, group: str) -> ErrorGroup:
        """Return the failures of a `group`, by the short name that `errors` gives it.

        Raises
        ------
        UnknownNameError
            If nothing fails that way now.

        Examples
        --------
        >>> name = tracker.workflow.errors(group=True)["group"][0]
        >>> tracker.workflow.error_group(name).message
        'licks.times.npy is truncated inside its header. Write it again: <path>'
        """
        groups = {one.group: one for one in self._groups(self._errors())}
        if group not in groups:
            raise UnknownNameError("group of errors", group, groups or ["(nothing fails)"])
        return groups[group]

    @staticmethod
    def _grouped(groups: list[ErrorGroup]) -> Found:
        rows = [
            {
                "group": one.group,
                "stage": one.stage,
                "count": len(one.sessions),
                "error_type": one.error_type,
                "message": one.message,
                "first_at": one.first_at,
                "last_at": one.last_at,
                "sessions": [str(key) for key in one.sessions],
                "error_traceback": one.traceback,
            }
            for one in groups
        ]
        return Found(rows, _GROUP)

    def _errors(self, stage: str | None = None, filters: Selection | None = None) -> Found:
        repository = AttemptRepository(LookUps(self._lab.database))
        stages = (
            [self._lab.stages[stage]]
            if stage is not None
            else [one for one in self._lab.stages.values() if one.kind is StageKind.PROCESS]
        )
        failures = [repository.failures(chosen, filters or Selection()) for chosen in stages]
        rows = read_records(self._lab.database, *failures)
        for row in rows:
            in_the_lab = row.pop("lab_message")
            if row["error_message"] is None:
                row["error_message"] = in_the_lab
        kinds = dict(dtypes(failures[0]))
        del kinds["lab_message"]
        return Found(rows, kinds)

    def _events(self, statement: Any) -> Found:
        rows, kinds = read_records(self._lab.database, statement), dict(dtypes(statement))
        for row in rows:
            row["changes"] = _changes(row)
        for each in (*rows, kinds):
            del each["event_id"], each["subject_kind"]
        return Found(rows, kinds | {"changes": "object"})

    def _number(self, key: Any) -> int:
        wanted = SessionKey.parse(key)
        record = SessionRepository(LookUps(self._lab.database)).get(wanted)
        if record is None:
            raise self._lab.not_found("session", wanted)
        return record.uSessionID


def _changes(row: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return changes as people read them: without the rows that undoing needs."""
    changes = changes_in(row).items()
    return {
        name: pair for name, pair in changes if name != ENTRY and not name.startswith(IMAGE)
    } or None
