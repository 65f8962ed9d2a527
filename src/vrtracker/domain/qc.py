"""Quality control levels."""

from __future__ import annotations

import enum
from typing import Any

from vrtracker.errors import UnknownNameError

__all__ = ["QC"]


class QC(enum.IntEnum):
    """The five ordered levels of quality control, with the numbers that ONE gives them.

    Source: the QC enumeration of ONE-api (``one.alf.spec.QC``).
    """

    NOT_SET = 0
    """Nobody has decided. Never a pass."""
    PASS = 10
    """Looked at and good."""
    WARNING = 30
    """Looked at and usable, with a reservation."""
    FAIL = 40
    """Looked at and not good enough."""
    CRITICAL = 50
    """Looked at and unusable."""

    @classmethod
    def parse(cls, value: Any) -> QC:
        """Return the level that a name (any case), number or member stands for.

        Raises
        ------
        UnknownNameError
            If there is no such level.
        """
        if isinstance(value, str) and value.strip().upper() in cls.__members__:
            return cls[value.strip().upper()]
        try:
            return cls(value)
        except ValueError as error:
            raise UnknownNameError("QC level", value, cls.__members__) from error

    @property
    def accepted(self) -> bool:
        """Whether the decision lets the work go on: PASS or WARNING."""
        return self in {QC.PASS, QC.WARNING}
