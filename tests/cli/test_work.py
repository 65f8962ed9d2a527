"""Queues, runs and decisions from the shell."""

from __future__ import annotations

import json
import re
import sqlite3
import sys

import pytest

from support.command_line import refused, run, told
from vrtracker.domain.keys import SessionKey

FIRST = "DEMO001.2023-01-18.701"
SECOND = "DEMO001.2023-01-19.701"
BROKEN = "DEMO002.2023-02-08.701"
WITHOUT_SUITE2P = "DEMO003.2023-03-15.701"
WITHOUT_IMAGING = "DEMO003.2023-03-16.1"


def test_needs_lists_what_is_ready_or_failed(sample):
    rows = sample.told("needs", "registration")

    assert [(row["key"], row["state"]) for row in rows] == [(BROKEN, "failed")]


def test_needs_is_about_registration_when_no_stage_is_named(sample):
    assert sample.told("needs") == sample.told("needs", "registration")


def test_needs_takes_blocked_sessions_in_on_request(sample):
    rows = sample.told("needs", "registration", "--include-blocked", "--columns", "key,state")

    assert {"key": WITHOUT_SUITE2P, "state": "blocked"} in rows


def test_needs_takes_filters_and_limits(sample):
    rows = sample.told("needs", "red_cell_qc", "--mouse", "DEMO002", "--limit", "2")

    assert [row["mouseName"] for row in rows] == ["DEMO002", "DEMO002"]
    assert sample.good("needs", "red_cell_qc", "--mouse", "DEMO002").count("DEMO002") == 3


def test_needs_shows_the_columns_that_lists_do(sample):
    columns = "mouse.sex,key,state,mouse__KO,qc.session"
    (row,) = sample.told("needs", "registration", "--columns", columns)

    assert list(row.items()) == [
        ("mouse.sex", "M"),
        ("key", BROKEN),
        ("state", "failed"),
        ("mouse__KO", True),
        ("qc.session", "NOT_APPLICABLE"),
    ]


@pytest.mark.parametrize("words", [["nope"], ["registration", "--columns", "key,nope"]])
def test_needs_refuses_unknown_names(sample, words: list[str]):
    assert "nope" in refused(*sample.options, "needs", *words, code=2)


def test_why_not_gives_the_unmet_conditions(sample):
    told_why = sample.told("why-not", WITHOUT_SUITE2P)

    assert (told_why["stage"], told_why["state"]) == ("registration", "blocked")
    assert [(r["code"], r["stage"]) for r in told_why["reasons"]] == [("unmet", "suite2p")]
    assert "suite2p is not done" in sample.good("why-not", WITHOUT_SUITE2P)


def test_why_not_of_a_session_in_the_queue_says_so(sample):
    assert sample.told("why-not", BROKEN)["reasons"] == []
    assert "in the queue" in sample.good("why-not", BROKEN)


def test_register_reports_failures_and_what_to_do(demo):
    result = run(*demo.options, "register")

    assert result.exit_code == 3
    assert "0 succeeded, 1 failed" in result.stdout
    assert BROKEN in result.stdout
    assert "truncated" in result.stdout
    assert "errors --stage registration --traceback" in result.stdout


@pytest.fixture
def policy(tmp_path, monkeypatch) -> None:
    config = tmp_path / "config.toml"
    config.write_text("[profiles.lab.policies.registration]\npermanent = ['InvalidValueError']\n")
    monkeypatch.setenv("VRTRACKER_CONFIG", str(config))
    monkeypatch.setenv("VRTRACKER_PROFILE", "lab")


@pytest.mark.usefixtures("policy")
def test_session_that_is_set_aside_is_shown_and_given_free_again(demo):
    result = run(*demo.options, "register")
    assert "set aside" in result.stdout
    assert "register KEY" in result.stdout

    (held,) = demo.told("errors", "--held-back")
    assert (held["key"], held["stage"], held["failures"]) == (BROKEN, "registration", 2)
    assert held["set_aside"].startswith("InvalidValueError is permanent. The error: licks.times")
    assert "errors --held-back" in demo.good("status")
    assert demo.told("status")["held_back"] == 1
    (reason,) = demo.told("why-not", BROKEN)["reasons"]
    assert f"vrtracker reset {BROKEN} registration" in reason["message"]
    queue = demo.told("register", "--dry-run")
    assert (queue["queue"], [row["key"] for row in queue["held_back"]]) == ([], [BROKEN])
    assert demo.told("register")["results"] == []

    demo.good("reset", BROKEN, "registration", "--reason", "mended")
    assert demo.told("errors", "--held-back") == []
    assert [row["key"] for row in demo.told("register", "--dry-run")["queue"]] == [BROKEN]


def test_register_ends_after_failures_in_a_row_and_work_that_takes_too_long(demo):
    words = ("register", "--mouse", "DEMO001", "--force", "--stop-after-failures", "2")
    result = run(*demo.options, *words, "--timeout", "0.0001", "--json")

    document = json.loads(result.stdout)
    assert (document["failed"], document["succeeded"]) == (2, 0)
    assert document["stopped"].startswith("2 sessions in a row failed")
    assert all("SessionTimeoutError" in one["error"] for one in document["results"])
    following = {one["following"] for one in document["results"]}
    assert following == {"not tried again by itself: the earlier output stands"}


def test_register_answers_in_json(demo):
    result = run(*demo.options, "register", "--json")

    document = json.loads(result.stdout)
    assert result.exit_code == 3
    assert (document["succeeded"], document["failed"], document["left"]) == (0, 1, 0)
    assert document["results"][0]["key"] == BROKEN
    assert "truncated" in document["results"][0]["error"]


def test_register_with_nothing_to_do_says_so(sample):
    assert sample.good("register", "--no-retry") == "registration: nothing to do\n"


def test_register_does_named_sessions_alone(demo):
    document = demo.told("register", FIRST, SECOND, "--force")

    assert [(r["key"], r["outcome"]) for r in document["results"]] == [
        (FIRST, "succeeded"),
        (SECOND, "succeeded"),
    ]
    assert document["bytes"] == sum(result["bytes"] for result in document["results"]) > 0


def test_register_refuses_all_when_one_named_session_may_not_run(sample):
    error = refused(*sample.options, "register", BROKEN, FIRST, WITHOUT_SUITE2P, code=5)

    assert FIRST in error
    assert "Allowed now" in error
    assert len(sample.told("attempts", BROKEN)) == 1


def test_register_of_a_session_that_waits_says_for_what(sample):
    error = refused(*sample.options, "register", WITHOUT_SUITE2P, code=5)

    assert "suite2p is not done" in error


@pytest.mark.parametrize(
    "words",
    [
        ["--force"],
        [FIRST, "--mouse", "DEMO001"],
        ["--budget", "lots"],
        ["--stage", "nope"],
        ["--stage", "red_cell_qc"],
        ["--registrar", "nope"],
        ["--registrar", "nope.module:function"],
        ["--registrar", "command: cp {nope}"],
        ["--registrar", "command: no-such-program {key}"],
        ["--option", "hashes"],
        ["--option", "colour=red"],
        ["NOBODY.2023-01-01.1"],
        ["nothing"],
    ],
    ids=" ".join,
)
def test_register_refuses_what_makes_no_sense(sample, words: list[str]):
    before = sample.told("status")

    refused(*sample.options, "register", *words, code=2)

    assert sample.told("status") == before


@pytest.mark.parametrize(
    ("words", "queue"),
    [
        ([], [(BROKEN, "failed")]),
        (["--no-retry"], []),
        (
            ["--mouse", "DEMO002", "--until", "2023-02-06", "--force"],
            [("DEMO002.2023-02-06.701", "done")],
        ),
        ([FIRST, "--force"], [(FIRST, "done")]),
        (["--stage", "suite2p"], [(WITHOUT_SUITE2P, "ready")]),
    ],
    ids=["plain", "no retry", "filters", "key", "other stage"],
)
def test_dry_run_shows_the_queue_and_does_nothing(sample, words: list[str], queue: list):
    before = sample.told("status")

    document = sample.told("register", *words, "--dry-run")

    assert [(row["key"], row["state"]) for row in document["queue"]] == queue
    assert sample.told("status") == before


@pytest.mark.parametrize("words", [[], ["--dry-run"], ["--dry-run", "--stage", "suite2p"]])
def test_registrar_that_cannot_work_is_one_error_and_no_attempt(sample, words: list[str]):
    before = sample.told("status"), sample.told("attempts", BROKEN)
    command = "command: no-such-program {session_path}"

    error = refused(*sample.options, "register", *words, "--registrar", command, code=2)

    assert "There is no program 'no-such-program'" in error
    assert (sample.told("status"), sample.told("attempts", BROKEN)) == before


def test_stage_that_nothing_does_names_the_command_to_record_it(sample):
    error = refused(*sample.options, "register", "--stage", "suite2p", code=2)

    assert "give --registrar" in error
    lab = f"vrtracker --url {sample.url} --root {sample.root}"
    assert f"{lab} complete KEY suite2p" in error


def test_limits_stop_a_run(demo):
    document = demo.told("register", "--mouse", "DEMO001", "--force", "--max-sessions", "2")

    assert (document["succeeded"], document["left"]) == (2, 2)
    assert "limit of 2 sessions" in document["stopped"]


def test_budget_stops_a_run_before_it_is_exceeded(demo):
    document = demo.told("register", "--mouse", "DEMO001", "--force", "--budget", "100kB")

    assert document["succeeded"] == 1
    assert document["bytes"] <= 100_000
    assert "budget" in document["stopped"]
    said = run(*demo.options, "register", "--mouse", "DEMO001", "--force", "--budget", "1kB")
    assert "stopped: the budget" in said.stdout


def test_command_registers_a_session(demo):
    program = "import pathlib, sys; pathlib.Path(sys.argv[1], 'new.times.npy').write_bytes(b'x')"
    command = f"command: {sys.executable} -c {program!r} {{staging}}"

    document = demo.told(
        "register", FIRST, "--force", "--registrar", command, "--option", "timeout_s=60"
    )

    attempt = demo.told("attempts", FIRST)[-1]
    assert document["succeeded"] == 1
    assert (attempt["registrar"], attempt["options"]["timeout_s"]) == ("command", 60)
    assert attempt["output_bytes"] == 1
    paths = [row["path"] for row in demo.told("datasets", "list", FIRST)]
    assert "oneData/new.times.npy" in paths


def test_stale_work_is_made_again_on_request(demo):
    demo.good("qc", "set", FIRST, "red_cell", "PASS")
    demo.good("register", FIRST, "--force")

    assert demo.told("sessions", "show", FIRST)["states"]["red_cell_qc"] == "stale"
    assert "--include-stale" in demo.good("status")
    stale = demo.told("needs", "red_cell_qc", "--include-stale", "--where", "sessionID=701")
    assert {"key": FIRST, "state": "stale"} in [
        {name: row[name] for name in ("key", "state")} for row in stale
    ]


def test_qc_is_set_and_shown(demo):
    state = demo.told("qc", "set", FIRST, "red_cell", "warning", "--reason", "few cells")

    decision = demo.told("qc", "show", FIRST)[0]
    assert state == {"key": FIRST, "stage": "red_cell", "state": "done"}
    assert (decision["check_name"], decision["level"]) == ("red_cell_qc", "WARNING")
    assert decision["reason"] == "few cells"
    assert "WARNING" in demo.good("qc", "show", FIRST)


def test_qc_show_without_decisions_is_empty(sample):
    assert sample.told("qc", "show", FIRST) == []
    assert sample.good("qc", "show", FIRST) == ""


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ((FIRST, "red_cell", "GOOD"), 2),
        ((FIRST, "colour", "PASS"), 2),
        ((FIRST, "session", "FAIL"), 2),
        ((WITHOUT_IMAGING, "red_cell", "PASS"), 5),
    ],
)
def test_qc_that_cannot_be_is_refused(sample, words: tuple[str, ...], code: int):
    refused(*sample.options, "qc", "set", *words, code=code)

    assert sample.told("qc", "show", words[0]) == []


def test_stage_done_elsewhere_is_completed_and_reset(demo):
    when = "2023-03-20 10:00:00"
    done = demo.told("complete", WITHOUT_SUITE2P, "suite2p", "--date", when)
    session = demo.told("sessions", "show", WITHOUT_SUITE2P)
    back = demo.told("reset", WITHOUT_SUITE2P, "suite2p", "--reason", "wrong settings")

    assert done["state"] == "done"
    assert session["suite2pDate"] == "2023-03-20T10:00:00"
    assert session["states"]["registration"] == "ready"
    assert back["state"] == "ready"


def test_complete_of_a_blocked_stage_is_refused(sample):
    refused(*sample.options, "complete", WITHOUT_SUITE2P, "registration", code=5)


def test_scratch_and_unscratch(demo):
    gone = demo.told("scratch", FIRST, "--reason", "laser off")
    why = demo.good("why-not", FIRST)
    again = refused(*demo.options, "scratch", FIRST, "--reason", "laser off", code=5)
    back = demo.told("unscratch", FIRST, "--reason", "it was on")

    assert gone["state"] == "scratched"
    assert "laser off" in why
    assert "unscratch" in again
    assert back["state"] == "unscratched"
    assert demo.told("sessions", "show", FIRST)["sessionQC"] is True


def test_scratch_without_a_reason_is_refused(sample):
    refused(*sample.options, "scratch", FIRST, code=2)
    refused(*sample.options, "scratch", FIRST, "--reason", " ", code=2)


def test_duplicate_of_a_scratched_session_is_refused(demo):
    demo.good("scratch", FIRST, "--reason", "laser off")

    assert "scratched: laser off" in refused(*demo.options, "sessions", "add", FIRST, code=5)


def test_history_tells_what_happened_in_order(sample):
    verbs = [event["verb"] for event in sample.told("history", FIRST)]

    assert verbs == ["added", "start", "succeed"]
    assert "vrRegistration: no → yes" in sample.good("history", FIRST)


def test_history_of_a_mouse_and_of_all(sample):
    assert sample.told("history", "DEMO001")[0]["subject_key"] == "DEMO001"
    assert len(sample.told("history", "--limit", "5")) == 5
    assert "subject_key" in sample.good("history").splitlines()[0]
    refused(*sample.options, "history", "NOBODY", code=2)
    said = refused(*sample.options, "history", "DEMO001.2023-01-18.799", code=2)
    assert "There is no session" in said


def test_errors_are_listed_with_their_tracebacks(sample):
    row = sample.told("errors")[0]

    assert (row["key"], row["stage"], row["error_type"]) == (
        BROKEN,
        "registration",
        "InvalidValueError",
    )
    assert row["error_traceback"].startswith("Traceback")
    assert "Traceback" not in sample.good("errors")
    assert "| Traceback" in sample.good("errors", "--traceback")


def test_errors_that_are_alike_stand_in_one_line(sample):
    (row,) = sample.told("errors", "--group")

    assert (row["stage"], row["count"], row["sessions"]) == ("registration", 1, [BROKEN])
    assert row["group"] in sample.good("errors", "--group")
    assert "| Traceback" in sample.good("errors", "--group", "--traceback")


def test_register_runs_the_sessions_that_failed_alike(demo):
    (row,) = demo.told("errors", "--group")

    shown = demo.told("register", "--error", row["group"], "--dry-run")
    result = run(*demo.options, "register", "--error", row["group"], "--registrar", "command: true")

    assert [one["key"] for one in shown["queue"]] == [BROKEN]
    assert "registration: " in result.stdout
    assert demo.told("attempts", BROKEN)[-1]["registrar"].startswith("command")


def test_options_that_json_has_no_word_for_are_listed(demo):
    words = ("register", FIRST, "--force", "--registrar", "support.registrars:good")
    demo.good(*words, "--option", "low=NaN", "--option", "high=Infinity")

    attempts = demo.told("attempts", FIRST)

    assert {"low": "NaN", "high": "Infinity"} in [attempt["options"] for attempt in attempts]


def test_register_runs_a_group_whose_sessions_were_done_before(demo):
    again = ("register", FIRST, "--force", "--registrar")
    failed = run(*demo.options, *again, "command: false")
    assert failed.exit_code == 3
    # Without it the advice would do nothing: the earlier output stands.
    assert re.search(r"then: .* register KEY --force$", failed.stdout, re.MULTILINE)
    groups = {row["sessions"][0]: row["group"] for row in demo.told("errors", "--group")}

    shown = demo.told("register", "--error", groups[FIRST], "--dry-run")
    demo.good("register", "--error", groups[FIRST], "--registrar", "support.registrars:good")

    assert [one["key"] for one in shown["queue"]] == [FIRST]
    assert FIRST not in {row["key"] for row in demo.told("errors")}


def test_dataset_beside_the_output_folder_is_judged(demo):
    wrong = ("qc", "set", FIRST, "trials.goCue.npy", "FAIL")
    error = refused(*demo.options, *wrong, code=2)
    assert "no dataset 'trials.goCue.npy'" in error


def test_evidence_for_a_decision_on_a_dataset_is_refused(sample):
    words = ("qc", "set", FIRST, "oneData/trials.startTimes.npy", "FAIL", "--evidence", "a.png")
    assert "leave --evidence out" in refused(*sample.options, *words, code=2)


def test_the_check_of_the_session_itself_always_applies(sample):
    words = ("qc", "set", FIRST, "session", "NOT_APPLICABLE")
    assert "Every session has the check" in refused(*sample.options, *words, code=2)


def test_register_refuses_a_group_that_does_not_fail(sample):
    assert "nope" in refused(*sample.options, "register", "--error", "nope", code=2)


def test_errors_of_one_stage(sample):
    assert sample.told("errors", "--stage", "suite2p") == []
    assert "nope" in refused(*sample.options, "errors", "--stage", "nope", code=2)


def test_errors_of_some_sessions_and_so_many_at_most(sample):
    mouse = BROKEN.partition(".")[0]

    assert [row["key"] for row in sample.told("errors", "--mouse", mouse)] == [BROKEN]
    for words in (["--where", f"mouseName!={mouse}"], ["--limit", "0"]):
        assert sample.told("errors", *words) == []
        assert sample.told("errors", "--group", *words) == []


def test_datasets_have_whole_numbers_of_bytes(sample):
    rows = sample.told("datasets", "list", FIRST)

    assert {type(row["size"]) for row in rows} == {int}
    assert len({row["md5"] for row in rows}) > 1
    assert rows[0]["path"] in sample.good("datasets", "list", FIRST)


def test_attempts_are_listed(sample):
    attempt = sample.told("attempts", BROKEN)[0]

    assert (attempt["outcome"], attempt["registrar"]) == ("failed", "alf")
    assert attempt["versions"]["vrtracker"]
    assert "failed" in sample.good("attempts", BROKEN)


def test_status_counts_every_session_once_in_each_stage(sample):
    status = sample.told("status")

    assert set(status) == {"url", "root", "role", "mice", "sessions", "held_back", "stages"}
    assert (status["mice"], status["sessions"]) == (3, 12)
    assert {sum(states.values()) for states in status["stages"].values()} == {12}


def test_status_of_some_sessions(sample):
    status = sample.told("status", "--mouse", "DEMO002")

    assert (status["mice"], status["sessions"]) == (1, 4)
    assert status["stages"]["registration"]["failed"] == 1


def test_status_names_the_commands_to_go_on_with(sample):
    shown = sample.good("status")
    lab = f"vrtracker --url {sample.url} --root {sample.root}"

    assert f"{lab} errors --stage registration" in shown
    assert f"{lab} needs suite2p\n" in shown
    assert f"{lab} qc set KEY red_cell_qc PASS" in shown


def test_status_of_an_empty_database_says_how_to_fill_it(empty):
    assert told("--url", empty, "status")["sessions"] == 0
    shown = run("--url", empty, "status").stdout
    assert "scan --add-mice" in shown
    assert "import table mice FILE" in shown


def test_levels_of_all_checks_are_listed(sample):
    rows = sample.told("qc", "list", "--mouse", "DEMO001")

    assert len(rows) == 4
    assert {"qc:session", "qc:red_cell_qc", "qc:dataset", "qc"} <= set(rows[0])
    assert FIRST in sample.good("qc", "list")


def test_rule_of_scratching_is_checked_and_mended(demo):
    assert "0 sessions to mend" in demo.good("qc", "check")
    with sqlite3.connect(demo.url) as connection:
        connection.execute("UPDATE sessiondb SET sessionQC = 0 WHERE uSessionID = 1")

    result = run(*demo.options, "qc", "check")
    assert (result.exit_code, FIRST in result.stdout) == (1, True)
    assert demo.told("qc", "check", "--apply")["applied"] == 1
    assert demo.told("qc", "check") == {"changes": {}, "applied": 0}


def test_review_and_dataset_are_judged_by_name(demo):
    path = demo.told("datasets", "list", FIRST)[0]["path"]
    set_aside = demo.told("qc", "set", FIRST, "red_cell", "NOT_APPLICABLE")
    judged = demo.told("qc", "set", FIRST, path, "WARNING", "--reason", "short")

    assert set_aside["state"] == "not_applicable"
    assert judged == {"key": FIRST, "dataset": path, "level": "WARNING"}
    (row,) = demo.told("qc", "list", "--where", "uSessionID=1")
    assert (row["qc:red_cell_qc"], row["qc:dataset"]) == ("NOT_APPLICABLE", "WARNING")
    assert demo.told("qc", "set", FIRST, "red_cell", "applicable")["state"] != "not_applicable"


def test_command_that_runs_several_sessions_is_one_operation(demo):
    with demo.open() as tracker:
        done = tracker.sessions.frame(vrRegistration=True)
        keys = [str(SessionKey.parse(row)) for row in done.to_dict("records")][:2]
        before = set(tracker.events(1000)["operation_id"])

    demo.good("register", *keys, "--force")

    with demo.open() as tracker:
        events = tracker.events(1000)
    written = events[~events["operation_id"].isin(before)]
    assert set(written["subject_key"]) == set(keys)
    assert written["operation_id"].nunique() == 1
