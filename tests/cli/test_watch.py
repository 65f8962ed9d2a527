"""``status --watch``: on a terminal, in a pipe, through the database's going away."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from support.command_line import command_line, environment, refused

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and terminals of POSIX")
PATIENCE_S = 60
REDRAWN = b"\x1b[2K"


@contextmanager
def watching(*words: Any, json: bool = False, **streams: Any) -> Iterator[Any]:
    line = command_line(*words, "status", "--watch", "--interval", "0.1")
    line += ["--json"] if json else []
    with subprocess.Popen(line, env=environment(TERM="xterm", COLUMNS="160"), **streams) as process:
        try:
            yield process
        finally:
            process.kill()


def ended(process: subprocess.Popen[bytes]) -> int:
    process.send_signal(signal.SIGINT)
    return process.wait(timeout=PATIENCE_S)


def until(terminal: int, *wanted: bytes) -> bytes:
    """Read a terminal until all that is wanted was shown."""
    shown, end = b"", time.monotonic() + PATIENCE_S
    while not all(each in shown for each in wanted):
        assert time.monotonic() < end, shown
        if select.select([terminal], [], [], 1)[0]:
            shown += os.read(terminal, 65536)
    return shown


def test_terminal_is_drawn_in_place_and_shows_what_others_do(demo):
    import fcntl
    import pty
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 60, 160, 0, 0))
    streams = dict.fromkeys(("stdin", "stdout", "stderr"), theirs)
    with watching(*demo.options, **streams, start_new_session=True) as process:
        first = until(ours, b"registration", b"Newest errors", b"Mice with open work")
        demo.good("mice", "add", "NEWMOUSE")
        demo.good("sessions", "add", "NEWMOUSE.2026-03-02.701")
        later = until(ours, b"NEWMOUSE", REDRAWN)
        code = ended(process)

    assert code == 0
    assert b"NEWMOUSE" not in first
    assert b"an hour" in first
    assert b"Traceback" not in later
    os.close(theirs)
    os.close(ours)


def test_pipe_gets_blocks(demo):
    with watching(*demo.options, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        lines = iter(process.stdout.readline, b"")
        text = b"".join(line for line, _ in zip(lines, range(40), strict=False))
        code = ended(process)
        said = process.stderr.read()

    assert (code, said) == (0, b"")
    assert text.count(b"(Ctrl-C ends)") > 1
    assert b"Newest errors" in text
    assert b"\x1b[" not in text


@pytest.mark.parametrize("backend", ["postgresql18"], indirect=True)
def test_database_that_goes_away_is_told_in_json_and_asked_again(backend):
    import psycopg

    url = backend.migrated_url()
    name = url.rpartition("/")[2].partition("?")[0]
    server = backend.source.server
    address = server.url("postgres", driver="postgresql")

    def let_in(answer: str) -> None:
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS {answer}')
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name]
            )

    with watching("--url", url, json=True, stdout=subprocess.PIPE) as process:
        read = map(json.loads, process.stdout)
        first = next(read)
        let_in("false")
        away = next(frame for frame in read if frame["error"])
        let_in("true")
        back = next(frame for frame in read if frame["error"] is None)
        code = ended(process)

    assert code == 0
    assert set(first) == {"at", "stages", "mice", "claims", "errors", "error"}
    assert away["stages"] == back["stages"]


def test_interval_belongs_to_watch(sample):
    assert "--watch" in refused(*sample.options, "status", "--interval", "3", code=2)
