"""A stage that a session does not have after all, on a person's word."""

from __future__ import annotations

import pytest

from support.bench import Bench
from support.registrars import bad, good
from vrtracker.domain.states import State
from vrtracker.errors import InvalidTransitionError, NotFoundError, UnknownNameError
from vrtracker.registrars import registrar_from
from vrtracker.services.workflow.claims import Claims
from vrtracker.unit_of_work import UnitOfWork

KEY = "M1.2023-01-20.1"


@pytest.fixture
def bench(backend, tmp_path):
    with Bench(backend.migrated_url(), tmp_path / "root") as made:
        yield made


def test_what_requires_the_stage_need_not_wait_for_it(bench):
    bench.add(KEY, imaging=True)
    workflow = bench.tracker.workflow
    assert workflow.states(KEY)["registration"] is State.BLOCKED

    assert workflow.exclude(KEY, "suite2p", "recorded without the laser") is State.NOT_APPLICABLE

    assert workflow.states(KEY)["registration"] is State.READY
    assert workflow.needs("suite2p").empty
    assert workflow.needs("registration")["sessionID"].tolist() == [1]
    assert "was marked as without it" in str(workflow.why_not(KEY, "suite2p")[0])
    assert workflow.run(registrar=good).succeeded == 1


def test_decision_is_taken_back(bench):
    bench.add(KEY, imaging=True)
    workflow = bench.tracker.workflow
    workflow.exclude(KEY, "suite2p")

    assert workflow.include(KEY, "suite2p") is State.READY

    events = bench.tracker.history(KEY)
    assert events["verb"].tolist() == ["added", "excluded", "included"]
    assert events["stage"].tolist()[1:] == ["suite2p", "suite2p"]
    assert events["from_state"].tolist()[1:] == ["ready", "not_applicable"]


def test_same_word_twice_is_one_event(bench):
    bench.add(KEY, imaging=True)
    workflow = bench.tracker.workflow

    workflow.include(KEY, "suite2p")
    for _ in range(2):
        workflow.exclude(KEY, "suite2p", "no laser")

    assert bench.tracker.history(KEY)["verb"].tolist() == ["added", "excluded"]
    assert bench.tracker.history(KEY)["reason"].tolist()[-1] == "no laser"


@pytest.mark.parametrize(
    "columns",
    [
        {"imaging": True, "suite2p": True},
        {"imaging": True, "sessionQC": False, "scratchJustification": "no laser"},
    ],
    ids=["done", "scratched"],
)
def test_stage_that_is_not_open_is_refused(bench, columns):
    bench.add(KEY, **columns)

    with pytest.raises(InvalidTransitionError, match="exclude"):
        bench.tracker.workflow.exclude(KEY, "suite2p")

    assert bench.tracker.history(KEY)["verb"].tolist() == ["added"]


# -- with the success of a run ---------------------------------------------------------------------


LACKING = {"suite2p": "no imaging", "red_cell_qc": "no imaging"}


def without_suite2p(bench, registrar, **more):
    run = bench.tracker.workflow.run
    return run(registrar=registrar, without=["suite2p"], excludes=LACKING, **more)


def test_run_that_succeeds_excludes_the_open_stages_in_the_same_transaction(bench, monkeypatch):
    bench.add(KEY, imaging=True)
    seen = []
    commit = UnitOfWork.commit

    def commit_and_look(self):
        commit(self)
        seen.append((bench.state(KEY, "registration"), bench.state(KEY, "suite2p")))

    monkeypatch.setattr(UnitOfWork, "commit", commit_and_look)

    assert without_suite2p(bench, good).succeeded == 1

    assert seen == [("running", "ready"), ("done", "not_applicable")]
    history = bench.tracker.history(KEY)
    assert history["verb"].tolist() == ["added", "start", "succeed", "excluded", "excluded"]
    assert history["reason"].tolist()[3:] == ["no imaging", "no imaging"]
    assert bench.state(KEY, "red_cell_qc") == "not_applicable"


def test_run_that_fails_excludes_nothing(bench):
    bench.add(KEY, imaging=True)

    assert without_suite2p(bench, bad).failed == 1

    assert bench.events(KEY)[-1][0] == "fail"
    assert bench.state(KEY, "suite2p") == "ready"


def test_stage_that_is_done_by_the_end_of_the_run_stays_done(bench):
    bench.add(KEY, imaging=True)
    other = bench.another()

    def meanwhile(job):
        good(job)
        other.workflow.complete(KEY, "suite2p")

    assert without_suite2p(bench, meanwhile).succeeded == 1

    assert bench.state(KEY, "suite2p") == "done"
    assert bench.state(KEY, "red_cell_qc") == "not_applicable"


def test_stage_that_somebody_works_on_by_the_end_of_the_run_is_left_to_them(bench):
    key = bench.add(KEY, imaging=True)
    other = bench.another()

    def meanwhile(job):
        good(job)
        registrar = registrar_from(good)
        Claims(other._lab, {}).start(key, other.workflow.stages["suite2p"], registrar)

    assert without_suite2p(bench, meanwhile).succeeded == 1

    assert bench.state(KEY, "suite2p") == "running"


def test_unknown_stage_to_exclude_is_refused_before_anything_is_claimed(bench):
    bench.add(KEY, imaging=True)

    with pytest.raises(UnknownNameError, match="suite3p"):
        bench.tracker.workflow.run(registrar=good, excludes={"suite3p": "?"})

    assert bench.tracker.workflow.attempts(KEY).empty


def test_unknown_session_and_stage_are_refused(bench):
    with pytest.raises(NotFoundError):
        bench.tracker.workflow.exclude(KEY, "suite2p")
    with pytest.raises(UnknownNameError):
        bench.tracker.workflow.exclude(KEY, "suite3p")
