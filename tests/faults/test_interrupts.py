"""Ctrl-C while a registrar works, and what other connections see of the work."""

from __future__ import annotations

import datetime as dt
import sqlite3
import time

import pytest

from support.registrars import good, raises, slow, writes
from support.workflow_lab import WorkflowLab
from vrtracker import clock
from vrtracker.domain.states import State
from vrtracker.errors import BackendError
from vrtracker.repositories.attempts import AttemptRepository

ONE, TWO = "M1.2023-01-20.1", "M1.2023-01-20.2"


@pytest.fixture
def lab(backend, tmp_path):
    with WorkflowLab.on(backend, tmp_path / "root") as made:
        yield made


class EndOfAllError(BaseException):
    """What no `except Exception` catches."""


class SilentError(Exception):
    """It cannot be printed."""

    def __str__(self):
        raise AttributeError("no text")


def test_an_interruption_leaves_everything_as_it_was(lab):
    interruption = KeyboardInterrupt()
    workflow = lab.tracker.workflow
    key = lab.add(ONE, imaging=True, suite2p=True)
    lab.add(TWO)
    workflow.run("registration", key, registrar=good)
    workflow.set_qc(key, "red_cell", "PASS")
    states, output, before = workflow.states(key), lab.output(key), lab.dump(key)
    lab.clock.advance(hours=1)

    half = raises(interruption, after={"trials.startTimes.npy": b"half"})
    with pytest.raises(KeyboardInterrupt) as caught:
        workflow.run("registration", key, registrar=half, force=True)

    assert caught.value is interruption
    assert workflow.states(key) == states
    assert lab.output(key) == output
    assert lab.litter(key) == []
    after = lab.dump(key)
    assert after["sessions"] == before["sessions"]
    assert after["datasets"] == before["datasets"]
    last = workflow.attempts(key).iloc[-1]
    assert (last["outcome"], last["finished_at"]) == ("cancelled", lab.clock())
    assert lab.events(key)[-1] == ("cancel", "registration", "running", "done")


def test_an_interruption_ends_the_run(lab):
    lab.add(ONE)
    lab.add(TWO)
    with pytest.raises(KeyboardInterrupt):
        lab.tracker.workflow.run(registrar=raises(KeyboardInterrupt()))
    assert len(lab.tracker.workflow.attempts(TWO)) == 0
    assert lab.state(ONE, "registration") == "ready"


def test_an_interrupted_session_is_told_as_cancelled(lab):
    lab.add(ONE)
    told = []
    with pytest.raises(KeyboardInterrupt):
        lab.tracker.workflow.run(
            registrar=raises(KeyboardInterrupt()),
            progress=lambda _position, _total, key, result: told.append((str(key), result)),
        )
    assert [(key, result and result.outcome) for key, result in told] == [
        (ONE, None),
        (ONE, "cancelled"),
    ]


@pytest.mark.parametrize(
    "error", [SystemExit(0), SystemExit(6), GeneratorExit(), EndOfAllError("x")], ids=repr
)
def test_a_registrar_that_would_end_the_program_has_failed_at_its_session(lab, error):
    lab.add(ONE)
    lab.add(TWO)

    report = lab.tracker.workflow.run(registrar=raises(error))

    assert [result.outcome for result in report.results] == ["failed", "failed"]
    assert type(error).__name__ in report.results[0].error
    assert "would end the whole program" in lab.tracker.workflow.errors()["error_message"].iloc[0]
    assert lab.litter(ONE) == []


def test_an_exception_that_cannot_be_printed_is_a_failure_like_others(lab):
    lab.add(ONE)
    lab.add(TWO)

    report = lab.tracker.workflow.run(registrar=raises(SilentError()))

    assert report.count("failed") == 2
    assert report.results[0].error == "SilentError: a SilentError that cannot be printed"


def test_the_claim_is_free_after_an_interruption(lab):
    lab.add(ONE)
    with pytest.raises(KeyboardInterrupt):
        lab.tracker.workflow.run(registrar=raises(KeyboardInterrupt()))
    assert lab.another().workflow.run(registrar=good).succeeded == 1


def test_a_failed_session_is_failed_again_after_an_interruption(lab):
    lab.add(ONE, vrRegistrationError=True, vrRegistrationException="flips")
    with pytest.raises(KeyboardInterrupt):
        lab.tracker.workflow.run(registrar=raises(KeyboardInterrupt()))
    assert lab.state(ONE, "registration") == "failed"
    assert lab.row(ONE).vrRegistrationException == "flips"


def test_an_interruption_while_the_output_is_swapped_in_takes_it_back(lab, monkeypatch):
    key = lab.add(ONE)
    workflow = lab.tracker.workflow
    workflow.run(registrar=writes({"a.b.npy": b"old"}))
    before = lab.output(key)

    def interrupted(self, attempt_id, values):
        if values.get("outcome") == "succeeded":
            raise KeyboardInterrupt
        return close(self, attempt_id, values)

    close = AttemptRepository.close
    monkeypatch.setattr(AttemptRepository, "close", interrupted)
    with pytest.raises(KeyboardInterrupt):
        workflow.run("registration", key, registrar=writes({"a.b.npy": b"new"}), force=True)

    assert lab.output(key) == before
    assert lab.litter(key) == []
    assert lab.state(key, "registration") == "done"


def test_a_heartbeat_keeps_a_claim_beyond_its_lease(lab):
    key = lab.add(ONE)
    # Opening an Access file and writing to it takes seconds where the machine has much to do.
    seconds = 15 if lab.tracker.database.backend.name == "access" else 5
    lease = dt.timedelta(seconds=seconds)
    tracker = lab.another(lease=lease, now=clock.now)
    other = lab.another(lease=lease, now=clock.now)
    seen = []

    def long(job):
        time.sleep(seconds * 1.3)
        seen.append(other.workflow.states(key)["registration"])
        seen.append(other.workflow.run(registrar=good).results)
        good(job)

    assert tracker.workflow.run(registrar=long).succeeded == 1
    assert seen == [State.RUNNING, ()]
    attempt = tracker.workflow.attempts(key).iloc[0]
    assert attempt["heartbeat_at"] > attempt["started_at"]
    assert attempt["lease_until"] > attempt["finished_at"] - lease


def test_a_heartbeat_survives_a_database_that_fails_once(lab, monkeypatch, caplog):
    key = lab.add(ONE)
    tracker = lab.another(lease=dt.timedelta(seconds=3), now=clock.now)
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
    assert lab.row(key).vrRegistration


# -- no transaction is open while a registrar runs ----------------------------------------------


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_sqlite_takes_writes_from_others_while_a_registrar_runs(lab):
    key = lab.add(ONE)
    path = lab.url.removeprefix("sqlite:///")

    def write(job):
        connection = sqlite3.connect(path, timeout=0, isolation_level=None)
        connection.execute("BEGIN EXCLUSIVE")
        connection.execute("UPDATE sessiondb SET \"sessionNotes\" = 'meanwhile'")
        connection.execute("COMMIT")
        connection.close()
        good(job)

    assert lab.tracker.workflow.run(registrar=write).succeeded == 1
    assert lab.row(key).sessionNotes == "meanwhile"


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
        with WorkflowLab(url, tmp_path / "root") as lab:
            lab.add(ONE)
            assert lab.tracker.workflow.run(registrar=look).succeeded == 1
    finally:
        postgres_server.drop_database(name)
    assert states
    assert {state for state, _ in states} == {"idle"}
    assert {begun for _, begun in states} == {None}
