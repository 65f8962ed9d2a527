"""Ctrl-C while a registrar works, and what other connections see of the work."""

from __future__ import annotations

import datetime as dt
import sqlite3
import time

import pytest

from support.bench import Bench
from support.registrars import good, raises, slow, writes
from vrtracker import clock
from vrtracker.domain.states import State
from vrtracker.errors import BackendError
from vrtracker.repositories.attempts import AttemptRepository

ONE, TWO = "M1.2023-01-20.1", "M1.2023-01-20.2"


@pytest.fixture
def bench(backend, tmp_path):
    with Bench(backend.migrated_url(), tmp_path / "root") as made:
        yield made


@pytest.mark.parametrize("interruption", [KeyboardInterrupt(), SystemExit(2)], ids=repr)
def test_an_interruption_leaves_everything_as_it_was(bench, interruption):
    workflow = bench.tracker.workflow
    key = bench.add(ONE, imaging=True, suite2p=True)
    bench.add(TWO)
    workflow.run("registration", key, registrar=good)
    workflow.set_qc(key, "red_cell", "PASS")
    states, output, before = workflow.states(key), bench.output(key), bench.dump(key)
    bench.clock.advance(hours=1)

    half = raises(interruption, after={"trials.startTimes.npy": b"half"})
    with pytest.raises(type(interruption)) as caught:
        workflow.run("registration", key, registrar=half, force=True)

    assert caught.value is interruption
    assert workflow.states(key) == states
    assert bench.output(key) == output
    assert bench.litter(key) == []
    after = bench.dump(key)
    assert after["sessions"] == before["sessions"]
    assert after["datasets"] == before["datasets"]
    last = workflow.attempts(key).iloc[-1]
    assert (last["outcome"], last["finished_at"]) == ("cancelled", bench.clock())
    assert bench.events(key)[-1] == ("cancel", "registration", "running", "done")


def test_an_interruption_ends_the_run(bench):
    bench.add(ONE)
    bench.add(TWO)
    with pytest.raises(KeyboardInterrupt):
        bench.tracker.workflow.run(registrar=raises(KeyboardInterrupt()))
    assert len(bench.tracker.workflow.attempts(TWO)) == 0
    assert bench.state(ONE, "registration") == "ready"


def test_the_claim_is_free_after_an_interruption(bench):
    bench.add(ONE)
    with pytest.raises(KeyboardInterrupt):
        bench.tracker.workflow.run(registrar=raises(KeyboardInterrupt()))
    assert bench.another().workflow.run(registrar=good).succeeded == 1


def test_a_failed_session_is_failed_again_after_an_interruption(bench):
    bench.add(ONE, vrRegistrationError=True, vrRegistrationException="flips")
    with pytest.raises(KeyboardInterrupt):
        bench.tracker.workflow.run(registrar=raises(KeyboardInterrupt()))
    assert bench.state(ONE, "registration") == "failed"
    assert bench.row(ONE).vrRegistrationException == "flips"


def test_an_interruption_while_the_output_is_swapped_in_takes_it_back(bench, monkeypatch):
    key = bench.add(ONE)
    workflow = bench.tracker.workflow
    workflow.run(registrar=writes({"a.b.npy": b"old"}))
    before = bench.output(key)

    def interrupted(self, attempt_id, values):
        if values.get("outcome") == "succeeded":
            raise KeyboardInterrupt
        return close(self, attempt_id, values)

    close = AttemptRepository.close
    monkeypatch.setattr(AttemptRepository, "close", interrupted)
    with pytest.raises(KeyboardInterrupt):
        workflow.run("registration", key, registrar=writes({"a.b.npy": b"new"}), force=True)

    assert bench.output(key) == before
    assert bench.litter(key) == []
    assert bench.state(key, "registration") == "done"


def test_a_heartbeat_keeps_a_claim_beyond_its_lease(bench):
    key = bench.add(ONE)
    lease = dt.timedelta(seconds=5)
    tracker = bench.another(lease=lease, now=clock.now)
    other = bench.another(lease=lease, now=clock.now)
    seen = []

    def long(job):
        time.sleep(6.5)
        seen.append(other.workflow.states(key)["registration"])
        seen.append(other.workflow.run(registrar=good).results)
        good(job)

    assert tracker.workflow.run(registrar=long).succeeded == 1
    assert seen == [State.RUNNING, ()]
    attempt = tracker.workflow.attempts(key).iloc[0]
    assert attempt["heartbeat_at"] > attempt["started_at"]
    assert attempt["lease_until"] > attempt["finished_at"] - lease


def test_a_heartbeat_survives_a_database_that_fails_once(bench, monkeypatch, caplog):
    key = bench.add(ONE)
    tracker = bench.another(lease=dt.timedelta(seconds=3), now=clock.now)
    calls = []

    def renew(self, attempt_id, **times):
        calls.append(attempt_id)
        if len(calls) == 1:
            raise BackendError("the network is gone")
        return original(self, attempt_id, **times)

    original = AttemptRepository.renew
    monkeypatch.setattr(AttemptRepository, "renew", renew)
    report = tracker.workflow.run(registrar=slow, options={"seconds": 3.5})
    assert report.succeeded == 1
    assert len(calls) >= 2
    assert "the network is gone" in caplog.text
    assert bench.row(key).vrRegistration


# -- no transaction is open while a registrar runs ----------------------------------------------


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_sqlite_takes_writes_from_others_while_a_registrar_runs(bench):
    key = bench.add(ONE)
    path = bench.url.removeprefix("sqlite:///")

    def write(job):
        connection = sqlite3.connect(path, timeout=0, isolation_level=None)
        connection.execute("BEGIN EXCLUSIVE")
        connection.execute("UPDATE sessiondb SET \"sessionNotes\" = 'meanwhile'")
        connection.execute("COMMIT")
        connection.close()
        good(job)

    assert bench.tracker.workflow.run(registrar=write).succeeded == 1
    assert bench.row(key).sessionNotes == "meanwhile"


def test_postgresql_has_no_transaction_open_while_a_registrar_runs(postgres_server, tmp_path):
    import psycopg

    name = f"idle_{postgres_server.version}"
    postgres_server.create_database(name)
    url = postgres_server.url(name)
    states = []

    def look(job):
        address = postgres_server.url("postgres", driver="postgresql")
        with psycopg.connect(address, autocommit=True) as connection:
            rows = connection.execute(
                "SELECT state, xact_start FROM pg_stat_activity WHERE datname = %s", (name,)
            )
            states.extend(rows.fetchall())
        good(job)

    try:
        from vrtracker.database.migration import upgrade

        upgrade(url)
        with Bench(url, tmp_path / "root") as bench:
            bench.add(ONE)
            assert bench.tracker.workflow.run(registrar=look).succeeded == 1
    finally:
        postgres_server.drop_database(name)
    assert states
    assert {state for state, _ in states} == {"idle"}
    assert {begun for _, begun in states} == {None}
