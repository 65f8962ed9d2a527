"""Conditions as people write them: ``imaging and mouse.KO and sessionDate >= today - 7 days``.

Values stay text here: the column that they are compared with says what they mean.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from vrtracker.domain.keys import is_key
from vrtracker.errors import ConditionError, InvalidValueError

if TYPE_CHECKING:
    from lark import Lark

KEY = "key"
"""The name that stands for the keys of sessions; a key alone is compared with it."""
_GRAMMAR = r"""
?start: either
?either: both (_OR both)*
?both: opposite (_AND opposite)*
?opposite: _NOT opposite -> opposite
         | "(" either ")"
         | comparison

?comparison: name                                  -> holds
           | name EQUAL several                    -> equal
           | name UNEQUAL several                  -> unequal
           | name EQUAL                            -> missing
           | name UNEQUAL                          -> present
           | name ORDER value                      -> ordered
           | name ("~" | _LIKE) value              -> like
           | name _NOT _LIKE value                 -> unlike
           | name _CONTAINS value                  -> contains
           | name _NOT _CONTAINS value             -> not_contains
           | name _IS _MISSING                     -> missing
           | name _IS _NOT _MISSING                -> present
           | name _IN "(" several ")"              -> one_of
           | name _NOT _IN "(" several ")"         -> none_of
           | name _BETWEEN value _AND value        -> between
           | name _NOT _BETWEEN value _AND value   -> not_between

several: value ("," value)*
name: WORD+ | QUOTED_NAME
?value: VALUE MORE* -> words
      | QUOTED -> quoted
      | TODAY [SIGN NUMBER UNIT] -> today

_AND.3: /and(?![^\s()])/i
_OR.3: /or(?![^\s()])/i
_NOT.3: /not(?![^\s()])/i
_IN.3: /in(?![^\s()])/i
_IS.3: /is(?![^\s()])/i
_LIKE.3: /like(?![^\s"'])/i
_CONTAINS.3: /contains(?![^\s"'])/i
_BETWEEN.3: /between(?![^\s"'])/i
_MISSING.3: /(missing|null|none)(?![^\s()])/i
TODAY.3: /(today|yesterday)(?![^\s(),+-])/i
UNIT.3: /(days?|weeks?)(?![^\s(),])/i
EQUAL: "==" | "="
UNEQUAL.2: "!=" | "<>"
ORDER: "<=" | ">=" | "<" | ">"
SIGN: "-" | "+"
NUMBER: /[0-9]+/
QUOTED: /"([^"]|"")*"/ | /'([^']|'')*'/
QUOTED_NAME: /`[^`]+`/
WORD: /(?!(and|or|not|in|is|like|contains|between)(?![^\s()]))[^\s()<>=!~,"'`]+/i
VALUE: /[^\s()<>=!~,"'`][^\s(),]*/
MORE: /[^\s()<>=!~,"'`][^\s()<>=!~,]*(?![^\s(),])/
%ignore /\s+/
"""
_IN_WORDS = {
    "WORD": "a name",
    "QUOTED_NAME": "a name",
    "VALUE": "a value",
    "QUOTED": "a value",
    "TODAY": "a value",
    "EQUAL": "=",
    "UNEQUAL": "!=",
    "ORDER": "<",
    "LPAR": "(",
    "RPAR": ")",
    "COMMA": ",",
    "TILDE": "like",
    "MORE": "more of the value",
    "SIGN": "- or +",
    "NUMBER": "a number",
    "UNIT": "days or weeks",
    "$END": "the end",
}
MOST = 200
"""Comparisons of one condition or selection; databases take no more than some hundreds."""
TOO_MANY = f"more than {MOST} comparisons; write lists: name in (a, b)."
_SIGNS, _MOST_SIGNS = frozenset({"LPAR", "_AND", "_OR", "_NOT"}), 10 * MOST
"""What conditions grow by, other than lists."""
_DEEPEST = 50


@dataclass(frozen=True, slots=True)
class FromToday:
    """A day so many days from today, negative for earlier."""

    days: int = 0

    def date(self, today: dt.date) -> dt.date:
        """Return the day, or raise InvalidValueError if no calendar has it."""
        try:
            return today + dt.timedelta(days=self.days)
        except OverflowError as error:
            raise InvalidValueError(
                f"today {'-' if self.days < 0 else '+'} {abs(self.days)} days is no day of the "
                "years 1 to 9999; write fewer days, or a date such as 2023-01-20."
            ) from error


Value = str | FromToday | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """A column compared with values."""

    name: str
    """As it was written, such as ``mouse.KO``."""
    operator: str
    """``==``, ``!=``, ``<``, ``<=``, ``>``, ``>=``, ``like``, ``contains``, ``in``, ``not_in``,
    ``between`` or ``is_true``.
    """
    values: tuple[Value, ...] = ()
    """Texts, days from today, or None for missing; as many as the operator takes."""
    at: int = 0
    values_at: int = field(default=0, compare=False)
    """Where the name and the first value stand in the text, counted from 0."""


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite of a condition."""

    part: Condition


@dataclass(frozen=True, slots=True)
class All:
    """Conditions that all have to hold."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Any_:  # noqa: N801 - typing has the name without
    """Conditions of which one has to hold."""

    parts: tuple[Condition, ...]


Condition = Comparison | Not | All | Any_


def parse_condition(text: str) -> Condition:
    """Read a condition.

    Raises ConditionError if it cannot be read; it shows where, and what was expected there.
    """
    from lark.exceptions import UnexpectedInput

    try:
        tree = _tree(text)
    except UnexpectedInput as error:
        at = getattr(error, "pos_in_stream", None) or 0
        at = len(text.rstrip()) if _is_end(error) else at
        expected = _expected(error)
        shown = ", ".join(word if " " in word else repr(word) for word in expected)
        problem = f"The condition cannot be read; expected {shown}."
        raise ConditionError(problem, text, at, expected) from None
    condition = _Reading(text).condition(tree)
    if sum(1 for _ in comparisons(condition)) > MOST:
        raise ConditionError(f"The condition has {TOO_MANY}", text, 0)
    return condition


def _tree(text: str) -> Any:
    """Return the parse tree of a condition; one that is far too long is not read to its end."""
    reading: Any = _parser().parse_interactive(text)
    signs = 0
    for token in reading.iter_parse():
        signs += token.type in _SIGNS
        if signs > _MOST_SIGNS:
            problem = f"The condition has more than {_MOST_SIGNS} brackets and words and, or, not."
            raise ConditionError(problem, text, 0)
    return reading.feed_eof()


def comparisons(condition: Condition) -> Iterator[Comparison]:
    """Yield the comparisons of a condition, in the order of the text."""
    if isinstance(condition, Comparison):
        yield condition
        return
    parts: tuple[Condition, ...]
    parts = (condition.part,) if isinstance(condition, Not) else condition.parts
    for part in parts:
        yield from comparisons(part)


@dataclass(frozen=True, slots=True)
class Ending:
    """Where a condition that is being written stands.

    `at`: where the word that is being written begins, counted from 0. `begun`: what there is of it.
    `takes`: what the grammar takes there, in its own names. `name`: what is compared; empty where
    no name was written yet.
    """

    at: int
    begun: str
    takes: frozenset[str]
    name: str


def ending_of(text: str) -> Ending | None:
    """Return where a condition that is being written stands, None if it cannot be read so far."""
    from lark.exceptions import UnexpectedInput

    closed = _CLOSED.sub(lambda found: "x" * len(found[0]), text)
    begun = _BEGUN.search(closed)
    at = len(text) if begun is None else begun.start()
    reading: Any = _parser().parse_interactive(text[:at])
    try:
        tokens = list(reading.iter_parse())
    except UnexpectedInput:
        return None
    takes, kinds = frozenset(reading.accepts()), [token.type for token in tokens]
    if text[at : at + 1] in {"'", '"', "`"}:
        takes &= {"QUOTED", "QUOTED_NAME"}
    elif at < len(text) and "MORE" in takes:
        # A value of several words goes on.
        at, takes = int(tokens[_last(kinds, {"VALUE"})].start_pos), frozenset({"VALUE"})
    last = _last(kinds, _NAMES)
    if last >= 0 and last == len(kinds) - 1:
        takes -= _NAMES
    first = last
    while first > 0 and kinds[first - 1] == kinds[last] == "WORD":
        first -= 1
    name = text[tokens[first].start_pos : tokens[last].end_pos].strip("`") if last >= 0 else ""
    return Ending(at, text[at:], takes, name)


_NAMES = frozenset({"WORD", "QUOTED_NAME"})
_CLOSED = re.compile(r"""'(?:[^']|'')*'(?!')|"(?:[^"]|"")*"(?!")|`[^`]+`""")
_BEGUN = re.compile(r"""['"`].*$|[^\s()<>=!~,]+$""", re.DOTALL)


def _last(kinds: list[str], wanted: Iterable[str]) -> int:
    """Return the place of the last token of some kinds, -1 where there is none."""
    return max((place for place, kind in enumerate(kinds) if kind in wanted), default=-1)


def _is_end(error: Any) -> bool:
    token = getattr(error, "token", None)
    return token is not None and token.type == "$END"


def _expected(error: Any) -> tuple[str, ...]:
    """Return what could have stood there, the most likely first."""
    names = getattr(error, "expected", None) or getattr(error, "allowed", None) or ()
    order = list(_IN_WORDS)
    known = sorted(names, key=lambda name: order.index(name) if name in order else len(order))
    words = (_IN_WORDS.get(name, name.strip("_").lower()) for name in known)
    return tuple(sorted(dict.fromkeys(words), key=lambda word: word.isalpha()))


@cache
def _parser() -> Lark:
    from lark import Lark

    return Lark(_GRAMMAR, parser="lalr", lexer="contextual", maybe_placeholders=False)


class _Reading:
    """Turns the parse tree of a text into conditions."""

    def __init__(self, text: str) -> None:
        self._text = text

    def condition(self, tree: Any, depth: int = 0) -> Condition:
        """Return the condition that a part of the tree says."""
        if depth > _DEEPEST:
            problem = f"The condition is nested more than {_DEEPEST} deep."
            raise ConditionError(problem, self._text, 0)
        if tree.data in _JOINED:
            join: type[All | Any_] = _JOINED[tree.data]
            return join(tuple(self.condition(part, depth + 1) for part in tree.children))
        if tree.data == "opposite":
            return Not(self.condition(tree.children[0], depth + 1))
        negated = _NEGATED.get(tree.data)
        return Not(self._comparison(tree, negated)) if negated else self._comparison(tree)

    def _comparison(self, tree: Any, operator: str | None = None) -> Comparison:
        first, *rest = tree.children
        name, at = self._span(first.children).strip("`"), first.children[0].start_pos
        if tree.data == "holds" and is_key(name):
            return Comparison(KEY, "==", (name,), at, at)
        values = tuple(self._values(rest))
        if tree.data in _MISSING:
            values, operator = (None,), _MISSING[tree.data]
        elif tree.data in _EQUALS:
            operator = _EQUALS[tree.data][len(values) > 1]
        elif tree.data == "ordered":
            operator = str(rest[0])
        values_at = next((self._start(part) for part in rest if hasattr(part, "data")), at)
        return Comparison(name, operator or _OPERATORS[tree.data], values, at, values_at)

    def _values(self, parts: list[Any]) -> Iterator[Value]:
        for part in parts:
            kind = getattr(part, "data", None)
            if kind == "several":
                yield from self._values(part.children)
            elif kind == "today":
                yield _from_today(*map(str, part.children))
            elif kind == "quoted":
                yield _unquoted(str(part.children[0]))
            elif kind == "words":
                yield self._span(part.children)

    def _span(self, tokens: list[Any]) -> str:
        return self._text[tokens[0].start_pos : tokens[-1].end_pos]

    def _start(self, part: Any) -> int:
        while getattr(part, "children", None):
            part = part.children[0]
        return getattr(part, "start_pos", None) or 0


_JOINED: dict[str, Any] = {"both": All, "either": Any_}
_MISSING = {"missing": "==", "present": "!="}
_EQUALS = {"equal": ("==", "in"), "unequal": ("!=", "not_in")}
_OPERATORS = {"holds": "is_true", "like": "like", "contains": "contains", "between": "between"}
_OPERATORS |= {"one_of": "in", "none_of": "not_in"}
_NEGATED = {"unlike": "like", "not_contains": "contains", "not_between": "between"}
_WEEK = 7
_DIGITS = 18


_SPOKEN = re.compile(r"(today|yesterday)(?:\s*([+-])\s*([0-9]+)\s*(days?|weeks?))?", re.IGNORECASE)


def from_today(text: str) -> FromToday | None:
    """Return the day that ``yesterday`` or ``today - 7 days`` is; None for another text."""
    match = _SPOKEN.fullmatch(text.strip())
    return match and _from_today(*match.groups())


def _from_today(
    day: str, sign: str | None = None, number: str | None = None, unit: str | None = None
) -> FromToday:
    begin = -1 if day.lower() == "yesterday" else 0
    if sign is None or number is None or unit is None:
        return FromToday(begin)
    # A number with more digits is as far beyond the calendar.
    count = int(number.lstrip("0")[:_DIGITS] or 0)
    days = count * (_WEEK if unit.lower().startswith("week") else 1)
    return FromToday(begin - days if sign == "-" else begin + days)


def _unquoted(text: str) -> str:
    quote = text[0]
    return text[1:-1].replace(quote * 2, quote)
