"""The only source of "now".

`now` is for the tracker's own records: aware UTC. What is compared with the times of other
computers goes by the database's clock: `vrtracker.database.clock`. `lab_now` is for the lab's
legacy date columns, which hold the lab's local clock without a zone. Both have whole seconds,
the finest that every backend keeps.
"""

from __future__ import annotations

import datetime as dt


def precise() -> dt.datetime:
    """Return the current time, aware UTC, as finely as this computer tells."""
    return dt.datetime.now(dt.UTC)


def now() -> dt.datetime:
    """Return the current time, aware UTC, whole seconds."""
    return precise().replace(microsecond=0)


def lab_now(zone: dt.tzinfo | None = None) -> dt.datetime:
    """Return the lab's local clock as a naive datetime, whole seconds.

    `zone`: the lab's time zone; the system's when not given.
    """
    return now().astimezone(zone).replace(tzinfo=None)


def lab_today(zone: dt.tzinfo | None = None) -> dt.date:
    """Return the lab's calendar date."""
    return lab_now(zone).date()
