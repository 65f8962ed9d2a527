"""What the README shows works as it stands there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from support.command_line import environment, run, spawn
from support.pages import PROJECT, blocks, shell

README = (PROJECT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "line",
    [
        "pip install . && vrtracker demo",
        'python -m pip install -e ".[test]" && python -m pytest',
    ],
)
def test_the_two_commands_stand_there(line: str):
    assert f"\n{line}\n" in README


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """Return a folder in which the demo was run."""
    assert spawn("demo", cwd=tmp_path).returncode == 0
    return tmp_path


def test_python_tour_runs(desk: Path):
    tour = blocks("README.md", "python")[0]

    done = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning", "-c", tour],
        cwd=desk,
        env=environment(),
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "registration: 1 succeeded, 0 failed stale" in done.stdout
    assert "1 of 1 matching rows changed" in done.stdout


def test_shell_tour_runs(desk: Path, monkeypatch: pytest.MonkeyPatch):
    tour = next(block for block in blocks("README.md", "sh") if "export" in block)
    monkeypatch.chdir(desk)
    for name in ("VRTRACKER_URL", "VRTRACKER_ROOT"):
        monkeypatch.setenv(name, "")  # goes back to what it was

    shell(tour)

    assert run("history", "DEMO001.2023-01-18.701").stdout.count("scratched") >= 1


def test_configuration_is_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from vrtracker.settings import load_settings

    config = tmp_path / "config.toml"
    config.write_text(blocks("README.md", "toml")[0], encoding="utf-8")
    monkeypatch.setenv("VRTRACKER_CONFIG", str(config))

    settings = load_settings()

    assert settings.url == "postgresql://ada@db.example.org/lab"
    assert settings.stages["deconvolution"].requires == ["registration"]
    assert settings.registrars["registration"].startswith("command:")


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)#]+)\)", README))
def test_links_lead_somewhere(link: str):
    assert (PROJECT / link.replace("/", os.sep)).exists()


def test_variables_are_those_that_are_read():
    from vrtracker.settings import VARIABLES

    named = set(re.findall(r"`VRTRACKER_(\w+)`", README)) - {"CONFIG"}

    assert named == {name.upper() for name in VARIABLES}
