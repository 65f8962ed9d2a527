"""Claims whose worker is gone: end them, and clean up after them.

That a process of this computer is gone can be known; for those of others, and for one that is
suspended, the lease has to end first.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from vrtracker import processes
from vrtracker.domain.keys import SessionKey
from vrtracker.errors import VrtrackerError
from vrtracker.files import staging
from vrtracker.services.context import LabContext
from vrtracker.services.workflow.claims import Claims

__all__ = ["free_abandoned", "is_alive", "key_of", "live_tokens", "why_abandoned"]

_MEMORY = dt.timedelta(days=7)


def free_abandoned(lab: LabContext) -> list[str]:
    """End the claims that nobody holds any more, and remove what their workers left on the disk.

    Returns
    -------
    list of str
        What was done, a sentence each.
    """
    with lab.unit(readonly=True) as unit:
        open_claims = unit.attempts.open_claims()
        of_host = unit.attempts.of_host(lab.host_name, since=lab.now() - _MEMORY)
    claims = Claims(lab, {})
    notes, left = [], []
    for row in open_claims:
        why = why_abandoned(lab, row) if row["outcome"] == "running" else None
        if why is not None:
            notes += claims.abandon(key_of(row), row["stage"], row["attempt_id"], *why)
        if why is not None or row["outcome"] == "expired":
            left.append(row)
    # One that was killed right after it had recorded its end may have left something too.
    last = {(row["process_id"], row["process_started_at"]): row for row in of_host}
    left += [row for row in last.values() if is_alive(lab, row) is False]
    live = live_tokens(lab, (row for row in open_claims if is_alive(lab, row) is not False))
    return [*notes, *_clean(lab, left, live)]


def is_alive(lab: LabContext, row: Mapping[str, Any]) -> bool | None:
    """Return whether the process of an attempt runs; None where that cannot be known."""
    if row["host_name"] != lab.host_name:
        return None
    return processes.is_alive(row["process_id"], row["process_started_at"])


def key_of(row: Mapping[str, Any]) -> SessionKey:
    """Return the session that an attempt is at."""
    return SessionKey(row["mouseName"], row["sessionDate"], row["sessionID"])


def live_tokens(lab: LabContext, rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the attempts whose folders somebody may still write to.

    Those are the claims that hold, and those that another process here has lost, but lives on.
    """
    now = lab.now()
    return [
        row["attempt_id"]
        for row in rows
        if (row["outcome"] == "running" and row["lease_until"] > now)
        or (row["process_id"] != os.getpid() and is_alive(lab, row))
    ]


def why_abandoned(lab: LabContext, row: Mapping[str, Any]) -> tuple[str, bool] | None:
    """Return why nobody holds a running claim any more, and whether its process has died."""
    if is_alive(lab, row) is False:
        return f"its process {row['process_id']} on {row['host_name']} is gone", True
    if row["lease_until"] <= lab.now():
        return f"its lease ended, {row['host_name']} did not renew it", False
    return None


def _clean(
    lab: LabContext, rows: Iterable[Mapping[str, Any]], live: Collection[str]
) -> Iterator[str]:
    """Remove what attempts left in the sessions' folders, as far as those are in reach."""
    if lab.root is None:
        return
    for key in dict.fromkeys(map(key_of, rows)):
        with contextlib.suppress(VrtrackerError):
            path = lab.folders().find(key)
            if path is not None:
                for done in staging.recover(path, output=lab.output, live_tokens=live):
                    yield f"{key}: {done}"
