"""Quality control across checks: datasets, roll-up, what does not apply, the lab's rule."""

from __future__ import annotations

import pytest

from support.registrars import good
from vrtracker.domain.qc import QC
from vrtracker.domain.states import State
from vrtracker.errors import (
    ConcurrentUpdateError,
    InvalidTransitionError,
    NotFoundError,
    UnknownNameError,
)

ONE, TWO = "M1.2023-01-20.1", "M1.2023-01-20.2"
PATH = "oneData/trials.startTimes.npy"
DONE = {"imaging": True, "suite2p": True, "vrRegistration": True}


def levels(workflow, key: str = ONE) -> dict[str, str]:
    (row,) = workflow.qc_table(key, include_scratched=True).to_dict("records")
    return {name: level for name, level in row.items() if name.startswith("qc")}


# -- datasets --------------------------------------------------------------------------------


def test_decision_on_a_dataset_is_kept_and_shown(lab, workflow):
    lab.add(ONE)
    workflow.run(registrar=good)

    level = workflow.set_dataset_qc(ONE, PATH, "fail", reason="drifts", criteria="v2")

    assert level is QC.FAIL
    assert lab.tracker.datasets(ONE)["qc_level"].tolist() == [QC.FAIL]
    last = lab.tracker.decisions(ONE).iloc[-1]
    assert (last["check_name"], last["evidence"], last["criteria"]) == ("dataset", PATH, "v2")
    event = lab.tracker.history(ONE).iloc[-1]
    assert event["changes"] == {"dataset": PATH, "QC": ["NOT_SET", "FAIL"]}
    assert levels(workflow)["qc"] == "FAIL"


def test_decision_on_a_dataset_that_is_not_there_is_refused(lab, workflow):
    lab.add(ONE)
    before = lab.dump()

    with pytest.raises(UnknownNameError, match="dataset"):
        workflow.set_dataset_qc(ONE, PATH, "PASS")
    with pytest.raises(NotFoundError):
        workflow.set_dataset_qc(TWO, PATH, "PASS")
    assert lab.dump() == before


# -- roll-up ---------------------------------------------------------------------------------


def test_session_passes_when_every_check_that_it_has_does(lab, workflow):
    lab.add(ONE, **DONE)
    assert levels(workflow) == {
        "qc:session": "NOT_APPLICABLE",
        "qc:suite2p_qc": "NOT_SET",
        "qc:red_cell_qc": "NOT_SET",
        "qc:dataset": "NOT_APPLICABLE",
        "qc": "NOT_SET",
    }
    workflow.set_qc(ONE, "suite2p", "PASS")
    assert levels(workflow)["qc"] == "NOT_SET"
    workflow.set_qc(ONE, "red_cell", "WARNING")
    assert levels(workflow)["qc"] == "WARNING"
    workflow.set_qc(ONE, "red_cell", "CRITICAL", reason="no red cells")
    assert levels(workflow)["qc"] == "CRITICAL"


def test_tick_by_hand_counts_and_outdates_the_decision(lab, workflow):
    lab.add(ONE, **DONE, redCellQC=True)
    workflow.set_qc(ONE, "suite2p", "PASS")
    assert levels(workflow)["qc"] == "PASS"

    lab.edit(ONE, suite2pQC=False)

    assert levels(workflow)["qc:suite2p_qc"] == levels(workflow)["qc"] == "NOT_SET"


def test_session_without_imaging_has_nothing_that_could_pass(lab, workflow):
    lab.add(ONE, vrRegistration=True)

    assert levels(workflow)["qc:red_cell_qc"] == "NOT_APPLICABLE"
    assert levels(workflow)["qc"] == "NOT_SET"


def test_scratched_session_fails_and_is_listed_on_request(lab, workflow):
    lab.add(ONE, **DONE)
    workflow.scratch(ONE, "laser off")

    assert levels(workflow)["qc"] == "FAIL"
    assert len(workflow.qc_table()) == 0
    assert len(workflow.qc_table(mouseName="M1", include_scratched=True)) == 1


# -- what a session does not have ------------------------------------------------------------


def test_review_that_a_session_does_not_have_does_not_count(lab, workflow):
    lab.add(ONE, **DONE, suite2pQC=True)

    state = workflow.exclude(ONE, "red_cell_qc", "no red channel")

    assert state is State.NOT_APPLICABLE
    assert levels(workflow)["qc"] == "PASS"
    assert len(workflow.needs("red_cell_qc")) == 0
    last = lab.tracker.history(ONE).iloc[-1]
    assert (last["verb"], last["to_state"], last["reason"]) == (
        "excluded",
        "not_applicable",
        "no red channel",
    )
    assert workflow.include(ONE, "red_cell_qc") is State.READY
    assert len(workflow.needs("red_cell_qc")) == 1


def test_review_is_set_aside_only_before_it_was_made(lab, workflow):
    lab.add(ONE, **DONE, redCellQC=True)
    before = lab.dump()

    with pytest.raises(InvalidTransitionError):
        workflow.exclude(ONE, "red_cell_qc")
    assert lab.dump() == before


# -- the lab's rule --------------------------------------------------------------------------


@pytest.fixture
def broken(lab):
    """Two sessions that break the rule, each in its way, and one that keeps it."""
    lab.add(ONE)
    lab.add(TWO, sessionNotes="ran well")
    lab.add("M1.2023-01-20.3")
    lab.edit(ONE, sessionQC=False)
    lab.edit(TWO, scratchJustification="laser off")
    return lab


def test_sessions_that_break_the_rule_are_found_and_left_alone(broken, workflow):
    before = broken.dump()

    plan = workflow.check_qc()

    assert plan.changes == {
        ONE: {"scratchJustification": [None, "no reason given"]},
        TWO: {
            "scratchJustification": ["laser off", None],
            "sessionNotes": ["ran well", "ran well\nNot scratched, but said: laser off"],
        },
    }
    assert broken.dump() == before


def test_repair_makes_the_rule_hold_for_the_same_sessions(broken, workflow):
    counted = broken.tracker.sessions.frame()["sessionID"].tolist()

    assert workflow.check_qc().apply() == 2

    assert workflow.check_qc().changes == {}
    assert broken.tracker.sessions.frame()["sessionID"].tolist() == counted
    assert broken.tracker.history(TWO).iloc[-1]["verb"] == "edited"
    assert workflow.check_qc().apply() == 0


def test_repair_of_what_somebody_else_changed_is_refused(broken, workflow):
    plan = workflow.check_qc()
    broken.edit(TWO, sessionNotes="ran far")
    before = broken.dump()

    with pytest.raises(ConcurrentUpdateError):
        plan.apply()
    assert broken.dump() == before
