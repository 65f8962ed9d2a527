"""A run on several workers: each session once, limits for all together, nobody is waited for."""

from __future__ import annotations

import contextlib
import functools
import multiprocessing
import os
import signal
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import psutil
import pytest

from support.registrars import (
    HANGS,
    bad,
    ends_at_once,
    forks,
    good,
    hang,
    kills_once,
    noted,
    writes,
)
from support.workflow_lab import wait_for
from vrtracker.errors import ConfigurationError, InvalidValueError, WorkersError
from vrtracker.services.workflow.claims import Claims
from vrtracker.services.workflow.engines import Engine

on_sqlite = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
posix = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")


def keys_of(lab, number: int) -> list[str]:
    return [str(lab.add(f"M1.2023-01-20.{each}")) for each in range(1, number + 1)]


def children() -> list[psutil.Process]:
    """Return the processes that were started from here, without that which minds semaphores.

    One of another test that has ended, and that nobody has asked about yet, has no command line.
    """
    found = []
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess):
            found += [child] * ("spawn_main" in " ".join(child.cmdline()))
    return found


def test_workers_do_each_session_once(lab, workflow, tmp_path):
    keys, file, seen = keys_of(lab, 8), tmp_path / "done", []

    def follow(position, total, key, result):
        seen.append((position, total, str(key)))

    options = {"file": str(file)}
    report = workflow.run(registrar=noted, options=options, workers=2, progress=follow)

    assert (report.succeeded, report.stopped, report.left, report.notes) == (8, None, 0, ())
    assert sorted(file.read_text().split()) == keys
    assert [(place, total) for place, total, _ in seen] == [(n, 8) for n in range(1, 9)]
    assert sorted(key for *_, key in seen) == keys
    events = lab.tracker.events(100)
    worked = events[events["verb"].isin(["start", "succeed"])]
    assert len(worked) == 16
    assert worked["operation_id"].nunique() == 1
    assert children() == []


@posix
@on_sqlite
@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("SIGKILL", ("ended with exit code -9", "expired")),
        ("SIGTERM", ("was told to end", "cancelled")),
    ],
)
def test_a_worker_that_somebody_ends_costs_its_session_s_time_alone(
    lab, workflow, tmp_path, name, told
):
    note, outcome = told
    keys, file = keys_of(lab, 6), tmp_path / "done"

    options = {"file": str(file), "deadly": keys[2], "signal": int(getattr(signal, name))}
    report = workflow.run(registrar=kills_once, options=options, workers=2)

    assert (report.succeeded, len(report.results), report.left) == (6, 6, 0)
    assert not report.interrupted
    assert sorted(file.read_text().split()) == keys
    assert any(note in line for line in report.notes)
    assert sorted(workflow.attempts(keys[2])["outcome"]) == [outcome, "succeeded"]
    assert lab.litter(keys[2]) == []


@posix
@on_sqlite
def test_an_interruption_gives_all_sessions_back(lab, workflow):
    keys = keys_of(lab, 2)

    def interrupt():
        wait_for(lambda: all((lab.folder(key) / HANGS).exists() for key in keys))
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        workflow.run(registrar=hang, workers=2)
    thread.join()

    assert [lab.state(key, "registration") for key in keys] == ["ready", "ready"]
    assert [list(workflow.attempts(key)["outcome"]) for key in keys] == [["cancelled"]] * 2
    assert [lab.litter(key) for key in keys] == [[], []]
    assert children() == []


@on_sqlite
def test_a_function_that_cannot_be_sent_is_refused_before_anything_is_claimed(lab, workflow):
    key = keys_of(lab, 1)[0]

    with pytest.raises(ConfigurationError, match="module:function"):
        workflow.run(registrar=writes({"a.b.npy": b"x"}), workers=2)

    assert len(workflow.attempts(key)) == 0


# -- executors ----------------------------------------------------------------------------------


@pytest.fixture
def threads():
    with ThreadPoolExecutor(3) as executor:
        yield executor


@on_sqlite
def test_an_error_of_a_worker_is_raised_where_the_run_began(lab, workflow, threads):
    keys_of(lab, 3)
    with pytest.raises(ValueError, match="first flips"):
        workflow.run(registrar=bad, executor=threads, raise_errors=True)


@on_sqlite
def test_a_run_goes_on_where_the_time_of_a_share_ends_with_a_session_claimed(
    lab, workflow, threads, monkeypatch
):
    succeed = Claims.succeed

    def slowly(*args, **kwargs):
        claimed = succeed(*args, **kwargs)
        time.sleep(0.4)
        return claimed

    keys_of(lab, 6)
    monkeypatch.setattr(Engine, "share_s", 0.3)
    monkeypatch.setattr(Claims, "succeed", slowly)
    report = workflow.run(registrar=good, executor=threads)
    assert (report.succeeded, report.stopped, report.left) == (6, None, 0)


@on_sqlite
def test_limits_of_sessions_and_errors_hold_for_all_workers(lab, workflow, threads):
    keys_of(lab, 9)
    report = workflow.run(registrar=good, executor=threads, max_sessions=5)
    assert (report.succeeded, report.left) == (5, 4)
    assert report.stopped == "the limit of 5 sessions is reached"

    report = workflow.run(registrar=bad, executor=threads, max_errors=1)
    assert 1 <= report.failed <= 3
    assert report.left == 4 - report.failed


@on_sqlite
def test_a_streak_of_failures_is_told_at_its_whole_length(lab, workflow, threads):
    keys_of(lab, 4)
    together = threading.Barrier(3)

    def fail(job):
        together.wait(60)
        bad(job)

    report = workflow.run(registrar=fail, executor=threads, max_failures_in_a_row=1)

    assert (report.failed, report.left) == (3, 1)
    assert str(report.stopped).startswith("3 sessions in a row failed")


@on_sqlite
@pytest.mark.parametrize(
    ("limit", "most"),
    [({"max_sessions": 1}, 1), ({"max_failures_in_a_row": 2}, 3)],
)
def test_limits_hold_where_every_session_takes_its_worker_down(lab, workflow, limit, most):
    keys_of(lab, 5)

    report = workflow.run(registrar=ends_at_once, workers=2, **limit)

    assert 1 <= report.failed <= most
    assert report.left >= 5 - most
    assert report.stopped


@on_sqlite
def test_child_that_a_registrar_forks_does_not_go_on_with_the_run(lab, workflow):
    keys = keys_of(lab, 3)

    report = workflow.run(registrar=forks, max_sessions=2)

    assert (report.succeeded, report.left) == (2, 1)
    assert sum(len(lab.tracker.workflow.attempts(key)) for key in keys) == 2


@on_sqlite
def test_all_workers_together_keep_within_the_budget(lab, workflow, threads):
    keys_of(lab, 9)
    ten = writes({"a.b.npy": b"0123456789"})
    ten.estimate = lambda _job: 10

    report = workflow.run(registrar=ten, executor=threads, budget_bytes=55)

    assert (report.bytes, report.count("cancelled"), report.left) == (50, 0, 4)
    assert "budget" in report.stopped


@on_sqlite
def test_a_pool_of_the_caller_s_own_is_left_open(lab, workflow, tmp_path):
    keys, file = keys_of(lab, 4), tmp_path / "done"
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as executor:
        run = functools.partial(workflow.run, executor=executor, options={"file": str(file)})
        assert run(registrar=noted, max_sessions=2).left == 2
        assert run(registrar=noted).succeeded == 2
    assert sorted(file.read_text().split()) == keys

    lab.add("M1.2023-01-20.9")
    with pytest.raises(WorkersError):
        run(registrar=noted)


@on_sqlite
def test_what_places_no_work_is_refused(lab, workflow):
    for options in ({"executor": "dask"}, {"workers": 0}):
        with pytest.raises(InvalidValueError):
            workflow.run(registrar=good, **options)
