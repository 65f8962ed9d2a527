"""Recordings that went on under another number: sessions that are parts of one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from vrtracker.domain.keys import SessionKey

LINKED = "linked"
"""The verb of the event that each part gets: ``parts`` from and to, by autonumber."""


def recordings_of(changes: Iterable[Mapping[str, Any]]) -> dict[int, tuple[int, ...]]:
    """Return for each session that is part of a recording all parts, in order; by autonumber.

    `changes`: of the events that link, oldest first. Each part has one that says the same.
    """
    parts: dict[int, tuple[int, ...]] = {}
    for change in changes:
        old, new = change["parts"]
        for number in old or ():
            parts.pop(number, None)
        parts |= dict.fromkeys(new or (), tuple(new or ()))
    return parts


def noted(notes: str | None, key: SessionKey, parts: Sequence[SessionKey]) -> str | None:
    """Return a session's notes with the line that names the parts, for people who read the table.

    Lines that name parts as they were go; they may hold numbers that are no longer in use.
    """
    part = rf"{re.escape(f'{key.mouse}.{key.date.isoformat()}.')}\d+"
    ours = re.compile(rf"One recording: {part}(?:, {part})+\.")
    text = notes or ""
    lines = text.splitlines(keepends=True)
    kept = [line for line in lines if not ours.fullmatch(line.strip())]
    if kept != lines:
        text = "".join(kept).rstrip("\r\n")
    if parts:
        line = f"One recording: {', '.join(map(str, parts))}."
        text = f"{text}\n{line}" if text else line
    return text or None
