"""What was found in a lab's own database, and what is to become of it."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vrtracker.display import Facts, Shown


class Kind(enum.StrEnum):
    """What a finding is about."""

    TABLE_MISSING = "table missing"
    TABLE_UNKNOWN = "table unknown"
    TABLE_LINKED = "table linked"
    TABLE_TAKEN = "table of ours"
    TABLE_SPELLING = "table spelled otherwise"
    COLUMN_MISSING = "column missing"
    COLUMN_UNKNOWN = "column unknown"
    COLUMN_SPELLING = "column spelled otherwise"
    COLUMN_TYPE = "column of another type"
    ROW_NUMBER = "row without a number of its own"
    KEY_MISSING = "key incomplete"
    VALUE = "value does not fit"
    EMPTY_TEXT = "empty text"
    FLAG_MISSING = "tick box without a value"
    TIME_OF_DAY = "time of day"
    IMPOSSIBLE_DATE = "impossible date"
    MOUSE_SPELLING = "mouse spelled otherwise"
    MOUSE_MISSING = "mouse missing"
    DUPLICATE_MOUSE = "duplicate mouse"
    DUPLICATE_SESSION = "duplicate session"
    DUPLICATE_SCRATCHED = "duplicate session, scratched"
    SCRATCH_RULE = "scratched without a reason, or the reverse"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that differs from a tracker's database.

    `kind`: what it is about.
    `table`, `column`: where; column is None where it is about whole rows or the table.
    `remedy`: the repair that adoption makes, or what the person has to do.
    `blocks`: whether it stands in the way: a person has to do something first.
    `count`: how many rows it concerns.
    `examples`: some of them.
    """

    kind: Kind
    table: str
    column: str | None
    remedy: str
    blocks: bool = False
    count: int = 0
    examples: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the finding as plain values."""
        return {
            "kind": str(self.kind),
            "table": self.table,
            "column": self.column,
            "count": self.count,
            "examples": list(self.examples),
            "stands_in_the_way": self.blocks,
            "remedy": self.remedy,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptionReport(Shown):
    """What an inspection found, or what an adoption did.

    `url`: the database, without a password.
    `revision`: revision of the schema; None: not adopted yet.
    `rows`: number of rows of each of the lab's two tables that is there.
    `findings`: in the order in which they are dealt with.
    `applied`: whether the plan was carried out just now.
    """

    url: str
    revision: str | None
    rows: Mapping[str, int]
    findings: tuple[Finding, ...] = ()
    applied: bool = False

    @property
    def blocking(self) -> tuple[Finding, ...]:
        """The findings that stand in the way."""
        return tuple(finding for finding in self.findings if finding.blocks)

    def facts(self) -> Facts:
        """Return what was found, and what is to be done next."""
        counts = ", ".join(f"{name}: {rows} rows" for name, rows in self.rows.items())
        place = f"{self.url} ({counts})" if counts else self.url
        if self.applied:
            said = f"is adopted, at revision {self.revision}."
        elif self.revision is not None:
            said = f"is a tracker's database already, at revision {self.revision}."
        elif self.blocking:
            said = f": {len(self.blocking)} of {len(self.findings)} findings stand in the way."
        else:
            said = "can be adopted; nothing was written."
        columns = ("found", "where", "rows", "then", "stands in the way")
        return Facts(
            f"{place} {said}".replace(" :", ":"),
            [
                (
                    one.kind,
                    ".".join(filter(None, (one.table, one.column))),
                    one.count or None,
                    one.remedy,
                    one.blocks or None,
                )
                for one in sorted(self.findings, key=lambda one: not one.blocks)
            ],
            columns,
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain values, for JSON."""
        return {
            "url": self.url,
            "revision": self.revision,
            "adopted": self.revision is not None,
            "applied": self.applied,
            "rows": dict(self.rows),
            "stands_in_the_way": len(self.blocking),
            "findings": [finding.as_dict() for finding in self.findings],
        }
