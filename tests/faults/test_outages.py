"""The database goes away in the middle of a run: it goes on, or says so and a rerun completes."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import platform
import sqlite3
import time

import pytest

from support.crowd import Crowd, attempts, fill, verbs
from support.holding import hold
from support.http import Visitor, served
from support.postgres import EXTERNAL_VARIABLE, start_server
from support.processes import quick_processes
from support.registrars import good
from support.workflow_lab import WorkflowLab
from vrtracker import clock
from vrtracker.backends import parse_url, sqlite
from vrtracker.database.migration import upgrade
from vrtracker.errors import DatabaseAwayError

BUSY_S = 1
AWAY_S = 4
LEASE = dt.timedelta(seconds=3)
COUNT = 4

pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs a server that can be restarted")


@pytest.fixture(scope="module")
def server():
    """A PostgreSQL server that can be restarted: those of the other tests have to stay."""
    if os.environ.get(EXTERNAL_VARIABLE):
        pytest.skip("a server that the environment names is not restarted")
    own = start_server(18)
    yield own
    own.close()


@pytest.fixture
def server_lab(server, tmp_path):
    name = f"away_{time.monotonic_ns()}"
    server.create_database(name)
    upgrade(server.url(name))
    with WorkflowLab(server.url(name), tmp_path / "root", lease=LEASE) as made:
        yield made


def all_is_done_once(lab: WorkflowLab, keys: list[str]) -> None:
    # Its connections may be of a server before it was restarted.
    lab.tracker.close()
    counted = verbs(lab)
    for key in keys:
        assert counted[key, "succeed"] == 1
        assert counted[key, "start"] == 1 + counted[key, "cancel"] + counted[key, "fail"]
        assert lab.output(key) == {"trials.startTimes.npy": key.encode()}
        assert lab.litter(key) == []
    assert "running" not in attempts(lab)


def test_pages_say_that_the_database_is_away_and_come_back_with_it(server, server_lab):
    fill(server_lab, 1)
    with served(server_lab.tracker) as client:
        visitor = Visitor(client)
        assert visitor.see("/")
        with server.away():
            gone = [visitor.look(path) for path in ("/", "/mice", "/sessions")]
            call = client.ask("GET", "/sessions")
            sent = visitor.send("/sessions/new", mouse="M1", date="today", number="1")
        back = [visitor.look(path).status for path in ("/", "/mice", "/sessions")]

    assert [answer.status for answer in (*gone, call)] == [503] * 4
    assert b"tries again by itself" in gone[0].body
    # The form would come empty: what was typed is behind the way back.
    assert (sent.status, b"tries again" in sent.body, b"Go back" in sent.body) == (503, False, True)
    assert call.headers["Retry-After"]
    assert back == [200] * 3


# -- a server is restarted ------------------------------------------------------------------------


def test_run_goes_on_when_the_server_is_restarted_during_the_work(server, server_lab):
    lab, restarts = server_lab, []
    keys = fill(lab, COUNT)

    def work(job):
        if not restarts:
            restarts.append(server.restart())
            # Longer than the lease: the heartbeats go on after it too.
            time.sleep(LEASE.total_seconds() + 2)
        good(job)

    report = lab.another(now=clock.now).workflow.run(registrar=work)

    assert report.succeeded == COUNT
    first = lab.tracker.workflow.attempts(keys[0]).iloc[0]
    assert first["heartbeat_at"] > first["started_at"] + LEASE
    all_is_done_once(lab, keys)


def test_each_session_is_done_once_though_the_server_is_restarted_at_any_moment(server, server_lab):
    lab = server_lab
    keys = fill(lab, 60)
    crowd = Crowd(lab, 3)
    restarts = []

    def restart() -> None:
        if crowd.is_open and len(restarts) < 3:
            restarts.append(server.restart())

    try:
        crowd.wait(restart, 0.1)
    finally:
        crowd.close()
    host = lab.another(now=clock.now, host_name=platform.node())
    host.workflow.run(registrar=good)

    assert len(restarts) >= 1
    assert crowd.lines().total() - len(keys) <= 3 * len(restarts)
    all_is_done_once(lab, keys)


# -- somebody holds a file ------------------------------------------------------------------------


@pytest.fixture
def file_lab(backend, tmp_path, monkeypatch):
    """A lab in a file; others that hold it are waited for a second, rather than half a minute."""
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", BUSY_S)
    option = f"?timeout_s={BUSY_S}" if backend.marker == "access" else ""
    with WorkflowLab(backend.migrated_url() + option, tmp_path / "root", lease=LEASE) as made:
        yield made


def held_once(lab: WorkflowLab, seconds: float):
    """Return a registrar that has another program hold the database while it works at first."""
    holders = []
    path = str(lab.tracker.database.backend.file(parse_url(lab.url)))
    ready = lab.root / "held"

    def work(job):
        if not holders:
            process = quick_processes().Process(target=hold, args=(path, str(ready), seconds))
            process.start()
            holders.append(process)
            while not ready.exists():
                assert process.is_alive()
                time.sleep(0.01)
        good(job)

    return work, holders


@pytest.mark.parametrize("backend", ["sqlite", "access"], indirect=True)
def test_run_goes_on_when_somebody_else_holds_the_file_for_a_while(file_lab):
    lab = file_lab
    keys = fill(lab, COUNT)
    work, holders = held_once(lab, AWAY_S)

    report = lab.another(now=clock.now).workflow.run(registrar=work)
    holders[0].join()

    assert report.succeeded == COUNT
    all_is_done_once(lab, keys)


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_worker_that_is_to_end_while_the_file_is_held_waits_no_longer(file_lab):
    lab = file_lab
    (key,) = fill(lab, 1)
    said = []

    with contextlib.closing(sqlite3.connect(parse_url(lab.url).database)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        # It may be away for a minute.
        began = time.monotonic()
        report = lab.tracker.workflow.serve(
            registrar=good,
            say=said.append,
            stop=lambda: "told to end" if time.monotonic() > began + BUSY_S / 2 else None,
        )
        took_s = time.monotonic() - began

    assert took_s < 10 * BUSY_S
    assert (report.stopped, report.succeeded, said) == ("told to end", 0, [])
    assert lab.state(key, "registration") == "ready"


@pytest.mark.parametrize("backend", ["sqlite", "access"], indirect=True)
def test_run_stops_with_one_error_when_the_file_is_held_for_long_and_a_rerun_completes(file_lab):
    lab = file_lab
    keys = fill(lab, COUNT)
    work, holders = held_once(lab, AWAY_S)
    tracker = lab.another(now=clock.now, patience=dt.timedelta(0), lease=dt.timedelta(minutes=15))

    with pytest.raises(DatabaseAwayError, match="again"):
        tracker.workflow.run(registrar=work)
    holders[0].join()
    report = tracker.workflow.run(registrar=good)

    assert report.succeeded == COUNT
    assert any("given it up" in note for note in report.notes)
    all_is_done_once(lab, keys)
