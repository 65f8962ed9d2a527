"""Claims of processes that are gone, in the shell."""

from __future__ import annotations

import contextlib
import platform
import sqlite3
import subprocess
import sys
from pathlib import Path

from support.command_line import run
from vrtracker import processes

FIRST, SECOND = "DEMO001.2023-01-18.701", "DEMO001.2023-01-19.701"
TOKEN = "d" * 32


def of_the_dead(demo) -> Path:
    """Let the registration of a session be claimed by a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        since = processes.started_at(process.pid)
        process.communicate(b"\n")
    assert since is not None
    connection = sqlite3.connect(demo.url)
    connection.execute(
        "UPDATE vrt_attempt SET outcome = 'running', finished_at = NULL, attempt_id = ?, "
        "lease_until = '2999-01-01 00:00:00', host_name = ?, process_id = ?, "
        "process_started_at = ? WHERE attempt_id = (SELECT attempt_id FROM vrt_stage_state s "
        "JOIN sessiondb d ON d.uSessionID = s.uSessionID WHERE s.stage = 'registration' "
        "AND d.mouseName = 'DEMO001' AND d.sessionDate LIKE '2023-01-18%')",
        (TOKEN, platform.node(), process.pid, since.replace(tzinfo=None).isoformat(" ")),
    )
    connection.execute(
        "UPDATE vrt_stage_state SET attempt_id = ? WHERE stage = 'registration' AND uSessionID = "
        "(SELECT uSessionID FROM vrt_attempt WHERE attempt_id = ?)",
        (TOKEN, TOKEN),
    )
    connection.commit()
    connection.close()
    folder = Path(demo.root, *FIRST.split("."), f".vrtracker-staging-{TOKEN}")
    folder.mkdir()
    return folder


def test_named_session_of_a_dead_process_is_registered_at_once(demo):
    folder = of_the_dead(demo)
    [claim] = demo.told("claims")
    assert (claim["key"], claim["alive"]) == (FIRST, False)

    result = run(*demo.options, "register", FIRST, "--force", "--json")

    assert result.exit_code == 0, result.output
    assert demo.told("claims") == []
    assert not folder.exists()


def test_a_dry_run_shows_what_a_dead_process_holds(demo):
    of_the_dead(demo)
    demo.good("sessions", "edit", FIRST, "--set", "vrRegistration=false")

    for words in ((FIRST,), ("--mouse", "DEMO001")):
        [row] = demo.told("register", *words, "--dry-run")["queue"]
        assert (row["key"], row["state"]) == (FIRST, "running")


def test_a_dry_run_leaves_out_what_the_run_sets_aside_for_a_second_death(demo):
    of_the_dead(demo)
    demo.good("sessions", "edit", FIRST, "--set", "vrRegistration=false")
    with contextlib.closing(sqlite3.connect(demo.url)) as connection, connection:
        connection.row_factory = sqlite3.Row
        select = "SELECT * FROM vrt_attempt WHERE attempt_id = ?"
        earlier = dict(connection.execute(select, (TOKEN,)).fetchone())
        earlier |= {"attempt_id": "c" * 32, "outcome": "expired", "error_type": "WorkerDiedError"}
        marks = ", ".join("?" * len(earlier))
        connection.execute(f"INSERT INTO vrt_attempt VALUES ({marks})", [*earlier.values()])

    shown = demo.told("register", "--mouse", "DEMO001", "--dry-run")
    demo.good("register", "--mouse", "DEMO001")

    assert shown["queue"] == []
    [row] = demo.told("errors", "--held-back")
    assert (row["key"], row["failures"]) == (FIRST, 2)


def test_a_dry_run_shows_as_many_as_the_limit(demo):
    for key in (FIRST, SECOND):
        demo.good("reset", key, "registration", "--reason", "again")
    shown = demo.told("register", "--mouse", "DEMO001", "--dry-run", "--max-sessions", 1)
    assert [row["key"] for row in shown["queue"]] == [FIRST]


def test_reconcile_names_what_ended_attempts_left_and_removes_it_with_apply(demo):
    folder = of_the_dead(demo)
    assert folder.name in demo.good("release", FIRST)
    folder.mkdir()

    [note] = [note for note in demo.told("reconcile")["notes"] if note["kind"] == "left over"]
    assert (note["where"], folder.name in note["message"]) == (FIRST, True)
    assert folder.exists()

    assert "Removed" in " ".join(demo.told("reconcile", "--apply")["removed"])
    assert not folder.exists()
