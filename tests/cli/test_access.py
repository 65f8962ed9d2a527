"""What Access needs on a machine, from the shell."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.command_line import environment, good, spawn
from vrtracker.cli.exits import Exit

pytestmark = pytest.mark.access


@pytest.fixture
def libraries(tmp_path: Path) -> Path:
    pytest.importorskip("jpype", reason="the extra 'access' is not installed")
    from vrtracker.backends.access import jars

    folder = tmp_path / "libraries"
    folder.mkdir()
    for path in jars.locate():
        shutil.copy(path, folder)
    return folder


def test_install_fetches_what_is_missing_and_tells_where_all_is(libraries, tmp_path):
    (libraries / "slf4j-api-2.0.17.jar").unlink()

    result = spawn("access", "install", "--folder", libraries, "--json", cwd=tmp_path)

    assert result.stderr.splitlines() == ["fetching 1 of 1: slf4j-api-2.0.17.jar"]
    document = json.loads(result.stdout)
    assert document["folder"] == str(libraries)
    assert sorted(document["libraries"]) == sorted(path.name for path in libraries.iterdir())
    assert len(document["libraries"]) == 14
    assert Path(document["java"]["home"], "release").is_file()


def test_install_says_that_java_runs(libraries, monkeypatch):
    from vrtracker.backends.access import jars, jvm

    # Java stays in this process, and these libraries do not.
    jvm.start()
    monkeypatch.setenv(jars.FOLDER_VARIABLE, str(libraries))

    told_by_it = good("access", "install", "--folder", libraries)

    assert told_by_it.startswith(f"14 libraries in {libraries}\nJava ")


def test_folder_of_libraries_is_all_that_a_machine_without_a_network_needs(libraries, tmp_path):
    named = {"VRTRACKER_ACCESS_JARS": str(libraries), "HOME": str(tmp_path / "home")}
    options = {"VRTRACKER_JAVA_OPTIONS": "-Xmx256m"}

    result = spawn("--url", "lab.accdb", "init", cwd=tmp_path, **named, **options)

    assert result.returncode == 0, result.stderr
    assert (tmp_path / "lab.accdb").is_file()
    assert not (tmp_path / "home").exists()


def test_java_that_is_none_is_named(libraries, tmp_path):
    wrong = {"VRTRACKER_JAVA_HOME": str(tmp_path)}

    result = spawn("access", "install", "--folder", libraries, cwd=tmp_path, **wrong)

    assert result.returncode == Exit.BAD_INPUT
    [line] = result.stderr.splitlines()
    assert f"{tmp_path} does not look like a Java runtime" in line


def test_java_gets_the_options_that_the_environment_names(tmp_path):
    pytest.importorskip("jpype", reason="the extra 'access' is not installed")
    wrong = {"VRTRACKER_JAVA_OPTIONS": "-Xmx256m -XX:+NoSuchOption"}

    result = spawn("--url", "lab.accdb", "init", cwd=tmp_path, **wrong)

    assert result.returncode == Exit.UNAVAILABLE
    assert "VRTRACKER_JAVA_OPTIONS='-Xmx256m -XX:+NoSuchOption'" in result.stderr


COMMAND_THEN_JAVA = """
import sys
from vrtracker.cli import main
sys.argv = ["vrtracker", "--help"]
try:
    main()
except SystemExit:
    from vrtracker.backends.access import jvm
    print(jvm.java("java.lang.System").getProperty("java.vm.info"), file=sys.stderr)
"""


@pytest.mark.parametrize(("brief", "has_quick_compiler_alone"), [(None, True), ("", False)])
def test_java_of_a_command_compiles_quickly(monkeypatch, brief, has_quick_compiler_alone):
    pytest.importorskip("jpype", reason="the extra 'access' is not installed")
    monkeypatch.delenv("VRTRACKER_JAVA_BRIEF")
    told = {} if brief is None else {"VRTRACKER_JAVA_BRIEF": brief}

    result = subprocess.run(
        [sys.executable, "-c", COMMAND_THEN_JAVA],
        env=environment(**told),
        capture_output=True,
        text=True,
        check=True,
    )

    assert ("emulated-client" in result.stderr) == has_quick_compiler_alone
