"""Kill, interrupt and starve a swap before each single thing that it does to the disk.

How a step is struck is told in `support.strikes`.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.strikes import (
    EARLIER,
    GOT_THROUGH,
    WRITTEN,
    fill,
    fill_disk,
    interrupt,
    kill,
    recover_again,
    register,
    register_and_clean_up,
    register_and_undo,
    striker,
    swap_or_undo,
)
from vrtracker.errors import RegistrarError
from vrtracker.files.recovery import recover
from vrtracker.files.staging import Staging

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

RED = "mpciROIs.redCellIdx.npy"
MANUAL = "mpciROIs.redCellManualAssignments.npy"
OLD = {
    "licks.times.npy": b"old licks",
    "later/mpci.times.npy": b"of a later stage",
    RED: b"chosen",
    MANUAL: b"also chosen",
}
NEW = WRITTEN | {"later/mpci.times.npy": b"of a later stage", RED: b"chosen"}
FIRST = WRITTEN
MOST_STEPS = 500


@pytest.fixture(scope="module")
def struck():
    with striker() as struck:
        yield struck


@pytest.fixture
def steps(struck, tmp_path):
    """Yield the session as a strike at each step leaves it, and at last without any."""

    def each_step(files: dict[str, bytes], work: Callable, strike: Callable) -> Iterator[Path]:
        for step in range(1, MOST_STEPS):
            session = tmp_path / f"step{step}"
            fill(session / "oneData", files)
            session.mkdir(parents=True, exist_ok=True)
            code = struck(work, session, strike, step)
            yield session
            shutil.rmtree(session)
            if code == GOT_THROUGH:
                return
        pytest.fail("the work never ended")

    return each_step


def read(folder: Path) -> dict[str, bytes] | None:
    if not folder.exists():
        return None
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


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
def test_kill_at_any_step_is_recovered(steps, work, before):
    count = 0
    for session in steps(before, work, kill):
        count += 1
        # Whatever is called old must be good enough to be put back.
        assert read(session / ".vrtracker-old-1") in (None, before)

        recover(session)

        assert_whole(session, before)
        assert recover(session) == []
    assert count > 10


def test_kill_of_the_recovery_itself_is_recovered(steps, struck, tmp_path):
    checked = 0
    states = set()
    for session in steps(OLD, register, kill):
        state = frozenset(path.relative_to(session) for path in session.rglob("*"))
        if state in states:
            continue
        states.add(state)
        for step in range(1, MOST_STEPS):
            again = tmp_path / "again"
            shutil.copytree(session, again, symlinks=True)

            code = struck(recover_again, again, kill, step)
            recover(again)

            assert_whole(again, OLD)
            shutil.rmtree(again)
            checked += 1
            if code == GOT_THROUGH:
                break
    assert checked > 100


@pytest.mark.parametrize("before", [OLD, {}], ids=["replacing", "first"])
@pytest.mark.parametrize("strike", [interrupt, fill_disk])
def test_interruption_and_full_disk_leave_a_whole_output(steps, strike, before):
    outcomes = set()
    for session in steps(before, register_and_clean_up, strike):
        # A strike at the clean-up itself may leave folders, as may one at prepare.
        recover(session)

        assert_whole(session, before)
        outcomes.add("new" if read(session / "oneData") == (NEW if before else FIRST) else "old")
    assert outcomes == {"new", "old"}


@pytest.mark.parametrize("strike", [interrupt, fill_disk])
def test_clean_up_after_a_failed_swap_needs_no_recovery(steps, strike):
    swapping = 0
    for session in steps(OLD, swap_or_undo, strike):
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
