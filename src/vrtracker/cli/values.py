"""Read what stands on the command line: filters, assignments, options, sizes, keys."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from typing import Any

from vrtracker.errors import InvalidValueError

_SIZE = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*([a-z]*)", re.IGNORECASE)
_UNITS = {
    "": 1.0,
    "b": 1.0,
    **{f"{prefix}b": 1000.0**power for power, prefix in enumerate("kmgtp", start=1)},
    **{f"{prefix}ib": 1024.0**power for power, prefix in enumerate("kmgtp", start=1)},
}


def values_of(assignments: Sequence[str] | None) -> dict[str, str | None]:
    """Return the new values by column, from ``column=value``; an empty value empties the column.

    Raises InvalidValueError if one is no assignment, or a column is set twice.
    """
    return {
        name: text or None for name, text in _pairs("--set", "column=value", assignments).items()
    }


def options_of(assignments: Sequence[str] | None) -> dict[str, Any]:
    """Return options by name, from ``name=value``; a value is JSON, or else text as it stands."""
    return {
        name: _json_or_text(text)
        for name, text in _pairs("--option", "name=value", assignments).items()
    }


def _pairs(option: str, form: str, assignments: Sequence[str] | None) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for assignment in assignments or ():
        name, equals, text = assignment.partition("=")
        name = name.strip()
        if not equals or not name:
            raise InvalidValueError(f"{option} {assignment!r} is no assignment; write {form}.")
        if name in pairs:
            raise InvalidValueError(f"{option} gives {name} twice; give it once.")
        pairs[name] = text.strip()
    return pairs


def _json_or_text(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def size_of(text: str) -> float:
    """Return a size in bytes, from ``50GB``, ``500 MB``, ``1.5TiB`` or a plain number.

    Notes
    -----
    kB, MB, GB, TB are powers of 1000, KiB, MiB, GiB, TiB of 1024 (IEC 80000-13).

    Raises
    ------
    InvalidValueError
        If it is no size above 0.
    """
    match = _SIZE.fullmatch(text.strip())
    unit = _UNITS.get(match[2].lower()) if match else None
    size = float(match[1]) * unit if match and unit else 0.0
    if size <= 0 or not math.isfinite(size):
        raise InvalidValueError(f"{text!r} is not a size; write 50GB, 500MB or a number of bytes.")
    return size


def names_of(text: str | None) -> list[str] | None:
    """Return the names in ``a,b,c``, or None where there are none.

    Raises InvalidValueError if the text holds no name, or one twice.
    """
    if text is None:
        return None
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names or len(set(names)) < len(names):
        raise InvalidValueError(f"{text!r} is no list of names, each once; write a,b,c.")
    return names
