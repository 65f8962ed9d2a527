"""What look-ups return: frozen rows, detached from any database."""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from vrtracker.display import Facts, Shown
from vrtracker.domain.keys import SessionKey
from vrtracker.domain.mice import veiled

_NONE: Mapping[str, Any] = {}


def _facts(title: str, values: Mapping[str, Any]) -> Facts:
    told = [(name, value) for name, value in values.items() if value is not None]
    return Facts(title, told, most=len(told))


def values_of(record: Any) -> dict[str, Any]:
    """Return every column of a record by name, those that the lab has added too."""
    known = {name: getattr(record, name) for name in record.__slots__ if name != "extra"}
    return {**known, **record.extra}


def row_digest(record: Any, changes: Mapping[str, Any] = _NONE) -> str:
    """Return what tells whether a row is as it was: 24 letters, of all its columns.

    `changes`: new values of some columns.
    """
    values = values_of(record)
    for name, value in changes.items():
        values[name] = value.replace(microsecond=0) if isinstance(value, dt.datetime) else value
    written = _as_repr(tuple(values)) % tuple(values.values())
    return hashlib.blake2b(written.encode(), digest_size=12).hexdigest()


@functools.lru_cache(maxsize=8)
def _as_repr(names: tuple[str, ...]) -> str:
    """Return what writes values as `repr` of a dict does, the names written once for all."""
    return "{" + ", ".join(f"{name!r}".replace("%", "%%") + ": %r" for name in names) + "}"


class _OfRow(Shown):
    __slots__ = ()

    @classmethod
    def of_row(cls, row: Sequence[Any], lab_columns: Sequence[str]) -> Self:
        """Make a record of a row: the values of the fields, then those of the lab's columns."""
        if not lab_columns:
            return cls(*row)
        width = len(row) - len(lab_columns)
        return cls(*[*row[:width], dict(zip(lab_columns, row[width:], strict=True))])


@dataclass(frozen=True, slots=True)
class SessionRecord(_OfRow):
    """One row of `sessiondb`; fields are its columns, in its order.

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

    @property
    def key(self) -> SessionKey:
        """The session's identity."""
        return SessionKey(self.mouseName, self.sessionDate, self.sessionID)

    def facts(self) -> Facts:
        """Return the columns that have a value."""
        scratched = "" if self.sessionQC else f", scratched: {self.scratchJustification}"
        return _facts(f"Session {self.key}{scratched}", values_of(self))


@dataclass(frozen=True, slots=True, repr=False)
class MouseRecord(_OfRow):
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

    def facts(self) -> Facts:
        """Return the columns that have a value, but a blinded mouse's genotype."""
        return _facts(f"Mouse {self.mouseName}", veiled(values_of(self)))

    def __repr__(self) -> str:
        """Return the columns, but a blinded mouse's genotype: a prompt shows it unasked."""
        shown = ", ".join(f"{name}={value!r}" for name, value in veiled(values_of(self)).items())
        return f"MouseRecord({shown})"
