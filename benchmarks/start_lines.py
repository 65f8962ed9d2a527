"""Measure how soon the shell answers: whole processes, beside one that imports the least."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import lab as filling

from vrtracker.database import Database
from vrtracker.database.migration import upgrade

ROWS = 1_000
_SQLALCHEMY = ("-c", "import sqlalchemy")
_LEAST = ("-c", "import sqlalchemy, typer")
_COMPLETING = {
    "_VRTRACKER_COMPLETE": "complete_bash",
    "COMP_WORDS": "vrtracker sessions li",
    "COMP_CWORD": "2",
}
_COMPLETE = "import sys; sys.argv = ['vrtracker']; from vrtracker.cli import main; main()"


class StartBench:
    """A small SQLite database, and the commands that look at it.

    Parameters
    ----------
    line
        Makes a line of an operation, the number of rows, the seconds of ours and the floor, and
        both in processor time.
    """

    def __init__(self, folder: Path, line: Callable[..., Any], *, rounds: int) -> None:
        self.url, self.line = str(folder / "start.db"), line
        self.rounds = rounds
        upgrade(self.url)
        database = Database(self.url)
        filling.fill(database, ROWS)
        database.dispose()

    def lines(self) -> Iterator[Any]:
        """Measure everything."""
        shell = ("-m", "vrtracker", "--url", self.url)
        yield self._line("import vrtracker, to sqlalchemy", ("-c", "import vrtracker"), _SQLALCHEMY)
        yield self._line("vrtracker --help", (*shell, "--help"))
        yield self._line("completion of a command", ("-c", _COMPLETE), more=_COMPLETING)
        yield self._line("sessions list --limit 5", (*shell, "sessions", "list", "--limit", "5"))
        yield self._line("status", (*shell, "status"))

    def _line(
        self,
        operation: str,
        ours: Sequence[str],
        floor: Sequence[str] = _LEAST,
        *,
        more: Mapping[str, str] | None = None,
    ) -> Any:
        """Measure a process and its floor in turns; the times are medians."""
        # As at a user's: what is compiled once is kept.
        kept = {
            name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"
        }
        times: tuple[list[float], list[float]] = ([], [])
        spent: tuple[list[float], list[float]] = ([], [])
        for _ in range(self.rounds):
            for words, taken, used in zip((ours, floor), times, spent, strict=True):
                before, began = _of_ended(), time.perf_counter()
                subprocess.run(
                    [sys.executable, *words],
                    env=kept | (more or {}),
                    stdout=subprocess.DEVNULL,
                    check=True,
                )
                taken.append(time.perf_counter() - began)
                used.append(_of_ended() - before)
        cpu = tuple(map(statistics.median, spent))
        return self.line(operation, ROWS, *map(statistics.median, times), cpu)


def _of_ended() -> float:
    """Return the processor time of all processes that were started and have ended, s."""
    times = os.times()
    return times.children_user + times.children_system
