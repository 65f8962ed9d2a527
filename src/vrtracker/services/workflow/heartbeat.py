"""Keep a claim alive while its work goes on."""

from __future__ import annotations

import logging
import threading
from types import TracebackType
from typing import Self

from vrtracker.errors import VrtrackerError
from vrtracker.services.context import LabContext

__all__ = ["Heartbeat"]

_log = logging.getLogger(__name__)


class Heartbeat:
    """Renews the lease of one attempt in a thread of its own, three times a lease."""

    def __init__(self, lab: LabContext, attempt_id: str) -> None:
        self._lab = lab
        self._attempt_id = attempt_id
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="vrtracker heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._stop.wait(self._lab.lease.total_seconds() / 3):
            try:
                if not self._renew():
                    return
            except VrtrackerError as error:
                # The next beat tries again; the lease outlasts two beats that failed.
                _log.warning("The claim %s could not be renewed: %s", self._attempt_id, error)

    def _renew(self) -> bool:
        now = self._lab.now()
        with self._lab.unit() as unit:
            alive = unit.attempts.renew(
                self._attempt_id, now=now, lease_until=now + self._lab.lease
            )
            unit.commit()
        return alive
