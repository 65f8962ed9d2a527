"""Processes of this computer: since when one runs, and whether it still does."""

from __future__ import annotations

import datetime as dt

__all__ = ["is_alive", "started_at"]

# Systems reckon the start from the start of the computer, which moves with its clock.
_TOLERANCE = dt.timedelta(seconds=3)


def started_at(process_id: int) -> dt.datetime | None:
    """Return when a process began, aware UTC, whole seconds; None if that is not told."""
    import psutil

    try:
        seconds = int(psutil.Process(process_id).create_time())
    except psutil.Error:
        return None
    return dt.datetime.fromtimestamp(seconds, dt.UTC)


def is_alive(process_id: int, since: dt.datetime | None) -> bool | None:
    """Return whether the process that had this number since then still runs.

    Parameters
    ----------
    since
        When it began, aware UTC; None if that is not known.

    Returns
    -------
    bool or None
        None if a process has the number, and nobody can tell whether it is the same.
    """
    import psutil

    try:
        if psutil.Process(process_id).status() == psutil.STATUS_ZOMBIE:
            return False
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:
        return None
    began = started_at(process_id)
    if since is None or began is None:
        return None
    return abs(began - since) <= _TOLERANCE
