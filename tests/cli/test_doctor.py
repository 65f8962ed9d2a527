"""``vrtracker doctor`` says what is wrong, and its exit code whether anything is."""

from __future__ import annotations

import json

from support.command_line import run


def test_healthy_lab_ends_well(demo):
    document = demo.told("doctor")

    assert {tuple(check) for check in document["checks"]} == {
        ("name", "status", "message", "remedy")
    }
    assert {check["status"] for check in document["checks"]} <= {"ok", "skipped"}


def test_damage_and_a_missing_root_end_with_exit_code_one(demo, tmp_path):
    url = tmp_path / "damaged.db"
    url.write_bytes(b"no database" * 1000)

    result = run("--url", url, "--root", tmp_path / "away", "doctor", "--json")

    assert result.exit_code == 1, result.output
    found = {each["name"]: each for each in json.loads(result.stdout)["checks"]}
    assert found["database"]["status"] == found["root"]["status"] == "error"
    assert found["database"]["remedy"]


def test_people_read_what_to_do_below_the_table(demo):
    result = run("--url", demo.url, "--root", demo.root / "away", "doctor")

    assert result.exit_code == 1
    assert "root: It may be a drive that is not mounted" in result.stdout


def test_password_is_not_shown(demo):
    secret = "correcthorse"
    url = f"postgresql://ann:{secret}@127.0.0.1:1/lab"

    result = run("--url", url, "doctor", "--json")

    assert result.exit_code == 1
    assert secret not in result.output
