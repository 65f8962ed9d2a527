"""Pickles of plain values, read without Python's own reader: nothing in them is ever run.

A pickle is a small program for a machine with a stack. This is that machine without the
instructions that import, call or build anything; whoever uses those is refused before.
"""

from __future__ import annotations

import pickletools
from typing import Any

_DEEPEST = 64
_MOST = 1_000_000
"""Values in all: one that refers to itself again and again may stand for endlessly many."""

_CONSTANTS: dict[str, Any] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_GIVEN = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
}
_EMPTY = {"EMPTY_LIST": list, "EMPTY_DICT": dict, "EMPTY_TUPLE": list}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_KEPT = {"PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"}
_ASKED = {"GET", "BINGET", "LONG_BINGET"}
_SILENT = {"PROTO", "FRAME"}
_RUNS = {
    *("GLOBAL", "STACK_GLOBAL", "REDUCE", "BUILD", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX"),
    *("EXT1", "EXT2", "EXT4", "PERSID", "BINPERSID"),
}
_DAMAGE = (ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError, MemoryError)


def plain_value(data: bytes) -> Any:
    """Return the value of a pickle, as JSON has it: tuples are lists.

    Raises ValueError if it would import or call anything, is nested too deep, holds anything else
    than null, true and false, numbers, texts, lists and mappings with texts for keys, or is
    damaged.
    """
    try:
        found = _Machine().run(data)
    except _DAMAGE as error:
        if isinstance(error, _RefusedError):
            raise
        raise _RefusedError(f"is damaged ({error})") from error
    return _Plain().of(found, 0)


def content_of(data: bytes) -> Any:
    """Return the text, list or mapping that a pickle holds; of any other the bytes, unopened."""
    try:
        found = plain_value(data)
    except ValueError:
        return data
    return found if isinstance(found, str | list | dict) else data


class _RefusedError(ValueError):
    """What is wrong with a pickle."""


class _Machine:
    def __init__(self) -> None:
        self._stack: list[Any] = []
        self._below: list[list[Any]] = []
        self._memo: dict[int, Any] = {}

    def run(self, data: bytes) -> Any:
        for opcode, argument, _ in pickletools.genops(data):
            if opcode.name == "STOP":
                (value,) = self._stack
                return value
            self._step(opcode.name, argument)
        raise _RefusedError("has no end")

    def _step(self, name: str, argument: Any) -> None:
        if name in _SILENT:
            return
        if name in _CONSTANTS or name in _GIVEN:
            self._stack.append(_CONSTANTS.get(name, argument))
        elif name in _EMPTY:
            self._stack.append(_EMPTY[name]())
        elif name in _TUPLES:
            self._stack.append([self._stack.pop() for _ in range(_TUPLES[name])][::-1])
        elif name in _KEPT:
            place = len(self._memo) if name == "MEMOIZE" else argument
            self._memo[place] = self._stack[-1]
        elif name in _ASKED:
            self._stack.append(self._memo[argument])
        else:
            self._contain(name, argument)

    def _contain(self, name: str, argument: Any) -> None:
        match name:
            case "MARK":
                self._below.append(self._stack)
                self._stack = []
            case "LIST" | "TUPLE" | "DICT":
                # First what stands above the mark: taking it changes which stack there is.
                values = self._marked()
                self._stack.append(_pairs({}, values) if name == "DICT" else values)
            case "APPEND":
                value = self._stack.pop()
                self._stack[-1].append(value)
            case "APPENDS":
                values = self._marked()
                self._stack[-1].extend(values)
            case "SETITEM":
                value, key = self._stack.pop(), self._stack.pop()
                _pairs(self._stack[-1], [key, value])
            case "SETITEMS":
                values = self._marked()
                _pairs(self._stack[-1], values)
            case _ if name in _RUNS:
                what = f" {argument!r}" if isinstance(argument, str) else ""
                raise _RefusedError(
                    f"is a program: it would import or call something ({name}{what})"
                )
            case _:
                raise _RefusedError(f"holds something else than plain values ({name})")

    def _marked(self) -> list[Any]:
        values, self._stack = self._stack, self._below.pop()
        return values


def _pairs(mapping: Any, values: list[Any]) -> Any:
    if not isinstance(mapping, dict):
        raise _RefusedError("sets an item of something that has none")
    mapping.update(zip(values[::2], values[1::2], strict=True))
    return mapping


class _Plain:
    """Copies a value, counting its parts."""

    def __init__(self) -> None:
        self._left = _MOST

    def of(self, value: Any, depth: int) -> Any:
        self._left -= 1
        if depth > _DEEPEST or self._left < 0:
            raise _RefusedError(
                f"is nested deeper than {_DEEPEST}, or holds more than {_MOST:,} values"
            )
        if isinstance(value, list):
            return [self.of(each, depth + 1) for each in value]
        if isinstance(value, dict):
            return {_key(key): self.of(each, depth + 1) for key, each in value.items()}
        return value


def _key(key: Any) -> str:
    if not isinstance(key, str):
        raise _RefusedError(f"has a key that is no text ({key!r})")
    return key
