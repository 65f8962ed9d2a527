"""What the pages of the documentation show works as it stands there."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from support.command_line import commands
from support.pages import PROJECT, blocks, follow, shell
from vrtracker.domain.undoing import _RUNS, _UNDOABLE
from vrtracker.settings import Profile

GLOBAL = {"--url", "--root", "--actor", "--help"}
SWITCHES = {"--readonly", "--debug"}
ON_THE_DEMO = ["analyst", "rig", "keeper", "alyx", "restoring", "extending"]


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """Work in an empty folder, with an environment that goes back to what it was."""
    monkeypatch.chdir(tmp_path)
    for name in ("VRTRACKER_URL", "VRTRACKER_ROOT", "VRTRACKER_CONFIG"):
        monkeypatch.setenv(name, os.environ.get(name, ""))  # goes back to what it was
    monkeypatch.setattr("sys.path", [*sys.path])
    return tmp_path


@pytest.fixture
def on_the_demo(desk, demo_template, monkeypatch):
    """Work beside a demo, as after the first lines of ``docs/start.md``."""
    shutil.copytree(demo_template, desk / "vrtracker-demo")
    monkeypatch.setenv("VRTRACKER_URL", "vrtracker-demo/lab.db")
    monkeypatch.setenv("VRTRACKER_ROOT", "vrtracker-demo/lab")
    return desk


@pytest.mark.usefixtures("on_the_demo")
@pytest.mark.parametrize("page", ON_THE_DEMO)
def test_page_works_on_the_demo(page: str):
    follow(f"docs/{page}.md")


@pytest.mark.usefixtures("desk")
def test_first_page_works_from_nothing():
    follow("docs/start.md", until="lab.accdb")


def test_every_block_of_python_is_python():
    for page in sorted((PROJECT / "docs").glob("*.md")):
        for block in blocks(f"docs/{page.name}", "python"):
            compile(block, page.name, "exec")


def test_every_command_of_the_pages_exists_with_its_options():
    known = {words: _options(command) for words, command in commands()}
    # The page of the commands is made of them.
    for page in sorted({*(PROJECT / "docs").glob("*.md")} - {PROJECT / "docs" / "cli.md"}):
        for line in "".join(blocks(f"docs/{page.name}", "sh")).replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words[:1] == ["vrtracker"] and "$(" not in line:
                found = next((name for name in _commands_in(words[1:]) if name in known), None)
                options = {word.partition("=")[0] for word in words if word.startswith("--")}
                assert found is not None, (page.name, line)
                assert options <= known[found] | GLOBAL, (page.name, line)


def _options(command) -> set[str]:
    return {name for param in command.params for name in (*param.opts, *param.secondary_opts)}


def _commands_in(words: list[str]) -> list[str]:
    """Return what the command of a line may be called: two words, or one."""
    while words[0].startswith("--"):
        words = words[1 if words[0] in SWITCHES else 2 :]
    return [" ".join(words[:2]), words[0]]


@pytest.mark.usefixtures("on_the_demo")
def test_page_of_queries_shows_what_it_says(capsys):
    follow("docs/queries.md")

    told = capsys.readouterr().out
    assert "7 True" in told
    assert "session.mouseName" in told
    assert "\n5\n5\n2\n" in told
    assert "SELECT" in told


@pytest.mark.usefixtures("desk")
def test_page_for_datajoint_takes_its_table_in():
    table = blocks("docs/datajoint.md", "text")[0]
    Path("sessions.csv").write_text(table, encoding="utf-8")

    told = [shell(block) for block in blocks("docs/datajoint.md", "sh")]

    assert "DJ001.2024-05-01.1" in told[-1]


@pytest.mark.access
@pytest.mark.usefixtures("on_the_demo")
def test_page_for_leaving_access_leads_off_it():
    shell("vrtracker clone vrtracker-demo/lab.db lab.accdb")

    follow("docs/off-access.md")


def test_page_of_events_knows_what_can_be_undone_and_what_leads_on():
    page = (PROJECT / "docs" / "events.md").read_text(encoding="utf-8")

    assert {f"`{verb}`" for verb in _UNDOABLE | _RUNS} <= set(page.replace(",", " ").split())


def test_page_of_settings_is_the_configuration_that_is_read():
    page = (PROJECT / "docs" / "settings.md").read_text(encoding="utf-8")

    missing = [field.name for field in fields(Profile) if f"`{field.name}`" not in page]
    assert not missing
