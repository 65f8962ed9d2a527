"""Running a stage: what is recorded, what is kept, what a failure leaves alone, when it stops."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import threading
import traceback

import numpy as np
import pytest
from sqlalchemy import event

from support.registrars import bad, good, options_of, raises, writes
from support.workflow_lab import WorkflowLab
from vrtracker.domain.registrars import DatasetFile, RegistrarResult
from vrtracker.domain.stages import Stage
from vrtracker.domain.states import State
from vrtracker.errors import (
    BackendError,
    ConfigurationError,
    InvalidTransitionError,
    InvalidValueError,
    LostClaimError,
    RootUnavailableError,
    UnknownNameError,
)
from vrtracker.registrars.function import FunctionRegistrar
from vrtracker.repositories.events import EventRepository
from vrtracker.services.workflow.claims import Claims, Finished
from vrtracker.unit_of_work import UnitOfWork

ONE, TWO, THREE = "M1.2023-01-20.1", "M1.2023-01-20.2", "M1.2023-01-21.1"
LAB_NOON = dt.datetime(2026, 3, 2, 14, 0)
RED = "mpciROIs.redCellIdx.npy"
CUTOFF = "parametersRedS2P.minMaxCutoff.npy"
MOST_STATEMENTS = 6


@pytest.fixture
def lab(backend, tmp_path):
    declared = (Stage(name="significant", title="", requires=("registration",)),)
    with WorkflowLab.on(backend, tmp_path / "root", declared=declared) as made:
        yield made


def columns(lab: WorkflowLab, key) -> tuple:
    row = lab.row(key)
    return (
        row.vrRegistration,
        row.vrRegistrationDate,
        row.vrRegistrationError,
        row.vrRegistrationException,
    )


def last_attempt(lab: WorkflowLab, key):
    return lab.tracker.workflow.attempts(key).iloc[-1]


# -- success ----------------------------------------------------------------------------------


def test_success_is_written_to_the_labs_columns(lab, workflow):
    key = lab.add(ONE, vrRegistrationError=True, vrRegistrationException="flips")
    report = workflow.run(registrar=good)
    assert (report.succeeded, report.failed, report.left) == (1, 0, 0)
    assert columns(lab, key) == (True, LAB_NOON, False, None)
    assert workflow.states(key)["registration"] is State.DONE


def test_success_puts_the_output_in_place(lab, workflow):
    key = lab.add(ONE)
    workflow.run(registrar=good)
    assert lab.output(key) == {"trials.startTimes.npy": ONE.encode()}
    assert lab.litter(key) == []


def test_success_records_how_it_was_made(lab, workflow):
    key = lab.add(ONE)
    files = {"a.b.npy": b"12345", "sub/c.d.npy": b"678"}
    workflow.run(registrar=writes(files), options={"oasis": True, "fs": 6})
    attempt = last_attempt(lab, key)
    assert attempt["outcome"] == "succeeded"
    assert attempt["duration_s"] >= 0
    assert (attempt["output_bytes"], attempt["output_files"]) == (8, 2)
    assert (attempt["actor"], attempt["host_name"]) == ("ann", "rig")
    assert attempt["stage"] == "registration"
    assert "writes" in attempt["registrar"]
    assert json.loads(attempt["options"]) == {"oasis": True, "fs": 6}
    assert {"python", "vrtracker", "sqlalchemy"} <= json.loads(attempt["versions"]).keys()
    assert attempt["started_at"] == attempt["finished_at"] == lab.clock()
    assert attempt[["error_type", "error_message", "error_traceback"]].isna().all()


def test_success_records_each_file_with_its_hash(lab, workflow):
    key = lab.add(ONE)
    files = {"a.b.npy": b"12345", "sub/c.d.npy": b"678"}
    report = workflow.run(registrar=writes(files))
    datasets = lab.tracker.datasets(key)
    assert list(datasets["rel_path"]) == ["oneData/a.b.npy", "oneData/sub/c.d.npy"]
    assert list(datasets["size_bytes"]) == [5, 3]
    assert list(datasets["md5"]) == [hashlib.md5(files[name]).hexdigest() for name in files]
    assert set(datasets["stage"]) == {"registration"}
    assert set(datasets["attempt_id"]) == {report.results[0].attempt_id}


def test_the_registrar_is_told_what_it_needs(lab, workflow):
    key = lab.add(ONE, imaging=False, sessionNotes="ran well")
    jobs = []

    def look(job):
        jobs.append(job)
        assert list(job.staging.iterdir()) == []

    workflow.run(registrar=look, options={"tau": 1.5})
    (job,) = jobs
    assert job.key == key
    assert job.record.sessionNotes == "ran well"
    assert job.session_path == lab.folder(key)
    assert (job.output, dict(job.options)) == ("oneData", {"tau": 1.5})


def test_options_reach_the_registrar_as_they_are_recorded(lab, workflow):
    key = lab.add(ONE)
    workflow.run(registrar=options_of, options={"planes": (1, 2)})
    assert lab.output(key)["job.options.txt"] == b"[('planes', [1, 2])]"
    assert json.loads(last_attempt(lab, key)["options"]) == {"planes": [1, 2]}


def test_what_the_registrar_states_is_recorded_instead(lab, workflow):
    key = lab.add(ONE)
    (lab.folder(key) / "raw.bin").write_bytes(b"1234")
    stated = RegistrarResult([DatasetFile("raw.bin", 4, revision="r1")], bytes=4000)
    report = workflow.run(registrar=writes({}, stated))
    assert (report.bytes, report.results[0].files) == (4000, 1)
    datasets = lab.tracker.datasets(key)
    assert datasets[["rel_path", "revision"]].to_numpy().tolist() == [["raw.bin", "r1"]]


def test_sessions_are_worked_on_in_order_of_their_numbers(lab, workflow):
    for key in (THREE, ONE, TWO):
        lab.add(key)
    seen = []
    report = workflow.run(registrar=good, progress=lambda *args: seen.append(args))
    assert [str(result.key) for result in report.results] == [THREE, ONE, TWO]
    told = [(at, total, str(key), None if r is None else r.outcome) for at, total, key, r in seen]
    assert told == [
        (0, 3, THREE, None),
        (1, 3, THREE, "succeeded"),
        (1, 3, ONE, None),
        (2, 3, ONE, "succeeded"),
        (2, 3, TWO, None),
        (3, 3, TWO, "succeeded"),
    ]


def test_the_report_is_a_frame_too(lab, workflow):
    lab.add(ONE)
    lab.add(TWO, folder=False)
    frame = workflow.run(registrar=good).frame()
    assert list(frame["key"]) == [ONE, TWO]
    assert list(frame["outcome"]) == ["succeeded", "failed"]
    assert frame["bytes"].dtype == frame["files"].dtype == "int64"
    assert dict(workflow.run(registrar=good, mouseName="M2").frame().dtypes)["bytes"] == "int64"


def test_a_run_takes_filters(lab, workflow):
    lab.add(ONE)
    lab.add("M2.2023-01-20.1")
    report = workflow.run(registrar=good, mouse__KO=True)
    assert [str(result.key) for result in report.results] == ["M2.2023-01-20.1"]


def test_failed_sessions_can_be_left_out(lab, workflow):
    lab.add(ONE, vrRegistrationError=True)
    assert workflow.run(registrar=good, retry_failed=False).results == ()
    assert workflow.run(registrar=good).succeeded == 1


def test_a_session_named_by_its_key_must_be_able_to_run(lab, workflow):
    key = lab.add(ONE)
    workflow.run(registrar=good)
    before = lab.dump()
    with pytest.raises(InvalidTransitionError, match="since 2026-03-02 14:00:00"):
        workflow.run("registration", key, registrar=good)
    assert lab.dump() == before


def test_running_everything_again_needs_a_filter(lab, workflow):
    lab.add(ONE)
    with pytest.raises(InvalidValueError, match="filter"):
        workflow.run(registrar=good, force=True)


def test_a_stage_without_a_registrar_says_so(lab, workflow):
    lab.add(ONE, imaging=True)
    before = lab.dump()
    with pytest.raises(ConfigurationError, match=r"workflow\.complete"):
        workflow.run("suite2p")
    assert lab.dump() == before


def test_a_stage_of_the_tracker_alone_is_run_too(lab, workflow):
    key = lab.add(ONE, vrRegistration=True)
    report = workflow.run("significant", registrar=writes({"mpci.significant.npz": b"s"}))
    assert report.succeeded == 1
    assert workflow.states(key)["significant"] is State.DONE
    assert set(lab.tracker.datasets(key)["stage"]) == {"significant"}


def test_a_configured_registrar_is_used(lab):
    key = lab.add(ONE, vrRegistration=True)
    tracker = lab.another(registrars={"significant": "support.registrars:good"})
    assert tracker.workflow.run("significant").succeeded == 1
    assert last_attempt(lab, key)["registrar"] == "support.registrars:good"


def test_run_without_a_stage_waits_for_it_no_more_than_this_time(lab, workflow):
    key, other = lab.add(ONE, imaging=True), lab.add(TWO, imaging=True)

    assert workflow.run("registration", key, registrar=good, without=["suite2p"]).succeeded == 1

    assert workflow.states(key)["suite2p"] is State.READY
    assert workflow.states(other)["registration"] is State.BLOCKED


def test_run_without_a_stage_takes_the_blocked_of_the_queue_too(lab, workflow):
    lab.add(ONE, imaging=True)
    lab.add(TWO)

    assert workflow.run(registrar=good, without=["suite2p"]).succeeded == 2


def test_run_without_one_stage_still_waits_for_another(lab, workflow):
    key = lab.add(ONE, imaging=True, suite2p=True)

    report = workflow.run("significant", registrar=good, without=["suite2p"])

    assert report.results == ()
    assert workflow.states(key)["significant"] is State.BLOCKED


def test_cancelled_run_without_a_stage_says_that_the_session_waits_again(lab, workflow):
    key = lab.add(ONE, imaging=True)

    with pytest.raises(KeyboardInterrupt):
        workflow.run(registrar=raises(KeyboardInterrupt()), without=["suite2p"])

    assert lab.tracker.history(key)["to_state"].iloc[-1] == State.BLOCKED.value


def test_run_without_an_unknown_stage_is_refused(lab, workflow):
    lab.add(ONE)

    with pytest.raises(UnknownNameError, match="suite2p"):
        workflow.run(registrar=good, without=["suite2"])


# -- failure ----------------------------------------------------------------------------------


def test_failure_is_kept_with_its_traceback(lab, workflow):
    key = lab.add(ONE)
    report = workflow.run(registrar=bad)
    message = f"first flips in trial are not all down in {ONE}"
    assert (report.failed, report.results[0].error) == (1, f"ValueError: {message}")
    assert columns(lab, key) == (False, None, True, message)
    attempt = last_attempt(lab, key)
    assert (attempt["outcome"], attempt["error_type"]) == ("failed", "ValueError")
    assert attempt["error_message"] == message
    assert attempt["error_traceback"].startswith("Traceback (most recent call last)")
    assert 'raise ValueError(f"first flips' in attempt["error_traceback"]
    assert workflow.states(key)["registration"] is State.FAILED


def test_failure_leaves_nothing_behind(lab, workflow):
    key = lab.add(ONE)
    workflow.run(registrar=raises(ValueError("odd"), after={"a.b.npy": b"half"}))
    assert list(lab.folder(key).iterdir()) == []
    assert len(lab.tracker.datasets(key)) == 0


def test_failure_keeps_the_earlier_output(lab, workflow):
    key = lab.add(ONE)
    workflow.run(registrar=good)
    before, datasets = lab.output(key), lab.dump()["datasets"]
    lab.clock.advance(hours=1)

    workflow.run("registration", key, registrar=raises(ValueError("odd")), force=True)

    assert columns(lab, key) == (True, LAB_NOON, True, "odd")
    assert lab.output(key) == before
    assert lab.dump()["datasets"] == datasets
    assert workflow.states(key)["registration"] is State.DONE
    assert "earlier output was kept" in str(workflow.why_not(key, "registration")[0])


def test_failure_of_a_stale_session_leaves_it_stale(lab, workflow):
    key = lab.add(ONE, imaging=True, suite2p=True)
    workflow.run(registrar=good)
    workflow.complete(key, "suite2p")
    workflow.run(registrar=bad, include_stale=True)
    assert workflow.states(key)["registration"] is State.STALE
    assert lab.events(key)[-1] == ("fail", "registration", "running", "stale")


def test_a_run_goes_on_after_a_failure(lab, workflow):
    for key in (ONE, TWO, THREE):
        lab.add(key)

    def picky(job):
        return bad(job) if str(job.key) == TWO else good(job)

    report = workflow.run(registrar=picky)
    assert [r.outcome for r in report.results] == ["succeeded", "failed", "succeeded"]


def test_a_session_is_claimed_in_the_transaction_that_records_the_one_before(lab, workflow):
    commits = []
    for number in range(1, 4):
        lab.add(f"M1.2023-01-20.{number}")
    workflow.status()
    event.listen(lab.tracker.database.write_engine, "commit", commits.append)

    assert workflow.run(registrar=good).succeeded == 3

    assert len(commits) == 4


def test_what_goes_wrong_with_the_next_session_costs_nothing_of_this_one(lab, workflow):
    for key in (ONE, TWO):
        lab.add(key)
    made = []

    def stop() -> None:
        if made:
            raise RuntimeError("asked in the transaction that records the first")

    def registered(job):
        made.append(job.key)
        good(job)

    with pytest.raises(RuntimeError):
        workflow.run(registrar=registered, stop=stop)

    assert workflow.states(ONE)["registration"] is State.DONE
    assert workflow.claims().empty
    assert len(made) == 1


def test_a_stop_that_comes_while_a_success_is_recorded_holds_for_the_next(lab, workflow):
    for key in (ONE, TWO):
        lab.add(key)
    asked = []

    def stop() -> str | None:
        asked.append(workflow.states(ONE)["registration"])
        return "enough" if State.DONE in asked else None

    report = workflow.run(registrar=good, stop=stop)

    assert [result.outcome for result in report.results] == ["succeeded", "cancelled"]
    assert report.stopped == "enough"
    assert workflow.claims().empty


def test_a_session_that_was_claimed_ahead_is_given_back_where_the_run_is_interrupted(lab, workflow):
    for number in (1, 2):
        lab.add(f"M1.2023-01-20.{number}")

    def interrupted(_done, _total, _key, result) -> None:
        if result is not None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        workflow.run(registrar=good, progress=interrupted)

    assert workflow.claims().empty
    assert workflow.run(registrar=good).succeeded == 1


def test_a_missing_folder_is_a_failed_attempt(lab, workflow):
    gone = lab.add(ONE, folder=False)
    lab.add(TWO)
    report = workflow.run(registrar=good)
    assert [r.outcome for r in report.results] == ["failed", "succeeded"]
    assert last_attempt(lab, gone)["error_type"] == "RegistrarError"
    assert "has no folder" in lab.row(gone).vrRegistrationException


def test_a_rerun_clears_the_error(lab, workflow):
    key = lab.add(ONE)
    workflow.run(registrar=bad)
    workflow.run(registrar=good)
    assert columns(lab, key) == (True, LAB_NOON, False, None)
    assert list(workflow.attempts(key)["outcome"].sort_values()) == ["failed", "succeeded"]


def test_a_failed_session_waits_again_when_suite2p_is_taken_back(lab, workflow):
    key = lab.add(ONE, imaging=True, suite2p=True)
    workflow.run(registrar=bad)
    workflow.reset(key, "suite2p", reason="wrong plane")
    assert workflow.states(key)["registration"] is State.BLOCKED
    assert workflow.run(registrar=good).results == ()
    workflow.complete(key, "suite2p")
    assert workflow.states(key)["registration"] is State.FAILED


@pytest.mark.parametrize(
    "message", ["embedded null \0 byte", "not UTF-8: \udcff", "x" * 70_000, "", "😀 naïve"]
)
def test_failures_with_odd_messages_are_kept(lab, workflow, message):
    key = lab.add(ONE)
    lab.add(TWO)
    report = workflow.run(registrar=raises(ValueError(message)))
    assert [r.outcome for r in report.results] == ["failed", "failed"]
    kept = lab.row(key).vrRegistrationException or ""
    readable = message.replace("\0", "").replace("\udcff", "")
    assert len(kept) >= len(readable)
    assert workflow.states(key)["registration"] is State.FAILED


def test_raise_errors_raises_the_original_after_recording_it(lab, workflow):
    key = lab.add(ONE)
    lab.add(TWO)
    error = KeyError("no such plane")
    with pytest.raises(KeyError) as caught:
        workflow.run(registrar=raises(error), raise_errors=True)
    assert caught.value is error
    assert "in fail" in "".join(traceback.format_tb(error.__traceback__))
    assert workflow.states(key)["registration"] is State.FAILED
    assert len(workflow.attempts(TWO)) == 0


def test_an_output_path_that_is_too_long_fails_and_undoes(lab, workflow):
    key = lab.add(ONE)
    workflow.run(registrar=good)
    before = lab.output(key)
    lab.clock.advance(minutes=1)
    name = f"{'a' * 200}/{'b' * 60}.c.npy"
    workflow.run("registration", key, registrar=writes({name: b"x"}), force=True)
    assert last_attempt(lab, key)["error_type"] == "RegistrarError"
    assert lab.output(key) == before
    assert lab.litter(key) == []


# -- again ------------------------------------------------------------------------------------


@pytest.fixture
def registered(lab, workflow):
    """A session with output of registration, of a person, and of a later stage."""
    key = lab.add(ONE, imaging=True, suite2p=True)
    workflow.run(registrar=writes({"a.b.npy": b"old", "gone.later.npy": b"old", RED: b"000"}))
    (lab.folder(key) / "oneData" / RED).write_bytes(b"010")
    (lab.folder(key) / "oneData" / CUTOFF).write_bytes(b"cutoff")
    (lab.folder(key) / "oneData" / "mpci.unknown.npy").write_bytes(b"by hand")
    workflow.run("significant", registrar=writes({"mpci.significant.npz": b"later"}))
    workflow.set_qc(key, "red_cell", "PASS")
    lab.clock.advance(hours=1)
    return key


def test_registering_again_makes_what_rests_on_it_stale(lab, workflow, registered):
    date = lab.row(registered).redCellQCDate
    workflow.run("registration", registered, registrar=good, force=True)
    states = workflow.states(registered)
    assert states["registration"] is State.DONE
    assert (states["red_cell_qc"], states["significant"]) == (State.STALE, State.STALE)
    row = lab.row(registered)
    assert (row.redCellQC, row.redCellQCDate) == (True, date)
    assert row.vrRegistrationDate == LAB_NOON + dt.timedelta(hours=1)


def test_registering_again_keeps_what_others_made(lab, workflow, registered):
    again = writes({"a.b.npy": b"new", RED: b"000", "new.one.npy": b"n"})
    workflow.run("registration", registered, registrar=again, force=True)
    assert lab.output(registered) == {
        "a.b.npy": b"new",
        "new.one.npy": b"n",
        RED: b"010",
        CUTOFF: b"cutoff",
        "mpci.unknown.npy": b"by hand",
        "mpci.significant.npz": b"later",
    }


def test_files_that_were_only_indexed_are_not_replaced_by_a_registrar_that_writes(lab, workflow):
    key = lab.add(ONE)
    found = lab.folder(key) / "oneData" / "trials.startTimes.npy"
    found.parent.mkdir(exist_ok=True)
    np.save(found, np.arange(3.0))
    workflow.run("registration", registrar="alf")
    workflow.run("registration", key, registrar=writes({"a.b.npy": b"new"}), force=True)
    assert found.is_file()
    assert set(lab.tracker.datasets(key)["rel_path"]) == {
        "oneData/a.b.npy",
        "oneData/trials.startTimes.npy",
    }


def test_indexing_again_forgets_files_that_are_gone(lab, workflow):
    key = lab.add(ONE)
    folder = lab.folder(key) / "oneData"
    folder.mkdir(exist_ok=True)
    for name in ("trials.startTimes.npy", "licks.times.npy"):
        np.save(folder / name, np.arange(3.0))
    workflow.run("registration", registrar="alf")
    (folder / "licks.times.npy").unlink()
    workflow.run("registration", key, registrar="alf", force=True)
    assert list(lab.tracker.datasets(key)["rel_path"]) == ["oneData/trials.startTimes.npy"]


def test_the_datasets_are_those_on_disk_after_registering_again(lab, workflow, registered):
    again = writes({"a.b.npy": b"new", RED: b"000", "new.one.npy": b"n"})
    workflow.run("registration", registered, registrar=again, force=True)
    datasets = lab.tracker.datasets(registered)
    recorded = dict(zip(datasets["rel_path"], datasets["md5"], strict=True))
    on_disk = {
        f"oneData/{name}": hashlib.md5(content).hexdigest()
        for name, content in lab.output(registered).items()
        if name not in {CUTOFF, "mpci.unknown.npy"}
    }
    assert recorded == on_disk


def test_curated_files_that_are_not_made_again_stay_on_record(lab, workflow, registered):
    workflow.run("registration", registered, registrar=good, force=True)
    assert lab.output(registered)[RED] == b"010"
    assert f"oneData/{RED}" in set(lab.tracker.datasets(registered)["rel_path"])


def test_unchanged_files_keep_their_rows(lab, workflow):
    key = lab.add(ONE)
    workflow.run(registrar=good)
    before = lab.dump()["datasets"]
    workflow.run("registration", key, registrar=good, force=True)
    assert lab.dump()["datasets"] == before


def test_a_run_that_writes_nothing_changes_no_dataset(lab, workflow, registered):
    output, datasets = lab.output(registered), lab.tracker.datasets(registered)
    report = workflow.run("registration", registered, registrar=lambda _: None, force=True)
    assert (report.succeeded, report.bytes) == (1, 0)
    assert lab.output(registered) == output
    after = lab.tracker.datasets(registered)
    assert list(after["rel_path"]) == list(datasets["rel_path"])


def test_reviewing_a_stale_check_makes_it_current(lab, workflow, registered):
    workflow.run("registration", registered, registrar=good, force=True)
    workflow.set_qc(registered, "red_cell", "PASS")
    assert workflow.states(registered)["red_cell_qc"] is State.DONE


@pytest.mark.parametrize("stage", ["red_cell_qc", "significant"])
def test_what_is_decided_while_its_input_is_made_again_is_stale(lab, workflow, stage):
    key = lab.add(ONE, imaging=True, suite2p=True)
    workflow.run(registrar=good)

    def decide(job):
        if stage == "significant":
            workflow.complete(key, stage)
        else:
            workflow.set_qc(key, stage, "PASS")
        good(job)

    assert workflow.run("registration", key, registrar=decide, force=True).succeeded == 1
    assert workflow.states(key)["registration"] is State.DONE
    assert workflow.states(key)[stage] is State.STALE
    assert lab.events(key)[-1] == ("invalidated", stage, "done", "stale")


def test_output_whose_input_is_made_again_meanwhile_is_stale_from_birth(lab, workflow):
    key = lab.add(ONE, imaging=True, suite2p=True)
    workflow.run(registrar=good)

    def redo(job):
        workflow.complete(key, "suite2p", reason="new parameters")
        good(job)

    assert workflow.run("registration", key, registrar=redo, force=True).succeeded == 1
    assert workflow.states(key)["registration"] is State.STALE
    assert lab.events(key)[-1] == ("succeed", "registration", "running", "stale")


def test_stale_checks_get_an_event_once(lab, workflow, registered):
    workflow.run("registration", registered, registrar=good, force=True)
    first = [event for event in lab.events(registered) if event[0] == "invalidated"]
    assert sorted(first) == [
        ("invalidated", "red_cell_qc", "done", "stale"),
        ("invalidated", "significant", "done", "stale"),
    ]
    workflow.run("registration", registered, registrar=good, force=True)
    again = [event for event in lab.events(registered) if event[0] == "invalidated"]
    assert again == first


# -- claims -----------------------------------------------------------------------------------


def test_a_claim_whose_lease_ended_is_taken_over(lab, workflow):
    key = lab.add(ONE)
    registrar = FunctionRegistrar(good)
    claims = Claims(lab.tracker._lab, {})
    lost = claims.start(key, lab.stages["registration"], registrar)
    with pytest.raises(InvalidTransitionError):
        workflow.run("registration", key, registrar=good)
    lab.clock.advance(minutes=15)

    assert workflow.run(registrar=good).succeeded == 1

    outcomes = workflow.attempts(key).set_index("attempt_id")["outcome"]
    assert outcomes[lost.attempt_id] == "expired"
    before = lab.dump()
    for late in (
        lambda: claims.succeed(lost, Finished(duration_s=1), known=[]),
        lambda: claims.fail(lost, ValueError("late"), Finished(duration_s=1)),
        lambda: claims.cancel(lost, "late", Finished(duration_s=1)),
    ):
        with pytest.raises(LostClaimError):
            late()
    assert lab.dump() == before


@pytest.mark.parametrize(
    "ending", [None, ValueError("odd"), KeyboardInterrupt()], ids=["done", "failed", "interrupted"]
)
def test_a_late_result_does_not_replace_the_new_one(lab, workflow, ending):
    """The first worker sleeps beyond its lease; the second takes over and finishes first."""
    key = lab.add(ONE)
    other = lab.another(actor="second")
    taken_over = []

    def sleepy(job):
        lab.clock.advance(minutes=16)
        taken_over.append(other.workflow.run(registrar=writes({"a.b.npy": b"new"})))
        job.staging.mkdir(exist_ok=True)
        (job.staging / "a.b.npy").write_bytes(b"late")
        if ending is not None:
            raise ending

    if isinstance(ending, KeyboardInterrupt):
        with pytest.raises(KeyboardInterrupt):
            workflow.run(registrar=sleepy)
    else:
        report = workflow.run(registrar=sleepy)
        assert [result.outcome for result in report.results] == ["skipped"]
    assert taken_over[0].succeeded == 1
    assert lab.output(key) == {"a.b.npy": b"new"}
    assert lab.litter(key) == []
    assert sorted(workflow.attempts(key)["outcome"]) == ["expired", "succeeded"]
    assert columns(lab, key)[:3] == (True, LAB_NOON + dt.timedelta(minutes=16), False)


def test_leftovers_of_a_lost_worker_are_removed(lab, workflow):
    key = lab.add(ONE)
    claims = Claims(lab.tracker._lab, {})
    lost = claims.start(key, lab.stages["registration"], FunctionRegistrar(good))
    left = lab.folder(key) / f".vrtracker-staging-{lost.attempt_id}"
    left.mkdir()
    (left / "a.b.npy").write_bytes(b"half")
    lab.clock.advance(minutes=15)
    report = workflow.run(registrar=good)
    assert lab.litter(key) == []
    assert any("interrupted" in note for note in report.notes)


def test_output_in_the_hands_of_a_lost_worker_is_put_back_first(lab, workflow):
    """A worker died between the two renames of its swap: the output exists under another name."""
    key = lab.add(ONE)
    workflow.run(registrar=writes({"a.b.npy": b"old"}))
    (lab.folder(key) / "oneData" / CUTOFF).write_bytes(b"cutoff")
    claims = Claims(lab.tracker._lab, {})
    stage = lab.stages["registration"]
    lost = claims.start(key, stage, FunctionRegistrar(good), rerun=True)
    folder = lab.folder(key)
    (folder / f".vrtracker-staging-{lost.attempt_id}").mkdir()
    (folder / "oneData").rename(folder / f".vrtracker-old-{lost.attempt_id}")
    lab.clock.advance(minutes=15)

    report = workflow.run("registration", key, registrar=good, force=True)

    assert report.succeeded == 1
    assert lab.output(key) == {"trials.startTimes.npy": ONE.encode(), CUTOFF: b"cutoff"}
    assert lab.litter(key) == []


def test_a_second_run_passes_over_what_the_first_has_claimed(lab, workflow):
    lab.add(ONE)
    lab.add(TWO)
    other = lab.another(actor="second")
    nested = []

    def look(job):
        if not nested:
            nested.append(other.workflow.run(registrar=good))
        good(job)

    report = workflow.run(registrar=look)
    assert [(str(r.key), r.outcome) for r in nested[0].results] == [(TWO, "succeeded")]
    assert [(str(r.key), r.outcome) for r in report.results] == [(ONE, "succeeded")]


def test_a_session_deleted_meanwhile_is_passed_over(lab, workflow):
    for key in (ONE, TWO, THREE):
        lab.add(key)

    def delete_two(job):
        if str(job.key) == ONE:
            lab.tracker.sessions.delete(TWO)

    report = workflow.run(registrar=delete_two)
    outcomes = [(str(r.key), r.outcome) for r in report.results]
    assert outcomes == [(ONE, "succeeded"), (THREE, "succeeded")]


def test_two_threads_share_a_queue_without_overlap(lab):
    numbers = range(1, 13)
    for number in numbers:
        lab.add(f"M1.2023-01-20.{number}")
    worked: list[int] = []
    start = threading.Barrier(2)
    reports, errors = [], []

    def count(job):
        worked.append(job.key.number)
        good(job)

    def work(tracker):
        start.wait()
        try:
            reports.append(tracker.workflow.run(registrar=count))
        except Exception as error:  # noqa: BLE001
            errors.append(error)

    threads = [
        threading.Thread(target=work, args=(lab.another(actor=name),)) for name in ("a", "b")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert sorted(worked) == list(numbers)
    assert sum(report.succeeded for report in reports) == len(numbers)
    assert sum(report.failed for report in reports) == 0
    assert (lab.tracker.workflow.table()["state:registration"] == "done").all()
    assert len(lab.dump()["attempts"]) == len(numbers)


def test_one_tracker_serves_two_threads(lab):
    numbers = range(1, 9)
    for number in numbers:
        lab.add(f"M1.2023-01-20.{number}")
    tracker = lab.another()
    start = threading.Barrier(2)
    reports = []

    def work():
        start.wait()
        reports.append(tracker.workflow.run(registrar=good))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(report.succeeded for report in reports) == len(numbers)


def test_others_can_write_while_a_registrar_runs(lab, workflow):
    key = lab.add(ONE)
    other = lab.another(actor="editor")

    def edit(job):
        other.sessions.update({"sessionNotes": "edited meanwhile"}, job.key)
        good(job)

    assert workflow.run(registrar=edit).succeeded == 1
    assert lab.row(key).sessionNotes == "edited meanwhile"


def test_a_hand_edit_of_the_outcome_is_not_overwritten(lab, workflow):
    key = lab.add(ONE)

    def edit(job):
        lab.edit(key, vrRegistrationException="looked at by hand")
        good(job)

    report = workflow.run(registrar=edit)
    assert report.succeeded == 0
    assert lab.row(key).vrRegistrationException == "looked at by hand"
    assert list(lab.folder(key).iterdir()) == []


# -- when the database fails ------------------------------------------------------------------


@pytest.mark.parametrize("at", ["event", "commit"])
def test_output_is_put_back_when_success_cannot_be_recorded(lab, workflow, monkeypatch, at):
    key = lab.add(ONE)
    workflow.run(registrar=writes({"a.b.npy": b"old"}))
    before, datasets = lab.output(key), lab.dump()["datasets"]
    # It is tried with a claim of the next session, and by itself.
    refuse = {"times": 0}

    def failing(original):
        def call(self, *args, **options):
            if refuse["times"]:
                refuse["times"] -= 1
                raise BackendError("the disk is full")
            return original(self, *args, **options)

        return call

    if at == "event":
        monkeypatch.setattr(EventRepository, "append", failing(EventRepository.append))
    else:
        monkeypatch.setattr(UnitOfWork, "commit", failing(UnitOfWork.commit))

    def new(job):
        writes({"a.b.npy": b"new"})(job)
        refuse["times"] = 2

    report = workflow.run("registration", key, registrar=new, force=True)

    assert [r.outcome for r in report.results] == ["failed"]
    assert "the disk is full" in report.results[0].error
    assert lab.output(key) == before
    assert lab.dump()["datasets"] == datasets
    assert lab.litter(key) == []
    assert columns(lab, key) == (True, LAB_NOON, True, "the disk is full")


# -- limits -----------------------------------------------------------------------------------


def of_size(size: int, *, known: bool):
    def write(job):
        (job.staging / "a.b.bin").write_bytes(bytes(size))

    if known:
        write.estimate = lambda _: size
    return write


@pytest.fixture
def three(lab):
    for key in (ONE, TWO, THREE):
        lab.add(key)
    return lab


def test_a_known_size_stops_the_run_before_the_budget(three, workflow):
    report = workflow.run(registrar=of_size(400, known=True), budget_bytes=1000)
    assert (report.succeeded, report.left, report.bytes) == (2, 1, 800)
    assert "budget" in report.stopped
    assert len(workflow.attempts(THREE)) == 0
    assert list(three.folder(THREE).iterdir()) == []


def test_a_first_session_over_the_budget_is_not_started(three, workflow):
    before = three.dump()
    report = workflow.run(registrar=of_size(400, known=True), budget_bytes=399)
    assert (report.results, report.left) == ((), 3)
    assert three.dump() == before


def test_the_budget_may_be_met_exactly(three, workflow):
    report = workflow.run(registrar=of_size(400, known=True), budget_bytes=1200)
    assert (report.succeeded, report.stopped) == (3, None)


def test_an_output_that_turns_out_too_large_is_discarded(three, workflow):
    report = workflow.run(registrar=of_size(1001, known=False), budget_bytes=1000)
    assert [r.outcome for r in report.results] == ["cancelled"]
    assert (report.left, report.bytes) == (2, 0)
    assert "budget" in report.stopped
    assert last_attempt(three, ONE)["outcome"] == "cancelled"
    assert columns(three, ONE) == (False, None, False, None)
    assert workflow.states(ONE)["registration"] is State.READY
    assert list(three.folder(ONE).iterdir()) == []
    assert len(workflow.attempts(TWO)) == 0


def test_an_unknown_size_is_judged_by_those_before(three, workflow):
    report = workflow.run(registrar=of_size(400, known=False), budget_bytes=1000)
    assert [r.outcome for r in report.results] == ["succeeded", "succeeded"]
    assert len(workflow.attempts(THREE)) == 0


def test_what_the_registrar_states_counts_against_the_budget(three, workflow):
    stated = writes({}, RegistrarResult(bytes=600))
    report = workflow.run(registrar=stated, budget_bytes=1000)
    assert (report.succeeded, report.bytes) == (1, 600)


def test_an_estimate_may_look_at_the_row(three, workflow):
    registrar = of_size(10, known=False)
    registrar.estimate = lambda job: 10 if job.record.mouseName == "M1" else 10**9
    assert workflow.run(registrar=registrar, budget_bytes=1000).succeeded == 3


def test_an_estimate_that_fails_counts_as_unknown(three, workflow):
    registrar = of_size(10, known=False)
    registrar.estimate = lambda _: 1 / 0
    assert workflow.run(registrar=registrar, budget_bytes=1000).succeeded == 3


def test_a_budget_without_room_starts_nothing(three, workflow):
    before = three.dump()
    assert workflow.run(registrar=good, budget_bytes=0).left == 3
    assert three.dump() == before


def test_a_run_stops_after_so_many_sessions(three, workflow):
    report = workflow.run(registrar=good, max_sessions=2)
    assert (report.succeeded, report.left) == (2, 1)
    assert "limit of 2 sessions" in report.stopped
    assert len(workflow.attempts(THREE)) == 0


def test_a_run_stops_after_so_many_errors(three, workflow):
    report = workflow.run(registrar=bad, max_errors=1)
    assert (report.failed, report.left) == (1, 2)
    assert "limit of 1 errors" in report.stopped
    assert len(workflow.attempts(TWO)) == 0


def test_a_limit_that_is_not_reached_stops_nothing(three, workflow):
    report = workflow.run(registrar=good, max_sessions=3, max_errors=1, budget_bytes=10**6)
    assert (report.succeeded, report.left, report.stopped) == (3, 0, None)


# -- the root ---------------------------------------------------------------------------------


@pytest.mark.own_rule
@pytest.mark.parametrize("root", ["missing", "empty", "a file", None])
def test_a_root_that_is_not_there_changes_nothing(lab, tmp_path, root):
    lab.add(ONE)
    before = lab.dump()
    path = None if root is None else tmp_path / root
    if root == "empty":
        path.mkdir()
    elif root == "a file":
        path.touch()
    with pytest.raises(RootUnavailableError):
        lab.another(root=path).workflow.run(registrar=good)
    assert lab.dump() == before
    assert root != "missing" or not path.exists()


# -- statements -------------------------------------------------------------------------------


class Counted:
    """Says how many statements each call took."""

    def __init__(self, counter) -> None:
        self.counter = counter
        self.most = MOST_STATEMENTS

    def __call__(self, call, *args, **options):
        with self.counter() as seen:
            result = call(*args, **options)
        assert seen.count <= self.most, seen.statements
        assert seen.count > 0
        return result


@pytest.fixture
def counted(statement_counter):
    return Counted(statement_counter)


def files(names) -> list[DatasetFile]:
    return [DatasetFile(f"oneData/{name}.x.npy", 3, "0" * 32) for name in names]


def test_transitions_of_a_claim_take_few_statements(lab, workflow, counted):
    key = lab.add(ONE, imaging=True, suite2p=True)
    claims = Claims(lab.tracker._lab, {})
    stage, registrar = lab.stages["registration"], FunctionRegistrar(good)
    many = range(200)

    claim = counted(claims.start, key, stage, registrar)
    counted(claims.succeed, claim, Finished(duration_s=1, datasets=files(many)), known=[])
    assert len(lab.tracker.datasets(key)) == 200
    workflow.complete(key, "significant")
    workflow.set_qc(key, "red_cell", "PASS")

    # With stages that become stale, datasets that go, stay and come.
    claim = counted(claims.start, key, stage, registrar, rerun=True)
    changed = Finished(duration_s=1, datasets=files(range(100, 300)), complete=True)
    counted(claims.succeed, claim, changed, known=claims.datasets(claim))
    assert len(lab.tracker.datasets(key)) == 200
    assert workflow.states(key)["red_cell_qc"] is State.STALE

    claim = counted(claims.start, key, stage, registrar, rerun=True)
    counted(claims.fail, claim, ValueError("odd"), Finished(duration_s=1))
    claim = counted(claims.start, key, stage, registrar, rerun=True)
    counted(claims.cancel, claim, "no time", Finished(duration_s=1))
    claims.start(key, stage, registrar, rerun=True)
    lab.clock.advance(hours=1)
    counted(claims.start, key, stage, registrar, rerun=True)


def test_transitions_of_a_stage_of_the_tracker_take_few_statements(lab, counted):
    key = lab.add(ONE, vrRegistration=True)
    claims = Claims(lab.tracker._lab, {})
    stage, registrar = lab.stages["significant"], FunctionRegistrar(good)
    claim = counted(claims.start, key, stage, registrar)
    counted(claims.fail, claim, ValueError("odd"), Finished(duration_s=1))
    claim = counted(claims.start, key, stage, registrar)
    counted(claims.succeed, claim, Finished(duration_s=1, datasets=files(range(50))), known=[])


def test_decisions_take_few_statements(lab, workflow, counted):
    key = lab.add(ONE, imaging=True)
    # Two of them read the rows of stages that the event keeps, so that it can be undone.
    # And PostgreSQL wakes who waits for work.
    counted.most = MOST_STATEMENTS + 3
    counted(workflow.complete, key, "suite2p")
    counted(workflow.set_qc, key, "suite2p", "FAIL")
    counted(workflow.set_qc, key, "suite2p", "PASS")
    workflow.complete(key, "registration")
    workflow.complete(key, "significant")
    counted(workflow.set_qc, key, "red_cell", "WARNING")
    counted(workflow.complete, key, "suite2p")
    counted(workflow.reset, key, "suite2p")
    counted(workflow.scratch, key, "light leak")
    counted(workflow.unscratch, key)
    counted(workflow.set_qc, key, "session", "FAIL", reason="light leak")
    counted(workflow.set_qc, key, "session", "PASS")


def test_reads_take_few_statements(lab, workflow, statement_counter):
    for number in range(30):
        lab.add(f"M1.2023-01-20.{number}", folder=False)
    for call in (
        lambda: workflow.needs("registration"),
        workflow.status,
        workflow.table,
        lambda: workflow.states("M1.2023-01-20.1"),
        lambda: workflow.why_not("M1.2023-01-20.1", "registration"),
    ):
        with statement_counter() as seen:
            call()
        assert 1 <= seen.count <= 3, seen.statements
