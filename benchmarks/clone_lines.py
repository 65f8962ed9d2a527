"""Measure a clone of SQLite into PostgreSQL, compared, beside the ingest of the same frames."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lab as filling

from vrtracker.database import Database
from vrtracker.database.migration import upgrade

# A process of its own, whose peak of memory is that of the clone: VmHWM (Linux), as what getrusage
# tells begins with the size of the process that started it.
_CLONE = """
import json, re, sys, time
import vrtracker
began = time.perf_counter()
vrtracker.clone(*sys.argv[1:])
peak = int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) // 1024
print(json.dumps([time.perf_counter() - began, peak]))
"""


def lines(
    folder: Path, rows: int, another: Callable[[str], str], line: Callable[..., Any]
) -> Iterator[Any]:
    """Measure a tenth of the rows and all of them: the peak of memory is to be the same.

    Parameters
    ----------
    another
        Makes an empty database on the server, and returns its URL.
    line
        Makes a line of an operation, the number of rows, ours, the floor, and the peak in words.
    """
    for number in (rows // 10, rows):
        source = str(folder / f"clone-{number}.db")
        _fill(source, number)
        floor = another(f"ingest_{number}")
        began = time.perf_counter()
        upgrade(floor)
        ingest = time.perf_counter() - began + _fill(floor, number)
        words = [sys.executable, "-c", _CLONE, source, another(f"clone_{number}")]
        done = subprocess.run(words, check=True, capture_output=True, text=True)
        seconds, peak = json.loads(done.stdout)
        yield line("clone from SQLite, compared", number, seconds, ingest, f"peak {peak} MB")


def _fill(url: str, rows: int) -> float:
    upgrade(url)
    database = Database(url)
    began = time.perf_counter()
    filling.fill(database, rows)
    database.dispose()
    return time.perf_counter() - began
