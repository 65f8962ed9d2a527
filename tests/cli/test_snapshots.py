"""The shell publishes, lists and loads snapshots."""

from __future__ import annotations

import json
from pathlib import Path

from support.command_line import good, refused, run, told


def test_snapshot_is_published_listed_and_loaded(demo, tmp_path, monkeypatch):
    monkeypatch.setenv("VRTRACKER_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "published"
    made = demo.told("snapshot", "publish", "fig3", "--to", folder, "--imaging")

    [row] = told("snapshot", "list", folder)
    found = told("snapshot", "load", "fig3", "--from", folder)

    assert row["name"] == "fig3"
    assert found.keys() == {"path", "sha256", "sessions", "mice", "revision"}
    assert (found["sessions"], found["mice"]) == (made["sessions"], made["mice"])
    assert found["sha256"] == row["sha256"]
    assert told("--url", found["path"], "status")["sessions"] == made["sessions"]
    assert "fig3" in good("snapshot", "list", folder)
    assert "in" in refused("--url", demo.url, "snapshot", "publish", "fig3", "--to", folder, code=5)


def test_missing_snapshot_is_refused(tmp_path):
    assert "index.json" in refused("snapshot", "list", tmp_path, code=4)
    assert "VRTRACKER_SNAPSHOTS" in refused("snapshot", "load", "fig3", code=2)


def test_snapshot_is_opened_for_reading_alone(demo, tmp_path, monkeypatch):
    monkeypatch.setenv("VRTRACKER_CACHE", str(tmp_path / "cache"))
    demo.good("snapshot", "publish", "fig3", "--to", tmp_path / "published")
    at = ("snapshot", "open", "fig3", "--from", tmp_path / "published")

    listed = run(*at, "sessions", "list", "--json", "--imaging")
    error = run(*at, "mice", "add", "NEW").stderr
    assert "read-only" in error
    assert "work with a copy of it: vrtracker clone" in error
    refused(*at, "db", "downgrade", "base", "--yes", code=2)

    assert listed.exit_code == 0
    assert all(row["imaging"] for row in json.loads(listed.stdout))
    assert run(*at).exit_code == 0


def test_manifest_of_something_else_beside_a_lab_makes_no_snapshot_of_it(demo):
    (Path(demo.url).parent / "manifest.json").write_text('{"name": "an app"}', encoding="utf-8")
    demo.good("mice", "add", "NEW")
