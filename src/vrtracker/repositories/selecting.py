"""What selects rows: parts that all have to hold, in every form that callers write."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Column, ColumnElement, Table
from sqlalchemy.sql import visitors
from sqlalchemy.util import immutabledict

from vrtracker.domain.conditions import (
    KEY,
    All,
    Any_,
    Comparison,
    Condition,
    FromToday,
    comparisons,
    from_today,
    parse_condition,
)
from vrtracker.domain.keys import SessionKey, is_key
from vrtracker.domain.stages import StageGraph
from vrtracker.errors import InvalidKeyError, InvalidValueError
from vrtracker.models import Base

_NOT_KEYS = {("!=",), ("<>",), ("not_in",), ("not in",)}
_BY_KEY = {"==", "!=", "in", "not_in"}
_SCRATCHED = frozenset({"sessionQC", "qc__session"})
_LAB_KNOWS = ("state__", "qc__", "changed_since")
_OF_SEVERAL = {"state": ("state", None), "qc": ("qc", None), "qc_lte": ("qc", "<=")}


@dataclass(frozen=True, slots=True)
class Setting:
    """What conditions beyond columns go by."""

    stages: StageGraph
    now: dt.datetime
    zone: dt.tzinfo | None

    @property
    def today(self) -> dt.date:
        """The lab's day."""
        return self.now.astimezone(self.zone).date()


@dataclass(frozen=True, slots=True)
class Filters:
    """Filters by name, as in ``imaging=True``."""

    pairs: tuple[tuple[str, Any], ...]

    def __bool__(self) -> bool:
        return bool(self.pairs)

    @property
    def names(self) -> list[str]:
        """What is filtered, once for each comparison."""
        return [spelled(name) for name, _ in self.pairs]

    @property
    def tells_days(self) -> bool:
        """Whether it may speak of today; a text can be the name of something as well."""
        return any(from_today(text) for _, wanted in self.pairs for text in _texts(wanted))

    @property
    def is_of_keys(self) -> bool:
        """Whether sessions are named by their keys."""
        asked = (wanted for name, wanted in self.pairs if name == KEY)
        return any(not (isinstance(one, tuple) and one[-1:] in _NOT_KEYS) for one in asked)


@dataclass(frozen=True, slots=True)
class Written:
    """A condition, and the text that it was read from."""

    text: str
    condition: Condition

    @property
    def names(self) -> list[str]:
        """What is compared, once for each comparison."""
        return [spelled(each.name) for each in comparisons(self.condition)]

    @property
    def is_of_keys(self) -> bool:
        """Whether sessions are named by their keys."""
        whole = self.condition
        parts = whole.parts if isinstance(whole, All) else (whole,)
        named = (each for each in parts if isinstance(each, Comparison) and each.name == KEY)
        return any(each.operator in {"==", "in"} for each in named)

    @property
    def keys(self) -> list[str]:
        """Keys of sessions in it, also behind ``or`` and ``not``."""
        named = (each for each in comparisons(self.condition) if each.name == KEY)
        values = (value for each in named if each.operator in _BY_KEY for value in each.values)
        return [value for value in values if isinstance(value, str) and is_key(value)]

    @property
    def tells_days(self) -> bool:
        """Whether it speaks of today."""
        each = comparisons(self.condition)
        return any(isinstance(value, FromToday) for one in each for value in one.values)


@dataclass(frozen=True, slots=True)
class Expression:
    """A condition of SQLAlchemy's."""

    clause: ColumnElement[bool]
    tells_days = False

    def __bool__(self) -> bool:
        return True

    @property
    def names(self) -> set[str]:
        """Columns in it."""
        found = visitors.iterate(self.clause)
        return {each.name for each in found if isinstance(each, Column)}


Part = Filters | Written | Expression


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """What selects rows; parts that all have to hold. It can be pickled.

    `is_key`: one row is named by its key. `setting`: what the lab knows, where a part asks for it.
    `mice`, `sessions`: those that were named by themselves: each has to be there.
    """

    parts: tuple[Part, ...] = ()
    is_key: bool = False
    setting: Setting | None = None
    mice: tuple[str, ...] = ()
    sessions: tuple[SessionKey, ...] = ()

    @classmethod
    def of(cls, filters: Mapping[str, Any]) -> Selection:
        """Return what selects by filters alone."""
        return selection_of(None, filters)

    @classmethod
    def written(cls, condition: str) -> Selection:
        """Return what selects by a condition in a text, or raise ConditionError."""
        return cls((Written(condition, parse_condition(condition)),))

    def __bool__(self) -> bool:
        """Tell whether anything is asked of the rows."""
        return bool(self.parts)

    def __and__(self, other: Selection) -> Selection:
        """Return what selects the rows that both select."""
        return Selection(
            (*self.parts, *other.parts),
            self.is_key or other.is_key,
            other.setting or self.setting,
            (*self.mice, *other.mice),
            (*self.sessions, *other.sessions),
        )

    @property
    def names(self) -> frozenset[str]:
        """What is filtered: columns, ``mouse__`` and a column, ``state__`` and a stage, …."""
        return frozenset(name for part in self.parts for name in part.names)

    @property
    def size(self) -> int:
        """The number of comparisons; one of SQLAlchemy's counts for its columns."""
        return sum(len(part.names) or 1 for part in self.parts)

    @property
    def is_named(self) -> bool:
        """Whether sessions are meant one by one: by a key, or by their numbers."""
        asked = [part for part in self.parts if not isinstance(part, Expression)]
        return self.is_key or any(part.is_of_keys or "uSessionID" in part.names for part in asked)

    @property
    def shows_scratched(self) -> bool:
        """Whether it asks for scratched sessions itself, or for sessions by their keys."""
        asked = (part for part in self.parts if not isinstance(part, Expression))
        by_key = self.is_key or any(part.is_of_keys for part in asked)
        return by_key or not _SCRATCHED.isdisjoint(self.names)

    @property
    def unscratched(self) -> Selection:
        """What lets scratched sessions pass only where a condition has their keys."""
        keys = [key for part in self.parts if isinstance(part, Written) for key in part.keys]
        if not keys:
            return Selection.of({"sessionQC": True})
        named = Comparison(KEY, "in", tuple(keys))
        return Selection((Written("", Any_((Comparison("sessionQC", "is_true"), named))),))

    def known_to(
        self, stages: StageGraph, now: Callable[[], dt.datetime], zone: dt.tzinfo | None
    ) -> Selection:
        """Return it with what the lab knows, where a part asks for it."""
        asks = any(name.startswith(_LAB_KNOWS) for name in self.names)
        tells = any(part.tells_days for part in self.parts)
        return replace(self, setting=Setting(stages, now(), zone)) if asks or tells else self


def _texts(wanted: Any) -> Iterator[str]:
    if isinstance(wanted, str):
        yield wanted
    elif isinstance(wanted, list | tuple):
        for one in wanted:
            yield from _texts(one)


def spelled(name: str) -> str:
    """Return a name as keywords spell it: ``mouse__KO`` for ``mouse.KO``."""
    return name.replace(".", "__", 1)


def _session(value: Any) -> Mapping[str, Any]:
    return SessionKey.parse(value).columns


def selection_of(
    where: Any,
    filters: Mapping[str, Any],
    *,
    key: Callable[[Any], Mapping[str, Any]] = _session,
) -> Selection:
    """Return what a call selects.

    `where`: a key, a list of keys, a mapping of filters, a condition as text, a condition of
    SQLAlchemy's, a `Selection`, or what holds one as `selection`, such as a query; or None. A text
    that is a key is one. `filters`: further ones, which have to hold too. `key`: returns the
    columns of a key. Raises InvalidKeyError, InvalidValueError if it is none of them.
    """
    asked = _selected(where, key)
    more = _filters(filters)
    return replace(asked, parts=(*asked.parts, more)) if more else asked


def _selected(where: Any, key: Callable[[Any], Mapping[str, Any]]) -> Selection:
    held = where if isinstance(where, Selection) else getattr(where, "selection", None)
    if isinstance(held, Selection):
        return held
    clause = where.__clause_element__() if hasattr(where, "__clause_element__") else where
    if isinstance(clause, ColumnElement):
        return Selection((Expression(_bare(clause)),))
    if where is None or isinstance(where, Mapping):
        given = _filters(where or {})
        return Selection((given,)) if given else Selection()
    try:
        return Selection((_filters(key(where)),), is_key=True)
    except (InvalidKeyError, InvalidValueError):
        if isinstance(where, str):
            return Selection.written(where)
        if not isinstance(where, list | tuple | set) or not any(_is_key(key, one) for one in where):
            raise
        return _listed([key(one) for one in where])


def _is_key(key: Callable[[Any], Mapping[str, Any]], value: Any) -> bool:
    try:
        key(value)
    except (InvalidKeyError, InvalidValueError):
        return False
    return True


def _listed(columns: list[Mapping[str, Any]]) -> Selection:
    """Return what selects the rows with these keys, each of which has to be there."""
    if len(columns[0]) == 1:
        names = tuple(name for one in columns for name in one.values())
        return Selection((_filters({name: list(names) for name in columns[0]}),), mice=names)
    keys = tuple(map(SessionKey.parse, columns))
    return Selection((_filters({KEY: list(map(str, keys))}),), sessions=keys)


def _bare(clause: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return a condition without what the ORM notes on its columns, so that it can be pickled."""
    known = Base.metadata.tables

    def bare(element: Any, **_: Any) -> Any:
        is_noted = bool(getattr(element, "_annotations", None))
        if is_noted and isinstance(element, Table):
            return known[element.name]
        if is_noted and isinstance(element, Column):
            return known[element.table.name].c[element.name]
        return None

    copied: ColumnElement[Any] = visitors.replacement_traverse(clause, {}, bare)
    each: Any
    for each in visitors.iterate(copied):
        if getattr(each, "_propagate_attrs", None):
            each._propagate_attrs = immutabledict()  # noqa: SLF001
    return copied


def _filters(filters: Mapping[str, Any]) -> Filters:
    """Return filters, with those of several names spread: ``state={"registration": "done"}``."""
    return Filters(
        tuple(pair for name, wanted in filters.items() for pair in _spread(name, wanted))
    )


def _spread(name: str, wanted: Any) -> Iterator[tuple[str, Any]]:
    if name not in _OF_SEVERAL or not isinstance(wanted, Mapping):
        yield name, wanted
        return
    room, operator = _OF_SEVERAL[name]
    for each, value in wanted.items():
        yield f"{room}__{each}", value if operator is None else (value, operator)
