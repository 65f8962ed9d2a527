"""Hear of what others commit: LISTEN on PostgreSQL."""

from __future__ import annotations

import time
from typing import Any

import psycopg

from vrtracker.backends.base import Listener


class PostgreSQLListener(Listener):
    """Listens on a connection that is opened again when it was lost."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._connection: psycopg.Connection[Any] | None = None

    def wait(self, seconds: float) -> bool:
        """Wait for a notification; True also right after connecting, when some may be missed."""
        try:
            if self._connection is None:
                self._connection = psycopg.connect(self._address, autocommit=True)
                self._connection.execute("LISTEN vrtracker")
                return True
            return any(True for _ in self._connection.notifies(timeout=seconds, stop_after=1))
        except psycopg.Error:
            self.close()
            time.sleep(seconds)
            return False

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
