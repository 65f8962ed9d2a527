"""A new Access file where there is no Java to make one: a copy of a blank one of Access 2010."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path


def make_blank(path: Path) -> None:
    """Make an Access file without tables, unless there is a file of this name."""
    content = (files("vrtracker.backends.access") / "blank.accdb").read_bytes()
    try:
        with path.open("xb") as file:
            file.write(content)
    except FileExistsError:
        return
