"""Rigs in the shell: what is wrong is listed line by line, and sessions get their versions."""

from __future__ import annotations

import json

import pytest

import vrtracker
from support.command_line import good, refused, run, told
from support.rigs import BROKEN, BROKEN_PATHS, a_rig

KEY = "M1.2026-03-02.701"


@pytest.fixture
def files(tmp_path):
    """A folder with a good rig, its next version, and a broken one."""
    for name, rig in (("b2", a_rig()), ("next", a_rig(version="1.3")), ("broken", BROKEN)):
        (tmp_path / f"{name}.json").write_text(json.dumps(rig))
    return tmp_path


def test_violations_are_listed_one_a_line_without_a_database(files):
    result = run("rig", "validate", files / "broken.json")
    assert result.exit_code == 2
    assert [line.partition(":")[0] for line in result.stdout.splitlines()] == BROKEN_PATHS

    result = run("rig", "validate", files / "broken.json", "--json")
    found = json.loads(result.stdout)
    assert (result.exit_code, found["valid"]) == (2, False)
    assert [each["path"] for each in found["violations"]] == BROKEN_PATHS
    assert all({*each} == {"path", "message"} for each in found["violations"])
    assert told("rig", "validate", files / "b2.json") == {"valid": True, "violations": []}
    assert "is a rig" in good("rig", "validate", files / "b2.json")
    assert "cannot be read" in refused("rig", "validate", files / "none.json", code=2)
    (files / "text.json").write_text("a rig")
    result = run("rig", "validate", files / "text.json", "--json")
    ((path, message),) = (each.values() for each in json.loads(result.stdout)["violations"])
    assert (result.exit_code, path, "no JSON" in message) == (2, "$", True)


def test_rigs_are_added_shown_compared_and_set(files):
    url = files / "lab.db"
    with vrtracker.init(url) as tracker:
        tracker.mice.add("M1")
        tracker.sessions.add(KEY)
    lab = ("--url", url, "rig")
    assert "No rig" in run(*lab, "list").stderr

    good(*lab, "add", files / "b2.json")
    assert told(*lab, "add", files / "next.json", "--name", "B2")["version"] == 2
    result = run(*lab, "add", files / "broken.json")
    assert [line.partition(":")[0] for line in result.stdout.splitlines()] == BROKEN_PATHS
    assert (result.exit_code, "23 violations" in result.stderr) == (2, True)
    assert told(*lab, "set", "b2@1", KEY) == {"rig": "b2@1", "changed": [KEY]}
    assert told(*lab, "set", "b2@1", "--mouse", "M1")["changed"] == []
    refused(*lab, "set", "b2@1", code=2)

    rows = told(*lab, "list")
    assert [(row["name"], row["version"], row["sessions"]) for row in rows] == [
        ("b2", 1, 1),
        ("b2", 2, 0),
    ]
    assert told(*lab, "show", "b2@1") == a_rig()
    assert "used by 1 session" in good(*lab, "show", "b2@1")
    result = run(*lab, "diff", "b2@1", files / "next.json", "--json")
    assert json.loads(result.stdout) == [{"path": "$.version", "old": "1.2", "new": "1.3"}]
    assert result.exit_code == 1
    assert run(*lab, "diff", "b2", files / "next.json").exit_code == 0
    assert "1 session changed" in good(*lab, "set", "-", KEY)
    assert "2020-12" in good("rig", "schema")
    assert told("rig", "schema")["title"] == "A rig"
