"""Registering without the imaging: what is recorded when, and what takes it back."""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
import pytest

from vrtracker.domain.states import State
from vrtracker.errors import InvalidValueError
from vrtracker.services.workflow.claims import Claims

NAMES = ("ATL012", "2023-01-20", 701)
OUTPUT = 305
BY_CLASS = "vrtracker.interop.vranalysis.b2:VrAnalysisRegistrar"


def waiting(desk) -> list[int]:
    return desk.sessions.needs_s2p()["sessionID"].tolist()


def verbs(desk, key) -> list[str]:
    return desk.tracker.history(key)["verb"].tolist()


def last_options(desk, key) -> dict[str, Any]:
    options: dict[str, Any] = json.loads(desk.tracker.workflow.attempts(key).iloc[-1]["options"])
    return options


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


@pytest.mark.parametrize("registrar", ["alf", f"command: {sys.executable} -c pass"])
def test_registrar_without_such_an_option_is_not_told_of_imaging(desk, configured, registrar):
    configured(registrar)
    key = desk.add(imaging=True)
    np.save(desk.folder(key) / "trials.startTimes.npy", np.arange(3))

    assert desk.sessions.register_single_session(*NAMES, imaging=False) is True

    assert "imaging" not in last_options(desk, key)
    assert waiting(desk) == []
    assert desk.tracker.workflow.states(key)["red_cell_qc"] is State.NOT_APPLICABLE


@pytest.mark.parametrize("registrar", ["support.registrars:good", BY_CLASS])
def test_function_and_vranalysis_of_the_profile_are_told_of_imaging(
    desk, fake_vranalysis, configured, registrar
):
    configured(registrar)
    key = desk.add(imaging=True)

    assert desk.sessions.register_single_session(*NAMES, imaging=False) is True

    assert last_options(desk, key) == {"imaging": False}
    assert waiting(desk) == []


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
