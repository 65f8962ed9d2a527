"""Every command explains itself, in the help and on the page."""

from __future__ import annotations

import inspect
import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import vrtracker
from support.cli_page import PAGE, render
from support.command_line import commands, environment, good, refused, run
from vrtracker.cli.exits import Exit

COMMANDS = [pytest.param(words, command, id=words) for words, command in commands()]
EXPECTED = {
    *("demo", "init", "status", "scan", "needs", "why-not", "register", "worker", "complete"),
    *("reset", "scratch", "unscratch", "history", "undo", "errors", "attempts"),
    *("datasets list", "datasets scan", "datasets verify"),
    *("datasets prune", "datasets restore"),
    *("import table", "import csv", "import one", "export one", "export table"),
    *("import aepsych", "export aepsych"),
    *("import nwb", "export nwb", "export nwb-all"),
    *("clone", "bake", "migrate-to", "backup", "restore"),
    *(
        "web",
        "web-user add",
        "web-user list",
        "web-user remove",
        "web-user token",
        "plot",
        "reconcile",
        "outdated",
        "claims",
        "release",
    ),
    *("doctor", "freeze", "selections", "verify"),
    *("snapshot publish", "snapshot list", "snapshot load", "snapshot open"),
    *(f"{group} {verb}" for group in ("sessions", "mice") for verb in ("list", "show", "add")),
    *(f"{group} {verb}" for group in ("sessions", "mice") for verb in ("edit", "delete")),
    *(f"{group} {verb}" for group in ("sessions", "mice") for verb in ("deleted", "restore")),
    *("sessions purge", "mice purge"),
    *("sessions split", "sessions merge"),
    *("admin grant", "admin revoke", "admin roles"),
    *("qc set", "qc show", "qc list", "qc check", "access install"),
    *(f"db {verb}" for verb in ("adopt", "upgrade", "downgrade", "current", "check", "history")),
    *(f"db {verb}" for verb in ("schema", "exists", "create", "drop", "reset", "list", "tables")),
    *(
        f"db {verb}"
        for verb in ("create-tables", "drop-tables", "vacuum", "analyze", "readers", "password")
    ),
    *(f"rig {verb}" for verb in ("add", "list", "show", "diff", "validate", "schema", "set")),
}
LOADED = """
import json, sys
sys.argv = {words!r}
from vrtracker.cli import main
try:
    main()
except SystemExit:
    pass
print(json.dumps(sorted(name for name in sys.modules if "." not in name)))
"""


def examples(command) -> list[str]:
    paragraphs = inspect.cleandoc(command.help).split("\n\n")
    return [text.removeprefix("Example: ") for text in paragraphs if text.startswith("Example: ")]


def test_commands_are_those_that_were_asked_for():
    assert {words for words, _ in commands()} == EXPECTED


@pytest.mark.parametrize(("words", "command"), COMMANDS)
def test_help_says_what_it_does_with_an_example(words: str, command):
    shown = " ".join(good(*words.split(), "--help").split())

    assert command.help.partition("\n\n")[0].strip().endswith(".")
    assert "Example: vrtracker " in shown
    assert any(f" {words}" in text for text in examples(command))


@pytest.mark.parametrize(("words", "command"), COMMANDS)
def test_examples_use_options_that_exist(words: str, command):
    for text in examples(command):
        result = run(*shlex.split(text)[1:], "--help")

        assert result.exit_code == 0, result.output
        assert "Usage:" in result.stdout


@pytest.mark.parametrize(("words", "command"), COMMANDS)
def test_every_option_has_help(words: str, command):
    silent = [param.name for param in command.params if not param.help]

    assert not silent


@pytest.mark.parametrize(("words", "command"), COMMANDS)
def test_every_command_can_answer_in_json(words: str, command):
    assert any("--json" in param.opts for param in command.params)


@pytest.mark.parametrize(("words", "command"), COMMANDS)
def test_page_has_a_section_for_the_command(words: str, command):
    assert f"\n## vrtracker {words}\n" in PAGE.read_text(encoding="utf-8")


def test_page_is_the_one_that_the_commands_make():
    page = PAGE.read_text(encoding="utf-8")

    assert page == render(), "make it anew: python tests/support/cli_page.py"


@pytest.mark.parametrize("code", list(Exit), ids=lambda code: code.name)
def test_exit_codes_are_in_the_help_and_on_the_page(code: Exit):
    shown = " ".join(good("--help").split())

    assert f"{code.value} {code.meaning}" in shown
    assert f"| {code.value} | {code.meaning} |" in PAGE.read_text(encoding="utf-8")


def test_no_command_shows_the_help():
    assert good() == good("--help")


def test_version_is_the_packages():
    assert good("--version") == f"vrtracker {vrtracker.__version__}\n"


def test_misspelt_command_names_the_right_one():
    assert "Did you mean 'status'" in refused("statsu", code=2)


def test_group_without_a_verb_points_to_its_help():
    assert "sessions --help" in refused("sessions", code=2)


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["sessions", "list", "--help"]])
def test_help_loads_neither_pandas_nor_sqlalchemy(words: list[str], tmp_path: Path):
    program = LOADED.format(words=["vrtracker", *words])

    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
    )

    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    assert "vrtracker" in loaded
    assert not loaded & {"pandas", "numpy", "pyarrow", "sqlalchemy", "alembic", "psycopg", "lark"}
    assert not list(tmp_path.iterdir())
