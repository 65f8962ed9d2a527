"""Disks that are full, without room for temporary files, or read-only: on a small file system."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

pytestmark = pytest.mark.sqlite

_MOUNTED = 'mount -t tmpfs -o size="$1" tmpfs "$2" && shift 2 && exec "$@"'
_BEGIN = """
import pathlib, sqlite3, subprocess, sys
import vrtracker
from vrtracker.backends import sqlite_arrow
from vrtracker.errors import VrtrackerError

place = pathlib.Path(sys.argv[1])
file = place / "lab.db"

def fill_up():
    with open(place / "filler", "wb", buffering=0) as filler:
        try:
            while True:
                filler.write(bytes(4096))
        except OSError:
            pass

def rows(first, count):
    return [
        {"mouseName": "M1", "sessionDate": "2023-01-20", "sessionID": first + n,
         "sessionNotes": f"{(first + n) * 7919 % 100_000} " + "ran well " * 20}
        for n in range(count)
    ]

def frames(tracker, **options):
    # Row by row, as columns of this process, and by the one that reads long results.
    few, start = sqlite_arrow.FEW_ROWS, sqlite_arrow.START_ROWS
    found = [tracker.sessions.records(**options)]
    for sqlite_arrow.FEW_ROWS, sqlite_arrow.START_ROWS in ((10**9, 10**9), (1, 0)):
        frame = tracker.sessions.frame(**options)
        found.append(frame.to_dict("records"))
    sqlite_arrow.FEW_ROWS, sqlite_arrow.START_ROWS = few, start
    numbers = [[row["sessionID"] for row in one] for one in found]
    assert numbers[0] == numbers[1] == numbers[2]
    return numbers[0]

def lab(count):
    tracker = vrtracker.init(str(file), root=place)
    tracker.mice.add("M1")
    tracker.sessions.add_many(rows(0, count))
    return tracker

def is_whole():
    return sqlite3.connect(file).execute("PRAGMA integrity_check").fetchall() == [("ok",)]
"""


def on_disk(tmp_path: Path, size: str, script: str, **environment: str) -> None:
    """Run a script with a file system of that size mounted, which nobody else sees."""
    if shutil.which("unshare") is None:
        pytest.skip("there is no unshare here")
    mounted = ["unshare", "-rm", "sh", "-c", _MOUNTED, "sh", size, str(tmp_path)]
    if subprocess.run([*mounted, "true"], capture_output=True, check=False).returncode:
        pytest.skip("file systems cannot be mounted here")
    words = [sys.executable, "-c", _BEGIN + textwrap.dedent(script), str(tmp_path)]
    done = subprocess.run(
        [*mounted, *words],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-3000:]


def test_full_disk_is_one_clear_error_and_nothing_is_lost(tmp_path):
    on_disk(
        tmp_path,
        "6m",
        """
        tracker = lab(300)
        fill_up()
        events = len(tracker.events.records(10_000))
        for write in (
            lambda: tracker.sessions.add_many(rows(1_000, 20_000)),
            lambda: tracker.sessions.update({"sessionNotes": "x" * 9_000}, mouseName="M1"),
        ):
            try:
                write()
            except VrtrackerError as error:
                assert "full" in str(error), error
            else:
                raise AssertionError("it was written")
            assert frames(tracker) == list(range(300))
            assert len(tracker.events.records(10_000)) == events
        (place / "filler").unlink()
        tracker.sessions.add_many(rows(1_000, 100))
        assert len(frames(tracker)) == 400
        tracker.close()
        assert is_whole()
        """,
    )


def test_database_that_is_opened_on_a_full_disk_names_the_disk(tmp_path):
    on_disk(
        tmp_path,
        "6m",
        """
        lab(300).close()
        fill_up()
        try:
            vrtracker.open(str(file))
        except VrtrackerError as error:
            assert f"The disk of {file}" in str(error) and "full" in str(error), error
        else:
            raise AssertionError("there was room")
        (place / "filler").unlink()
        with vrtracker.open(str(file)) as tracker:
            tracker.mice.add("M2")
            assert frames(tracker) == list(range(300))
        """,
    )


def test_frames_need_no_room_for_temporary_files_but_to_be_sorted(tmp_path):
    here = str(tmp_path)
    script = """
    import tempfile
    home = pathlib.Path(tempfile.mkdtemp(dir="/dev/shm"))
    place_of_temporary, place = place, home
    file = home / "lab.db"
    try:
        tracker = lab(20_000)
        place = place_of_temporary
        fill_up()
        assert frames(tracker) == list(range(20_000))
        assert len(frames(tracker, columns=["sessionID"], order_by="sessionID")) == 20_000
        try:
            tracker.sessions.frame(order_by="sessionNotes")
        except VrtrackerError as error:
            assert "temporary files (TMPDIR)" in str(error), error
        else:
            raise AssertionError("SQLite has room elsewhere")
        tracker.close()
        assert is_whole()
    finally:
        import shutil
        shutil.rmtree(home)
    """
    on_disk(tmp_path, "1m", script, TMPDIR=here, SQLITE_TMPDIR=here)


def test_frames_are_read_from_a_medium_that_cannot_be_written(tmp_path):
    on_disk(
        tmp_path,
        "8m",
        """
        lab(300).close()
        subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True)
        with vrtracker.open(str(file), readonly=True) as tracker:
            assert frames(tracker) == list(range(300))
        with vrtracker.open(str(file)) as tracker:
            try:
                tracker.mice.add("M2")
            except VrtrackerError as error:
                assert "cannot be written" in str(error), error
            else:
                raise AssertionError("it was written")
            assert frames(tracker) == list(range(300))
        """,
    )


def test_trash_that_is_full_holds_no_half_of_a_file_and_the_original_stays(tmp_path):
    script = """
    import random, tempfile
    with tempfile.TemporaryDirectory(dir="/dev/shm") as home:
        root = pathlib.Path(home)
        big, small = (root / "M1/2023-01-20/1" / f"{name}.x.npy" for name in ("big", "a"))
        big.parent.mkdir(parents=True)
        content = random.Random(2).randbytes(200_000)
        big.write_bytes(content)
        small.write_bytes(b"small")
        (root / ".vrtracker-trash").symlink_to(place)
        with vrtracker.init(str(root / "lab.db"), root=root) as tracker:
            tracker.mice.add("M1")
            tracker.sessions.add("M1.2023-01-20.1")
            try:
                tracker.datasets.prune().apply()
            except VrtrackerError as error:
                assert str(big) in str(error) and "No space" in str(error), error
            else:
                raise AssertionError("it was moved")
            assert [path.name for path in place.rglob("*.npy*")] == ["a.x.npy"]
            assert not small.exists()
            back = tracker.datasets.restore()
            assert (back.files, back.left) == (1, ()), back
        assert (big.read_bytes(), small.read_bytes()) == (content, b"small")
        assert list(place.iterdir()) == []
    """
    on_disk(tmp_path, "64k", script)
