"""Keep a claim alive while its work goes on."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Iterator
from typing import Self

from vrtracker.errors import VrtrackerError
from vrtracker.services.context import LabContext

_log = logging.getLogger(__name__)


class Heartbeat:
    """Renews the lease of what a run is working on in a thread of its own, three times a lease.

    The thread lives as long as the block; within it, each claim has a block of its own.
    """

    def __init__(self, lab: LabContext) -> None:
        self._lab = lab
        self._held: tuple[str, float] | None = None
        self._stop = threading.Event()

    def __enter__(self) -> Self:
        self._stop.clear()
        self._thread = threading.Thread(target=self._beat, name="vrtracker heartbeat", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    @contextlib.contextmanager
    def of(self, attempt_id: str) -> Iterator[None]:
        """Renew the claim of an attempt during the block."""
        self._held = attempt_id, time.monotonic()
        try:
            yield
        finally:
            self._held = None

    def _beat(self) -> None:
        interval = self._lab.lease.total_seconds() / 3
        delay = interval
        while not self._stop.wait(delay):
            attempt_id, since = self._held or ("", time.monotonic())
            # The time of each claim begins anew: most end before it needs to be renewed.
            delay = interval - (time.monotonic() - since)
            if delay > 0:
                continue
            delay = interval
            try:
                self._renew(attempt_id)
            except VrtrackerError as error:
                # The next beat tries again; the lease outlasts two beats that failed.
                _log.warning("The claim %s could not be renewed: %s", attempt_id, error)

    def _renew(self, attempt_id: str) -> None:
        now = self._lab.now()
        with self._lab.unit() as unit:
            unit.attempts.renew(attempt_id, now=now, lease_until=now + self._lab.lease)
            unit.commit()
