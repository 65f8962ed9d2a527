"""What repositories of a unit of work begin with."""

from __future__ import annotations

from vrtracker.database import Executor


class Repository:
    """Reads and writes on the connection of an executor."""

    def __init__(self, executor: Executor) -> None:
        self._x = executor
