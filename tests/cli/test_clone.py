"""``vrtracker clone``: what it writes, and how it is refused."""

from __future__ import annotations

from pathlib import Path

import vrtracker
from support.command_line import good, refused, told
from support.sample_lab import table_counts
from vrtracker.database.versions import HEAD


def test_counts_of_every_table_are_shown(sample, tmp_path: Path):
    copy = tmp_path / "copy.db"

    lines = good("clone", sample.url, copy).splitlines()

    counts = table_counts(str(copy))
    shown = dict(line.split()[:2] for line in lines[1:-1])
    assert shown == {name: str(rows) for name, rows in counts.items() if name != "alembic_version"}
    assert lines[-1] == f"{sample.url} was copied to {copy}, at revision {HEAD}"
    with vrtracker.open(copy) as new, sample.open() as old:
        assert new.sessions.frame().equals(old.sessions.frame())


def test_json_tells_rows_and_hash_of_every_table(sample, tmp_path: Path):
    copy, again = tmp_path / "copy.db", tmp_path / "again.db"

    document = told("clone", sample.url, copy)

    assert (document["source"], document["destination"]) == (sample.url, str(copy))
    assert document["revision"] == HEAD
    assert {table["name"]: table["rows"] for table in document["tables"]}["mousedb"] == 3
    assert told("clone", copy, again)["tables"] == document["tables"]


def test_a_whole_copy_is_not_brought_down_to_a_part_unless_one_says_so(sample, tmp_path: Path):
    copy = tmp_path / "copy.db"
    good("clone", sample.url, copy)
    part = ("clone", sample.url, copy, "--update", "--mouse", "DEMO001")

    assert "are not of what passes" in refused(*part, code=2)
    assert told(*part, "--yes")["tables"]


def test_sessions_that_pass_filters_are_copied_alone(sample, tmp_path: Path):
    copy = tmp_path / "copy.db"
    with sample.open() as tracker:
        mouse = tracker.mice.frame().mouseName[0]
        expected = tracker.sessions.count(mouseName=mouse, include_scratched=True)

    document = told("clone", sample.url, copy, "--mouse", mouse)

    assert {each["name"]: each["rows"] for each in document["tables"]}["sessiondb"] == expected
    nobody = refused("clone", sample.url, tmp_path / "no.db", "--mouse", "X", code=2)
    assert "no mouse 'X'" in nobody
    none = refused("clone", sample.url, tmp_path / "no.db", "--since", "2999-01-01", code=2)
    assert "No session" in none
    assert not (tmp_path / "no.db").exists()


def test_database_is_baked_in_a_size(sample, tmp_path: Path):
    document = told("--url", sample.url, "bake", tmp_path / "small.db", "--size", "small")

    assert {each["name"]: each["rows"] for each in document["tables"]}["sessiondb"] > 0
    assert "medium" in refused(
        "--url", sample.url, "bake", tmp_path / "x.db", "--size", "s", code=2
    )


def test_database_is_moved_after_asking(demo, tmp_path: Path):
    new = tmp_path / "new.db"
    assert "--yes" in refused("--url", demo.url, "migrate-to", new, code=2)
    assert not new.exists()

    shown = good("--url", demo.url, "migrate-to", new, "--yes")

    assert f"was moved to {new}" in shown
    assert "was moved to" in refused("--url", demo.url, "mice", "add", "NEW", code=4)
    good("--url", new, "mice", "add", "NEW")


def test_destination_with_rows_is_a_conflict(sample, demo):
    assert "not empty" in refused("clone", sample.url, demo.url, code=5)


def test_same_file_is_bad_input(sample):
    assert "one database" in refused("clone", sample.url, sample.url, code=2)


def test_missing_source_is_unavailable(tmp_path: Path):
    missing = tmp_path / "missing.db"

    assert str(missing) in refused("clone", missing, tmp_path / "new.db", code=4)
    assert not list(tmp_path.iterdir())


def test_url_before_the_command_is_refused(sample, tmp_path: Path):
    line = refused("--url", sample.url, "clone", sample.url, tmp_path / "new.db", code=2)

    assert "leave out --url" in line
    assert not list(tmp_path.iterdir())
