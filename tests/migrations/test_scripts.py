"""The scripts themselves: one line of history, frozen, and known to the package."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.config import CommandLine, Config
from alembic.script import ScriptDirectory

from support.sample_lab import run_sql
from vrtracker.database.migration import check, script_location
from vrtracker.database.versions import HEAD, REVISIONS
from vrtracker.errors import ConfigurationError

PROJECT = Path(__file__).resolve().parents[2]
VERSIONS = PROJECT / "migrations" / "versions"
SCRIPTS = sorted(VERSIONS.glob("*.py"))


def directory() -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", str(script_location()))
    return ScriptDirectory.from_config(config)


def test_package_lists_the_revisions_of_the_scripts():
    scripts = [script.revision for script in directory().walk_revisions()]

    assert list(REVISIONS) == scripts[::-1]
    assert list(REVISIONS) == sorted(REVISIONS)


def test_history_is_one_line_with_one_head():
    scripts = directory()

    assert scripts.get_heads() == [HEAD]
    assert scripts.get_bases() == [REVISIONS[0]]
    for script in scripts.walk_revisions():
        assert not script.is_branch_point
        assert not script.is_merge_point


def test_checkout_uses_its_own_scripts():
    assert script_location() == PROJECT / "migrations"


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_file_is_named_by_its_revision_and_subject(path):
    text = path.read_text("utf-8")
    revision = re.search(r'^revision = "(\d{4})"$', text, re.MULTILINE)

    assert revision is not None
    assert re.fullmatch(rf"{revision[1]}_[a-z0-9_]+\.py", path.name)
    assert len(revision[1]) <= 32


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_script_stands_on_its_own(path):
    """A later change of the package must not change what an old revision does."""
    imported = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").split(".")[0])

    assert imported <= {"sqlalchemy", "alembic"}


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_script_says_why_and_what_a_downgrade_loses(path):
    said = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""

    assert "Why:" in said
    assert "A downgrade loses:" in said


def test_names_fit_into_access():
    from vrtracker.models import Base

    for table in Base.metadata.tables.values():
        named = [table.name, *(column.name for column in table.columns)]
        named += [str(item.name) for item in (*table.constraints, *table.indexes) if item.name]
        for name in named:
            assert len(name) <= 64
            assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name), name


def spawned_alembic(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "alembic", *words],
        cwd=PROJECT,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def alembic(*words: str) -> None:
    """Run a command line of Alembic in this process."""
    CommandLine("alembic").main(["-c", str(PROJECT / "alembic.ini"), *words])


def test_plain_alembic_upgrades_a_database_in_a_checkout(backend):
    url = backend.new_url()

    done = spawned_alembic("-x", f"url={url}", "upgrade", "head")

    assert done.returncode == 0, done.stderr
    assert run_sql(url, "SELECT version_num FROM alembic_version") == [(HEAD,)]
    assert check(url) == []
    alembic("-x", f"url={url}", "check")


def test_plain_alembic_takes_the_database_of_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("VRTRACKER_URL", str(tmp_path / "lab.db"))

    alembic("upgrade", "head")
    alembic("downgrade", "-1")

    found = run_sql(str(tmp_path / "lab.db"), "SELECT version_num FROM alembic_version")
    assert found == [(REVISIONS[-2],)]


def test_plain_alembic_without_a_database_says_what_to_give():
    with pytest.raises(ConfigurationError, match="-x url="):
        alembic("upgrade", "head")


def test_offline_mode_is_refused(capsys):
    with pytest.raises(ConfigurationError, match="live database"):
        alembic("-x", "url=x.db", "upgrade", "head", "--sql")

    assert "CREATE TABLE" not in capsys.readouterr().out
