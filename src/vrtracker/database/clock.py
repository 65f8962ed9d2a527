"""What time it is by the database's clock, which is one for all computers that share it."""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections.abc import Callable
from typing import Any

from vrtracker import clock
from vrtracker.database.engines import Database
from vrtracker.errors import VrtrackerError

_log = logging.getLogger(__name__)

_ZERO = dt.timedelta()
_TOLERANCE = dt.timedelta(seconds=2)
"""Less is no skew: the tracker's times have whole seconds, and claims hold for minutes."""
_LOOK_AGAIN_S = 600.0


class DatabaseClock:
    """The clock of this computer, put right by how far it is from the database's.

    How far is measured at the first use, then every ten minutes, and at once after this
    computer's clock was set or the computer slept. While the database does not answer, what was
    measured before holds.

    `host`: this computer's clock, aware UTC.
    """

    def __init__(
        self, database: Database, *, host: Callable[[], dt.datetime] = clock.precise
    ) -> None:
        self._database = database
        self._host = host
        self._skew = _ZERO
        self._measured: tuple[dt.datetime, float] | None = None

    def __getstate__(self) -> dict[str, Any]:
        # The skew stays: the other side may be another computer.
        return {"database": self._database, "host": self._host}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def __call__(self) -> dt.datetime:
        """Return the current time, aware UTC, whole seconds."""
        now = self._host()
        return (now - self.skew(now)).replace(microsecond=0)

    def skew(self, now: dt.datetime | None = None) -> dt.timedelta:
        """Return how far this computer's clock, that says `now`, is ahead; zero for too little."""
        if not self._is_fresh(now or self._host()):
            self._measure()
        return self._skew

    def _is_fresh(self, now: dt.datetime) -> bool:
        if self._measured is None:
            return False
        wall, steady = self._measured
        passed = time.monotonic() - steady
        moved = now - wall - dt.timedelta(seconds=passed)
        return passed < _LOOK_AGAIN_S and abs(moved) < _TOLERANCE

    def _measure(self) -> None:
        before = self._host()
        try:
            found = self._database.time()
        except VrtrackerError as error:
            # Whoever asks for the time asks the database for something next, and is told then.
            _log.info("The clock of %s could not be read: %s", self._database, error)
            return
        after = self._host()
        skew = _ZERO if found is None else before + (after - before) / 2 - found
        if abs(skew) < max(_TOLERANCE, after - before):
            skew = _ZERO
        elif abs(skew - self._skew) >= _TOLERANCE:
            _log.warning(
                "The clock of this computer is %.0f s %s that of %s, by which the tracker goes. "
                "Set the wrong one right.",
                abs(skew).total_seconds(),
                "ahead of" if skew > _ZERO else "behind",
                self._database,
            )
        self._skew = skew
        self._measured = (after, time.monotonic())
