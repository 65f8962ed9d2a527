"""Decisions of people: what each level does, what is kept of it, what is refused."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from support.workflow_lab import WorkflowLab
from vrtracker.domain.qc import QC
from vrtracker.domain.states import State
from vrtracker.errors import (
    InvalidTransitionError,
    InvalidValueError,
    NotFoundError,
    UnknownNameError,
)

ONE = "M1.2023-01-20.1"
LEVELS = [("PASS", True), ("WARNING", True), ("FAIL", False), ("CRITICAL", False)]


@pytest.fixture
def lab(database_sources, tmp_path):
    url = database_sources.get("sqlite").migrated(tmp_path, "qc")
    with WorkflowLab(url, tmp_path / "root") as made:
        yield made


@pytest.fixture
def workflow(lab):
    return lab.tracker.workflow


@pytest.fixture
def key(lab):
    """A session whose red cells can be judged."""
    return lab.add(ONE, imaging=True, suite2p=True, vrRegistration=True)


# -- levels -----------------------------------------------------------------------------------


def test_levels_are_those_of_one():
    assert [(level.name, level.value) for level in QC] == [
        ("NOT_SET", 0),
        ("PASS", 10),
        ("WARNING", 30),
        ("FAIL", 40),
        ("CRITICAL", 50),
    ]


@pytest.mark.parametrize("value", ["FAIL", "fail", " Fail ", 40, 40.0, QC.FAIL, np.int64(40)])
def test_a_level_may_be_spelled_in_many_ways(value):
    assert QC.parse(value) is QC.FAIL


@pytest.mark.parametrize("value", ["good", "", 7, None, True, "40"])
def test_what_is_no_level_is_refused(value):
    with pytest.raises(UnknownNameError, match="QC level"):
        QC.parse(value)


def test_only_pass_and_warning_are_accepted():
    assert [level.name for level in QC if level.accepted] == ["PASS", "WARNING"]


# -- stages -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("level", "accepted"), LEVELS)
def test_a_decision_sets_the_labs_columns(lab, workflow, key, level, accepted):
    state = workflow.set_qc(key, "red_cell", level)
    row = lab.row(key)
    assert state is workflow.states(key)["red_cell_qc"]
    assert state is (State.DONE if accepted else State.FAILED)
    date = dt.datetime(2026, 3, 2, 14, 0) if accepted else None
    assert (row.redCellQC, row.redCellQCDate) == (accepted, date)
    assert len(workflow.needs("red_cell_qc")) == (0 if accepted else 1)


@pytest.mark.parametrize("level", ["FAIL", "NOT_SET"])
def test_a_date_is_emptied_not_blanked(lab, workflow, key, level):
    workflow.set_qc(key, "red_cell", "PASS")
    workflow.set_qc(key, "red_cell", level)
    (stored,) = lab.dump(key)["sessions"]
    assert stored["redCellQCDate"] is None
    with lab.tracker._lab.database.read_engine.connect() as connection:
        raw = connection.exec_driver_sql('SELECT typeof("redCellQCDate") FROM sessiondb')
        assert raw.scalar() == "null"


def test_a_decision_can_be_taken_back(workflow, key):
    workflow.set_qc(key, "red_cell", "FAIL")
    assert workflow.set_qc(key, "red_cell", "NOT_SET") is State.READY
    assert list(workflow.needs("red_cell_qc")["state"]) == ["ready"]


def test_a_check_may_be_named_with_or_without_its_ending(workflow, key):
    assert workflow.set_qc(key, "red_cell_qc", "PASS") is State.DONE
    assert workflow.set_qc(key, "suite2p", "PASS") is State.DONE
    assert workflow.states(key)["suite2p_qc"] is State.DONE


def test_what_is_not_there_yet_cannot_be_judged(lab, workflow):
    key = lab.add(ONE, imaging=True, suite2p=True)
    before = lab.dump()
    with pytest.raises(InvalidTransitionError, match="registration is not done") as caught:
        workflow.set_qc(key, "red_cell", "PASS")
    assert (caught.value.current, caught.value.allowed) == ("blocked", ("scratch",))
    assert lab.dump() == before


@pytest.mark.parametrize("given", [("red_cel", "PASS"), ("red_cell", "SO SO")])
def test_unknown_checks_and_levels_are_refused(lab, workflow, key, given):
    before = lab.dump()
    with pytest.raises(UnknownNameError) as caught:
        workflow.set_qc(key, *given)
    assert caught.value.kind == ("QC check" if given[0] == "red_cel" else "QC level")
    assert lab.dump() == before


def test_a_missing_session_cannot_be_judged(workflow):
    with pytest.raises(NotFoundError):
        workflow.set_qc(ONE, "session", "PASS")


# -- the record -------------------------------------------------------------------------------


def test_decisions_are_appended_with_who_when_and_why(lab, workflow, key):
    workflow.set_qc(
        key, "red_cell", "FAIL", reason="drift", criteria="v2", evidence="red/cutoffs.png"
    )
    first = lab.dump(key)["qc_decisions"]
    lab.clock.advance(days=1)
    lab.another(actor="bob").workflow.set_qc(key, "red_cell", "PASS", reason="realigned")

    decisions = lab.tracker.decisions(key)
    told = ["check_name", "qc_level", "actor", "criteria", "evidence", "reason"]
    assert decisions[told].fillna("-").to_numpy().tolist() == [
        ["red_cell_qc", 40, "ann", "v2", "red/cutoffs.png", "drift"],
        ["red_cell_qc", 10, "bob", "-", "-", "realigned"],
    ]
    assert list(decisions["decided_at"]) == [lab.clock() - dt.timedelta(days=1), lab.clock()]
    assert first[0] in lab.dump(key)["qc_decisions"]


def test_every_decision_on_the_session_is_kept_too(lab, workflow, key):
    workflow.set_qc(key, "session", "PASS")
    workflow.scratch(key, "light leak")
    workflow.unscratch(key, reason="it was the lamp")
    decisions = lab.tracker.decisions(key)
    assert list(decisions["check_name"]) == ["session"] * 3
    assert list(decisions["qc_level"]) == [10, 40, 10]
    assert list(decisions["reason"].fillna("")) == ["", "light leak", "it was the lamp"]


def test_blank_reasons_are_none(lab, workflow, key):
    workflow.set_qc(key, "red_cell", "PASS", reason="  ")
    assert lab.tracker.decisions(key)["reason"].isna().all()


@pytest.mark.parametrize(
    "texts",
    [
        {"criteria": "x" * 256},
        {"reason": "half \ud83d a character"},
        {"reason": "nul \0"},
        {"evidence": "nul \0"},
        {"criteria": "nul \0"},
    ],
    ids=["criteria too long", "half", "nul in reason", "nul in evidence", "nul in criteria"],
)
def test_texts_that_no_database_keeps_are_refused(lab, workflow, key, texts):
    before = lab.dump()
    with pytest.raises(InvalidValueError):
        workflow.set_qc(key, "red_cell", "PASS", **texts)
    assert lab.dump() == before


# -- the session as a whole -------------------------------------------------------------------


@pytest.mark.parametrize("level", ["FAIL", "CRITICAL"])
def test_failing_a_session_scratches_it(lab, workflow, key, level):
    state = workflow.set_qc(key, "session", level, reason="light leak")
    row = lab.row(key)
    assert state is State.SCRATCHED
    assert (row.sessionQC, row.scratchJustification) == (False, "light leak")
    assert set(workflow.states(key).values()) == {State.SCRATCHED}
    assert lab.tracker.sessions.count() == 0
    assert lab.tracker.decisions(key)["qc_level"].item() == QC[level]


@pytest.mark.parametrize("level", ["PASS", "WARNING", "NOT_SET"])
def test_any_other_level_takes_a_session_back(lab, workflow, key, level):
    workflow.scratch(key, "light leak")
    workflow.set_qc(key, "session", level, reason="it was the lamp")
    row = lab.row(key)
    assert (row.sessionQC, row.scratchJustification) == (True, None)
    assert lab.tracker.decisions(key)["qc_level"].iloc[-1] == QC[level]


@pytest.mark.parametrize("level", ["PASS", "WARNING", "NOT_SET"])
def test_accepting_a_session_changes_none_of_its_columns(lab, workflow, key, level):
    before = lab.dump(key)["sessions"]
    workflow.set_qc(key, "session", level)
    assert lab.dump(key)["sessions"] == before


def test_unscratching_brings_every_stage_back(workflow, key):
    workflow.set_qc(key, "suite2p", "FAIL")
    before = workflow.states(key)
    workflow.scratch(key, "light leak")
    workflow.unscratch(key)
    assert workflow.states(key) == before


@pytest.mark.parametrize("reason", ["", "  ", None])
def test_scratching_needs_a_reason(lab, workflow, key, reason):
    before = lab.dump()
    with pytest.raises(InvalidValueError, match="needs a reason"):
        workflow.scratch(key, reason)
    with pytest.raises(InvalidValueError, match="needs a reason"):
        workflow.set_qc(key, "session", "FAIL", reason=reason)
    assert lab.dump() == before


def test_a_reason_that_is_too_long_is_refused(lab, workflow, key):
    before = lab.dump()
    with pytest.raises(InvalidValueError, match="256 characters"):
        workflow.scratch(key, "x" * 256)
    assert lab.dump() == before
    workflow.scratch(key, "x" * 255)
    assert len(lab.row(key).scratchJustification) == 255


def test_scratching_twice_is_refused(lab, workflow, key):
    workflow.scratch(key, "light leak")
    before = lab.dump()
    with pytest.raises(InvalidTransitionError) as caught:
        workflow.scratch(key, "once more")
    assert caught.value.allowed == ("unscratch",)
    assert lab.dump() == before


def test_a_running_session_cannot_be_scratched(lab, workflow, key):
    refused = []

    def look(job):
        with pytest.raises(InvalidTransitionError, match="registration") as caught:
            workflow.scratch(key, "light leak")
        refused.append(caught.value.current)

    report = workflow.run("registration", key, registrar=look, force=True)
    assert (report.succeeded, refused) == (1, ["running"])


def test_scratched_exactly_when_justified(lab, workflow, key):
    """Whatever is tried, one is never without the other."""
    sessions = lab.tracker.sessions
    attempts = [
        lambda: workflow.scratch(key, "light leak"),
        lambda: sessions.update({"sessionQC": True}, key),
        lambda: sessions.update({"scratchJustification": None}, key),
        lambda: sessions.update({"sessionQC": True, "scratchJustification": "why"}, key),
        lambda: workflow.unscratch(key),
        lambda: sessions.update({"sessionQC": False}, key),
        lambda: sessions.update({"scratchJustification": "why"}, key),
        lambda: sessions.update({"sessionQC": False, "scratchJustification": ""}, key),
        lambda: sessions.update({"sessionQC": False, "scratchJustification": "why"}, key),
        lambda: workflow.set_qc(key, "session", "PASS"),
        lambda: workflow.set_qc(key, "session", "CRITICAL", reason="why"),
    ]
    refused = 0
    for attempt in attempts:
        try:
            attempt()
        except InvalidValueError:
            refused += 1
        row = lab.row(key)
        assert row.sessionQC == (row.scratchJustification is None)
        assert row.scratchJustification != ""
    assert refused == 6


def test_scratched_by_hand_without_a_reason_can_be_taken_back(lab, workflow, key):
    lab.edit(key, sessionQC=False, scratchJustification=None)
    assert "no reason given" in str(workflow.why_not(key, "red_cell_qc")[0])
    workflow.unscratch(key)
    assert lab.row(key).sessionQC


# -- lost claims ------------------------------------------------------------------------------


@pytest.mark.parametrize("decision", ["complete", "scratch"])
def test_a_persons_word_ends_a_claim_that_ran_out(lab, workflow, decision):
    key = lab.add(ONE)

    def sleep_and_write(job):
        (job.staging / "a.b.npy").write_bytes(b"late")
        lab.clock.advance(hours=1)
        if decision == "complete":
            workflow.complete(key, "registration", reason="done on the cluster")
        else:
            workflow.scratch(key, "light leak")

    report = workflow.run(registrar=sleep_and_write)
    assert [result.outcome for result in report.results] == ["skipped"]
    assert list(workflow.attempts(key)["outcome"]) == ["expired"]
    [kept] = lab.folder(key).iterdir()
    assert kept.name.startswith("late_output_")
    assert (kept / "a.b.npy").read_bytes() == b"late"
    expected = "done" if decision == "complete" else "scratched"
    assert lab.state(key, "registration") == expected
