"""States and transitions as data: the tables are what the design says."""

from __future__ import annotations

import itertools

import pytest

from vrtracker.domain.stages import StageKind
from vrtracker.domain.states import (
    ALLOWED,
    QUEUED,
    StageFacts,
    State,
    Transition,
    allowed_from,
    state_of,
    target_of,
)

# From each state, what a program's stage and a person's may do; written down a second time.
PROCESS = {
    "scratched": "unscratch",
    "not_applicable": "scratch",
    "blocked": "scratch",
    "running": "succeed fail cancel",
    "done": "rerun complete reset scratch",
    "stale": "start rerun complete reset scratch",
    "failed": "start rerun complete reset scratch",
    "ready": "start rerun complete scratch",
}
REVIEW = {
    "scratched": "unscratch",
    "not_applicable": "scratch",
    "blocked": "scratch",
    "running": "",
    "done": "pass_qc fail_qc clear_qc scratch",
    "stale": "pass_qc fail_qc clear_qc scratch",
    "failed": "pass_qc fail_qc clear_qc scratch",
    "ready": "pass_qc fail_qc clear_qc scratch",
}


def facts(**changes) -> StageFacts:
    given = {
        "scratched": False,
        "applicable": True,
        "running": False,
        "done": False,
        "stale": False,
        "failed": False,
        "unmet": (),
    }
    return StageFacts(**(given | changes))


@pytest.mark.parametrize(
    ("kind", "table"), [(StageKind.PROCESS, PROCESS), (StageKind.REVIEW, REVIEW)]
)
@pytest.mark.parametrize("state", State)
def test_each_state_allows_what_the_table_says(kind, table, state):
    allowed = [transition.value for transition in allowed_from(state, kind)]
    assert allowed == table[state.value].split()


def test_every_transition_is_in_the_table():
    assert set(ALLOWED) == set(Transition)
    assert all(states <= set(State) for states in ALLOWED.values())


def test_the_table_cannot_be_changed():
    with pytest.raises(TypeError):
        ALLOWED[Transition.START] = frozenset()


def test_the_queue_is_what_is_ready_or_failed():
    assert set(QUEUED) == {State.READY, State.FAILED}


def test_targets_are_fixed_where_the_facts_do_not_matter():
    fixed = {t.value: target_of(t) for t in Transition if target_of(t) is not None}
    assert fixed == {
        "start": State.RUNNING,
        "rerun": State.RUNNING,
        "succeed": State.DONE,
        "complete": State.DONE,
        "pass_qc": State.DONE,
        "fail_qc": State.FAILED,
        "scratch": State.SCRATCHED,
    }


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "ready"),
        ({"failed": True}, "failed"),
        ({"unmet": ("suite2p",)}, "blocked"),
        ({"unmet": ("suite2p",), "failed": True}, "blocked"),
        ({"done": True}, "done"),
        ({"done": True, "failed": True}, "done"),
        ({"done": True, "unmet": ("suite2p",)}, "done"),
        ({"done": True, "stale": True}, "stale"),
        ({"stale": True}, "ready"),
        ({"running": True, "done": True, "stale": True}, "running"),
        ({"applicable": False, "running": True, "done": True}, "not_applicable"),
        ({"scratched": True, "applicable": False, "running": True}, "scratched"),
    ],
)
def test_the_first_fact_that_holds_decides(given, expected):
    assert state_of(facts(**given)) == expected


def test_every_combination_of_facts_has_a_state():
    names = ["scratched", "applicable", "running", "done", "stale", "failed"]
    seen = set()
    for values in itertools.product([False, True], repeat=len(names)):
        for unmet in ((), ("suite2p",)):
            seen.add(state_of(StageFacts(**dict(zip(names, values, strict=True)), unmet=unmet)))
    assert seen == set(State)
