"""Backups and their way back, from the shell."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.command_line import good, refused, run, told


@pytest.fixture
def lab(tmp_path: Path) -> tuple[str, Path]:
    url = tmp_path / "lab.db"
    good("--url", url, "init")
    good("--url", url, "mice", "add", "ATL012")
    return ("--url", url)


def mice(lab) -> list[str]:
    return [row["mouseName"] for row in told(*lab, "mice", "list")]


def test_backup_is_written_and_restored(lab, tmp_path):
    made = told(*lab, "backup", "--to", tmp_path / "safe")
    good(*lab, "mice", "add", "ATL015")

    shown = good(*lab, "restore", made["path"], "--no-save", "--yes")

    assert "at revision" in shown
    assert mice(lab) == ["ATL012"]


def test_folder_comes_from_the_environment_and_old_ones_go(lab, tmp_path, monkeypatch):
    monkeypatch.setenv("VRTRACKER_BACKUPS", str(tmp_path / "safe"))

    shown = good(*lab, "backup", "--keep", "1")

    [kept] = (tmp_path / "safe").iterdir()
    assert str(kept) in shown


def test_restore_wants_to_be_told(lab, tmp_path):
    made = told(*lab, "backup", "--to", tmp_path / "safe")
    good(*lab, "mice", "add", "ATL015")

    error = refused(*lab, "restore", made["path"], code=2)

    assert "--yes" in error
    assert mice(lab) == ["ATL012", "ATL015"]


def test_restore_does_not_print_a_password(tmp_path):
    url = "postgresql://ada:secret@localhost:1/lab"
    result = run("--url", url, "restore", tmp_path / "lab.dump")

    assert result.exit_code == 2
    assert "localhost" in result.output
    assert "secret" not in result.output


def test_backup_without_a_folder_names_the_variable(lab):
    assert "VRTRACKER_BACKUPS" in refused(*lab, "backup", code=2)
