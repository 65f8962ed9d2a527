"""Go on with a run while its database is away for a moment: a server restarts, somebody locks."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from typing import TypeVar

from vrtracker.errors import DatabaseAwayError
from vrtracker.services.context import LabContext

T = TypeVar("T")
Stop = Callable[[], str | None]
"""Asked while there is nothing at hand; why a run is to end, or None."""

_log = logging.getLogger(__name__)


def patiently(lab: LabContext, work: Callable[[], T], *, stop: Stop | None = None) -> T:
    """Do work with the database, again and again while that is away; see `LabContext.patience`.

    `stop`: asked before it waits; what belongs to a session at hand has none, and waits on. Raises
    DatabaseAwayError if it is away for longer, or the run is to end.
    """
    end = time.monotonic() + lab.patience.total_seconds()
    while True:
        try:
            return work()
        except DatabaseAwayError as error:
            if time.monotonic() > end or (stop is not None and stop()):
                raise
            _log.warning("The run waits for its database: %s", error)
            # Those who wait for the same one do not all come back at once.
            time.sleep(random.uniform(0.2, 1.0))  # noqa: S311
