"""What a `Selection` asks for, in SQL: names looked up, values fitted, errors placed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Boolean, Column, Table
from sqlalchemy.sql import visitors

from vrtracker.database import Tables
from vrtracker.domain.conditions import (
    MOST,
    TOO_MANY,
    All,
    Comparison,
    Condition,
    FromToday,
    Not,
    from_today,
)
from vrtracker.errors import ConditionError, InvalidValueError, UnknownNameError
from vrtracker.models.types import CalendarDate, LabTime
from vrtracker.repositories.beyond import CHANGED, Beyond
from vrtracker.repositories.comparables import Choice, Question
from vrtracker.repositories.facts import Clause, Fact, all_of, any_of, opposite
from vrtracker.repositories.filters import Comparable, Term, split
from vrtracker.repositories.selecting import Expression, Filters, Selection, Written, spelled
from vrtracker.repositories.values import coercer_of

MOUSE = "mouse__"
_BARE = "is_true"


class Conditions:
    """The conditions of one SELECT from a table.

    `joins_mouse`: whether one is on the session's mouse, as far as they were asked for.
    """

    def __init__(self, tables: Tables, table: Table, selection: Selection) -> None:
        self._tables = tables
        self._table = table
        self._selection = selection
        self._beyond = Beyond(tables, table, selection.setting)
        self.joins_mouse = False

    def clauses(self) -> list[Clause]:
        """Return what has to hold.

        Raises UnknownNameError if a name is none; it carries the nearest ones. Raises
        InvalidValueError if a value does not fit; a `ConditionError`, which shows the place, in a
        text.
        """
        if self._selection.size > MOST:
            raise InvalidValueError(f"The selection has {TOO_MANY}")
        return [clause for part in self._selection.parts for clause in self._of(part)]

    def _of(self, part: Filters | Written | Expression) -> Iterable[Clause]:
        if isinstance(part, Filters):
            return [self._filter(name, wanted) for name, wanted in part.pairs]
        if isinstance(part, Written):
            return [self._written(part, part.condition).holds]
        return [self._expression(part.clause)]

    def _filter(self, name: str, wanted: Any) -> Clause:
        term = self.comparable(name)
        value, operator = split(wanted, takes_ranges=term.takes_ranges)
        return term.fact(self._spoken(value) if _is_of_days(term) else value, operator).holds

    def _spoken(self, value: Any) -> Any:
        """Return the days that texts such as ``today - 7 days`` are."""
        if isinstance(value, list | tuple):
            return [self._spoken(one) for one in value]
        return self._value(from_today(value) or value) if isinstance(value, str) else value

    def comparable(self, name: str, dot: str = "__") -> Comparable:
        """Return what a name stands for; where it is none, others are told with that dot."""
        if name in self._table.c:
            return Term.of(self._table.c[name], coercer_of(self._table))
        mice = self._tables.mice
        if self._table is self._tables.sessions:
            bare = spelled(name).removeprefix(MOUSE)
            if bare != spelled(name) and bare in mice.c:
                self.joins_mouse = True
                return Term.of(mice.c[bare], coercer_of(mice))
        found = self._beyond.find(name)
        if found is None:
            raise UnknownNameError("filter", name, self.names(name, dot))
        self.joins_mouse = self.joins_mouse or found.joins_mouse
        return found.comparable

    def names(self, like: str = "", dot: str = ".") -> list[str]:
        """Return the names that there are, or the mouse's alone where one of them is meant."""
        own, beyond = self._table.c.keys(), self._beyond.names(dot)
        if self._table is not self._tables.sessions:
            return [*own, *beyond]
        of_mouse = {column.name: f"mouse{dot}{column.name}" for column in self._tables.mice.c}
        if like in of_mouse:
            return [of_mouse[like]]
        if spelled(like).startswith(MOUSE):
            return list(of_mouse.values())
        return [*own, *of_mouse.values(), *beyond]

    def _written(self, whole: Written, condition: Condition) -> Fact:
        if isinstance(condition, Comparison):
            return self._comparison(whole, condition)
        if isinstance(condition, Not):
            return opposite(self._written(whole, condition.part))
        join = all_of if isinstance(condition, All) else any_of
        return join(self._written(whole, part) for part in condition.parts)

    def _comparison(self, whole: Written, asked: Comparison) -> Fact:
        try:
            term = self.comparable(asked.name, "__" if "__" in asked.name else ".")
        except UnknownNameError as error:
            raise self._no_name(whole, asked, error) from error
        except InvalidValueError as error:
            raise ConditionError(str(error), whole.text, asked.at) from error
        try:
            return term.fact(*self._asked(term, asked))
        except (UnknownNameError, InvalidValueError) as error:
            near = getattr(error, "nearest", ())
            raise ConditionError(str(error), whole.text, asked.values_at, near=near) from error

    def _asked(self, term: Comparable, asked: Comparison) -> tuple[Any, str]:
        if asked.operator == _BARE:
            if isinstance(term, Term) and isinstance(term.expression.type, Boolean):
                return True, "=="
            if isinstance(term, Choice) and any(each is True for each in term.values):
                return True, "=="
            raise InvalidValueError(
                f"{asked.name} is not true or false; compare it with a value: {asked.name} = …"
            )
        values = [self._value(value) for value in asked.values]
        takes_several = asked.operator in {"in", "not_in", "between"}
        return values if takes_several else values[0], asked.operator

    def _value(self, value: Any) -> Any:
        if not isinstance(value, FromToday):
            return value
        if self._selection.setting is None:  # pragma: no cover - `Selection.known_to` sees to it
            raise InvalidValueError("What day it is today is not known here.")
        return value.date(self._selection.setting.today)

    def _no_name(
        self, whole: Written, asked: Comparison, error: UnknownNameError
    ) -> ConditionError:
        """Return where a name is none, and what else may be meant."""
        first, _, more = asked.name.partition(" ")
        if more and self._is_name(first):
            at = whole.text.index(more, asked.at)
            problem = f"There is no column {asked.name!r}; expected 'and' or 'or' between the two."
            return ConditionError(problem, whole.text, at, ("and", "or"))
        hint = ""
        if asked is whole.condition and asked.operator == _BARE:
            key = "" if self._table is self._tables.mice else " Nor is it a key of a session."
            hint = f"{key} For a mouse of that name write: mouseName = {asked.name}"
        return ConditionError(f"{error}{hint}", whole.text, asked.at, near=error.nearest)

    def _is_name(self, name: str) -> bool:
        try:
            self.comparable(name)
        except UnknownNameError:
            return False
        return True

    def _expression(self, clause: Any) -> Clause:
        """Return a condition on the tables of this database, wherever its columns come from."""
        known = self._tables.sessions.metadata.tables

        def ours(element: Any, **_: Any) -> Any:
            if isinstance(element, Table):
                return known.get(element.name)
            if isinstance(element, Column) and isinstance(element.table, Table):
                return _column_of(known, element)
            return None

        adapted: Clause = visitors.replacement_traverse(clause, {}, ours)
        if not isinstance(adapted.type, Boolean):
            raise InvalidValueError(f"{clause} is no condition; compare it with a value.")
        mice = self._tables.mice
        allowed = {self._table, mice} if self._table is self._tables.sessions else {mice}
        if others := sorted(str(each) for each in set(adapted._from_objects) - allowed):  # noqa: SLF001
            raise InvalidValueError(
                f"A condition is on {', '.join(others)}, which is not what is listed; write "
                "column.in_(select(…)) or exists()."
            )
        self.joins_mouse |= mice in adapted._from_objects  # noqa: SLF001
        return adapted


def _is_of_days(term: Comparable) -> bool:
    if isinstance(term, Term):
        return isinstance(term.expression.type, CalendarDate | LabTime)
    return isinstance(term, Question) and term.name == CHANGED


def _column_of(known: Mapping[str, Table], column: Column[Any]) -> Column[Any] | None:
    if column.table.name not in known:
        return None
    columns = known[column.table.name].c
    if column.name not in columns:
        raise UnknownNameError("column", column.name, columns.keys())
    return columns[column.name]
