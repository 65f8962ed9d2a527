"""Registering without the imaging: what is recorded when, and what takes it back."""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import Any

import numpy as np
import pytest

from support.processes import in_child
from vrtracker.domain.states import State
from vrtracker.errors import InvalidValueError
from vrtracker.interop.vranalysis import get_database
from vrtracker.services.workflow.claims import Claims
from vrtracker.unit_of_work import UnitOfWork

NAMES = ("ATL012", "2023-01-20", 701)
OUTPUT = 305
COMMAND = f"command: {sys.executable} -c pass"
BY_CLASS = "vrtracker.interop.vranalysis.b2:VrAnalysisRegistrar"


def waiting(desk) -> list[int]:
    return desk.sessions.needs_s2p()["sessionID"].tolist()


def verbs(desk, key) -> list[str]:
    return desk.tracker.history(key)["verb"].tolist()


def kept_options(desk, key) -> list[dict[str, Any]]:
    """Return the options of each attempt; several may be of one second, so by their text."""
    return [json.loads(kept) for kept in sorted(desk.tracker.workflow.attempts(key)["options"])]


@pytest.fixture
def configured(desk, monkeypatch, tmp_path):
    """Return a function that gives the desk a registrar of the profile."""

    def configure(registrar: str) -> None:
        config = tmp_path / "config.toml"
        config.write_text(
            f'default_profile = "lab"\n[profiles.lab]\nurl = "{desk.url}"\n'
            f"[profiles.lab.registrars]\nregistration = '{registrar}'\n",
            encoding="utf-8",
        )
        monkeypatch.setenv("VRTRACKER_CONFIG", str(config))
        desk.sessions.tracker.close()
        desk.sessions = desk.database("vrSessions")

    return configure


# -- nothing is recorded of sessions that were not registered -------------------------------------


@pytest.mark.parametrize(("limit", "left"), [(0, [701, 702, 703]), (OUTPUT, [702, 703])])
def test_sessions_beyond_the_limit_keep_waiting_for_suite2p(desk, fake_vranalysis, limit, left):
    keys = [desk.add(701 + n, imaging=True) for n in range(3)]

    desk.sessions.register_sessions(imaging=False, max_data=limit)

    assert waiting(desk) == left
    assert verbs(desk, keys[-1]) == ["added"]


def test_failed_session_keeps_waiting_for_suite2p_and_is_skipped_as_failed(desk, fake_vranalysis):
    key = desk.add(imaging=True)
    desk.fault(key, "flips")

    first = desk.sessions.register_sessions(imaging=False)
    again = desk.sessions.register_sessions(imaging=False)

    assert (first.failed, again.results) == (1, ())
    assert waiting(desk) == [701]
    assert verbs(desk, key) == ["added", "start", "fail"]
    assert desk.row(key).vrRegistrationError


def test_failed_session_is_tried_again_without_imaging_when_errors_are_not_skipped(
    desk, fake_vranalysis
):
    key = desk.add(imaging=True, vrRegistrationError=True, vrRegistrationException="flips")

    assert desk.sessions.register_sessions(imaging=False, skip_errors=False).succeeded == 1

    assert desk.row(key).vrRegistration


@pytest.mark.parametrize(
    ("fault", "error"), [("flips", ValueError), ("interrupt", KeyboardInterrupt)]
)
def test_raised_error_leaves_the_session_waiting_for_suite2p(desk, fake_vranalysis, fault, error):
    key = desk.add(imaging=True)
    desk.fault(key, fault)

    with pytest.raises(error):
        desk.sessions.register_sessions(imaging=False, raise_exception=True)

    assert waiting(desk) == [701]
    assert "excluded" not in verbs(desk, key)


def test_session_of_another_worker_keeps_its_stages(desk, fake_vranalysis):
    key = desk.add(imaging=True, suite2p=True)
    workflow = desk.tracker.workflow
    registrar = desk.sessions.backend.registrar({})
    Claims(desk.tracker._lab, {}).start(key, workflow.stages["registration"], registrar)

    assert desk.sessions.register_single_session(*NAMES, imaging=False) is False

    assert workflow.states(key)["red_cell_qc"] is State.BLOCKED


def test_unknown_option_is_refused_before_anything_is_tried(desk, fake_vranalysis):
    key = desk.add(imaging=True)

    with pytest.raises(InvalidValueError, match="neuropilCoefficient"):
        desk.sessions.register_sessions(imaging=False, options={"oassis": False})

    assert verbs(desk, key) == ["added"]


# -- with any registrar -----------------------------------------------------------------------


REGISTRARS = {
    "alf": {"hashes": True},
    COMMAND: {"command": COMMAND.removeprefix("command: "), "timeout_s": None},
    "support.registrars:good": {},
    "support.registrars:Counting": {"size": 3},
    BY_CLASS: {},
}


@pytest.mark.own_rule
@pytest.mark.parametrize(("registrar", "own"), REGISTRARS.items())
def test_attempt_tells_whether_it_was_with_imaging_whatever_the_registrar(
    desk, fake_vranalysis, configured, registrar, own
):
    configured(registrar)
    key = desk.add(imaging=True)
    np.save(desk.folder(key) / "trials.startTimes.npy", np.arange(3))

    assert desk.sessions.register_single_session(*NAMES, imaging=False) is True

    assert kept_options(desk, key) == [{**own, "imaging": False}]
    assert waiting(desk) == []
    assert desk.tracker.workflow.states(key)["red_cell_qc"] is State.NOT_APPLICABLE

    desk.suite2p(key)
    desk.sessions.check_s2p(with_database_update=True)
    for imaging in (True, None):
        assert desk.sessions.register_single_session(*NAMES, imaging=imaging) is True
    kept = kept_options(desk, key)
    assert all(options in kept for options in ({**own, "imaging": True}, own))


def test_function_of_the_profile_is_told_of_imaging(desk, configured):
    configured("support.registrars:options_of")
    key = desk.add(imaging=True)

    assert desk.sessions.register_single_session(*NAMES, imaging=False) is True

    assert (desk.folder(key) / "oneData" / "job.options.txt").read_text() == "[('imaging', False)]"


# -- killed -------------------------------------------------------------------------------------


def register_until(commits: int) -> None:
    """Register all without the imaging; die after so many commits."""
    left, commit = [commits], UnitOfWork.commit

    def commit_and_die(self: UnitOfWork) -> None:
        commit(self)
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)

    UnitOfWork.commit = commit_and_die
    get_database("vrSessions").register_sessions(imaging=False)


@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")
@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("commits", "state", "lacks_suite2p"), [(1, "running", [701]), (2, "done", []), (9, "done", [])]
)
def test_kill_at_any_commit_leaves_no_registered_session_waiting_for_suite2p(
    desk, fake_vranalysis, commits, state, lacks_suite2p
):
    key = desk.add(imaging=True)

    code = in_child(lambda: register_until(commits))

    assert code == (0 if commits == 9 else -signal.SIGKILL)
    assert desk.tracker.workflow.states(key)["registration"] == state
    assert waiting(desk) == lacks_suite2p
    assert desk.sessions.needs_red_cell_qc().empty


# -- taken back ---------------------------------------------------------------------------------


@pytest.mark.parametrize("imaging", [None, True])
def test_red_cells_are_queued_once_it_is_registered_with_imaging(desk, fake_vranalysis, imaging):
    key = desk.add(imaging=True)
    desk.sessions.register_single_session(*NAMES, imaging=False)
    desk.suite2p(key)
    desk.sessions.check_s2p(with_database_update=True)

    assert desk.sessions.register_single_session(*NAMES, imaging=imaging) is True

    assert desk.sessions.needs_red_cell_qc()["sessionID"].tolist() == [701]
    assert desk.sessions.set_red_cell_qc(*NAMES) is True


def test_failure_with_imaging_takes_nothing_back(desk, fake_vranalysis):
    key = desk.add(imaging=True)
    desk.sessions.register_single_session(*NAMES, imaging=False)
    desk.fault(key, "flips")

    assert desk.sessions.register_single_session(*NAMES) is False

    assert desk.tracker.workflow.states(key)["red_cell_qc"] is State.NOT_APPLICABLE


def test_exclusion_by_a_person_outlives_a_registration(desk, fake_vranalysis):
    key = desk.add(imaging=True, suite2p=True)
    desk.tracker.workflow.exclude(key, "red_cell_qc", "no red channel")

    assert desk.sessions.register_single_session(*NAMES) is True

    assert desk.sessions.needs_red_cell_qc().empty


def test_later_exclusion_by_a_person_outlives_that_of_a_registration(desk, fake_vranalysis):
    key = desk.add(imaging=True, suite2p=True)
    desk.sessions.register_single_session(*NAMES, imaging=False)
    desk.tracker.workflow.include(key, "red_cell_qc")
    desk.tracker.workflow.exclude(key, "red_cell_qc", "no red channel")

    assert desk.sessions.register_single_session(*NAMES) is True

    assert desk.sessions.needs_red_cell_qc().empty
