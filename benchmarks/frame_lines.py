"""Measure frames against the columnar driver alone and against pandas, at several sizes."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lab as filling
import pandas as pd
from sqlalchemy import select, text

import vrtracker
from vrtracker.database import Database
from vrtracker.database.migration import upgrade
from vrtracker.frames import read_table

_ALL = 'SELECT * FROM sessiondb ORDER BY "uSessionID"'
_THREE = ["mouseName", "sessionDate", "sessionID"]
_MANY = 100_000
_MEMORY = """
import json, resource, sys, psutil, vrtracker
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
tracker = vrtracker.open(sys.argv[1])
tracker.sessions.frame(limit=10_000, include_scratched=True)
before = peak()
frame = tracker.sessions.frame(include_scratched=True)
size = int(frame.memory_usage(deep=True).sum())
others = sum(child.memory_info().rss for child in psutil.Process().children())
print(json.dumps({"frame": size, "beyond": max(0, peak() - before - size), "others": others}))
"""


@dataclass(frozen=True)
class MemoryLine:
    """What a frame takes, bytes."""

    operation: str
    backend: str
    rows: int
    frame: int
    beyond: int
    """At the most, beyond the frame itself."""
    others: int
    """In processes that this one has started, at the end."""

    def __str__(self) -> str:
        megabytes = " ".join(
            f"{name} {size / 1e6:,.0f} MB"
            for name, size in (
                ("frame", self.frame),
                ("beyond it", self.beyond),
                ("other process", self.others),
            )
        )
        ratio = self.beyond / self.frame
        return f"{self.operation:<34} {self.backend:<11} {self.rows:>9,} {megabytes}  {ratio:.2f}"


class FrameBench:
    """All frames of one database, which holds nothing but sessions and their mice."""

    def __init__(
        self,
        backend: str,
        url: str,
        rows: int,
        *,
        make_line: Callable[..., Any],
        best: Callable[..., list[float]],
    ) -> None:
        self.backend, self.url, self.rows = backend, url, rows
        self._make_line, self._best = make_line, best
        upgrade(url)
        database = Database(url)
        filling.fill(database, rows)
        database.dispose()
        # Two SQLite libraries on one file undo each other's locks: the peers have a copy.
        self._peers_url = url if backend == "postgresql" else f"{url}-peers"
        if backend != "postgresql":
            shutil.copyfile(url, self._peers_url)
        self.peers = Database(self._peers_url)
        self.tracker = vrtracker.open(url)
        self._columnar = filling.connect(self.peers)
        self.rounds = 3 if rows > _MANY else 9

    def lines(self) -> Iterator[Any]:
        """Measure everything, then close all connections."""
        try:
            sessions = self.tracker.sessions
            # The process that reads for SQLite is there before the first measure.
            sessions.frame(include_scratched=True)
            yield self._line(
                "frame, all columns", lambda: sessions.frame(include_scratched=True), _ALL, _ALL
            )
            yield from self._peer_lines()
            yield self._line(
                "frame, Arrow dtypes",
                lambda: sessions.frame(include_scratched=True, dtype_backend="pyarrow"),
                _ALL,
                _ALL,
            )
            yield self._tenth()
            yield self._line(
                "frame, three columns",
                lambda: sessions.frame(columns=_THREE, include_scratched=True),
                _ALL.replace("*", ", ".join(f'"{name}"' for name in _THREE)),
                _ALL,
                peer="read_sql, all columns",
            )
            yield self._arrow()
            yield self._memory()
        finally:
            self._columnar.close()
            self.tracker.close()
            self.peers.dispose()

    def _line(
        self,
        operation: str,
        ours: Callable[[], Any],
        query: str,
        whole: str,
        *,
        peer: str = "pandas.read_sql",
    ) -> Any:
        """Measure a frame; the floor is the columnar driver's own way to pandas."""
        times = self._best(
            ours,
            lambda: self._table(query).to_pandas(),
            lambda: self._read_sql(whole),
            rounds=self.rounds,
        )
        return self._make_line(operation, len(ours()), times, peer)

    def _peer_lines(self) -> Iterator[Any]:
        """Measure other libraries, where they are installed, as the peer of the same frame."""
        if self.backend != "sqlite":
            return
        with contextlib.suppress(ImportError):
            import connectorx

            times = self._best(
                lambda: self.tracker.sessions.frame(include_scratched=True),
                lambda: self._table(_ALL).to_pandas(),
                lambda: connectorx.read_sql(f"sqlite://{self._peers_url}", _ALL),
                rounds=self.rounds,
            )
            yield self._make_line("frame, all columns", self.rows, times, "connectorx")

    def _tenth(self) -> Any:
        """Filter a tenth of the rows in SQL; the peer reads all and filters in pandas."""
        dates = self.tracker.sessions.frame(columns=["sessionDate"], include_scratched=True)
        day = dates["sessionDate"].sort_values().iloc[-max(1, self.rows // 10)].date()
        query = _ALL.replace("ORDER", f"WHERE \"sessionDate\" >= '{day} 00:00:00' ORDER")

        def ours() -> pd.DataFrame:
            return self.tracker.sessions.frame(sessionDate=(day, ">="), include_scratched=True)

        def old() -> pd.DataFrame:
            whole = self._read_sql(_ALL)
            return whole[whole["sessionDate"] >= f"{day} 00:00:00"]

        times = self._best(ours, lambda: self._table(query).to_pandas(), old, rounds=self.rounds)
        return self._make_line("frame, a tenth of the rows", len(ours()), times, "whole table")

    def _arrow(self) -> Any:
        """Read a typed Arrow table; the floor has the types that the driver guesses."""
        database = self.tracker.database
        sessions = database.tables.sessions
        statement = select(*sessions.c).order_by(sessions.c.uSessionID)
        times = self._best(
            lambda: read_table(database, statement),
            lambda: self._table(_ALL),
            rounds=self.rounds,
        )
        return self._make_line("Arrow table, all columns", self.rows, [*times, None], "")

    def _memory(self) -> MemoryLine:
        done = subprocess.run(
            [sys.executable, "-c", _MEMORY, self.url], check=True, capture_output=True, text=True
        )
        return MemoryLine(
            "memory of all columns", self.backend, self.rows, **json.loads(done.stdout)
        )

    def _table(self, query: str) -> Any:
        with self._columnar.cursor() as cursor:
            cursor.execute(query)
            table = cursor.fetch_arrow_table()
        self._columnar.commit()
        return table

    def _read_sql(self, query: str) -> pd.DataFrame:
        with self.peers.read_engine.connect() as connection:
            return pd.read_sql(text(query), connection)


def lines(
    backend: str,
    folder: Path,
    sizes: list[int],
    *,
    address: Callable[[int], str],
    line: Callable[..., Any],
    best: Callable[..., list[float]],
) -> Iterator[Any]:
    """Measure one kind of database at several sizes, each in a database of its own."""
    for rows in sizes:
        url = address(rows) if backend == "postgresql" else str(folder / f"frames-{rows}.db")

        def make_line(operation: str, count: int, times: list[Any], peer: str) -> Any:
            ours, floor, theirs = times
            return line(operation, backend, count, ours, floor, theirs, peer, 1)

        yield from FrameBench(backend, url, rows, make_line=make_line, best=best).lines()
