"""The lock of the writers of an Access file: who waits for how long, and what is said then."""

from __future__ import annotations

import subprocess
import sys

import pytest

from vrtracker.backends.access.file_lock import FileLock
from vrtracker.backends.access.java_errors import OperationalError

HOLDS = """
import sys, time
from pathlib import Path
from vrtracker.backends.access.file_lock import FileLock
lock = FileLock(Path(sys.argv[1]))
for _ in range(int(sys.argv[2])):
    lock.acquire(timeout_s=60)
    print(flush=True)
    time.sleep(float(sys.argv[3]))
    lock.release()
    time.sleep(0.05)
"""


@pytest.fixture
def held(tmp_path):
    """Have another process hold a lock some times; return it and that process."""
    started = []

    def hold(times: int, seconds: float) -> tuple[FileLock, subprocess.Popen]:
        words = [sys.executable, "-c", HOLDS, str(tmp_path / "lock"), str(times), str(seconds)]
        started.append(subprocess.Popen(words, stdout=subprocess.PIPE, text=True))
        started[0].stdout.readline()
        return FileLock(tmp_path / "lock"), started[0]

    yield hold
    for process in started:
        process.kill()
        process.communicate()


def test_lock_that_one_transaction_keeps_is_told_with_the_process_that_has_it(held):
    lock, process = held(1, 60)
    with pytest.raises(OperationalError, match=f"process {process.pid} on .* more than 0.1 s"):
        lock.acquire(timeout_s=0.1)


def test_lock_that_goes_from_hand_to_hand_is_waited_for(held, monkeypatch):
    # As if somebody else came first each time but the last.
    lock, _ = held(3, 0.4)
    monkeypatch.setattr("vrtracker.backends.access.file_lock.POLL_S", 1.25)
    assert lock.acquire(timeout_s=1)
    lock.release()


def test_lock_whose_file_was_deleted_is_not_written_under_and_is_taken_anew(held):
    lock, _ = held(2, 1)
    lock.path.unlink()
    assert lock.acquire(timeout_s=1)
    lock.check()
    lock.path.unlink()

    with pytest.raises(OperationalError, match="Never delete it"):
        lock.check()

    lock.release()
    # The other one waits at the file that is gone until this one has given it back.
    lock.acquire(timeout_s=1)
    lock.check()
    lock.release()


def test_lock_that_is_needed_no_more_is_not_waited_for(held):
    lock, _ = held(1, 60)
    assert not lock.acquire(timeout_s=60, wanted=lambda: False)
