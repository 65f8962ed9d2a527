"""The one place of this package that prints."""

from __future__ import annotations

__all__ = ["readable_bytes", "say"]

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
