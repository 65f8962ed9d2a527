"""Which names a staging folder and an output may have."""

from __future__ import annotations

import re

from vrtracker.errors import InvalidValueError
from vrtracker.files.layout import SUPERSEDED

_TOKEN = re.compile(r"[A-Za-z0-9_-]+")
_OUTPUT = re.compile(r"\w[\w.-]*")


def check_names(output: str, token: str) -> None:
    """Raise InvalidValueError for what cannot be part of a folder's name."""
    if not _TOKEN.fullmatch(token):
        raise InvalidValueError(
            f"{token!r} cannot name a staging folder; use letters, digits, '_' and '-'.",
            value=token,
        )
    if not _OUTPUT.fullmatch(output) or output == SUPERSEDED:
        raise InvalidValueError(
            f"{output!r} cannot be an output folder; give the name of one folder, "
            f"not hidden and not {SUPERSEDED!r}.",
            value=output,
        )
