"""A stage that a session does not have after all, on a person's word."""

from __future__ import annotations

import pytest

from support.bench import Bench
from support.registrars import good
from vrtracker.domain.states import State
from vrtracker.errors import InvalidTransitionError, NotFoundError, UnknownNameError

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


def test_unknown_session_and_stage_are_refused(bench):
    with pytest.raises(NotFoundError):
        bench.tracker.workflow.exclude(KEY, "suite2p")
    with pytest.raises(UnknownNameError):
        bench.tracker.workflow.exclude(KEY, "suite3p")
