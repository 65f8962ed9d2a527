"""What a run does with sessions that failed, by the policy of the stage; how it is shown."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from support.registrars import bad, good, hang, raises
from support.workflow_lab import WorkflowLab
from vrtracker.domain.retrying import RunPolicy
from vrtracker.domain.stages import Stage
from vrtracker.errors import ConfigurationError, InvalidValueError

ONE, TWO, THREE, FOUR = (f"M1.2023-01-20.{number}" for number in (1, 2, 3, 4))
TEN_MINUTES = dt.timedelta(minutes=10)


@pytest.fixture
def lab(backend, tmp_path):
    declared = [Stage(name="tracking", title="tracking", requires=("registration",))]
    with WorkflowLab.on(backend, tmp_path / "root", declared=declared) as made:
        yield made


def under(lab: WorkflowLab, stage: str = "registration", **policy: Any) -> Any:
    """Return the workflow of the lab, with a policy for a stage."""
    return lab.another(policies={stage: RunPolicy(**policy)}).workflow


def outcomes(report: Any) -> list[tuple[str, str]]:
    return [(str(result.key), result.outcome) for result in report.results]


def codes(workflow: Any, key: str, stage: str) -> list[str]:
    return [reason.code for reason in workflow.why_not(key, stage)]


@pytest.mark.parametrize("stage", ["registration", "tracking"])
def test_session_that_failed_waits_ever_longer_and_then_is_set_aside(lab, stage):
    workflow = under(lab, stage, attempts=3, first_wait=TEN_MINUTES)
    lab.add(ONE, vrRegistration=stage == "tracking")
    for failures, minutes in ((1, 10), (2, 20)):
        (result,) = workflow.run(stage, registrar=bad).results
        due = lab.clock() + dt.timedelta(minutes=minutes)
        assert result.following == f"tried again from {due:%Y-%m-%d %H:%M:%S} UTC on"
        (row,) = workflow.held_back().to_dict("records")
        assert (row["stage"], row["failures"], row["retry_after"]) == (stage, failures, due)

        lab.clock.advance(minutes=minutes, seconds=-1)
        assert workflow.run(stage, registrar=good).results == ()
        (reason,) = workflow.why_not(ONE, stage)
        assert reason.code == "later"
        assert f"{due:%Y-%m-%d %H:%M:%S} UTC" in reason.message
        lab.clock.advance(seconds=1)
        assert codes(workflow, ONE, stage) == []

    assert workflow.run(stage, registrar=bad).results[0].following == "set aside"
    lab.clock.advance(days=1000)
    assert workflow.run(stage, registrar=good).results == ()
    assert codes(workflow, ONE, stage) == ["set_aside"]
    (row,) = workflow.held_back(stage, ONE).to_dict("records")
    assert row["set_aside"].startswith("3 failures, with attempts = 3. The last error: first flips")

    assert workflow.run(stage, ONE, registrar=good).succeeded == 1
    assert workflow.held_back().empty


def test_permanent_error_sets_aside_at_once_until_somebody_gives_the_session_free(lab):
    workflow = under(lab, first_wait=TEN_MINUTES, permanent=["LookupError"])
    for key in (ONE, TWO):
        lab.add(key)
    report = workflow.run(registrar=raises(KeyError("flips")))
    assert [result.following for result in report.results] == ["set aside"] * 2

    lab.edit(TWO, vrRegistrationError=False, vrRegistrationException=None)
    assert outcomes(workflow.run(registrar=good)) == [(TWO, "succeeded")]

    workflow.reset(ONE, "registration", reason="mended")
    assert codes(workflow, ONE, "registration") == []
    lab.tracker.undo(last=True).apply()
    assert codes(workflow, ONE, "registration") == ["set_aside"]
    workflow.reset(ONE, "registration")
    (result,) = workflow.run(registrar=bad).results
    assert result.following.startswith("tried again from")


def test_one_run_tries_again_what_is_due_before_it_ends(lab):
    workflow = under(lab, attempts=3)
    lab.add(ONE)
    lab.add(TWO)
    seen: list[str] = []

    def odd(job: Any) -> None:
        seen.append(str(job.key))
        (good if str(job.key) == TWO or len(seen) > 3 else bad)(job)

    assert outcomes(workflow.run(registrar=odd)) == [
        (ONE, "failed"),
        (TWO, "succeeded"),
        (ONE, "failed"),
        (ONE, "succeeded"),
    ]
    assert workflow.held_back().empty


@pytest.mark.own_rule
def test_run_stops_after_failures_in_a_row(lab):
    workflow = under(lab, max_failures_in_a_row=2)
    for key in (ONE, TWO, THREE, FOUR):
        lab.add(key)

    def odd(job: Any) -> None:
        (good if str(job.key) == TWO else bad)(job)

    report = workflow.run(registrar=bad)
    assert (report.failed, report.left) == (2, 2)
    assert report.stopped.startswith("2 sessions in a row failed, the last with ValueError: first")
    assert workflow.run(registrar=odd, max_failures_in_a_row=3).stopped is None
    assert workflow.run(registrar=bad, max_failures_in_a_row=0).failed == 3


@pytest.mark.own_rule
def test_stale_session_that_is_set_aside_is_not_made_again_by_itself(lab):
    workflow = under(lab, "tracking", permanent=["ValueError"])
    lab.add(ONE, vrRegistration=True)
    workflow.run("tracking", registrar=good)
    workflow.run("registration", ONE, registrar=good, force=True)
    assert workflow.run("tracking", registrar=bad, include_stale=True).failed == 1

    assert workflow.run("tracking", registrar=good, include_stale=True).results == ()
    assert codes(workflow, ONE, "tracking") == ["stale", "set_aside"]
    assert list(workflow.held_back()["stage"]) == ["tracking"]


@pytest.mark.own_rule
def test_force_takes_what_waits_but_what_is_set_aside_only_when_it_is_named(lab):
    workflow = under(lab, attempts=2, first_wait=TEN_MINUTES)
    lab.add(ONE)

    def forced(*which: Any, **filters: Any) -> list[str]:
        report = workflow.run("registration", *which, registrar=bad, force=True, **filters)
        return [result.following for result in report.results]

    workflow.run(registrar=bad)
    assert forced(mouseName="M1") == ["set aside"]
    assert forced(mouseName="M1") == []
    assert forced(ONE) == ["set aside"]


def test_forced_rerun_that_fails_is_not_said_to_be_tried_again(lab):
    lab.add(ONE)
    lab.tracker.workflow.run(registrar=good)
    (result,) = lab.tracker.workflow.run("registration", ONE, registrar=bad, force=True).results
    assert result.following == "not tried again by itself: the earlier output stands"
    assert lab.tracker.workflow.run(registrar=good).results == ()


@pytest.mark.own_rule
def test_session_that_takes_too_long_fails_and_leaves_nothing_behind(lab):
    workflow = under(lab, timeout_minutes=0.001, permanent=["SessionTimeoutError"])
    lab.add(ONE)
    (result,) = workflow.run(registrar=hang).results
    assert (result.outcome, result.following) == ("failed", "set aside")
    assert result.error.startswith("SessionTimeoutError: The work on M1.2023-01-20.1 took longer")
    assert lab.litter(ONE) == []

    for nonsense in (-1, float("nan"), float("inf")):
        with pytest.raises(InvalidValueError, match="above 0"):
            workflow.run("registration", ONE, registrar=good, timeout_minutes=nonsense)
    assert workflow.run("registration", ONE, registrar=good, timeout_minutes=0).succeeded == 1


@pytest.mark.own_rule
def test_registrar_that_cannot_have_a_time_limit_is_refused_before_anything_is_claimed(lab):
    lab.add(ONE)
    before = lab.dump()
    with pytest.raises(ConfigurationError, match="No session was touched"):
        lab.tracker.workflow.run(registrar=raises(ValueError()), timeout_minutes=5)
    assert lab.dump() == before


@pytest.mark.own_rule
def test_nothing_held_back_is_an_empty_frame_of_the_same_types(lab):
    workflow = under(lab, permanent=["ValueError"])
    lab.add(ONE)
    empty = workflow.held_back()
    workflow.run(registrar=bad)
    assert empty.empty
    assert (workflow.held_back().dtypes == empty.dtypes).all()
