"""What Access needs on a machine, from the shell."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from support.command_line import good, spawn, told
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


def test_install_fetches_what_is_missing_and_tries_it(libraries, tmp_path):
    (libraries / "slf4j-api-2.0.17.jar").unlink()

    result = spawn("access", "install", "--folder", libraries, cwd=tmp_path)

    assert result.stderr.splitlines() == ["fetching 1 of 1: slf4j-api-2.0.17.jar"]
    assert result.stdout.startswith(f"14 libraries in {libraries}\nJava ")


def test_install_tells_where_all_is(libraries, tmp_path):
    result = spawn("access", "install", "--folder", libraries, "--json", cwd=tmp_path)

    document = json.loads(result.stdout)
    assert document["folder"] == str(libraries)
    assert sorted(document["libraries"]) == sorted(path.name for path in libraries.iterdir())
    assert Path(document["java"]["home"], "release").is_file()


def test_folder_of_libraries_is_all_that_a_machine_without_a_network_needs(libraries, tmp_path):
    named = {"VRTRACKER_ACCESS_JARS": str(libraries), "HOME": str(tmp_path / "home")}

    result = spawn("--url", "lab.accdb", "init", cwd=tmp_path, **named)

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
    new = ("--url", tmp_path / "lab.accdb", "init")

    result = spawn(*new, cwd=tmp_path, VRTRACKER_JAVA_OPTIONS="-Xmx256m -XX:+NoSuchOption")

    assert result.returncode == Exit.UNAVAILABLE
    assert "VRTRACKER_JAVA_OPTIONS='-Xmx256m -XX:+NoSuchOption'" in result.stderr
    assert spawn(*new, cwd=tmp_path, VRTRACKER_JAVA_OPTIONS="-Xmx256m").returncode == 0


def test_access_database_is_worked_with_from_the_shell(tmp_path):
    pytest.importorskip("jpype", reason="the extra 'access' is not installed")
    lab = ("--url", tmp_path / "lab.accdb")

    good(*lab, "init")
    good(*lab, "mice", "add", "ATL012")
    good(*lab, "sessions", "add", "ATL012.2023-01-20.702")

    assert [row["mouseName"] for row in told(*lab, "sessions", "list")] == ["ATL012"]
