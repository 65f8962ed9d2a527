"""Kill, interrupt and starve a swap before each single thing that it does to the disk.

A forked child runs the swap with an audit hook, which Python calls before each operation on
files; at the n-th one the hook ends the process, or raises. Nothing is replaced by a stand-in.
"""

from __future__ import annotations

import errno
import os
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from vrtracker.errors import RegistrarError
from vrtracker.files.staging import Staging, recover

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

RED = "mpciROIs.redCellIdx.npy"
MANUAL = "mpciROIs.redCellManualAssignments.npy"
OLD = {
    "licks.times.npy": b"old licks",
    "later/mpci.times.npy": b"of a later stage",
    RED: b"chosen",
    MANUAL: b"also chosen",
}
WRITTEN = {"licks.times.npy": b"new", "wheel.times.npy": b"wheel", RED: b"zeroes", MANUAL: b"0"}
NEW = WRITTEN | {"later/mpci.times.npy": b"of a later stage", RED: b"chosen"}
FIRST = WRITTEN
EARLIER = ("licks.times.npy",)
CHANGES = {
    "os.rename",
    "os.mkdir",
    "os.rmdir",
    "os.remove",
    "os.link",
    "os.symlink",
    "os.chmod",
    "os.utime",
    "os.scandir",
    "open",
    "shutil.copyfile",
    "shutil.rmtree",
}
MOST_STEPS = 500
GOT_THROUGH, RAISED, STRUCK, DIED = 0, 1, 2, 9


def fill(folder: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def read(folder: Path) -> dict[str, bytes] | None:
    if not folder.exists():
        return None
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def in_child(work: Callable[[], None], strike: Callable[[], None], *, step: int) -> int:
    """Fork and strike before the step-th access to the disk; tell how the child ended.

    `GOT_THROUGH` says that there are no as many steps; `STRUCK`, that it ended well all the same.
    """
    with warnings.catch_warnings():
        # Other threads of the test runner are of no concern to a child that only renames files.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    left = [step]

    def hook(event: str, _: object) -> None:
        if event in CHANGES and left[0]:
            left[0] -= 1
            if not left[0]:
                strike()

    code = RAISED
    try:
        sys.addaudithook(hook)
        work()
        code = GOT_THROUGH if left[0] else STRUCK
    finally:
        os._exit(code)
    raise AssertionError


def kill() -> None:
    os._exit(DIED)


def interrupt() -> None:
    raise KeyboardInterrupt


def fill_disk() -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def steps(
    folder: Path, files: dict[str, bytes], work: Callable[[Path], None], strike: Callable[[], None]
) -> Iterator[Path]:
    """Yield the session as a strike at each step leaves it, and at last without any."""
    for step in range(1, MOST_STEPS):
        session = folder / f"step{step}"
        session.mkdir(parents=True)
        fill(session / "oneData", files)
        code = in_child(lambda session=session: work(session), strike, step=step)
        yield session
        shutil.rmtree(session)
        if code == GOT_THROUGH:
            return
    pytest.fail("the work never ended")


def register(session: Path) -> None:
    staging = Staging.prepare(session, token="1")
    fill(staging.path, WRITTEN)
    staging.swap_in(earlier=EARLIER)
    staging.confirm()


def register_and_undo(session: Path) -> None:
    staging = Staging.prepare(session, token="1")
    fill(staging.path, WRITTEN)
    staging.swap_in(earlier=EARLIER)
    staging.undo()


def register_and_clean_up(session: Path) -> None:
    staging = Staging.prepare(session, token="1")
    try:
        fill(staging.path, WRITTEN)
        staging.swap_in(earlier=EARLIER)
    except BaseException:  # noqa: BLE001 (as whoever runs registrars must)
        staging.undo()
    else:
        staging.confirm()


def swap_or_undo(session: Path) -> None:
    staging = Staging.prepare(session, token="1")
    try:
        fill(staging.path, WRITTEN)
        staging.swap_in(earlier=EARLIER)
    except (KeyboardInterrupt, OSError, RegistrarError):
        staging.undo()


def assert_whole(session: Path, before: dict[str, bytes]) -> None:
    after = read(session / "oneData")
    new = NEW if before else FIRST
    assert after in (before or None, new)
    assert not [path.name for path in session.iterdir() if path.name.startswith(".")]
    if before and after == NEW:
        (aside,) = (session / "curated").iterdir()
        assert read(aside) == {MANUAL: b"also chosen"}


@pytest.mark.parametrize("before", [OLD, {}], ids=["replacing", "first"])
@pytest.mark.parametrize("work", [register, register_and_undo])
def test_kill_at_any_step_is_recovered(tmp_path, work, before):
    count = 0
    for session in steps(tmp_path, before, work, kill):
        count += 1
        # Whatever is called old must be good enough to be put back.
        assert read(session / ".vrtracker-old-1") in (None, before)

        recover(session)

        assert_whole(session, before)
        assert recover(session) == []
    assert count > 10


def test_kill_of_the_recovery_itself_is_recovered(tmp_path):
    checked = 0
    states = set()
    for session in steps(tmp_path / "first", OLD, register, kill):
        state = frozenset(path.relative_to(session) for path in session.rglob("*"))
        if state in states:
            continue
        states.add(state)
        for step in range(1, MOST_STEPS):
            again = tmp_path / "again"
            shutil.copytree(session, again, symlinks=True)

            code = in_child(lambda again=again: recover(again) and None, kill, step=step)
            recover(again)

            assert_whole(again, OLD)
            shutil.rmtree(again)
            checked += 1
            if code == GOT_THROUGH:
                break
    assert checked > 100


@pytest.mark.parametrize("before", [OLD, {}], ids=["replacing", "first"])
@pytest.mark.parametrize("strike", [interrupt, fill_disk])
def test_interruption_and_full_disk_leave_a_whole_output(tmp_path, strike, before):
    outcomes = set()
    for session in steps(tmp_path, before, register_and_clean_up, strike):
        # A strike at the clean-up itself may leave folders, as may one at prepare.
        recover(session)

        assert_whole(session, before)
        outcomes.add("new" if read(session / "oneData") == (NEW if before else FIRST) else "old")
    assert outcomes == {"new", "old"}


@pytest.mark.parametrize("strike", [interrupt, fill_disk])
def test_clean_up_after_a_failed_swap_needs_no_recovery(tmp_path, strike):
    swapping = 0
    for session in steps(tmp_path, OLD, swap_or_undo, strike):
        after = read(session / "oneData")

        assert after in (OLD, NEW)
        if after == OLD:
            swapping += 1
            assert {path.name for path in session.iterdir()} <= {"oneData", "curated"}
    assert swapping > 10


def test_swap_that_fails_between_the_renames_puts_the_old_output_back(tmp_path, monkeypatch):
    fill(tmp_path / "oneData", OLD)
    staging = Staging.prepare(tmp_path, token="1")
    fill(staging.path, WRITTEN)
    replace = Path.replace

    def refuse_staging(source: Path, target: Path) -> Path:
        if source == staging.path:
            raise PermissionError(errno.EACCES, "Permission denied")
        return replace(source, target)

    monkeypatch.setattr(Path, "replace", refuse_staging)

    with pytest.raises(RegistrarError, match="the earlier one is as it was"):
        staging.swap_in(earlier=EARLIER)

    assert read(tmp_path / "oneData") == OLD
    assert not (tmp_path / ".vrtracker-old-1").exists()
