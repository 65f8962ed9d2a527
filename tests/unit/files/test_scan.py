"""A scan finds all sessions of a root, says what it skipped, and never crashes on a folder."""

from __future__ import annotations

import os
import sys

import pytest

from vrtracker.errors import RootUnavailableError
from vrtracker.files.scan import scan


@pytest.fixture
def lab(tmp_path):
    def make(*folders: str):
        for folder in folders:
            (tmp_path / folder).mkdir(parents=True)
        return tmp_path

    return make


def keys(result) -> list[str]:
    return [str(session.key) for session in result.found]


def skipped(result, root) -> dict[str, str]:
    return {skip.path.relative_to(root).as_posix(): skip.reason for skip in result.skipped}


@pytest.mark.parametrize(
    ("folder", "key"),
    [
        ("ATL012/2023-01-20/701", "ATL012.2023-01-20.701"),
        ("ATL012/2023-01-20/1", "ATL012.2023-01-20.1"),
        ("ATL012/2023-01-20/001", "ATL012.2023-01-20.1"),
        ("CR_Hippo-7.b/2023-01-20/0", "CR_Hippo-7.b.2023-01-20.0"),
        ("cortexlab/Subjects/ATL012/2023-01-20/701", "ATL012.2023-01-20.701"),
        ("cortexlab/Subjects/ATL012/2023-01-20/001", "ATL012.2023-01-20.1"),
        ("Subjects/2023-01-20/701", "Subjects.2023-01-20.701"),
    ],
)
def test_scan_finds_each_layout(lab, folder, key):
    root = lab(folder)

    result = scan(root)

    assert keys(result) == [key]
    assert result.found[0].folder == root / folder
    assert result.skipped == ()


def test_scan_probes_each_session(lab, put):
    root = lab("ATL012/2023-01-20/701")
    put(root / "ATL012/2023-01-20/701/2023-01-20_701_ATL012_Timeline.mat")

    assert scan(root).found[0].probe.timeline


def test_scan_is_sorted_by_key(lab):
    root = lab(
        "B/2023-01-20/10",
        "B/2023-01-20/9",
        "B/2022-12-31/701",
        "zlab/Subjects/A/2023-01-20/1",
    )

    assert keys(scan(root)) == [
        "A.2023-01-20.1",
        "B.2022-12-31.701",
        "B.2023-01-20.9",
        "B.2023-01-20.10",
    ]


@pytest.mark.parametrize(
    "folder",
    [
        "vrDatabaseManagement",
        "analysis/figures/2023-01-20",
        "ATL012/ROICaT2025",
        "ATL012/2023-01-20/analysis",
        "ATL012/2023-01-20-old/701",
        "ATL012/2023-01-20/701b",
        "my notes/papers",
        ".trash/2023-01-20/701",
        "ATL012/.cache/701",
        "cortexlab/Subjects/.hidden/2023-01-20/701",
    ],
)
def test_ordinary_folders_are_passed_over_in_silence(lab, folder):
    result = scan(lab(folder, "docs"))

    assert result.found == ()
    assert result.skipped == ()


def test_files_are_passed_over_in_silence(lab, put):
    root = lab("ATL012/2023-01-20")
    put(root / "ATL012/2023-01-20/701")
    put(root / "ATL012/2023-01-21")
    put(root / "readme.txt")

    result = scan(root)

    assert (result.found, result.skipped) == ((), ())


@pytest.mark.parametrize(
    ("folder", "at", "reason"),
    [
        ("A/2023-02-30/701", "A/2023-02-30", "not a date that exists"),
        ("A/0000-01-01/701", "A/0000-01-01", "not a date that exists"),
        ("A/2023-1-5/701", "A/2023-1-5", "Name it 2023-01-05"),
        ("A/2023-01-20/01", "A/2023-01-20/01", "Name it 1 or 001"),
        ("A/2023-01-20/99999999999", "A/2023-01-20/99999999999", "not a session number"),
        ("A B/2023-01-20/701", "A B", "'A B' is not a mouse name"),
        ("lab/Subjects/A+/2023-01-20/1", "lab/Subjects/A+", "'A+' is not a mouse name"),
    ],
)
def test_what_looks_like_a_session_is_skipped_with_a_reason(lab, folder, at, reason):
    root = lab(folder, "GOOD/2023-01-20/701")

    result = scan(root)

    assert keys(result) == ["GOOD.2023-01-20.701"]
    assert list(skipped(result, root)) == [at]
    assert reason in skipped(result, root)[at]


def test_second_spelling_of_a_number_is_skipped(lab):
    root = lab("A/2023-01-20/001", "A/2023-01-20/1")

    result = scan(root)

    assert result.found[0].folder == root / "A/2023-01-20/1"
    reason = skipped(result, root)["A/2023-01-20/001"]
    assert "A.2023-01-20.1 again" in reason
    assert repr(str(root / "A/2023-01-20/1")) in reason


def test_second_place_of_a_session_is_skipped(lab):
    root = lab("alab/Subjects/B/2023-01-20/1", "B/2023-01-20/001")

    result = scan(root)

    assert result.found[0].folder == root / "B/2023-01-20/001"
    assert list(skipped(result, root)) == ["alab/Subjects/B/2023-01-20/1"]


@pytest.mark.parametrize("mice", [["B"], {"B", "nobody"}, ("B",), "B"])
def test_scan_is_limited_to_some_mice(lab, mice):
    root = lab("A/2023-01-20/1", "lab/Subjects/B/2023-01-20/1", "C D/2023-01-20/1")

    result = scan(root, mice=mice)

    assert keys(result) == ["B.2023-01-20.1"]
    assert result.skipped == ()


needs_both_cases = pytest.mark.skipif(
    os.name == "nt" or sys.platform == "darwin", reason="folders do not tell the case of letters"
)


@pytest.mark.parametrize("folder", ["atl012", "lab/Subjects/atl012"])
@pytest.mark.parametrize("mice", [None, ["ATL012"]])
def test_folder_that_differs_from_its_mouse_in_case_is_skipped(lab, folder, mice):
    root = lab(f"{folder}/2023-01-20/1", "B/2023-01-20/1")

    result = scan(root, mice=mice, known=["ATL012", "B"])

    assert keys(result) == ([] if mice else ["B.2023-01-20.1"])
    assert list(skipped(result, root)) == [folder]
    assert "Name it ATL012" in skipped(result, root)[folder]


@needs_both_cases
def test_two_folders_that_differ_in_case_are_of_one_mouse_alone(lab):
    root = lab("B1/2023-01-20/1", "b1/2023-01-20/2")

    result = scan(root)

    assert keys(result) == ["B1.2023-01-20.1"]
    assert "Name it B1" in skipped(result, root)["b1"]


def test_folder_without_sessions_may_be_spelled_like_a_mouse(lab):
    root = lab("atl012/docs", "lab/Subjects/ATL012/2023-01-20/1")

    result = scan(root)

    assert (keys(result), result.skipped) == (["ATL012.2023-01-20.1"], ())


def test_no_mice_at_all_find_nothing(lab):
    assert scan(lab("A/2023-01-20/1"), mice=[]).found == ()


def test_progress_counts_the_sessions(lab):
    root = lab("A/2023-01-20/1", "A/2023-01-20/2", "B/2023-01-20/1")
    seen: list[int] = []

    scan(root, progress=seen.append)

    assert seen == [1, 2, 3]


def test_loops_of_links_are_survived(lab):
    root = lab("A/2023-01-20/1")
    (root / "A" / "loop").symlink_to(root, target_is_directory=True)
    (root / "A" / "2023-01-20" / "2").symlink_to(root / "A", target_is_directory=True)
    (root / "itself").symlink_to(root / "itself")
    (root / "lab").mkdir()
    (root / "lab" / "Subjects").symlink_to(root, target_is_directory=True)

    result = scan(root)

    assert keys(result) == ["A.2023-01-20.1", "A.2023-01-20.2"]
    assert set(skipped(result, root)) == {
        "itself",
        "lab/Subjects/itself",
        "lab/Subjects/A/2023-01-20/1",
        "lab/Subjects/A/2023-01-20/2",
    }


def test_mouse_on_another_drive_is_found_through_its_link(lab, tmp_path_factory):
    root = lab("analysis")
    other = tmp_path_factory.mktemp("other")
    (other / "A" / "2023-01-20" / "1").mkdir(parents=True)
    (root / "A").symlink_to(other / "A", target_is_directory=True)

    assert keys(scan(root)) == ["A.2023-01-20.1"]


@pytest.mark.parametrize(
    "closed",
    ["B", "B/2023-01-20", "B/2023-01-20/1", "B/2023-01-20/1/suite2p", "lab/Subjects"],
)
def test_unreadable_folder_is_skipped_with_a_reason(plain_user_folder, closed):
    for folder in ("A/2023-01-20/1", "B/2023-01-20/1/suite2p", "lab/Subjects/C/2023-01-20/1"):
        (plain_user_folder / folder).mkdir(parents=True)
    (plain_user_folder / closed).chmod(0)

    result = scan(plain_user_folder)

    assert "A.2023-01-20.1" in keys(result)
    assert len(result.found) == 2
    reasons = skipped(result, plain_user_folder)
    assert set(reasons) - {"B/Subjects"} == {closed.removesuffix("/suite2p")}
    assert all("Permission denied" in reason for reason in reasons.values())


def test_what_may_be_an_unreadable_lab_is_told_whichever_mice_are_wanted(plain_user_folder):
    for folder in ("A/2023-01-20/1", "lab/Subjects/C/2023-01-20/1"):
        (plain_user_folder / folder).mkdir(parents=True)
    (plain_user_folder / "lab").chmod(0)

    result = scan(plain_user_folder, mice=["A"])

    assert keys(result) == ["A.2023-01-20.1"]
    assert list(skipped(result, plain_user_folder)) == ["lab/Subjects"]


@pytest.mark.parametrize("name", ["lost+found", "System Volume Information", "$RECYCLE.BIN"])
def test_folders_of_the_system_itself_are_passed_over_in_silence(plain_user_folder, name):
    (plain_user_folder / "A/2023-01-20/1").mkdir(parents=True)
    (plain_user_folder / name).mkdir(mode=0)

    result = scan(plain_user_folder)

    assert keys(result) == ["A.2023-01-20.1"]
    assert result.skipped == ()


@pytest.mark.parametrize("target", ["itself", "nothing"])
@pytest.mark.parametrize(
    "place",
    ["B", "lab/Subjects", "lab/Subjects/B", "B/2023-01-20", "B/2023-01-20/7", "B/2023-01-20/007"],
)
def test_a_link_that_cannot_be_followed_is_skipped_with_a_reason(lab, place, target):
    root = lab("A/2023-01-20/1")
    link = root / place
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(link if target == "itself" else root / "unmounted")

    result = scan(root)

    assert keys(result) == ["A.2023-01-20.1"]
    assert list(skipped(result, root)) == [place]


def test_a_link_into_an_unreadable_place_is_skipped_with_a_reason(plain_user_folder):
    root = plain_user_folder / "root"
    for folder in (root / "A/2023-01-20/1", plain_user_folder / "closed/B/2023-01-20/1"):
        folder.mkdir(parents=True)
    (root / "B").symlink_to(plain_user_folder / "closed/B")
    (plain_user_folder / "closed").chmod(0)

    result = scan(root)

    assert keys(result) == ["A.2023-01-20.1"]
    assert "Permission denied" in skipped(result, root)["B"]


def test_links_that_are_no_sessions_may_lead_nowhere(lab, put):
    root = lab("A/2023-01-20/1")
    (root / "A/latest").symlink_to(root / "gone")
    (root / "A/2023-01-20/notes.txt").symlink_to(root / "gone")
    (root / ".hidden").symlink_to(root / "gone")
    (root / "readme.txt").symlink_to(put(root / "notes.txt"))

    assert scan(root).skipped == ()


@pytest.mark.skipif(os.name == "nt", reason="names are Unicode there")
def test_undecodable_name_is_survived(lab):
    root = lab("A/2023-01-20/1")
    (root / os.fsdecode(b"M\xff") / "2023-01-20" / "1").mkdir(parents=True)

    result = scan(root)

    assert keys(result) == ["A.2023-01-20.1"]
    assert result.skipped[0].reason.encode("utf-8")


@pytest.mark.parametrize("name", ["nowhere", "empty", "file"])
def test_unavailable_root_is_refused(tmp_path, put, name):
    (tmp_path / "empty").mkdir()
    put(tmp_path / "file")

    with pytest.raises(RootUnavailableError, match=name):
        scan(tmp_path / name)
