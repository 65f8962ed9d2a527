"""Many processes at one queue: each session is done once, whoever is killed or suspended."""

from __future__ import annotations

import datetime as dt
import logging
import os
import platform
import random

import pytest

from support.crowd import SESSIONS, Crowd, attempts, fill, verbs
from support.registrars import good
from support.workflow_lab import WorkflowLab
from vrtracker import clock
from vrtracker.domain.keys import SessionKey
from vrtracker.domain.states import State

pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL and SIGSTOP")

log = logging.getLogger(__name__)

IS_SMALL = SESSIONS < 500
BETWEEN_KILLS_S = 0.2
# Java takes seconds to start, and a worker that is killed before has shown nothing.
BETWEEN_KILLS_ON_ACCESS_S = 3.0
LEASE_S = 6


@pytest.fixture
def lease_s(is_access) -> int:
    """Return how long claims hold: longer than a crowd on Access waits for its turn at the file."""
    return LEASE_S if IS_SMALL or not is_access else 4 * LEASE_S


@pytest.fixture
def lab(backend, tmp_path, lease_s):
    lease = dt.timedelta(seconds=lease_s)
    with WorkflowLab.on(backend, tmp_path / "root", lease=lease) as made:
        yield made


@pytest.fixture
def is_access(backend) -> bool:
    return backend.marker == "access"


@pytest.fixture
def keys(lab, is_access):
    return fill(lab, SESSIONS // 10 if is_access else SESSIONS)


@pytest.fixture
def crowd(lab, keys, is_access):
    made = []

    def start(**how) -> Crowd:
        count = 2 + (not is_access) if IS_SMALL else 4 * (2 - is_access)
        made.append(Crowd(lab, count, **how))
        return made[-1]

    yield start
    for each in made:
        each.close()


@pytest.fixture
def rescuer(lab):
    """A tracker of this computer, on the real clock, as the workers' are."""
    return lab.another(now=clock.now, host_name=platform.node())


def output_is_whole(lab: WorkflowLab, key: str) -> bool:
    return lab.output(key) == {"trials.startTimes.npy": key.encode()}


def all_is_done(lab: WorkflowLab, keys: list[str], lines) -> None:
    """Check that each session has one success, an event for each change, and whole files."""
    counted, ends = verbs(lab), attempts(lab)
    assert {key: counted[key, "succeed"] for key in keys} == dict.fromkeys(keys, 1)
    for key in keys:
        given_up = counted[key, "cancel"] + counted[key, "fail"]
        assert counted[key, "start"] == 1 + given_up
        assert 1 <= lines[key] <= counted[key, "start"]
        assert output_is_whole(lab, key)
        assert lab.litter(key) == []
    assert ends["succeeded"] == len(keys)
    assert ends.total() == sum(counted[key, "start"] for key in keys)
    assert "running" not in ends


def test_each_session_is_done_once_by_many_processes(lab, keys, crowd):
    many = crowd()
    many.wait(lambda: None)
    log.info("%d sessions in %.1f s", len(keys), many.seconds)

    assert many.lines() == dict.fromkeys(keys, 1)
    outcomes = many.outcomes()
    assert outcomes["succeeded"] == len(keys)
    assert outcomes["skipped"] <= 0.05 * outcomes.total()
    assert attempts(lab) == {"succeeded": len(keys)}
    assert verbs(lab) == {(key, verb): 1 for key in keys for verb in ("start", "succeed")}
    all_is_done(lab, keys, many.lines())


def test_killed_processes_cost_only_the_session_at_hand(lab, keys, crowd, rescuer, is_access):
    draw = random.Random(12)
    many = crowd()
    kills = []

    def kill_one() -> None:
        # On a slow machine they would go on for ever.
        if sum(kills) < len(keys) / 4:
            kills.append(many.kill(draw.randrange(len(many.processes))))

    many.wait(kill_one, BETWEEN_KILLS_ON_ACCESS_S if is_access else BETWEEN_KILLS_S)
    rescuer.workflow.run(registrar=good)
    # Over these two died one after the other: they are taken when they are named.
    aside = [SessionKey.parse(row) for row in rescuer.workflow.errors().to_dict("records")]
    for key in aside:
        rescuer.workflow.run("registration", key, registrar=good)

    lines = many.lines()
    log.info("%d sessions, %d kills, %d set aside", len(keys), sum(kills), len(aside))
    assert lines.total() - len(lines) <= sum(kills)
    all_is_done(lab, keys, lines)


def test_result_of_a_process_suspended_beyond_its_lease_is_refused(
    lab, keys, crowd, rescuer, lease_s
):
    suspends = min(max(len(keys) // 20, 15), len(keys) // 2)
    many = crowd(lease_s=lease_s, suspends=suspends)
    taken_over = []

    def take_over() -> None:
        for process, key in many.suspended():
            if rescuer.workflow.states(key)["registration"] is State.READY:
                # By its number: a worker may have taken it over a moment before.
                report = rescuer.workflow.run(uSessionID=lab.number(key), registrar=good)
                taken_over.extend(str(result.key) for result in report.results)
            if rescuer.workflow.states(key)["registration"] is State.DONE:
                process.resume()

    many.wait(take_over)

    outcomes = many.outcomes()
    late = [key for key in keys if list(lab.folder(key).glob("late_output_*"))]
    log.info("%d sessions, %d late, %d taken over here", len(keys), len(late), len(taken_over))
    assert outcomes == {"succeeded": len(keys) - len(taken_over), "skipped": len(late)}
    assert late
    assert set(taken_over) <= set(late)
    all_is_done(lab, keys, many.lines())
