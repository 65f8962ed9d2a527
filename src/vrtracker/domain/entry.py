"""What a new session takes over from an earlier one, and words that are new to the lab."""

from __future__ import annotations

from collections.abc import Iterable

from vrtracker.spelling import did_you_mean, nearest

DESCRIPTIVE = (
    "experimentType",
    "experimentID",
    "variableGain",
    "behavior",
    "imaging",
    "faceCamera",
    "vrEnvironments",
    "headPlateRotation",
    "numPlanes",
    "planeSeparation",
    "pockelsPercentage",
    "objectiveRotation",
    "vrBehaviorVersion",
    "dontTrack",
)
"""Columns that say how a session was recorded, not what became of it."""

VOCABULARIES = ("experimentType", "experimentID", "vrEnvironments", "vrBehaviorVersion")
"""Columns in which a lab uses few values again and again."""

_SHOWN = 12


def new_word(column: str, value: object, known: Iterable[object]) -> str:
    """Say that no session has this value yet, and which it may be meant for."""
    words = sorted({str(word) for word in known})
    shown = ", ".join(words[:_SHOWN]) + (", …" if len(words) > _SHOWN else "")
    hint = did_you_mean(nearest(str(value), words)) or f" In use: {shown}."
    return f"{column}: no session has {value!r} yet.{hint}"
