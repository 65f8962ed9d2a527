"""What a listing can show of a session: its columns, and what the tracker knows beside them.

| name                                      | shows                                        |
|-------------------------------------------|----------------------------------------------|
| ``sessionID``                             | a column of the table                        |
| ``mouse__sex``                            | a column of the session's mouse              |
| ``state__registration``                   | the state of a stage                         |
| ``qc__red_cell``, ``qc__session``, …      | the level of a check, as ``qc_table`` has it |
| ``attempts__registration__error_message`` | of the last attempt at a stage               |
| ``datasets__count``, ``datasets__bytes``  | number and size of the recorded datasets     |
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    FromClause,
    Label,
    Table,
    and_,
    case,
    func,
    literal,
    select,
    true,
    type_coerce,
)

from vrtracker import clock
from vrtracker.database import Tables
from vrtracker.domain.qc import NOT_APPLICABLE, QC
from vrtracker.domain.stages import StageGraph, StageKind
from vrtracker.domain.states import State
from vrtracker.errors import UnknownNameError
from vrtracker.repositories.states import StageQuery

_OF_ATTEMPT = (
    "outcome",
    "started_at",
    "finished_at",
    "duration_s",
    "actor",
    "host_name",
    "error_type",
    "error_message",
)
_OF_DATASETS = ("count", "bytes")
_NEVER_MISSING = ("state", "qc", "datasets")
_LEVELS = "qc__"


def plain_name(table: Table, name: str) -> str:
    """Return the name of a column as listings spell it: ``mouse.sex`` is ``mouse__sex``."""
    if name in table.c:
        return name
    return name.replace(".", "__").removeprefix("session__")


class Columns:
    """Finds columns of one listing by name, and knows what they need joined to its table.

    `stages`: the lab's own; the built-in ones when not given. `now`: tells the instant that decides
    whether a claim has expired; asked if states are wanted.
    """

    def __init__(
        self,
        tables: Tables,
        table: Table,
        stages: StageGraph | None = None,
        now: Callable[[], dt.datetime] = clock.now,
    ) -> None:
        self._tables = tables
        self._table = table
        self._stages = stages or StageGraph()
        self._now = now
        self._found: dict[str, Label[Any]] = {}
        self._attempts: dict[str, tuple[Any, Any]] = {}

    def find(self, name: str) -> Column[Any] | Label[Any]:
        """Return the column of that name, labelled with it.

        Raises UnknownNameError if there is none; it carries the nearest ones.
        """
        if name in self._table.c:
            return self._table.c[name]
        if name not in self._found:
            group, _, rest = name.partition("__")
            if group not in self._groups or not rest:
                raise UnknownNameError("column", name, self._names())
            found = self._groups[group](name, rest)
            if group in _NEVER_MISSING:
                # As a column does of itself.
                found.nullable = False  # type: ignore[attr-defined]
            self._found[name] = found.label(name)
        return self._found[name]

    def order(self, name: str, *, descending: bool) -> list[ColumnElement[Any]]:
        """Return what rows are in order by: missing values come last, levels of QC by their rank.

        Raises UnknownNameError if there is no such column.
        """
        column: Any = self.find(name)
        terms = []
        if name not in self._table.c and name.startswith(_LEVELS):
            last = min(QC) - 1 if descending else max(QC) + 1
            check = name.removeprefix(_LEVELS)
            column = self._level(check, lambda level: last if level is None else int(level))
        elif getattr(getattr(column, "element", column), "nullable", True):
            terms.append(column.is_(None))
        return [*terms, column.desc() if descending else column.asc()]

    def joined(self) -> FromClause:
        """Return the table with what the columns so far need joined to it."""
        if "_states" not in self.__dict__:
            return self._table
        source: Any = self._states.joined()
        for attempt, condition in self._attempts.values():
            source = source.outerjoin(attempt, condition)
        return source  # type: ignore[no-any-return]

    @property
    def _groups(self) -> dict[str, Callable[[str, str], ColumnElement[Any]]]:
        if self._table is not self._tables.sessions:
            return {}
        return {
            "mouse": self._mouse,
            "state": self._state,
            "qc": self._qc,
            "attempts": self._attempt,
            "datasets": self._datasets,
        }

    def _names(self) -> list[str]:
        """List all names, those of the table first."""
        if not self._groups:
            return self._table.c.keys()
        reviews = (name for name, each in self._stages.items() if each.kind is StageKind.REVIEW)
        return [
            *self._table.c.keys(),
            *(f"mouse__{column.name}" for column in self._tables.mice.c),
            *(f"state__{name}" for name in self._stages),
            *(f"qc__{name}" for name in ("session", *reviews, "dataset")),
            *(f"attempts__{name}__{each}" for name in self._stages for each in _OF_ATTEMPT),
            *(f"datasets__{each}" for each in _OF_DATASETS),
        ]

    def _mouse(self, name: str, rest: str) -> ColumnElement[Any]:
        # The mouse itself is joined where the filters are.
        mice = self._tables.mice.c
        _require(rest in mice, name, (f"mouse__{each.name}" for each in mice))
        return mice[rest]

    def _state(self, name: str, rest: str) -> ColumnElement[Any]:
        del name
        return self._states.state(self._stages[rest])

    def _qc(self, name: str, rest: str) -> ColumnElement[Any]:
        del name
        return self._level(rest, lambda level: NOT_APPLICABLE if level is None else level.name)

    def _level(self, check: str, shown: Callable[[QC | None], str | int]) -> ColumnElement[Any]:
        """Say in SQL what `vrtracker.domain.qc` says of a session's level, as it is `shown`."""
        show = {level: literal(shown(level)) for level in (None, *QC)}
        if check == "session":
            return self._session_level(show)
        if check == "dataset":
            return self._worst_dataset(show)
        stage = self._stages.review(check)
        level = self._decided(stage.name)
        out = dict.fromkeys((State.SCRATCHED, State.NOT_APPLICABLE), show[None])
        good = case((level == QC.WARNING, show[QC.WARNING]), else_=show[QC.PASS])
        bad = case((level == QC.CRITICAL, show[QC.CRITICAL]), else_=show[QC.FAIL])
        results: dict[State, Any] = dict.fromkeys(State, show[QC.NOT_SET])
        results |= {**out, State.DONE: good, State.STALE: good, State.FAILED: bad}
        return self._states.by_state(stage, results)

    def _session_level(self, show: Mapping[QC | None, Any]) -> ColumnElement[Any]:
        level, is_fine = self._decided("session"), self._table.c.sessionQC == true()
        return case(
            (and_(is_fine, level == QC.PASS), show[QC.PASS]),
            (and_(is_fine, level == QC.WARNING), show[QC.WARNING]),
            (is_fine, show[None]),
            (level == QC.CRITICAL, show[QC.CRITICAL]),
            else_=show[QC.FAIL],
        )

    def _worst_dataset(self, show: Mapping[QC | None, Any]) -> ColumnElement[Any]:
        datasets = self._tables.datasets
        worst = self._of_session(datasets, func.max(datasets.c.qc_level))
        return case(*((worst == each, show[each]) for each in QC), else_=show[None])

    def _decided(self, check: str) -> ColumnElement[Any]:
        """Return the level of the last decision on a check, NULL where there is none."""
        decisions = self._tables.qc_decisions
        decided = decisions.alias("decided")
        last = self._of_session(
            decided, func.max(decided.c.decision_id), decided.c.check_name == check
        )
        return select(decisions.c.qc_level).where(decisions.c.decision_id == last).scalar_subquery()

    def _attempt(self, name: str, rest: str) -> ColumnElement[Any]:
        stage, _, column = rest.rpartition("__") if "__" in rest else (rest, "", "")
        known = self._stages[stage]
        _require(
            column in _OF_ATTEMPT, name, (f"attempts__{stage}__{each}" for each in _OF_ATTEMPT)
        )
        of_stage = self._states.attempt(known)
        if stage not in self._attempts:
            attempt = self._tables.attempts.alias(f"attempt_at_{stage}")
            self._attempts[stage] = attempt, attempt.c.attempt_id == of_stage
        found: ColumnElement[Any] = self._attempts[stage][0].c[column]
        # It is missing where there is no attempt, whatever the table says of it.
        return type_coerce(found, found.type)

    def _datasets(self, name: str, rest: str) -> ColumnElement[Any]:
        _require(rest in _OF_DATASETS, name, (f"datasets__{each}" for each in _OF_DATASETS))
        datasets = self._tables.datasets
        if rest == "count":
            return self._of_session(datasets, func.count(datasets.c.dataset_id))
        size = func.coalesce(self._of_session(datasets, func.sum(datasets.c.size_bytes)), 0.0)
        # Whole, though they are kept as Double, which Access counts further with than integers.
        return type_coerce(size, BigInteger())

    @cached_property
    def _states(self) -> StageQuery:
        return StageQuery(self._tables, self._stages, self._now())

    def _of_session(self, table: Any, value: Any, *conditions: Any) -> ColumnElement[Any]:
        """Return a value of the rows of a table that hang on the session."""
        theirs = table.c.uSessionID == self._table.c.uSessionID
        return select(value).where(theirs, *conditions).correlate(self._table).scalar_subquery()


def _require(known: bool, name: str, names: Iterable[str]) -> None:  # noqa: FBT001
    if not known:
        raise UnknownNameError("column", name, list(names))
