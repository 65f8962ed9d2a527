"""The one place of this package that prints, and how it writes values for people."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

_UNITS = ("bytes", "KB", "MB", "GB", "TB")
_STEP = 1024


def say(*parts: object) -> None:
    """Print a line: what the old module printed is part of what its users read."""
    print(*parts)  # noqa: T201


def readable_bytes(size: float) -> str:
    """Return a number of bytes for people, such as ``1.5 GB``."""
    unit = 0
    while size >= _STEP and unit < len(_UNITS) - 1:
        size /= _STEP
        unit += 1
    return f"{size:.0f} {_UNITS[0]}" if unit == 0 else f"{size:.2f} {_UNITS[unit]}"


def shown_key(columns: Mapping[str, Any]) -> str:
    """Return a key for people; of a date the day alone."""
    days = {
        name: f"{value:%Y-%m-%d}" if isinstance(value, dt.date) else value
        for name, value in columns.items()
    }
    return ", ".join(f"{name}={value}" for name, value in days.items())
