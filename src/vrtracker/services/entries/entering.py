"""Enter sessions the way people do: like an earlier one, from a preset, several days at once."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from vrtracker.display import Facts, Shown, counted, table_of
from vrtracker.domain.entry import DESCRIPTIVE, VOCABULARIES, new_word
from vrtracker.domain.keys import SessionKey
from vrtracker.domain.records import values_of
from vrtracker.errors import ConfigurationError, InvalidValueError, NotFoundError, UnknownNameError
from vrtracker.services.context import LabContext
from vrtracker.services.entries.adding import fitted
from vrtracker.services.entries.sessions import SessionService

if TYPE_CHECKING:
    import pandas as pd

LAST = "LAST"
"""Stands for the last session of the mouse, by date and number, that is not scratched."""


@dataclass(frozen=True, slots=True, repr=False)
class EntryPlan(Shown):
    """Sessions as they would be entered.

    `rows`: the columns that are given or taken over; the others get their default. `warnings`: what
    is odd but will be entered as it is: values that no session has yet, future dates.
    """

    rows: tuple[Mapping[str, Any], ...]
    warnings: tuple[str, ...] = ()
    _sessions: Any = field(default=None, repr=False, compare=False)

    @property
    def keys(self) -> list[SessionKey]:
        """The sessions' keys."""
        return [SessionKey.parse(row) for row in self.rows]

    def facts(self) -> Facts:
        """Return what would be entered, and what is odd about it."""
        columns, rows = table_of({**SessionKey.parse(row).columns, **row} for row in self.rows)
        title = f"{counted(len(rows), 'session')} to enter: .apply() does it."
        return Facts(title, rows, columns, notes=self.warnings)

    def frame(self) -> pd.DataFrame:
        """Return the rows as they would be entered."""
        import pandas as pd

        return pd.DataFrame([dict(row) for row in self.rows])

    def apply(self) -> list[SessionKey]:
        """Enter the sessions, all or none, and return their keys.

        Raises DuplicateError, UnknownMouseError, InvalidValueError as
        ``tracker.sessions.add_many``; nothing is written.
        """
        added: list[SessionKey] = self._sessions.add_many(self.rows)
        return added


class EntryService:
    """Puts new rows together."""

    def __init__(self, lab: LabContext, sessions: SessionService) -> None:
        self._lab = lab
        self._sessions = sessions

    def plan(
        self,
        keys: Any,
        values: Mapping[str, Any],
        *,
        like: Any = None,
        preset: str | None = None,
        strict: bool = False,
    ) -> EntryPlan:
        """Return the rows to enter; see `vrtracker.tracker.Tracker.enter`."""
        common = {**self._preset(preset), **values}
        parsed = [SessionKey.parse(self._spoken(key)) for key in _listed(keys)]
        models = self.models(parsed, like)
        rows = [
            {**model, **common, **key.columns} for key, model in zip(parsed, models, strict=True)
        ]
        fitted(self._sessions.rules, rows)
        obstacle = self._sessions.rules.obstacle(rows)
        if obstacle is not None:
            raise obstacle
        warnings = [*_future(parsed, self._lab.lab_now().date()), *self._words(rows)]
        if strict and warnings:
            raise InvalidValueError(f"{' '.join(warnings)} Nothing was entered.")
        return EntryPlan(tuple(rows), tuple(warnings), self._sessions)

    def _spoken(self, key: Any) -> Any:
        """Return a key whose day may have been given as ``today``."""
        if isinstance(key, tuple) and len(key) == len(self._sessions.key_columns):
            mouse, day, number = key
            return mouse, self._lab.day(day), number
        return key

    def last(self, mouse: str) -> SessionKey | None:
        """Return the last session of a mouse that is not scratched, or None."""
        order = ["-sessionDate", "-sessionID"]
        for session in self._sessions.iter({"mouseName": mouse}, order_by=order, limit=1):
            key: SessionKey = session.key
            return key
        return None

    def models(
        self, keys: Sequence[SessionKey], like: Any, *, may_lack: bool = False
    ) -> list[dict[str, Any]]:
        """Return for each new session what it takes over.

        `may_lack`: a mouse without a last session has nothing to take over. Raises NotFoundError if
        there is no session to take it from.
        """
        if like is None:
            return [{} for _ in keys]
        if str(like).upper() != LAST:
            return [self._described(like)] * len(keys)
        by_mouse: dict[str, dict[str, Any]] = {}
        for mouse in dict.fromkeys(key.mouse for key in keys):
            last = self.last(mouse)
            if last is None and not may_lack:
                raise NotFoundError("session that is not scratched of the mouse", mouse)
            by_mouse[mouse] = {} if last is None else self._described(last)
        return [by_mouse[key.mouse] for key in keys]

    def _described(self, key: Any) -> dict[str, Any]:
        record = values_of(self._sessions.get(key).record)
        return {name: record[name] for name in DESCRIPTIVE}

    def _preset(self, name: str | None) -> Mapping[str, Any]:
        if name is None:
            return {}
        presets = self._lab.presets
        if name not in presets:
            raise UnknownNameError("preset", name, presets or ["(none in the profile)"])
        wrong = [*self._sessions.key_columns, "uSessionID", *self._unknown(presets[name])]
        for column in presets[name]:
            if column in wrong:
                raise ConfigurationError(
                    f"The preset {name!r} in the profile sets {column!r}, which is no column that "
                    "describes a session; take it out."
                )
        return presets[name]

    def _unknown(self, preset: Mapping[str, Any]) -> list[str]:
        return [column for column in preset if column not in self._sessions.columns]

    def _words(self, rows: Sequence[Mapping[str, Any]]) -> list[str]:
        known = [
            {column: value}
            for preset in self._lab.presets.values()
            for column, value in preset.items()
            if self._fits(column, value)
        ]
        return odd_words(self._lab, self._sessions, rows, known)

    def _fits(self, column: str, value: Any) -> bool:
        """Tell whether a value of a preset, which may not be the one in use, is of any use."""
        try:
            self._sessions.coercer.value(column, value)
        except (InvalidValueError, KeyError):
            return False
        return True


def odd_words(
    lab: LabContext,
    sessions: SessionService,
    rows: Sequence[Mapping[str, Any]],
    known: Sequence[Mapping[str, Any]] = (),
) -> list[str]:
    """Return what to say of values that no session has yet, in columns that have few values.

    `known`: rows whose values count as known too.
    """
    fit = sessions.coercer.value
    odd = []
    for column in VOCABULARIES:
        new = _values(fit, column, rows)
        if not new:
            continue
        with lab.unit(readonly=True) as unit:
            used = unit.sessions.used(column)
        if used:
            in_use = {*used, *_values(fit, column, known)}
            odd += [new_word(column, value, in_use) for value in new if value not in in_use]
    return odd


def _values(fit: Any, column: str, rows: Sequence[Mapping[str, Any]]) -> list[Any]:
    found = (fit(column, row[column]) for row in rows if column in row)
    return list(dict.fromkeys(value for value in found if value is not None))


def _future(keys: Sequence[SessionKey], today: dt.date) -> Iterator[str]:
    for key in keys:
        if key.date > today:
            yield f"{key}: the date is in the future."


def _listed(keys: Any) -> list[Any]:
    """Return one key, which may be a tuple itself, or several as a list."""
    is_tuple_of_keys = isinstance(keys, tuple) and all(isinstance(k, SessionKey) for k in keys)
    return list(keys) if isinstance(keys, list | set) or is_tuple_of_keys else [keys]
