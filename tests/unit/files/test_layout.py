"""Session folders are found in every layout, and a missing drive is not a missing session."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from vrtracker.domain.keys import SessionKey
from vrtracker.errors import RootUnavailableError
from vrtracker.files.layout import ONE_DATA, SUITE2P, SessionFolders

KEY = SessionKey("ATL012", dt.date(2023, 1, 20), 1)
DATE = Path("ATL012", "2023-01-20")


def make(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def test_names_are_those_on_disk():
    assert (SUITE2P, ONE_DATA) == ("suite2p", "oneData")


@pytest.mark.parametrize("number", ["1", "001"])
@pytest.mark.parametrize("parent", [".", "cortexlab/Subjects"])
def test_find_knows_each_layout(tmp_path, parent, number):
    folder = make(tmp_path / parent / DATE / number)

    assert SessionFolders(tmp_path).find(KEY) == folder


def test_find_prefers_the_unpadded_number(tmp_path):
    make(tmp_path / DATE / "001")
    unpadded = make(tmp_path / DATE / "1")

    assert SessionFolders(tmp_path).find(KEY) == unpadded


def test_find_prefers_the_root_to_a_lab(tmp_path):
    make(tmp_path / "alab" / "Subjects" / DATE / "1")
    own = make(tmp_path / DATE / "001")

    assert SessionFolders(tmp_path).find(KEY) == own


def test_find_takes_the_first_lab_by_name(tmp_path):
    make(tmp_path / "zlab" / "Subjects" / DATE / "1")
    first = make(tmp_path / "alab" / "Subjects" / DATE / "1")

    assert SessionFolders(tmp_path).find(KEY) == first


@pytest.mark.parametrize("other", ["01", "0001", "11"])
def test_find_ignores_other_numbers(tmp_path, other):
    make(tmp_path / DATE / other)

    assert SessionFolders(tmp_path).find(KEY) is None


def test_find_ignores_a_file_of_that_name(tmp_path, put):
    put(tmp_path / DATE / "1")

    assert SessionFolders(tmp_path).find(KEY) is None


def test_find_below_a_missing_root_is_none(tmp_path):
    assert SessionFolders(tmp_path / "nowhere").find(KEY) is None


def test_find_does_not_take_a_refusal_for_absence(plain_user_folder):
    make(plain_user_folder / DATE / "1")
    (plain_user_folder / "ATL012").chmod(0)

    with pytest.raises(RootUnavailableError, match=r"cannot be searched for ATL012\.2023-01-20\.1"):
        SessionFolders(plain_user_folder).find(KEY)


def test_find_passes_over_what_the_system_lets_nobody_read(plain_user_folder):
    (plain_user_folder / "lost+found").mkdir(mode=0)

    assert SessionFolders(plain_user_folder).find(KEY) is None


def test_path_is_the_folder_found(tmp_path):
    folder = make(tmp_path / DATE / "001")

    assert SessionFolders(tmp_path).path(KEY) == folder


def test_path_of_a_new_session_is_canonical_and_not_made(tmp_path):
    path = SessionFolders(tmp_path).path(KEY)

    assert path == tmp_path / DATE / "1"
    assert list(tmp_path.iterdir()) == []


def test_root_may_be_given_as_text(tmp_path):
    assert SessionFolders(str(tmp_path)).root == tmp_path


def test_check_accepts_a_root_with_something_in_it(tmp_path):
    make(tmp_path / "analysis")

    SessionFolders(tmp_path).check()


def test_check_refuses_a_missing_root(tmp_path):
    missing = tmp_path / "drive"

    with pytest.raises(RootUnavailableError, match=r"drive.*does not exist.*not mounted"):
        SessionFolders(missing).check()


def test_check_refuses_a_file(tmp_path, put):
    file = put(tmp_path / "lab.db")

    with pytest.raises(RootUnavailableError, match=r"lab\.db.*is not a folder"):
        SessionFolders(file).check()


@pytest.mark.parametrize("leftover", [None, ".Trash-1000", "lost+found"])
def test_check_refuses_an_empty_mount_point(tmp_path, leftover):
    if leftover:
        make(tmp_path / leftover)

    with pytest.raises(RootUnavailableError, match="is empty"):
        SessionFolders(tmp_path).check()


def test_check_refuses_an_unreadable_root(plain_user_folder):
    plain_user_folder.chmod(0)

    with pytest.raises(RootUnavailableError, match="cannot be read") as caught:
        SessionFolders(plain_user_folder).check()

    assert isinstance(caught.value.__cause__, PermissionError)
