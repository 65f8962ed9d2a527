"""``vrtracker reconcile``: plans shown, saved, applied, taken back."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from support.command_line import good, refused, run, told
from vrtracker.cli.exits import Exit

FILES = ("stat", "ops", "F", "Fneu", "iscell", "spks")
KEYS = [f"ATL012.2023-01-20.{number}" for number in (701, 702, 703)]


@pytest.fixture
def lab(empty: str, tmp_path: Path) -> tuple[str, ...]:
    """Return the options for a lab of three sessions; the database has yet to hear of suite2p."""
    root = tmp_path / "lab"
    good("--url", empty, "mice", "add", "ATL012")
    for key in KEYS:
        good("--url", empty, "sessions", "add", key, "--set", "imaging=true")
        plane = root.joinpath(*key.split("."), "suite2p", "plane0")
        plane.mkdir(parents=True)
        for name in FILES:
            (plane / f"{name}.npy").write_bytes(b"x")
    return ("--url", empty, "--root", str(root))


def state(lab, key=KEYS[0]) -> str:
    return told(*lab, "why-not", key, "suite2p")["state"]


def test_a_plan_is_shown_and_not_written(lab):
    result = run(*lab, "reconcile")
    assert result.exit_code == 0
    assert result.stdout.count("suite2p is complete: 1 planes") >= len(KEYS)
    assert "3 sessions compared, 3 with a folder, 3 to change" in result.stdout
    assert "--apply" in result.stderr
    assert state(lab) == "ready"


def test_applying_writes_it(lab):
    document = told(*lab, "reconcile", "--apply")
    assert (document["applied"], document["written"]) == (True, KEYS)
    assert state(lab) == "done"
    assert told(*lab, "reconcile")["changes"] == []


def test_stages_and_filters_choose(lab):
    document = told(*lab, "reconcile", "--stage", "suite2p", "--where", "sessionID=702")
    assert [change["key"] for change in document["changes"]] == [KEYS[1]]
    assert told(*lab, "reconcile", "--stage", "registration")["changes"] == []


def test_a_saved_plan_is_applied_and_taken_back(lab, tmp_path):
    file = tmp_path / "plan.json"
    good(*lab, "reconcile", "--save", file)
    assert "3 sessions written" in good(*lab, "reconcile", "--plan", file, "--apply")
    assert state(lab) == "done"
    assert "3 sessions taken back" in good(*lab, "reconcile", "--undo", file)
    assert state(lab) == "ready"
    verbs = [event["verb"] for event in told(*lab, "history", KEYS[0])]
    assert verbs == ["added", "reconciled", "reconciled"]


def test_taking_back_is_refused_after_somebody_elses_change(lab, tmp_path):
    file = tmp_path / "plan.json"
    good(*lab, "reconcile", "--save", file, "--apply")
    good(*lab, "sessions", "edit", KEYS[1], "--set", "suite2pDate=2020-01-01")
    line = refused(*lab, "reconcile", "--undo", file, code=Exit.CONFLICT)
    assert KEYS[1] in line
    assert "2020-01-01" in line
    assert state(lab) == "done"


def test_a_root_that_lost_most_is_shown_and_not_applied_unless_forced(lab):
    good(*lab, "reconcile", "--apply")
    for key in KEYS[:2]:
        shutil.rmtree(Path(lab[-1]).joinpath(*key.split("."), "suite2p"))
    assert "warning: 2 of 3 sessions with suite2p would be lost" in good(*lab, "reconcile")
    line = refused(*lab, "reconcile", "--apply", code=Exit.UNAVAILABLE)
    assert "2 of 3 sessions with suite2p would be lost" in line
    assert "--force" in line
    assert state(lab) == "done"
    good(*lab, "reconcile", "--apply", "--force")
    assert state(lab) == "ready"


def test_a_drive_that_is_not_mounted_is_an_error(lab):
    shutil.rmtree(lab[-1])
    assert "mount it" in refused(*lab, "reconcile", "--apply", code=Exit.UNAVAILABLE)


@pytest.mark.parametrize(
    "words",
    [
        ["--plan", "FILE", "--undo", "FILE"],
        ["--undo", "FILE", "--apply"],
        ["--plan", "FILE", "--mouse", "ATL012"],
        ["--stage", "suite2"],
        ["--plan", "nothing-there.json"],
        ["--save", "no-folder/plan.json"],
    ],
    ids=" ".join,
)
def test_wrong_options_are_refused(lab, tmp_path, words):
    file = tmp_path / "plan.json"
    good(*lab, "reconcile", "--save", file)
    chosen = [str(file) if word == "FILE" else word for word in words]
    refused(*lab, "reconcile", *chosen, code=Exit.BAD_INPUT)
    assert state(lab) == "ready"


def test_a_file_that_is_no_plan_is_refused(lab, tmp_path):
    file = tmp_path / "plan.json"
    file.write_text(json.dumps({"changes": []}))
    assert "no plan" in refused(*lab, "reconcile", "--plan", file, "--apply", code=Exit.BAD_INPUT)
