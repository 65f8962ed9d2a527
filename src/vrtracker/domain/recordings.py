"""Recordings that went on under another number: sessions that are parts of one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from vrtracker.domain.keys import SessionKey

__all__ = ["LINKED", "noted", "recordings_of"]

LINKED = "linked"
"""The verb of the event that each part gets: ``parts`` from and to, by autonumber."""


def recordings_of(changes: Iterable[Mapping[str, Any]]) -> dict[int, tuple[int, ...]]:
    """Return for each session that is part of a recording all parts, in order; by autonumber.

    Parameters
    ----------
    changes
        Of the events that link, oldest first. Each part has one that says the same.
    """
    parts: dict[int, tuple[int, ...]] = {}
    for change in changes:
        old, new = change["parts"]
        for number in old or ():
            parts.pop(number, None)
        parts |= dict.fromkeys(new or (), tuple(new or ()))
    return parts


def noted(notes: str | None, old: Sequence[SessionKey], new: Sequence[SessionKey]) -> str | None:
    """Return notes with the line that names the parts, for people who read the table itself."""
    text = notes or ""
    if old and _line(old) in text:
        text = text.replace(_line(old), "").rstrip("\n")
    if new:
        text = f"{text}\n{_line(new)}" if text else _line(new)
    return text or None


def _line(keys: Sequence[SessionKey]) -> str:
    return f"One recording: {', '.join(map(str, keys))}."
