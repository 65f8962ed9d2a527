"""The files of sessions from the shell."""

from __future__ import annotations

import pytest

from support.command_line import refused, run, told

FIRST = "DEMO001.2023-01-18.701"
SHAPE = ["path", "size", "sha256", "revision", "qc", "exists"]


def test_list_shows_the_files_of_a_session(demo):
    demo.told("datasets", "scan", FIRST)

    rows = demo.told("datasets", "list", FIRST)

    assert list(rows[0])[: len(SHAPE)] == SHAPE
    assert all(
        len(row["sha256"]) == 64 and row["exists"] and row["qc"] == "NOT_SET" for row in rows
    )
    assert rows[0]["path"] in demo.good("datasets", "list", FIRST)


def test_scan_tells_what_it_found(demo):
    first = demo.told("datasets", "scan", "--all")
    again = demo.told("datasets", "scan", "--mouse", "DEMO001")

    assert first["sessions"] > again["sessions"] > 0
    assert (first["problems"], again["updated"], again["hashed"]) == ([], 0, 0)
    assert "looked at" in demo.good("datasets", "scan", FIRST)


def test_problem_in_a_session_ends_the_scan_with_its_code(demo):
    folder = demo.root / "DEMO001" / "2023-01-18" / "701"
    (folder / "licks.times.npy").symlink_to(folder / "nothing")

    result = run(*demo.options, "datasets", "scan", "--all")

    assert result.exit_code == 3
    assert f"problem: {FIRST}: " in result.stdout


def test_verify_ends_with_no_where_a_file_was_changed(demo):
    demo.told("datasets", "scan", FIRST)
    path = demo.told("datasets", "list", FIRST)[0]["path"]
    assert demo.told("datasets", "verify", FIRST)["changed"] == []
    (demo.root / "DEMO001" / "2023-01-18" / "701" / path).write_bytes(b"other")

    result = run(*demo.options, "datasets", "verify", FIRST)

    assert result.exit_code == 1
    assert path in result.stdout


@pytest.mark.parametrize("verb", ["scan", "verify", "prune"])
@pytest.mark.parametrize("words", [[], [FIRST, "--all"], [FIRST, "--mouse", "DEMO001"]])
def test_which_sessions_are_meant_is_said_once(demo, verb: str, words: list[str]):
    assert "one of them" in refused(*demo.options, "datasets", verb, *words, code=2)


def test_no_root_is_one_error(demo):
    assert "root" in refused(
        "--url", demo.url, "--root", demo.root / "no", "datasets", "scan", "--all", code=4
    )
    assert told("--url", demo.url, "datasets", "list", FIRST)


def test_prune_lists_and_takes_away_and_restore_brings_back(demo):
    demo.told("datasets", "scan", "--all")
    stray = demo.root / "DEMO001" / "2023-01-18" / "701" / "stray.times.npy"
    stray.write_bytes(b"x")

    planned = demo.told("datasets", "prune", "--all")
    assert [one["path"] for one in planned["unknown"]] == ["stray.times.npy"]
    assert "to take away" in demo.good("datasets", "prune", FIRST)
    assert stray.exists()
    done = demo.told("datasets", "prune", FIRST, "--apply")
    assert not stray.exists()

    assert demo.told("datasets", "restore", done["name"])["files"] == 1
    assert stray.read_bytes() == b"x"
    assert "Nothing was pruned" in refused(*demo.options, "datasets", "restore", code=2)


def test_qc_that_was_decided_anew_is_told_beside_the_one_that_was_pruned(demo):
    file = demo.root / "DEMO001" / "2023-01-18" / "701" / "licks.times.npy"
    file.write_bytes(b"x")
    demo.told("datasets", "scan", FIRST)
    with demo.open() as tracker:
        tracker.workflow.set_dataset_qc(FIRST, file.name, "FAIL")
    file.unlink()
    name = demo.told("datasets", "prune", FIRST, "--apply")["name"]
    file.write_bytes(b"x")
    demo.told("datasets", "scan", FIRST)
    with demo.open() as tracker:
        tracker.workflow.set_dataset_qc(FIRST, file.name, "PASS")

    for _ in range(2):
        result = run(*demo.options, "datasets", "restore")

        assert result.exit_code == 3
        assert "licks.times.npy: is recorded again, QC there FAIL, here PASS" in result.stdout
        assert f"datasets restore {name}" in result.stderr
    assert name in refused(*demo.options, "datasets", "restore", "other", code=2)
