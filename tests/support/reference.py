"""The names that ``docs/reference.md`` lists, and their examples, each on a lab of its own."""

from __future__ import annotations

import doctest
import inspect
import io
import re
import shutil
from collections.abc import Iterator
from os import link
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from support.pages import PROJECT
from vrtracker.found import framed

__all__ = ["REFERENCE", "STAND_INS", "faults", "has_example", "public"]

REFERENCE = (PROJECT / "docs" / "reference.md").read_text(encoding="utf-8")
STAND_INS = ("vrtracker.interop.vranalysis", "vrtracker.interop.one", "vrtracker.interop.aepsych")
"""Whose names and parameters are those of other packages, which tell what they are."""


def public() -> Iterator[tuple[str, Any]]:
    """Yield what the reference lists, and the public members of its classes and modules."""
    for part in REFERENCE.split("currentmodule:: ")[1:]:
        home, _, listed = part.partition("\n")
        for name in re.findall(r"^   ~?([\w.]+)$", listed, re.MULTILINE):
            full = f"{home}.{name}"
            found = resolve_name(full)
            yield full, found
            if inspect.isclass(found) or inspect.ismodule(found):
                yield from _members(full, found)


def _members(full: str, holder: Any) -> Iterator[tuple[str, Any]]:
    names = getattr(holder, "__all__", None) or [name for name in dir(holder) if name[0] != "_"]
    for name in names:
        # A module may make what it names when it is asked for.
        find = getattr if inspect.ismodule(holder) else inspect.getattr_static
        found = find(holder, name)
        found = found.__func__ if isinstance(found, (classmethod, staticmethod)) else found
        found = found._find if isinstance(found, framed) else found
        if callable(found) and str(getattr(found, "__module__", "")).startswith("vrtracker"):
            yield f"{full}.{name}", inspect.unwrap(found)
            if inspect.ismodule(holder) and inspect.isclass(found):
                yield from _members(f"{full}.{name}", found)


def has_example(found: Any) -> bool:
    """Return whether a docstring shows how a name is used."""
    return ">>> " in (inspect.getdoc(found) or "")


def faults(name: str, found: Any, demo: Path) -> str:
    """Run the examples of a docstring, and return what was not as they say; mostly nothing.

    They have `tracker` on a copy of the demo, and the working folder that holds ``lab.db`` and
    ``lab``, its root. A file of `demo` is not to be written to: copies are links.
    """
    import pandas as pd

    import vrtracker

    for old in Path().iterdir():
        shutil.rmtree(old) if old.is_dir() else old.unlink()
    shutil.copytree(demo / "lab", "lab", copy_function=link)
    shutil.copy(demo / "lab.db", "lab.db")
    told = io.StringIO()
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    tracker = vrtracker.open("lab.db", root="lab", actor="ada")
    names = {"tracker": tracker, "vrtracker": vrtracker, "pd": pd, "Path": Path}
    text = inspect.getdoc(found) or ""
    example = doctest.DocTestParser().get_doctest(text, names, name, name, 0)
    try:
        runner.run(example, out=told.write)
    finally:
        vrtracker.dispose_all()  # what the example opened too
    return told.getvalue()
