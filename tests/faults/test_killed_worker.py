"""A worker process is killed with a signal that it cannot handle, in the middle of its work."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import platform
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from support.registrars import HANGS, WRITERS, command_that_writes, good
from support.workflow_lab import WorkflowLab
from vrtracker import clock, processes
from vrtracker.domain.states import State
from vrtracker.errors import InvalidTransitionError

pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL and SIGSTOP")

TESTS = Path(__file__).parents[1]
SOURCE = TESTS.parent / "src"
ONE = "M1.2023-01-20.1"
LEASE_S = 5
LONG_S = 900
PATIENCE_S = 60


@pytest.fixture
def lease_s(backend) -> float:
    """Return seconds in which a heartbeat gets its turn, also where each takes one."""
    return 20 if backend.marker == "access" else LEASE_S


@pytest.fixture
def lab(backend, tmp_path, lease_s):
    lease = dt.timedelta(seconds=lease_s)
    with WorkflowLab.on(backend, tmp_path / "root", lease=lease) as made:
        yield made


@pytest.fixture
def tracker(lab):
    """A tracker whose clock is the real one, as the worker's is."""
    return lab.another(now=clock.now)


@pytest.fixture
def worker(lab, lease_s):
    """Start a worker that writes half of its output and then hangs."""
    started = []

    def start(function: str = "hang", lease: float = lease_s) -> subprocess.Popen:
        words = [lab.url, str(lab.root), "registration", function, str(lease)]
        process = subprocess.Popen(
            [sys.executable, "-m", "support.registrars", *words],
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), str(SOURCE)])},
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        wait_for((lab.folder(ONE) / HANGS).exists, process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stderr.close()


def wait_for(condition, process: subprocess.Popen | None = None) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        if process is not None and process.poll() is not None:
            pytest.fail(f"the worker ended too early: {process.communicate()[1]}")
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)


def has_state(tracker, state: State) -> bool:
    return tracker.workflow.states(ONE)["registration"] is state


def test_a_killed_worker_is_succeeded_by_another(lab, tracker, worker):
    lab.add(ONE)
    tracker.workflow.run(registrar=good)
    before = lab.output(ONE)
    # The output is good; suite2p's is what makes it wanted again.
    lab.edit(ONE, vrRegistration=False)

    process = worker()
    assert has_state(tracker, State.RUNNING)
    process.send_signal(signal.SIGKILL)
    process.wait()

    assert lab.output(ONE) == before
    assert len(lab.litter(ONE)) == 1
    wait_for(lambda: has_state(tracker, State.READY))
    report = tracker.workflow.run(registrar=good)

    assert report.succeeded == 1
    assert sorted(tracker.workflow.attempts(ONE)["outcome"]) == [
        "expired",
        "succeeded",
        "succeeded",
    ]
    assert lab.litter(ONE) == []
    assert lab.output(ONE) == before
    assert any("interrupted attempt" in note for note in report.notes)


def test_a_living_worker_keeps_its_claim_beyond_the_lease(lab, tracker, worker, lease_s):
    lab.add(ONE)
    worker()
    time.sleep(lease_s + 2)
    assert has_state(tracker, State.RUNNING)
    with pytest.raises(InvalidTransitionError):
        tracker.workflow.run("registration", ONE, registrar=good)
    attempt = tracker.workflow.attempts(ONE).iloc[0]
    assert attempt["heartbeat_at"] > attempt["started_at"]


def test_a_worker_that_was_suspended_finds_its_claim_gone(lab, tracker, worker, lease_s):
    """Stopped and continued, as a laptop that sleeps: the one that took over keeps its output."""
    lab.add(ONE)
    process = worker()
    process.send_signal(signal.SIGSTOP)
    wait_for(lambda: has_state(tracker, State.READY))
    assert tracker.workflow.run(registrar=good).succeeded == 1
    before = lab.dump()

    process.send_signal(signal.SIGCONT)
    time.sleep(lease_s)

    assert process.poll() is None
    assert lab.dump() == before
    assert lab.output(ONE) == {"trials.startTimes.npy": ONE.encode()}


def test_an_interrupted_worker_gives_its_claim_back_at_once(lab, tracker, worker):
    lab.add(ONE)
    process = worker()
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=PATIENCE_S)

    assert "KeyboardInterrupt" in told
    assert has_state(tracker, State.READY)
    assert list(tracker.workflow.attempts(ONE)["outcome"]) == ["cancelled"]
    assert lab.litter(ONE) == []
    assert not (lab.folder(ONE) / "oneData").exists()


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_the_program_of_a_killed_worker_ends_with_it(lab, worker):
    lab.add(ONE)
    killed = worker(command_that_writes(), lease=LONG_S)
    path = lab.folder(ONE) / HANGS
    wait_for(lambda: "\n" in path.read_text())
    program = psutil.Process(int(path.read_text().split()[0]))
    assert runs(program)
    killed.kill()
    wait_for(lambda: not runs(program))


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_what_a_killed_worker_left_running_is_ended_before_its_session_is_given_away(
    lab, worker, monkeypatch
):
    lab.add(ONE)
    tracker = lab.another(now=clock.now, host_name=platform.node())
    killed = worker("leave_writers", lease=LONG_S)
    paths = [lab.folder(ONE) / name for name in WRITERS]
    wait_for(lambda: all(path.exists() and "\n" in path.read_text() for path in paths))
    left = [psutil.Process(int(path.read_text().split()[0])) for path in paths]
    killed.kill()
    killed.wait()

    with monkeypatch.context() as patch:
        patch.setattr(processes, "_PATIENCE_S", -1)
        note = tracker.workflow.run(registrar=good).notes[0]
        assert list(tracker.workflow.claims()["alive"]) == [False]
        late = lab.another(now=after_the_lease, host_name=platform.node())
        (result,) = late.workflow.run(registrar=good).results
    for told in (note, result.error):
        assert f"still runs (process {left[0].pid}" in told
    assert result.outcome == "failed"
    assert all(map(runs, left))

    def register(job) -> None:
        assert not any(map(runs, left))
        good(job)

    assert tracker.workflow.run(registrar=register).succeeded == 1
    assert lab.litter(ONE) == []


def after_the_lease() -> dt.datetime:
    return clock.now() + dt.timedelta(seconds=2 * LONG_S)


def runs(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def test_worker_within_a_worker_leaves_the_mark_of_the_outer_one(monkeypatch):
    monkeypatch.setenv("VRTRACKER_WORKER", "1 1700000000")
    with processes.marking():
        with processes.marking():
            pass
        assert os.environ["VRTRACKER_WORKER"].startswith(f"{os.getpid()} ")
    assert os.environ["VRTRACKER_WORKER"] == "1 1700000000"


def test_a_registrar_may_clear_the_environment(monkeypatch):
    monkeypatch.delenv("VRTRACKER_WORKER", raising=False)
    with processes.marking():
        del os.environ["VRTRACKER_WORKER"]
    assert "VRTRACKER_WORKER" not in os.environ
