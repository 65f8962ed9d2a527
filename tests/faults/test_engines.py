"""Dask and submitit drain a queue; a worker of theirs that is killed costs its session's time."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from support.registrars import kills_once
from support.workflow_lab import WorkflowLab

TESTS = Path(__file__).parents[1]

pytestmark = [
    pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL"),
    pytest.mark.parametrize("backend", ["sqlite"], indirect=True),
    pytest.mark.slow,
]


@pytest.fixture
def lab(backend, tmp_path):
    with WorkflowLab.on(backend, tmp_path / "root") as made:
        yield made


def drain(lab, tmp_path, **how):
    keys = [str(lab.add(f"M1.2023-01-20.{number}")) for number in range(1, 13)]
    file = tmp_path / "done"

    report = lab.tracker.workflow.run(
        registrar=kills_once, options={"file": str(file), "deadly": keys[5]}, **how
    )

    assert (report.succeeded, report.failed, report.left) == (12, 0, 0), repr(report)
    assert sorted(result.key.number for result in report.results) == list(range(1, 13))
    assert sorted(file.read_text().split()) == sorted(keys)
    outcomes = lab.tracker.workflow.attempts(keys[5])["outcome"]
    assert sorted(outcomes) == ["expired", "succeeded"]
    assert lab.litter(keys[5]) == []


def test_dask_drains_a_queue_though_a_worker_is_killed(lab, tmp_path):
    from distributed import Client, LocalCluster

    cluster = LocalCluster(
        n_workers=4, threads_per_worker=1, dashboard_address=None, local_directory=str(tmp_path)
    )
    with cluster, Client(cluster) as client:
        drain(lab, tmp_path, executor=client)


def test_submitit_drains_a_queue_though_a_job_is_killed(lab, tmp_path, monkeypatch):
    from submitit import LocalExecutor

    # How long it waits for the answer of a job that is gone.
    monkeypatch.setattr(LocalExecutor.job_class, "_results_timeout_s", 1)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(TESTS), str(TESTS.parent / "src")]))

    executor = LocalExecutor(tmp_path / "jobs")
    drain(lab, tmp_path, executor=executor, workers=2)
