"""Measure selections at several sizes against the columnar driver alone, and against peers.

Each round runs all contenders in turns; what is told are medians, of one run where it takes long.
Processor time counts this process and those that it has started, as a laden machine stretches the
rest; that of a database server is in none of them.
"""

from __future__ import annotations

import contextlib
import cProfile
import gc
import json
import pstats
import shutil
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import lab as filling
import pandas as pd
import psutil
from sqlalchemy import select, text
from sqlalchemy.orm import Session as OrmSession

import vrtracker
from vrtracker.database import Database
from vrtracker.database.migration import upgrade
from vrtracker.models import Session

_ALL = 'SELECT * FROM sessiondb ORDER BY "uSessionID"'
_THREE = ["mouseName", "sessionDate", "sessionID"]
_MANY = 100_000
WHOLE = "frame, all columns"
READ_SQL, OLD = "pandas.read_sql", "the old module's way"
DATASETS = 20
"""Of each session, where datasets are searched."""
_MEMORY = """
import json, re, sys, psutil, vrtracker
def peak():
    # What getrusage tells begins with what the process had that has started this one.
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) * 1024
tracker = vrtracker.open(sys.argv[1])
tracker.sessions.frame(limit=10_000, include_scratched=True)
before = peak()
ours = eval(sys.argv[2], {"query": tracker.query(include_scratched=True), "day": sys.argv[3]})
sizes = {"DataFrame": lambda: ours.memory_usage(deep=True).sum(), "Table": lambda: ours.nbytes}
size = int(sizes[type(ours).__name__]())
others = sum(child.memory_info().rss for child in psutil.Process().children())
print(json.dumps({"size": size, "beyond": max(0, peak() - before - size), "others": others}))
"""


def processor() -> float:
    """Return the processor time of this process and of those that it has started, s."""
    spent = time.process_time()
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            times = child.cpu_times()
            spent += times.user + times.system
    return spent


def measured(
    works: Mapping[str, Callable[[], Any]], *, rounds: int, once: float
) -> dict[str, tuple[float, float]]:
    """Return the median wall and processor time of each piece of work, s, by its name.

    Parameters
    ----------
    once
        What takes longer than so many seconds is not repeated, the first two aside.
    """
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in works}
    for _ in range(rounds):
        for position, (name, work) in enumerate(works.items()):
            taken = times[name]
            if position > 1 and taken and taken[0][0] > once:
                continue
            gc.collect()
            spent, began = processor(), time.perf_counter()
            work()
            taken.append((time.perf_counter() - began, processor() - spent))
    return {
        name: tuple(statistics.median(column) for column in zip(*taken, strict=True))  # type: ignore[misc]
        for name, taken in times.items()
    }


class SelectionBench:
    """All selections from one database, which holds nothing but sessions and their mice.

    Parameters
    ----------
    make_line
        Makes a line of an operation, the number of rows, and what was measured of each contender.
    weighs
        Whether to look at memory too.
    """

    def __init__(
        self, backend: str, url: str, rows: int, make_line: Callable[..., Any], *, weighs: bool
    ) -> None:
        self.backend, self.url, self.rows, self._weighs = backend, url, rows, weighs
        self._make_line = make_line
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
        self.rounds = 3 if rows > _MANY else 5
        self._whole = (0.0, 0.0)

    def lines(self) -> Iterator[Any]:
        """Measure everything, then close all connections."""
        try:
            # The process that reads for SQLite is there before the first measure.
            self.tracker.sessions.frame(include_scratched=True)
            yield self._all()
            yield self._tenth()
            yield self._three()
            yield self._columns("arrow", lambda: self._table(_ALL))
            yield self._columns("polars", lambda: self._polars(self._table(_ALL)))
        finally:
            self._columnar.close()
            self.tracker.close()
            self.peers.dispose()

    def _line(self, operation: str, rows: int, works: Mapping[str, Any], peak: str = "") -> Any:
        """Measure ours, the floor and the peers, in this order."""
        found = measured(works, rounds=self.rounds, once=1.0)
        weighed = self._peak(peak) if peak and self._weighs else None
        return self._make_line(operation, rows, found, peak=weighed)

    def _all(self) -> Any:
        """Frame all columns; every peer gives rows in its own types."""
        works: dict[str, Any] = {
            "ours": lambda: self.tracker.sessions.frame(include_scratched=True),
            "ADBC alone, to pandas": lambda: self._table(_ALL).to_pandas(),
            READ_SQL: lambda: self._read_sql(_ALL),
            OLD: self._old_table,
            "bare driver": self._bare,
            **self._other_libraries(),
        }
        if self.rows <= _MANY:
            # A million objects are more than many machines have room for.
            works["SQLAlchemy ORM"] = self._orm
        line = self._line(WHOLE, self.rows, works, "query.frame()")
        self._whole = line.peers[READ_SQL], line.peers_cpu[READ_SQL]
        return line

    def _tenth(self) -> Any:
        """Filter a tenth of the rows; the old module read all and filtered in pandas."""
        dates = self.tracker.sessions.frame(columns=["sessionDate"], include_scratched=True)
        day = dates["sessionDate"].sort_values().iloc[-max(1, self.rows // 10)].date()
        self._day = str(day)
        sql = _ALL.replace("ORDER", f"WHERE \"sessionDate\" >= '{day} 00:00:00' ORDER")

        def ours() -> pd.DataFrame:
            return self.tracker.sessions.frame(sessionDate=(day, ">="), include_scratched=True)

        def old() -> pd.DataFrame:
            # Times are text in SQLite, and compare alike.
            stamp = f"{day} 00:00:00"
            wanted: Any = stamp if self.backend == "sqlite" else pd.Timestamp(stamp)
            return self._old_table().query("sessionDate >= @wanted", local_dict={"wanted": wanted})

        works = {"ours": ours, "the same SQL through ADBC": lambda: self._table(sql).to_pandas()}
        peak = "query.where(sessionDate=(day, '>=')).frame()"
        return self._line("frame, a tenth of the rows", len(ours()), {**works, OLD: old}, peak)

    def _three(self) -> Any:
        sql = _ALL.replace("*", ", ".join(f'"{name}"' for name in _THREE))
        works = {
            "ours": lambda: self.tracker.sessions.frame(columns=_THREE, include_scratched=True),
            "ADBC alone, to pandas": lambda: self._table(sql).to_pandas(),
            f"{READ_SQL}, three columns": lambda: self._read_sql(sql),
        }
        line = self._line(
            "frame, three columns", self.rows, works, f"query.select(*{_THREE}).frame()"
        )
        whole = f"{READ_SQL}, all columns"
        line.peers[whole], line.peers_cpu[whole] = self._whole
        return line

    def _columns(self, form: str, floor: Callable[[], Any]) -> Any:
        """End in Arrow or polars; the floor has the types that the driver guesses."""
        query = self.tracker.query(include_scratched=True)
        works = {"ours": getattr(query, form), f"ADBC alone, to {form}": floor}
        peak = "query.arrow()" if form == "arrow" else ""
        return self._line(f".{form}(), all columns", self.rows, works, peak)

    def _peak(self, ending: str) -> dict[str, int]:
        """Return what it takes in a process of its own, bytes, beyond what it returns."""
        words = [sys.executable, "-c", _MEMORY, self.url, ending, getattr(self, "_day", "")]
        done = subprocess.run(words, check=True, capture_output=True, text=True)
        peak: dict[str, int] = json.loads(done.stdout)
        return peak

    # -- contenders -----------------------------------------------------------------------------

    def _table(self, sql: str) -> Any:
        with self._columnar.cursor() as cursor:
            cursor.execute(sql)
            table = cursor.fetch_arrow_table()
        self._columnar.commit()
        return table

    @staticmethod
    def _polars(table: Any) -> Any:
        import polars as pl

        return pl.from_arrow(table)

    def _read_sql(self, sql: str) -> pd.DataFrame:
        with self.peers.read_engine.connect() as connection:
            return pd.read_sql(text(sql), connection)

    def _old_table(self) -> pd.DataFrame:
        """Fetch the whole table through the driver, as the lab's old module did for every call."""
        with self._driver() as connection:
            cursor = connection.execute(_ALL)
            names = [column[0] for column in cursor.description]
            return pd.DataFrame.from_records(cursor.fetchall(), columns=names)

    def _bare(self) -> Any:
        with self._driver() as connection:
            return connection.execute(_ALL).fetchall()

    def _driver(self) -> Any:
        if self.backend == "sqlite":
            return closing(sqlite3.connect(self._peers_url))
        import psycopg

        return psycopg.connect(self._plain_url())

    def _plain_url(self) -> str:
        address = self.peers.url.set(drivername="postgresql")
        return address.render_as_string(hide_password=False)

    def _orm(self) -> Any:
        with OrmSession(self.peers.read_engine) as session:
            return session.scalars(select(Session).order_by(Session.uSessionID)).all()

    def _other_libraries(self) -> dict[str, Any]:
        """Return libraries that are installed and can read this database at all."""
        works: dict[str, Any] = {}
        with contextlib.suppress(ImportError):
            import connectorx

            is_sqlite = self.backend == "sqlite"
            url = f"sqlite://{self._peers_url}" if is_sqlite else self._plain_url()
            if _works("connectorx", lambda: connectorx.read_sql(url, f"{_ALL} LIMIT 1")):
                works["connectorx"] = lambda: connectorx.read_sql(url, _ALL)
        with contextlib.suppress(ImportError):
            import polars as pl

            def polars(sql: str = _ALL) -> Any:
                with self.peers.read_engine.connect() as connection:
                    return pl.read_database(sql, connection, infer_schema_length=None)

            if _works("polars.read_database", lambda: polars(f"{_ALL} LIMIT 1")):
                works["polars.read_database"] = polars
        return works


def _works(name: str, work: Callable[[], Any]) -> bool:
    # connectorx' errors are no Exceptions.
    try:
        work()
    except BaseException as error:  # noqa: BLE001
        print(f"  {name} cannot read it: {str(error).splitlines()[0][:100]}", file=sys.stderr)
        return False
    return True


def lines(
    backend: str,
    folder: Path,
    sizes: list[int],
    *,
    address: Callable[[int], str],
    make_line: Callable[..., Any],
) -> Iterator[Any]:
    """Measure one kind of database at several sizes, each in a database of its own."""
    for rows in sizes:
        url = address(rows) if backend == "postgresql" else str(folder / f"frames-{rows}.db")
        last = rows == sizes[-1]
        yield from SelectionBench(backend, url, rows, make_line, weighs=last).lines()


# -- where the time goes ------------------------------------------------------------------------


def profiles(backend: str, url: str) -> Iterator[str]:
    """Tell the functions that take most time of their own, in this process."""
    with vrtracker.open(url, readonly=True) as tracker:
        sessions = tracker.sessions
        day = tracker.query(include_scratched=True).select("sessionDate").frame()
        tenth = day["sessionDate"].sort_values().iloc[-max(1, len(day) // 10)].date()
        keys = tracker.query(include_scratched=True).limit(500).keys()
        works: dict[str, Any] = {
            "all columns": lambda: sessions.frame(include_scratched=True),
            "a tenth of the rows": lambda: sessions.frame(
                sessionDate=(tenth, ">="), include_scratched=True
            ),
            "three columns": lambda: sessions.frame(columns=_THREE, include_scratched=True),
            "get by key, 500 times": lambda: [sessions.get(key) for key in keys],
        }
        for name, work in works.items():
            work()
            profile = cProfile.Profile()
            profile.runcall(work)
            yield f"- {backend}, {len(day):,} sessions, {name}: {_dearest(profile)}"


def _dearest(profile: cProfile.Profile) -> str:
    found: Any = pstats.Stats(profile)
    whole = found.total_tt
    rows = sorted(found.stats.items(), key=lambda row: -row[1][2])[:5]
    names = (
        f"{Path(file).name if line else ''}{':' if line else ''}{function} {of[2] / whole:.0%}"
        for (file, line, function), of in rows
    )
    return ", ".join(names)


# -- datasets -----------------------------------------------------------------------------------

_NAME = "object7.attribute.npy"
_INSERT = (
    'INSERT INTO vrt_dataset ("uSessionID", rel_path, stage, written, size_bytes, md5, qc_level, '
    "recorded_at, sha256) SELECT \"uSessionID\", 'alf/object' || n || '.attribute.npy', 'scan', 0, "
    '1000 + n, lower(hex(randomblob(16))), CASE "uSessionID" % 4 WHEN 0 THEN 10 WHEN 1 THEN 30 '
    "WHEN 2 THEN 40 ELSE 50 END, '2026-01-01 00:00:00', "
    'lower(hex(randomblob(32))) FROM sessiondb, numbers WHERE n <> 7 OR "uSessionID" % 3 = 0'
)


def insert_datasets(connection: sqlite3.Connection) -> None:
    """Give each session `DATASETS` datasets, one of which most lack."""
    connection.execute("CREATE TEMP TABLE numbers (n INTEGER)")
    connection.executemany("INSERT INTO numbers VALUES (?)", [(n,) for n in range(DATASETS)])
    connection.execute(_INSERT)


def search_line(folder: Path, sessions: int, make_line: Callable[..., Any]) -> Any:
    """Find sessions by a dataset's name and QC; ONE searches tables that were exported."""
    from one.api import One

    file, out = folder / "search.db", folder / "search"
    upgrade(f"sqlite:///{file}")
    database = Database(f"sqlite:///{file}")
    filling.fill(database, sessions)
    database.dispose()
    with closing(sqlite3.connect(file)) as connection:
        insert_datasets(connection)
        connection.execute("ANALYZE")
        connection.commit()
    with vrtracker.open(str(file)) as tracker:
        tracker.export_one(out, sessionQC=[True, False])
        one = One(cache_dir=out, mode="local")
        # As One.search means it: the level of that dataset, in place of the session's worst.
        query = tracker.query(has_dataset=f"{_NAME} <= WARNING", include_scratched=True)
        works: dict[str, Callable[[], Any]] = {
            "ours": query.keys,
            "its SQL alone": lambda: _rows(file, query.select(*_THREE).sql()),
            "One.search": lambda: one.search(datasets=_NAME, dataset_qc_lte="WARNING"),
        }
        sizes: dict[str, int] = {}
        counting = {name: partial(_counted, sizes, name, work) for name, work in works.items()}
        found = measured(counting, rounds=3, once=1.0)
        assert len(set(sizes.values())) == 1, sizes
        return make_line("search by dataset and QC", sessions, found, peak=None)


def _counted(sizes: dict[str, int], name: str, work: Callable[[], Any]) -> None:
    sizes[name] = len(work())


def _rows(file: Path, sql: str) -> Any:
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute(sql).fetchall()
