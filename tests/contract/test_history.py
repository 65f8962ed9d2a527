"""The history: each transition has its event, in the same transaction; and what has failed."""

from __future__ import annotations

import datetime as dt
import json

import pytest

from support.registrars import bad, good, raises
from support.workflow_lab import WorkflowLab
from vrtracker.domain.stages import Stage
from vrtracker.domain.states import State
from vrtracker.errors import BackendError, NotFoundError, UnknownNameError
from vrtracker.registrars.function import FunctionRegistrar
from vrtracker.repositories.events import EventRepository
from vrtracker.services.workflow.claims import Claims, Finished

ONE, TWO = "M1.2023-01-20.1", "M1.2023-01-20.2"
COLUMNS = [
    "occurred_at",
    "actor",
    "host_name",
    "subject_key",
    "verb",
    "stage",
    "from_state",
    "to_state",
    "changes",
    "reason",
    "attempt_id",
    "operation_id",
]


@pytest.fixture
def lab(backend, tmp_path):
    declared = (Stage(name="significant", title="", requires=("registration",)),)
    with WorkflowLab.on(backend, tmp_path / "root", declared=declared) as made:
        yield made


def test_each_transition_has_its_event(lab, workflow):
    key = lab.add(ONE, imaging=True)
    workflow.complete(key, "suite2p")
    workflow.set_qc(key, "suite2p", "FAIL")
    workflow.set_qc(key, "suite2p", "PASS")
    workflow.set_qc(key, "suite2p", "NOT_SET")
    workflow.run(registrar=bad)
    workflow.run(registrar=good)
    workflow.set_qc(key, "red_cell", "WARNING")
    workflow.complete(key, "suite2p")
    workflow.scratch(key, "light leak")
    workflow.unscratch(key)
    workflow.set_qc(key, "session", "PASS")
    workflow.reset(key, "registration")

    assert lab.events(key) == [
        ("added", None, None, None),
        ("complete", "suite2p", "ready", "done"),
        ("fail_qc", "suite2p_qc", "ready", "failed"),
        ("pass_qc", "suite2p_qc", "failed", "done"),
        ("clear_qc", "suite2p_qc", "done", "ready"),
        ("start", "registration", "ready", "running"),
        ("fail", "registration", "running", "failed"),
        ("start", "registration", "failed", "running"),
        ("succeed", "registration", "running", "done"),
        ("pass_qc", "red_cell_qc", "ready", "done"),
        ("complete", "suite2p", "done", "done"),
        ("invalidated", "registration", "done", "stale"),
        ("invalidated", "red_cell_qc", "done", "stale"),
        ("scratched", None, None, "scratched"),
        ("unscratched", None, "scratched", None),
        ("qc_decided", None, None, None),
        ("reset", "registration", "stale", "ready"),
    ]


def test_events_are_signed_and_dated(lab):
    key = lab.add(ONE)
    lab.clock.advance(minutes=5)
    lab.another(actor="bob", host_name="desk").workflow.scratch(key, "light leak")
    history = lab.tracker.history(key)
    assert list(history.columns) == COLUMNS
    assert str(history["occurred_at"].dtype) == "datetime64[us, UTC]"
    last = history.iloc[-1]
    assert (last["actor"], last["host_name"], last["reason"]) == ("bob", "desk", "light leak")
    assert last["occurred_at"] == lab.clock()
    assert last["subject_key"] == ONE


def test_events_carry_old_and_new_values(lab, workflow):
    key = lab.add(ONE, imaging=True)
    workflow.complete(key, "suite2p", date="2023-01-21 10:00", reason="on the cluster")
    last = lab.tracker.history(key).iloc[-1]
    expected = {"suite2p": [False, True], "suite2pDate": [None, "2023-01-21 10:00:00"]}
    assert last["changes"] == expected
    assert last["reason"] == "on the cluster"
    workflow.scratch(key, "light leak")
    assert lab.tracker.history(key).iloc[-1]["changes"] == {
        "sessionQC": [True, False],
        "scratchJustification": [None, "light leak"],
    }


def test_events_of_a_run_carry_its_attempt(lab, workflow):
    key = lab.add(ONE)
    (result,) = workflow.run(registrar=good).results
    history = lab.tracker.history(key)
    assert list(history["attempt_id"][1:]) == [result.attempt_id] * 2


def test_a_failure_is_in_the_history_with_its_message(lab, workflow):
    key = lab.add(ONE)
    workflow.run(registrar=raises(ValueError("odd flips")))
    last = lab.tracker.history(key).iloc[-1]
    assert (last["verb"], last["reason"]) == ("fail", "odd flips")
    assert last["changes"]["vrRegistrationError"] == [False, True]


def test_an_interruption_is_in_the_history(lab, workflow):
    key = lab.add(ONE)
    with pytest.raises(KeyboardInterrupt):
        workflow.run(registrar=raises(KeyboardInterrupt()))
    last = lab.tracker.history(key).iloc[-1]
    assert (last["verb"], last["to_state"]) == ("cancel", "ready")
    assert "KeyboardInterrupt" in last["reason"]


def test_what_reset_makes_stale_says_why(lab, workflow):
    key = lab.add(ONE, imaging=True, suite2p=True, vrRegistration=True)
    workflow.reset(key, "suite2p")
    last = lab.tracker.history(key).iloc[-1]
    assert (last["verb"], last["reason"]) == ("invalidated", "suite2p was taken back")


# -- one transaction --------------------------------------------------------------------------


def transitions(lab: WorkflowLab) -> dict[str, object]:
    """Return calls of every transition, each able to succeed at this moment."""
    workflow, claims = lab.tracker.workflow, Claims(lab.tracker._lab, {})
    registrar = FunctionRegistrar(good)
    stage = lab.stages["registration"]
    fresh = lab.add("M1.2023-02-01.1", imaging=True, suite2p=True)
    done = lab.add("M1.2023-02-01.2", imaging=True, suite2p=True, vrRegistration=True)
    scratched = lab.add(
        "M1.2023-02-01.3", sessionQC=False, scratchJustification="light leak", folder=False
    )
    held = claims.start(
        lab.add("M1.2023-02-01.4", redCellQC=True, imaging=True, suite2p=True), stage, registrar
    )
    return {
        "start": lambda: claims.start(fresh, stage, registrar),
        "rerun": lambda: claims.start(done, stage, registrar, rerun=True),
        "succeed": lambda: claims.succeed(held, Finished(duration_s=1), known=[]),
        "fail": lambda: claims.fail(held, ValueError("odd"), Finished(duration_s=1)),
        "cancel": lambda: claims.cancel(held, "no time", Finished(duration_s=1)),
        "complete": lambda: workflow.complete(done, "suite2p"),
        "complete (tracker's own)": lambda: workflow.complete(done, "significant"),
        "reset": lambda: workflow.reset(done, "registration"),
        "pass_qc": lambda: workflow.set_qc(done, "red_cell", "PASS"),
        "fail_qc": lambda: workflow.set_qc(done, "red_cell", "FAIL"),
        "scratch": lambda: workflow.scratch(done, "light leak"),
        "unscratch": lambda: workflow.unscratch(scratched),
        "session QC": lambda: workflow.set_qc(done, "session", "WARNING"),
        "edit": lambda: lab.tracker.sessions.update({"numPlanes": 3}, done),
        "delete": lambda: lab.tracker.sessions.delete(scratched),
    }


def test_what_cannot_be_noted_does_not_happen(lab, monkeypatch):
    calls = transitions(lab)
    before = lab.dump()

    def refuse(self, *events, **options):
        raise BackendError("the disk is full")

    monkeypatch.setattr(EventRepository, "append", refuse)
    monkeypatch.setattr(EventRepository, "append_each", refuse)
    for name, call in calls.items():
        with pytest.raises(BackendError, match="disk is full"):
            call()
        assert lab.dump() == before, name


def test_nothing_of_a_transition_is_seen_before_its_end(lab, monkeypatch):
    """The event comes last: until then another connection sees the session as it was."""
    original = EventRepository.append
    calls = transitions(lab)
    seen = []

    def look(self, events, **options):
        original(self, events, **options)
        seen.append(lab.dump())

    before = lab.dump()
    monkeypatch.setattr(EventRepository, "append", look)
    calls["complete"]()
    assert seen == [before]
    assert lab.dump() != before


# -- subjects ---------------------------------------------------------------------------------


def test_history_follows_a_change_of_key(lab, workflow):
    key = lab.add(ONE)
    workflow.run(registrar=good)
    lab.tracker.sessions.update({"sessionID": 9}, key, reason="typed wrong")
    lab.tracker.sessions.update({"sessionDate": "2023-01-25"}, "M1.2023-01-20.9")
    verbs = list(lab.tracker.history("M1.2023-01-25.9")["verb"])
    assert verbs == ["added", "start", "succeed", "edited", "rekeyed", "edited", "rekeyed"]
    assert list(lab.tracker.workflow.attempts("M1.2023-01-25.9")["outcome"]) == ["succeeded"]


def test_history_does_not_take_in_who_got_the_old_key_later(lab):
    key = lab.add(ONE)
    lab.tracker.sessions.update({"sessionID": 9}, key)
    lab.add(ONE, folder=False)
    lab.tracker.workflow.scratch(ONE, "another session")
    assert "scratched" not in set(lab.tracker.history("M1.2023-01-20.9")["verb"])


def test_history_outlives_a_deleted_session(lab, workflow):
    key = lab.add(ONE)
    workflow.run(registrar=good)
    lab.tracker.sessions.delete(key, force=True, reason="never happened")
    history = lab.tracker.history(key)
    assert list(history["verb"]) == ["added", "start", "succeed", "deleted"]
    last = history.iloc[-1]
    assert last["reason"] == "never happened"
    assert last["changes"]["vrRegistration"] == [True, None]
    with pytest.raises(NotFoundError):
        workflow.attempts(key)


def test_a_mouse_has_a_history_too(lab):
    lab.tracker.mice.update({"KO": True}, "M1", reason="genotyped")
    history = lab.tracker.history("M1")
    assert list(history["verb"]) == ["added", "edited"]
    assert history.iloc[-1]["changes"] == {"KO": [False, True]}


def test_a_mouse_that_is_not_there_has_no_history(lab):
    with pytest.raises(NotFoundError):
        lab.tracker.history("M9")


def test_the_newest_events_come_first(lab):
    lab.add(ONE)
    lab.add(TWO)
    events = lab.tracker.events(2)
    assert list(events["subject_key"]) == [TWO, ONE]
    assert list(events.columns) == COLUMNS


def test_a_history_without_events_has_the_same_columns(lab):
    lab.add(ONE)
    full, empty = lab.tracker.history(ONE), lab.tracker.history("M1.2020-01-01.1")
    assert list(empty.columns) == COLUMNS
    assert dict(empty.dtypes) == dict(full.dtypes)


def test_attempts_are_listed_oldest_first(lab, workflow):
    key = lab.add(ONE)
    for registrar in (bad, bad, good):
        workflow.run(registrar=registrar, options={"fs": 6})
        lab.clock.advance(minutes=1)
    attempts = workflow.attempts(key)
    assert list(attempts["outcome"]) == ["failed", "failed", "succeeded"]
    assert attempts["started_at"].is_monotonic_increasing
    assert json.loads(attempts["options"].iloc[0]) == {"fs": 6}


# -- errors -----------------------------------------------------------------------------------


def listed(lab: WorkflowLab, stage: str | None = None) -> list[tuple[str, str]]:
    frame = lab.tracker.workflow.errors(stage)
    return list(zip(frame["sessionID"].astype(str), frame["stage"], strict=True))


def test_errors_of_the_labs_own_are_listed(lab, workflow):
    lab.add(ONE, vrRegistrationError=True, vrRegistrationException="flips are not all down")
    lab.add(TWO)
    errors = workflow.errors()
    assert list(errors["sessionID"]) == [1]
    first = errors.iloc[0]
    assert (first["stage"], first["error_message"]) == ("registration", "flips are not all down")
    assert (
        errors[["failed_at", "error_type", "error_traceback", "attempt_id"]].isna().to_numpy().all()
    )


def test_errors_of_ours_are_listed_with_all_we_know(lab, workflow):
    lab.add(ONE)
    (result,) = workflow.run(registrar=bad).results
    first = workflow.errors().iloc[0]
    assert first["failed_at"] == lab.clock()
    assert first["error_type"] == "ValueError"
    assert "first flips in trial" in first["error_message"]
    assert "Traceback" in first["error_traceback"]
    assert first["attempt_id"] == result.attempt_id


def test_errors_of_every_stage_are_listed(lab, workflow):
    lab.add(ONE)
    lab.add(TWO, vrRegistration=True)
    workflow.run("registration", ONE, registrar=bad)
    workflow.run("significant", TWO, registrar=bad)
    assert listed(lab) == [("1", "registration"), ("2", "significant")]
    assert listed(lab, "significant") == [("2", "significant")]
    assert listed(lab, "suite2p") == []


def test_an_error_over_good_output_is_listed(lab, workflow):
    key = lab.add(ONE)
    workflow.run(registrar=good)
    workflow.run("registration", key, registrar=bad, force=True)
    assert listed(lab) == [("1", "registration")]


@pytest.mark.own_rule
@pytest.mark.parametrize("stage", ["registration", "significant"])
@pytest.mark.parametrize("remedy", ["run", "complete", "reset", "scratch"])
def test_errors_that_are_mended_are_dropped(lab, workflow, stage, remedy):
    key = lab.add(ONE, vrRegistration=stage == "significant")
    workflow.run(stage, registrar=bad)
    assert listed(lab) == [("1", stage)]
    match remedy:
        case "run":
            workflow.run(stage, registrar=good)
        case "scratch":
            workflow.scratch(key, "beyond repair")
        case _:
            getattr(workflow, remedy)(key, stage)
    assert listed(lab) == []


def test_an_error_that_is_unticked_by_hand_is_dropped(lab, workflow):
    key = lab.add(ONE)
    workflow.run(registrar=bad)
    lab.edit(key, vrRegistrationError=False, vrRegistrationException=None)
    assert workflow.states(key)["registration"] is State.READY
    assert listed(lab) == []


@pytest.mark.parametrize("stage", ["registration", "significant"])
def test_an_error_stays_listed_when_the_next_attempt_is_interrupted(lab, workflow, stage):
    key = lab.add(ONE, vrRegistration=stage == "significant")
    workflow.run(stage, registrar=bad)
    with pytest.raises(KeyboardInterrupt):
        workflow.run(stage, registrar=raises(KeyboardInterrupt()))
    assert workflow.states(key)[stage] is State.FAILED
    assert listed(lab) == [("1", stage)]


def test_no_errors_have_the_same_columns(lab, workflow):
    empty = workflow.errors()
    lab.add(ONE)
    workflow.run(registrar=bad)
    full = workflow.errors()
    assert len(empty) == 0
    assert dict(empty.dtypes) == dict(full.dtypes)


def test_errors_that_are_alike_are_one_group(lab, workflow):
    lab.add(ONE)
    lab.add(TWO)
    workflow.run(registrar=bad, max_sessions=1)
    first = lab.clock()
    lab.clock.advance(minutes=1)
    workflow.run(registrar=bad, retry_failed=False)

    (row,) = workflow.errors(group=True).to_dict("records")

    assert (row["stage"], row["count"], row["error_type"]) == ("registration", 2, "ValueError")
    assert row["message"] == "first flips in trial are not all down in <key>"
    assert (row["first_at"], row["last_at"]) == (first, lab.clock())
    assert row["sessions"] == [ONE, TWO]
    assert TWO in row["error_traceback"]


def test_errors_of_the_labs_own_join_the_group_of_ours(lab, workflow):
    message = f"first flips in trial are not all down in {TWO}"
    lab.add(TWO, vrRegistrationError=True, vrRegistrationException=message)
    lab.add(ONE)
    workflow.run("registration", ONE, registrar=bad)
    (row,) = workflow.errors(group=True).to_dict("records")
    assert row["count"] == 2
    assert row["first_at"] == row["last_at"] == lab.clock()


def test_retry_runs_the_sessions_of_the_group_alone(lab, workflow):
    other = "M1.2023-01-20.3"
    for key in (ONE, TWO, other, "M1.2023-01-20.4"):
        lab.add(key)
    workflow.run(registrar=bad, sessionID=[1, 2])
    workflow.run("registration", other, registrar=raises(KeyError("planes")))
    group = workflow.errors(group=True)["group"].iloc[0]

    report = workflow.retry(group, registrar=good)

    assert [str(result.key) for result in report.results] == [ONE, TWO]
    assert listed(lab) == [("3", "registration")]
    with pytest.raises(UnknownNameError, match=group):
        workflow.retry(group, registrar=good)


def test_retry_runs_sessions_again_that_were_done_before_they_failed(lab, workflow):
    for key in (ONE, TWO):
        lab.add(key)
    workflow.run("registration", registrar=good)
    workflow.run("registration", ONE, registrar=bad, force=True)
    group = workflow.errors(group=True)["group"].iloc[0]

    report = workflow.retry(group, registrar=good)

    assert [(str(result.key), result.outcome) for result in report.results] == [(ONE, "succeeded")]
    assert workflow.errors(group=True).empty


def test_no_groups_have_the_same_columns(lab, workflow):
    empty = workflow.errors(group=True)
    lab.add(ONE)
    workflow.run(registrar=bad)
    assert dict(empty.dtypes) == dict(workflow.errors(group=True).dtypes)


def test_errors_of_the_legacy_rows_are_those_flagged(legacy):
    flagged = legacy.sessions.frame(vrRegistrationError=True)
    errors = legacy.workflow.errors()
    assert list(errors["uSessionID"]) == list(flagged["uSessionID"])
    expected = flagged["vrRegistrationException"].fillna("")
    assert list(errors["error_message"].fillna("")) == list(expected)
    assert len(errors) > 20


def test_the_lab_clock_is_kept_for_the_labs_columns_alone(lab, workflow):
    key = lab.add(ONE)
    workflow.run(registrar=good)
    assert lab.row(key).vrRegistrationDate == dt.datetime(2026, 3, 2, 14, 0)
    assert lab.tracker.history(key)["occurred_at"].iloc[-1].hour == 12
