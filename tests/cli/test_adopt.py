"""Adopting a lab's own database from the shell."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import sqlalchemy as sa

from support.command_line import good, refused, run, told
from support.legacy import everything, make_table, mouse, session
from support.sample_lab import change_schema
from vrtracker.database.versions import HEAD

DAY = "2023-01-20 00:00:00"
TEXT_DATES = {"sessionDate": sa.Text()}


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """Return a lab's own database with an empty text and two live sessions of one key."""
    path = tmp_path / "a lab.db"
    make_table(str(path), "mousedb", [mouse(1, "ATL012", environmentOrder="")])
    return path


def with_sessions(path: Path, *numbers: int) -> str:
    rows = [session(at, "ATL012", DAY, number) for at, number in enumerate(numbers, start=1)]
    make_table(str(path), "sessiondb", rows, types=TEXT_DATES)
    return str(path)


def test_plan_is_shown_and_ends_with_the_command_that_carries_it_out(lab):
    url = with_sessions(lab, 701, 702)
    before = everything(url)

    shown = good("db", "adopt", url)

    assert "empty text" in shown
    assert "mousedb.environmentOrder" in shown
    assert shown.splitlines()[-1] == f"  vrtracker db adopt '{url}' --apply"
    assert everything(url) == before


def test_apply_carries_the_plan_out(lab):
    url = with_sessions(lab, 701, 702)

    result = run("--actor", "ada", "db", "adopt", url, "--apply")

    assert result.exit_code == 0, result.output
    assert "adopted" in result.stdout
    assert result.stderr.splitlines() == [
        "inspecting …",
        "copying and changing …",
        "checking every value …",
    ]
    assert told("--url", url, "status")["sessions"] == 2
    assert told("--url", url, "history", "ATL012")[0]["actor"] == "ada"
    assert good("--url", url, "db", "check").endswith("no differences\n")


def test_what_stands_in_the_way_ends_with_1_and_nothing_is_applied(lab):
    url = with_sessions(lab, 701, 701)
    before = everything(url)

    plain, applied = run("db", "adopt", url), run("db", "adopt", url, "--apply")

    assert (plain.exit_code, applied.exit_code) == (1, 1)
    assert "stand in the way" in plain.stdout
    assert plain.stdout == applied.stdout
    assert everything(url) == before


def test_report_is_one_document(lab):
    url = with_sessions(lab, 701, 701)

    result = run("db", "adopt", url, "--json")
    document = json.loads(result.stdout)

    assert result.exit_code == 1
    assert document["rows"] == {"sessiondb": 2, "mousedb": 1}
    assert (document["adopted"], document["applied"]) == (False, False)
    [wrong] = [one for one in document["findings"] if one["stands_in_the_way"]]
    assert wrong == {
        "kind": "duplicate session",
        "table": "sessiondb",
        "column": None,
        "count": 2,
        "examples": [f"uSessionID {at} (ATL012.2023-01-20.701)" for at in (1, 2)],
        "stands_in_the_way": True,
        "remedy": "scratch or delete all but one, or give them other numbers.",
    }


def test_applied_report_is_one_document_too(lab):
    url = with_sessions(lab, 701)

    document = told("db", "adopt", url, "--apply")

    assert (document["adopted"], document["applied"]) == (True, True)
    assert (document["revision"], document["url"]) == (HEAD, url)


def test_adopted_database_says_so(lab):
    url = with_sessions(lab, 701)
    good("db", "adopt", url, "--apply")

    shown = good("--url", url, "db", "adopt", "--apply")

    assert f"already, at revision {HEAD}" in shown
    assert shown.splitlines()[-1] == f"Next: vrtracker --url '{url}' status"


def test_other_database_is_refused(tmp_path):
    url = str(tmp_path / "music.db")
    change_schema(url, lambda op: op.create_table("songs", sa.Column("name", sa.Text())))

    assert "neither sessiondb nor mousedb" in refused("db", "adopt", url, code=4)
    assert "no database" in refused("db", "adopt", tmp_path / "none.db", code=4)


def test_upgrade_of_a_labs_database_names_the_remedy(lab):
    url = with_sessions(lab, 701)

    assert "vrtracker db adopt" in refused("--url", url, "db", "upgrade", code=4)
    assert "vrtracker db adopt" in refused("--url", url, "status", code=4)
