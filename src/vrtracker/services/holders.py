"""Who holds a claim: a process that lives, one that is gone, or one that has given it up."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from vrtracker import processes
from vrtracker.domain.keys import SessionKey
from vrtracker.errors import ClaimHeldError
from vrtracker.services.context import LabContext

_TOKENS: set[str] = set()
"""The claims that this very process is at: it lives, but may have given one up."""


def take_up(attempt_id: str) -> None:
    """Say that the process is at a claim."""
    _TOKENS.add(attempt_id)


def let_go(attempt_id: str) -> None:
    """Say that the process is at a claim no more, whatever the database knows of it."""
    _TOKENS.discard(attempt_id)


def is_alive(lab: LabContext, row: Mapping[str, Any]) -> bool | None:
    """Return whether the process of an attempt runs; None where that cannot be known."""
    if row["host_name"] != lab.host_name:
        return None
    return processes.is_alive(row["process_id"], row["process_started_at"])


def why_abandoned(lab: LabContext, row: Mapping[str, Any]) -> tuple[str, bool] | None:
    """Return why nobody holds a running claim any more, and whether its process has died."""
    if is_alive(lab, row) is False:
        return f"its process {row['process_id']} on {row['host_name']} is gone", True
    if is_alive(lab, row) and _is_given_up(row):
        return f"its process {row['process_id']} on {row['host_name']} has given it up", False
    if row["lease_until"] <= lab.now():
        return f"its lease ended, {row['host_name']} did not renew it", False
    return None


def require_idle(lab: LabContext) -> None:
    """Raise ClaimHeldError if a session is worked on, before the whole database gives way."""
    with lab.unit(readonly=True) as unit:
        claims = [row for row in unit.attempts.open_claims() if row["outcome"] == "running"]
    for row in claims:
        if why_abandoned(lab, row) is None:
            key, holder = SessionKey.of_row(row), f"{row['actor']} on {row['host_name']}"
            raise ClaimHeldError(key, row["stage"], holder, row["heartbeat_at"])


def why_free(lab: LabContext, number: int, stage: str, key: SessionKey) -> str:
    """Return why a session that seems to be worked on is free all the same; else nothing."""
    with lab.unit(readonly=True) as unit:
        rows = unit.attempts.unfinished(number)
    held = [row for row in rows if row["outcome"] == "running" and row["stage"] == stage]
    whys = [why[0] for row in held if (why := why_abandoned(lab, row))]
    if not whys:
        return ""
    return f" But {whys[0]}: the next run takes it. To have it back now: vrtracker release {key}"


def _is_given_up(row: Mapping[str, Any]) -> bool:
    return row["process_id"] == os.getpid() and row["attempt_id"] not in _TOKENS
