"""Quality control levels."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import Any

from vrtracker.domain.states import State
from vrtracker.errors import UnknownNameError

NOT_APPLICABLE = "NOT_APPLICABLE"
"""The word for a check that a session does not have; its level is None."""


class QC(enum.IntEnum):
    """The five ordered levels of quality control, with the numbers that ONE gives them.

    Source: the QC enumeration of ONE-api (``one.alf.spec.QC``).

    Examples
    --------
    >>> vrtracker.QC.parse("pass")
    <QC.PASS: 10>
    >>> vrtracker.QC.WARNING.accepted
    True
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

        Raises UnknownNameError if there is no such level.
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


def roll_up(levels: Iterable[QC | None]) -> QC:
    """Return what several checks amount to: the worst of them.

    A check that nobody has decided keeps the whole from passing, unless something is bad
    already; one that is not applicable, None, does not count. Nothing at all is NOT_SET.
    """
    counted = [level for level in levels if level is not None]
    worst = max(counted, default=QC.NOT_SET)
    return QC.NOT_SET if worst.accepted and QC.NOT_SET in counted else worst


def level_of(state: State, decided: QC | None) -> QC | None:
    """Return the level of a review stage from its state, and the last decision if there is one.

    People tick and untick the lab's columns by hand, hence the state comes first: a decision
    that contradicts it is outdated.
    """
    if state in {State.NOT_APPLICABLE, State.SCRATCHED}:
        return None
    if state in {State.DONE, State.STALE}:
        return decided if decided is not None and decided.accepted else QC.PASS
    is_bad = decided in {QC.FAIL, QC.CRITICAL}
    if state is State.FAILED:
        return decided if is_bad else QC.FAIL
    return QC.NOT_SET


def session_level(*, scratched: bool, decided: QC | None) -> QC | None:
    """Return the level of a session as a whole; None, which does not count, if nobody decided."""
    if scratched:
        return QC.CRITICAL if decided is QC.CRITICAL else QC.FAIL
    return decided if decided is not None and decided.accepted else None


_NO_REASON = "no reason given"


def agrees(session_qc: bool, justification: str | None) -> bool:  # noqa: FBT001
    """Return whether sessionQC is false exactly where there is a justification."""
    return session_qc is not bool(justification)


def repaired(session_qc: bool, justification: str | None, notes: str | None) -> dict[str, Any]:  # noqa: FBT001
    """Return the columns that make the rule hold, and change for no session whether it counts.

    What code reads is sessionQC, hence that stays: a missing justification is filled in, a
    superfluous one moves to the notes.
    """
    if agrees(session_qc, justification):
        return {}
    if not session_qc:
        return {"scratchJustification": _NO_REASON}
    line = f"Not scratched, but said: {justification}"
    return {"scratchJustification": None, "sessionNotes": f"{notes}\n{line}" if notes else line}
