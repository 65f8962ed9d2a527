"""One file is one database, whatever name it is reached by."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from support.sample_lab import open_lab
from vrtracker.backends.access import ucanaccess
from vrtracker.errors import BackendError
from vrtracker.services.administration.adoption import adopt

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="links need a right there")


@pytest.fixture
def file(tmp_path, put_migrated) -> Path:
    (tmp_path / "data").mkdir()
    return put_migrated(tmp_path / "data" / "lab.accdb")


@pytest.fixture(params=["link to the file", "link to the folder", "dots", "relative"])
def other_name(request, file, tmp_path, monkeypatch) -> str:
    """Return another spelling of the file's path."""
    if request.param == "link to the file":
        (tmp_path / "link.accdb").symlink_to(file)
        return str(tmp_path / "link.accdb")
    if request.param == "link to the folder":
        (tmp_path / "link").symlink_to(file.parent)
        return str(tmp_path / "link" / file.name)
    monkeypatch.chdir(file.parent)
    return str(file.parent / ".." / "data" / file.name) if request.param == "dots" else file.name


def test_writes_under_two_names_are_all_there(file, other_name):
    with open_lab(str(file)) as one, open_lab(f"access:///{other_name}") as other:
        one.mice.add("M1")
        other.mice.add("M2")
        one.mice.add("M3")

        assert sorted(other.mice.frame()["mouseName"]) == ["M1", "M2", "M3"]


def test_driver_sees_under_one_name_what_was_written_under_another(file, other_name):
    with ucanaccess.connect(file) as one, ucanaccess.connect(other_name) as other:
        one.cursor().execute("INSERT INTO mousedb (mouseName) VALUES ('M1')")
        one.commit()

        assert other.cursor().execute("SELECT COUNT(*) FROM mousedb").fetchone() == (1,)


def test_relative_url_stays_with_its_file_when_the_program_changes_folder(
    file, tmp_path, monkeypatch
):
    (tmp_path / "elsewhere").mkdir()
    shutil.copy(file, tmp_path / "elsewhere" / file.name)
    monkeypatch.chdir(file.parent)
    with open_lab("access:///lab.accdb") as tracker:
        monkeypatch.chdir(tmp_path / "elsewhere")
        tracker.mice.add("M1")

    with open_lab(str(file)) as tracker:
        assert list(tracker.mice.frame()["mouseName"]) == ["M1"]


def test_adoption_through_a_link_changes_the_file_and_keeps_the_link(legacy_file):
    link = legacy_file.with_name("link.accdb")
    link.symlink_to(legacy_file)

    adopt(link)

    assert link.is_symlink()
    with open_lab(str(legacy_file)) as tracker:
        assert tracker.mice.count() > 0


def test_file_that_access_has_open_is_not_written_to_through_a_link(file, tmp_path):
    link = tmp_path / "link.accdb"
    link.symlink_to(file)
    file.with_suffix(".laccdb").write_bytes(b"RIG-3".ljust(32, b"\0") + b"Ann".ljust(32, b"\0"))

    with (
        open_lab(f"access:///{link}") as tracker,
        pytest.raises(BackendError, match="Ann on RIG-3"),
    ):
        tracker.mice.add("M1")
