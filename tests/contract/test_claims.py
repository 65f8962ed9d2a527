"""Who works on what; claims whose worker is gone are free at once, and what it left is removed."""

from __future__ import annotations

import datetime as dt
import multiprocessing
import os
import signal
import subprocess
import sys
from typing import Any

import pytest

from support.registrars import bad, good, raises, writes
from support.workflow_lab import WorkflowLab
from vrtracker import processes
from vrtracker.domain.disk_rules import DiskRules
from vrtracker.domain.keys import SessionKey
from vrtracker.errors import (
    ClaimHeldError,
    InvalidTransitionError,
    InvalidValueError,
    LostClaimError,
    NotFoundError,
)
from vrtracker.files.staging import Staging
from vrtracker.registrars.function import FunctionRegistrar
from vrtracker.services.workflow.claims import Claims, Finished

ONE = "M1.2023-01-20.1"
TWO = "M1.2023-01-20.2"
THREE = "M1.2023-01-20.3"


@pytest.fixture(scope="module")
def gone() -> dict[str, Any]:
    """Return number and start of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        since = processes.started_at(process.pid)
        process.communicate(b"\n")
    return {"process_id": process.pid, "process_started_at": since}


@pytest.fixture
def living():
    """Return number and start of another process that lives."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield {"process_id": process.pid, "process_started_at": processes.started_at(process.pid)}
        process.communicate(b"\n")


def claimed(lab: WorkflowLab, key: str, token: str = "a" * 32, **values: Any) -> str:
    """Claim the registration of a session as another process of this computer."""
    row = lab.attempt_row(lab.number(key), "registration", token, **values)
    lab.insert("attempts", [row])
    lab.mark(key, "registration", None, token)
    return token


def died_over(lab: WorkflowLab, key: str, process: dict[str, Any]) -> None:
    """Let another process begin to register a session, and end."""
    claims, stage = Claims(lab.tracker._lab, {}), lab.stages["registration"]
    claims.start(SessionKey.parse(key), stage, FunctionRegistrar(good))
    as_of_a_dead_process(lab, process, "running")
    lab.clock.advance(seconds=1)


def as_of_a_dead_process(
    lab: WorkflowLab, gone: dict[str, Any], outcome: str = "succeeded"
) -> None:
    """Let all attempts that succeeded, or run, be those of a process that has ended."""
    table = lab.tracker.database.tables.attempts
    with lab.tracker.database.write_engine.begin() as connection:
        connection.execute(table.update().where(table.c.outcome == outcome).values(gone))


def swapped_and_not_recorded(lab: WorkflowLab, key: SessionKey, process: dict[str, Any]) -> None:
    """Let another process end between the renames of its output and the record of it."""
    claims, stage = Claims(lab.tracker._lab, {}), lab.stages["registration"]
    claim = claims.start(key, stage, FunctionRegistrar(good), rerun=True)
    as_of_a_dead_process(lab, process, "running")
    staging = Staging.prepare(lab.folder(key), token=claim.attempt_id)
    (staging.path / "a.b.npy").write_bytes(b"unrecorded")
    staging.swap_in(earlier=["a.b.npy"])
    lab.clock.advance(minutes=16)


def left_behind(lab: WorkflowLab, key: str, token: str) -> None:
    folder = lab.folder(key) / f".vrtracker-staging-{token}"
    folder.mkdir()
    (folder / "a.b.npy").write_bytes(b"half")


def test_claim_of_a_process_that_is_gone_is_free_at_once(lab, workflow, gone):
    lab.add(ONE)
    left_behind(lab, ONE, claimed(lab, ONE, **gone))
    assert lab.state(ONE, "registration") == "running"

    report = workflow.run(registrar=good)

    assert report.succeeded == 1
    assert lab.litter(ONE) == []
    assert any("is gone" in note for note in report.notes)
    assert any("Removed" in note for note in report.notes)
    assert [row[0] for row in lab.events(ONE)] == ["added", "cancel", "start", "succeed"]
    assert set(workflow.attempts(ONE)["outcome"]) == {"expired", "succeeded"}


def test_claim_of_another_process_with_the_same_number_is_free_too(lab, workflow, living):
    lab.add(ONE)
    earlier = living["process_started_at"] - dt.timedelta(hours=1)
    claimed(lab, ONE, **living | {"process_started_at": earlier})
    assert workflow.run(registrar=good).succeeded == 1


def test_named_session_of_a_process_that_is_gone_is_run_at_once(lab, workflow, gone):
    lab.add(ONE)
    claimed(lab, ONE, **gone)
    report = workflow.run("registration", ONE, registrar=good)
    assert report.succeeded == 1
    assert any("is gone" in note for note in report.notes)


def test_reconciling_names_what_ended_attempts_left_and_applying_removes_it(
    lab, workflow, living, gone
):
    for key in (ONE, TWO, THREE):
        lab.add(key)
    left_behind(lab, ONE, "e" * 32)
    left_behind(lab, TWO, claimed(lab, TWO, "d" * 32, **living))
    left_behind(lab, THREE, claimed(lab, THREE, "f" * 32, **gone))
    before = lab.dump()

    plan = lab.tracker.reconcile()

    named = {note.where: note.message for note in plan.found.notes if note.kind == "left over"}
    assert list(named) == [ONE]
    assert f".vrtracker-staging-{'e' * 32}" in named[ONE]
    assert (lab.dump(), len(lab.litter(ONE))) == (before, 1)

    assert plan.apply() == []

    assert [len(lab.litter(key)) for key in (ONE, TWO, THREE)] == [0, 1, 0]
    assert sum("Removed" in sentence for sentence in plan.removed) == 2
    assert list(workflow.claims()["key"]) == [TWO]


@pytest.mark.parametrize("who", ["living", "elsewhere", "unknown"])
def test_claim_that_may_be_alive_holds_until_the_lease_ends(lab, workflow, living, gone, who):
    values = {
        "living": living,
        "elsewhere": gone | {"host_name": "other"},
        "unknown": living | {"process_started_at": None},
    }[who]
    lab.add(ONE)
    claimed(lab, ONE, **values)
    assert workflow.run(registrar=good).results == ()

    lab.clock.advance(minutes=15)
    assert workflow.run(registrar=good).succeeded == 1


def test_queue_that_is_asked_for_again_goes_by_the_time_of_each_look(lab, workflow, living):
    lab.add(ONE)
    claimed(lab, ONE, **living)
    assert workflow.needs("registration").empty
    assert not workflow.needs.records("registration")

    lab.clock.advance(minutes=15)
    assert list(workflow.needs("registration")["state"]) == ["ready"]
    assert len(workflow.needs.records("registration")) == 1


def test_session_over_which_two_processes_died_is_set_aside_as_a_failure(lab, workflow, gone):
    lab.add(ONE)
    lab.add(TWO)
    died_over(lab, ONE, gone)
    assert workflow.run("registration", TWO, registrar=good).succeeded == 1
    died_over(lab, ONE, gone)

    report = workflow.run(registrar=good)

    assert report.results == ()
    assert any("set aside: 2 workers died over it" in note for note in report.notes)
    [error] = workflow.errors()["error_type"]
    assert error == "WorkerDiedError"
    reasons = workflow.why_not(ONE, "registration")
    assert [reason.code for reason in reasons] == ["set_aside"]
    assert "is gone" in str(reasons[0])

    # Ordinary failures between are told apart.
    workflow.run("registration", ONE, registrar=bad)
    died_over(lab, ONE, gone)
    report = workflow.run(registrar=good)
    assert any("set aside: 3 workers died over it" in note for note in report.notes)
    assert list(workflow.held_back()["failures"]) == [4]

    assert workflow.run("registration", ONE, registrar=good).succeeded == 1
    assert workflow.why_not(ONE, "registration")[0].code == "done"


def test_what_a_process_left_that_died_right_after_its_success_is_removed(lab, workflow, gone):
    lab.add(ONE)
    lab.add(TWO)

    def slow(job):
        lab.clock.advance(seconds=5)
        (job.staging / "a.b.npy").write_bytes(b"new")

    workflow.run("registration", ONE, registrar=slow)
    token = workflow.attempts(ONE)["attempt_id"].iloc[0]
    as_of_a_dead_process(lab, gone)
    # Whoever records a success has claimed the next session with that.
    claimed(lab, TWO, **gone)
    (lab.folder(ONE) / f".vrtracker-old-{token}").mkdir()

    workflow.run("registration", TWO, registrar=good)

    assert lab.litter(ONE) == []
    assert lab.output(ONE) == {"a.b.npy": b"new"}


def test_output_that_was_put_in_place_and_not_recorded_gives_way_to_the_recorded_one(
    lab, workflow, gone
):
    key = lab.add(ONE)
    workflow.run(registrar=writes({"a.b.npy": b"good"}))
    swapped_and_not_recorded(lab, key, gone)

    notes = workflow.run(registrar=good).notes

    assert lab.output(ONE) == {"a.b.npy": b"good"}
    [kept] = lab.folder(ONE).glob("late_output_*")
    assert (kept / "a.b.npy").read_bytes() == b"unrecorded"
    assert any(kept.name in note for note in notes)
    assert lab.state(ONE, "registration") == "done"


@pytest.mark.parametrize("how", ["said", "ticked", "said of what was made again"])
def test_output_that_was_not_recorded_stays_once_a_person_has_entered_it(lab, workflow, gone, how):
    key = lab.add(ONE)
    if "again" in how:
        workflow.run(registrar=writes({"a.b.npy": b"earlier"}))
    swapped_and_not_recorded(lab, key, gone)
    if how == "ticked":
        lab.tracker.sessions.update({"vrRegistration": True}, ONE)
    else:
        workflow.complete(ONE, "registration")

    workflow.run(registrar=good)

    assert lab.output(ONE) == {"a.b.npy": b"unrecorded"}
    assert (lab.litter(ONE), lab.state(ONE, "registration")) == ([], "done")


def test_reconciling_compares_a_session_whose_left_overs_stay_as_they_are(lab, workflow):
    lab.add(ONE)
    workflow.run(registrar=writes({"a.b.npy": b"made anew"}))
    # A swap that never ended, and an output since: recovering leaves both alone.
    for name in (f".vrtracker-old-{'e' * 32}", f".vrtracker-staging-{'e' * 32}"):
        (lab.folder(ONE) / name).mkdir()
        (lab.folder(ONE) / name / "a.b.npy").write_bytes(b"good")

    plan = lab.tracker.reconcile()

    assert {"left over", "touched"} <= {note.kind for note in plan.found.notes}


def test_output_of_a_worker_that_wakes_late_stays_once_a_person_has_entered_it(lab):
    key = lab.add(ONE)

    def now():
        if lab.output(key) and lab.state(key, "registration") == "running":
            lab.clock.advance(minutes=16)
            lab.tracker.workflow.complete(key, "registration")
        return lab.clock()

    worker = lab.another(now=now, actor="second")

    assert worker.workflow.run(registrar=good).count("skipped") == 1
    assert lab.output(key)
    assert (lab.litter(key), lab.state(key, "registration")) == ([], "done")


def test_reconciling_compares_no_output_before_what_ended_attempts_left_is_removed(lab, gone):
    key = lab.add(ONE)
    swapped_and_not_recorded(lab, key, gone)
    tracker = lab.another(disk=DiskRules(registration_files=("a.b.npy",)))

    assert tracker.reconcile().apply() == []

    assert lab.output(ONE) == {}
    assert lab.state(ONE, "registration") == "ready"
    [kept] = lab.folder(ONE).glob("late_output_*")
    kept.rename(lab.folder(ONE) / "oneData")
    assert tracker.reconcile().apply() == [key]
    assert lab.state(ONE, "registration") == "done"


def test_folder_of_a_process_that_was_suspended_is_left_to_it(lab, workflow, living, gone):
    lab.add(ONE)
    token = claimed(lab, ONE, **living)
    left_behind(lab, ONE, token)
    lab.clock.advance(minutes=15)

    assert workflow.run(registrar=good).succeeded == 1
    lab.add(TWO)
    as_of_a_dead_process(lab, gone)
    assert workflow.run(registrar=good).succeeded == 1

    assert lab.litter(ONE) == [f".vrtracker-staging-{token}"]


def test_late_output_is_kept_under_a_name_that_says_so(lab, workflow):
    key = lab.add(ONE)
    other = lab.another(actor="second")

    def late(job):
        lab.clock.advance(minutes=16)
        other.workflow.run(registrar=writes({"a.b.npy": b"new"}))
        job.staging.mkdir(exist_ok=True)
        (job.staging / "a.b.npy").write_bytes(b"late")

    report = workflow.run(registrar=late)

    assert [result.outcome for result in report.results] == ["skipped"]
    assert lab.output(key) == {"a.b.npy": b"new"}
    [kept] = lab.folder(key).glob("late_output_*")
    assert (kept / "a.b.npy").read_bytes() == b"late"
    assert any(kept.name in note for note in report.notes)


@pytest.mark.parametrize("earlier", [{}, {"a.b.npy": b"good"}])
def test_late_output_that_is_in_place_already_is_kept_aside_by_who_takes_over(
    lab, workflow, living, earlier
):
    key = lab.add(ONE)
    workflow.run(registrar=writes(earlier))
    claims, stage = Claims(lab.tracker._lab, {}), lab.stages["registration"]
    claim = claims.start(key, stage, FunctionRegistrar(good), rerun=True)
    as_of_a_dead_process(lab, living, "running")
    staging = Staging.prepare(lab.folder(ONE), token=claim.attempt_id)
    (staging.path / "a.b.npy").write_bytes(b"late")
    staging.swap_in(earlier=earlier)
    lab.clock.advance(minutes=16)

    report = workflow.run("registration", ONE, registrar=writes({"a.b.npy": b"new"}), force=True)

    assert report.succeeded == 1
    [kept] = lab.folder(ONE).glob("late_output_*")
    assert (kept / "a.b.npy").read_bytes() == b"late"
    assert any(kept.name in note for note in report.notes)
    with pytest.raises(LostClaimError):
        claims.datasets(claim)
    assert staging.keep_aside("now") is None
    assert lab.output(ONE) == {"a.b.npy": b"new"}
    assert lab.litter(ONE) == []


def test_late_worker_never_touches_what_was_recorded_meanwhile(lab, workflow):
    key = lab.add(ONE)
    there = []

    def late(job):
        lab.clock.advance(minutes=16)
        lab.another(actor="second").workflow.run(registrar=writes({"a.b.npy": b"new"}))
        job.staging.mkdir(exist_ok=True)
        (job.staging / "a.b.npy").write_bytes(b"late")
        there.append((lab.folder(key) / "oneData").stat())

    assert workflow.run(registrar=late).count("skipped") == 1
    assert os.path.samestat(there[0], (lab.folder(key) / "oneData").stat())
    assert there[0].st_ctime_ns == (lab.folder(key) / "oneData").stat().st_ctime_ns


def test_claim_that_ran_out_is_ended_in_the_history_by_who_takes_the_session_over(lab, living):
    key = lab.add(ONE)
    token = claimed(lab, ONE, **living | {"host_name": "other"})
    lab.clock.advance(minutes=16)
    inner = lab.tracker._lab

    Claims(inner, {}).start(key, inner.stages["registration"], FunctionRegistrar(good))

    assert [row[0] for row in lab.events(ONE)] == ["added", "cancel", "start"]
    ended = lab.tracker.history(key).iloc[1]
    assert (ended["attempt_id"], ended["reason"]) == (token, "its lease ended")


def test_claim_that_ran_out_is_ended_in_the_history_by_who_decides_on_the_session(
    lab, workflow, living
):
    lab.add(ONE)
    token = claimed(lab, ONE, **living | {"host_name": "other"})
    lab.clock.advance(minutes=16)

    workflow.scratch(ONE, "light leak")

    assert [row[0] for row in lab.events(ONE)] == ["added", "cancel", "scratched"]
    ended = lab.tracker.history(ONE).iloc[1]
    assert (ended["attempt_id"], ended["reason"]) == (token, "its lease ended")
    assert list(workflow.attempts(ONE)["outcome"]) == ["expired"]
    assert lab.tracker.undo(last=True).apply()
    assert lab.state(ONE, "registration") == "ready"


def test_late_output_is_no_data_of_the_session(lab, workflow):
    key = lab.add(ONE)
    kept = lab.folder(key) / "late_output_20230101T120000_aaaaaaaa"
    kept.mkdir()
    (kept / "licks.times.npy").write_bytes(b"refused")
    lab.tracker.workflow.run(registrar=writes({"trials.startTimes.npy": b"good"}))

    lab.tracker.workflow.run("registration", key, registrar="alf", force=True)

    recorded = lab.tracker.datasets(key)["rel_path"]
    assert list(recorded) == ["oneData/trials.startTimes.npy"]
    opened = lab.tracker.sessions.get(key).open()
    assert [file.rel_path for file in opened.files()] == ["oneData/trials.startTimes.npy"]


def test_the_key_of_a_session_that_is_worked_on_stays(lab, workflow, living):
    key = lab.add(ONE)
    claimed(lab, key, **living)
    before = lab.dump()

    with pytest.raises(InvalidTransitionError, match=r"Cannot change the key.* running"):
        lab.tracker.sessions.update({"sessionID": 9}, key)

    assert lab.dump() == before
    assert lab.tracker.sessions.update({"numPlanes": 3}, key).rows == 1


def test_a_late_result_is_refused_once_the_session_has_another_key(lab, workflow):
    key = lab.add(ONE)
    claims = Claims(lab.tracker._lab, {})
    late = claims.start(key, lab.stages["registration"], FunctionRegistrar(good))
    lab.clock.advance(days=1)
    lab.tracker.sessions.update({"sessionID": 9}, key)

    with pytest.raises(LostClaimError):
        claims.succeed(late, Finished(duration_s=1), known=[])

    assert lab.tracker.verify().differences == ()


def test_why_not_tells_that_the_process_is_gone_and_how_to_take_a_claim_away(
    lab, workflow, living, gone
):
    for key, process in ((ONE, living), (TWO, gone)):
        lab.add(key)
        claimed(lab, key, key[-1] * 32, **process)

    [alive], [dead] = (workflow.why_not(key, "registration") for key in (ONE, TWO))

    assert f"vrtracker release {ONE} --force --reason WHY" in alive.message
    assert "is gone: the next run takes it" in dead.message
    assert "is gone" not in alive.message
    assert "who works" not in dead.message.lower()
    for refused in (workflow.reset, lab.tracker.sessions.delete):
        args = ("registration",) if refused == workflow.reset else ()
        with pytest.raises(InvalidTransitionError, match=f"is gone.*vrtracker release {TWO}"):
            refused(TWO, *args, reason="again")


def test_releasing_what_is_not_there_says_so(lab, workflow):
    with pytest.raises(NotFoundError, match="session"):
        workflow.release(ONE)
    lab.add(ONE)
    with pytest.raises(NotFoundError, match="claim"):
        workflow.release(ONE)


def test_claims_say_who_works_on_what_and_whether_it_lives(lab, workflow, living, gone):
    for key, token, values in (
        (ONE, "a", living),
        (TWO, "b", gone),
        (THREE, "c", gone | {"host_name": "other"}),
    ):
        lab.add(key)
        claimed(lab, key, token * 32, **values)

    frame = workflow.claims()

    assert list(frame["key"]) == [ONE, TWO, THREE]
    assert frame["alive"].astype(object).where(frame["alive"].notna(), None).tolist() == [
        True,
        False,
        None,
    ]
    assert set(frame["stage"]) == {"registration"}
    assert list(frame["host"]) == ["rig", "rig", "other"]
    assert frame["claimed_at"].iloc[0] == lab.clock()


def test_claims_of_nobody_are_an_empty_frame_of_the_same_types(lab, workflow, living):
    empty = workflow.claims()
    lab.add(ONE)
    claimed(lab, ONE, **living)
    assert empty.empty
    assert (workflow.claims().dtypes == empty.dtypes).all()


def test_release_gives_back_what_a_dead_process_holds(lab, workflow, gone):
    lab.add(ONE)
    claimed(lab, ONE, **gone)
    [sentence] = workflow.release(ONE)
    assert "is gone" in sentence
    assert lab.state(ONE, "registration") == "ready"
    assert workflow.claims().empty


def test_release_of_a_living_claim_is_refused_unless_forced_with_a_reason(lab, workflow, living):
    lab.add(ONE)
    claimed(lab, ONE, **living)
    before = lab.dump()
    with pytest.raises(ClaimHeldError, match=f"bob on rig .*{living['process_id']}.*--force"):
        workflow.release(ONE)
    with pytest.raises(InvalidValueError, match="reason"):
        workflow.release(ONE, force=True)
    assert lab.dump() == before

    workflow.release(ONE, force=True, reason="it hangs")

    assert lab.state(ONE, "registration") == "ready"
    event = lab.tracker.history(ONE).iloc[-1]
    assert (event["verb"], event["actor"]) == ("cancel", "ann")
    assert "it hangs" in event["reason"]


def test_release_of_what_nobody_claimed_says_so(lab, workflow):
    lab.add(ONE)
    with pytest.raises(NotFoundError, match="claim"):
        workflow.release(ONE)


def test_result_of_a_claim_that_was_taken_away_is_refused(lab, workflow):
    lab.add(ONE)
    other = lab.another(actor="second")

    def slow(job):
        other.workflow.release(ONE, force=True, reason="too slow")
        good(job)

    report = workflow.run("registration", ONE, registrar=slow)
    assert [result.outcome for result in report.results] == ["skipped"]


@pytest.mark.own_rule
def test_attempts_name_when_their_process_began(lab, workflow):
    lab.add(ONE)
    workflow.run(registrar=good)
    [row] = lab.dump()["attempts"]
    assert row["process_id"] == os.getpid()
    assert row["process_started_at"] == processes.started_at(os.getpid())


def test_filter_holds_at_the_moment_of_the_claim(lab, workflow):
    for key in (ONE, TWO, THREE):
        lab.add(key, numPlanes=1)

    def change_two(job):
        if str(job.key) == ONE:
            lab.tracker.sessions.update({"numPlanes": 2}, TWO)
        good(job)

    report = workflow.run(registrar=change_two, numPlanes=1)
    assert [str(result.key) for result in report.results] == [ONE, THREE]


def test_session_that_another_run_gave_back_is_taken_at_the_end(lab, workflow):
    for key in (ONE, TWO, THREE):
        lab.add(key)
    claims = Claims(lab.another(actor="second")._lab, {})
    stage = lab.stages["registration"]
    held = claims.start(lab.tracker.sessions.get(ONE).key, stage, FunctionRegistrar(good))

    def give_back(job):
        if str(job.key) == THREE:
            claims.cancel(held, "no time", Finished(duration_s=1))
        good(job)

    report = workflow.run(registrar=give_back)
    assert [str(result.key) for result in report.results] == [TWO, THREE, ONE]


def test_session_that_failed_is_tried_once_a_run(lab, workflow):
    for key in (ONE, TWO):
        lab.add(key)
    report = workflow.run(registrar=raises(ValueError("odd")))
    assert [result.outcome for result in report.results] == ["failed", "failed"]
    assert workflow.run(registrar=good).succeeded == 2


@pytest.mark.own_rule
def test_a_process_that_ended_but_was_not_waited_for_is_gone(lab):
    del lab
    child = multiprocessing.get_context("spawn").Process(target=os.getpid)
    child.start()
    since = processes.started_at(child.pid)
    os.kill(child.pid, signal.SIGKILL)
    while processes.is_alive(child.pid, since):
        pass
    assert processes.is_alive(child.pid, since) is False
    child.join()
