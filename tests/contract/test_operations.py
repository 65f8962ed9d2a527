"""All events of one call carry one id, those of two calls two."""

from __future__ import annotations

import re
import threading

import pytest

from support.registrars import bad, good
from support.workflow_lab import WorkflowLab
from vrtracker.operations import current, operation

ONE, TWO = "M1.2023-01-20.1", "M1.2023-01-20.2"


@pytest.fixture
def lab(backend, tmp_path):
    with WorkflowLab.on(backend, tmp_path / "root") as made:
        yield made


def ids(tracker) -> list[str]:
    return list(tracker.events()["operation_id"])


def test_events_of_one_call_share_an_id_and_those_of_two_calls_do_not(lab):
    tracker = lab.tracker
    tracker.sessions.add_many([{"mouseName": "M1", "sessionDate": "2023-01-20", "sessionID": 1}])
    tracker.sessions.update({"sessionID": 2}, ONE)
    tracker.sessions.update({"imaging": True}, TWO)
    tracker.workflow.scratch(TWO, "light leak")
    tracker.sessions.delete(TWO, force=True, reason="a test")

    deleted, scratched, updated, rekeyed, edited, added, *mice = ids(tracker)

    assert rekeyed == edited
    assert len({deleted, scratched, updated, edited, added, *mice}) == 6
    assert all(re.fullmatch("[0-9a-f]{32}", each) for each in ids(tracker))
    told = tracker.history(TWO)["operation_id"]
    assert list(told) == [added, edited, edited, updated, scratched, deleted]


def test_run_of_many_transactions_is_one_operation(lab):
    lab.add(ONE)
    lab.add(TWO)

    lab.tracker.workflow.run(registrar=bad)
    lab.tracker.workflow.run(registrar=good)

    newest = ids(lab.tracker)
    assert len(newest) == 4 + 4 + 4
    assert len(set(newest[:4])) == len(set(newest[4:8])) == 1
    assert len(set(newest)) == 5


def test_calls_within_an_operation_share_its_id_in_other_threads_too(lab):
    def work(shared: str) -> None:
        with operation(shared):
            lab.add(TWO)

    with operation() as shared, operation() as nested:
        lab.add(ONE)
        other = threading.Thread(target=work, args=(shared,))
        other.start()
        other.join()
    lab.add("M1.2023-01-20.3")

    assert shared == nested
    assert current() is None
    after, *within = ids(lab.tracker)[:3]
    assert within == [shared, shared]
    assert after != shared
