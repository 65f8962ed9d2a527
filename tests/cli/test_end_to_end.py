"""The main job from the shell, the same on every backend."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.command_line import good, refused, run, told
from vrtracker.demo_lab import make_demo_lab

FIRST = "DEMO001.2023-01-18.701"
FORCE = ("register", "--mouse", "DEMO001", "--force")


@pytest.fixture
def options(backend) -> tuple[str, ...]:
    """Return the options for a database without rows."""
    return ("--url", backend.migrated_url())


def test_main_job_runs_from_an_empty_database_to_the_verdict(
    backend, demo_template: Path, tmp_path: Path
):
    options = ("--url", backend.new_url(), "--root", str(demo_template / "lab"))
    on_disk = make_demo_lab(demo_template / "lab")
    file = tmp_path / "mice.csv"
    names = ("mouseName", "sex", "genotype", "KO")
    rows = [",".join(str(mouse[name]) for name in names) for mouse in on_disk.mice]
    file.write_text("\n".join([",".join(names), *rows]), encoding="utf-8")

    good(*options, "init")
    imported = told(*options, "import", "csv", "mice", file)
    added = told(*options, "scan", "--apply")["added"]
    run_of_all = run(*options, "register", "--json")
    verdict = told(*options, "qc", "set", FIRST, "red_cell", "PASS")
    state = told(*options, "status")

    document = json.loads(run_of_all.stdout)
    assert imported["imported"] == 3
    assert added == [str(key) for key in on_disk.keys]
    assert (run_of_all.exit_code, document["succeeded"], document["failed"]) == (3, 10, 1)
    assert verdict["state"] == "done"
    assert state["stages"]["registration"]["done"] == 10
    assert state["stages"]["red_cell_qc"]["done"] == 1
    assert told(*options, "errors")[0]["key"] == str(on_disk.broken)
    assert told(*options, "why-not", on_disk.without_suite2p)["state"] == "blocked"


def test_rows_mean_the_same(options):
    good(*options, "mice", "add", "ATL012", "--set", "KO=yes", "--set", "dateOfBirth=2022-05-01")
    good(*options, "sessions", "add", "ATL012.2023-01-20.702", "--set", "headPlateRotation=8.5")

    edited = told(*options, "sessions", "edit", "--all", "--set", "imaging=yes", "--reason", "x")
    row = told(*options, "sessions", "list", "--where", "mouse__KO=true", "--imaging")[0]
    events = told(*options, "history", "ATL012.2023-01-20.702")
    good(*options, "sessions", "delete", "ATL012.2023-01-20.702")

    assert edited["changes"] == {"ATL012.2023-01-20.702": {"imaging": [False, True]}}
    assert (row["sessionDate"], row["headPlateRotation"]) == ("2023-01-20", 8.5)
    assert (row["sessionNotes"], row["numPlanes"]) == (None, None)
    assert [event["verb"] for event in events] == ["added", "edited"]
    assert events[0]["occurred_at"].endswith("+00:00")
    assert told(*options, "mice", "show", "ATL012")["dateOfBirth"] == "2022-05-01"
    assert told(*options, "status")["sessions"] == 0


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_schema_goes_up_and_down(backend):
    options = ("--url", backend.new_url())
    refused(*options, "status", code=4)

    good(*options, "db", "upgrade")
    differences = told(*options, "db", "check")["differences"]
    good(*options, "mice", "add", "ATL012")
    refused(*options, "db", "downgrade", "0001", code=2)
    reached = told(*options, "db", "downgrade", "0001", "--yes")["revision"]
    good(*options, "db", "upgrade")

    assert differences == []
    assert reached == "0001"
    assert [mouse["mouseName"] for mouse in told(*options, "mice", "list")] == ["ATL012"]


def test_conflicts_and_bad_input_are_refused(options):
    good(*options, "mice", "add", "ATL012")
    good(*options, "sessions", "add", "ATL012.2023-01-20.702")

    assert "already" in refused(*options, "sessions", "add", "ATL012.2023-01-20.702", code=5)
    assert "mice add NOBODY" in refused(*options, "sessions", "add", "NOBODY.2023-01-20.1", code=2)
    assert "imaging" in refused(*options, "sessions", "list", "--where", "imagin=1", code=2)
    assert told(*options, "status")["sessions"] == 1
