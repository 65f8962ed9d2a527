"""Measure what many workers need: claiming the next session, working side by side, bulk edits."""

from __future__ import annotations

import multiprocessing
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import lab as filling
from sqlalchemy import text

import vrtracker
from vrtracker.database import Database
from vrtracker.database.migration import upgrade
from vrtracker.domain.registrars import RegistrarResult
from vrtracker.domain.states import QUEUED
from vrtracker.repositories.listing import Listing
from vrtracker.repositories.queue import Queue
from vrtracker.repositories.rows import LookUps
from vrtracker.repositories.stages import StageRepository
from vrtracker.services.workflow.claims import Claim, Claims
from vrtracker.services.workflow.run_report import RunOptions
from vrtracker.tracker import Tracker

READY_PERCENT = 1
MOST_CLAIMS = 100
_UPDATE = 'UPDATE sessiondb SET "numPlanes" = {planes} WHERE "uSessionID" <= {rows}'
_EVENTS = (
    "INSERT INTO vrt_event (occurred_at, actor, host_name, subject_kind, subject_key, verb, "
    "changes) SELECT '2026-01-01 00:00:00', 'bare', 'here', 'session', \"mouseName\" || '.' || "
    "substr(CAST(\"sessionDate\" AS varchar), 1, 10) || '.' || \"sessionID\", 'edited', "
    "'{{\"numPlanes\": [' || COALESCE(CAST(\"numPlanes\" AS varchar), 'null') || ', {planes}]}}' "
    'FROM sessiondb WHERE "uSessionID" <= {rows}'
)
"""What is written of an update at the least: the key of each row and what changed of it."""


class QueueBench:
    """A database in which one session of a hundred is ready to be registered.

    Parameters
    ----------
    line
        Makes a line of an operation, the number of rows, and the seconds of ours and the floor.
    """

    def __init__(
        self, url: str, folder: Path, rows: int, line: Callable[..., Any], *, quick: bool
    ) -> None:
        self.url, self.rows, self.line = url, rows, line
        self.claims = min(MOST_CLAIMS, rows * READY_PERCENT // 200)
        self.processes, self.each = (2, 25) if quick else (8, 250)
        self.root = folder / "sessions"
        self.root.mkdir(exist_ok=True)
        upgrade(url)
        self.database = Database(url)
        self.is_sqlite = self.database.backend.name == "sqlite"
        filling.fill(self.database, rows)
        self._set("1", "0", where=f'"uSessionID" % 100 >= {READY_PERCENT}')
        self._set("0", "0", where=f'"uSessionID" % 100 < {READY_PERCENT}')
        self.tracker = vrtracker.open(url, root=self.root)
        # The copy before a bulk edit has a line of its own.
        self.uncopied = Tracker(replace(self.tracker._lab, safety_copies=False))  # noqa: SLF001

    def lines(self) -> Iterator[Any]:
        """Measure everything."""
        yield self.needs()
        yield self.claim()
        yield from self.workers()
        yield from self.update()
        yield self.scratch()
        self.tracker.close()
        self.database.dispose()

    def _set(self, done: str, failed: str, *, where: str) -> None:
        values = {"vrRegistration": done, "vrRegistrationError": failed, "sessionQC": "1"}
        values |= {"imaging": "0"}
        if not self.is_sqlite:
            values = {name: {"1": "true", "0": "false"}[value] for name, value in values.items()}
        sets = ", ".join(f'"{name}" = {value}' for name, value in values.items())
        with self.database.write_engine.begin() as connection:
            connection.execute(text(f"UPDATE sessiondb SET {sets} WHERE {where}"))
        engine = self.database.write_engine.execution_options(isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text("ANALYZE" if self.is_sqlite else "VACUUM ANALYZE"))

    # -- the queue as a frame -----------------------------------------------------------------

    def needs(self) -> Any:
        """List what is due; the floor is the same SQL in the driver, its rows as they are."""
        lab = self.tracker._lab  # noqa: SLF001 - the statement that the call sends
        statement = StageRepository(LookUps(lab.database)).queue(
            lab.stages["registration"], lab.stages, QUEUED, now=lab.now(), listing=Listing()
        )
        prepared = lab.database.compiled(statement)
        parameters = prepared.parameters({})
        ours, floor = [], []
        with closing(self._driver()) as connection:
            for _ in range(5):
                began = time.perf_counter()
                found = self.tracker.workflow.needs("registration")
                ours.append(time.perf_counter() - began)
                began = time.perf_counter()
                rows = connection.execute(prepared.sql, parameters).fetchall()
                floor.append(time.perf_counter() - began)
                assert len(rows) == len(found)
        return self.line("needs, 1 % due, to its SQL", len(rows), _middle(ours), _middle(floor))

    # -- claim next ---------------------------------------------------------------------------

    def claim(self) -> Any:
        """Claim the next session; the floor is hand-written SQL that writes the same rows."""
        lab = self.tracker._lab  # noqa: SLF001 - the part of a run that is measured alone
        stage = lab.stages["registration"]
        registrar = self.tracker.workflow.registrar("registration", nothing)
        options = RunOptions(filters=lab.selection(None, {}))
        queue = Queue(
            lab.database,
            stage,
            lab.stages,
            options.states,
            filters=options.filters,
            run="benchmrk",
            left_behind=False,
            only_due=True,
            without=(),
        )
        self._make_known(self.tracker.sessions.iter(vrRegistration=False, limit=2 * self.claims))
        claims = Claims(lab, {}, run="benchmrk")
        after, ours = 0, []
        for _ in range(self.claims):
            began = time.perf_counter()
            claim = claims.start_next(queue, after, stage, registrar)
            ours.append(time.perf_counter() - began)
            assert isinstance(claim, Claim)
            after = claim.snapshot.record.uSessionID
        floor = self._bare_claims(after)
        return self.line("claim next, 1 % ready", self.rows, _middle(ours), _middle(floor))

    def _make_known(self, sessions: Iterable[Any]) -> None:
        """Give sessions a history up to now: of what has none, or a bulk one, it is read first."""
        for session in list(sessions):
            self.tracker.workflow.scratch(session.key, "measured")
            self.tracker.workflow.unscratch(session.key)

    def _bare_claims(self, after: int) -> list[float]:
        sql, taken = _Sql(is_sqlite=self.is_sqlite), []
        with closing(self._driver()) as connection:
            for _ in range(self.claims):
                began = time.perf_counter()
                connection.execute("BEGIN")
                found = connection.execute(sql.select, (after,)).fetchone()
                number, *key = found
                sql.claim(connection, number, ".".join(map(str, key)), uuid.uuid4().hex)
                connection.execute("COMMIT")
                taken.append(time.perf_counter() - began)
                after = number
        return taken

    def _driver(self) -> Any:
        return bare_driver(self.url)

    # -- side by side -------------------------------------------------------------------------

    def workers(self) -> Iterator[Any]:
        """Drain a queue of empty work; the floor is as many loops of compare-and-set and commit.

        The second line has the least that records it all as its floor: loops that write the same
        rows (stage, attempt, two events, the lab's columns) by SQL, one commit a session.
        """
        count = self.processes * self.each
        with self.database.read_engine.connect() as connection:
            found = connection.execute(
                text('SELECT "uSessionID" FROM sessiondb WHERE "uSessionID" > :half LIMIT :n'),
                {"half": self.rows // 2, "n": count},
            )
            numbers = [row[0] for row in found]
        self._set("1", "0", where="1 = 1")
        listed = ", ".join(map(str, numbers))
        self._set("0", "0", where=f'"uSessionID" IN ({listed})')
        keys = {row.uSessionID: row.key for row in self.tracker.sessions.iter(uSessionID=numbers)}
        for key in keys.values():
            (self.root / key.path).mkdir(parents=True)
        # What was filled in past the tracker is entered in the history first, once.
        self.tracker.absorb()
        ours = _side_by_side(self.processes, _drain, self.url, str(self.root))
        assert self.tracker.sessions.count(vrRegistration=True) == self.rows
        self._set("0", "0", where=f'"uSessionID" IN ({listed})')
        floor = _side_by_side(self.processes, _bare_loop, self.url, numbers)
        yield self.line(
            f"{self.processes} workers, no work, each", count, ours / count, floor / count
        )
        self._set("0", "0", where=f'"uSessionID" IN ({listed})')
        with self.database.write_engine.begin() as connection:
            connection.execute(text("DELETE FROM vrt_stage_state"))
        floor = _side_by_side(self.processes, _bare_rows, self.url, keys)
        yield self.line("the same, to SQL of its rows", count, ours / count, floor / count)

    # -- many rows ----------------------------------------------------------------------------

    def update(self) -> Iterator[Any]:
        """Update many rows, an event each; the floors are one UPDATE, and events by SQL with it."""
        rows = min(100_000, self.rows)
        filters = {"uSessionID": (rows, "<=")}
        ours, bare, events = [], [], []
        for planes in (91, 92):
            began = time.perf_counter()
            self.uncopied.sessions.update({"numPlanes": planes}, **filters)
            ours.append(time.perf_counter() - began)
            bare.append(self._in_one(_UPDATE.format(planes=planes + 2, rows=rows)))
            with_events = _EVENTS.format(planes=planes + 4, rows=rows)
            update = _UPDATE.format(planes=planes + 4, rows=rows)
            events.append(self._in_one(with_events, update))
        yield self.line("update, an event each", rows, min(ours), min(bare))
        yield self.line("the same, to SQL with events", rows, min(ours), min(events))
        if self.is_sqlite:
            began = time.perf_counter()
            self.tracker.sessions.update({"numPlanes": 90}, **filters)
            copied = time.perf_counter() - began
            yield self.line("the same, the database copied first", rows, copied, min(ours))

    def _in_one(self, *statements: str) -> float:
        """Return how long statements take in one transaction of the driver, seconds."""
        with closing(self._driver()) as connection:
            began = time.perf_counter()
            for statement in ("BEGIN", *statements, "COMMIT"):
                connection.execute(statement)
            return time.perf_counter() - began

    # -- one decision -------------------------------------------------------------------------

    def scratch(self) -> Any:
        """Scratch sessions; the floor is hand-written SQL that writes the same three rows."""
        false, true = ("0", "1") if self.is_sqlite else ("false", "true")
        mark = "?" if self.is_sqlite else "%s"
        lock = "" if self.is_sqlite else " FOR UPDATE"
        select = (
            "SELECT s.*, t.stage, t.mark, a.outcome, a.lease_until FROM sessiondb s "
            'LEFT JOIN vrt_stage_state t ON t."uSessionID" = s."uSessionID" '
            "LEFT JOIN vrt_attempt a ON a.attempt_id = t.attempt_id "
            f'WHERE s."mouseName" = {mark} AND s."sessionDate" = {mark} AND s."sessionID" = {mark}'
            f"{lock and lock + ' OF s'}"
        )
        update = (
            f'UPDATE sessiondb SET "sessionQC" = {false}, "scratchJustification" = {mark} '
            f'WHERE "uSessionID" = {mark} AND "sessionQC" = {true}'
        )
        decision = (
            'INSERT INTO vrt_qc_decision ("uSessionID", check_name, qc_level, decided_at, actor, '
            f"reason) VALUES ({mark}, 'session', 40, {mark}, 'bare', 'measured')"
        )
        event = (
            "INSERT INTO vrt_event (occurred_at, actor, host_name, subject_kind, subject_key, "
            f"verb, changes, reason) VALUES ({mark}, 'bare', 'here', 'session', {mark}, "
            f"'scratch', '{{\"sessionQC\": [true, false]}}', 'measured')"
        )
        sessions = list(self.tracker.sessions.iter(uSessionID=(2 * self.claims, "<=")))
        half, now = len(sessions) // 2, "2026-01-01 00:00:00"
        ours, floor = [], []
        self._make_known(sessions[:half])
        for session in sessions[:half]:
            began = time.perf_counter()
            self.tracker.workflow.scratch(session.key, "measured")
            ours.append(time.perf_counter() - began)
        with closing(self._driver()) as connection:
            for session in sessions[half:]:
                key = session.key
                date = key.date.isoformat() + (" 00:00:00" if self.is_sqlite else "")
                began = time.perf_counter()
                connection.execute("BEGIN IMMEDIATE" if self.is_sqlite else "BEGIN")
                connection.execute(select, (key.mouse, date, key.number)).fetchall()
                connection.execute(update, ("measured", session.uSessionID))
                connection.execute(decision, (session.uSessionID, now))
                connection.execute(event, (now, str(key)))
                connection.execute("COMMIT")
                floor.append(time.perf_counter() - began)
        return self.line("scratch, to the same rows by SQL", 1, _middle(ours), _middle(floor))


class _Sql:
    """Hand-written SQL of a claim and of its success: the rows that the tracker writes."""

    now = "2026-01-01 00:00:00"

    def __init__(self, *, is_sqlite: bool) -> None:
        false, true = ("0", "1") if is_sqlite else ("false", "true")
        mark = "?" if is_sqlite else "%s"
        lock = "" if is_sqlite else " FOR UPDATE SKIP LOCKED"
        self.begin = "BEGIN IMMEDIATE" if is_sqlite else "BEGIN"
        self.select = (
            'SELECT "uSessionID", "mouseName", "sessionDate", "sessionID" FROM sessiondb '
            f'WHERE "vrRegistration" = {false} AND "sessionQC" = {true} '
            f'AND "vrRegistrationError" = {false} AND "uSessionID" > {mark} '
            f'ORDER BY "uSessionID" LIMIT 1{lock}'
        )
        self._state = (
            'INSERT INTO vrt_stage_state ("uSessionID", stage, attempt_id, changed_at) '
            f"VALUES ({mark}, 'registration', {mark}, {mark})"
        )
        self._attempt = (
            'INSERT INTO vrt_attempt (attempt_id, "uSessionID", stage, outcome, started_at, '
            "heartbeat_at, lease_until, actor, host_name, process_id, registrar, options, versions)"
            f" VALUES ({mark}, {mark}, 'registration', 'running', {mark}, {mark}, {mark}, "
            f"'bare', 'here', 1, 'nothing', {mark}, {mark})"
        )
        self._event = (
            "INSERT INTO vrt_event (occurred_at, actor, host_name, subject_kind, subject_key, "
            f"verb, stage, attempt_id, changes) VALUES ({mark}, 'bare', 'here', 'session', {mark}, "
            f"{mark}, 'registration', {mark}, {mark})"
        )
        self._close = (
            f"UPDATE vrt_attempt SET outcome = 'succeeded', finished_at = {mark} "
            f"WHERE attempt_id = {mark} AND outcome = 'running'"
        )
        self._done = (
            f'UPDATE sessiondb SET "vrRegistration" = {true}, "vrRegistrationDate" = {mark} '
            f'WHERE "uSessionID" = {mark} AND "vrRegistration" = {false}'
        )
        self._settle = (
            f"UPDATE vrt_stage_state SET changed_at = {mark} "
            f"WHERE \"uSessionID\" = {mark} AND stage = 'registration'"
        )

    def claim(self, connection: Any, number: int, key: str, attempt_id: str) -> None:
        """Write what a claim writes."""
        now = self.now
        connection.execute(self._state, (number, attempt_id, now))
        connection.execute(self._attempt, (attempt_id, number, now, now, now, "{}", "{}"))
        connection.execute(self._event, (now, key, "start", attempt_id, None))

    def succeed(self, connection: Any, number: int, key: str, attempt_id: str) -> None:
        """Write what a success writes."""
        connection.execute(self._close, (self.now, attempt_id))
        connection.execute(self._done, (self.now, number))
        connection.execute(self._settle, (self.now, number))
        told = '{"vrRegistration": [false, true], "vrRegistrationDate": [null, "2026-01-01"]}'
        connection.execute(self._event, (self.now, key, "succeed", attempt_id, told))


def nothing(job: Any) -> RegistrarResult:
    """Do nothing."""
    del job
    return RegistrarResult(datasets=[])


nothing.version = "1"  # type: ignore[attr-defined]


def bare_driver(url: str) -> Any:
    """Open the driver alone, as safe as the tracker has it."""
    database = Database(url)
    if database.backend.name == "sqlite":
        connection = sqlite3.connect(database.url.database, isolation_level=None, timeout=60)
        connection.execute("PRAGMA synchronous = FULL")
        return connection
    import psycopg

    address = database.url.set(drivername="postgresql")
    return psycopg.connect(address.render_as_string(hide_password=False), autocommit=True)


def _middle(seconds: list[float]) -> float:
    return sorted(seconds)[len(seconds) // 2]


def _side_by_side(processes: int, work: Callable[..., Any], *args: Any) -> float:
    """Return how long processes take from when all are ready to the end of the last, seconds."""
    context = multiprocessing.get_context("spawn")
    barrier, times = context.Barrier(processes), context.Queue()
    started = [
        context.Process(target=_timed, args=(index, processes, barrier, times, work, *args))
        for index in range(processes)
    ]
    for process in started:
        process.start()
    taken = [times.get(timeout=1800) for _ in started]
    for process in started:
        process.join()
    return max(end for _, end in taken) - min(begin for begin, _ in taken)


def _timed(index: int, processes: int, barrier: Any, times: Any, work: Any, *args: Any) -> None:
    ready = work(index, processes, *args)
    barrier.wait()
    begin = time.monotonic()
    ready()
    times.put((begin, time.monotonic()))


def _drain(index: int, processes: int, url: str, root: str) -> Callable[[], Any]:
    del index, processes
    tracker = vrtracker.open(url, root=root)
    tracker.sessions.count()
    return lambda: tracker.workflow.run("registration", registrar=nothing)


def _bare_loop(index: int, processes: int, url: str, numbers: list[int]) -> Callable[[], Any]:
    connection = bare_driver(url)
    mine = numbers[index::processes]
    is_sqlite = isinstance(connection, sqlite3.Connection)
    mark, true, false = ("?", "1", "0") if is_sqlite else ("%s", "true", "false")
    begin = "BEGIN IMMEDIATE" if is_sqlite else "BEGIN"
    sql = (
        f'UPDATE sessiondb SET "vrRegistration" = {true} '
        f'WHERE "uSessionID" = {mark} AND "vrRegistration" = {false}'
    )

    def loop() -> None:
        for number in mine:
            connection.execute(begin)
            connection.execute(sql, (number,))
            connection.execute("COMMIT")

    return loop


def _bare_rows(index: int, processes: int, url: str, keys: dict[int, Any]) -> Callable[[], Any]:
    """Return a loop that claims a session and records the one before, in one commit each."""
    connection = bare_driver(url)
    sql = _Sql(is_sqlite=isinstance(connection, sqlite3.Connection))
    mine = list(keys.items())[index::processes]

    def loop() -> None:
        before: tuple[Any, ...] | None = None
        for number, key in [*mine, (0, None)]:
            connection.execute(sql.begin)
            if before is not None:
                sql.succeed(connection, *before)
            before = number, str(key), uuid.uuid4().hex
            if key is not None:
                connection.execute(sql.select, (number - 1,)).fetchone()
                sql.claim(connection, *before)
            connection.execute("COMMIT")

    return loop
