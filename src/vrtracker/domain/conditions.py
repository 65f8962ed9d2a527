"""Conditions as people write them: ``imaging and mouse.KO and sessionDate >= today - 7 days``.

Values stay text here: the column that they are compared with says what they mean.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from vrtracker.errors import ConditionError

if TYPE_CHECKING:
    from lark import Lark

__all__ = ["All", "Any_", "Comparison", "Condition", "FromToday", "Not", "parse_condition"]

_GRAMMAR = r"""
?start: either
?either: both ("or" both)*
?both: opposite ("and" opposite)*
?opposite: "not" opposite -> opposite
         | "(" either ")"
         | comparison

?comparison: name                               -> holds
           | name EQUAL several                 -> equal
           | name UNEQUAL several               -> unequal
           | name EQUAL                         -> missing
           | name UNEQUAL                       -> present
           | name ORDER value                   -> ordered
           | name "~" value                     -> like
           | name "like" value                  -> like
           | name "not" "like" value            -> unlike
           | name "is" _MISSING                 -> missing
           | name "is" "not" _MISSING           -> present
           | name "in" "(" several ")"          -> one_of
           | name "not" "in" "(" several ")"    -> none_of
           | name "between" value "and" value   -> between
           | name "not" "between" value "and" value -> not_between

several: value ("," value)*
name: WORD | QUOTED_NAME
?value: WORD -> word
      | QUOTED -> quoted
      | "today"i [SIGN NUMBER UNIT] -> today

EQUAL: "==" | "="
UNEQUAL.2: "!=" | "<>"
ORDER: "<=" | ">=" | "<" | ">"
SIGN: "-" | "+"
NUMBER: /[0-9]+/
UNIT.2: /days?\b/i | /weeks?\b/i
_MISSING: "missing"i | "null"i | "none"i
QUOTED: /"([^"]|"")*"/ | /'([^']|'')*'/
QUOTED_NAME: /`[^`]+`/
WORD: /[^\s()<>=!~,"'`]+/
%ignore /\s+/
"""
_IN_WORDS = {
    "WORD": "a name or a value",
    "QUOTED": "a text in quotes",
    "QUOTED_NAME": "a name",
    "EQUAL": "=",
    "UNEQUAL": "!=",
    "ORDER": "<, <=, > or >=",
    "LPAR": "(",
    "RPAR": ")",
    "COMMA": ",",
    "TILDE": "~",
    "SIGN": "- or +",
    "NUMBER": "a number",
    "UNIT": "days or weeks",
    "_MISSING": "missing",
    "$END": "the end",
}


@dataclass(frozen=True, slots=True)
class FromToday:
    """A day so many days from today, negative for earlier."""

    days: int = 0

    def date(self, today: dt.date) -> dt.date:
        """Return the day."""
        return today + dt.timedelta(days=self.days)


Value = str | FromToday | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """A column compared with values.

    Attributes
    ----------
    name : str
        As it was written, such as ``mouse.KO``.
    operator : str
        ``==``, ``!=``, ``<``, ``<=``, ``>``, ``>=``, ``like``, ``in``, ``not_in``, ``between`` or
        ``is_true``.
    values : tuple
        Texts, days from today, or None for missing; as many as the operator takes.
    at : int
        Where the name stands in the text, counted from 0.
    """

    name: str
    operator: str
    values: tuple[Value, ...] = ()
    at: int = 0


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

    Raises
    ------
    ConditionError
        If it cannot be read; it shows where, and what was expected there.
    """
    from lark.exceptions import UnexpectedCharacters, UnexpectedEOF, UnexpectedToken

    try:
        tree = _parser().parse(text)
    except (UnexpectedToken, UnexpectedCharacters, UnexpectedEOF) as error:
        at = getattr(error, "pos_in_stream", None)
        at = len(text.rstrip()) if at is None or at < 0 or _is_end(error) else at
        raise ConditionError(text, at, tuple(_expected(error))) from None
    return _read(tree)


def _is_end(error: Any) -> bool:
    token = getattr(error, "token", None)
    return token is not None and token.type == "$END"


def _expected(error: Any) -> Iterator[str]:
    names = getattr(error, "accepts", None) or getattr(error, "expected", None)
    names = names or getattr(error, "allowed", None) or ()
    yield from sorted({_IN_WORDS.get(name, name.strip("_").lower()) for name in names})


@cache
def _parser() -> Lark:
    from lark import Lark

    return Lark(_GRAMMAR, parser="lalr", lexer="contextual", maybe_placeholders=False)


def _read(tree: Any) -> Condition:
    """Return the condition that a part of the parse tree says."""
    if tree.data in _JOINED:
        return _JOINED[tree.data](tuple(_read(part) for part in tree.children))
    if tree.data == "opposite":
        return Not(_read(tree.children[0]))
    name, at = _name(tree.children[0])
    values = tuple(_values(tree.children[1:]))
    negated = _NEGATED.get(tree.data)
    if negated is not None:
        return Not(Comparison(name, negated, values, at))
    if tree.data in {"missing", "present"}:
        return Comparison(name, "==" if tree.data == "missing" else "!=", (None,), at)
    if tree.data in {"equal", "unequal"}:
        one, several = _EQUALS[tree.data]
        return Comparison(name, one if len(values) == 1 else several, values, at)
    operator = str(tree.children[1]) if tree.data == "ordered" else _OPERATORS[tree.data]
    return Comparison(name, operator, values, at)


_JOINED: dict[str, Any] = {"both": All, "either": Any_}
_EQUALS = {"equal": ("==", "in"), "unequal": ("!=", "not_in")}
_OPERATORS = {"holds": "is_true", "like": "like", "between": "between"}
_OPERATORS |= {"one_of": "in", "none_of": "not_in"}
_NEGATED = {"unlike": "like", "not_between": "between"}


def _name(tree: Any) -> tuple[str, int]:
    token = tree.children[0]
    return str(token).strip("`"), token.start_pos


def _values(parts: list[Any]) -> Iterator[Value]:
    for part in parts:
        kind = getattr(part, "data", None)
        if kind == "several":
            yield from _values(part.children)
        elif kind == "today":
            yield _from_today([str(word) for word in part.children])
        elif kind == "quoted":
            yield _unquoted(str(part.children[0]))
        elif kind == "word":
            yield str(part.children[0])


def _from_today(words: list[str]) -> FromToday:
    if not words:
        return FromToday()
    sign, number, unit = words
    days = int(number) * (_WEEK if unit.lower().startswith("week") else 1)
    return FromToday(-days if sign == "-" else days)


_WEEK = 7


def _unquoted(text: str) -> str:
    quote = text[0]
    return text[1:-1].replace(quote * 2, quote)
