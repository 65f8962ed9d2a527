"""A stage that a session does not have after all, on a person's word."""

from __future__ import annotations

import pytest

from support.registrars import good
from support.workflow_lab import WorkflowLab
from vrtracker.domain.states import State
from vrtracker.errors import InvalidTransitionError, NotFoundError, UnknownNameError

KEY = "M1.2023-01-20.1"


@pytest.fixture
def lab(backend, tmp_path):
    with WorkflowLab(backend.migrated_url(), tmp_path / "root") as made:
        yield made


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


def test_unknown_session_and_stage_are_refused(lab):
    with pytest.raises(NotFoundError):
        lab.tracker.workflow.exclude(KEY, "suite2p")
    with pytest.raises(UnknownNameError):
        lab.tracker.workflow.exclude(KEY, "suite3p")
