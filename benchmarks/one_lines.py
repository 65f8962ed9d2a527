"""Measure datasets: scanning a tree that is as recorded, and writing and searching a cache of ONE.

ONE-api itself has to be installed; without it its lines are left out.

Usage: ``python benchmarks/one_lines.py [--quick]``
"""

from __future__ import annotations

import argparse
import gc
import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import lab as filling
import pyarrow.parquet as pq

import vrtracker
from vrtracker.database import Database
from vrtracker.database.migration import upgrade

DATASETS = 20
"""Of each session."""
MICE, DAYS = 20, 25
_INSERT = (
    'INSERT INTO vrt_dataset ("uSessionID", rel_path, stage, written, size_bytes, md5, qc_level, '
    "recorded_at, sha256) SELECT \"uSessionID\", 'alf/object' || n || '.attribute.npy', 'scan', 0, "
    "1000 + n, lower(hex(randomblob(16))), 10 * (n % 2), '2026-01-01 00:00:00', "
    'lower(hex(randomblob(32))) FROM sessiondb, numbers ORDER BY "uSessionID", n'
)
"""Session by session, as scans and runs record them."""


def timed(*works: Callable[[], Any], rounds: int) -> list[float]:
    """Return the shortest time of each piece of work, s; they take turns."""
    times: list[list[float]] = [[] for _ in works]
    for _ in range(rounds):
        for work, taken in zip(works, times, strict=True):
            gc.collect()
            start = time.perf_counter()
            work()
            taken.append(time.perf_counter() - start)
    return [min(taken) for taken in times]


def export_times(folder: Path, sessions: int) -> tuple[float, float, float]:
    """Return how long an export takes, one of the same rows, and pyarrow's write of its tables, s.

    The tables stay in ``out`` below the folder, for `search_times`.
    """
    file, out = folder / "export.db", folder / "out"
    upgrade(f"sqlite:///{file}")
    database = Database(f"sqlite:///{file}")
    filling.fill(database, sessions)
    database.dispose()
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TEMP TABLE numbers (n INTEGER)")
        connection.executemany("INSERT INTO numbers VALUES (?)", [(n,) for n in range(DATASETS)])
        connection.execute(_INSERT)
        connection.commit()
    with vrtracker.open(str(file), readonly=True) as tracker:

        def again() -> None:
            made = tracker.export_one(out, sessionQC=[True, False])
            assert made.datasets == sessions * DATASETS

        def anew() -> None:
            shutil.rmtree(out, ignore_errors=True)
            again()

        anew()
        tables = {name: pq.read_table(out / f"{name}.pqt") for name in ("sessions", "datasets")}

        def bare() -> None:
            for name, table in tables.items():
                pq.write_table(table, folder / f"{name}.pqt")

        anew_s, again_s, floor = timed(anew, again, bare, rounds=2)
    return anew_s, again_s, floor


def search_times(folder: Path) -> tuple[float, float] | None:
    """Return how long a search by a dataset's name and level takes, and One.search, s."""
    one = real_one(folder / "out")
    if one is None:
        return None
    name, level = "object7.attribute.npy", "NOT_SET"
    with vrtracker.open(str(folder / "export.db"), readonly=True) as tracker:
        query = tracker.query(has_dataset=f"{name} <= {level}", sessionQC=[True, False])
        ours, theirs = timed(
            query.keys, lambda: one.search(datasets=name, dataset_qc_lte=level), rounds=2
        )
        found = {str(one_of.key.uuid) for one_of in query}
    assert found == set(map(str, one.search(datasets=name, dataset_qc_lte=level)))
    return ours, theirs


def real_one(tables: Path) -> Any:
    """Return the real ONE on a cache, or None where it is not installed."""
    try:
        from one.api import One
    except ImportError:
        return None
    return One(cache_dir=tables, tables_dir=tables, mode="local")


def index_time(root: Path, folder: Path) -> float | None:
    """Return how long ONE's make_parquet_db takes on a tree, s."""
    try:
        from one.alf.cache import make_parquet_db
    except ImportError:
        return None
    (folder / "index").mkdir()
    return timed(lambda: make_parquet_db(root, folder / "index"), rounds=1)[0]


def scan_times(folder: Path, files: int) -> tuple[float, float, float, float | None]:
    """Return how long scans take, the first one and one of the same tree, and two others, s.

    These are a bare walk with stat, and ONE's make_parquet_db.
    """
    memory = Path("/dev/shm")
    where = memory if memory.is_dir() else folder
    root = Path(tempfile.mkdtemp(prefix="vrtracker-one-", dir=where))
    try:
        keys = [_session(root, number) for number in range(files // DATASETS)]
        with vrtracker.init(str(folder / "scan.db"), root=root) as tracker:
            tracker.mice.add_many([{"mouseName": f"M{n:02d}"} for n in range(MICE)])
            tracker.sessions.add_many([key.columns for key in keys])
            (first,) = timed(tracker.datasets.scan, rounds=1)
            again, floor = timed(tracker.datasets.scan, lambda: walk(root), rounds=3)
            found = tracker.datasets.scan()
            assert (found.unchanged, found.hashed) == (len(keys) * DATASETS, 0)
        theirs = index_time(root, folder)
    finally:
        shutil.rmtree(root)
    return first, again, floor, theirs


def _session(root: Path, number: int) -> Any:
    mouse, turn = number % MICE, number // MICE
    day = f"2023-{1 + turn // DAYS % 12:02d}-{1 + turn % DAYS:02d}"
    key = vrtracker.SessionKey.parse((f"M{mouse:02d}", day, 701 + turn // DAYS // 12))
    for n in range(DATASETS):
        file = root / key.path / f"alf{n % 3}" / f"object{n}.attribute.npy"
        file.parent.mkdir(parents=True, exist_ok=True)
        # Of one byte that is not written, which takes no memory in a file system there.
        file.touch()
        os.truncate(file, 1)
    return key


def walk(root: Path) -> int:
    """Look at size and time of every file below a folder."""
    files, waiting = 0, [str(root)]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                else:
                    entry.stat()
                    files += 1
    return files


def lines(folder: Path, *, quick: bool) -> Iterator[tuple[str, int, float, float]]:
    """Yield operation, number of files or datasets, our time and the floor's, s."""
    sessions, files = (5_000, 10_000) if quick else (100_000, 200_000)
    anew, again, floor = export_times(folder, sessions)
    yield "export for ONE; floor: pyarrow's write", sessions * DATASETS, anew, floor
    yield "the same rows again; the same floor", sessions * DATASETS, again, floor
    # Of fewer sessions, since One.search looks at each in Python.
    few, searched = folder / "few", 200 if quick else 2_000
    few.mkdir()
    export_times(few, searched)
    if (times := search_times(few)) is not None:
        yield "search by dataset and level; One.search", searched * DATASETS, *times
    first, again, floor, theirs = scan_times(folder, files)
    yield "first scan; floor: os.scandir, stat", files, first, floor
    yield "scan, unchanged; the same floor", files, again, floor
    if theirs is not None:
        yield "scan, unchanged; make_parquet_db", files, again, theirs


def main() -> None:
    """Print each line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        for operation, count, ours, floor in lines(Path(folder), quick=options.quick):
            print(f"{operation:<40} {count:>9,} {ours:8.3f}s {floor:8.3f}s {ours / floor:6.2f}x")


if __name__ == "__main__":
    main()
