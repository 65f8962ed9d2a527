"""What look-ups return: frozen rows, detached from any database."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from vrtracker.domain.keys import SessionKey

__all__ = ["MouseRecord", "SessionRecord"]


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """One row of `sessiondb`; fields are its columns, in its order.

    Notes
    -----
    Units and meanings are those of the columns: see `vrtracker.models.sessions`.
    """

    uSessionID: int
    mouseName: str
    sessionDate: dt.date
    sessionID: int
    experimentType: str | None
    experimentID: int | None
    variableGain: bool
    behavior: bool
    imaging: bool
    faceCamera: bool
    vrEnvironments: int | None
    headPlateRotation: float | None
    numPlanes: int | None
    planeSeparation: float | None
    pockelsPercentage: float | None
    objectiveRotation: float | None
    vrRegistration: bool
    suite2p: bool
    suite2pQC: bool
    redCellQC: bool
    sessionQC: bool
    scratchJustification: str | None
    logtime: dt.datetime | None
    sessionNotes: str | None
    suite2pDate: dt.datetime | None
    vrRegistrationDate: dt.datetime | None
    vrRegistrationError: bool
    vrRegistrationException: str | None
    redCellQCDate: dt.datetime | None
    vrBehaviorVersion: int | None
    dontTrack: bool
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Columns that the lab has added to its table, by name."""

    @classmethod
    def of_row(cls, row: Sequence[Any], lab_columns: Sequence[str]) -> Self:
        """Make a record of a row: the values of the fields, then those of the lab's columns."""
        width = len(row) - len(lab_columns)
        return cls(*[*row[:width], dict(zip(lab_columns, row[width:], strict=True))])

    @property
    def key(self) -> SessionKey:
        """The session's identity."""
        return SessionKey(self.mouseName, self.sessionDate, self.sessionID)


@dataclass(frozen=True, slots=True)
class MouseRecord:
    """One row of `mousedb`; fields are its columns, in its order."""

    uMouseID: int
    mouseName: str
    tracked: bool
    trackerExists: bool
    KO: bool
    Blinded: bool
    environmentOrder: str | None
    experimentID: int | None
    sex: str | None
    dateOfBirth: dt.date | None
    genotype: str | None
    strain: str | None
    notes: str | None
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Columns that the lab has added to its table, by name."""

    @classmethod
    def of_row(cls, row: Sequence[Any], lab_columns: Sequence[str]) -> Self:
        """Make a record of a row: the values of the fields, then those of the lab's columns."""
        width = len(row) - len(lab_columns)
        return cls(*[*row[:width], dict(zip(lab_columns, row[width:], strict=True))])
