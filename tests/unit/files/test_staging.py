"""An output is replaced whole or not at all, whatever happens in between."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vrtracker.errors import InvalidValueError, NotFoundError, RegistrarError
from vrtracker.files import trees
from vrtracker.files.recovery import recover
from vrtracker.files.staging import Staging, SwapReport

RED = "mpciROIs.redCellIdx.npy"
OLD = {
    "licks.times.npy": b"old licks",
    "trials.choice.npy": b"old trials",
    "deep/er/mpci.times.npy": b"of a later stage",
    "notes.txt": b"of a person",
}
EARLIER = ("licks.times.npy", "trials.choice.npy")


@pytest.fixture
def session(tmp_path) -> Path:
    folder = tmp_path / "702"
    folder.mkdir()
    fill(folder / "oneData", OLD)
    (folder / "x_Timeline.mat").write_bytes(b"raw")
    return folder


def fill(folder: Path, files: dict[str, bytes]) -> None:
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def read(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def names(session: Path) -> set[str]:
    return {path.name for path in session.iterdir()}


def run(session: Path, files: dict[str, bytes], *, token: str = "1") -> Staging:
    staging = Staging.prepare(session, token=token)
    fill(staging.path, files)
    return staging


CLEAN = {"oneData", "x_Timeline.mat"}


def test_prepare_makes_an_empty_folder_beside_the_output(session):
    staging = Staging.prepare(session, token="a-1_B")

    assert staging.path == session / ".vrtracker-staging-a-1_B"
    assert list(staging.path.iterdir()) == []
    assert read(session / "oneData") == OLD


def test_discard_leaves_no_trace(session):
    staging = run(session, {"licks.times.npy": b"new"})

    staging.discard()

    assert names(session) == CLEAN
    assert read(session / "oneData") == OLD


def test_swap_puts_the_new_output_in_place_and_keeps_what_is_not_its_own(session):
    staging = run(session, {"licks.times.npy": b"new", "sub/wheel.times.npy": b"wheel"})

    report = staging.swap_in(earlier=EARLIER)

    kept = ("deep/er/mpci.times.npy", "notes.txt")
    assert report == SwapReport(("licks.times.npy", "sub/wheel.times.npy"), 8, kept, ())
    assert read(session / "oneData") == {
        "licks.times.npy": b"new",
        "sub/wheel.times.npy": b"wheel",
        "deep/er/mpci.times.npy": b"of a later stage",
        "notes.txt": b"of a person",
    }


def test_files_of_the_previous_run_that_are_not_written_again_go(session):
    staging = run(session, {"licks.times.npy": b"new"})

    staging.swap_in(earlier=EARLIER)

    assert not (session / "oneData" / "trials.choice.npy").exists()


def test_without_a_previous_run_nothing_is_dropped(session):
    staging = run(session, {"licks.times.npy": b"new"})

    staging.swap_in(earlier=())

    assert read(session / "oneData") == OLD | {"licks.times.npy": b"new"}


def test_carried_file_keeps_its_time(session):
    os.utime(session / "oneData" / "notes.txt", (1000, 1000))
    staging = run(session, {"licks.times.npy": b"new"})

    staging.swap_in(earlier=EARLIER)

    assert (session / "oneData" / "notes.txt").stat().st_mtime == 1000


def test_carried_file_is_copied_where_there_are_no_hard_links(session, monkeypatch):
    def refuse(*_):
        raise OSError(1, "not supported")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    os.utime(session / "oneData" / "notes.txt", (1000, 1000))
    staging = run(session, {"licks.times.npy": b"new"})

    staging.swap_in(earlier=EARLIER)
    staging.confirm()

    assert (session / "oneData" / "notes.txt").read_bytes() == b"of a person"
    assert (session / "oneData" / "notes.txt").stat().st_mtime == 1000


def test_read_only_and_linked_files_are_carried(session, tmp_path):
    (session / "oneData" / "notes.txt").chmod(0o444)
    (session / "oneData" / "linked").symlink_to(tmp_path, target_is_directory=True)
    staging = run(session, {"licks.times.npy": b"new"})

    report = staging.swap_in(earlier=EARLIER)
    staging.confirm()

    assert report.carried == ("deep/er/mpci.times.npy", "linked", "notes.txt")
    assert (session / "oneData" / "linked").readlink() == tmp_path
    assert (session / "oneData" / "notes.txt").read_bytes() == b"of a person"
    assert tmp_path.exists()


@pytest.mark.parametrize(("mode", "shared"), [(0o644, True), (0o444, False)])
def test_only_writable_files_are_shared_with_the_old_output(session, mode, shared):
    note = session / "oneData" / "notes.txt"
    note.chmod(mode)
    before = note.stat()
    staging = run(session, {"licks.times.npy": b"new"})

    staging.swap_in(earlier=EARLIER)

    assert os.path.samestat(before, note.stat()) is shared
    assert note.stat().st_mode == before.st_mode


def test_curated_file_beats_a_new_one_of_the_same_size(session):
    fill(session / "oneData", {RED: b"chosen"})
    staging = run(session, {RED: b"zeroes", "licks.times.npy": b"new"})

    report = staging.swap_in(earlier=(*EARLIER, RED))

    assert (session / "oneData" / RED).read_bytes() == b"chosen"
    assert RED in report.carried
    assert (report.files, report.bytes) == (("licks.times.npy",), 3)
    assert "curated" not in names(session)


def test_curated_file_of_another_size_gives_way_and_is_kept_aside(session):
    fill(session / "oneData", {RED: b"chosen", f"sub/{RED}": b"also"})
    staging = run(session, {RED: b"more zeroes", f"sub/{RED}": b"0"})

    report = staging.swap_in(earlier=(*EARLIER, RED))

    assert report.superseded == (RED, f"sub/{RED}")
    assert report.files == (RED, f"sub/{RED}")
    assert (session / "oneData" / RED).read_bytes() == b"more zeroes"
    (aside,) = (session / "curated").iterdir()
    assert read(aside) == {RED: b"chosen", f"sub/{RED}": b"also"}
    assert aside.name[8] == "T"
    assert len(aside.name) == len("20230120T101500")


def test_curated_file_that_is_not_written_again_stays(session):
    fill(session / "oneData", {RED: b"chosen"})
    staging = run(session, {"licks.times.npy": b"new"})

    report = staging.swap_in(earlier=(*EARLIER, RED))

    assert RED in report.carried
    assert (session / "oneData" / RED).read_bytes() == b"chosen"


def test_copies_kept_aside_in_the_same_second_are_apart(session):
    for turn in range(3):
        fill(session / "oneData", {RED: b"x" * turn})
        staging = run(session, {RED: b"longer"}, token=str(turn))
        staging.swap_in(earlier=())
        staging.confirm()

    assert sorted(
        len(next(iter(read(path).values()))) for path in (session / "curated").iterdir()
    ) == [
        0,
        1,
        2,
    ]


@pytest.mark.parametrize(
    ("old", "new"),
    [("notes.txt", "notes.txt/inside.npy"), ("notes/inside.txt", "notes")],
)
def test_file_and_folder_of_one_name_are_both_kept(session, old, new):
    fill(session / "oneData", {"notes.txt": b"", old: b"of a person"} if "/" in old else {})
    fill(session / "oneData", {old: b"of a person"})
    staging = run(session, {new: b"new"})

    report = staging.swap_in(earlier=EARLIER)
    staging.confirm()

    assert report.superseded == (old,)
    (aside,) = (session / "curated").iterdir()
    assert read(aside) == {old: b"of a person"}
    assert (session / "oneData" / new).read_bytes() == b"new"


@pytest.mark.parametrize("empty_folder", [False, True])
def test_run_that_wrote_no_file_changes_nothing(session, empty_folder):
    staging = Staging.prepare(session, token="1")
    if empty_folder:
        (staging.path / "collection").mkdir()

    report = staging.swap_in(earlier=EARLIER)
    staging.confirm()
    staging.undo()

    assert report == SwapReport((), 0, (), ())
    assert read(session / "oneData") == OLD
    assert names(session) == CLEAN


def test_first_output_is_put_in_place(session):
    staging = Staging.prepare(session, output="alf", token="1")
    fill(staging.path, {"licks.times.npy": b"new"})

    report = staging.swap_in(earlier=())
    staging.confirm()

    assert report.files == ("licks.times.npy",)
    assert read(session / "alf") == {"licks.times.npy": b"new"}
    assert names(session) == CLEAN | {"alf"}


def test_permissions_of_the_output_stay(session):
    (session / "oneData").chmod(0o770)
    staging = run(session, {"licks.times.npy": b"new"})

    staging.swap_in(earlier=())

    assert (session / "oneData").stat().st_mode & 0o777 == 0o770


def test_confirm_removes_the_old_output(session):
    staging = run(session, {"licks.times.npy": b"new"})
    staging.swap_in(earlier=EARLIER)
    assert (session / ".vrtracker-old-1").is_dir()

    staging.confirm()
    staging.confirm()

    assert names(session) == CLEAN
    assert (session / "oneData" / "licks.times.npy").read_bytes() == b"new"


def test_confirm_before_the_swap_changes_nothing(session):
    staging = run(session, {"licks.times.npy": b"new"})

    staging.confirm()

    assert read(session / "oneData") == OLD
    assert staging.path.exists()


def test_confirm_of_half_a_swap_keeps_the_old_output(session):
    staging = Staging.prepare(session, token="1")
    (session / "oneData").rename(session / ".vrtracker-old-1")

    staging.confirm()

    assert read(session / ".vrtracker-old-1") == OLD


def test_undo_puts_the_old_output_back(session):
    fill(session / "oneData", {RED: b"chosen"})
    staging = run(session, {"licks.times.npy": b"new", RED: b"zeroes"})
    staging.swap_in(earlier=EARLIER)

    staging.undo()
    staging.undo()

    assert read(session / "oneData") == OLD | {RED: b"chosen"}
    assert names(session) == CLEAN


def test_undo_of_a_first_output_leaves_none(session):
    staging = Staging.prepare(session, output="alf", token="1")
    fill(staging.path, {"licks.times.npy": b"new"})
    staging.swap_in(earlier=())

    staging.undo()

    assert names(session) == CLEAN


def test_undo_before_the_swap_discards(session):
    staging = run(session, {"licks.times.npy": b"new"})

    staging.undo()

    assert read(session / "oneData") == OLD
    assert names(session) == CLEAN


def test_undo_after_a_restart_needs_the_token_alone(session):
    run(session, {"licks.times.npy": b"new"}).swap_in(earlier=EARLIER)

    Staging(session, token="1").undo()

    assert read(session / "oneData") == OLD
    assert names(session) == CLEAN


def test_undo_leaves_the_output_of_a_later_attempt(session):
    late = run(session, {"licks.times.npy": b"late"}, token="late")
    winner = run(session, {"licks.times.npy": b"winner"}, token="winner")
    late.swap_in(earlier=EARLIER)
    winner.swap_in(earlier=EARLIER)
    winner.confirm()

    late.undo()

    assert (session / "oneData" / "licks.times.npy").read_bytes() == b"winner"
    assert names(session) == CLEAN


@pytest.mark.parametrize("content", [{}, {"licks.times.npy": b"foreign"}], ids=["empty", "files"])
def test_undo_half_way_never_loses_the_old_output(session, content):
    staging = run(session, {"licks.times.npy": b"new"})
    (session / "oneData").rename(session / ".vrtracker-old-1")
    fill(session / "oneData", content)

    if content:
        with pytest.raises(RegistrarError, match=r"made it anew.*\.vrtracker-old-1"):
            staging.undo()
        assert read(session / ".vrtracker-old-1") == OLD
        assert read(session / "oneData") == content
    else:
        staging.undo()
        assert read(session / "oneData") == OLD


def test_prepare_refuses_a_missing_session(tmp_path):
    with pytest.raises(NotFoundError, match="session folder"):
        Staging.prepare(tmp_path / "702", token="1")


@pytest.mark.parametrize("token", ["", "a/b", "..", "a.b", "ü", "a\n"])
def test_prepare_refuses_a_token_that_is_no_name(session, token):
    with pytest.raises(InvalidValueError, match="cannot name a staging folder"):
        Staging.prepare(session, token=token)


@pytest.mark.parametrize("output", ["", ".", "..", "a/b", "/abs", ".hidden", "curated"])
def test_prepare_refuses_an_output_that_is_no_folder_name(session, output):
    with pytest.raises(InvalidValueError, match="cannot be an output folder"):
        Staging.prepare(session, output=output, token="1")


@pytest.mark.parametrize("kind", ["link", "link to nothing", "file"])
def test_prepare_refuses_an_output_that_cannot_be_swapped(session, tmp_path, kind):
    if kind == "file":
        (session / "alf").write_bytes(b"")
    else:
        (session / "alf").symlink_to(tmp_path if kind == "link" else tmp_path / "gone")

    with pytest.raises(RegistrarError, match="is a link or a file"):
        Staging.prepare(session, output="alf", token="1")


@pytest.mark.parametrize("left", [".vrtracker-staging-1", ".vrtracker-old-1"])
def test_prepare_refuses_the_token_of_an_interrupted_attempt(session, left):
    (session / left).mkdir()

    with pytest.raises(RegistrarError, match="recover the session first"):
        Staging.prepare(session, token="1")


def test_prepare_refuses_while_the_output_waits_to_be_put_back(session):
    (session / "oneData").rename(session / ".vrtracker-old-dead")

    with pytest.raises(RegistrarError, match=r"vrtracker-old-dead.*recover the session first"):
        Staging.prepare(session, token="1")


def test_swap_refuses_while_the_output_waits_to_be_put_back(session):
    staging = run(session, {"licks.times.npy": b"new"})
    (session / "oneData").rename(session / ".vrtracker-old-dead")

    with pytest.raises(RegistrarError, match="recover the session first"):
        staging.swap_in(earlier=())


def test_prepare_in_a_read_only_session_says_so(plain_user_folder):
    plain_user_folder.chmod(0o500)

    with pytest.raises(RegistrarError, match=r"Nothing can be written.*Permission denied"):
        Staging.prepare(plain_user_folder, token="1")


def test_swap_after_discard_is_refused(session):
    staging = run(session, {"licks.times.npy": b"new"})
    staging.discard()

    with pytest.raises(RegistrarError, match="is gone"):
        staging.swap_in(earlier=())

    assert read(session / "oneData") == OLD


def test_staged_file_that_cannot_be_read_is_a_failure_and_changes_nothing(plain_user_folder):
    fill(plain_user_folder / "oneData", OLD)
    staging = run(plain_user_folder, {"licks.times.npy": b"new"})
    (staging.path / "licks.times.npy").chmod(0)

    with pytest.raises(RegistrarError, match="the earlier one is as it was"):
        staging.swap_in(earlier=EARLIER)
    staging.discard()

    assert read(plain_user_folder / "oneData") == OLD
    assert names(plain_user_folder) == {"oneData"}


def test_recover_of_a_clean_session_does_nothing(session):
    assert recover(session) == []
    assert names(session) == CLEAN


def test_recover_of_a_missing_session_does_nothing(tmp_path):
    assert recover(tmp_path / "702") == []


def test_recover_removes_what_a_dead_attempt_staged(session):
    run(session, {"licks.times.npy": b"new"}, token="dead")

    done = recover(session)

    assert done == ["Removed .vrtracker-staging-dead, which an interrupted attempt left."]
    assert names(session) == CLEAN


def test_recover_puts_the_output_back_after_a_kill_between_the_renames(session):
    run(session, {"licks.times.npy": b"new"}, token="dead")
    (session / "oneData").rename(session / ".vrtracker-old-dead")

    done = recover(session)

    assert done[0].startswith("Put oneData back from .vrtracker-old-dead")
    assert read(session / "oneData") == OLD
    assert names(session) == CLEAN


def test_recover_takes_an_empty_output_for_a_missing_one(session):
    (session / "oneData").rename(session / ".vrtracker-old-dead")
    (session / "oneData" / "empty").mkdir(parents=True)

    recover(session)

    assert read(session / "oneData") == OLD
    assert names(session) == CLEAN


def test_recover_keeps_a_new_output_that_is_whole(session):
    run(session, {"licks.times.npy": b"new"}, token="dead").swap_in(earlier=EARLIER)

    done = recover(session)

    assert done == ["Removed .vrtracker-old-dead, whose replacement is in place."]
    assert (session / "oneData" / "licks.times.npy").read_bytes() == b"new"
    assert names(session) == CLEAN


def test_recover_puts_back_what_an_attempt_replaced_that_was_not_recorded(session):
    run(session, {"licks.times.npy": b"new"}, token="dead").swap_in(earlier=EARLIER)

    (done,) = recover(session, unrecorded=lambda: ["dead"])

    (late,) = session.glob("late_output_*_dead")
    assert done.startswith("Put oneData back from .vrtracker-old-dead")
    assert late.name in done
    assert read(session / "oneData") == OLD
    assert (late / "licks.times.npy").read_bytes() == b"new"
    assert names(session) == CLEAN | {late.name}


def test_recover_keeps_what_replaced_an_output_after_an_attempt_that_was_not_recorded(session):
    for token, content in (("dead", b"first"), ("good", b"second")):
        run(session, {"licks.times.npy": content}, token=token).swap_in(earlier=EARLIER)

    recover(session, unrecorded=lambda: ["dead"])

    assert (session / "oneData" / "licks.times.npy").read_bytes() == b"second"
    assert names(session) == CLEAN


def test_recover_of_a_first_output_killed_between_the_renames_leaves_none(tmp_path):
    run(tmp_path, {"licks.times.npy": b"new"}, token="dead")
    (tmp_path / ".vrtracker-old-dead").mkdir()

    recover(tmp_path)

    assert names(tmp_path) == set()


@pytest.mark.parametrize("step", ["staged", "between", "swapped"])
def test_recover_leaves_a_live_attempt_alone(session, step):
    staging = run(session, {"licks.times.npy": b"new"}, token="live")
    if step == "between":
        (session / "oneData").rename(session / ".vrtracker-old-live")
    if step == "swapped":
        staging.swap_in(earlier=EARLIER)
    before = read(session)

    done = recover(session, live_tokens=lambda: ["live"])

    assert done == []
    assert read(session) == before


def test_recover_leaves_alone_what_begins_while_it_asks_who_lives(session):
    def live_tokens() -> list[str]:
        begun.append(run(session, {"licks.times.npy": b"new"}, token="new"))
        return []

    begun: list[Staging] = []

    assert recover(session, live_tokens=live_tokens) == []
    assert begun[0].path.is_dir()


def test_recover_waits_while_a_live_attempt_holds_the_output(session):
    run(session, {"licks.times.npy": b"x"}, token="dead")
    run(session, {"licks.times.npy": b"new"}, token="live")
    (session / "oneData").rename(session / ".vrtracker-old-live")
    (session / ".vrtracker-old-dead").mkdir()
    before = names(session)

    assert recover(session, live_tokens=lambda: {"live"}) == []
    assert names(session) == before


def test_recover_takes_the_newest_of_several_old_outputs(session):
    for token, content in (("zz", b"first"), ("aa", b"second")):
        staging = run(session, {"licks.times.npy": content}, token=token)
        staging.swap_in(earlier=EARLIER)
    run(session, {"licks.times.npy": b"third"}, token="mm")
    (session / "oneData").rename(session / ".vrtracker-old-mm")

    recover(session)

    assert (session / "oneData" / "licks.times.npy").read_bytes() == b"second"
    assert names(session) == CLEAN


def test_recover_prefers_a_full_old_output_to_a_newer_empty_one(session):
    (session / "oneData").rename(session / ".vrtracker-old-a")
    (session / ".vrtracker-old-b").mkdir()

    recover(session)

    assert read(session / "oneData") == OLD
    assert names(session) == CLEAN


def test_recover_never_removes_an_old_output_that_something_else_replaced(session):
    run(session, {"licks.times.npy": b"new"}, token="dead")
    (session / "oneData").rename(session / ".vrtracker-old-dead")
    fill(session / "oneData", {"foreign.times.npy": b"foreign"})

    done = recover(session)

    assert len(done) == 1
    assert "Left .vrtracker-old-dead alone" in done[0]
    assert read(session / ".vrtracker-old-dead") == OLD
    assert read(session / "oneData") == {"foreign.times.npy": b"foreign"}


def test_recover_does_not_mix_up_outputs(session):
    fill(session / "alf", {"spikes.times.npy": b"old"})
    staging = Staging.prepare(session, output="alf", token="dead")
    fill(staging.path, {"spikes.times.npy": b"new"})
    (session / "alf").rename(session / ".vrtracker-old-dead.alf")
    fill(session / "oneData", {})

    assert recover(session) == []
    recover(session, output="alf")

    assert read(session / "alf") == {"spikes.times.npy": b"old"}
    assert read(session / "oneData") == OLD
    assert names(session) == CLEAN | {"alf"}


def test_recover_says_what_it_cannot_do(plain_user_folder):
    fill(plain_user_folder / ".vrtracker-old-dead", OLD)
    plain_user_folder.chmod(0o500)

    with pytest.raises(RegistrarError, match="could not be recovered"):
        recover(plain_user_folder)

    assert read(plain_user_folder / ".vrtracker-old-dead") == OLD


def test_folder_that_cannot_be_removed_is_logged_and_fails_nothing(plain_user_folder, caplog):
    fill(plain_user_folder / "oneData", OLD)
    staging = run(plain_user_folder, {"licks.times.npy": b"new"})
    staging.swap_in(earlier=EARLIER)
    plain_user_folder.chmod(0o500)

    staging.confirm()

    assert "could not be removed: Permission denied" in caplog.text
    assert (plain_user_folder / "oneData" / "licks.times.npy").read_bytes() == b"new"


def test_undo_that_the_disk_refuses_says_where_the_old_output_is(plain_user_folder):
    fill(plain_user_folder / "oneData", OLD)
    staging = run(plain_user_folder, {"licks.times.npy": b"new"})
    staging.swap_in(earlier=EARLIER)
    plain_user_folder.chmod(0o500)

    with pytest.raises(RegistrarError, match=r"kept in '\.vrtracker-old-1'"):
        staging.undo()


def test_read_only_folders_are_removed(plain_user_folder):
    fill(plain_user_folder, {"tree/a/b": b""})
    (plain_user_folder / "tree" / "a").chmod(0o500)

    assert trees.remove_tree(plain_user_folder / "tree")
    assert not (plain_user_folder / "tree").exists()


def test_removing_what_is_gone_succeeds(tmp_path):
    assert trees.remove_tree(tmp_path / "gone")


@pytest.mark.parametrize(("refusals", "succeeds"), [(0, True), (3, True), (99, False)])
def test_rename_on_windows_outlasts_a_virus_scanner(tmp_path, monkeypatch, refusals, succeeds):
    left = [refusals]
    replace = Path.replace

    def held_open(source: Path, target: Path) -> Path:
        if left[0]:
            left[0] -= 1
            raise PermissionError(13, "used by another process")
        return replace(source, target)

    monkeypatch.setattr(trees, "_ON_WINDOWS", True)
    monkeypatch.setattr(trees, "_RENAME_PAUSES", (0, 0, 0, 0))
    monkeypatch.setattr(Path, "replace", held_open)
    (tmp_path / "a").mkdir()

    if succeeds:
        trees.rename(tmp_path / "a", tmp_path / "b")
    else:
        with pytest.raises(PermissionError):
            trees.rename(tmp_path / "a", tmp_path / "b")

    assert (tmp_path / "b").exists() is succeeds
