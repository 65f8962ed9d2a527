"""The shell in a process of its own: signals, pipes, terminals, encodings."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support.command_line import command_line, environment, good, spawn
from support.processes import fork, wait
from vrtracker.cli import main

FIRST = "DEMO001.2023-01-18.701"
SECOND = "DEMO001.2023-01-19.701"
THIRD = "DEMO001.2023-01-20.701"
# Quick for the first session, and for the second until somebody interrupts it.
SLOW = (
    "import pathlib, sys, time\n"
    "key, staging, started = sys.argv[1:]\n"
    "pathlib.Path(staging, 'slow.times.npy').write_bytes(b'x')\n"
    f"if key != {FIRST!r}:\n"
    "    pathlib.Path(started).touch()\n"
    "    time.sleep(120)\n"
)
# The outputs of two command lines, with a form feed between them.
ONE_AFTER_THE_OTHER = """
import json, sys
from vrtracker.cli import main
first, second = json.loads(sys.argv[1])
sys.argv = first
try:
    main()
except SystemExit as ended:
    assert not ended.code
print(end="\\f")
sys.argv = second
main()
"""

posix = pytest.mark.skipif(os.name != "posix", reason="signals and terminals of POSIX")


def test_demo_json_is_the_only_thing_on_standard_output(tmp_path: Path):
    first = spawn("demo", "--json", cwd=tmp_path)
    second = spawn("demo", "--json", cwd=tmp_path)

    assert (first.returncode, first.stderr) == (0, "")
    assert (second.returncode, second.stderr) == (0, "")
    assert json.loads(first.stdout) == json.loads(second.stdout)
    assert json.loads(first.stdout)["root"] == str(tmp_path / "vrtracker-demo" / "lab")
    assert {path.name for path in (tmp_path / "vrtracker-demo").iterdir()} >= {"lab", "lab.db"}


def test_wrong_path_ends_in_one_line(tmp_path: Path):
    done = spawn("--url", tmp_path / "missing.db", "status", cwd=tmp_path)

    assert done.returncode == 4
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: There is no database")
    assert "\x1b" not in done.stderr
    assert not list(tmp_path.iterdir())


@posix
@pytest.mark.parametrize("form", ["json", "text"])
def test_interrupted_run_gives_the_session_back(demo, tmp_path: Path, form: str):
    program, started = tmp_path / "slow.py", tmp_path / "started"
    program.write_text(SLOW, encoding="utf-8")
    registrar = f"command: {sys.executable} {program} {{key}} {{staging}} {started}"
    before = demo.told("datasets", "list", SECOND)

    words = ("register", FIRST, SECOND, THIRD, "--force", "--registrar", registrar)
    process = subprocess.Popen(
        command_line(*demo.options, *words, *(["--json"] if form == "json" else [])),
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not started.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)

    assert process.returncode == 130
    assert stderr.count("\n") == 1
    assert stderr.startswith("error: interrupted")
    if form == "json":
        document = json.loads(stdout)
        assert (document["succeeded"], document["left"]) == (1, 2)
        told = [(result["key"], result["outcome"]) for result in document["results"]]
        assert told == [(FIRST, "succeeded"), (SECOND, "cancelled")]
    else:
        assert "1 succeeded" in stdout
        assert "2 left" in stdout
    assert demo.told("sessions", "show", SECOND)["states"]["registration"] == "done"
    assert demo.told("attempts", SECOND)[-1]["outcome"] == "cancelled"
    assert demo.told("datasets", "list", SECOND) == before


def test_table_in_a_pipe_is_not_cut(demo, tmp_path: Path):
    demo.good("sessions", "edit", FIRST, "--set", f"sessionNotes={'long ' * 60}end")

    done = spawn(*demo.options, "sessions", "list", cwd=tmp_path, COLUMNS="20")

    lines = done.stdout.splitlines()
    assert len(lines) == 13
    assert lines[1].startswith(f"{FIRST} ")
    assert lines[1].endswith("long end")


@posix
def test_reader_that_goes_away_is_no_error(sample, tmp_path: Path):
    process = subprocess.Popen(
        command_line(*sample.options, "sessions", "list", "--json"),
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    stderr = process.stderr.read()
    process.stderr.close()
    process.wait(timeout=60)

    assert stderr == ""


def told_with(sample, streams: str, *words: str) -> tuple[int, str]:
    """Run the shell with its streams led elsewhere by a shell; return exit code and remarks."""
    line = shlex.join(command_line(*sample.options, *words))
    done = subprocess.run(
        ["bash", "-c", f"{line} {streams}"],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr


@posix
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_output_that_cannot_be_written_ends_in_one_line(sample):
    code, said = told_with(sample, "> /dev/full", "sessions", "list", "--json")
    assert (code, said.count("\n")) == (4, 1)
    assert said.startswith("error: Standard output cannot be written (No space left")


@posix
def test_streams_that_are_closed_or_no_longer_read_are_no_error(sample):
    assert told_with(sample, "<&- >&-", "sessions", "list", "--json") == (0, "")
    # Bash tells how the first one of a pipe has ended.
    watching = "| head -n 2 > /dev/null; exit ${PIPESTATUS[0]}"
    assert told_with(sample, watching, "status", "--watch") == (0, "")


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_any_encoding_of_the_terminal_will_do(empty: str, encoding: str):
    words = ["vrtracker", "--url", empty, "mice", "list"]
    good(*words[1:-1], "add", "ATL012", "--set", "notes=✓ 小鼠")

    done = subprocess.run(
        [sys.executable, "-c", ONE_AFTER_THE_OTHER, json.dumps([words, [*words, "--json"]])],
        env=environment(PYTHONIOENCODING=encoding, PYTHONUTF8="0"),
        capture_output=True,
        check=False,
    )

    assert done.returncode == 0
    listed, told = done.stdout.split(b"\f")
    assert b"ATL012" in listed
    assert json.loads(told.decode(encoding))[0]["notes"] == "✓ 小鼠"


def on_a_terminal(*words: object, columns: int, answer: str = "") -> tuple[int, str]:
    """Run the shell on a terminal of its own; return the exit code and what stands on it."""
    import fcntl
    import pty
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

    def begin() -> None:
        os.close(ours)
        os.setsid()
        for stream in range(3):
            os.dup2(theirs, stream)
        os.close(theirs)
        os.environ.update(TERM="xterm", COLUMNS=str(columns))
        sys.stdin, sys.stdout, sys.stderr = (os.fdopen(n, "rww"[n]) for n in range(3))
        sys.argv = ["vrtracker", *map(str, words)]
        try:
            main()
        except SystemExit as ended:
            os._exit(ended.code or 0)

    child = fork(begin)
    os.close(theirs)
    os.write(ours, answer.encode())
    shown = b""
    try:
        while chunk := os.read(ours, 4096):
            shown += chunk
    except OSError:
        # The other end of a terminal that was closed reads as an error on Linux.
        pass
    os.close(ours)
    return wait(child), shown.decode()


@posix
@pytest.mark.parametrize("columns", [15, 40, 200])
def test_narrow_terminal_does_not_cut_keys(sample, columns: int):
    words = (*sample.options, "sessions", "list", "--mouse", "DEMO001")

    code, shown = on_a_terminal(*words, columns=columns)

    assert code == 0
    assert all(key in shown for key in (FIRST, SECOND, THIRD))


@posix
@pytest.mark.parametrize(("answer", "code", "planes"), [("y\n", 0, 7), ("n\n", 1, 2)])
def test_edit_of_several_rows_asks_on_a_terminal(demo, answer: str, code: int, planes: int):
    edit = ("sessions", "edit", "--mouse", "DEMO001", "--set", "numPlanes=7")

    ended, shown = on_a_terminal(*demo.options, *edit, columns=120, answer=answer)

    assert ended == code
    assert "This changes 4 rows. Go on?" in shown
    assert demo.told("sessions", "show", FIRST)["numPlanes"] == planes


@posix
@pytest.mark.parametrize(("answer", "code", "mice"), [("y\n", 0, 1), ("n\n", 1, 0)])
def test_import_asks_on_a_terminal(empty, tmp_path: Path, answer: str, code: int, mice: int):
    from support.command_line import told

    file = tmp_path / "mice.csv"
    file.write_text("mouseName\nATL012\n", encoding="utf-8")

    ended, shown = on_a_terminal(
        "--url", empty, "import", "csv", "mice", file, columns=120, answer=answer
    )

    assert ended == code
    assert "This adds 1 row. Go on?" in shown
    assert len(told("--url", empty, "mice", "list")) == mice


@posix
def test_demo_runs_on_a_terminal(tmp_path: Path):
    code, shown = on_a_terminal("demo", "--dir", tmp_path / "d", columns=120)

    assert code == 0
    assert "11/11" in shown
    assert "What to do next" in shown


@posix
def test_progress_is_shown_on_a_terminal_alone(demo):
    words = ("register", "--mouse", "DEMO001", "--force")

    code, shown = on_a_terminal(*demo.options, *words, columns=120)
    piped = spawn(*demo.options, *words, cwd=demo.root)

    assert code == 0
    assert "4/4" in shown
    assert "4 succeeded" in shown
    assert piped.stderr == ""
    assert "4/4" not in piped.stdout
