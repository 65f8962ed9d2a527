"""What many pages ask for again and again is found once for all of them, a little while ago."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

_SECONDS = 2.0
_SHARE = 5
"""Of the time at most one part in so many is spent on finding it again."""


class Fresh:
    """Keeps the last result of something that takes long."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._until = 0.0
        self._kept: Any = None

    def get(self, find: Callable[[], Any], *, anew: bool = False) -> Any:
        """Return what was found lately, else find it; of several who ask, one does.

        `anew`: find it in any case.
        """
        with self._lock:
            begun = time.monotonic()
            if anew or begun > self._until:
                self._kept = find()
                took = time.monotonic() - begun
                self._until = time.monotonic() + max(_SECONDS, _SHARE * took)
            return self._kept
