"""Measure vrtracker on an Access file through Java, against the Java libraries themselves."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import lab as filling
from sqlalchemy import select
from sqlalchemy.orm import Session as OrmSession

import vrtracker
from vrtracker.backends.access import jvm, ucanaccess
from vrtracker.database import Database
from vrtracker.database.migration import upgrade
from vrtracker.models import Session

ROWS = 10_000
CALLS = 200
_WHOLE = "SELECT * FROM [sessiondb] ORDER BY [uSessionID]"
# Both start Java and read the file; the second adds our own work.
_OPEN = {
    "floor": "from vrtracker.backends.access import ucanaccess\n"
    "start = time.perf_counter()\n"
    "cursor = ucanaccess.connect(path, readonly=True).cursor()\n"
    "cursor.execute('SELECT COUNT(*) FROM [sessiondb]').fetchall()\n",
    "ours": "import vrtracker.tracker\n"
    "start = time.perf_counter()\n"
    "vrtracker.open(path, readonly=True).sessions.count()\n",
}


class AccessBench:
    """All measurements on one file; `line` makes a line of the table from its values."""

    def __init__(self, path: Path, line: Callable[..., Any], best: Callable[..., Any]) -> None:
        self._path, self._line, self._best = path, line, best
        upgrade(path)
        self.database = Database(path)
        self.tracker = vrtracker.open(str(path))
        rows = filling.sessions(ROWS, sqlite=False).to_pandas().to_dict("records")
        self.tracker.mice.add_many([{"mouseName": name} for name in _names(rows)])
        self.tracker.sessions.add_many([self.tracker.sessions.coercer.row(row) for row in rows])

    def lines(self) -> Iterator[Any]:
        """Measure everything."""
        yield self.frame()
        yield self.get()
        self.tracker.close()
        self.database.dispose()
        yield self.cold_open()

    def frame(self) -> Any:
        """All columns of all sessions; the floor is arrow-jdbc's conversion of the same result."""

        def ours() -> Any:
            return self.tracker.sessions.frame(include_scratched=True)

        with closing(ucanaccess.connect(self._path, readonly=True)) as connection:
            times = self._best(
                ours,
                lambda: _converted(connection),
                lambda: _cells(connection),
                rounds=12,
            )
        return self._line("frame, all columns", ROWS, times, peer="cells through JPype", work=ours)

    def get(self) -> Any:
        """Look one session up by its key; the floor is the driver's own prepared SELECT."""
        frame = self.tracker.sessions.frame(
            columns=["mouseName", "sessionDate", "sessionID"], include_scratched=True
        )
        step = ROWS // CALLS
        keys = [
            vrtracker.SessionKey.parse(tuple(row))
            for row in frame.iloc[::step].itertuples(index=False)
        ]
        sql = (
            "SELECT * FROM [sessiondb] "
            "WHERE [mouseName] = ? AND [sessionDate] = ? AND [sessionID] = ?"
        )
        with (
            closing(ucanaccess.connect(self._path, readonly=True)) as connection,
            OrmSession(self.database.read_engine) as session,
        ):
            cursor = connection.cursor()

            def orm(key: Any) -> Any:
                session.expunge_all()
                wanted = select(Session).filter_by(
                    mouseName=key.mouse, sessionDate=key.date, sessionID=key.number
                )
                return session.scalars(wanted).one()

            def bare(key: Any) -> Any:
                return cursor.execute(sql, (key.mouse, key.date, key.number)).fetchone()

            times = self._best(
                lambda: [self.tracker.sessions.get(key) for key in keys],
                lambda: [bare(key) for key in keys],
                lambda: [orm(key) for key in keys],
                rounds=3,
            )
        each = [seconds / len(keys) for seconds in times]
        return self._line(
            "get by key",
            1,
            each,
            peer="SQLAlchemy ORM",
            work=lambda: self.tracker.sessions.get(keys[0]),
        )

    def cold_open(self) -> Any:
        """Start Java, open the file and count, in a process of its own each time."""
        times = [min(self._timed(name) for _ in range(3)) for name in ("ours", "floor")]

        def open_and_count() -> None:
            with vrtracker.open(str(self._path), readonly=True) as tracker:
                tracker.sessions.count()

        return self._line(
            "open cold, and count", ROWS, [*times, None], peer="", work=open_and_count
        )

    def _timed(self, name: str) -> float:
        program = (
            f"import time\npath = {str(self._path)!r}\n{_OPEN[name]}"
            "print(time.perf_counter() - start)"
        )
        done = subprocess.run(
            [sys.executable, "-c", program], check=True, capture_output=True, text=True
        )
        return float(done.stdout)


def _names(rows: list[dict[str, Any]]) -> list[str]:
    return sorted({row["mouseName"] for row in rows})


def _converted(connection: ucanaccess.Connection) -> None:
    """Convert the rows to Arrow inside Java, and drop them there."""
    with closing(connection.cursor()) as cursor:
        cursor.execute(_WHOLE)
        allocator = jvm.java("org.apache.arrow.memory.RootAllocator")()
        builder = jvm.java("org.apache.arrow.adapter.jdbc.JdbcToArrowConfigBuilder")
        batches = jvm.java("org.apache.arrow.adapter.jdbc.JdbcToArrow").sqlToArrowVectorIterator(
            cursor.rows, builder(allocator, None).setTargetBatchSize(8192).build()
        )
        while batches.hasNext():
            batches.next().close()
        batches.close()
        allocator.close()


def _cells(connection: ucanaccess.Connection) -> list[tuple[Any, ...]]:
    """Fetch each cell with one call of `getObject`, which is what a driver over JPype does."""
    with closing(connection.cursor()) as cursor:
        cursor.execute(_WHOLE)
        rows, columns = cursor.rows, range(1, len(cursor.description or ()) + 1)
        found = []
        while rows.next():
            found.append(tuple([rows.getObject(column) for column in columns]))
        return found
