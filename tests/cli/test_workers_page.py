"""What ``docs/workers.md`` shows works as it stands there."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from support.command_line import environment, run
from support.pages import blocks

PAGE = "docs/workers.md"


@pytest.fixture
def ready(demo, monkeypatch):
    """Return a lab with one session that is ready, named by the environment."""
    demo.good("scratch", "DEMO002.2023-02-08.701", "--reason", "broken")
    demo.good("reset", "DEMO001.2023-01-18.701", "registration", "--reason", "again")
    monkeypatch.setenv("VRTRACKER_URL", demo.url)
    monkeypatch.setenv("VRTRACKER_ROOT", str(demo.root))
    return demo


@pytest.mark.parametrize("block", blocks(PAGE, "sh"))
def test_commands_for_one_computer_run(ready, block: str):
    result = run(*shlex.split(block)[1:])

    assert result.exit_code == 0, result.output
    assert "1 succeeded" in result.stdout


def test_script_for_one_computer_runs(ready, tmp_path: Path):
    script = tmp_path / "script.py"
    script.write_text(blocks(PAGE, "python")[0], encoding="utf-8")

    words = [sys.executable, str(script)]
    done = subprocess.run(words, env=environment(), capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "registration: 1 succeeded, 0 failed\n"


def test_commands_for_a_cluster_have_options_that_exist():
    lines = [line for line in blocks(PAGE, "bash")[0].splitlines() if line.startswith("vrtracker ")]
    for line in lines:
        assert run(*shlex.split(line)[1:], "--help").exit_code == 0
    assert lines


@pytest.mark.parametrize("block", blocks(PAGE, "python"))
def test_python_is_python(block: str):
    compile(block, PAGE, "exec")
