"""Every public name tells what it takes, gives and raises."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import textwrap
from typing import Any

import vrtracker
from support.reference import REFERENCE, STAND_INS, public
from vrtracker.errors import VrtrackerError

TOLD_ONCE = {"self", "cls"} | {
    name
    for words in re.findall(r"^\| (`.+?`) \|", REFERENCE, re.MULTILINE)
    for name in re.findall(r"`(\w+)`", words)
}
"""Parameters that need no word of their own: the reference tells what they are in every call."""


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
    calls = {name: call for name, call in public() if inspect.isfunction(call)}
    untold = {
        name: missing(call)
        for name, call in calls.items()
        if not name.startswith(STAND_INS) and missing(call)
    }

    assert len(calls) > 250
    assert all(map(_said, calls.values()))
    assert not untold


def test_the_reference_lists_what_the_package_gives():
    listed = {name.rpartition(".")[2] for name, _ in public()}

    assert set(vrtracker.__all__) <= listed | {"__version__", "VrtrackerError"}


def test_what_is_not_told_is_noticed():
    def call(one: int, other: int) -> None:
        """Do it with `one`."""
        raise InvalidValueError(other)  # noqa: F821

    assert missing(call) == ["other", "InvalidValueError"]
