"""What a doctor found."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from vrtracker.display import Facts, Shown, counted

if TYPE_CHECKING:
    from vrtracker.services.doctor.patient import Patient


class Status(enum.StrEnum):
    """How a check ended; `SKIPPED`: it could not be made, or there was nothing to look at."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found.

    `fix`: puts it right without any risk, and says what it did; None where people have to.
    """

    status: Status
    message: str
    remedy: str | None = None
    fix: Callable[[Patient], str] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Check:
    """A check by its name, and what it found.

    `status`: ``ok``, ``warning``, ``error`` or ``skipped``. `remedy`: what to do about it.
    """

    name: str
    status: Status
    message: str
    remedy: str | None = None


@dataclass(frozen=True, slots=True, repr=False)
class Diagnosis(Shown):
    """All checks of a lab.

    `database`: its address, without a password. `fixed`: what was put right before, a sentence
    each.
    """

    database: str
    checks: tuple[Check, ...]
    fixed: tuple[str, ...] = ()

    @property
    def is_well(self) -> bool:
        """Whether no check found an error."""
        return all(check.status is not Status.ERROR for check in self.checks)

    def facts(self) -> Facts:
        """Return each check in a row, and what to do about those that found something."""
        found = {status: self._count(status) for status in (Status.ERROR, Status.WARNING)}
        said = [counted(count, status) for status, count in found.items() if count]
        rows = [(check.name, check.status, check.message) for check in self.checks]
        notes = [f"{check.name}: {check.remedy}" for check in self.checks if check.remedy]
        title = f"{self.database}: {' and '.join(said) or 'all is well'}."
        notes = [*self.fixed, *notes]
        return Facts(title, rows, ("check", "status", "found"), notes=notes, most=len(rows) * 2)

    def _count(self, status: Status) -> int:
        return sum(check.status is status for check in self.checks)

    def document(self) -> dict[str, Any]:
        """Return what ``vrtracker doctor --json`` writes."""
        document: dict[str, Any] = {"checks": [asdict(check) for check in self.checks]}
        return document | ({"fixed": list(self.fixed)} if self.fixed else {})


def of_error(error: BaseException, remedy: str | None = None) -> Finding:
    """Return an error of ours, which says a fact and then what to do, as a finding."""
    fact, _, rest = str(error).partition(". ")
    if not rest:
        fact, _, rest = str(error).partition("; ")
    return Finding(Status.ERROR, f"{fact.rstrip('.')}.", remedy or rest or None)
