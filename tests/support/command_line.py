"""Run the shell: in this process for breadth, in one of its own where that is what is shown."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main
import typer.testing
from typer.testing import CliRunner, Result

from vrtracker.cli.app import app

SRC = Path(__file__).resolve().parents[2] / "src"

# The runner makes all commands anew for each line, which takes longer than most lines do; the
# commands keep nothing of a line.
get_command = typer.testing._get_command = functools.cache(typer.main.get_command)


def run(*words: object, answer: str | None = None) -> Result:
    """Run a command line in this process."""
    return CliRunner().invoke(app, [str(word) for word in words], input=answer)


def good(*words: object) -> str:
    """Run a command line that must end well and return what it wrote to standard output."""
    result = run(*words)
    assert result.exit_code == 0, (words, result.output, result.exception)
    return result.stdout


def told(*words: object) -> Any:
    """Run a command line with --json and return the one document on standard output."""
    return json.loads(good(*words, "--json"))


def refused(*words: object, code: int) -> str:
    """Run a command line that must end with `code` and one line of error, and return the line."""
    result = run(*words)
    assert result.exit_code == code, (words, result.output, result.exception)
    lines = result.stderr.splitlines()
    errors = [line for line in lines if line.startswith("error: ")]
    assert len(errors) == 1, result.stderr
    assert "Traceback" not in result.output
    return errors[0]


def command_line(*words: object) -> list[str]:
    """Return the words that run the shell in a process of its own."""
    return [sys.executable, "-m", "vrtracker", *map(str, words)]


def environment(**more: str) -> dict[str, str]:
    """Return the environment of such a process."""
    return os.environ | {"PYTHONPATH": str(SRC)} | more


def spawn(*words: object, cwd: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Run the shell in a process of its own, with pipes and without a terminal."""
    return subprocess.run(
        command_line(*words),
        cwd=cwd,
        env=environment(**more),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )


def commands() -> Iterator[tuple[str, Any]]:
    """Yield every command's words and the command, groups left out, in order of the help."""
    yield from _walk(get_command(app), ())


def _walk(command: Any, words: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    children = getattr(command, "commands", None)
    if children is None:
        yield " ".join(words), command
        return
    for name, child in children.items():
        yield from _walk(child, (*words, name))
