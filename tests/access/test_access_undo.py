"""What a broken commit leaves is undone, and nothing that somebody put there since is lost."""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path

import pytest

from support.permissions import bound_by_permissions
from support.sample_lab import open_lab
from vrtracker.backends.access import undo
from vrtracker.database.migration import upgrade
from vrtracker.errors import ReadOnlyError
from vrtracker.services.administration.adoption import adopt

LONG_AGO_S = 24 * 3600.0


@pytest.fixture
def file(tmp_path, put_migrated) -> Path:
    path = put_migrated(tmp_path / "lab.accdb")
    with open_lab(str(path)) as tracker:
        tracker.mice.add("M1")
    return path


@pytest.fixture
def copy(file) -> Path:
    """Return the copy that a commit leaves when its process does not survive it."""
    target = file.with_name(f"{file.name}.vrtracker-undo")
    shutil.copyfile(file, target)
    return target


@pytest.fixture
def restored(file, copy, put_migrated) -> bytes:
    """Return what somebody has put in the file's place since."""
    return put_migrated(file).read_bytes()


def mice(path: Path) -> list[str]:
    with open_lab(str(path), readonly=True) as tracker:
        return sorted(tracker.mice.frame()["mouseName"])


def dated(path: Path) -> list[Path]:
    return sorted(path.parent.glob("lab.before-*.accdb"))


def set_age(path: Path, *, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then))


def test_what_a_broken_commit_has_half_written_is_not_kept(file, copy):
    with file.open("rb+") as stream:
        stream.seek(4096 * 30)
        stream.write(b"half" * 1024)

    assert mice(file) == ["M1"]

    assert not copy.exists()
    assert dated(file) == []


def test_file_that_a_broken_commit_had_not_yet_touched_is_not_kept(file, copy):
    set_age(file, seconds=LONG_AGO_S)

    assert mice(file) == ["M1"]

    assert dated(file) == []


@pytest.mark.parametrize("age", ["with its old time", "with a new time"])
def test_file_that_was_put_back_by_hand_after_a_broken_commit_is_kept(
    file, copy, restored, caplog, age
):
    set_age(file if age == "with its old time" else copy, seconds=LONG_AGO_S)

    assert mice(file) == ["M1"]

    [kept] = dated(file)
    assert kept.read_bytes() == restored
    assert kept.name in caplog.text


def test_new_database_is_made_where_one_with_a_broken_commit_was_deleted(file, copy, caplog):
    wanted = copy.read_bytes()
    file.unlink()

    upgrade(file)

    assert mice(file) == []
    [kept] = dated(file)
    assert kept.read_bytes() == wanted
    assert kept.name in caplog.text
    assert not copy.exists()


def test_copy_that_cannot_be_put_back_is_an_error_that_names_it(file, copy):
    file.chmod(0o444)
    file.touch()

    with (
        bound_by_permissions(),
        pytest.raises(undo.OperationalError, match=f"{copy.name}.*cannot be put back"),
    ):
        undo.restore(file)

    assert copy.exists()


# -- a file that may not be written to -----------------------------------------------------------


@pytest.mark.parametrize("options", ["", "?daily_backup=no"])
def test_read_only_file_refuses_the_write_and_stays_readable(file, options):
    before = sorted(one.name for one in file.parent.iterdir())
    file.chmod(0o444)

    with bound_by_permissions():
        with (
            pytest.raises(ReadOnlyError, match="Make it writable"),
            open_lab(f"access:///{file}{options}") as tracker,
        ):
            tracker.mice.add("M2")
        assert mice(file) == ["M1"]

    assert sorted(one.name for one in file.parent.iterdir()) == before


def test_read_only_file_is_not_adopted(legacy_file):
    legacy_file.chmod(0o444)
    before = legacy_file.read_bytes()

    with bound_by_permissions(), pytest.raises(ReadOnlyError, match="Make it writable"):
        adopt(legacy_file)

    assert legacy_file.read_bytes() == before


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps no such permissions")
@pytest.mark.parametrize("folder_mode", [0o755, 0o555], ids=oct)
def test_read_only_file_is_backed_up(file, tmp_path, folder_mode):
    folder = file.parent / "shared"
    folder.mkdir()
    file = file.rename(folder / file.name)
    file.chmod(0o444)
    folder.chmod(folder_mode)
    with bound_by_permissions(), open_lab(str(file)) as tracker:
        made = tracker.back_up(tmp_path / "backups")

    assert made.path.read_bytes() == file.read_bytes()
