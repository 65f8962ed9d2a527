"""``vrtracker sessions split`` and ``merge``: recordings that went on under another number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from vrtracker.cli.options import Json, Key, Reason, argument, option
from vrtracker.cli.output import answer
from vrtracker.cli.shell import shell_of
from vrtracker.errors import InvalidValueError


def split(
    context: typer.Context,
    key: Key,
    numbers: Annotated[list[int], argument("NUMBER...", "The numbers it went on under.")],
    *,
    reason: Reason = None,
    json: Json = False,
) -> None:
    """Add the sessions under whose numbers a recording went on, and link them with it.

    They are described like KEY. Sessions that are there already are linked by sessions merge.

    Example: vrtracker sessions split ATL012.2023-01-20.702 703 --reason "vrControl crashed"
    """
    with shell_of(context).open() as tracker:
        parts = tracker.recordings.split(key, *numbers, reason=reason)
    _report(parts, json=json)


def merge(
    context: typer.Context,
    keys: Annotated[list[str], argument("KEY...", "The parts, in order.")],
    *,
    undo: Annotated[
        bool, option("--undo", "Take this session out of its recording again.")
    ] = False,
    reason: Reason = None,
    json: Json = False,
) -> None:
    """Link sessions of one mouse and day as parts of one recording.

    Each keeps its row, its folder and its state, and gets a line in its notes.

    Example: vrtracker sessions merge ATL012.2023-01-20.702 ATL012.2023-01-20.703
    """
    if undo and len(keys) != 1:
        raise InvalidValueError("--undo takes one session out at a time.")
    with shell_of(context).open() as tracker:
        if undo:
            parts = tracker.recordings.separate(keys[0], reason=reason)
        else:
            parts = tracker.recordings.merge(*keys, reason=reason)
    _report(parts, json=json)


def _report(parts: Sequence[Any], *, json: bool) -> None:
    answer(
        {"parts": [str(part) for part in parts]},
        f"one recording: {', '.join(map(str, parts))}",
        json=json,
    )
