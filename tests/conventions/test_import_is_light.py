"""Importing the package costs nothing and touches nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import vrtracker

SRC = Path(__file__).resolve().parents[2] / "src"
HEAVY = {
    "adbc_driver_manager",
    "alembic",
    "charset_normalizer",
    "lark",
    "numpy",
    "pandas",
    "platformdirs",
    "psycopg",
    "pyarrow",
    "pydantic",
    "python_calamine",
    "rich",
    "sqlalchemy",
    "sqlite3",
    "typer",
}
PROBE = """
import json, sys
touched = []
def note(event, arguments):
    if event == "open" or event.split(".")[0] in {"socket", "sqlite3", "subprocess", "tempfile"} \\
            or event in {"os.mkdir", "os.remove", "os.rename", "os.system"}:
        touched.append([event, str(arguments[0]) if arguments else ""])
before = set(sys.modules)
sys.addaudithook(note)
%s
seen = list(touched)
loaded = {name.partition(".")[0] for name in set(sys.modules) - before}
print(json.dumps({"touched": seen, "loaded": sorted(loaded)}))
"""


def observe(statement: str, folder: Path) -> tuple[set[str], list[str]]:
    """Run a statement in an empty process; return loaded packages and what it touched.

    Reading the interpreter's own files, installed packages and the package's source is what an
    import is, and is left out.
    """
    result = subprocess.run(
        [sys.executable, "-c", PROBE % statement],
        env=os.environ | {"PYTHONPATH": str(SRC), "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    told = json.loads(result.stdout.splitlines()[-1])
    own = {str(SRC), sys.prefix, sys.base_prefix, *sysconfig.get_paths().values()}
    touched = [
        f"{event} {what}"
        for event, what in told["touched"]
        if event != "open" or not what.startswith(tuple(own))
    ]
    return set(told["loaded"]), touched


def test_import_loads_nothing_heavy(tmp_path: Path):
    loaded, _ = observe("import vrtracker", tmp_path)

    assert "vrtracker" in loaded
    assert not loaded & HEAVY


def test_opening_a_lab_loads_neither_migrations_nor_frames(tmp_path: Path):
    vrtracker.init(tmp_path / "lab.db").close()

    opening = "import vrtracker; vrtracker.open('lab.db').sessions.count()"
    loaded, _ = observe(opening, tmp_path)

    assert "sqlalchemy" in loaded
    assert not loaded & {"alembic", "pandas", "numpy", "pyarrow"}


def test_import_touches_nothing(tmp_path: Path):
    _, touched = observe("import vrtracker", tmp_path)

    assert not touched
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "statement",
    ["open('made', 'w')", "import sqlite3; sqlite3.connect('made')", "import os; os.mkdir('made')"],
    ids=["file", "database", "folder"],
)
def test_touching_would_be_noticed(statement: str, tmp_path: Path):
    _, touched = observe(statement, tmp_path)

    assert any("made" in entry for entry in touched)


def test_a_heavy_import_would_be_noticed(tmp_path: Path):
    loaded, _ = observe("import sqlalchemy", tmp_path)

    assert loaded & HEAVY
