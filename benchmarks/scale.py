"""Measure a database of many datasets on SQLite: room, depth of indexes, look-ups and searches.

Times are processor time, which says more on a machine that does other work.

Usage: ``python benchmarks/scale.py [ROWS ...]``; 1,000,000 and 10,000,000 rows when not given.
The rows are made by SQL, 20 for each session, and are gone at the end.
"""

from __future__ import annotations

import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import lab as filling
import selection_lines as selections

import vrtracker
from vrtracker.database import Database
from vrtracker.database.migration import upgrade

_COMMON, _RARE = "object3.attribute.npy", "rare.attribute.npy"
_INDEX = "sqlite_autoindex_vrt_dataset_1"


def made(file: Path, rows: int) -> float:
    """Make the database, and return how long the datasets alone took, s."""
    upgrade(str(file))
    database = Database(str(file))
    filling.fill(database, rows // selections.DATASETS)
    database.dispose()
    with closing(sqlite3.connect(file)) as connection:
        began = time.process_time()
        selections.insert_datasets(connection)
        # A name that one session of a thousand has.
        connection.execute(
            "UPDATE vrt_dataset SET rel_path = 'alf/rare.attribute.npy' "
            "WHERE rel_path = 'alf/object3.attribute.npy' AND \"uSessionID\" % 1000 = 0"
        )
        connection.commit()
        took = time.process_time() - began
        connection.execute("ANALYZE")
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return took


def depth(file: Path, name: str) -> int:
    """Return how many pages lie between the root of a table or index and a row of it, both in."""
    with closing(sqlite3.connect(file)) as connection:
        root = "SELECT rootpage FROM sqlite_master WHERE name = ?"
        (page,) = connection.execute(root, [name]).fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    levels = 1
    with file.open("rb") as stream:
        while True:
            stream.seek((page - 1) * size)
            head = stream.read(12)
            # 2 and 5 are inner pages, which name the one that is furthest to the right.
            if head[0] not in (2, 5):
                return levels
            page, levels = int.from_bytes(head[8:12], "big"), levels + 1


def middle(work: Callable[[], Any], rounds: int = 5) -> float:
    """Return the median of some runs, s; of one where it takes long."""
    times: list[float] = []
    while len(times) < rounds and sum(times) < 1:
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return statistics.median(times)


def lines(file: Path, rows: int) -> Iterator[str]:
    """Measure one size."""
    took = made(file, rows)
    yield f"{rows:,} rows, INSERT by SQL: {took:.1f} s, {file.stat().st_size / 1e9:.2f} GB"
    yield f"depth of table {depth(file, 'vrt_dataset')}, of the index by session and path " + str(
        depth(file, _INDEX)
    )
    with vrtracker.open(str(file), readonly=True) as tracker:
        every = tracker.query(include_scratched=True)
        ten = every.limit(10).preload("datasets")
        works: dict[str, Callable[[], Any]] = {
            "ten sessions with their files": lambda: list(ten),
            "sessions with a rare name": every.where(has_dataset=_RARE).count,
            "sessions with a common name": every.where(has_dataset=_COMMON).count,
            "ten sessions with a common name": every.where(has_dataset=_COMMON).limit(10).keys,
            "name and level, keys of all": every.where(has_dataset=f"{_COMMON} <= WARNING").keys,
        }
        for name, work in works.items():
            yield f"  {name:<34} {middle(work) * 1e3:10.3f} ms"


def main() -> None:
    """Measure each size in a database of its own."""
    for rows in map(int, sys.argv[1:] or ("1000000", "10000000")):
        with tempfile.TemporaryDirectory(prefix="vrtracker-scale-") as folder:
            for line in lines(Path(folder) / "scale.db", rows):
                print(line, flush=True)


if __name__ == "__main__":
    main()
