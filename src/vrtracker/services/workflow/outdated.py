"""Find what another registrar, other options or other code made, and mark it as stale."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from vrtracker.display import Facts, Shown
from vrtracker.domain.keys import SessionKey
from vrtracker.domain.registrars import Registrar
from vrtracker.domain.stages import Stage
from vrtracker.domain.states import State
from vrtracker.errors import ConcurrentUpdateError
from vrtracker.models.types import to_json
from vrtracker.repositories.listing import Listing
from vrtracker.repositories.row_images import STAGES, differences
from vrtracker.repositories.selecting import Selection
from vrtracker.services.context import LabContext, old_and_new
from vrtracker.services.workflow.outcomes import REGISTRAR
from vrtracker.unit_of_work import UnitOfWork

if TYPE_CHECKING:
    import pandas as pd

_SHOWN = ["key", "what", "old", "new"]


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that a run would do otherwise now.

    `what`: ``registrar``, ``version``, or ``option`` and its name. `old`, `new`: what the attempt
    recorded, and what is now; plain values, None for an option not given.
    """

    what: str
    old: Any
    new: Any

    def __str__(self) -> str:
        return f"{self.what}: {_said(self.old)} -> {_said(self.new)}"


@dataclass(frozen=True, slots=True)
class OutdatedSession:
    """A session that was done otherwise; `attempt_id` is the attempt that made its output."""

    number: int
    key: SessionKey
    attempt_id: str
    differences: tuple[Difference, ...]

    @property
    def reason(self) -> str:
        """All differences in words, for the history."""
        return "; ".join(map(str, self.differences))


@dataclass(frozen=True, slots=True, repr=False)
class OutdatedPlan(Shown):
    """Which sessions are outdated.

    `registrar`: name of the registrar that they are compared with.
    `version`: what code it is.
    `compared`: sessions whose stage is done and whose attempt is on record.
    `sessions`: those that would be done otherwise, in order of their numbers.
    """

    stage: str
    registrar: str
    version: str | None
    compared: int
    sessions: tuple[OutdatedSession, ...]
    _service: Any = field(default=None, repr=False, compare=False)

    def facts(self) -> Facts:
        """Return which sessions would be done otherwise, and in what."""
        code = f" {self.version}" if self.version else ""
        title = (
            f"{self.stage}: {len(self.sessions)} of {self.compared} sessions would be done "
            f"otherwise by {self.registrar}{code}; .apply() marks them as stale."
        )
        told = [
            (session.key, each.what, _said(each.old), _said(each.new))
            for session in self.sessions
            for each in session.differences
        ]
        return Facts(title, told, _SHOWN)

    def frame(self) -> pd.DataFrame:
        """Return the differences, one row for each: key, what, old, new (object)."""
        import pandas as pd

        return pd.DataFrame(self.rows(), columns=_SHOWN, dtype=object)

    def rows(self) -> list[dict[str, Any]]:
        """Return the rows of `frame` as plain values."""
        return [
            dict(zip(_SHOWN, (str(session.key), each.what, each.old, each.new), strict=True))
            for session in self.sessions
            for each in session.differences
        ]

    def apply(self) -> list[SessionKey]:
        """Mark the sessions as stale, all in one transaction, each with its event; return them.

        Raises ConcurrentUpdateError if one of them was run again, or is not done any more; none is
        marked then.
        """
        marked: list[SessionKey] = self._service.apply(self)
        return marked


class OutdatingService:
    """Compares what attempts recorded with a registrar.

    Examples
    --------
    >>> tracker.workflow.outdated()
    registration: 0 of 10 sessions would be done otherwise by alf ...
    """

    def __init__(self, lab: LabContext, find_registrar: Callable[[str, Any], Registrar]) -> None:
        self._lab = lab
        self._find_registrar = find_registrar

    def outdated(
        self,
        stage: str = "registration",
        where: Any = None,
        /,
        *,
        registrar: Any = None,
        options: Mapping[str, Any] | None = None,
        **filters: Any,
    ) -> OutdatedPlan:
        """Find the sessions that `run` would do otherwise now; ``.apply()`` marks them as stale.

        The latest attempt that succeeded is compared with what `run` would use if it were called
        with the same `registrar` and `options`: another registrar, another option, other code. An
        attempt keeps its options alike, whoever gave them. So a session that was run with options
        of its own is listed, unless they are given here too, or filters leave it out.

        Nothing is known, and nothing listed, of a session that was registered before the tracker,
        or that somebody said is done; and of the code, where the attempt or the registrar names
        no version. An option that is not given counts as None.

        Parameters
        ----------
        stage
            A stage of processing.
        registrar, options
            As for `run`.

        Returns
        -------
        OutdatedPlan
            ``rows()``, ``frame()``, ``apply()``.

        Raises
        ------
        InvalidValueError
            If people do the stage.

        Examples
        --------
        >>> def mine(job): ...
        >>> tracker.workflow.outdated("registration", "mouseName = DEMO001", registrar=mine).frame()
                              key       what  old        new
        0  DEMO001.2023-01-18.701  registrar  alf  ...mine
        1  DEMO001.2023-01-19.701  registrar  alf  ...mine
        2  DEMO001.2023-01-20.701  registrar  alf  ...mine
        3  DEMO001.2023-01-20.702  registrar  alf  ...mine
        """
        self._lab.stages.process(stage)
        chosen = self._find_registrar(stage, (registrar, options))
        return self._plan(stage, chosen, self._lab.selection(where, filters))

    def _plan(self, stage: str, registrar: Registrar, filters: Selection) -> OutdatedPlan:
        from vrtracker.registrars import version_of

        with self._lab.unit(readonly=True) as unit:
            rows = self._rows(unit, self._lab.stages[stage], filters)
        code = version_of(registrar)
        compared = ((row, tuple(_differences(row, registrar, code))) for row in rows)
        sessions = tuple(
            OutdatedSession(row.uSessionID, _key(row), row.attempt_id, differences)
            for row, differences in compared
            if differences
        )
        return OutdatedPlan(stage, registrar.name, code, len(rows), sessions, self)

    def apply(self, plan: OutdatedPlan) -> list[SessionKey]:
        """Mark the sessions of a plan as stale, all or none; else ConcurrentUpdateError.

        Examples
        --------
        >>> def mine(job): ...
        >>> len(tracker.workflow.outdated(registrar=mine).apply())
        10
        """
        if not plan.sessions:
            return []
        stage, at = self._lab.stages[plan.stage], self._lab.now()
        numbers = [session.number for session in plan.sessions]
        only_these = Selection.of({"uSessionID": numbers})
        with self._lab.unit() as unit:
            unit.sessions.present(Listing(only_these, include_scratched=True), lock=True)
            now = {row.uSessionID: row for row in self._rows(unit, stage, only_these)}
            for session in plan.sessions:
                row = now.get(session.number)
                if row is None or (_key(row), row.attempt_id) != (session.key, session.attempt_id):
                    raise ConcurrentUpdateError(session.key)
            # The holder of a claim that ran out may still come back with its result.
            late = [row.latest_id for row in now.values() if row.latest_outcome == "running"]
            if late:
                unit.attempts.expire(late, at=at)
            before = unit.images.of(numbers, STAGES)
            if unit.stages.mark_stale(stage.name, numbers, changed_at=at) != len(numbers):
                raise ConcurrentUpdateError(f"One of {len(numbers)} sessions")
            after = unit.images.of(numbers, STAGES)
            unit.events.append(
                [
                    self._lab.event(
                        session.key,
                        "invalidated",
                        at=at,
                        moved=(stage, State.DONE, State.STALE),
                        changes=differences(before[session.number], after[session.number]),
                        reason=session.reason,
                        attempt_id=session.attempt_id,
                    )
                    for session in plan.sessions
                ]
            )
            unit.commit()
        return [session.key for session in plan.sessions]

    def _rows(self, unit: UnitOfWork, stage: Stage, filters: Selection) -> list[Any]:
        return unit.attempts.behind_done(
            stage, self._lab.stages, now=self._lab.now(), listing=Listing(filters)
        )


def _key(row: Any) -> SessionKey:
    return SessionKey(row.mouseName, row.sessionDate, row.sessionID)


def _differences(row: Any, registrar: Registrar, code: str | None) -> list[Difference]:
    if row.registrar != registrar.name:
        # Options and versions of two registrars have nothing to do with each other.
        return [Difference("registrar", row.registrar, registrar.name)]
    options = json.loads(to_json(dict(registrar.options)))
    found = [
        Difference(f"option {name}", old, new)
        for name, (old, new) in sorted(old_and_new(row.options or {}, options).items())
        # NaN differs from itself, and reads the same.
        if to_json(old) != to_json(new)
    ]
    made_by = (row.versions or {}).get(REGISTRAR)
    if made_by is not None and code is not None and made_by != code:
        found.append(Difference("version", made_by, code))
    return found


def _said(value: Any) -> str:
    """Return a value as people read it; text stands without quotes."""
    if value is None:
        return "not given"
    return value if isinstance(value, str) else to_json(value)
