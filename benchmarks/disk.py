"""Measure reconciling against a bare walk of the same tree, and against the lab's old way."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import vrtracker

SUITE2P = ("stat", "ops", "F", "Fneu", "iscell", "spks")
PLANES, OUTPUT, RAW = 3, 18, 4
MICE, DAYS = 20, 25
"""With the three planes' six files that makes 40 files a session."""


class DiskBench:
    """A root of session folders and a database that knows them all."""

    def __init__(self, folder: Path, sessions: int, make_line: Callable[..., Any]) -> None:
        self.sessions = sessions
        self._make_line = make_line
        # The tree costs nothing but names where there is a file system in memory.
        memory = Path("/dev/shm")
        self.root = Path(
            tempfile.mkdtemp(prefix="vrtracker-disk-", dir=memory if memory.is_dir() else folder)
        )
        self.file = folder / "disk.db"

    def lines(self) -> Iterator[Any]:
        """Measure, and remove the tree."""
        try:
            keys = [self._session(number) for number in range(self.sessions)]
            with vrtracker.init(str(self.file), root=self.root) as tracker:
                tracker.mice.add_many([{"mouseName": f"M{n:02d}"} for n in range(MICE)])
                rows = [{**key.columns, "imaging": True, "vrRegistration": True} for key in keys]
                tracker.sessions.add_many(rows)
                yield from self._measured(tracker, keys)
        finally:
            shutil.rmtree(self.root)

    def _session(self, number: int) -> Any:
        """Make the folder of one session."""
        mouse, turn = number % MICE, number // MICE
        day = f"2023-{1 + turn // DAYS % 12:02d}-{1 + turn % DAYS:02d}"
        key = vrtracker.SessionKey.parse((f"M{mouse:02d}", day, 701 + turn // DAYS // 12))
        folder = self.root / key.path
        names = [f"suite2p/plane{p}/{name}.npy" for p in range(PLANES) for name in SUITE2P]
        names += [f"oneData/object{n}.attribute.npy" for n in range(OUTPUT)]
        names += [f"raw{n}.mat" for n in range(RAW)]
        for parent in {str(Path(name).parent) for name in names}:
            (folder / parent).mkdir(parents=True, exist_ok=True)
        for name in names:
            file = os.open(folder / name, os.O_CREAT | os.O_WRONLY)
            os.truncate(file, 1)
            os.close(file)
        return key

    def _measured(self, tracker: Any, keys: list[Any]) -> Iterator[Any]:
        first, _ = _timed(lambda: tracker.reconcile().apply())
        # In turns, so that what else the machine does meets them all alike.
        rounds = [
            (
                _timed(lambda: tracker.reconcile().apply()),
                _timed(lambda: _walk(self.root, stat=False)),
                _timed(lambda: _walk(self.root, stat=True)),
            )
            for _ in range(5)
        ]
        assert not any(changes for (_, changes), _, _ in rounds)
        again, bare, floor = (
            min(seconds for seconds, _ in runs) for runs in zip(*rounds, strict=True)
        )
        old, _ = _timed(lambda: self._old_way(keys))
        for operation, ours, least in (
            ("reconcile, all in agreement", again, floor),
            ("  floor: names alone, no stat", again, bare),
            ("reconcile, all changed, an event each", first, floor),
        ):
            yield self._make_line(operation, self.sessions, [ours, least, old])

    def _old_way(self, keys: list[Any]) -> None:
        """Do as the lab's old module did: rglob and stat, then an UPDATE and commit each."""
        for key in keys:
            folder = self.root / key.path
            latest = max(path.stat().st_mtime for path in folder.rglob("*") if path.is_file())
            with closing(sqlite3.connect(self.file)) as connection:
                connection.execute(
                    "UPDATE sessiondb SET suite2p = ?, \"suite2pDate\" = datetime(?, 'unixepoch') "
                    'WHERE "mouseName" = ? AND "sessionDate" = ? AND "sessionID" = ?',
                    (
                        (folder / "suite2p").exists(),
                        latest,
                        key.mouse,
                        f"{key.date} 00:00:00",
                        key.number,
                    ),
                )
                connection.commit()


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def _walk(root: Path, *, stat: bool) -> int:
    """Look at every file below a root; sizes and times are what has to be known of each."""
    files, waiting = 0, [str(root)]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                    continue
                files += 1
                if stat:
                    entry.stat()
    return files
