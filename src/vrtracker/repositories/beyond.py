"""Filters beyond columns: states, levels of quality control, ages, places in the mouse's history.

``state={"registration": "done"}``, ``qc_lte={"session": "WARNING"}``, ``age_weeks=(8, 12)``,
``days_since_last=(None, 3)``, ``nth_session="last"``, ``has_dataset="mpci.times"``,
``lab="cortexlab"``, ``changed_since="2023-01-20"``. Each is made of what all databases can do.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Table,
    and_,
    exists,
    false,
    func,
    not_,
    or_,
    select,
    true,
)

from vrtracker.backends.days import DaysBetween, KeyText
from vrtracker.database import Tables
from vrtracker.domain.conditions import KEY
from vrtracker.domain.datasets import patterns_of
from vrtracker.domain.dates import parse_moment
from vrtracker.domain.qc import QC
from vrtracker.domain.stages import StageKind
from vrtracker.domain.states import State
from vrtracker.errors import InvalidValueError, UnknownNameError
from vrtracker.repositories.comparables import (
    Choice,
    Keys,
    Place,
    Question,
    level_of,
    number_of,
    state_of,
)
from vrtracker.repositories.facts import Clause, Fact
from vrtracker.repositories.filters import Comparable, Term, pattern_of
from vrtracker.repositories.selecting import Setting, spelled
from vrtracker.repositories.states import StageQuery
from vrtracker.repositories.values import coercer_of, flag, storable_text

CHANGED = "changed_since"
_DAYS_A_WEEK = 7
_SESSION, _DATASET = "session", "dataset"
_ACCEPTED = frozenset({QC.PASS, QC.WARNING})
_BAD = frozenset({QC.FAIL, QC.CRITICAL})
_ESCAPE = "~"
_OF_SEVERAL = {
    "state": ("registration", "done"),
    "qc": ("session", "PASS"),
    "qc_lte": ("session", "WARNING"),
}
_SHOWN = {
    "attempts": "the state of a stage: state.registration = failed; all attempts at a session: "
    "vrtracker attempts KEY, tracker.workflow.attempts(key)",
    "datasets": "a file: has_dataset = mpci.times, or the worst level: qc.dataset <= WARNING",
}
"""What can be shown and not compared, and what can be instead."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a name stands for."""

    comparable: Comparable
    joins_mouse: bool = False


class Beyond:
    """What names beyond columns stand for, in a SELECT from one of the lab's tables."""

    def __init__(self, tables: Tables, table: Table, setting: Setting | None) -> None:
        self._tables = tables
        self._table = table
        self._setting = setting

    def find(self, name: str) -> Found | None:
        """Return what a name stands for; None if it is no such name.

        Raises UnknownNameError if it begins as one does, and there is no such stage or check.
        """
        if name in _OF_SEVERAL:
            room, written = name.removesuffix("_lte"), "<=" if name.endswith("_lte") else "="
            check, value = _OF_SEVERAL[name]
            raise InvalidValueError(
                f"{name} takes a value by name: in a condition {room}.{check} {written} {value}, "
                f'as keyword {name}={{"{check}": "{value}"}}.'
            )
        if name == CHANGED:
            return Found(Question(name, self._has_changed, ("==",)))
        if self._table is not self._tables.sessions:
            return None
        if name == KEY:
            return Found(self._keys())
        plain_ones: Mapping[str, Callable[[], Found]] = {
            "age_weeks": self._age_weeks,
            "days_since_last": self._days_since_last,
            "nth_session": self._nth_session,
            "has_dataset": self._has_dataset,
            "tracked": self._tracked,
            "lab": partial(self._told, "lab"),
            "projects": partial(self._told, "projects"),
        }
        if name in plain_ones:
            return plain_ones[name]()
        room, _, rest = spelled(name).partition("__")
        if room in _SHOWN:
            raise InvalidValueError(
                f"{room} can be shown and not compared; compare {_SHOWN[room]}."
            )
        if self._setting is None or not rest or room not in {"state", "qc"}:
            return None
        return self._state(name, rest) if room == "state" else self._qc(name, rest)

    def names(self, dot: str = ".") -> list[str]:
        """Return all such names."""
        if self._table is not self._tables.sessions:
            return [CHANGED]
        names = [KEY, "age_weeks", "days_since_last", "nth_session", "has_dataset"]
        names += ["tracked", "lab", "projects", CHANGED]
        if self._setting is not None:
            names += [f"state{dot}{stage}" for stage in self._setting.stages]
            names += [f"qc{dot}{check}" for check in self._checks()]
        return names

    @property
    def _known(self) -> Setting:
        if self._setting is None:  # pragma: no cover - `Selection.known_to` sees to it
            raise InvalidValueError("What the lab knows is not known here.")
        return self._setting

    def _keys(self) -> Keys:
        columns, coercer = self._table.c, coercer_of(self._table)
        mouse, day, number_ = (columns[name] for name in ("mouseName", "sessionDate", "sessionID"))
        text = Term(KEY, KeyText(mouse, day, number_), storable_text, nullable=False)
        of = (Term.of(mouse, coercer), Term.of(day, coercer), Term.of(number_, coercer))
        return Keys(KEY, of, text)

    # -- states ---------------------------------------------------------------------------------

    def _state(self, name: str, stage: str) -> Found:
        known = self._known.stages
        if stage not in known:
            raise UnknownNameError("stage", stage, list(known))

        def tells(states: Collection[State]) -> Clause:
            query = self._stage_query()
            return self._where(query, query.is_in(known[stage], states))

        return Found(Choice(name, tuple(State), state_of, tells, is_ordered=False))

    def _stage_query(self) -> StageQuery:
        return StageQuery(self._tables, self._known.stages, self._known.now)

    def _where(self, query: StageQuery, clause: Clause) -> Clause:
        """Return that a session is one for which a condition on its stages holds."""
        number_ = self._tables.sessions.c.uSessionID
        return number_.in_(
            select(number_).select_from(query.joined()).where(clause).correlate(None)
        )

    # -- quality control ------------------------------------------------------------------------

    def _checks(self) -> list[str]:
        stages = self._known.stages.values()
        return [_SESSION, *(one.name for one in stages if one.kind is StageKind.REVIEW), _DATASET]

    def _qc(self, name: str, check: str) -> Found:
        wanted = check if check in self._checks() else f"{check}_qc"
        if wanted not in self._checks():
            if check in self._known.stages:
                raise InvalidValueError(
                    f"{check} is judged by nobody; compare its state: state.{check} = done. Checks "
                    f"are {', '.join(self._checks())}."
                )
            raise UnknownNameError("check", check, self._checks())

        def tells(levels: Collection[QC | None]) -> Clause:
            if wanted == _SESSION:
                return self._session_is(levels)
            return (
                self._datasets_are(levels)
                if wanted == _DATASET
                else self._review_is(wanted, levels)
            )

        return Found(Choice(name, (None, *QC), level_of, tells, is_ordered=True))

    def _review_is(self, check: str, levels: Collection[QC | None]) -> Clause:
        """Say in SQL what `domain.qc.level_of` says of one session."""
        stage, query = self._known.stages[check], self._stage_query()
        out = {State.NOT_APPLICABLE, State.SCRATCHED}
        done = {State.DONE, State.STALE}
        parts: list[Clause] = []
        if None in levels:
            parts.append(query.is_in(stage, out))
        if decided := self._decided(check, levels, _ACCEPTED, QC.PASS):
            parts.append(and_(query.is_in(stage, done), or_(*decided)))
        if decided := self._decided(check, levels, _BAD, QC.FAIL):
            parts.append(and_(query.is_in(stage, {State.FAILED}), or_(*decided)))
        if QC.NOT_SET in levels:
            parts.append(query.is_in(stage, set(State) - out - done - {State.FAILED}))
        return self._where(query, or_(false(), *parts))

    def _session_is(self, levels: Collection[QC | None]) -> Clause:
        """Say in SQL what `domain.qc.session_level` says of one session."""
        fine = self._tables.sessions.c.sessionQC == true()
        scratched = self._tables.sessions.c.sessionQC == false()
        parts: list[Clause] = []
        if decided := self._decided(_SESSION, levels, frozenset({QC.CRITICAL}), QC.FAIL):
            parts.append(and_(scratched, or_(*decided)))
        if decided := self._decided(_SESSION, levels, _ACCEPTED, None):
            parts.append(and_(fine, or_(*decided)))
        return or_(false(), *parts)

    def _decided(
        self, check: str, levels: Collection[QC | None], counted: frozenset[QC], else_: QC | None
    ) -> list[Clause]:
        """Return conditions of which one holds if the level is among some.

        It is the last decision where that is one of those `counted`, and another one else.
        """
        parts: list[Clause] = []
        if wanted := counted & set(levels):
            parts.append(self._last_is(check, wanted))
        if else_ in levels:
            parts.append(~self._last_is(check, counted))
        return parts

    def _last_is(self, check: str, levels: Iterable[QC]) -> Clause:
        table = self._tables.qc_decisions
        latest = (
            select(func.max(table.c.decision_id))
            .where(table.c.check_name == check)
            .group_by(table.c.uSessionID)
        )
        theirs = select(table.c.uSessionID).where(
            table.c.decision_id.in_(latest.correlate(None)),
            table.c.qc_level.in_(sorted(map(int, levels))),
        )
        return self._tables.sessions.c.uSessionID.in_(theirs.correlate(None))

    def _datasets_are(self, levels: Collection[QC | None]) -> Clause:
        table = self._tables.datasets
        theirs = select(table.c.uSessionID)
        number_ = self._tables.sessions.c.uSessionID
        parts: list[Clause] = []
        if None in levels:
            parts.append(number_.not_in(theirs))
        if wanted := sorted(int(level) for level in levels if level is not None):
            worst = func.max(table.c.qc_level).in_(wanted)
            parts.append(number_.in_(theirs.group_by(table.c.uSessionID).having(worst)))
        return or_(false(), *parts)

    # -- the mouse's history --------------------------------------------------------------------

    def _age_weeks(self) -> Found:
        born, day = self._tables.mice.c.dateOfBirth, self._tables.sessions.c.sessionDate
        days = DaysBetween(born, day)
        fit = number_of("age_weeks", times=_DAYS_A_WEEK)
        term = Term("age_weeks", days, fit, takes_ranges=True, is_counted=True)
        return Found(term, joins_mouse=True)

    def _days_since_last(self) -> Found:
        earlier, is_earlier = self._others(before=True)
        counts = self._tables.sessions.c.sessionQC == true()
        last = select(func.max(earlier.c.sessionDate)).where(is_earlier, counts)
        days = DaysBetween(
            last.correlate(self._table).scalar_subquery(), self._tables.sessions.c.sessionDate
        )
        name = "days_since_last"
        return Found(Term(name, days, number_of(name), takes_ranges=True, is_counted=True))

    def _nth_session(self) -> Found:
        earlier, is_earlier = self._others(before=True)
        later, is_later = self._others(before=False)
        number_ = select(func.count(earlier.c.uSessionID)).where(is_earlier).correlate(self._table)
        name = "nth_session"
        count = Term(
            name,
            number_.scalar_subquery(),
            number_of(name, less=1),
            nullable=False,
            takes_ranges=True,
            is_counted=True,
        )
        ends = {
            1: exists(select(earlier.c.uSessionID).where(is_earlier).correlate(self._table)),
            "last": exists(select(later.c.uSessionID).where(is_later).correlate(self._table)),
        }
        quality = self._tables.sessions.c.sessionQC
        counts = Fact(quality == true(), quality == false())
        facts = {place: Fact(~beyond_it, beyond_it) for place, beyond_it in ends.items()}
        return Found(Place(name, counts, count, facts))

    def _others(self, *, before: bool) -> tuple[Any, Clause]:
        """Return the mouse's other sessions that are not scratched, before or after a session."""
        this = self._tables.sessions.c
        other = self._tables.sessions.alias("before_it" if before else "after_it")
        day, number_ = other.c.sessionDate, other.c.sessionID
        same_day = and_(
            day == this.sessionDate,
            number_ < this.sessionID if before else number_ > this.sessionID,
        )
        on_side = day < this.sessionDate if before else day > this.sessionDate
        # Said once more by itself, the range of days is found through the key's index.
        within = day <= this.sessionDate if before else day >= this.sessionDate
        return other, and_(
            other.c.mouseName == this.mouseName,
            within,
            or_(on_side, same_day),
            other.c.sessionQC == true(),
        )

    # -- caches of ONE, datasets and events -----------------------------------------------------

    def _told(self, name: str) -> Found:
        table = self._tables.one_sessions
        told = select(table.c[name]).where(table.c.uSessionID == self._table.c.uSessionID)
        expression = told.correlate(self._table).scalar_subquery()
        return Found(Term(name, expression, lambda value: value and storable_text(value)))

    def _tracked(self) -> Found:
        table, number_ = self._tables.tracking, self._tables.sessions.c.uSessionID
        is_in = number_.in_(select(table.c.uSessionID))

        def tells(chosen: Collection[Any]) -> Clause:
            return is_in if True in chosen else ~is_in

        return Found(Choice("tracked", (True, False), flag, tells, is_ordered=False))

    def _has_dataset(self) -> Found:
        return Found(Question("has_dataset", self._has_file, ("==", "like")))

    def _has_file(self, value: Any, operator: str) -> Clause:
        if not isinstance(value, str):
            raise InvalidValueError(f"has_dataset takes a name such as mpci.times, not {value!r}.")
        name, is_limited, level = (part.strip() for part in value.partition("<="))
        if not name:
            raise InvalidValueError(
                "has_dataset takes a name such as mpci.times, not an empty one."
            )
        if set(name) & set("<>="):
            raise InvalidValueError(
                f"{name!r} is no dataset's name; has_dataset takes one, and <= and a level behind "
                "it: 'mpci.times <= WARNING'."
            )
        name = pattern_of(name).replace(_ESCAPE, _ESCAPE * 2)
        table = self._tables.datasets

        def is_one_of(*patterns: str) -> Clause:
            return or_(*(table.c.rel_path.ilike(each, escape=_ESCAPE) for each in patterns))

        is_it = is_one_of(name, f"%/{name}", f"{name}.%", f"%/{name}.%")
        if operator == "==":
            for wild in "%_":
                name = name.replace(wild, f"{_ESCAPE}{wild}")
            means, behind, longer = patterns_of(name, "%", f"{_ESCAPE}_")
            is_it = or_(is_one_of(*means), and_(is_one_of(*behind), not_(is_one_of(*longer))))
        # Looked for first, since most paths do not hold it anywhere.
        holds_it = is_one_of(f"%{name.rpartition('/')[2]}%")
        has_it = select(table.c.uSessionID).where(holds_it, is_it)
        if is_limited:
            has_it = has_it.where(table.c.qc_level <= int(QC.parse(level)))
        return self._tables.sessions.c.uSessionID.in_(has_it)

    def _has_changed(self, value: Any, operator: str) -> Clause:
        del operator
        since = parse_moment(value, self._known.zone, of_day=dt.time())
        events = self._tables.events
        row = self._table.c
        kind: str = "mouse"
        key: ColumnElement[str] = row.mouseName
        if self._table is self._tables.sessions:
            kind = "session"
            key = KeyText(row.mouseName, row.sessionDate, row.sessionID)
        changed = select(events.c.subject_key).where(
            events.c.subject_kind == kind, events.c.occurred_at >= since
        )
        return key.in_(changed)
