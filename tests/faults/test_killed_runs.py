"""A run that is killed at any moment: the next one finishes everything, without any wait."""

from __future__ import annotations

import datetime as dt
import functools
import os
import platform
import random
import time
from pathlib import Path

import pytest

from support.processes import KILLS, OFTEN, killed_when_ready
from support.workflow_lab import WorkflowLab
from vrtracker import clock

pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")

DONE, NEW = "M1.2023-01-20.1", "M1.2023-01-20.2"
FILE = "trials.startTimes.npy"
LONGEST_S = 0.2
IS_SMALL = KILLS < OFTEN
# A server shows little that a file does not, and Java takes seconds to start.
COUNTS = {"sqlite": 6 if IS_SMALL else 200, "postgresql": KILLS, "access": 2}


def register_both(url: str, root: str, ready: str, version: str) -> None:
    """Make the output of one session again, then register the other one."""
    from vrtracker.database import Database
    from vrtracker.domain.stages import StageGraph
    from vrtracker.services.context import LabContext
    from vrtracker.tracker import Tracker

    lab = LabContext(database=Database(url), stages=StageGraph(), actor="worker", root=Path(root))
    with Tracker(lab) as tracker:
        tracker.sessions.count()
        Path(ready).touch()
        tracker.workflow.run("registration", DONE, registrar=writer(version), force=True)
        tracker.workflow.run(registrar=writer(version))
        time.sleep(60)


def writer(version: str):
    """Return a registrar that writes a file of its version in two steps."""

    def write(job) -> None:
        with (job.staging / FILE).open("wb", buffering=0) as file:
            file.write(b"by ")
            file.write(version.encode())

    write.version = "1"
    return write


@pytest.fixture
def lab(backend, tmp_path):
    lease = dt.timedelta(minutes=15)
    with WorkflowLab.on(backend, tmp_path / "root", lease=lease) as made:
        yield made


def test_next_run_after_a_kill_finishes_at_once_and_no_good_output_is_lost(lab, backend, tmp_path):
    draw = random.Random(200)
    tracker = lab.another(now=clock.now, host_name=platform.node())
    for key in (DONE, NEW):
        lab.add(key)
    tracker.workflow.run("registration", registrar=writer("the first"))
    kept = lab.output(DONE)[FILE]

    for number in range(COUNTS[backend.marker]):
        lab.edit(NEW, vrRegistration=False)
        ready = tmp_path / f"ready-{number}"
        work = functools.partial(register_both, lab.url, str(lab.root), str(ready), f"run {number}")
        ended = killed_when_ready(ready, draw.uniform(0.0, LONGEST_S), work)
        assert not ended

        report = tracker.workflow.run(registrar=writer("the next one"))

        assert report.failed == 0
        assert lab.litter(DONE) == lab.litter(NEW) == []
        assert tracker.workflow.claims().empty
        states = tracker.workflow.states
        assert {states(key)["registration"].value for key in (DONE, NEW)} == {"done"}
        assert lab.output(DONE)[FILE] in {kept, f"by run {number}".encode()}
        assert lab.output(NEW)[FILE] in {f"by run {number}".encode(), b"by the next one"}
        kept = lab.output(DONE)[FILE]
