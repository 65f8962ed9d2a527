"""``vrtracker outdated``: listed, marked, made again."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.command_line import good, refused, run, told
from vrtracker.cli.exits import Exit

KEYS = [f"ATL012.2023-01-20.{number}" for number in (701, 702)]
OPTIONS = "support.registrars:options_of"


@pytest.fixture
def lab(empty: str, tmp_path: Path) -> tuple[str, ...]:
    """Return the options for a lab of two sessions, registered with the option fs=6."""
    lab = ("--url", empty, "--root", str(tmp_path / "lab"))
    good(*lab, "mice", "add", "ATL012")
    for key in KEYS:
        good(*lab, "sessions", "add", key)
        (tmp_path / "lab").joinpath(*key.split(".")).mkdir(parents=True)
    good(*lab, "register", "--registrar", OPTIONS, "--option", "fs=6")
    return lab


def look(lab, *words: object):
    return told(*lab, "outdated", "--registrar", OPTIONS, "--option", "fs=7", *words)


def test_what_differs_is_listed_and_nothing_written(lab):
    document = look(lab, "--where", "sessionID=702")
    assert document == {
        "stage": "registration",
        "registrar": OPTIONS,
        "version": None,
        "compared": 1,
        "outdated": KEYS[1:],
        "differences": [{"key": KEYS[1], "what": "option fs", "old": 6, "new": 7}],
        "marked": [],
        "applied": False,
    }
    result = run(*lab, "outdated")
    assert f"registrar  {OPTIONS}  alf" in result.stdout
    assert "2 sessions compared with alf (1), 2 outdated" in result.stdout
    assert "--apply" in result.stderr
    assert told(*lab, "why-not", KEYS[0])["state"] == "done"


def test_applied_it_is_stale_explained_and_made_again(lab):
    document = look(lab, "--apply")
    assert (document["marked"], document["applied"]) == (KEYS, True)
    why = told(*lab, "why-not", KEYS[0])
    assert why["state"] == "stale"
    assert "option fs: 6 -> 7" in why["reasons"][0]["message"]
    assert [row["key"] for row in told(*lab, "needs", "--include-stale")] == KEYS
    good(*lab, "register", "--registrar", OPTIONS, "--option", "fs=7", "--include-stale")
    assert (look(lab)["compared"], look(lab)["outdated"]) == (2, [])


def test_applying_says_what_to_do_next(lab):
    shown = good(*lab, "outdated", "--apply")
    assert "2 sessions marked as stale" in shown
    assert "register --include-stale" in shown


@pytest.mark.parametrize(
    "words",
    [["--stage", "red_cell_qc"], ["--stage", "nope"], ["--registrar", "nope"], ["--option", "x"]],
    ids=" ".join,
)
def test_wrong_options_are_refused(lab, words):
    refused(*lab, "outdated", *words, code=Exit.BAD_INPUT)
