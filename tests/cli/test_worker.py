"""``vrtracker worker`` and ``register --workers``: exit codes, reports, signals."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from support.command_line import SRC, command_line, environment, run
from support.workflow_lab import wait_for
from vrtracker.cli.exits import Exit

posix = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
FIRST, SECOND = "DEMO001.2023-01-18.701", "DEMO001.2023-01-19.701"
# Says that it has begun, and goes on once the test says so.
WAITS = (
    "import pathlib, sys, time\n"
    "key, staging, folder = sys.argv[1:]\n"
    "pathlib.Path(staging, 'slow.times.npy').write_bytes(b'x')\n"
    "pathlib.Path(folder, key).touch()\n"
    "while not pathlib.Path(folder, 'go').exists():\n"
    "    time.sleep(0.02)\n"
)


def waiting_in(folder: Path) -> str:
    """Return a registrar that names its session in a folder, and waits for ``go`` there."""
    program = folder / "waits.py"
    program.write_text(WAITS, encoding="utf-8")
    return f"command: {sys.executable} {program} {{key}} {{staging}} {folder}"


def again(demo) -> None:
    """Let the first two sessions be registered again."""
    for key in (FIRST, SECOND):
        demo.good("reset", key, "registration", "--reason", "again")


def test_a_worker_ends_with_0_when_nothing_is_left(demo):
    first = run(*demo.options, "worker", "--mouse", "DEMO001", "--exit-when-empty")
    assert (first.exit_code, first.stdout) == (0, "registration: nothing to do\n")

    demo.good("reset", FIRST, "registration", "--reason", "again")
    second = demo.told("worker", "--mouse", "DEMO001", "--exit-when-empty")
    assert (second["succeeded"], second["left"], second["stopped"]) == (1, 0, None)


def test_a_worker_with_a_limit_tells_whether_anything_is_left(demo):
    again(demo)
    worker = (*demo.options, "worker", "--mouse", "DEMO001", "--max-sessions", 1)

    codes = [run(*worker).exit_code for _ in range(3)]

    # The second one reached its limit with the last session: another would find nothing.
    assert codes == [Exit.OK, Exit.NOTHING_LEFT, Exit.NOTHING_LEFT]
    assert run(*worker, "--exit-when-empty").exit_code == Exit.OK
    demo.good("reset", FIRST, "registration", "--reason", "again")
    assert run(*demo.options, "worker", "--budget-minutes", 0).exit_code == Exit.OK
    assert run(*demo.options, "worker", "--budget-bytes", "1B").exit_code == Exit.OK


def test_register_with_workers_reports_as_without(demo):
    words = ("register", "--mouse", "DEMO001", "--force")

    alone, together = demo.told(*words), demo.told(*words, "--workers", 2)

    for document in (alone, together):
        document["results"].sort(key=lambda result: result["key"])
        for result in document["results"]:
            del result["attempt_id"], result["duration_s"]
    assert together == alone
    assert together["succeeded"] == 4


@posix
@pytest.mark.parametrize(
    ("signals", "more", "code"), [(1, (), 0), (1, ("--exit-when-empty",), 130), (2, (), 130)]
)
def test_a_worker_ends_after_the_session_at_hand_or_gives_it_back(
    demo, tmp_path, signals, more, code
):
    again(demo)
    registrar = waiting_in(tmp_path)
    words = ("worker", "--mouse", "DEMO001", "--registrar", registrar, "--json", *more)

    with subprocess.Popen(
        command_line(*demo.options, *words),
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        wait_for((tmp_path / FIRST).exists)
        process.send_signal(signal.SIGTERM)
        assert process.stderr is not None
        assert process.stderr.readline().startswith("Ends after the session at hand")
        if signals == 2:
            process.send_signal(signal.SIGINT)
        else:
            (tmp_path / "go").touch()
        document = json.loads(process.communicate(timeout=60)[0])

    ended = (process.returncode, document["stopped"], document["succeeded"], document["left"])
    state = demo.told("sessions", "show", FIRST)["states"]["registration"]
    last = demo.told("attempts", FIRST)[-1]["outcome"]
    if signals == 1:
        assert ended == (code, "it was told to end", 1, 1)
        assert (state, last) == ("done", "succeeded")
    else:
        assert ended == (code, "interrupted", 0, 2)
        assert (state, last) == ("ready", "cancelled")


@posix
def test_workers_end_with_the_process_that_began_the_run(demo, tmp_path: Path):
    registrar = waiting_in(tmp_path)
    words = ("register", FIRST, SECOND, "--force", "--workers", 2, "--registrar", registrar)

    process = psutil.Popen(command_line(*demo.options, *words), env=environment())
    wait_for(lambda: (tmp_path / FIRST).exists() and (tmp_path / SECOND).exists())
    started = process.children(recursive=True)
    process.kill()
    process.wait()

    wait_for(lambda: not any(child.is_running() for child in started))
    for key in (FIRST, SECOND):
        assert demo.told("attempts", key)[-1]["outcome"] == "cancelled"
        assert demo.told("sessions", "show", key)["states"]["registration"] == "done"


@pytest.mark.parametrize("how", [(), ("--workers", 2), ("--timeout", 1)], ids=str)
def test_what_a_registrar_prints_does_not_get_into_the_document(demo, tmp_path, how):
    (tmp_path / "talks.py").write_text(
        "import os\n"
        "def register(job):\n"
        "    print('hello')\n"
        "    os.system('echo hello from a program')\n",
        encoding="utf-8",
    )
    words = ("register", FIRST, "--force", "--registrar", "talks:register", "--json", *how)

    result = subprocess.run(
        command_line(*demo.options, *words),
        env=environment(PYTHONPATH=os.pathsep.join([str(SRC), str(tmp_path)])),
        capture_output=True,
        text=True,
        check=True,
    )

    assert json.loads(result.stdout)["succeeded"] == 1
    assert result.stderr.count("hello") == 2


@posix
@pytest.mark.parametrize(
    ("name", "workers", "begun"),
    [("SIGTERM", (), [FIRST]), ("SIGHUP", (), [FIRST]), ("SIGTERM", (2,), [FIRST, SECOND])],
)
def test_register_gives_sessions_back_when_it_is_told_to_end(demo, tmp_path, name, workers, begun):
    again(demo)
    registrar = waiting_in(tmp_path)
    more = ("--workers", *workers) if workers else ()
    words = ("register", "--mouse", "DEMO001", "--registrar", registrar, "--json", *more)

    with subprocess.Popen(
        command_line(*demo.options, *words), env=environment(), stdout=subprocess.PIPE, text=True
    ) as process:
        wait_for(lambda: all((tmp_path / key).exists() for key in begun))
        process.send_signal(getattr(signal, name))
        document = json.loads(process.communicate(timeout=60)[0])

    assert process.returncode == Exit.INTERRUPTED
    assert (document["cancelled"], document["left"]) == (len(begun), 2)
    assert [result["outcome"] for result in document["results"]] == ["cancelled"] * len(begun)
    assert demo.told("claims") == []


def test_a_run_whose_workers_are_told_to_end_again_and_again_is_interrupted(demo):
    again(demo)
    words = ("register", "--mouse", "DEMO001", "--registrar", "support.registrars:interrupts")

    result = run(*demo.options, *words, "--workers", 2, "--json")

    assert result.exit_code == Exit.INTERRUPTED
    document = json.loads(result.stdout)
    # Another one may have given it back before the third was heard of.
    assert re.match(r"[34] workers were told to end while they had DEMO001", document["stopped"])
    assert document["left"] == 2
    assert 1 <= document["cancelled"] <= 2
    assert {result["outcome"] for result in document["results"]} == {"cancelled"}
