"""Sessions from disk, mice and sessions from CSV."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from support.command_line import good, refused, run, told


@pytest.fixture
def lab(empty: str, tmp_path: Path) -> tuple[str, ...]:
    """Return the options for a lab with one known mouse and sessions of two."""
    root = tmp_path / "lab"
    for folder in ("ATL012/2023-01-20/701", "ATL012/2023-01-20/002", "ATL028/2023-01-21/701"):
        (root / folder / "oneData").mkdir(parents=True)
        np.save(root / folder / "oneData" / "licks.times.npy", np.arange(3.0))
    (root / "ATL012" / "2023-02-31" / "701").mkdir(parents=True)
    good("--url", empty, "mice", "add", "ATL012")
    return ("--url", empty, "--root", str(root))


def csv_file(folder: Path, text: str, *, encoding: str = "utf-8") -> Path:
    path = folder / "rows.csv"
    path.write_bytes(text.encode(encoding))
    return path


def test_scan_shows_the_plan_and_writes_nothing(lab):
    plan = told(*lab, "scan")

    assert [row["key"] for row in plan["new"]] == ["ATL012.2023-01-20.2", "ATL012.2023-01-20.701"]
    assert plan["held_back"] == ["ATL028.2023-01-21.701"]
    assert plan["new_mice"] == ["ATL028"]
    assert "not a date that exists" in plan["skipped"][0]["reason"]
    assert (plan["applied"], plan["added"]) == (False, [])
    assert told(*lab, "sessions", "list") == []


def test_scan_says_what_is_held_back_and_skipped_and_why(lab):
    result = run(*lab, "scan")

    assert "held back, because the mouse is not in the database: ATL028" in result.stdout
    assert "2023-02-31" in result.stdout
    assert "2 sessions to add, 0 known already" in result.stdout
    assert "--apply" in result.stderr


def test_applied_scan_adds_the_sessions(lab):
    plan = told(*lab, "scan", "--apply")

    assert plan["added"] == ["ATL012.2023-01-20.2", "ATL012.2023-01-20.701"]
    assert len(told(*lab, "sessions", "list")) == 2
    assert told(*lab, "scan")["known"] == 2


def test_scan_adds_mice_on_request(lab):
    shown = good(*lab, "scan", "--add-mice", "--apply")

    assert "1 mouse added: ATL028" in shown
    assert len(told(*lab, "sessions", "list")) == 3


def test_scan_of_one_mouse_leaves_the_others(lab):
    plan = told(*lab, "scan", "--mouse", "ATL028")

    assert (plan["new"], plan["held_back"]) == ([], ["ATL028.2023-01-21.701"])


@pytest.mark.parametrize("root", ["missing", "empty"])
def test_root_that_is_not_there_changes_nothing(empty: str, tmp_path: Path, root: str):
    (tmp_path / "empty").mkdir()

    refused("--url", empty, "--root", tmp_path / root, "scan", "--apply", code=4)

    assert told("--url", empty, "sessions", "list") == []


def test_scan_without_a_root_asks_for_one(empty: str):
    assert "--root" in refused("--url", empty, "scan", code=4)


def test_lab_files_are_imported(empty: str, shared_file):
    mice = told("--url", empty, "import", "csv", "mice", shared_file("legacy/mousedb.csv"))
    sessions = told(
        "--url", empty, "import", "csv", "sessions", shared_file("legacy/sessiondb.csv")
    )
    status = told("--url", empty, "status")

    assert (mice["imported"], mice["problems"]) == (14, [])
    assert (sessions["imported"], sessions["problems"]) == (244, [])
    assert (status["mice"], status["sessions"]) == (14, 244)


def test_preview_writes_nothing(empty: str, tmp_path: Path):
    rows = "".join(f"ATL{number:03d},note {number}\n" for number in range(15))
    file = csv_file(tmp_path, f"mouseName,notes\n{rows}")

    shown = good("--url", empty, "import", "csv", "mice", file, "--dry-run")
    document = told("--url", empty, "import", "csv", "mice", file, "--dry-run")

    assert "note 3" in shown
    assert "... and 5 more" in shown
    assert "15 good rows" in shown
    assert (document["rows"], document["imported"]) == (15, 0)
    assert told("--url", empty, "mice", "list") == []


def test_import_goes_on_where_nobody_can_be_asked(empty: str, tmp_path: Path):
    file = csv_file(tmp_path, "mouseName\nATL012\n")

    assert "1 row imported" in good("--url", empty, "import", "csv", "mice", file)


def test_each_problem_is_told_with_line_and_column(empty: str, tmp_path: Path):
    good("--url", empty, "mice", "add", "ATL012")
    file = csv_file(
        tmp_path,
        "mouseName,sessionDate,sessionID,numPlanes\n"
        "ATL012,2023-01-20,701,5\n"
        "ATL012,2023-01-32,702,5\n"
        "ATL012,2023-01-20,703,many\n"
        "NOBODY,2023-01-20,701,5\n"
        "ATL012,2023-01-20,701,5\n",
    )

    result = run("--url", empty, "import", "csv", "sessions", file, "--json")
    document = json.loads(result.stdout)
    shown = run("--url", empty, "import", "csv", "sessions", file)

    assert (result.exit_code, shown.exit_code) == (2, 2)
    assert [(problem["line"], problem["column"]) for problem in document["problems"]] == [
        (3, "sessionDate"),
        (4, "numPlanes"),
        (5, "mouseName"),
        (6, None),
    ]
    assert document["imported"] == 0
    assert "line 4, column numPlanes" in shown.stdout
    assert "4 problems; nothing was imported" in shown.stderr
    assert told("--url", empty, "sessions", "list") == []


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("", "utf-8"),
        ("mouseName\nÄ1\n", "latin-1"),
        ('mouseName\n"ATL\n', "utf-8"),
    ],
    ids=["empty", "latin-1", "quote"],
)
def test_file_that_is_no_csv_is_refused(empty: str, tmp_path: Path, text: str, encoding: str):
    file = csv_file(tmp_path, text, encoding=encoding)

    refused("--url", empty, "import", "csv", "mice", file, code=2)

    assert told("--url", empty, "mice", "list") == []


@pytest.mark.parametrize("words", [["mice", "missing.csv"], ["rats", "x.csv"], ["mice", "."]])
def test_what_cannot_be_imported_is_refused(empty: str, words: list[str]):
    refused("--url", empty, "import", "csv", *words, code=2)


def test_odd_rows_are_warned_of_and_come_in(empty: str, tmp_path: Path):
    good("--url", empty, "mice", "add", "ATL012")
    file = csv_file(
        tmp_path, "mouseName,sessionDate,sessionID,sessionQC\nATL012,2023-01-20,701,0\n"
    )

    document = told("--url", empty, "import", "csv", "sessions", file)
    again = run("--url", empty, "import", "csv", "sessions", file)

    assert (document["imported"], len(document["warnings"])) == (1, 1)
    assert "warning: line 2" in again.stdout
    assert "already" in again.stdout
