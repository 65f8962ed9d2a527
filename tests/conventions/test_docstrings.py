"""Every public name tells what it takes, gives and raises."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import textwrap
from collections.abc import Iterator
from typing import Any

import vrtracker
from support.pages import PROJECT
from vrtracker.errors import VrtrackerError

REFERENCE = (PROJECT / "docs" / "reference.md").read_text(encoding="utf-8")
TOLD_ONCE = {"self", "cls"} | {
    name
    for words in re.findall(r"^\| (`.+?`) \|", REFERENCE, re.MULTILINE)
    for name in re.findall(r"`(\w+)`", words)
}
"""Parameters that need no word of their own: the reference tells what they are in every call."""
STAND_INS = ("vrtracker.interop.vranalysis", "vrtracker.interop.one", "vrtracker.interop.aepsych")
"""Whose names and parameters are those of other packages, which tell what they are."""


def _public() -> Iterator[tuple[str, Any]]:
    """Yield what the reference lists, and the public members of its classes and modules."""
    for part in REFERENCE.split("currentmodule:: ")[1:]:
        home, _, listed = part.partition("\n")
        for name in re.findall(r"^   ~?([\w.]+)$", listed, re.MULTILINE):
            full = f"{home}.{name}"
            found = _found(full)
            yield full, found
            if inspect.isclass(found) or inspect.ismodule(found):
                yield from _members(full, found)


def _found(full: str) -> Any:
    module, _, name = full.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name)
    except (AttributeError, ModuleNotFoundError, ValueError):
        return importlib.import_module(full)


def _members(full: str, holder: Any) -> Iterator[tuple[str, Any]]:
    names = getattr(holder, "__all__", None) or [name for name in dir(holder) if name[0] != "_"]
    for name in names:
        # A module may make what it names when it is asked for.
        find = getattr if inspect.ismodule(holder) else inspect.getattr_static
        found = find(holder, name)
        found = found.__func__ if isinstance(found, (classmethod, staticmethod)) else found
        if callable(found) and str(getattr(found, "__module__", "")).startswith("vrtracker"):
            yield f"{full}.{name}", inspect.unwrap(found)
            if inspect.ismodule(holder) and inspect.isclass(found):
                yield from _members(f"{full}.{name}", found)


def _said(call: Any) -> str:
    return inspect.getdoc(call) or ""


def missing(call: Any) -> list[str]:
    """Return what a call's docstring does not tell."""
    words = set(re.findall(r"\w+", _said(call)))
    signature = inspect.signature(call)
    untold = [name for name in signature.parameters if name not in TOLD_ONCE | words]
    tree = ast.parse(textwrap.dedent(inspect.getsource(call)))
    raised = {
        node.exc.func.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Raise)
        and isinstance(node.exc, ast.Call)
        and isinstance(node.exc.func, ast.Name)
    }
    ours = {name for name in raised if _is_ours(name)}
    return [*untold, *sorted(ours - words)]


def _is_ours(name: str) -> bool:
    found = getattr(importlib.import_module("vrtracker.errors"), name, None)
    return inspect.isclass(found) and issubclass(found, VrtrackerError)


def test_every_call_of_the_reference_tells_what_it_takes_and_raises():
    calls = {name: call for name, call in _public() if inspect.isfunction(call)}
    untold = {
        name: missing(call)
        for name, call in calls.items()
        if not name.startswith(STAND_INS) and missing(call)
    }

    assert len(calls) > 250
    assert all(map(_said, calls.values()))
    assert not untold


def test_the_reference_lists_what_the_package_gives():
    listed = {name.rpartition(".")[2] for name, _ in _public()}

    assert set(vrtracker.__all__) <= listed | {"__version__", "VrtrackerError"}


def test_what_is_not_told_is_noticed():
    def call(one: int, other: int) -> None:
        """Do it with `one`."""
        raise InvalidValueError(other)  # noqa: F821

    assert missing(call) == ["other", "InvalidValueError"]
