"""A stage that a session does not have after all, on a person's word."""

from __future__ import annotations

import pytest

from support.registrars import bad, good
from vrtracker.domain.states import State
from vrtracker.errors import InvalidTransitionError, NotFoundError, UnknownNameError
from vrtracker.registrars import registrar_from
from vrtracker.services.workflow.claims import Claims
from vrtracker.unit_of_work import UnitOfWork

KEY = "M1.2023-01-20.1"


def test_what_requires_the_stage_need_not_wait_for_it(lab):
    lab.add(KEY, imaging=True)
    workflow = lab.tracker.workflow
    assert workflow.states(KEY)["registration"] is State.BLOCKED

    assert workflow.exclude(KEY, "suite2p", "recorded without the laser") is State.NOT_APPLICABLE

    assert workflow.states(KEY)["registration"] is State.READY
    assert workflow.needs("suite2p").empty
    assert workflow.needs("registration")["sessionID"].tolist() == [1]
    assert "was marked as without it" in str(workflow.why_not(KEY, "suite2p")[0])
    assert workflow.run(registrar=good).succeeded == 1


def test_decision_is_taken_back(lab):
    lab.add(KEY, imaging=True)
    workflow = lab.tracker.workflow
    workflow.exclude(KEY, "suite2p")

    assert workflow.include(KEY, "suite2p") is State.READY

    events = lab.tracker.history(KEY)
    assert events["verb"].tolist() == ["added", "excluded", "included"]
    assert events["stage"].tolist()[1:] == ["suite2p", "suite2p"]
    assert events["from_state"].tolist()[1:] == ["ready", "not_applicable"]


def test_same_word_twice_is_one_event(lab):
    lab.add(KEY, imaging=True)
    workflow = lab.tracker.workflow

    workflow.include(KEY, "suite2p")
    for _ in range(2):
        workflow.exclude(KEY, "suite2p", "no laser")

    assert lab.tracker.history(KEY)["verb"].tolist() == ["added", "excluded"]
    assert lab.tracker.history(KEY)["reason"].tolist()[-1] == "no laser"


@pytest.mark.parametrize(
    "columns",
    [
        {"imaging": True, "suite2p": True},
        {"imaging": True, "sessionQC": False, "scratchJustification": "no laser"},
    ],
    ids=["done", "scratched"],
)
def test_stage_that_is_not_open_is_refused(lab, columns):
    lab.add(KEY, **columns)

    with pytest.raises(InvalidTransitionError, match="exclude"):
        lab.tracker.workflow.exclude(KEY, "suite2p")

    assert lab.tracker.history(KEY)["verb"].tolist() == ["added"]


# -- with the success of a run ---------------------------------------------------------------------


LACKING = {"suite2p": "no imaging", "red_cell_qc": "no imaging"}


def without_suite2p(lab, registrar, **more):
    run = lab.tracker.workflow.run
    return run(registrar=registrar, without=["suite2p"], excludes=LACKING, **more)


def test_run_that_succeeds_excludes_the_open_stages_in_the_same_transaction(lab, monkeypatch):
    lab.add(KEY, imaging=True)
    seen = []
    commit = UnitOfWork.commit

    def commit_and_look(self):
        commit(self)
        seen.append((lab.state(KEY, "registration"), lab.state(KEY, "suite2p")))

    monkeypatch.setattr(UnitOfWork, "commit", commit_and_look)

    assert without_suite2p(lab, good).succeeded == 1

    assert seen == [("running", "ready"), ("done", "not_applicable")]
    history = lab.tracker.history(KEY)
    assert history["verb"].tolist() == ["added", "start", "succeed", "excluded", "excluded"]
    assert history["reason"].tolist()[3:] == ["no imaging", "no imaging"]
    assert lab.state(KEY, "red_cell_qc") == "not_applicable"


def test_run_that_fails_excludes_nothing(lab):
    lab.add(KEY, imaging=True)

    assert without_suite2p(lab, bad).failed == 1

    assert lab.events(KEY)[-1][0] == "fail"
    assert lab.state(KEY, "suite2p") == "ready"


def test_stage_that_is_done_by_the_end_of_the_run_stays_done(lab):
    lab.add(KEY, imaging=True)
    other = lab.another()

    def meanwhile(job):
        good(job)
        other.workflow.complete(KEY, "suite2p")

    assert without_suite2p(lab, meanwhile).succeeded == 1

    assert lab.state(KEY, "suite2p") == "done"
    assert lab.state(KEY, "red_cell_qc") == "not_applicable"


def test_stage_that_somebody_works_on_by_the_end_of_the_run_is_left_to_them(lab):
    key = lab.add(KEY, imaging=True)
    other = lab.another()

    def meanwhile(job):
        good(job)
        registrar = registrar_from(good)
        Claims(other._lab, {}).start(key, other.workflow.stages["suite2p"], registrar)

    assert without_suite2p(lab, meanwhile).succeeded == 1

    assert lab.state(KEY, "suite2p") == "running"


def test_unknown_stage_to_exclude_is_refused_before_anything_is_claimed(lab):
    lab.add(KEY, imaging=True)

    with pytest.raises(UnknownNameError, match="suite3p"):
        lab.tracker.workflow.run(registrar=good, excludes={"suite3p": "?"})

    assert lab.tracker.workflow.attempts(KEY).empty


def test_unknown_session_and_stage_are_refused(lab):
    with pytest.raises(NotFoundError):
        lab.tracker.workflow.exclude(KEY, "suite2p")
    with pytest.raises(UnknownNameError):
        lab.tracker.workflow.exclude(KEY, "suite3p")
