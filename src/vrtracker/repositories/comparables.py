"""What filters compare beside columns: a choice of few values, a question, a place in a row."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import false, true

from vrtracker.domain.dates import plain
from vrtracker.domain.keys import SessionKey
from vrtracker.domain.qc import NOT_APPLICABLE, QC
from vrtracker.domain.states import State
from vrtracker.errors import InvalidKeyError, InvalidValueError, UnknownNameError
from vrtracker.repositories.facts import Clause, Fact, all_of, any_of, opposite
from vrtracker.repositories.filters import Term, several, truth
from vrtracker.repositories.values import number


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few values, of which a condition in SQL tells any set.

    `values`: all of them, in their order if they have one; None for a missing one. `tells`: returns
    the condition that it is one of a set; it is never NULL.
    """

    name: str
    values: tuple[Any, ...]
    fit: Callable[[Any], Any]
    tells: Callable[[Collection[Any]], Clause]
    is_ordered: bool
    takes_ranges: bool = False

    def fact(self, value: Any, operator: str) -> Fact:
        """Return that it compares with a value as an operator says, and the opposite."""
        chosen = self._chosen(value, operator)
        if not chosen or len(chosen) == len(self.values):
            always = Fact(true(), false())
            return always if chosen else opposite(always)
        holds = self.tells(chosen)
        return Fact(holds, ~holds)

    def _chosen(self, value: Any, operator: str) -> list[Any]:
        if operator == "is_null":
            return [each for each in self.values if (each is None) is truth(value)]
        if operator in {"in", "not_in", "==", "!="}:
            given = several(value, operator) if operator in {"in", "not_in"} else [value]
            wanted = [None if plain(each) is None else self.fit(each) for each in given]
            is_in = operator in {"in", "=="}
            return [each for each in self.values if (each in wanted) is is_in]
        if not self.is_ordered or operator not in _COMPARES:
            raise InvalidValueError(
                f"{operator!r} does not apply to {self.name}; use '==' or 'in'."
            )
        many = several(value, operator, exactly=2) if operator == "between" else [value]
        ends = [self.fit(each) for each in many]
        present = [each for each in self.values if each is not None]
        return [each for each in present if _COMPARES[operator](each, *ends)]


_COMPARES: dict[str, Callable[..., bool]] = {
    "<": lambda each, end: each < end,
    "<=": lambda each, end: each <= end,
    ">": lambda each, end: each > end,
    ">=": lambda each, end: each >= end,
    "between": lambda each, low, high: low <= each <= high,
}


@dataclass(frozen=True, slots=True)
class Question:
    """Something that is so or is not, of a value.

    `tells`: returns the condition for a value and an operator; it is never NULL.
    """

    name: str
    tells: Callable[[Any, str], Clause]
    operators: tuple[str, ...]
    takes_ranges: bool = False

    def fact(self, value: Any, operator: str) -> Fact:
        """Return that it is so, and the opposite."""
        if operator in _OPPOSED:
            return opposite(self.fact(value, _OPPOSED[operator]))
        if operator == "in":
            return any_of(self.fact(each, "==") for each in several(value, operator))
        if operator not in self.operators or plain(value) is None:
            raise InvalidValueError(
                f"{self.name} takes a value and {' or '.join(self.operators)}, or a list and in; "
                f"for the opposite write: not {self.name} = …"
            )
        holds = self.tells(value, operator)
        return Fact(holds, ~holds)


@dataclass(frozen=True, slots=True)
class Keys:
    """Sessions by their keys.

    `columns`: of the mouse, the day and the number; indexes find their rows. `text`: the key as
    text, which several of them are compared with.
    """

    name: str
    columns: tuple[Term, Term, Term]
    text: Term
    takes_ranges: bool = False

    def fact(self, value: Any, operator: str) -> Fact:
        """Return that it is one of these sessions, and the opposite."""
        if operator in _OPPOSED:
            return opposite(self.fact(value, _OPPOSED[operator]))
        if operator not in {"==", "in"}:
            raise InvalidValueError(f"{self.name} takes keys and '==' or 'in', not {operator!r}.")
        given = several(value, operator) if operator == "in" else [value]
        try:
            keys = [SessionKey.parse(each) for each in given]
        except InvalidKeyError as error:
            raise InvalidValueError(str(error), value=value) from error
        mouse, day, number = self.columns
        facts = [
            mouse.fact([key.mouse for key in keys], "in"),
            day.fact([key.date for key in keys], "in"),
        ]
        if len(keys) == 1:
            return all_of([*facts, number.fact(keys[0].number, "==")])
        return all_of([*facts, self.text.fact([str(key) for key in keys], "in")])


_ENDS: dict[str, Any] = {"1": 1, "last": "last"}
_OPPOSED = {"!=": "==", "not_in": "in"}


@dataclass(frozen=True, slots=True)
class Place:
    """Which session of its mouse it is; a scratched one is none, which is a missing place.

    `ends`: that it is the first, 1, or the ``last`` one, which is found without counting.
    """

    name: str
    counts: Fact
    count: Term
    ends: Mapping[Any, Fact]
    takes_ranges: bool = True

    def fact(self, value: Any, operator: str) -> Fact:
        """Return that it compares with a place as an operator says, and the opposite."""
        if operator in _OPPOSED:
            return opposite(self.fact(value, _OPPOSED[operator]))
        if operator == "in":
            return any_of(self.fact(each, "==") for each in several(value, operator))
        if operator == "is_null":
            return opposite(self.counts) if truth(value) else self.counts
        if plain(value) is None and operator == "==":
            return opposite(self.counts)
        word = value.strip().lower() if isinstance(value, str) else value
        if word == "last" and operator != "==":
            raise InvalidValueError(f"{self.name}: 'last' takes '==' or '!=', not {operator!r}.")
        end = _ENDS.get(str(word)) if operator == "==" else None
        if end is not None:
            return all_of([self.counts, self.ends[end]])
        return all_of([self.counts, self.count.fact(value, operator)])


def state_of(value: Any) -> State:
    """Return the state of that name."""
    text = str(plain(value)).strip().lower()
    if text not in set(State):
        raise UnknownNameError("state", value, [state.value for state in State])
    return State(text)


def level_of(value: Any) -> QC | None:
    """Return the level of that name or number, None for what does not apply."""
    value = plain(value)
    if isinstance(value, str) and value.strip().upper() == NOT_APPLICABLE:
        return None
    if isinstance(value, str) and value.strip().isdigit():
        value = int(value)
    return QC.parse(value)


def number_of(name: str, *, times: int = 1, less: int = 0) -> Callable[[Any], float | None]:
    """Return what fits a number to what the database counts."""

    def fit(value: Any) -> float | None:
        value = plain(value)
        if value is None or value == "":
            return None
        try:
            return number(value) * times - less
        except InvalidValueError as error:
            raise InvalidValueError(f"{name}: {error}", column=name, value=value) from error

    return fit
